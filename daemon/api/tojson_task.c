/*
 * tojson_task: tasks as the interface shows them; see tojson.h.
 */
#include <string.h>

#include "api/tojson.h"

#include "base/clock.h"
#include "base/str.h"
#include "net/hostlink.h"
#include "wire/json.h"
#include <errno.h>

const char *tojson_id_text(uint64_t id, char ret_text[TASK_ID_SIZE])
{
	(void)str_from_u64(id, ret_text);
	return ret_text;
}

uint64_t tojson_id_parse(const char *text)
{
	uint64_t id;

	return str_to_u64(text, &id) == 0 && text[0] != '0' ? id : 0;
}

bool tojson_may_see(const struct call *call, const struct task *task)
{
	return call->conn->peer.role == ROLE_ADMIN || call->conn->peer.uid == task->owner_uid;
}

/* What was stored is JSON text that was checked when it came; text that is none after all is shown as a string. NULL: no
 * memory. */
static json_t *from_text(struct view text)
{
	char why[JSON_WHY_SIZE];
	json_t *json;
	int r = json_parse(text, &json, why);

	if (r == 0)
		return json;
	return r == -ENOMEM ? NULL : json_stringn(text.data, text.len);
}

/* Reasons that the daemon knows better than the host, which was only asked to end the task. */
static const char *const own_sentences[][2] = {
	{"timeout", "its time limit passed"},
	{"shutdown", "the daemon stopped"},
};

static const char *own_sentence(const struct task *task)
{
	for (size_t i = 0; i < ARRAY_SIZE(own_sentences); i++)
		if (strcmp(task_reason(task), own_sentences[i][0]) == 0)
			return own_sentences[i][1];
	return NULL;
}

/* The end of a task or of its last attempt: why, and what came of it. A failed one's result is {"error":…,"result":…}. */
static void put_end(json_t *object, const struct task *task, bool with_payload, int *failed)
{
	struct view text = task_result(task);
	json_t *result, *error = NULL, *inner;

	if (task_reason(task)[0] != '\0')
		tojson_put(object, "reason", json_string(task_reason(task)), failed);
	if (text.len == 0)
		return;
	result = from_text(text);
	if (result == NULL) {
		*failed = 1;
		return;
	}
	if (task->state == TASK_DONE) {
		if (with_payload)
			tojson_put(object, "result", json_incref(result), failed);
	} else {
		error = json_object_get(result, "error");
		inner = json_object_get(result, "result");
		if (own_sentence(task) != NULL)
			tojson_put(object, "error", json_string(own_sentence(task)), failed);
		else if (error != NULL && with_payload)
			tojson_put(object, "error", json_incref(error), failed);
		if (inner != NULL && with_payload)
			tojson_put(object, "result", json_incref(inner), failed);
	}
	json_decref(result);
}

static double wall_seconds(const struct task *task, uint64_t at_us)
{
	return (double)(task->posted_wall_us + (at_us - task->posted_us)) / US_PER_SEC;
}

/* In the queue, up to its start or to now; a delay is no wait. */
static uint64_t wait_us(const struct task *task, uint64_t now_us)
{
	uint64_t until_us = task->started_us != 0 ? task->started_us
			    : task->ended_us != 0 ? task->ended_us
						  : now_us;

	if (task->state == TASK_DELAYED || until_us < task->queued_us)
		return 0;
	return until_us - task->queued_us;
}

static void put_times(json_t *object, const struct task *task, uint64_t now_us, int *failed)
{
	tojson_put(object, "posted_at", json_real(wall_seconds(task, task->posted_us)), failed);
	if (task->state == TASK_DELAYED)
		tojson_put(object, "due_at", json_real(wall_seconds(task, task->due_us)), failed);
	if (task->expires_us != 0)
		tojson_put(object, "expires_at", json_real(wall_seconds(task, task->expires_us)),
			failed);
	tojson_put_int(object, "wait_us", wait_us(task, now_us), failed);
	if (task->started_us != 0) {
		uint64_t end_us = task->ended_us != 0 ? task->ended_us : now_us;

		tojson_put(object, "started_at", json_real(wall_seconds(task, task->started_us)),
			failed);
		tojson_put_int(object, "run_us",
			end_us > task->started_us ? end_us - task->started_us : 0, failed);
	}
	if (task->ended_us != 0 && task_told_state(task) == task->state)
		tojson_put(
			object, "ended_at", json_real(wall_seconds(task, task->ended_us)), failed);
}

/* Why its worker was asked to end it; NULL: it was not. What counts first is what it will end as: core/finish.c. */
static const char *asked_word(const struct task *task)
{
	return task->cancelled ? "cancel"
	       : task->overdue ? "timeout"
	       : task->stopped ? "shutdown"
			       : NULL;
}

/* What is there while a worker has it. */
static void put_active(json_t *object, const struct task *task, int *failed)
{
	const struct slot *slot = task->slot;
	const struct slot_progress *progress = slot->progress;
	const struct hostlink *link = slot->host;

	tojson_put_int(object, "worker", slot->id, failed);
	if (!task->unsent)
		tojson_put_int(object, "host_pid", (uint64_t)link->last_pid, failed);
	if (asked_word(task) != NULL)
		tojson_put(object, "asked", json_string(asked_word(task)), failed);
	if (progress != NULL)
		tojson_put(object, "progress",
			json_pack("{s:I, s:s*}", "permille", (json_int_t)progress->permille, "note",
				progress->note[0] != '\0' ? progress->note : NULL),
			failed);
}

static void put_payload(json_t *object, const struct task *task, int *failed)
{
	if (task->unique_len > 0)
		tojson_put(object, "unique", json_string(task_unique(task)), failed);
	if (task_args(task).len > 0)
		tojson_put(object, "args", from_text(task_args(task)), failed);
}

json_t *tojson_task(const struct task *task, uint64_t now_us, bool with_payload)
{
	enum task_state state = task_told_state(task);
	char id[TASK_ID_SIZE];
	json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:b, s:I}", "id",
		tojson_id_text(task->id, id), "pool", task->pool->settings->name, "handler",
		task->handler->settings->name, "state", task_state_name(state), "priority",
		(int)task->priority, "attempt", (json_int_t)task->attempt, "retries",
		(json_int_t)task->retries, "failures", (json_int_t)task->failures, "crashes",
		(json_int_t)task->crashes, "suspect", (int)task->suspect, "owner",
		(json_int_t)task->owner_uid);
	int failed = 0;

	if (object == NULL)
		return NULL;
	if (task->name_len > 0)
		tojson_put(object, "name", json_string(task_name(task)), &failed);
	if (task->timeout_us > 0)
		tojson_put_int(object, "timeout_ms", task->timeout_us / US_PER_MS, &failed);
	put_times(object, task, now_us, &failed);
	if (task->slot != NULL)
		put_active(object, task, &failed);
	else if (state == task->state)
		put_end(object, task, with_payload, &failed);
	if (with_payload)
		put_payload(object, task, &failed);
	return tojson_finish(object, failed);
}

json_t *tojson_result(const struct task *task)
{
	struct view text = task_result(task);
	json_t *json = text.len > 0 ? from_text(text) : NULL, *inner;

	if (task->state == TASK_DONE)
		return json;
	inner = json_incref(json_object_get(json, "result"));
	json_decref(json);
	return inner;
}
