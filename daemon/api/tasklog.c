/*
 * tasklog: what a task writes, while it writes it. The host tells a task's output only when somebody follows it; it is kept
 * here from then until that attempt has ended, so that whoever comes later gets it from its beginning. Afterwards it is
 * part of the result, and Log takes it from there.
 */
#include "api/tasklog.h"

#include <string.h>

#include "api/api.h"
#include "api/method.h"
#include "api/tojson.h"
#include "net/linkmsg.h"

#define STREAMS        2
#define REPLACED_BYTES 3 /* of U+FFFD, for one that is no UTF-8 */

static const char *const stream_names[STREAMS] = {"stdout", "stderr"};
static const char *const total_names[STREAMS] = {"stdout_bytes", "stderr_bytes"};

/* A task of which somebody wants the output; as long as a call waits, or its host tells it. */
struct follow {
	struct task *task;  /* borrows: our watch tells of its end */
	struct watch watch; /* on task->watches */
	struct api *api;    /* borrows: owns us */
	uint32_t attempt;   /* that is told of; 0: none */
	bool is_heard;      /* the host has answered */
	struct buf text[STREAMS];
	uint64_t total[STREAMS]; /* bytes that the program wrote */
	TAILQ_HEAD(, log_values) calls;
	TAILQ_ENTRY(follow) link; /* in: api->follows */
};

struct log_values {
	const char *id;
	struct call *call;     /* borrows: owns us */
	struct follow *follow; /* borrows: NULL when it waits for nothing */
	uint32_t attempt;      /* that `told` belongs to */
	size_t told[STREAMS];
	TAILQ_ENTRY(log_values) link; /* in: follow->calls */
};

static const struct param log_params[] = {
	{.name = "id",
		.type = PARAM_STRING,
		.flags = PARAM_REQUIRED,
		METHOD_FIELD(log_values, id),
		.min = 1,
		.max = 64,
		.text = "one of the caller's tasks, any for an admin"},
};

static void follow_free(struct follow *follow)
{
	follow->task->followed = false;
	watch_remove(&follow->watch);
	TAILQ_REMOVE(&follow->api->follows, follow, link);
	for (size_t i = 0; i < STREAMS; i++)
		buf_done(&follow->text[i]);
	free(follow);
}

/* Its state, its attempt, and the output in `text`, from where the call has been told. NULL: no memory. */
static json_t *log_reply(const struct task *task, struct log_values *values,
	const struct view text[STREAMS], const uint64_t total[STREAMS])
{
	json_t *reply = json_pack("{s:s, s:I}", "state", task_state_name(task_told_state(task)),
		"attempt", (json_int_t)task->attempt);
	int r = reply != NULL ? 0 : -1;

	for (size_t i = 0; r == 0 && i < STREAMS; i++) {
		size_t told = values->told[i] < text[i].len ? values->told[i] : text[i].len;

		if (text[i].len == told && values->call->msg.more && !task_is_ended(task))
			continue;
		r = json_object_set_new(reply, stream_names[i],
			json_stringn(
				text[i].len > 0 ? text[i].data + told : "", text[i].len - told));
		if (r == 0)
			r = json_object_set_new(
				reply, total_names[i], json_integer((json_int_t)total[i]));
		values->told[i] = text[i].len;
	}
	if (r == 0)
		return reply;
	json_decref(reply);
	return NULL;
}

static json_t *log_reply_followed(const struct follow *follow, struct log_values *values)
{
	struct view text[STREAMS];

	if (values->attempt != follow->attempt)
		memset(values->told, 0, sizeof values->told);
	values->attempt = follow->attempt;
	for (size_t i = 0; i < STREAMS; i++)
		text[i] = buf_view(&follow->text[i]);
	return log_reply(follow->task, values, text, follow->total);
}

/* Of the last attempt's report: what was kept and how much there was, where it says so. */
static void read_report(
	const json_t *report, struct view ret_text[STREAMS], uint64_t ret_total[STREAMS])
{
	for (size_t i = 0; i < STREAMS; i++) {
		const json_t *text = json_object_get(report, stream_names[i]);
		const json_t *total = json_object_get(report, total_names[i]);

		if (json_is_string(text))
			ret_text[i] =
				(struct view){json_string_value(text), json_string_length(text)};
		if (json_is_integer(total))
			ret_total[i] = (uint64_t)json_integer_value(total);
	}
}

/* What is left of the last attempt's output. */
static json_t *log_reply_ended(const struct task *task, struct log_values *values)
{
	struct view text[STREAMS] = {{NULL, 0}, {NULL, 0}};
	uint64_t total[STREAMS] = {0, 0};
	json_t *report = tojson_result(task), *reply;

	read_report(report, text, total);
	if (values->attempt != task->attempt)
		memset(values->told, 0, sizeof values->told);
	values->attempt = task->attempt;
	reply = log_reply(task, values, text, total);
	json_decref(report);
	return reply;
}

/* The call waits for the task no more. */
static void log_leave(struct log_values *values)
{
	if (values->follow != NULL)
		TAILQ_REMOVE(&values->follow->calls, values, link);
	values->follow = NULL;
}

/* New output. A client that does not read gets it later, from what is kept. */
static void log_tell(const struct follow *follow, struct log_values *values)
{
	struct call *call = values->call;
	const struct daemon *daemon = call->conn->daemon;

	if (!call->msg.more) {
		json_t *reply = log_reply_followed(follow, values);

		log_leave(values);
		call_reply(call, reply);
	} else if (buf_len(&call->conn->out) < daemon->settings->daemon.max_output_bytes) {
		call_reply_more(call, log_reply_followed(follow, values));
	}
}

static void follow_tell(struct follow *follow)
{
	struct log_values *values, *next;

	TAILQ_FOREACH_SAFE (values, &follow->calls, link, next)
		log_tell(follow, values);
}

/* The task has ended: each call gets what it has not been told, and its last reply. */
static void follow_end(struct follow *follow)
{
	const struct task *task = follow->task;
	struct view text[STREAMS]; /* what was followed is the same, or more */
	json_t *report = tojson_result(task);
	struct log_values *values;

	read_report(report, text, follow->total);
	json_decref(report);
	while ((values = TAILQ_FIRST(&follow->calls)) != NULL) {
		json_t *reply = follow->attempt == task->attempt
					? log_reply_followed(follow, values)
					: log_reply_ended(task, values);

		log_leave(values);
		call_reply(values->call, reply);
	}
	follow_free(follow);
}

/* It writes no more, and nobody will ever be told how it ended. */
static void follow_break(struct follow *follow)
{
	struct log_values *values;

	while ((values = TAILQ_FIRST(&follow->calls)) != NULL) {
		log_leave(values);
		call_refuse_endless(values->call, follow->task);
	}
	follow_free(follow);
}

/* Asks the host that has the task now, or is to get it with this turn's end. */
static void follow_ask(struct follow *follow)
{
	struct task *task = follow->task;

	follow->attempt = task->attempt;
	follow->is_heard = false;
	for (size_t i = 0; i < STREAMS; i++) {
		buf_truncate(&follow->text[i], 0);
		follow->total[i] = 0;
	}
	task->followed = true;
	if (!task->unsent)
		linkmsg_send_follow(task);
}

static void follow_on_change(struct watch *watch, struct task *task, int error)
{
	struct follow *follow = container_of(watch, struct follow, watch);

	if (error < 0 && task->pool->board->broken < 0 && task->state != TASK_ACTIVE) {
		follow_break(follow);
		return;
	}
	if (error < 0)
		return; /* as it was */
	if (task_is_ended(task))
		follow_end(follow);
	else if (TAILQ_EMPTY(&follow->calls) && task->attempt == follow->attempt &&
		 task->state != TASK_ACTIVE)
		follow_free(follow); /* nobody waits for its next attempt */
	else if (task->state == TASK_ACTIVE && task->attempt != follow->attempt)
		follow_ask(follow);
}

static struct follow *follow_find(const struct api *api, const struct task *task)
{
	struct follow *follow;

	TAILQ_FOREACH (follow, &api->follows, link)
		if (follow->task == task)
			return follow;
	return NULL;
}

static struct follow *follow_get(struct api *api, struct task *task)
{
	struct follow *follow = follow_find(api, task);

	if (follow != NULL)
		return follow;
	follow = calloc(1, sizeof *follow);
	if (follow == NULL)
		return NULL;
	follow->api = api;
	follow->task = task;
	follow->watch.fire = follow_on_change;
	TAILQ_INIT(&follow->calls);
	for (size_t i = 0; i < STREAMS; i++)
		buf_init(&follow->text[i],
			REPLACED_BYTES * task->handler->settings->max_output_bytes);
	watch_add(&task->watches, &follow->watch);
	TAILQ_INSERT_TAIL(&api->follows, follow, link);
	if (task->state == TASK_ACTIVE)
		follow_ask(follow);
	return follow;
}

void tasklog_on_log(
	struct daemon *daemon, struct task *task, uint8_t stream, uint64_t total, struct view text)
{
	struct follow *follow = follow_find(daemon->api, task);

	if (follow == NULL || follow->attempt != task->attempt)
		return;
	/* A host that tells more than it may is cut off; without memory what is missing is in the result. */
	IGNORE(buf_append(&follow->text[stream - 1], text.data, text.len));
	follow->total[stream - 1] = total;
	follow->is_heard = true;
	follow_tell(follow);
}

void tasklog_close(struct api *api)
{
	struct follow *follow;

	while ((follow = TAILQ_FIRST(&api->follows)) != NULL)
		follow_free(follow);
}

/* Waits for the task's output, or tells at once what there is. */
static void log_begin(struct call *call, struct task *task)
{
	struct log_values *values = call->values;
	struct follow *follow = follow_get(call->conn->daemon->api, task);

	if (follow == NULL) {
		call_refuse_internal(call, "out of memory");
		return;
	}
	values->follow = follow;
	TAILQ_INSERT_TAIL(&follow->calls, values, link);
	if (follow->is_heard)
		log_tell(follow, values);
}

static void log_run(struct call *call)
{
	struct log_values *values = call->values;
	struct daemon *daemon = call->conn->daemon;
	struct task *task = board_find_task(daemon->board, tojson_id_parse(values->id));

	values->call = call;
	if (task == NULL)
		call_refuse_no_such_task(call, values->id);
	else if (!tojson_may_see(call, task))
		call_refuse_permission(call);
	else if ((task_is_ended(task) && !task->dirty) ||
		 (!call->msg.more && task->state < TASK_ACTIVE))
		call_reply(call, log_reply_ended(task, values));
	else if (task->state != TASK_ACTIVE && daemon->board->broken < 0)
		call_refuse_endless(call, task);
	else /* also for an end that is still to be written down */
		log_begin(call, task);
}

static void log_done(struct call *call)
{
	log_leave(call->values);
}

const struct method method_log = {
	.interface = METHOD_INTERFACE,
	.name = "Log",
	.role = ROLE_POST,
	.flags = METHOD_READS | METHOD_STREAMS | METHOD_HOLDS,
	METHOD_PARAMS(log_params, log_values),
	.reply = "state: TaskState, attempt: int, stdout: ?string, stdout_bytes: ?int, stderr: "
		 "?string, stderr_bytes: ?int",
	.text = "What a task's program has written so far, at most the handler's max_output of "
		"each "
		"stream; the _bytes say how much it wrote. With more: what comes, as it comes, "
		"until "
		"the task has ended; a new attempt begins again.",
	.run = log_run,
	.done = log_done,
};
