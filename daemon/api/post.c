/*
 * post: a task comes in. The answer leaves when the commit has written it down; with `wait` when it has ended. A post whose
 * unique key is taken joins that task; one that finds the queue full may wait for room, and leaves again with its last client.
 */
#include <errno.h>
#include <string.h>

#include "api/api.h"
#include "api/hdef.h"
#include "api/method.h"
#include "api/tojson.h"
#include "base/clock.h"
#include "base/str.h"
#include "core/explain.h"

#define YEAR_MS     INT64_C(31536000000)
#define DELAY_MAX   INT64_C(2592000000) /* 30 days */
#define ROOM_MAX    INT64_C(86400000)   /* a day */
#define RETRIES_MAX 1000
#define UNIQUE_MAX  256
#define NOT_GIVEN   (-1)

struct post_values {
	const char *handler, *pool, *name, *unique;
	struct param_json args;
	int64_t priority, delay_ms, expires_ms, retries, timeout_ms, wait_room_ms;
	bool wait;
	bool joins;
	struct task *task; /* borrows: what the call waits for, as long as it does; else NULL */
};

static const struct post_values post_defaults = {.priority = NOT_GIVEN,
	.expires_ms = NOT_GIVEN,
	.retries = NOT_GIVEN,
	.timeout_ms = NOT_GIVEN,
	.wait_room_ms = NOT_GIVEN};

static const struct param post_params[] = {
	{.name = "handler",
		.type = PARAM_STRING,
		.flags = PARAM_REQUIRED,
		METHOD_FIELD(post_values, handler),
		.min = 1,
		.max = SETTINGS_NAME_MAX,
		.text = "what the task is for"},
	{.name = "args",
		.type = PARAM_JSON,
		METHOD_FIELD(post_values, args),
		.text = "what the handler is given"},
	{.name = "pool",
		.type = PARAM_STRING,
		METHOD_FIELD(post_values, pool),
		.min = 1,
		.max = SETTINGS_NAME_MAX,
		.text = "the handler's own if not given"},
	{.name = "name",
		.type = PARAM_STRING,
		METHOD_FIELD(post_values, name),
		.min = 1,
		.max = 128,
		.text = "for people"},
	{.name = "priority",
		.type = PARAM_INT,
		METHOD_FIELD(post_values, priority),
		.min = 0,
		.max = TASK_PRIORITIES - 1,
		.text = "0 is first; the handler's own if not given"},
	{.name = "delay_ms",
		.type = PARAM_INT,
		METHOD_FIELD(post_values, delay_ms),
		.min = 0,
		.max = DELAY_MAX,
		.text = "not to be started before; none if not given"},
	{.name = "expires_ms",
		.type = PARAM_INT,
		METHOD_FIELD(post_values, expires_ms),
		.min = 0,
		.max = YEAR_MS,
		.text = "it expires if no worker had it by then, 0: never; the handler's own, "
			"behind the "
			"delay, if not given"},
	{.name = "retries",
		.type = PARAM_INT,
		METHOD_FIELD(post_values, retries),
		.min = 0,
		.max = RETRIES_MAX,
		.text = "attempts that may fail and are tried again; the handler's own if not "
			"given"},
	{.name = "timeout_ms",
		.type = PARAM_INT,
		METHOD_FIELD(post_values, timeout_ms),
		.min = 0,
		.max = YEAR_MS,
		.text = "time limit of each attempt, 0: none; the handler's own if not given"},
	{.name = "unique",
		.type = PARAM_STRING,
		METHOD_FIELD(post_values, unique),
		.min = 1,
		.max = UNIQUE_MAX,
		.text = "a key that only one of the caller's tasks for this handler has until it "
			"ends"},
	{.name = "wait_room_ms",
		.type = PARAM_INT,
		METHOD_FIELD(post_values, wait_room_ms),
		.min = 0,
		.max = ROOM_MAX,
		.text = "how long it waits for room, 0: not at all; as the pool's on_full says if "
			"not given"},
	{.name = "wait",
		.type = PARAM_BOOL,
		METHOD_FIELD(post_values, wait),
		.text = "answer when the task has ended"},
};

static void post_answer_task(struct call *call, const struct task *task)
{
	const struct post_values *values = call->values;
	struct jsonout json = {.out = &(struct buf){.limit = CALL_TEXT_MAX}};
	char id[TASK_ID_SIZE];

	jsonout_open(&json, NULL, '{');
	jsonout_string(&json, "id", tojson_id_text(task->id, id));
	jsonout_string(&json, "state", task_state_name((enum task_state)task->state));
	if (values->joins)
		jsonout_bool(&json, "joined", true);
	tojson_task(&json, "task", task, call->conn->daemon->now_us, tojson_may_see(call, task));
	jsonout_close(&json, '}');
	call_reply_json(call, &json);
	buf_done(json.out);
}

static void post_answer_id(struct call *call, const struct task *task)
{
	const struct post_values *values = call->values;
	/* What is not written down is not told: a task that was joined may have gone on since. */
	enum task_state state = (enum task_state)(task->dirty ? task->saved : task->state);
	char text[96], *at = stpcpy(text, "{\"id\":\"");

	at += str_from_u64(task->id, at);
	at = stpcpy(at, "\",\"state\":\"");
	at = stpcpy(at, task_state_name(state));
	at = stpcpy(at, values->joins ? "\",\"joined\":true}" : "\"}");
	call_reply_text(call, (struct view){text, (size_t)(at - text)});
}

static void post_refuse(struct call *call, const struct pool *pool, int error)
{
	const struct daemon *daemon = call->conn->daemon;

	if (error == -EAGAIN)
		call_refuse_at_capacity(call, pool->settings->name, pool_waiting(pool),
			pool->capacity, explain_room_us(pool, daemon->now_us) / US_PER_MS);
	else if (error == -ESHUTDOWN && daemon->board->stop == STOP_RUNNING)
		call_refuse_no_such_pool(call, pool->settings->name); /* it leaves */
	else if (error == -ESHUTDOWN)
		call_refuse_stopping(call);
	else if (error == daemon->board->store_error || error == daemon->board->broken)
		call_refuse_store(call, error);
	else
		call_refuse_internal(call, strerror(-error));
}

static void post_on_change(struct watch *watch, struct task *task, int error)
{
	struct call *call = container_of(watch, struct call, watch);
	const struct post_values *values = call->values;
	bool was_undone = (task->news & (1u << EV_UNPOST | 1u << EV_UNRETRY)) != 0;

	if (error < 0 && task->refusal < 0) /* it waited for room in vain */
		post_refuse(call, task->pool, task->refusal);
	else if (error < 0 && !was_undone && task->pool->board->broken < 0)
		call_refuse_endless(call, task);
	else if (error < 0)
		call_refuse_store(call, error);
	else if (!values->wait)
		post_answer_id(call, task);
	else if (task_is_ended(task))
		post_answer_task(call, task);
}

/* The end of the turn in which the key was found taken: what has it is written down now, or is gone again. */
static void post_on_settled(struct watch *watch, struct task *none, int error)
{
	struct call *call = container_of(watch, struct call, watch);
	const struct post_values *values = call->values;
	const struct task *task = values->task;
	char id[TASK_ID_SIZE];
	bool was_undone = error < 0 && !task->dirty && !task->in_room &&
			  (task->state == TASK_NEW || task_is_ended(task));

	(void)none;
	if (was_undone)
		call_refuse_store(call, error);
	else if (values->joins)
		post_answer_id(call, task);
	else
		call_refuse_duplicate(call, task->in_room ? NULL : tojson_id_text(task->id, id));
}

/* A call ends that may have been the last one to wait for a post that waits for room. */
static void post_done(struct call *call)
{
	struct post_values *values = call->values;
	struct task *task = values->task;

	values->task = NULL;
	if (task != NULL && task->in_room && watch_list_is_empty(&task->watches))
		board_leave_room(call->conn->daemon->board, task);
}

/* false: the call was refused. */
static bool post_check_args(struct call *call, const struct hdef *hdef)
{
	const struct post_values *values = call->values;
	char why[JSON_WHY_SIZE > PARAM_WHY_SIZE ? JSON_WHY_SIZE : PARAM_WHY_SIZE];
	char name[sizeof "args." + JSON_KEY_LIMIT];
	auto_json json_t *tree = json_incref(values->args.tree);
	const char *param;

	if (!hdef->is_checked)
		return true;
	if (tree == NULL && values->args.text.len > 0 &&
		json_parse(values->args.text, &tree, why) < 0) {
		call_refuse_internal(call, "out of memory"); /* it was read before */
		return false;
	}
	if (hdef_check(hdef, tree, &param, why) == 0)
		return true;
	(void)snprintf(name, sizeof name, "args.%s", param);
	call_refuse_parameter(call, name, why);
	return false;
}

/* The handler's index, after all that can be wrong with it for this caller; -1: the call was refused. */
static ssize_t post_find_handler(struct call *call)
{
	const struct daemon *daemon = call->conn->daemon;
	const struct post_values *values = call->values;
	const struct handler *handler = board_find_handler(daemon->board, values->handler);
	const struct api *api = daemon->api;
	size_t i;

	if (handler == NULL) {
		call_refuse_no_such_handler(call, values->handler);
		return -1;
	}
	i = (size_t)(handler - daemon->board->handlers);
	if (!peer_is_allowed(&call->conn->peer, daemon->access, i)) {
		call_refuse_permission(call);
		return -1;
	}
	if (!api->hdefs[i].is_known || api->hdefs[i].refused != NULL) {
		call_refuse_not_ready(call, handler->settings->pool, api->hdefs[i].refused);
		return -1;
	}
	return post_check_args(call, &api->hdefs[i]) ? (ssize_t)i : -1;
}

/* The key is taken: the call joins the task that has it, or is told so. */
static void post_join(struct call *call, struct task *task)
{
	struct board *board = call->conn->daemon->board;
	struct post_values *values = call->values;
	bool is_told_by_task;

	values->joins = task->handler->settings->unique == UNIQUE_JOIN;
	if (values->joins && values->wait && board->broken < 0) {
		call_refuse_endless(call, task);
		return;
	}
	/* A task that is not written down yet tells when it is; another one may have no news for long. */
	is_told_by_task = values->joins && (values->wait || task->saved == TASK_NEW);
	call->watch.fire = is_told_by_task ? post_on_change : post_on_settled;
	watch_add(is_told_by_task ? &task->watches : &board->settled, &call->watch);
}

/* Takes the task in; what was acknowledged hangs on its watch from here on. */
static void post_take(struct call *call, struct post *post)
{
	struct daemon *daemon = call->conn->daemon;
	struct post_values *values = call->values;
	struct task *task;
	int r = board_post(daemon->board, post, daemon->now_us, &task);

	if (r < 0 && r != -EEXIST) {
		post_refuse(call, post->pool, r);
		return;
	}
	if (call->msg.oneway) {
		call_reply_text(call, VIEW_LIT("{}")); /* mute: it only ends the call */
		return;
	}
	call_drop_params(call); /* the task has its own copy: a call that waits holds no tree */
	values->task = task;
	if (r == -EEXIST) {
		post_join(call, task);
	} else {
		call->watch.fire = post_on_change;
		watch_add(&task->watches, &call->watch);
	}
	if (call->watch.fire == post_on_change && (values->wait || task->in_room))
		call_hold(call);
}

static uint64_t given_or(int64_t given, uint64_t otherwise)
{
	return given == NOT_GIVEN ? otherwise : (uint64_t)given;
}

static uint64_t given_ms_or(int64_t given_ms, uint64_t otherwise_us)
{
	return given_ms == NOT_GIVEN ? otherwise_us : (uint64_t)given_ms * US_PER_MS;
}

/* What the post says, and for the rest what its handler and pool say. */
static void post_fill(const struct call *call, struct post *post)
{
	const struct daemon *daemon = call->conn->daemon;
	const struct post_values *values = call->values;
	const struct settings_handler *handler = post->handler->settings;
	const struct settings_pool *pool = post->pool->settings;
	uint64_t delay_us = (uint64_t)values->delay_ms * US_PER_MS;
	uint64_t expires_us = handler->expires_us > 0 ? delay_us + handler->expires_us : 0;

	post->name = view_of(values->name);
	post->unique = view_of(values->unique);
	post->priority = (uint8_t)given_or(values->priority, handler->priority);
	post->retries = (uint32_t)given_or(values->retries, handler->retries);
	post->delay_us = delay_us;
	post->expiry_us = given_ms_or(values->expires_ms, expires_us);
	post->timeout_us = given_ms_or(values->timeout_ms, handler->timeout_us);
	post->room_us = given_ms_or(
		values->wait_room_ms, pool->on_full == ON_FULL_WAIT ? pool->wait_max_us : 0);
	if (call->msg.oneway)
		post->room_us = 0; /* nobody would hold it back, nor take it back */
	post->owner_uid = call->conn->peer.uid;
	post->wall_us = daemon->now_us + daemon->wall_offset_us;
}

static void post_run(struct call *call)
{
	struct daemon *daemon = call->conn->daemon;
	const struct post_values *values = call->values;
	ssize_t i = post_find_handler(call);
	struct post post = {0};
	struct buf args;
	int r;

	if (i < 0)
		return;
	post.handler = &daemon->board->handlers[i];
	post.pool = values->pool != NULL ? board_find_pool(daemon->board, values->pool)
					 : post.handler->pool;
	if (post.pool == NULL) {
		call_refuse_no_such_pool(call, values->pool);
		return;
	}
	if (settings_is_bound(post.handler->settings) && post.pool != post.handler->pool) {
		call_refuse_parameter(
			call, "pool", "the handler is a plugin, which runs in its own pool only");
		return;
	}
	if (values->expires_ms > 0 && values->expires_ms <= values->delay_ms) {
		call_refuse_parameter(call, "expires_ms", "0, or more than delay_ms");
		return;
	}
	post_fill(call, &post);
	buf_init(&args, post.handler->settings->max_args_bytes);
	post.args = values->args.text;
	r = post.args.len > args.limit ? -EMSGSIZE : 0;
	if (r == 0 && values->args.tree != NULL) {
		r = json_write(values->args.tree, &args);
		post.args = buf_view(&args);
	}
	if (r == -EMSGSIZE) {
		call_refuse_parameter(call, "args", "longer than the handler's max_args");
	} else if (r < 0) {
		call_refuse_internal(call, "out of memory");
	} else {
		post_take(call, &post);
	}
	buf_done(&args);
}

const struct method method_post = {
	.interface = METHOD_INTERFACE,
	.name = "Post",
	.role = ROLE_POST,
	.flags = METHOD_SCANS,
	METHOD_PARAMS(post_params, post_values),
	.defaults = &post_defaults,
	.reply = "id: string, state: TaskState, joined: ?bool, task: ?Task",
	.text = "Queues a task. The answer means that it is queued; with `wait` the answer comes "
		"when it has ended. joined: another task has the unique key, and this answer is "
		"its.",
	.run = post_run,
	.done = post_done,
};
