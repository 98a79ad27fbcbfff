/*
 * post: a task comes in. The answer leaves when the commit has written it down; with `wait` when it has ended.
 */
#include <errno.h>
#include <string.h>

#include "api/api.h"
#include "api/hdef.h"
#include "api/method.h"
#include "api/tojson.h"
#include "base/clock.h"
#include "base/str.h"

#define TIMEOUT_MAX_MS INT64_C(31536000000) /* a year */
#define NO_TIMEOUT     (-1)                 /* not given */

struct post_values {
	const char *handler, *pool, *name;
	json_t *args;
	int64_t timeout_ms;
	bool wait;
};

static const struct post_values post_defaults = {.timeout_ms = NO_TIMEOUT};

static const struct param post_params[] = {
	{.name = "handler",
		.type = PARAM_STRING,
		.flags = PARAM_REQUIRED,
		METHOD_FIELD(post_values, handler),
		.min = 1,
		.max = SETTINGS_NAME_MAX,
		.text = "what the task is for"},
	{.name = "args",
		.type = PARAM_OBJECT,
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
	{.name = "timeout_ms",
		.type = PARAM_INT,
		METHOD_FIELD(post_values, timeout_ms),
		.min = 0,
		.max = TIMEOUT_MAX_MS,
		.text = "time limit from its start, 0: none; the handler's own if not given"},
	{.name = "wait",
		.type = PARAM_BOOL,
		METHOD_FIELD(post_values, wait),
		.text = "answer when the task has ended"},
};

static void post_answer_task(struct call *call, const struct task *task)
{
	json_t *json = tojson_task(task, call->conn->daemon->now_us, tojson_may_see(call, task));
	char id[TASK_ID_SIZE];

	call_reply(call,
		json != NULL
			? json_pack("{s:s, s:s, s:o}", "id", tojson_id_text(task->id, id), "state",
				  task_state_name((enum task_state)task->state), "task", json)
			: NULL);
}

static void post_answer_id(struct call *call, const struct task *task)
{
	char text[64], *at = stpcpy(text, "{\"id\":\"");

	at += str_from_u64(task->id, at);
	at = stpcpy(at, "\",\"state\":\"");
	at = stpcpy(at, task_state_name((enum task_state)task->state));
	at = stpcpy(at, "\"}");
	call_reply_text(call, (struct view){text, (size_t)(at - text)});
}

static void post_on_change(struct watch *watch, struct task *task, int error)
{
	struct call *call = container_of(watch, struct call, watch);
	const struct post_values *values = call->values;

	if (error < 0)
		call_refuse_store(call, error);
	else if (!values->wait)
		post_answer_id(call, task);
	else if (task_is_ended(task))
		post_answer_task(call, task);
}

/* The handler's index, after all that can be wrong with it for this caller; -1: the call was refused. */
static ssize_t post_find_handler(struct call *call)
{
	const struct daemon *daemon = call->conn->daemon;
	const struct post_values *values = call->values;
	const struct handler *handler = board_find_handler(daemon->board, values->handler);
	const struct api *api = daemon->api;
	char why[PARAM_WHY_SIZE], name[sizeof "args." + JSON_KEY_LIMIT];
	const char *param;
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
	if (!api->hdefs[i].is_known) {
		call_refuse_not_ready(call, handler->settings->pool);
		return -1;
	}
	if (hdef_check(&api->hdefs[i], values->args, &param, why) < 0) {
		(void)snprintf(name, sizeof name, "args.%s", param);
		call_refuse_parameter(call, name, why);
		return -1;
	}
	return (ssize_t)i;
}

static void post_refuse(struct call *call, const struct pool *pool, int error)
{
	if (error == -EAGAIN)
		call_refuse_at_capacity(
			call, pool->settings->name, pool_waiting(pool), pool->capacity);
	else if (error == -ESHUTDOWN)
		call_refuse_stopping(call);
	else
		call_refuse_internal(call, strerror(-error));
}

/* Takes the task in; what was acknowledged hangs on its watch from here on. */
static void post_take(struct call *call, struct post *post)
{
	struct daemon *daemon = call->conn->daemon;
	const struct post_values *values = call->values;
	struct task *task;
	int r = board_post(daemon->board, post, daemon->now_us, &task);

	if (r < 0) {
		post_refuse(call, post->pool, r);
		return;
	}
	if (call->msg.oneway) {
		call_reply_text(call, VIEW_LIT("{}")); /* mute: it only ends the call */
		return;
	}
	call_drop_params(call); /* the task has its own copy: a call that waits holds no tree */
	call->watch.fire = post_on_change;
	watch_add(&task->watches, &call->watch);
	if (values->wait)
		call_hold(call);
}

static void post_run(struct call *call)
{
	struct daemon *daemon = call->conn->daemon;
	const struct post_values *values = call->values;
	ssize_t i = post_find_handler(call);
	struct post post = {.name = view_of(values->name),
		.owner_uid = call->conn->peer.uid,
		.wall_us = daemon->now_us + daemon->wall_offset_us};
	struct buf args;

	if (i < 0)
		return;
	post.handler = &daemon->board->handlers[i];
	post.timeout_us = values->timeout_ms == NO_TIMEOUT
				  ? post.handler->settings->timeout_us
				  : (uint64_t)values->timeout_ms * US_PER_MS;
	post.pool = values->pool != NULL ? board_find_pool(daemon->board, values->pool)
					 : post.handler->pool;
	if (post.pool == NULL) {
		call_refuse_no_such_pool(call, values->pool);
		return;
	}
	buf_init(&args, post.handler->settings->max_args_bytes);
	if (values->args != NULL && json_write(values->args, &args) < 0) {
		call_refuse_parameter(call, "args", "longer than the handler's max_args");
	} else {
		post.args = buf_view(&args);
		post_take(call, &post);
	}
	buf_done(&args);
}

const struct method method_post = {
	.interface = METHOD_INTERFACE,
	.name = "Post",
	.role = ROLE_POST,
	METHOD_PARAMS(post_params, post_values),
	.defaults = &post_defaults,
	.reply = "id: string, state: TaskState, task: ?Task",
	.text = "Queues a task. The answer means that it is queued; with `wait` the answer comes "
		"when it has ended.",
	.run = post_run,
};
