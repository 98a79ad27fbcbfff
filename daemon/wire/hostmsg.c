/*
 * hostmsg: packs and unpacks what daemon and host say to each other; all of it made from
 * hostmsg.def, so that a new message is one line there. Not for what a message means
 * (net/hostlink.c, host/link.c). Invariants: unpack reads nothing outside of the message's own
 * length; on failure `in` and the outputs are untouched. The other side of a host is whoever
 * runs a task: what comes from it is never trusted.
 */
#include "wire/hostmsg.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define HEAD_BYTES 4u /* the length, which does not count itself */
#define BODY_LIMIT (HOSTMSG_LIMIT - HEAD_BYTES)

/*
 * A string's bytes in the message; what is too long for any message stays so, without overflow
 * of the sum.
 */
static size_t str_bytes(struct view text)
{
	return 4 + (text.len > HOSTMSG_LIMIT ? HOSTMSG_LIMIT : text.len);
}

/* Bytes of type and fields; 0: no such type. */
static size_t body_bytes(const struct hostmsg *msg)
{
	switch (msg->type) {
/* The sum of one row of hostmsg.def. */
#define U8(f)  +1
#define U32(f) +4
#define U64(f) +8
#define I64(f) +8
#define STR(f) +str_bytes(m->f)
#define HOSTMSG(NAME, name, FIELDS)                                                                \
	case HOSTMSG_##NAME: {                                                                     \
		__auto_type m = &msg->name;                                                        \
		(void)m;                                                                           \
		return (size_t)1 FIELDS;                                                           \
	}
#include "wire/hostmsg.def"
#undef HOSTMSG
#undef U8
#undef U32
#undef U64
#undef I64
#undef STR
	case HOSTMSG_NONE:
	case HOSTMSG_TYPES:
		break;
	}
	return 0;
}

/*
 * Each put_ writes at `to` and returns the place behind; body_bytes() has counted the room.
 * memcpy, because nothing in a message is aligned.
 */
static char *put_u8(char *to, uint8_t value)
{
	memcpy(to, &value, sizeof(value));
	return to + sizeof(value);
}

static char *put_u32(char *to, uint32_t value)
{
	value = htole32(value);
	memcpy(to, &value, sizeof(value));
	return to + sizeof(value);
}

static char *put_u64(char *to, uint64_t value)
{
	value = htole64(value);
	memcpy(to, &value, sizeof(value));
	return to + sizeof(value);
}

static char *put_str(char *to, struct view text)
{
	to = put_u32(to, (uint32_t)text.len);
	if (text.len > 0)
		memcpy(to, text.data, text.len);
	return to + text.len;
}

/* The fields of msg->type in the order of hostmsg.def. */
static char *put_fields(char *to, const struct hostmsg *msg)
{
	switch (msg->type) {
#define U8(f)  to = put_u8(to, m->f);
#define U32(f) to = put_u32(to, m->f);
#define U64(f) to = put_u64(to, m->f);
#define I64(f) to = put_u64(to, (uint64_t)m->f);
#define STR(f) to = put_str(to, m->f);
#define HOSTMSG(NAME, name, FIELDS)                                                                \
	case HOSTMSG_##NAME: {                                                                     \
		__auto_type m = &msg->name;                                                        \
		FIELDS break;                                                                      \
	}
#include "wire/hostmsg.def"
#undef HOSTMSG
#undef U8
#undef U32
#undef U64
#undef I64
#undef STR
	case HOSTMSG_NONE:
	case HOSTMSG_TYPES:
		break;
	}
	return to;
}

int hostmsg_pack(struct buf *out, const struct hostmsg *msg)
{
	size_t body = body_bytes(msg);
	char *to;
	size_t room;

	/* A type that is none is a mistake of ours: what comes from outside went through unpack. */
	assert(body > 0);
	/* For the sender too: the other side would give the connection up. */
	if (body > BODY_LIMIT)
		return -EMSGSIZE;
	int r = buf_reserve(out, HEAD_BYTES + body, &to, &room);
	if (r < 0)
		return r;
	char *at = put_u8(put_u32(to, (uint32_t)body), (uint8_t)msg->type);
	at = put_fields(at, msg);
	/* Both are made from the same line of hostmsg.def. */
	assert(at == to + HEAD_BYTES + body);
	buf_commit(out, HEAD_BYTES + body);
	return 0;
}

/*
 * What is left of one message. After a field that is not all there is_short stays set, and
 * zeros are read.
 */
struct reader {
	const char *at;
	size_t left;
	bool is_short;
};

/* The next len bytes, or NULL. */
static const char *get_bytes(struct reader *r, size_t len)
{
	if (r->is_short || len > r->left) {
		r->is_short = true;
		return NULL;
	}
	const char *at = r->at;
	r->at += len;
	r->left -= len;
	return at;
}

/*
 * Each get_ takes its field off the reader; of a message that is too short it gives 0 or
 * nothing.
 */
static uint8_t get_u8(struct reader *r)
{
	const char *at = get_bytes(r, 1);
	return at ? (uint8_t)*at : 0;
}

static uint32_t get_u32(struct reader *r)
{
	const char *at = get_bytes(r, sizeof(uint32_t));
	uint32_t value = 0;

	if (at)
		memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static uint64_t get_u64(struct reader *r)
{
	const char *at = get_bytes(r, sizeof(uint64_t));
	uint64_t value = 0;

	if (at)
		memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

static struct view get_str(struct reader *r)
{
	/* Compared with what is left of this message, never with what is left of the buffer. */
	size_t len = get_u32(r);
	const char *at = get_bytes(r, len);

	return (struct view){at, at ? len : 0};
}

/* The fields of msg->type in their order; -EBADMSG: too few bytes, or some are left over. */
static int get_fields(struct reader *r, struct hostmsg *msg)
{
	switch (msg->type) {
#define U8(f)  m->f = get_u8(r);
#define U32(f) m->f = get_u32(r);
#define U64(f) m->f = get_u64(r);
#define I64(f) m->f = (int64_t)get_u64(r);
#define STR(f) m->f = get_str(r);
#define HOSTMSG(NAME, name, FIELDS)                                                                \
	case HOSTMSG_##NAME: {                                                                     \
		__auto_type m = &msg->name;                                                        \
		FIELDS break;                                                                      \
	}
#include "wire/hostmsg.def"
#undef HOSTMSG
#undef U8
#undef U32
#undef U64
#undef I64
#undef STR
	case HOSTMSG_NONE:
	case HOSTMSG_TYPES:
		return -EBADMSG;
	}
	return r->is_short || r->left > 0 ? -EBADMSG : 0;
}

int hostmsg_unpack(struct buf *in, struct hostmsg *ret_msg)
{
	struct view text = buf_view(in);
	struct reader head = {text.data, text.len, false};
	struct hostmsg msg = {0};

	uint32_t body = get_u32(&head);
	if (head.is_short)
		return -EAGAIN;
	/* The stream cannot be trusted any more: where would the next message begin? */
	if (body == 0 || body > BODY_LIMIT)
		return -EBADMSG;
	uint8_t type = get_u8(&head);
	if (head.is_short)
		return -EAGAIN;
	/* At once, not when 8 MB of it are here. */
	if (type == HOSTMSG_NONE || type >= HOSTMSG_TYPES)
		return -EBADMSG;
	if (head.left < body - 1)
		return -EAGAIN;
	/* Neither the next message nor half of it: this one's own bytes. */
	struct reader fields = {head.at, body - 1, false};
	msg.type = (enum hostmsg_type)type;
	int r = get_fields(&fields, &msg);
	if (r < 0)
		return r;
	/* The bytes stay where they are until the next append, and so do the views. */
	buf_consume(in, HEAD_BYTES + body);
	*ret_msg = msg;
	return 0;
}

const char *hostmsg_name(enum hostmsg_type type)
{
	static const char *const names[] = {
#define HOSTMSG(NAME, name, FIELDS) [HOSTMSG_##NAME] = #NAME,
#include "wire/hostmsg.def"
#undef HOSTMSG
	};

	return type > HOSTMSG_NONE && type < HOSTMSG_TYPES ? names[type] : "?";
}
