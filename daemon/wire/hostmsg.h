/*
 * hostmsg: the binary messages between workpoold and workpool-host, made from hostmsg.def.
 *
 *   | u32 length of what follows | u8 type | fields in order |
 *
 * Integers are little endian. A message whose fields end before or after its length, whose type or length is not known,
 * is -EBADMSG: the reader gives the other side up. Strings are views into the buffer.
 */
#ifndef WORKPOOL_WIRE_HOSTMSG_H
#define WORKPOOL_WIRE_HOSTMSG_H

#include <stdint.h>

#include "base/buf.h"

#define HOSTMSG_VERSION 4u
#define HOSTMSG_LIMIT   (8u * 1024 * 1024) /* bytes of one message at most, with its length */

enum hostmsg_type {
	HOSTMSG_NONE,
#define HOSTMSG(NAME, name, FIELDS) HOSTMSG_##NAME,
#include "wire/hostmsg.def"
#undef HOSTMSG
	HOSTMSG_TYPES
};

/* Bounds of what a host tells of a handler. */
#define HOSTMSG_PARAMS_MAX 64u
#define HOSTMSG_TEXT_MAX   4096u /* bytes of a sentence or list of words */

/* Bounds of what a task tells on its way. */
#define HOSTMSG_PERMILLE_MAX 1000u
#define HOSTMSG_NOTE_MAX     256u

/* A task's output: LOG's `stream`. */
enum hostmsg_stream { STREAM_OUT = 1, STREAM_ERR, STREAMS_END };

/* How a task ended, as the host saw it. CRASHED: its program did, by a signal that was not ours. */
enum hostmsg_outcome { OUTCOME_OK, OUTCOME_FAILED, OUTCOME_CANCELLED, OUTCOME_CRASHED, OUTCOMES };

#define U8(f)  uint8_t f;
#define U32(f) uint32_t f;
#define U64(f) uint64_t f;
#define I64(f) int64_t f;
#define STR(f) struct view f;
struct hostmsg {
	enum hostmsg_type type;
	union {
#define HOSTMSG(NAME, name, FIELDS)                                                                \
	struct {                                                                                   \
		FIELDS                                                                             \
	} name;
#include "wire/hostmsg.def"
#undef HOSTMSG
	};
};
#undef U8
#undef U32
#undef U64
#undef I64
#undef STR

/* Appends one message, or nothing: -ENOMEM, -EMSGSIZE. */
int hostmsg_pack(struct buf *out, const struct hostmsg *msg) MUST_CHECK;
/* Takes the next message off `in`; its views are valid until `in` is touched again. -EAGAIN: not whole yet; -EBADMSG. */
int hostmsg_unpack(struct buf *in, struct hostmsg *ret_msg) MUST_CHECK;
const char *hostmsg_name(enum hostmsg_type type); /* "RUN"; "?" for what is none */

#endif
