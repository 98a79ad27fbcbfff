/*
 * query: looking at tasks: Show, Explain, List.
 */
#include <string.h>

#include "api/lookup.h"
#include "api/method.h"
#include "api/tojson.h"
#include "base/clock.h"
#include "core/explain.h"

#define LIST_SCAN_MAX 20000 /* tasks that one List looks at: the next page goes on from there */

struct show_values {
	const char *id, *name;
};

static const struct param show_params[] = {
	{.name = "id",
		.type = PARAM_STRING,
		METHOD_FIELD(show_values, id),
		.min = 1,
		.max = 64,
		.text = "as Post answered it"},
	{.name = "name",
		.type = PARAM_STRING,
		METHOD_FIELD(show_values, name),
		.min = 1,
		.max = 128,
		.text = "instead of id: the newest task of this name"},
};

static void show_run(struct call *call)
{
	const struct show_values *values = call->values;
	const struct task *task;
	struct jsonout json = {.out = &(struct buf){.limit = CALL_TEXT_MAX}};

	if ((values->id != NULL) == (values->name != NULL)) {
		call_refuse_parameter(call, values->id == NULL ? "id" : "name",
			values->id == NULL ? "required, or name is" : "not together with id");
		return;
	}
	task = values->id != NULL ? lookup_id(call, values->id) : lookup_name(call, values->name);
	if (task == NULL) {
		call_refuse_no_such_task(call, values->id != NULL ? values->id : values->name);
		return;
	}
	jsonout_open(&json, NULL, '{');
	tojson_task(&json, "task", task, call->conn->daemon->now_us, tojson_may_see(call, task));
	jsonout_close(&json, '}');
	call_reply_json(call, &json);
	buf_done(json.out);
}

const struct method method_show = {
	.interface = METHOD_INTERFACE,
	.name = "Show",
	.role = ROLE_READ,
	.flags = METHOD_READS,
	METHOD_PARAMS(show_params, show_values),
	.reply = "task: Task",
	.text = "One task, with what it was given and gave if it is the caller's own or the caller "
		"is an admin.",
	.run = show_run,
};

struct explain_values {
	const char *id;
};

static const struct param explain_params[] = {
	{.name = "id",
		.type = PARAM_STRING,
		.flags = PARAM_REQUIRED,
		METHOD_FIELD(explain_values, id),
		.min = 1,
		.max = 64,
		.text = "as Post answered it"},
};

static json_t *explain_answer(const struct daemon *daemon, const struct task *task)
{
	struct explanation why;
	char id[TASK_ID_SIZE];
	json_t *object;
	int failed = 0;

	explain_task(task, daemon->now_us, &why);
	object = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s*}", "id", tojson_id_text(task->id, id),
		"state", task_state_name(task_told_state(task)), "pool", task->pool->settings->name,
		"handler", task->handler->settings->name, "waits_for", explain_word(why.waits_for),
		"resource", why.resource != NULL ? why.resource->name : NULL);
	if (object == NULL)
		return NULL;
	if (why.position > 0)
		tojson_put_int(object, "position", why.position, &failed);
	if (why.position_is_least)
		tojson_put(object, "position_is_least", json_true(), &failed);
	if (why.until_us > 0)
		tojson_put(object, "until", tojson_wall(daemon, why.until_us), &failed);
	if (why.estimate_us != EXPLAIN_UNKNOWN)
		tojson_put_int(object, "estimate_ms", why.estimate_us / US_PER_MS, &failed);
	return tojson_finish(object, failed);
}

static void explain_run(struct call *call)
{
	const struct explain_values *values = call->values;
	const struct task *task = lookup_id(call, values->id);

	if (task == NULL)
		call_refuse_no_such_task(call, values->id);
	else
		call_reply(call, explain_answer(call->conn->daemon, task));
}

const struct method method_explain = {
	.interface = METHOD_INTERFACE,
	.name = "Explain",
	.role = ROLE_READ,
	.flags = METHOD_READS,
	METHOD_PARAMS(explain_params, explain_values),
	.reply =
		"id: string, state: TaskState, pool: string, handler: string, waits_for: (nothing, "
		"delay, paused, host, alone, daemon, handler, resource, rate, breaker, workers, "
		"store), "
		"resource: ?string, position: ?int, position_is_least: ?bool, until: ?float, "
		"estimate_ms: ?int",
	.text = "The one thing that a task waits for before it starts. position: 1 is next in its "
		"pool; until: when what it waits for ends by itself; estimate_ms: until its start, "
		"as times so far tell.",
	.run = explain_run,
};

struct list_values {
	const char *pool, *state, *handler, *name, *after;
	int64_t limit;
	bool mine;
};

static const struct list_values list_defaults = {.limit = 100};

static const struct param list_params[] = {
	{.name = "pool",
		.type = PARAM_STRING,
		METHOD_FIELD(list_values, pool),
		.min = 1,
		.max = SETTINGS_NAME_MAX,
		.text = "only its tasks"},
	{.name = "state",
		.type = PARAM_ENUM,
		METHOD_FIELD(list_values, state),
		.words = "queued delayed active done failed cancelled expired lost",
		.text = "only tasks in it"},
	{.name = "handler",
		.type = PARAM_STRING,
		METHOD_FIELD(list_values, handler),
		.min = 1,
		.max = SETTINGS_NAME_MAX,
		.text = "only its tasks"},
	{.name = "name",
		.type = PARAM_STRING,
		METHOD_FIELD(list_values, name),
		.min = 1,
		.max = 128,
		.text = "only tasks of this name"},
	{.name = "mine",
		.type = PARAM_BOOL,
		METHOD_FIELD(list_values, mine),
		.text = "only the caller's own"},
	{.name = "limit",
		.type = PARAM_INT,
		METHOD_FIELD(list_values, limit),
		.min = 1,
		.max = 1000,
		.text = "tasks in the answer, 100 if not given"},
	{.name = "after",
		.type = PARAM_STRING,
		METHOD_FIELD(list_values, after),
		.min = 1,
		.max = 64,
		.text = "the last answer's next"},
};

static bool list_wants(const struct call *call, const struct task *task)
{
	const struct list_values *values = call->values;

	return (values->pool == NULL || strcmp(values->pool, task->pool->settings->name) == 0) &&
	       (values->state == NULL ||
		       strcmp(values->state, task_state_name(task_told_state(task))) == 0) &&
	       (values->handler == NULL ||
		       strcmp(values->handler, task->handler->settings->name) == 0) &&
	       (values->name == NULL || strcmp(values->name, task_name(task)) == 0) &&
	       (!values->mine || task->owner_uid == call->conn->peer.uid);
}

/* A filter for what is not there is a slip, and is told. */
static bool list_check(struct call *call)
{
	const struct list_values *values = call->values;
	const struct board *board = call->conn->daemon->board;

	if (values->pool != NULL && board_find_pool(board, values->pool) == NULL)
		call_refuse_no_such_pool(call, values->pool);
	else if (values->handler != NULL && board_find_handler(board, values->handler) == NULL)
		call_refuse_no_such_handler(call, values->handler);
	else
		return true;
	return false;
}

static void list_answer(struct call *call)
{
	const struct list_values *values = call->values;
	const struct daemon *daemon = call->conn->daemon;
	const struct task *task = board_above(
		daemon->board, values->after != NULL ? tojson_id_parse(values->after) : 0);
	struct jsonout json = {.out = &(struct buf){.limit = CALL_TEXT_MAX}};
	int64_t n_told = 0;
	char id[TASK_ID_SIZE];
	uint64_t last = 0;

	jsonout_open(&json, NULL, '{');
	jsonout_open(&json, "tasks", '[');
	for (unsigned n = 0; task != NULL && n < LIST_SCAN_MAX && n_told < values->limit;
		n++, task = board_above(daemon->board, task->id)) {
		last = task->id;
		if (!list_wants(call, task))
			continue;
		tojson_task(&json, NULL, task, daemon->now_us, false);
		n_told++;
	}
	jsonout_close(&json, ']');
	if (task != NULL)
		jsonout_string(&json, "next", tojson_id_text(last, id));
	jsonout_close(&json, '}');
	call_reply_json(call, &json);
	buf_done(json.out);
}

static void list_run(struct call *call)
{
	if (list_check(call))
		list_answer(call);
}

const struct method method_list = {
	.interface = METHOD_INTERFACE,
	.name = "List",
	.role = ROLE_READ,
	.flags = METHOD_READS,
	METHOD_PARAMS(list_params, list_values),
	.defaults = &list_defaults,
	.reply = "tasks: []Task, next: ?string",
	.text = "Tasks that pass all filters, oldest first, without args and result. `next` is "
		"there when there may be more: "
		"pass it as `after`.",
	.run = list_run,
};
