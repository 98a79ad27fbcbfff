/*
 * call: calls and replies, in their order. Called by post.c and by programs.
 * Invariant: wp->calls has, oldest first, every call whose last reply is outstanding; so a reply belongs to the oldest one.
 */
#include "client/lib/call.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "client/lib/conn.h"
#include "client/lib/fail.h"
#include "client/lib/reply.h"
#include "client/lib/walk.h"

#define OWN_INTERFACE "org.workpool."
#define WRITE_BYTES   ((size_t)64 * 1024) /* so much is not kept back */
#define FRAME_BYTES   128                 /* of a message, around method and parameters */

/* One line: white space of the caller's JSON must not end the message. */
static void join_lines(char *text, size_t len)
{
	for (char *at = memchr(text, '\n', len); at;
		at = memchr(at, '\n', len - (size_t)(at - text)))
		*at = ' ';
}

static int append_text(struct buf *out, const char *text)
{
	return buf_append(out, text, strlen(text));
}

/* The message, whole or not at all. */
static int write_call(struct buf *out, const struct request *request)
{
	static const char *const flags[] = {
		[0] = "\",\"parameters\":",
		[WORKPOOL_MORE] = "\",\"more\":true,\"parameters\":",
		[WORKPOOL_ONEWAY] = "\",\"oneway\":true,\"parameters\":",
	};
	size_t before = buf_len(out);

	int r = append_text(out, "{\"method\":\"");
	if (r == 0 && !strchr(request->method, '.'))
		r = append_text(out, OWN_INTERFACE);
	if (r == 0)
		r = append_text(out, request->method);
	if (r == 0)
		r = append_text(out, flags[request->flags]);
	if (r == 0)
		r = buf_append(out, request->params.data, request->params.len);
	if (r == 0) {
		struct view all = buf_view(out);
		join_lines((char *)(uintptr_t)all.data + before, all.len - before);
		r = buf_append(out, "}\n", 2);
	}
	if (r < 0)
		buf_truncate(out, before);
	return r;
}

/* Of a method's name no byte has to be escaped. */
static bool is_name(const char *method)
{
	return *method &&
	       method[strspn(method, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789.-_")] == '\0';
}

int call_check_object(
	struct workpool *wp, const char *what, const char *text, struct view *ret_object)
{
	size_t bad;

	if (!text)
		*ret_object = VIEW_LIT("{}");
	else if (!walk_is_object(view_of(text), ret_object, &bad))
		return fail_because(wp, WORKPOOL_BAD_ARGUMENT,
			"%s: byte %zu: this is no JSON object", what, bad);
	return 0;
}

static int check_request(struct workpool *wp, const struct request *request)
{
	if (!is_name(request->method))
		return fail_because(wp, WORKPOOL_BAD_ARGUMENT, "no method has this name");
	if (request->flags > WORKPOOL_ONEWAY)
		return fail_because(wp, WORKPOOL_BAD_ARGUMENT, "these flags do not go together");
	if (request->params.len > CONN_LIMIT_BYTES - FRAME_BYTES - strlen(request->method))
		return fail_because(wp, WORKPOOL_BAD_ARGUMENT, "parameters: too long");
	return 0;
}

/* Room in `out` for a message of this length. */
static int make_room(struct workpool *wp, size_t len)
{
	if (!conn_is_usable(wp))
		return WORKPOOL_CLOSED;
	if (buf_len(&wp->out) >= WRITE_BYTES)
		conn_write(wp);
	if (wp->is_deaf)
		return WORKPOOL_CLOSED;
	return buf_len(&wp->out) > 0 && buf_len(&wp->out) + len > CONN_QUEUE_BYTES ? WORKPOOL_FULL
										   : 0;
}

int call_send(struct workpool *wp, const struct request *request)
{
	int code = check_request(wp, request);

	if (code)
		return code;
	code = make_room(wp, strlen(request->method) + request->params.len + FRAME_BYTES);
	if (code == 0)
		code = conn_reserve_call(wp);
	if (code == 0 && write_call(&wp->out, request) < 0)
		code = WORKPOOL_NO_MEMORY;
	if (code)
		return fail(wp, code);
	if (!(request->flags & WORKPOOL_ONEWAY))
		conn_push(wp, request->data, request->flags & WORKPOOL_MORE);
	return 0;
}

int workpool_send(
	struct workpool *wp, const char *method, const char *params, unsigned flags, void *data)
{
	struct request request = {.method = method, .flags = flags, .data = data};

	fail_none(wp);
	int code = call_check_object(wp, "parameters", params, &request.params);
	return code ? code : call_send(wp, &request);
}

/* The next reply that is here already. WORKPOOL_TIMED_OUT: none is. */
static int take_reply(struct workpool *wp, struct workpool_reply **ret_reply)
{
	struct workpool_reply *reply;
	struct view message;

	if (workpool_pending(wp) == 0)
		return WORKPOOL_IDLE;
	int code = conn_next(wp, &message);
	if (code == 0)
		code = reply_new(message, &reply);
	if (code == WORKPOOL_BAD_REPLY)
		wp->ended = code;
	if (code)
		return code;
	const struct pending *call = &wp->calls[wp->head];
	bool continues = workpool_reply_continues(reply);
	if (continues && !call->is_more) {
		workpool_reply_free(reply);
		wp->ended = WORKPOOL_BAD_REPLY;
		return wp->ended;
	}
	reply_set_data(reply, call->data);
	conn_take(wp);
	if (!continues)
		conn_pop(wp);
	*ret_reply = reply;
	return 0;
}

static int receive(struct workpool *wp, uint64_t until_us, struct workpool_reply **ret_reply)
{
	bool is_late = false;

	for (;;) {
		int code = take_reply(wp, ret_reply);
		if (code != WORKPOOL_TIMED_OUT || is_late)
			return code;
		/* Looked at once more after the last moment. */
		is_late = clock_now_us() >= until_us;
		code = conn_turn(wp, is_late ? 0 : until_us);
		if (code)
			return code;
	}
}

int workpool_receive(struct workpool *wp, int timeout_ms, struct workpool_reply **ret_reply)
{
	fail_none(wp);
	*ret_reply = NULL;
	int code = receive(wp, conn_deadline(timeout_ms), ret_reply);
	return code ? fail(wp, code) : 0;
}

size_t workpool_pending(const struct workpool *wp)
{
	return wp->n - wp->n_dropped;
}

static int flush(struct workpool *wp, uint64_t until_us)
{
	if (wp->fd < 0)
		return WORKPOOL_CLOSED;
	conn_write(wp);
	while (buf_len(&wp->out) > 0) {
		if (clock_now_us() >= until_us)
			return WORKPOOL_TIMED_OUT;
		/* It might wait for us to read. */
		if (!(workpool_events(wp) & POLLIN) && wp->ended == 0)
			return WORKPOOL_FULL;
		int code = conn_turn(wp, until_us);
		if (code)
			return code;
	}
	return wp->is_deaf ? WORKPOOL_CLOSED : 0;
}

int workpool_flush(struct workpool *wp, int timeout_ms)
{
	fail_none(wp);
	int code = flush(wp, conn_deadline(timeout_ms));
	return code ? fail(wp, code) : 0;
}

int workpool_finish(struct workpool *wp, int timeout_ms)
{
	uint64_t until_us = conn_deadline(timeout_ms);

	fail_none(wp);
	int code = flush(wp, until_us);
	if (code == 0)
		(void)shutdown(wp->fd, SHUT_WR); /* fails only when the daemon has gone already */
	while (code == 0 && wp->ended == 0) {
		if (clock_now_us() >= until_us)
			code = WORKPOOL_TIMED_OUT;
		else
			code = conn_turn(wp, until_us);
	}
	if (code == 0 && wp->ended != WORKPOOL_CLOSED)
		code = wp->ended;
	return code ? fail(wp, code) : 0;
}

/* Sends where nothing is outstanding but what was dropped: the daemon only has to be waited for. */
static int send_alone(struct workpool *wp, const struct request *request, uint64_t until_us)
{
	int code = call_send(wp, request);

	if (code != WORKPOOL_FULL)
		return code;
	code = flush(wp, until_us);
	return code ? fail(wp, code) : call_send(wp, request);
}

int call_run(struct workpool *wp, const struct request *request, uint64_t until_us,
	struct workpool_reply **ret_reply)
{
	struct workpool_reply *reply = NULL;

	if (workpool_pending(wp) > 0)
		return fail_because(wp, WORKPOOL_BAD_ARGUMENT, "replies are outstanding");
	int code = send_alone(wp, request, until_us);
	if (code)
		return code;
	code = receive(wp, until_us, &reply);
	if (code) {
		conn_drop(wp);
		return fail(wp, code);
	}
	code = fail_reply(wp, reply);
	if (ret_reply)
		*ret_reply = reply;
	else
		workpool_reply_free(reply);
	return code;
}

int workpool_call(struct workpool *wp, const char *method, const char *params, int timeout_ms,
	struct workpool_reply **ret_reply)
{
	struct request request = {.method = method};
	uint64_t until_us = conn_deadline(timeout_ms);

	fail_none(wp);
	if (ret_reply)
		*ret_reply = NULL;
	int code = call_check_object(wp, "parameters", params, &request.params);
	return code ? code : call_run(wp, &request, until_us, ret_reply);
}
