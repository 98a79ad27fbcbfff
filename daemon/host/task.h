/*
 * task: what a handler sees of the task that it runs. All but task_is_cancelled(), task_is_followed() and
 * task_sleep_until()'s waking are for the thread that runs it.
 */
#ifndef WORKPOOL_HOST_TASK_H
#define WORKPOOL_HOST_TASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "host/result.h"

struct offer;
struct work;

uint64_t task_id(const struct work *task);
uint32_t task_attempt(const struct work *task);
uint32_t task_worker(const struct work *task);
uint64_t task_deadline_us(const struct work *task); /* monotonic; 0: none */
/* The same on the calendar as it is now, in microseconds since 1970. */
uint64_t task_deadline_wall_us(const struct work *task);
const struct offer *task_offer(const struct work *task);
bool task_is_cancelled(const struct work *task);
struct view task_args(const struct work *task); /* as they came; "" when there were none */
/* Parsed; NULL when there were none. On failure the result is set: -EINVAL, -ENOMEM. */
int task_read_json(struct work *task, struct result *result, json_t **ret_args) MUST_CHECK;
/* Parsed and checked by the offer's table into *ret_values; on failure the result is set. */
int task_read_args(struct work *task, void *ret_values, struct result *result) MUST_CHECK;
/* Waits until then, or until the task is cancelled: true. */
bool task_sleep_until(struct work *task, uint64_t until_us) MUST_CHECK;
bool task_is_followed(
	const struct work *task); /* its output is to be told as it comes; any thread may ask */
/* How far it is, for whoever wants to know: at most some ten a second are told, the newest. note: at most 256 bytes are
 * told of it; NULL: none. Never waits. */
void task_progress(struct work *task, unsigned permille, const char *note);
/* What cancel() and follow() find in task->state; NULL before the state goes away, and then all output has been told. */
void task_set_state(struct work *task, void *state);

#endif
