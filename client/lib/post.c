/*
 * post: what there is to do mostly, as functions: a task is posted and waited for. Called by programs.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "client/lib/call.h"
#include "client/lib/conn.h"
#include "client/lib/fail.h"

#define WAIT_MAX_MS UINT64_C(86400000) /* that the daemon waits in one call */
#define GRACE_US                                                                                   \
	(10 * US_PER_SEC) /* the daemon keeps the time; ours only guards against its silence */

static const struct workpool_post_options no_options = WORKPOOL_POST_OPTIONS;

/* What buf_append() says. */
static int fail_write(struct workpool *wp, int r)
{
	return r == -EMSGSIZE ? fail_because(wp, WORKPOOL_BAD_ARGUMENT, "arguments: too long")
			      : fail(wp, WORKPOOL_NO_MEMORY);
}

static int append_plain(struct workpool *wp, struct buf *out, const char *text)
{
	int r = buf_append(out, text, strlen(text));

	return r < 0 ? fail_write(wp, r) : 0;
}

/* ,"key":"text". What a call gets must be what was meant: bytes that are no UTF-8 are not replaced. */
static int append_text(struct workpool *wp, struct buf *out, const char *key, const char *text)
{
	if (!text)
		return 0;
	if (!str_is_utf8(view_of(text)))
		return fail_because(wp, WORKPOOL_BAD_ARGUMENT, "%s: not UTF-8", key);
	int r = buf_printf(out, ",\"%s\":", key);
	if (r == 0)
		r = buf_append_json_string(out, text, strlen(text));
	return r < 0 ? fail_write(wp, r) : 0;
}

static int append_number(struct workpool *wp, struct buf *out, const char *key, int64_t number)
{
	if (number == -1 || buf_printf(out, ",\"%s\":%jd", key, (intmax_t)number) == 0)
		return 0;
	return fail(wp, WORKPOOL_NO_MEMORY);
}

static int append_options(
	struct workpool *wp, struct buf *out, const struct workpool_post_options *options)
{
	const struct {
		const char *key;
		const char *text;
	} texts[] = {
		{"pool", options->pool},
		{"name", options->name},
		{"unique", options->unique},
	};
	const struct {
		const char *key;
		int64_t number;
	} numbers[] = {
		{"priority", options->priority},
		{"retries", options->retries},
		{"delay_ms", options->delay_ms},
		{"expires_ms", options->expires_ms},
		{"timeout_ms", options->timeout_ms},
		{"wait_room_ms", options->wait_room_ms},
	};
	int code = 0;

	for (size_t i = 0; code == 0 && i < ARRAY_SIZE(texts); i++)
		code = append_text(wp, out, texts[i].key, texts[i].text);
	for (size_t i = 0; code == 0 && i < ARRAY_SIZE(numbers); i++)
		code = append_number(wp, out, numbers[i].key, numbers[i].number);
	if (code == 0 && options->wait)
		code = append_plain(wp, out, ",\"wait\":true");
	return code;
}

/* What Post gets, into `out`, which is empty. */
static int write_params(struct workpool *wp, struct buf *out, const char *handler, const char *args,
	const struct workpool_post_options *options)
{
	struct view object;

	if (!options)
		options = &no_options;
	/* The struct may only grow: one of a later version may say what we do not know. */
	if (options->size != sizeof(*options))
		return fail_because(wp, WORKPOOL_BAD_ARGUMENT,
			"options: not begun as WORKPOOL_POST_OPTIONS, or of a later version");
	int code = call_check_object(wp, "args", args, &object);
	if (code == 0)
		code = append_text(wp, out, "handler", handler);
	if (code)
		return code;
	*(char *)(uintptr_t)buf_view(out).data = '{'; /* instead of the comma */
	if (args) {
		int r = buf_append(out, ",\"args\":", 8);
		if (r == 0)
			r = buf_append(out, object.data, object.len);
		if (r < 0)
			return fail_write(wp, r);
	}
	code = append_options(wp, out, options);
	return code ? code : append_plain(wp, out, "}");
}

int workpool_send_post(struct workpool *wp, const char *handler, const char *args,
	const struct workpool_post_options *options, void *data)
{
	struct request request = {.method = "org.workpool.Post", .data = data};
	struct buf params;

	fail_none(wp);
	buf_init(&params, CONN_LIMIT_BYTES);
	int code = write_params(wp, &params, handler, args, options);
	request.params = buf_view(&params);
	if (code == 0)
		code = call_send(wp, &request);
	buf_done(&params);
	return code;
}

int workpool_post(struct workpool *wp, const char *handler, const char *args,
	const struct workpool_post_options *options, int timeout_ms,
	struct workpool_reply **ret_reply)
{
	struct request request = {.method = "org.workpool.Post"};
	uint64_t until_us = conn_deadline(timeout_ms);
	struct buf params;

	fail_none(wp);
	if (ret_reply)
		*ret_reply = NULL;
	buf_init(&params, CONN_LIMIT_BYTES);
	int code = write_params(wp, &params, handler, args, options);
	request.params = buf_view(&params);
	if (code == 0)
		code = call_run(wp, &request, until_us, ret_reply);
	buf_done(&params);
	return code;
}

/* {"ids":["7"],"timeout_ms":1000} */
static int write_wait(struct workpool *wp, struct buf *out, const char *id, uint64_t until_us)
{
	uint64_t now_us = clock_now_us();
	uint64_t left_us = until_us > now_us ? until_us - now_us : 0;
	uint64_t left_ms = left_us / US_PER_MS + (left_us % US_PER_MS > 0);

	if (!str_is_utf8(view_of(id)))
		return fail_because(wp, WORKPOOL_BAD_ARGUMENT, "id: not UTF-8");
	int r = buf_append(out, "{\"ids\":[", 8);
	if (r == 0)
		r = buf_append_json_string(out, id, strlen(id));
	if (r == 0 && until_us != CONN_FOREVER)
		r = buf_printf(out, "],\"timeout_ms\":%ju}",
			(uintmax_t)(left_ms < WAIT_MAX_MS ? left_ms : WAIT_MAX_MS));
	else if (r == 0)
		r = buf_append(out, "]}", 2);
	return r < 0 ? fail_write(wp, r) : 0;
}

/* One call of Wait. *ret_reply may be NULL. */
static int wait_once(
	struct workpool *wp, const char *id, uint64_t until_us, struct workpool_reply **ret_reply)
{
	struct request request = {.method = "org.workpool.Wait"};
	struct buf params;

	buf_init(&params, CONN_LIMIT_BYTES);
	int code = write_wait(wp, &params, id, until_us);
	request.params = buf_view(&params);
	if (code == 0)
		code = call_run(wp, &request,
			until_us == CONN_FOREVER ? until_us : until_us + GRACE_US, ret_reply);
	buf_done(&params);
	return code;
}

int workpool_wait(
	struct workpool *wp, const char *id, int timeout_ms, struct workpool_reply **ret_reply)
{
	uint64_t until_us = conn_deadline(timeout_ms);
	struct workpool_reply *reply;
	int code;

	fail_none(wp);
	if (ret_reply)
		*ret_reply = NULL;
	for (;;) {
		reply = NULL;
		code = wait_once(wp, id, until_us, &reply);
		if (code || workpool_reply_int(reply, "timed_out", 0) == 0)
			break;
		workpool_reply_free(reply);
		reply = NULL;
		/* The daemon waits for a day at most. */
		if (clock_now_us() >= until_us) {
			code = fail(wp, WORKPOOL_TIMED_OUT);
			break;
		}
	}
	if (ret_reply)
		*ret_reply = reply;
	else
		workpool_reply_free(reply);
	return code;
}
