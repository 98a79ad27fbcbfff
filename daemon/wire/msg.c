/*
 * msg: the four shapes of a message: call, reply, "continues" reply, error. Varlink.org,
 * "Protocol". Not for framing (frame.c) and not for what a method's parameters mean (param.c).
 * Called by api/call.c for each call and each reply, and by client/. Invariant: a writer leaves
 * either a whole message with its terminator or nothing in the buf.
 */
#include "wire/msg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define ERROR_HEAD     "{\"error\":"
#define SHOWN_NAME_MAX 48 /* bytes of an unknown member in a reason */

/* All reasons end up in MalformedMessage, behind "reason". */
static int refuse(const char *why, char ret_why[JSON_WHY_SIZE])
{
	(void)snprintf(ret_why, JSON_WHY_SIZE, "%s", why);
	return -EBADMSG;
}

/* Varlink has no default for a flag that is neither true nor false. */
static int read_flag(const json_t *value, bool *ret_flag)
{
	if (!json_is_boolean(value))
		return -EBADMSG;
	*ret_flag = json_is_true(value);
	return 0;
}

/* One member; null is as good as not there, some clients write it for what they leave out. */
static int read_member(
	struct msg *msg, const char *name, json_t *value, char ret_why[JSON_WHY_SIZE])
{
	bool is_null = json_is_null(value);

	if (strcmp(name, "method") == 0) {
		if (!json_is_string(value) || json_string_length(value) == 0)
			return refuse("method: not a string, or empty", ret_why);
		msg->method = json_string_value(value);
		return 0;
	}
	if (strcmp(name, "parameters") == 0) {
		if (!is_null && !json_is_object(value))
			return refuse("parameters: not an object", ret_why);
		msg->params = is_null ? NULL : value;
		return 0;
	}
	/* The rest are flags, and all are read alike. */
	bool *flag = strcmp(name, "more") == 0      ? &msg->more
		     : strcmp(name, "oneway") == 0  ? &msg->oneway
		     : strcmp(name, "upgrade") == 0 ? &msg->upgrade
						    : NULL;
	if (!flag) {
		(void)snprintf(
			ret_why, JSON_WHY_SIZE, "unknown member '%.*s'", SHOWN_NAME_MAX, name);
		str_make_safe(ret_why);
		return -EBADMSG;
	}
	if (!is_null && read_flag(value, flag) < 0) {
		(void)snprintf(ret_why, JSON_WHY_SIZE, "%s: not true or false", name);
		return -EBADMSG;
	}
	return 0;
}

int msg_parse(struct view text, struct msg *ret_msg, char ret_why[JSON_WHY_SIZE])
{
	auto_json json_t *json = NULL;
	struct msg msg = {0};
	const char *name;
	json_t *value;

	int r = json_parse_bounded(text, JSON_VALUES_LIMIT, &json, ret_why);
	if (r < 0)
		return r;
	/* json_parse() takes any value; a message is an object. */
	if (!json_is_object(json))
		return refuse("not an object", ret_why);
	json_object_foreach (json, name, value) {
		r = read_member(&msg, name, value, ret_why);
		if (r < 0)
			return r;
	}
	if (!msg.method)
		return refuse("method: required", ret_why);
	/* Only now: on failure auto_json gives the tree back. */
	msg.json = take(json);
	*ret_msg = msg;
	return 0;
}

/* Twice is harmless; the views and pointers of the message die with it. */
void msg_done(struct msg *msg)
{
	json_decref(msg->json);
	*msg = (struct msg){0};
}

int msg_split_method(const char *method, struct view *ret_interface, const char **ret_name)
{
	/* The interface has dots of its own: only the last one parts. */
	const char *dot = strrchr(method, '.');

	if (!dot || dot == method || dot[1] == '\0')
		return -EINVAL;
	*ret_interface = (struct view){method, (size_t)(dot - method)};
	*ret_name = dot + 1;
	return 0;
}

/* For the constant parts. */
static int append_text(struct buf *out, const char *text)
{
	return buf_append(out, text, strlen(text));
}

/* `,"parameters":{…}` and what is between it and the next message. */
static int append_rest(struct buf *out, const json_t *params, const char *tail, char terminator)
{
	int r = append_text(out, "\"parameters\":");
	if (r == 0)
		/* Always an object: some clients read the member without asking for it. */
		r = params ? json_write(params, out) : append_text(out, "{}");
	if (r == 0)
		r = append_text(out, tail);
	return r < 0 ? r : buf_append(out, &terminator, 1);
}

/* What half a message would do to the peer: everything behind it is lost. */
static int keep_or_undo(struct buf *out, size_t before, int r)
{
	if (r < 0)
		buf_truncate(out, before);
	return r;
}

/* varlink.org, "Protocol": all replies but the last of a call with "more" carry it. */
static const char *reply_tail(bool continues)
{
	return continues ? ",\"continues\":true}" : "}";
}

int msg_write_reply(struct buf *out, const json_t *params, bool continues, char terminator)
{
	size_t before = buf_len(out);

	int r = append_text(out, "{");
	if (r == 0)
		r = append_rest(out, params, reply_tail(continues), terminator);
	return keep_or_undo(out, before, r);
}

/* The name is one of errors.def, but a client library may write any: so it is escaped. */
int msg_write_error(struct buf *out, const char *error, const json_t *params, char terminator)
{
	size_t before = buf_len(out);

	int r = append_text(out, ERROR_HEAD);
	if (r == 0)
		r = buf_append_json_string(out, error, strlen(error));
	if (r == 0)
		r = append_text(out, ",");
	if (r == 0)
		r = append_rest(out, params, "}", terminator);
	return keep_or_undo(out, before, r);
}

/* The hot one: one reservation, four copies. */
int msg_write_reply_text(struct buf *out, struct view params, bool continues, char terminator)
{
	static const char head[] = "{\"parameters\":";
	size_t head_len = sizeof(head) - 1;
	struct view tail = view_of(reply_tail(continues));
	char *to;
	size_t room;

	if (params.len == 0)
		params = VIEW_LIT("{}");
	/* Before the sum, which could wrap. */
	if (params.len > out->limit)
		return -EMSGSIZE;
	size_t len = head_len + params.len + tail.len + 1;
	int r = buf_reserve(out, len, &to, &room);
	if (r < 0)
		return r;
	memcpy(to, head, head_len);
	memcpy(to + head_len, params.data, params.len);
	memcpy(to + head_len + params.len, tail.data, tail.len);
	/* A reply text is our own compact JSON: it holds neither newline nor NUL. */
	to[len - 1] = terminator;
	buf_commit(out, len);
	return 0;
}

bool msg_is_error(struct view reply)
{
	struct view head = VIEW_LIT(ERROR_HEAD);

	return reply.len > head.len && memcmp(reply.data, head.data, head.len) == 0;
}

/* The last member of a reply that does not continue is an object: so what is in it cannot look like this. */
bool msg_continues(struct view reply)
{
	struct view tail = view_of(reply_tail(true));

	return reply.len > tail.len &&
	       memcmp(reply.data + reply.len - tail.len, tail.data, tail.len) == 0;
}

/* A flag that is false is left out; parameters are always there, some services want them. */
int msg_write_call(struct buf *out, const char *method, const json_t *params, bool more,
	bool oneway, char terminator)
{
	size_t before = buf_len(out);

	int r = append_text(out, "{\"method\":");
	if (r == 0)
		r = buf_append_json_string(out, method, strlen(method));
	if (r == 0 && more)
		r = append_text(out, ",\"more\":true");
	if (r == 0 && oneway)
		r = append_text(out, ",\"oneway\":true");
	if (r == 0)
		r = append_text(out, ",");
	if (r == 0)
		r = append_rest(out, params, "}", terminator);
	return keep_or_undo(out, before, r);
}
