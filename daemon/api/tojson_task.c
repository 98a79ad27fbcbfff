/*
 * tojson_task: tasks as the interface shows them; see tojson.h.
 */
#include "api/tojson.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "net/hostlink.h"
#include "wire/json.h"

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

/* Of what failed the result is {"error":…,"result":…}. */
static void put_failure(struct jsonout *json, const struct task *task, bool with_payload)
{
	auto_json json_t *said = from_text(task_result(task));
	const json_t *error = json_object_get(said, "error");
	const json_t *result = json_object_get(said, "result");

	if (said == NULL)
		json->error = -ENOMEM;
	if (own_sentence(task) != NULL)
		jsonout_string(json, "error", own_sentence(task));
	else if (error != NULL && with_payload)
		jsonout_tree(json, "error", error);
	if (result != NULL && with_payload)
		jsonout_tree(json, "result", result);
}

/* The end of a task or of its last attempt: why, and what came of it. */
static void put_end(struct jsonout *json, const struct task *task, bool with_payload)
{
	struct view result = task_result(task);

	if (task_reason(task)[0] != '\0')
		jsonout_string(json, "reason", task_reason(task));
	if (result.len == 0)
		return;
	if (task->state != TASK_DONE)
		put_failure(json, task, with_payload);
	else if (with_payload)
		jsonout_text(json, "result", result);
}

static void put_wall(struct jsonout *json, const char *key, const struct task *task, uint64_t at_us)
{
	jsonout_seconds(json, key, task->posted_wall_us + (at_us - task->posted_us));
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

static void put_times(struct jsonout *json, const struct task *task, uint64_t now_us)
{
	put_wall(json, "posted_at", task, task->posted_us);
	if (task->state == TASK_DELAYED)
		put_wall(json, "due_at", task, task->due_us);
	if (task->expires_us != 0)
		put_wall(json, "expires_at", task, task->expires_us);
	jsonout_int(json, "wait_us", (int64_t)wait_us(task, now_us));
	if (task->started_us != 0) {
		uint64_t end_us = task->ended_us != 0 ? task->ended_us : now_us;

		put_wall(json, "started_at", task, task->started_us);
		jsonout_int(json, "run_us",
			end_us > task->started_us ? (int64_t)(end_us - task->started_us) : 0);
	}
	if (task->ended_us != 0 && task_told_state(task) == task->state)
		put_wall(json, "ended_at", task, task->ended_us);
}

/* Why its worker was asked to end it; NULL: it was not. What counts first is what it will end as: core/finish.c. */
static const char *asked_word(const struct task *task)
{
	return task->cancelled ? "cancel"
	       : task->overdue ? "timeout"
	       : task->stopped ? "shutdown"
			       : NULL;
}

static void put_progress(struct jsonout *json, const struct slot_progress *progress)
{
	jsonout_open(json, "progress", '{');
	jsonout_int(json, "permille", progress->permille);
	if (progress->note[0] != '\0')
		jsonout_string(json, "note", progress->note);
	jsonout_close(json, '}');
}

/* What is there while a worker has it. */
static void put_active(struct jsonout *json, const struct task *task)
{
	const struct slot *slot = task->slot;
	const struct hostlink *link = slot->host;

	jsonout_int(json, "worker", slot->id);
	if (!task->unsent)
		jsonout_int(json, "host_pid", link->last_pid);
	if (asked_word(task) != NULL)
		jsonout_string(json, "asked", asked_word(task));
	if (slot->progress != NULL)
		put_progress(json, slot->progress);
}

static void put_payload(struct jsonout *json, const struct task *task)
{
	if (task->unique_len > 0)
		jsonout_string(json, "unique", task_unique(task));
	if (task_args(task).len > 0)
		(task->from_file ? jsonout_text : jsonout_raw)(json, "args", task_args(task));
}

/* What is there in every state. */
static void put_task(struct jsonout *json, const struct task *task, enum task_state state)
{
	char id[TASK_ID_SIZE];

	jsonout_string(json, "id", tojson_id_text(task->id, id));
	jsonout_string(json, "pool", task->pool->settings->name);
	jsonout_string(json, "handler", task->handler->settings->name);
	jsonout_string(json, "state", task_state_name(state));
	jsonout_int(json, "priority", task->priority);
	jsonout_int(json, "attempt", task->attempt);
	jsonout_int(json, "retries", task->retries);
	jsonout_int(json, "failures", task->failures);
	jsonout_int(json, "crashes", task->crashes);
	jsonout_bool(json, "suspect", task->suspect);
	jsonout_int(json, "owner", task->owner_uid);
	if (task->name_len > 0)
		jsonout_string(json, "name", task_name(task));
	if (task->timeout_us > 0)
		jsonout_int(json, "timeout_ms", (int64_t)(task->timeout_us / US_PER_MS));
}

void tojson_task(struct jsonout *json, const char *key, const struct task *task, uint64_t now_us,
	bool with_payload)
{
	enum task_state state = task_told_state(task);

	jsonout_open(json, key, '{');
	put_task(json, task, state);
	put_times(json, task, now_us);
	if (task->slot != NULL)
		put_active(json, task);
	else if (state == task->state)
		put_end(json, task, with_payload);
	if (with_payload)
		put_payload(json, task);
	jsonout_close(json, '}');
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
