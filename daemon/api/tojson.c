/*
 * tojson: see tojson.h. Here: pools, handlers, resources and the daemon; tojson_task.c has tasks.
 */
#include "api/tojson.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "api/hdef.h"
#include "base/clock.h"
#include "net/hosts.h"

void tojson_put(json_t *object, const char *key, json_t *value, int *failed)
{
	if (json_object_set_new_nocheck(object, key, value) < 0)
		*failed = 1;
}

void tojson_put_int(json_t *object, const char *key, uint64_t value, int *failed)
{
	tojson_put(object, key, json_integer((json_int_t)value), failed);
}

json_t *tojson_finish(json_t *object, int failed)
{
	if (!failed)
		return object;
	json_decref(object);
	return NULL;
}

json_t *tojson_wall(const struct daemon *daemon, uint64_t at_us)
{
	return json_real((double)(at_us + daemon->wall_offset_us) / US_PER_SEC);
}

json_t *tojson_times(const struct hist *hist)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "count", (json_int_t)hist->count, "mean",
		(json_int_t)hist_mean(hist), "p50", (json_int_t)hist_quantile(hist, 0.5), "p90",
		(json_int_t)hist_quantile(hist, 0.9), "p99", (json_int_t)hist_quantile(hist, 0.99),
		"max", (json_int_t)hist->max_us);
}

/* NULL: nothing was measured yet. */
static void put_all_times(json_t *object, const struct times *times, int *failed)
{
	static const struct times none;

	if (times == NULL)
		times = &none;
	tojson_put(object, "wait_us", tojson_times(&times->wait), failed);
	tojson_put(object, "run_us", tojson_times(&times->run), failed);
	tojson_put(object, "total_us", tojson_times(&times->total), failed);
}

static void put_counts(json_t *object, const uint64_t count[TASK_STATES], int *failed)
{
	for (unsigned state = TASK_QUEUED; state < TASK_STATES; state++)
		tojson_put_int(
			object, task_state_name((enum task_state)state), count[state], failed);
}

static void put_stats(json_t *object, const struct stats *stats, uint64_t now_us, int *failed)
{
	for (size_t i = 0; i < stats_n_counters; i++) {
		const char *at = (const char *)&stats->counters + stats_counters[i].offset;

		tojson_put_int(object, stats_counters[i].name, *(const uint64_t *)(const void *)at,
			failed);
	}
	tojson_put_int(object, "max_queued", stats->max_queued, failed);
	tojson_put_int(object, "max_active", stats->max_active, failed);
	tojson_put(object, "rate_1s", json_real(rate_over(&stats->ended, now_us, 1)), failed);
	tojson_put(object, "rate_1min",
		json_real(rate_over(&stats->ended, now_us, STATS_RATE_SECONDS)), failed);
	put_all_times(object, &stats->times, failed);
}

/* "3/core", or the number that was asked for since. */
static const char *workers_rule(const struct pool *pool, char text[32])
{
	const struct workers_rule *rule = &pool->settings->workers;

	(void)snprintf(text, 32, "%u%s", pool->is_rule ? rule->number : pool->slots.workers,
		pool->is_rule && rule->per_core ? "/core" : "");
	return text;
}

/* Which of its handlers a host of the pool cannot run; NULL: none. */
static json_t *refusal_of(const struct daemon *daemon, const struct pool *pool)
{
	const struct api *api = daemon->api;

	for (size_t i = 0; i < daemon->settings->n_handlers; i++)
		if (api->hdefs[i].refused != NULL && daemon->board->handlers[i].pool == pool)
			return json_sprintf("handler \"%s\": %s",
				daemon->settings->handlers[i].name, api->hdefs[i].refused);
	return NULL;
}

static void put_hosts(
	json_t *object, const struct daemon *daemon, const struct pool *pool, int *failed)
{
	struct hosts_status status;
	json_t *refusal;

	hosts_get_status(pool, &status);
	tojson_put(object, "isolation", json_string(pool_is_isolated(pool) ? "task" : "shared"),
		failed);
	tojson_put(object, "host", json_string(status.state), failed);
	tojson_put_int(object, "hosts", status.n, failed);
	tojson_put_int(object, "hosts_up", status.n_up, failed);
	tojson_put_int(object, "host_restarts", status.restarts, failed);
	if (status.pid > 0)
		tojson_put_int(object, "host_pid", (uint64_t)status.pid, failed);
	if (*status.why != '\0') {
		tojson_put(object, "host_error", json_string(status.why), failed);
		tojson_put_int(object, "host_retry_ms",
			status.next_at_us > daemon->now_us
				? (status.next_at_us - daemon->now_us) / US_PER_MS
				: 0,
			failed);
	} else if ((refusal = refusal_of(daemon, pool)) != NULL) {
		tojson_put(object, "host_error", refusal, failed);
	}
}

json_t *tojson_pool(const struct daemon *daemon, const struct pool *pool)
{
	char rule[32];
	json_t *object = json_pack("{s:s, s:I, s:s, s:I, s:I, s:b, s:I}", "name",
		pool->settings->name, "workers", (json_int_t)pool->slots.workers, "workers_rule",
		workers_rule(pool, rule), "leaving", (json_int_t)pool->slots.n_leaving, "capacity",
		(json_int_t)pool->capacity, "paused", pool->paused, "room",
		(json_int_t)pool->n_room);
	int failed = 0;

	if (object == NULL)
		return NULL;
	put_hosts(object, daemon, pool, &failed);
	put_counts(object, pool->count, &failed);
	put_stats(object, &pool->stats, daemon->now_us, &failed);
	return tojson_finish(object, failed);
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
		tojson_put(object, "min", json_integer(param->min), &failed);
		tojson_put(object, "max", json_integer(param->max), &failed);
	}
	if (param->words != NULL && param->words[0] != '\0')
		tojson_put(object, "words", json_string(param->words), &failed);
	return tojson_finish(object, failed);
}

json_t *tojson_resource(const struct daemon *daemon, const struct resource *resource)
{
	static const char *const breakers[] = {[BREAKER_CLOSED] = "closed",
		[BREAKER_OPEN] = "open",
		[BREAKER_HALF_OPEN] = "half_open"};
	const struct resource_limits *limits = &resource->limits;
	json_t *object = json_pack("{s:s, s:I, s:I, s:I, s:I, s:s, s:I}", "name", resource->name,
		"max_active", (json_int_t)limits->max_active, "active",
		(json_int_t)resource->active, "rate", (json_int_t)limits->rate, "burst",
		(json_int_t)limits->burst, "breaker", breakers[resource->breaker], "failures",
		(json_int_t)resource->failures);
	int failed = 0;

	if (object == NULL)
		return NULL;
	if (resource->breaker == BREAKER_OPEN)
		tojson_put(object, "until", tojson_wall(daemon, resource->trial_at_us), &failed);
	return tojson_finish(object, failed);
}

static json_t *handler_params(const struct hdef *hdef)
{
	json_t *params = json_array();

	for (size_t i = 0; i < hdef->n_params; i++)
		if (json_array_append_new(params, tojson_param(&hdef->params[i])) < 0) {
			json_decref(params);
			return NULL;
		}
	return params;
}

static json_t *handler_resources(const struct board *board, const struct settings_handler *settings)
{
	json_t *names = json_array();

	for (size_t i = 0; i < settings->n_resources; i++)
		if (json_array_append_new(names,
			    json_string(board->resources[settings->resource_at[i]].name)) < 0) {
			json_decref(names);
			return NULL;
		}
	return names;
}

json_t *tojson_handler(const struct daemon *daemon, size_t handler)
{
	const struct hdef *hdef = &((const struct api *)daemon->api)->hdefs[handler];
	const struct handler *row = &daemon->board->handlers[handler];
	const struct settings_handler *settings = row->settings;
	json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}",
		"name", settings->name, "type", settings->type, "pool", settings->pool, "text",
		hdef->text != NULL ? hdef->text : "", "timeout_ms",
		(json_int_t)(settings->timeout_us / US_PER_MS), "priority",
		(json_int_t)settings->priority, "retries", (json_int_t)settings->retries,
		"expires_ms", (json_int_t)(settings->expires_us / US_PER_MS), "crash_max",
		(json_int_t)settings->crash_max, "max_active", (json_int_t)settings->max_active,
		"weight", (json_int_t)settings->weight, "unique",
		settings->unique == UNIQUE_JOIN ? "join" : "refuse");
	int failed = 0;

	if (object == NULL)
		return NULL;
	if (hdef->refused != NULL)
		tojson_put(object, "refused", json_string(hdef->refused), &failed);
	tojson_put(object, "resources", handler_resources(daemon->board, settings), &failed);
	put_counts(object, row->count, &failed);
	put_all_times(object, row->times, &failed);
	tojson_put(object, "params", handler_params(hdef), &failed);
	return tojson_finish(object, failed);
}

/* "files, signals" */
static json_t *sandbox_names(const char *text)
{
	json_t *names = json_array();

	while (*text != '\0') {
		size_t n = strcspn(text, ",");

		if (json_array_append_new(names, json_stringn(text, n)) < 0) {
			json_decref(names);
			return NULL;
		}
		text += n;
		text += strspn(text, ", ");
	}
	return names;
}

static json_t *tojson_sandbox(const struct sandbox_news *sandbox)
{
	json_t *object = json_object();
	int failed = object == NULL;

	tojson_put_int(object, "landlock", sandbox->landlock, &failed);
	tojson_put(object, "on", sandbox_names(sandbox->on), &failed);
	tojson_put(object, "off", sandbox_names(sandbox->off), &failed);
	return tojson_finish(object, failed);
}

json_t *tojson_daemon(const struct call *call)
{
	const struct daemon *daemon = call->conn->daemon;
	const struct api *api = daemon->api;
	json_t *object = json_pack("{s:s, s:i, s:s, s:f, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I}",
		"version", PACKAGE_VERSION, "pid", (int)getpid(), "state",
		daemon->board->stop == STOP_RUNNING ? "running" : "stopping", "started_at",
		(double)daemon->started_wall_us / US_PER_SEC, "uptime_ms",
		(json_int_t)((daemon->now_us - daemon->started_us) / US_PER_MS), "role",
		peer_role_name(call->conn->peer.role), "uid", (json_int_t)call->conn->peer.uid,
		"connections", (json_int_t)daemon->n_conns, "max_connections",
		(json_int_t)daemon->settings->daemon.max_connections, "refused_connections",
		(json_int_t)daemon->n_refused_conns, "active",
		(json_int_t)daemon->board->total.active, "max_active",
		(json_int_t)daemon->board->total.limits.max_active);
	int failed = 0;

	if (object == NULL)
		return NULL;
	tojson_put(object, "store", tojson_store(daemon), &failed);
	if (api->sandbox.is_known)
		tojson_put(object, "sandbox", tojson_sandbox(&api->sandbox), &failed);
	return tojson_finish(object, failed);
}
