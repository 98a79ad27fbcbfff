/*
 * task: see task.h. Called from the thread that runs it,
 * but for task_is_cancelled() and task_is_followed(), which any thread may ask.
 */
#include "host/task.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "host/handler.h"
#include "host/tell.h"
#include "host/work.h"
#include "wire/json.h"
#include "wire/param.h"

uint64_t task_id(const struct work *task)
{
	return task->id;
}

uint32_t task_attempt(const struct work *task)
{
	return task->attempt;
}

uint32_t task_worker(const struct work *task)
{
	return task->worker;
}

uint64_t task_deadline_us(const struct work *task)
{
	return task->deadline_us;
}

uint64_t task_deadline_wall_us(const struct work *task)
{
	return task->deadline_us > 0 ? clock_wall_us() + task->deadline_us - clock_now_us() : 0;
}

const struct offer *task_offer(const struct work *task)
{
	return task->offer;
}

bool task_is_cancelled(const struct work *task)
{
	return atomic_load(&task->cancelled);
}

bool task_is_followed(const struct work *task)
{
	return atomic_load(&task->followed);
}

void task_progress(struct work *task, unsigned permille, const char *note)
{
	tell_progress(task, permille, note);
}

struct view task_args(const struct work *task)
{
	return (struct view){task->args_text, task->args_len};
}

int task_read_json(struct work *task, struct result *result, json_t **ret_args)
{
	char why[JSON_WHY_SIZE];

	if (!task->args && task->args_len > 0) {
		int r = json_parse(task_args(task), &task->args, why);
		if (r < 0) {
			result_fail(result, r == -ENOMEM ? "failed" : "args", "arguments: %s",
				r == -ENOMEM ? strerror(ENOMEM) : why);
			return r == -ENOMEM ? r : -EINVAL;
		}
	}
	*ret_args = task->args;
	return 0;
}

int task_read_args(struct work *task, void *ret_values, struct result *result)
{
	const struct offer *offer = task->offer;
	char why[PARAM_WHY_SIZE];
	const char *param;
	json_t *args;

	int r = task_read_json(task, result, &args);
	if (r < 0)
		return r;
	if (args && !json_is_object(args)) {
		result_fail(result, "args", "arguments: an object");
		return -EINVAL;
	}
	r = param_read(args, offer->params, offer->n_params, ret_values, &param, why);
	if (r < 0)
		result_fail(result, "args", "%s: %s", param, why);
	return r;
}

bool task_sleep_until(struct work *task, uint64_t until_us)
{
	uint64_t at_us = until_us > CLOCK_AHEAD_US ? until_us - CLOCK_AHEAD_US : 0;
	struct timespec until = {(time_t)(at_us / US_PER_SEC), (long)(at_us % US_PER_SEC * 1000)};
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	int error = 0;

	(void)pthread_mutex_lock(&task->pool->lock);
	task->sleeper = &cond;
	while (error == 0 && !task_is_cancelled(task))
		error = pthread_cond_clockwait(&cond, &task->pool->lock, CLOCK_MONOTONIC, &until);
	task->sleeper = NULL;
	(void)pthread_mutex_unlock(&task->pool->lock);
	(void)pthread_cond_destroy(&cond);
	return task_is_cancelled(task);
}

void task_set_state(struct work *task, void *state)
{
	(void)pthread_mutex_lock(&task->pool->lock);
	task->state = state;
	task->answered |= !state; /* to a FOLLOW from now on the end is the answer */
	(void)pthread_mutex_unlock(&task->pool->lock);
}
