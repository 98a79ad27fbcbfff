/*
 * wait: waiting for tasks to end.
 */
#include <errno.h>
#include <string.h>

#include "api/lookup.h"
#include "api/method.h"
#include "api/tojson.h"
#include "base/clock.h"

#define WAIT_IDS_MAX 1000

struct wait_item {
	struct watch watch;
	struct call *call; /* borrows: owns us */
};

struct wait_values {
	json_t *ids, *names;
	int64_t timeout_ms;
	struct wait_item *items; /* owns */
	size_t n_items;
	size_t left;       /* tasks that have not ended */
	struct buf told;   /* owns: the answer so far, of a call without more */
	size_t told_bytes; /* args and results in it */
};

#define WAIT_FOREVER (-1)

static const struct wait_values wait_defaults = {.timeout_ms = WAIT_FOREVER};

static const struct param wait_params[] = {
	{.name = "ids",
		.type = PARAM_STRINGS,
		METHOD_FIELD(wait_values, ids),
		.max = WAIT_IDS_MAX,
		.text = "tasks: the caller's own, any for an admin"},
	{.name = "names",
		.type = PARAM_STRINGS,
		METHOD_FIELD(wait_values, names),
		.max = WAIT_IDS_MAX,
		.text = "instead of ids or with them: the newest of these tasks of each name"},
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
	buf_done(&values->told);
}

static void wait_answer_all(struct call *call, bool timed_out)
{
	struct wait_values *values = call->values;
	struct jsonout json = {.out = &values->told};

	jsonout_close(&json, ']');
	if (timed_out)
		jsonout_bool(&json, "timed_out", true);
	jsonout_close(&json, '}');
	call_reply_json(call, &json);
}

/* One of those of whom each has an answer of its own. */
static void wait_answer_one(
	struct call *call, const struct task *task, bool with_payload, bool is_last)
{
	struct jsonout json = {.out = &(struct buf){.limit = CALL_TEXT_MAX}};

	jsonout_open(&json, NULL, '{');
	tojson_task(&json, "task", task, call->conn->daemon->now_us, with_payload);
	jsonout_close(&json, '}');
	if (is_last)
		call_reply_json(call, &json);
	else
		call_reply_json_more(call, &json);
	buf_done(json.out);
}

/* One of the tasks has ended. */
static void wait_take_end(struct call *call, const struct task *task)
{
	struct wait_values *values = call->values;
	const struct daemon *daemon = call->conn->daemon;
	bool has_room = (call->msg.more ? buf_len(&call->conn->out) : values->told_bytes) <
			daemon->settings->daemon.max_output_bytes;
	bool with_payload = has_room && tojson_may_see(call, task);
	bool is_last = --values->left == 0;
	struct jsonout json = {.out = &values->told};

	values->told_bytes += task_args(task).len + task_result(task).len;
	if (call->msg.more) {
		wait_answer_one(call, task, with_payload, is_last);
		return;
	}
	tojson_task(&json, NULL, task, daemon->now_us, with_payload);
	if (json.error < 0)
		call_refuse_internal(call, "out of memory");
	else if (is_last)
		wait_answer_all(call, false);
}

static void wait_on_change(struct watch *watch, struct task *task, int error)
{
	struct wait_item *item = container_of(watch, struct wait_item, watch);

	if (error < 0 && task->pool->board->broken < 0) {
		call_refuse_endless(item->call, task);
		return;
	}
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
static bool wait_find_ids(struct call *call, struct task **ret_tasks)
{
	const struct wait_values *values = call->values;
	json_t *id;
	size_t i;

	json_array_foreach (values->ids, i, id) {
		ret_tasks[i] = lookup_id(call, json_string_value(id));
		if (ret_tasks[i] == NULL) {
			call_refuse_no_such_task(call, json_string_value(id));
			return false;
		}
		if (!tojson_may_see(call, ret_tasks[i])) {
			call_refuse_permission(call);
			return false;
		}
	}
	return true;
}

static bool wait_find_names(struct call *call, struct task **ret_tasks)
{
	const struct wait_values *values = call->values;
	json_t *name;
	size_t i;

	if (values->names == NULL)
		return true;
	if (lookup_own_names(call, values->names, ret_tasks) < 0) {
		call_refuse_internal(call, "out of memory");
		return false;
	}
	json_array_foreach (values->names, i, name)
		if (ret_tasks[i] == NULL) {
			call_refuse_no_such_task(call, json_string_value(name));
			return false;
		}
	return true;
}

/* Those that have ended are told at once, the others watched. */
static void wait_begin(struct call *call, struct task *const *tasks, size_t n)
{
	struct wait_values *values = call->values;

	for (size_t i = 0; i < n && !call->ended; i++) {
		struct task *task = tasks[i];

		if (task_is_ended(task) && !task->dirty) { /* dirty: told when it is written down */
			wait_take_end(call, task);
			continue;
		}
		if (task->pool->board->broken < 0) {
			call_refuse_endless(call, task);
			return;
		}
		values->items[values->n_items] =
			(struct wait_item){.watch = {.fire = wait_on_change}, .call = call};
		watch_add(&task->watches, &values->items[values->n_items++].watch);
	}
}

/* n tasks, or the call was refused. */
static bool wait_prepare(struct call *call, struct task **tasks, size_t n)
{
	struct wait_values *values = call->values;
	struct daemon *daemon = call->conn->daemon;
	struct jsonout json = {.out = &values->told};

	values->items = calloc(n, sizeof *values->items);
	buf_init(&values->told, CALL_TEXT_MAX);
	jsonout_open(&json, NULL, '{');
	jsonout_open(&json, "tasks", '[');
	values->left = n;
	call->deadline.fire = wait_on_timeout;
	if (tasks == NULL || values->items == NULL || json.error < 0) {
		call_refuse_internal(call, "out of memory");
		return false;
	}
	if (!wait_find_ids(call, tasks) ||
		!wait_find_names(call, tasks + json_array_size(values->ids)))
		return false;
	if (values->timeout_ms != WAIT_FOREVER &&
		deadline_set(&daemon->board->deadlines, &call->deadline,
			daemon->now_us + (uint64_t)values->timeout_ms * US_PER_MS) < 0) {
		call_refuse_internal(call, "out of memory");
		return false;
	}
	return true;
}

static void wait_run(struct call *call)
{
	struct wait_values *values = call->values;
	size_t n = json_array_size(values->ids) + json_array_size(values->names);
	struct task **tasks;

	if (n == 0) {
		call_refuse_parameter(
			call, "ids", "an array of 1 to 1000 strings, or names is one");
		return;
	}
	tasks = calloc(n, sizeof *tasks);
	if (wait_prepare(call, tasks, n))
		wait_begin(call, tasks, n);
	free(tasks);
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
