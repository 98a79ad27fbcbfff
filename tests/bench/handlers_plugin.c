/*
 * handlers_plugin: the smallest handler of type plugin, for tests/bench/handlers: it answers null.
 */
#include "workpool-plugin.h"

static void run(struct workpool_task *task)
{
	(void)workpool_task_result(task, "null", 4);
}

const struct workpool_handler workpool_handler = {.abi = WORKPOOL_PLUGIN_ABI,
	.flags = WORKPOOL_ANY_ARGS,
	.name = "bench",
	.text = "answers null",
	.run = run};
