/*
 * takeback: see takeback.h. What a reply was is seen from its text: so nothing has to be kept beside it while all goes well.
 */
#include "api/takeback.h"

#include <errno.h>
#include <string.h>

#include "api/call.h"
#include "api/method.h"
#include "api/tojson.h"
#include "net/conn.h"
#include "net/daemon.h"
#include "wire/msg.h"

/* The task that an answer to Post tells of, if that is in the store all the same: "" if not. */
static void find_stored(const struct conn *conn, struct view reply, char ret_id[TASK_ID_SIZE])
{
	static const char head[] = "{\"parameters\":{\"id\":\"";
	size_t len = sizeof head - 1, n = 0;

	if (reply.len > len && memcmp(reply.data, head, len) == 0)
		for (; n + 1 < TASK_ID_SIZE && len + n < reply.len && reply.data[len + n] != '"';
			n++)
			ret_id[n] = reply.data[len + n];
	ret_id[n] = '\0';
	if (!board_is_safe(conn->daemon->board, tojson_id_parse(ret_id)))
		ret_id[0] = '\0';
}

static int say_failed(struct conn *conn, struct view reply)
{
	const struct store_status status = store_status(conn->daemon->store);
	auto_json json_t *params = NULL;
	char id[TASK_ID_SIZE];

	find_stored(conn, reply, id);
	params = json_pack("{s:s, s:s*}", "reason", store_reason(&status, -EIO), "id",
		id[0] != '\0' ? id : NULL);
	if (params == NULL)
		return -ENOMEM;
	return msg_write_error(&conn->out, METHOD_INTERFACE ".StorageFailed", params,
		frame_terminator(&conn->frame));
}

/* What a stream was to be told is lost, and with the next words it would not know: so these are its last. */
static void end_stream(struct conn *conn)
{
	struct call *call = TAILQ_FIRST(&conn->calls);

	if (call != NULL)
		call_refuse_store(call, -EIO);
}

static int take_back(struct conn *conn, struct view reply, size_t whole)
{
	if (msg_is_error(reply))
		return buf_append(&conn->out, reply.data, whole);
	return msg_continues(reply) ? 0 : say_failed(conn, reply);
}

void takeback_on_take_back(struct conn *conn, struct view lost)
{
	const char *at = lost.data, *end = lost.data + lost.len;
	char terminator = frame_terminator(&conn->frame);
	bool goes_on = false;
	int r = 0;

	while (r == 0 && at < end) {
		const char *stop = memchr(at, terminator, (size_t)(end - at));
		struct view reply = {at, (size_t)((stop != NULL ? stop : end) - at)};

		goes_on = msg_continues(reply);
		r = take_back(conn, reply, reply.len + 1);
		at += reply.len + 1;
	}
	if (r < 0)
		conn_fail(conn);
	else if (goes_on)
		end_stream(conn);
}
