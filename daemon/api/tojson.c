/*
 * tojson: see tojson.h.
 */
#include "api/tojson.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "api/hdef.h"
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

/* Puts value, which it takes, under key; counts what failed. */
static void put(json_t *object, const char *key, json_t *value, int *failed)
{
	if (json_object_set_new_nocheck(object, key, value) < 0)
		*failed = 1;
}

static void put_int(json_t *object, const char *key, uint64_t value, int *failed)
{
	put(object, key, json_integer((json_int_t)value), failed);
}

/* What was stored is JSON text that was checked when it came; text that is none after all is shown as a string. */
static json_t *from_text(struct view text)
{
	char why[JSON_WHY_SIZE];
	json_t *json;

	if (json_parse(text, &json, why) == 0)
		return json;
	return json_stringn(text.data, text.len);
}

static json_t *done_or_null(json_t *object, int failed)
{
	if (!failed)
		return object;
	json_decref(object);
	return NULL;
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

/* The end of a task: why, and what came of it. A failed one's result is {"error":…,"result":…}. */
static void put_end(json_t *object, const struct task *task, bool with_payload, int *failed)
{
	struct view text = task_result(task);
	json_t *result, *error = NULL, *inner;

	if (task_reason(task)[0] != '\0')
		put(object, "reason", json_string(task_reason(task)), failed);
	if (text.len == 0)
		return;
	result = from_text(text);
	if (result == NULL) {
		*failed = 1;
		return;
	}
	if (task->state == TASK_DONE) {
		if (with_payload)
			put(object, "result", json_incref(result), failed);
	} else {
		error = json_object_get(result, "error");
		inner = json_object_get(result, "result");
		if (own_sentence(task) != NULL)
			put(object, "error", json_string(own_sentence(task)), failed);
		else if (error != NULL && with_payload)
			put(object, "error", json_incref(error), failed);
		if (inner != NULL && with_payload)
			put(object, "result", json_incref(inner), failed);
	}
	json_decref(result);
}

static double wall_seconds(const struct task *task, uint64_t at_us)
{
	return (double)(task->posted_wall_us + (at_us - task->posted_us)) / US_PER_SEC;
}

static void put_times(json_t *object, const struct task *task, uint64_t now_us, int *failed)
{
	uint64_t until_us = task->started_us != 0 ? task->started_us
			    : task->ended_us != 0 ? task->ended_us
						  : now_us;

	put(object, "posted_at", json_real(wall_seconds(task, task->posted_us)), failed);
	put_int(object, "wait_us", until_us > task->posted_us ? until_us - task->posted_us : 0,
		failed);
	if (task->started_us != 0) {
		uint64_t end_us = task->ended_us != 0 ? task->ended_us : now_us;

		put(object, "started_at", json_real(wall_seconds(task, task->started_us)), failed);
		put_int(object, "run_us", end_us > task->started_us ? end_us - task->started_us : 0,
			failed);
	}
	if (task->ended_us != 0)
		put(object, "ended_at", json_real(wall_seconds(task, task->ended_us)), failed);
}

json_t *tojson_task(const struct task *task, uint64_t now_us, bool with_payload)
{
	char id[TASK_ID_SIZE];
	json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "id",
		tojson_id_text(task->id, id), "pool", task->pool->settings->name, "handler",
		task->handler->settings->name, "state",
		task_state_name((enum task_state)task->state), "attempt", (json_int_t)task->attempt,
		"owner", (json_int_t)task->owner_uid);
	int failed = 0;

	if (object == NULL)
		return NULL;
	if (task->name_len > 0)
		put(object, "name", json_string(task_name(task)), &failed);
	if (task->slot != NULL)
		put_int(object, "worker", task->slot->id, &failed);
	if (task->timeout_us > 0)
		put_int(object, "timeout_ms", task->timeout_us / US_PER_MS, &failed);
	put_times(object, task, now_us, &failed);
	if (task_is_ended(task))
		put_end(object, task, with_payload, &failed);
	if (with_payload && task_args(task).len > 0)
		put(object, "args", from_text(task_args(task)), &failed);
	return done_or_null(object, failed);
}

static json_t *tojson_times(const struct hist *hist)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "count", (json_int_t)hist->count, "mean",
		(json_int_t)hist_mean(hist), "p50", (json_int_t)hist_quantile(hist, 0.5), "p90",
		(json_int_t)hist_quantile(hist, 0.9), "p99", (json_int_t)hist_quantile(hist, 0.99),
		"max", (json_int_t)hist->max_us);
}

static void put_counts(json_t *object, const uint64_t count[TASK_STATES], int *failed)
{
	for (unsigned state = TASK_QUEUED; state < TASK_STATES; state++)
		put_int(object, task_state_name((enum task_state)state), count[state], failed);
}

static void put_stats(json_t *object, const struct stats *stats, uint64_t now_us, int *failed)
{
	for (size_t i = 0; i < stats_n_counters; i++) {
		const char *at = (const char *)&stats->counters + stats_counters[i].offset;

		put_int(object, stats_counters[i].name, *(const uint64_t *)(const void *)at,
			failed);
	}
	put_int(object, "max_queued", stats->max_queued, failed);
	put_int(object, "max_active", stats->max_active, failed);
	put(object, "rate_1s", json_real(rate_over(&stats->ended, now_us, 1)), failed);
	put(object, "rate_1min", json_real(rate_over(&stats->ended, now_us, STATS_RATE_SECONDS)),
		failed);
	put(object, "wait_us", tojson_times(&stats->wait), failed);
	put(object, "run_us", tojson_times(&stats->run), failed);
	put(object, "total_us", tojson_times(&stats->total), failed);
}

/* "3/core", or the number that was asked for since. */
static const char *workers_rule(const struct pool *pool, char text[32])
{
	const struct workers_rule *rule = &pool->settings->workers;

	(void)snprintf(text, 32, "%u%s", pool->is_rule ? rule->number : pool->slots.workers,
		pool->is_rule && rule->per_core ? "/core" : "");
	return text;
}

json_t *tojson_pool(const struct daemon *daemon, const struct pool *pool)
{
	const struct hostlink *link = hostlink_of(daemon, pool);
	char rule[32];
	json_t *object = json_pack("{s:s, s:I, s:s, s:I, s:I, s:b, s:s, s:I}", "name",
		pool->settings->name, "workers", (json_int_t)pool->slots.workers, "workers_rule",
		workers_rule(pool, rule), "leaving", (json_int_t)pool->slots.n_leaving, "capacity",
		(json_int_t)pool->capacity, "paused", pool->paused, "host",
		hostlink_state_name(link), "host_restarts", (json_int_t)link->restarts);
	int failed = 0;

	if (object == NULL)
		return NULL;
	if (link->pid > 0)
		put_int(object, "host_pid", (uint64_t)link->pid, &failed);
	put_counts(object, pool->count, &failed);
	put_stats(object, &pool->stats, daemon->now_us, &failed);
	return done_or_null(object, failed);
}

static json_t *tojson_param(const struct param *param)
{
	json_t *object = json_pack("{s:s, s:s, s:b, s:s}", "name", param->name, "type",
		param_type_name(param->type), "required", (param->flags & PARAM_REQUIRED) != 0,
		"text", param->text != NULL ? param->text : "");
	int failed = 0;

	if (object == NULL)
		return NULL;
	if (param->type == PARAM_INT) {
		put(object, "min", json_integer(param->min), &failed);
		put(object, "max", json_integer(param->max), &failed);
	}
	if (param->words != NULL && param->words[0] != '\0')
		put(object, "words", json_string(param->words), &failed);
	return done_or_null(object, failed);
}

json_t *tojson_handler(const struct daemon *daemon, size_t handler)
{
	const struct hdef *hdef = &((const struct api *)daemon->api)->hdefs[handler];
	const struct handler *row = &daemon->board->handlers[handler];
	json_t *params = json_array();
	json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:I}", "name", row->settings->name, "type",
		row->settings->type, "pool", row->settings->pool, "text",
		hdef->text != NULL ? hdef->text : "", "timeout_ms",
		(json_int_t)(row->settings->timeout_us / US_PER_MS));
	int failed = params == NULL || object == NULL;

	for (size_t i = 0; !failed && i < hdef->n_params; i++)
		failed = json_array_append_new(params, tojson_param(&hdef->params[i])) < 0;
	if (failed) {
		json_decref(params);
		json_decref(object);
		return NULL;
	}
	put(object, "params", params, &failed);
	put_counts(object, row->count, &failed);
	return done_or_null(object, failed);
}

json_t *tojson_daemon(const struct call *call)
{
	const struct daemon *daemon = call->conn->daemon;
	json_t *object = json_pack("{s:s, s:i, s:s, s:f, s:I, s:s, s:I, s:I, s:I, s:I, s:s}",
		"version", PACKAGE_VERSION, "pid", (int)getpid(), "state",
		daemon->board->stop == STOP_RUNNING ? "running" : "stopping", "started_at",
		(double)daemon->started_wall_us / US_PER_SEC, "uptime_ms",
		(json_int_t)((daemon->now_us - daemon->started_us) / US_PER_MS), "role",
		peer_role_name(call->conn->peer.role), "uid", (json_int_t)call->conn->peer.uid,
		"connections", (json_int_t)daemon->n_conns, "max_connections",
		(json_int_t)daemon->settings->daemon.max_connections, "refused_connections",
		(json_int_t)daemon->n_refused_conns, "store", daemon->store->ops->name);
	int failed = 0;

	if (object == NULL)
		return NULL;
	if (daemon->store_error != 0)
		put(object, "store_error", json_string(strerror(-daemon->store_error)), &failed);
	return done_or_null(object, failed);
}

#define COUNTER(name, unit, help) "  " #name ": int,\n"
const char tojson_types[] =
	"# Where a task is: from delayed or queued to active to one of the ends.\n"
	"type TaskState (queued, delayed, active, done, failed, cancelled, expired, lost)\n\n"
	"# A task. Times are seconds since the epoch; args, error and result are shown to its "
	"owner and to admins.\n"
	"type Task (\n  id: string,\n  name: ?string,\n  pool: string,\n  handler: string,\n  "
	"state: TaskState,\n"
	"  attempt: int,\n  worker: ?int,\n  owner: int,\n  posted_at: float,\n  started_at: "
	"?float,\n  ended_at: ?float,\n"
	"  wait_us: int,\n  run_us: ?int,\n  timeout_ms: ?int,\n  reason: ?string,\n  error: "
	"?string,\n  args: ?object,\n"
	"  result: ?object\n)\n\n"
	"# The daemon, and who asks: role and uid are the caller's.\n"
	"type Daemon (\n  version: string,\n  pid: int,\n  state: string,\n  started_at: float,\n  "
	"uptime_ms: int,\n"
	"  role: string,\n  uid: int,\n  connections: int,\n  max_connections: int,\n  "
	"refused_connections: int,\n"
	"  store: string,\n  store_error: ?string\n)\n\n"
	"# Microseconds, since the last ResetMarks.\n"
	"type Times (count: int, mean: int, p50: int, p90: int, p99: int, max: int)\n\n"
	"# A pool. posted = queued + delayed + active + done + failed + cancelled + expired + "
	"lost, in every reply.\n"
	"type Pool (\n  name: string,\n  workers: int,\n  workers_rule: string,\n  leaving: int,\n "
	" capacity: int,\n"
	"  paused: bool,\n  host: string,\n  host_pid: ?int,\n  host_restarts: int,\n  queued: "
	"int,\n  delayed: int,\n"
	"  active: int,\n  done: int,\n  failed: int,\n  cancelled: int,\n  expired: int,\n  lost: "
	"int,\n"
#include "core/counters.def"
	"  max_queued: int,\n  max_active: int,\n  rate_1s: float,\n  rate_1min: float,\n  "
	"wait_us: Times,\n  run_us: Times,\n"
	"  total_us: Times\n)\n\n"
	"# A parameter of a handler's args.\n"
	"type Param (name: string, type: string, required: bool, min: ?int, max: ?int, words: "
	"?string, text: string)\n\n"
	"# A handler: what tasks are posted for.\n"
	"type Handler (\n  name: string,\n  type: string,\n  pool: string,\n  text: string,\n  "
	"timeout_ms: int,\n"
	"  queued: int,\n  delayed: int,\n  active: int,\n  done: int,\n  failed: int,\n  "
	"cancelled: int,\n  expired: int,\n"
	"  lost: int,\n  params: []Param\n)\n";
#undef COUNTER
