/*
 * h_exec: runs a program for a task: args as JSON on its standard input, its output into the result.
 *
 * The program's end decides, not the end of its output: whoever still holds the pipes then is of no interest, and is KILLed
 * by the spawner as far as it belongs to the program.
 */
#include <stdio.h>
#include <string.h>

#include "host/attend.h"
#include "host/exec_config.h"
#include "host/exec_report.h"
#include "host/handler.h"
#include "host/program.h"
#include "host/task.h"

/* Args, then a newline. */
static void set_feed(struct attend *attend)
{
	struct view given = task_args(attend->task);

	if (attend->program->in_fd < 0)
		return;
	attend->feed[0] = given.len > 0 ? given : VIEW_LIT("{}"); /* a program can count on JSON */
	attend->feed[1] = VIEW_LIT("\n");
	attend->closes_in = true;
}

static void run_program(struct work *task, struct program *program, struct result *result)
{
	struct attend attend;
	int r = 0;

	attend_init(&attend, task, program);
	set_feed(&attend);
	attend_begin(&attend);
	while (r == 0 && !program_has_ended(program))
		r = attend_turn(&attend);
	struct child child = program_look(program);
	capture_drain(&program->out);
	capture_drain(&program->err);
	attend_end(&attend);
	if (r < 0)
		result_fail(result, "failed", "waiting for the program: %s", strerror(-r));
	else
		exec_report_set(
			&child, &program->out, &program->err, attend.kill_at_us > 0, result);
}

static void exec_run(struct work *task, struct result *result)
{
	const struct offer *offer = task_offer(task);
	const struct exec_config *config = offer->config;
	struct words env = {NULL, 0};
	char why[SETTING_WHY_SIZE];
	struct program program;

	program_init(&program, offer->registry->spawner, offer->max_output_bytes);
	int r = exec_config_task_words(task, &env);
	(void)snprintf(why, sizeof(why), "%s", strerror(-r));
	if (r == 0)
		r = program_start(&program, config, &env, why);
	if (r == 0)
		run_program(task, &program, result);
	else
		result_fail(result, "start", "the program cannot be started: %s", why);
	exec_config_free_words(&env);
	program_done(&program);
}

const struct handler handler_exec = {
	.name = "exec",
	.text = "runs a program",
	.settings = exec_config_settings,
	.n_settings = EXEC_CONFIG_SETTINGS,
	.config_bytes = sizeof(struct exec_config),
	.defaults = &exec_config_defaults,
	.start = exec_config_start,
	.stop = exec_config_stop,
	.run = exec_run,
	.cancel = attend_wake,
	.follow = attend_wake,
};
