/*
 * query: looking at tasks, and waiting for them: Show, List, Wait.
 */
#include <string.h>

#include "api/method.h"
#include "api/tojson.h"
#include "base/clock.h"
#include "base/log.h"

#define LIST_SCAN_MAX 20000 /* tasks that one List looks at: the next page goes on from there */
#define WAIT_IDS_MAX  1000

struct show_values {
	const char *id;
};

static const struct param show_params[] = {
	{.name = "id",
		.type = PARAM_STRING,
		.flags = PARAM_REQUIRED,
		METHOD_FIELD(show_values, id),
		.min = 1,
		.max = 64,
		.text = "as Post answered it"},
};

static void show_run(struct call *call)
{
	const struct show_values *values = call->values;
	const struct daemon *daemon = call->conn->daemon;
	const struct task *task = board_find_task(daemon->board, tojson_id_parse(values->id));

	if (task == NULL)
		call_refuse_no_such_task(call, values->id);
	else
		call_reply(call,
			json_pack("{s:o}", "task",
				tojson_task(task, daemon->now_us, tojson_may_see(call, task))));
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
		       strcmp(values->state, task_state_name((enum task_state)task->state)) == 0) &&
	       (values->handler == NULL ||
		       strcmp(values->handler, task->handler->settings->name) == 0) &&
	       (values->name == NULL || strcmp(values->name, task_name(task)) == 0) &&
	       (!values->mine || task->owner_uid == call->conn->peer.uid);
}

/* The first task behind the id `after`, which may be forgotten by now. */
static const struct task *list_start(const struct board *board, uint64_t after)
{
	const struct task *task = board_find_task(board, after);

	if (task != NULL)
		return TAILQ_NEXT(task, in_all);
	TAILQ_FOREACH (task, &board->tasks, in_all)
		if (task->id > after)
			break;
	return task;
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
	const struct task *task = list_start(
		daemon->board, values->after != NULL ? tojson_id_parse(values->after) : 0);
	json_t *tasks = json_array(), *reply = json_pack("{s:O}", "tasks", tasks);
	char id[TASK_ID_SIZE];
	uint64_t last = 0;
	int r = 0;

	for (unsigned n = 0; r == 0 && task != NULL && n < LIST_SCAN_MAX;
		n++, task = TAILQ_NEXT(task, in_all)) {
		if (json_array_size(tasks) >= (size_t)values->limit)
			break;
		last = task->id;
		if (list_wants(call, task))
			r = json_array_append_new(tasks, tojson_task(task, daemon->now_us, false));
	}
	if (r == 0 && task != NULL)
		r = json_object_set_new(reply, "next", json_string(tojson_id_text(last, id)));
	json_decref(tasks);
	if (r < 0) {
		json_decref(reply);
		reply = NULL;
	}
	call_reply(call, reply);
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

struct wait_item {
	struct watch watch;
	struct call *call; /* borrows: owns us */
};

struct wait_values {
	json_t *ids;
	int64_t timeout_ms;
	struct wait_item *items; /* owns */
	size_t n_items;
	size_t left;       /* tasks that have not ended */
	json_t *tasks;     /* owns: those that have, for a call without more */
	size_t told_bytes; /* args and results in `tasks` */
};

#define WAIT_FOREVER (-1)

static const struct wait_values wait_defaults = {.timeout_ms = WAIT_FOREVER};

static const struct param wait_params[] = {
	{.name = "ids",
		.type = PARAM_STRINGS,
		.flags = PARAM_REQUIRED,
		METHOD_FIELD(wait_values, ids),
		.max = WAIT_IDS_MAX,
		.text = "tasks: the caller's own, any for an admin"},
	{.name = "timeout_ms",
		.type = PARAM_INT,
		METHOD_FIELD(wait_values, timeout_ms),
		.min = 0,
		.max = 86400000,
		.text = "answer then at the latest; never if not given"},
};

static void wait_done(struct call *call)
{
	struct wait_values *values = call->values;

	for (size_t i = 0; i < values->n_items; i++)
		watch_remove(&values->items[i].watch);
	free(values->items);
	values->items = NULL;
	values->n_items = 0;
	json_decref(values->tasks);
	values->tasks = NULL;
}

static void wait_answer_all(struct call *call, bool timed_out)
{
	struct wait_values *values = call->values;

	if (timed_out)
		call_reply(
			call, json_pack("{s:O, s:b}", "tasks", values->tasks, "timed_out", true));
	else
		call_reply(call, json_pack("{s:O}", "tasks", values->tasks));
}

/* One of the tasks has ended. */
static void wait_take_end(struct call *call, const struct task *task)
{
	struct wait_values *values = call->values;
	const struct daemon *daemon = call->conn->daemon;
	bool has_room = (call->msg.more ? buf_len(&call->conn->out) : values->told_bytes) <
			daemon->settings->daemon.max_output_bytes;
	json_t *json = tojson_task(task, daemon->now_us, has_room && tojson_may_see(call, task));
	bool is_last = --values->left == 0;

	values->told_bytes += task_args(task).len + task_result(task).len;

	if (call->msg.more) {
		json_t *reply = json != NULL ? json_pack("{s:o}", "task", json) : NULL;

		if (is_last)
			call_reply(call, reply);
		else
			call_reply_more(call, reply);
	} else if (json_array_append_new(values->tasks, json) < 0) {
		call_refuse_internal(call, "out of memory");
	} else if (is_last) {
		wait_answer_all(call, false);
	}
}

static void wait_on_change(struct watch *watch, struct task *task, int error)
{
	struct wait_item *item = container_of(watch, struct wait_item, watch);

	if (error < 0 || !task_is_ended(task))
		return; /* taken back to what it was: goes on */
	watch_remove(watch);
	wait_take_end(item->call, task);
}

static void wait_on_timeout(struct deadline *deadline, uint64_t now_us)
{
	struct call *call = container_of(deadline, struct call, deadline);

	(void)now_us;
	wait_answer_all(call, true);
}

/* Every id is one of the caller's tasks, or the call was refused. */
static bool wait_check(struct call *call)
{
	const struct wait_values *values = call->values;
	json_t *id;
	size_t i;

	json_array_foreach (values->ids, i, id) {
		const struct task *task = board_find_task(
			call->conn->daemon->board, tojson_id_parse(json_string_value(id)));

		if (task == NULL) {
			call_refuse_no_such_task(call, json_string_value(id));
			return false;
		}
		if (!tojson_may_see(call, task)) {
			call_refuse_permission(call);
			return false;
		}
	}
	return true;
}

/* Those that have ended are told at once, the others watched. */
static void wait_begin(struct call *call)
{
	struct wait_values *values = call->values;
	json_t *id, *ids = values->ids;
	size_t i;

	json_array_foreach (ids, i, id) {
		struct task *task = board_find_task(
			call->conn->daemon->board, tojson_id_parse(json_string_value(id)));

		if (call->ended)
			return;
		if (task_is_ended(task) && !task->dirty) { /* dirty: told when it is written down */
			wait_take_end(call, task);
			continue;
		}
		values->items[values->n_items] =
			(struct wait_item){.watch = {.fire = wait_on_change}, .call = call};
		watch_add(&task->watches, &values->items[values->n_items++].watch);
	}
}

static void wait_run(struct call *call)
{
	struct wait_values *values = call->values;
	struct daemon *daemon = call->conn->daemon;
	size_t n = json_array_size(values->ids);

	if (n == 0) {
		call_refuse_parameter(call, "ids", "an array of 1 to 1000 strings");
		return;
	}
	if (!wait_check(call))
		return;
	values->items = calloc(n, sizeof *values->items);
	values->tasks = json_array();
	values->left = n;
	call->deadline.fire = wait_on_timeout;
	if (values->items == NULL || values->tasks == NULL ||
		(values->timeout_ms != WAIT_FOREVER &&
			deadline_set(&daemon->board->deadlines, &call->deadline,
				daemon->now_us + (uint64_t)values->timeout_ms * US_PER_MS) < 0)) {
		call_refuse_internal(call, "out of memory");
		return;
	}
	wait_begin(call);
}

const struct method method_wait = {
	.interface = METHOD_INTERFACE,
	.name = "Wait",
	.role = ROLE_READ,
	.flags = METHOD_READS | METHOD_STREAMS | METHOD_HOLDS,
	METHOD_PARAMS(wait_params, wait_values),
	.defaults = &wait_defaults,
	.reply = "task: ?Task, tasks: ?[]Task, timed_out: ?bool",
	.text = "Answers when all of these tasks have ended; with more, each one as it ends. Args "
		"and results that "
		"would make the answer longer than max_output are left out: Show has them.",
	.run = wait_run,
	.done = wait_done,
};
