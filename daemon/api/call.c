/*
 * call: see call.h.
 *
 * conn->calls holds the calls without their last reply in order, and behind the first one those that have it already. What
 * the first one says goes to conn->out at once; the others' words are `kept`. Ended calls are freed by the turn's sweep.
 */
#include "api/call.h"

#include <errno.h>
#include <string.h>

#include "api/api.h"
#include "api/method.h"
#include "api/tojson.h"
#include "base/clock.h"
#include "base/log.h"

static struct api *call_api(const struct call *call)
{
	return call->conn->daemon->api;
}

static void call_free(struct call *call)
{
	if (call == NULL)
		return;
	msg_done(&call->msg);
	buf_done(&call->kept);
	free(call);
}

/* No watch, no deadline and no method's own things from here on; the memory goes with the sweep. */
static void call_retire(struct call *call)
{
	TAILQ_REMOVE(&call->conn->calls, call, link);
	TAILQ_INSERT_TAIL(&call_api(call)->dead, call, link);
}

static void call_stop(struct call *call)
{
	watch_remove(&call->watch);
	deadline_clear(&call->conn->daemon->board->deadlines, &call->deadline);
	if (call->method != NULL && call->method->done != NULL)
		call->method->done(call);
	call->ended = true;
}

void call_sweep(struct daemon *daemon)
{
	struct api *api = daemon->api;
	struct call *call;

	while ((call = TAILQ_FIRST(&api->dead)) != NULL) {
		TAILQ_REMOVE(&api->dead, call, link);
		call_free(call);
	}
}

void call_on_conn_gone(struct conn *conn)
{
	struct call *call;

	while ((call = TAILQ_FIRST(&conn->calls)) != NULL) {
		if (!call->ended)
			call_stop(call);
		TAILQ_REMOVE(&conn->calls, call, link);
		call_free(call);
	}
}

/* Where a call's reply goes. */
static struct buf *call_out(struct call *call)
{
	return TAILQ_FIRST(&call->conn->calls) == call ? &call->conn->out : &call->kept;
}

/* The first call has ended: it goes, and those behind it say what they have kept. */
static void call_advance(struct conn *conn)
{
	struct call *call;

	while ((call = TAILQ_FIRST(&conn->calls)) != NULL && call->ended) {
		call_retire(call);
		call = TAILQ_FIRST(&conn->calls);
		if (call == NULL)
			return;
		if (buf_append(&conn->out, buf_view(&call->kept).data, buf_len(&call->kept)) < 0) {
			conn_fail(conn);
			return;
		}
		buf_consume(&call->kept, buf_len(&call->kept));
	}
}

/* After a reply was written (r = 0) or could not be. */
static void call_said(struct call *call, bool is_last, int r)
{
	struct conn *conn = call->conn;

	if (r < 0) {
		conn_fail(conn);
		return;
	}
	if (is_last) {
		call_stop(call);
		if (call->holds)
			conn_resume(conn);
		call_advance(conn);
	}
	conn_touch(conn);
}

static bool call_is_mute(const struct call *call)
{
	return call->msg.oneway || call->ended || call->conn->dead;
}

static void call_say(struct call *call, json_t *params, bool continues)
{
	char terminator = frame_terminator(&call->conn->frame);
	int r = 0;

	if (call->ended)
		return;
	if (params == NULL)
		r = -ENOMEM;
	else if (!call_is_mute(call))
		r = msg_write_reply(call_out(call), params, continues, terminator);
	json_decref(params);
	call_said(call, !continues, r);
}

void call_reply(struct call *call, json_t *params)
{
	call_say(call, params, false);
}

void call_reply_more(struct call *call, json_t *params)
{
	call_say(call, params, true);
}

static void call_say_text(struct call *call, struct view params, int error, bool continues)
{
	if (call->ended)
		return;
	if (error == 0 && !call_is_mute(call))
		error = msg_write_reply_text(
			call_out(call), params, continues, frame_terminator(&call->conn->frame));
	call_said(call, !continues, error);
}

void call_reply_text(struct call *call, struct view params)
{
	call_say_text(call, params, 0, false);
}

void call_reply_json(struct call *call, const struct jsonout *json)
{
	call_say_text(call, buf_view(json->out), json->error, false);
}

void call_reply_json_more(struct call *call, const struct jsonout *json)
{
	call_say_text(call, buf_view(json->out), json->error, true);
}

static void call_refuse(struct call *call, const char *error, json_t *params)
{
	int r = 0;

	if (call->ended) {
		json_decref(params);
		return;
	}
	if (params == NULL)
		r = -ENOMEM;
	else if (!call_is_mute(call))
		r = msg_write_error(
			call_out(call), error, params, frame_terminator(&call->conn->frame));
	json_decref(params);
	call_said(call, true, r);
}

#define ERROR(NAME, name, PARAMS, PACK, fields, text)                                              \
	void call_refuse_##name PARAMS                                                             \
	{                                                                                          \
		call_refuse(call, METHOD_INTERFACE "." #NAME, json_pack PACK);                     \
	}
#include "api/errors.def"
#undef ERROR

void call_refuse_service(struct call *call, const char *error, const char *field, const char *value)
{
	char name[64];

	(void)snprintf(name, sizeof name, "%s.%s", METHOD_SERVICE, error);
	call_refuse(call, name, json_pack("{s:s}", field, value));
}

void call_refuse_parameter(struct call *call, const char *parameter, const char *reason)
{
	call_refuse(call, METHOD_SERVICE ".InvalidParameter",
		json_pack("{s:s, s:s}", "parameter", parameter, "reason", reason));
}

void call_refuse_permission(struct call *call)
{
	call_refuse(call, METHOD_SERVICE ".PermissionDenied", json_object());
}

void call_refuse_expected_more(struct call *call)
{
	call_refuse(call, METHOD_SERVICE ".ExpectedMore", json_object());
}

void call_refuse_stopping(struct call *call)
{
	static const char *const modes[] = {[STOP_RUNNING] = "",
		[STOP_DRAINING] = "drain",
		[STOP_FINISHING] = "finish",
		[STOP_ENDING] = "now"};

	call_refuse_shutting_down(call, modes[call->conn->daemon->board->stop]);
}

static void call_refuse_storage(struct call *call, int error, const char *id)
{
	const struct store_status status = store_status(call->conn->daemon->store);
	const char *reason = store_reason(&status, error);

	if (error == -ENOSPC)
		call_refuse_storage_full(call, status.used_bytes, status.max_bytes, reason);
	else
		call_refuse_storage_failed(call, reason, id);
}

void call_refuse_store(struct call *call, int error)
{
	call_refuse_storage(call, error, NULL);
}

void call_refuse_endless(struct call *call, const struct task *task)
{
	char id[TASK_ID_SIZE];

	call_refuse_storage(call, task->pool->board->broken, tojson_id_text(task->id, id));
}

void call_drop_params(struct call *call)
{
	json_decref(call->msg.json);
	call->msg.json = call->msg.params = NULL;
	call->msg.method = NULL;
}

void call_hold(struct call *call)
{
	if (call->msg.oneway)
		return;
	call->holds = true;
	call->conn->held = true;
}

/* A call for what arrived; method NULL and no values as long as nobody knows what it is. */
static struct call *call_new(struct conn *conn, struct msg *msg, size_t values_size)
{
	struct call *call = calloc(1, sizeof *call + values_size);

	if (call == NULL) {
		msg_done(msg);
		conn_fail(conn);
		return NULL;
	}
	call->conn = conn;
	call->msg = *msg;
	call->values = call + 1;
	buf_init(&call->kept, SIZE_MAX / 4);
	deadline_init(&call->deadline, NULL);
	TAILQ_INSERT_TAIL(&conn->calls, call, link);
	return call;
}

/* No message, and why: the words of protocol.md's table. */
static void call_on_no_message(struct conn *conn, int error, const char *why)
{
	const struct settings_daemon *limits = &conn->daemon->settings->daemon;
	struct msg none = {0};
	struct call *call = call_new(conn, &none, 0);

	if (call == NULL)
		return;
	if (conn->peer.role == ROLE_NONE)
		call_refuse_permission(call);
	else if (error == -EMSGSIZE)
		call_refuse_message_too_long(call, limits->max_message_bytes);
	else if (error == -ETIME)
		call_refuse_receive_timeout(call, limits->receive_timeout_us / US_PER_MS);
	else if (error == -ENOMEM)
		call_refuse_internal(call, "out of memory");
	else if (error == -ENODATA)
		call_refuse_malformed_message(
			call, "the input ended before the message's terminator");
	else
		call_refuse_malformed_message(call, why);
	/* With NUL bytes between messages it is not known where the next one begins to make sense; nor, of one that could not be
	 * read for want of memory, if the client expects a reply at all. */
	if (conn->frame.mode != FRAME_LINE)
		conn_finish(conn);
}

/* A call that many make, without a tree. false: it is to be parsed. */
static bool call_scan(struct conn *conn, struct view message)
{
	struct scan *scan = &((struct api *)conn->daemon->api)->scan;
	const struct method *method;
	struct msg none = {0};
	struct call *call;

	if (scan_call(scan, message) < 0)
		return false;
	method = method_find(scan->method.data);
	if (method == NULL || !(method->flags & METHOD_SCANS))
		return false;
	call = call_new(conn, &none, method->values_size);
	if (call == NULL)
		return true;
	call->method = method;
	if (method_scan(call, scan))
		return true;
	TAILQ_REMOVE(&conn->calls, call, link);
	call_free(call);
	return false;
}

void call_on_message(struct conn *conn, struct view message, int error)
{
	char why[JSON_WHY_SIZE] = "a NUL byte in a line";
	const struct method *method;
	struct call *call;
	struct msg msg;

	if (error == 0 && call_scan(conn, message))
		return;
	if (error == 0)
		error = msg_parse(message, &msg, why);
	if (error < 0) {
		call_on_no_message(conn, error, why);
		return;
	}
	method = method_find(msg.method);
	call = call_new(conn, &msg, method != NULL ? method->values_size : 0);
	if (call == NULL)
		return;
	call->method = method;
	method_dispatch(call);
}
