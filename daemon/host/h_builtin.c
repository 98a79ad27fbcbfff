/*
 * h_builtin: noop, echo, sleep and fail: always offered, each of use in a test and a benchmark.
 */
#include <stddef.h>

#include "base/clock.h"
#include "host/handler.h"
#include "host/result.h"
#include "host/task.h"

#define SLEEP_MAX_MS   86400000
#define SLEEP_TELLS_MS 1000 /* from here on it tells its progress … */
#define SLEEP_STEPS    10   /* … in so many steps */
#define FAIL_ERROR_MAX 4096

static void noop_run(struct work *task, struct result *result)
{
	(void)task;
	(void)result; /* ok without a result is what it is already */
}

static void echo_run(struct work *task, struct result *result)
{
	result_ok(result, task_args(task));
}

struct sleep_args {
	int64_t ms;
};

static const struct param sleep_params[] = {
	{.name = "ms",
		.type = PARAM_INT,
		.flags = PARAM_REQUIRED,
		.offset = offsetof(struct sleep_args, ms),
		.min = 0,
		.max = SLEEP_MAX_MS,
		.text = "how long, in milliseconds"},
};

static void sleep_run(struct work *task, struct result *result)
{
	struct sleep_args args = {0};

	if (task_read_args(task, &args, result) < 0)
		return;
	uint64_t begun_us = clock_now_us(), sleep_us = (uint64_t)args.ms * US_PER_MS;
	unsigned steps = args.ms >= SLEEP_TELLS_MS ? SLEEP_STEPS : 1;
	for (unsigned i = 1; i <= steps; i++) {
		if (task_sleep_until(task, begun_us + sleep_us * i / steps)) {
			result_cancel(result, (struct view){NULL, 0});
			return;
		}
		if (i < steps) /* the last is its end */
			task_progress(task, HOSTMSG_PERMILLE_MAX * i / steps, NULL);
	}
}

struct fail_args {
	const char *error;
};

static const struct param fail_params[] = {
	{.name = "error",
		.type = PARAM_STRING,
		.offset = offsetof(struct fail_args, error),
		.max = FAIL_ERROR_MAX,
		.text = "the sentence that the task fails with"},
};

static void fail_run(struct work *task, struct result *result)
{
	struct fail_args args = {.error = "failed as asked"};

	if (task_read_args(task, &args, result) == 0)
		result_fail_with(result, "failed", (struct view){NULL, 0}, args.error);
}

const struct handler handler_noop = {
	.name = "noop",
	.text = "does nothing",
	.builtin = true,
	.quick = true,
	.run = noop_run,
};

const struct handler handler_echo = {
	.name = "echo",
	.text = "returns its arguments",
	.builtin = true,
	.quick = true,
	.run = echo_run,
};

const struct handler handler_sleep = {
	.name = "sleep",
	.text = "waits",
	.params = sleep_params,
	.n_params = ARRAY_SIZE(sleep_params),
	.checked = true,
	.builtin = true,
	.run = sleep_run,
};

const struct handler handler_fail = {
	.name = "fail",
	.text = "fails",
	.params = fail_params,
	.n_params = ARRAY_SIZE(fail_params),
	.checked = true,
	.builtin = true,
	.quick = true,
	.run = fail_run,
};
