/*
 * h_exec: runs a program for a task: args as JSON on its standard input, its output into the result.
 *
 * The args are written before the program starts, so that it need not wait for them. Its end decides, not the end of its
 * output: whoever still holds the pipes then is of no interest, and is KILLed by the spawner as far as it belongs to the program.
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
static void feed_args(struct attend *attend)
{
	struct view given = task_args(attend->task);

	if (attend->program->in_fd < 0)
		return;
	attend->feed[0] = given.len > 0 ? given : VIEW_LIT("{}"); /* a program can count on JSON */
	attend->feed[1] = VIEW_LIT("\n");
	attend->closes_in = true;
	attend_feed(attend);
}

static int start(const struct work *task, struct program *program)
{
	struct words env;

	int r = exec_config_task_words(task, &env);
	if (r < 0)
		return r;
	r = program_start(program, task_offer(task)->config, &env);
	exec_config_free_words(&env);
	return r;
}

/* Until it has ended or could not be started. */
static void run_program(struct attend *attend, struct result *result)
{
	struct program *program = attend->program;
	int r = 0;

	attend_begin(attend);
	while (r == 0 && !program_has_ended(program))
		r = attend_turn(attend);
	struct child child = program_look(program);
	capture_drain(&program->out);
	capture_drain(&program->err);
	attend_end(attend);
	if (r < 0)
		result_fail(result, "failed", "waiting for the program: %s", strerror(-r));
	else
		exec_report_set(
			&child, &program->out, &program->err, attend->kill_at_us > 0, result);
}

static void exec_run(struct work *task, struct result *result)
{
	const struct offer *offer = task_offer(task);
	char why[SETTING_WHY_SIZE];
	struct program program;
	struct attend attend;

	program_init(&program, offer->registry->spawner, offer->max_output_bytes);
	attend_init(&attend, task, &program);
	int r = program_open(&program, offer->config, why);
	if (r == 0) {
		feed_args(&attend);
		r = start(task, &program);
		(void)snprintf(why, sizeof(why), "%s", strerror(-r));
	}
	if (r == 0)
		run_program(&attend, result);
	else
		result_fail(result, "start", "the program cannot be started: %s", why);
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
