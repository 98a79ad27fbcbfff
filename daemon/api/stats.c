/*
 * stats: the live numbers, once or again and again; and the handlers.
 */
#include <string.h>

#include "api/method.h"
#include "api/tojson.h"
#include "base/clock.h"

struct stats_values {
	const char *pool;
	int64_t interval_ms;
};

static const struct stats_values stats_defaults = {.interval_ms = 1000};

static const struct param stats_params[] = {
	{.name = "pool",
		.type = PARAM_STRING,
		METHOD_FIELD(stats_values, pool),
		.min = 1,
		.max = SETTINGS_NAME_MAX,
		.text = "all if not given"},
	{.name = "interval_ms",
		.type = PARAM_INT,
		METHOD_FIELD(stats_values, interval_ms),
		.min = 10,
		.max = 86400000,
		.text = "with more: the time between two answers, 1000 if not given"},
};

static json_t *stats_pools(const struct daemon *daemon, const char *name)
{
	json_t *pools = json_array();
	const struct pool *pool;

	TAILQ_FOREACH (pool, &daemon->board->pools, link)
		if ((name == NULL || strcmp(name, pool->settings->name) == 0) &&
			!(pool->leaving && pool_unfinished(pool) == 0) && /* it has left */
			json_array_append_new(pools, tojson_pool(daemon, pool)) < 0) {
			json_decref(pools);
			return NULL;
		}
	return pools;
}

static json_t *stats_resources(const struct daemon *daemon)
{
	json_t *resources = json_array();

	for (size_t i = 0; i < daemon->settings->n_resources; i++)
		if (json_array_append_new(
			    resources, tojson_resource(daemon, &daemon->board->resources[i])) < 0) {
			json_decref(resources);
			return NULL;
		}
	return resources;
}

static json_t *stats_answer(struct call *call)
{
	const struct daemon *daemon = call->conn->daemon;
	const struct stats_values *values = call->values;
	json_t *object = json_object();
	int failed = object == NULL;

	tojson_put(object, "daemon", tojson_daemon(call), &failed);
	tojson_put(object, "pools", stats_pools(daemon, values->pool), &failed);
	tojson_put(object, "resources", stats_resources(daemon), &failed);
	return tojson_finish(object, failed);
}

static void stats_on_settled(struct watch *watch, struct task *task, int error)
{
	struct call *call = container_of(watch, struct call, watch);

	(void)task;
	(void)error;
	watch_remove(watch);
	/* A client that reads too slowly misses some: nothing piles up for it. */
	if (buf_len(&call->conn->out) < call->conn->daemon->settings->daemon.max_output_bytes)
		call_reply_more(call, stats_answer(call));
}

/* The time has come; what is told is what the turn's end makes true. */
static void stats_on_interval(struct deadline *deadline, uint64_t now_us)
{
	struct call *call = container_of(deadline, struct call, deadline);
	const struct stats_values *values = call->values;
	struct daemon *daemon = call->conn->daemon;

	watch_add(&daemon->board->settled, &call->watch);
	if (deadline_set(&daemon->board->deadlines, deadline,
		    now_us + (uint64_t)values->interval_ms * US_PER_MS) < 0)
		call_refuse_internal(call, "out of memory");
}

static void stats_run(struct call *call)
{
	const struct stats_values *values = call->values;
	struct daemon *daemon = call->conn->daemon;

	if (values->pool != NULL && board_find_pool(daemon->board, values->pool) == NULL) {
		call_refuse_no_such_pool(call, values->pool);
		return;
	}
	if (!call->msg.more) {
		call_reply(call, stats_answer(call));
		return;
	}
	call->watch.fire = stats_on_settled;
	call->deadline.fire = stats_on_interval;
	call_reply_more(call, stats_answer(call));
	if (!call->ended && deadline_set(&daemon->board->deadlines, &call->deadline,
				    daemon->now_us + (uint64_t)values->interval_ms * US_PER_MS) < 0)
		call_refuse_internal(call, "out of memory");
}

const struct method method_stats = {
	.interface = METHOD_INTERFACE,
	.name = "Stats",
	.role = ROLE_READ,
	.flags = METHOD_READS | METHOD_STREAMS,
	METHOD_PARAMS(stats_params, stats_values),
	.defaults = &stats_defaults,
	.reply = "daemon: Daemon, pools: []Pool, resources: []Resource",
	.text = "The live numbers of all pools or one, and of all resources. With more, again "
		"every "
		"interval.",
	.run = stats_run,
};

static void handlers_run(struct call *call)
{
	const struct daemon *daemon = call->conn->daemon;
	json_t *handlers = json_array();

	for (size_t i = 0; i < daemon->settings->n_handlers; i++)
		if (json_array_append_new(handlers, tojson_handler(daemon, i)) < 0) {
			json_decref(handlers);
			call_reply(call, NULL);
			return;
		}
	call_reply(call, json_pack("{s:o}", "handlers", handlers));
}

const struct method method_handlers = {
	.interface = METHOD_INTERFACE,
	.name = "Handlers",
	.role = ROLE_READ,
	.flags = METHOD_READS,
	.reply = "handlers: []Handler",
	.text = "What tasks can be posted for, with each handler's parameters and numbers.",
	.run = handlers_run,
};
