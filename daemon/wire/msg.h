/*
 * msg: what a message of the control protocol means (varlink.org, "Protocol"): a call from bytes, a reply to bytes.
 */
#ifndef WORKPOOL_WIRE_MSG_H
#define WORKPOOL_WIRE_MSG_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "wire/json.h"

struct msg {
	json_t *json;       /* owns: the whole message */
	const char *method; /* borrows from json: "org.workpool.Post" */
	json_t *params;     /* borrows from json: an object, or NULL */
	bool more;
	bool oneway;
	bool upgrade;
};

/*
 * 0: msg_done() when used. -EBADMSG: ret_why says why; -ENOMEM. Members of the message that the protocol does not know
 * are refused, so are wrong types of those it knows; null counts as not there, but for method.
 */
int msg_parse(struct view text, struct msg *ret_msg, char ret_why[JSON_WHY_SIZE]) MUST_CHECK;
void msg_done(struct msg *msg);

/* The part of a method's name before the last dot, and the part behind it: "org.workpool", "Post". -EINVAL: no dot, or
 * nothing on one side of it. */
int msg_split_method(
	const char *method, struct view *ret_interface, const char **ret_name) MUST_CHECK;

/* Each appends one whole message with its terminator, or nothing at all: -ENOMEM, -EMSGSIZE as buf_append(). */
int msg_write_reply(
	struct buf *out, const json_t *params, bool continues, char terminator) MUST_CHECK;
int msg_write_error(
	struct buf *out, const char *error, const json_t *params, char terminator) MUST_CHECK;
/* The same with parameters that are JSON text already: {"id":"1"}; none: {}. It must not hold the terminator. */
int msg_write_reply_text(
	struct buf *out, struct view params, bool continues, char terminator) MUST_CHECK;

/* What was written by one of these, without its terminator: is it an error; a reply that others follow? */
bool msg_is_error(struct view reply);
bool msg_continues(struct view reply);

/* For clients. params may be NULL. */
int msg_write_call(struct buf *out, const char *method, const json_t *params, bool more,
	bool oneway, char terminator) MUST_CHECK;

#endif
