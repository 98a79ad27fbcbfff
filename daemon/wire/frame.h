/*
 * frame: where a message ends. A message ends with a NUL byte (Varlink) or with a newline (socat, nc, a shell);
 * the first terminator that a connection sends decides for the whole connection, in both directions.
 * In line mode a NUL byte is malformed and empty lines are skipped ("\r" before the newline is JSON white space, also alone).
 * The buf that is read from must be able to hold limit + 1 bytes.
 * Pure: knows no descriptor.
 */
#ifndef WORKPOOL_WIRE_FRAME_H
#define WORKPOOL_WIRE_FRAME_H

#include "base/buf.h"

enum frame_mode { FRAME_OPEN, FRAME_NUL, FRAME_LINE };

struct frame {
	enum frame_mode mode;
	size_t scanned; /* bytes of the waiting input that hold no terminator: they are not looked at again */
	size_t limit; /* a message's length at most, without its terminator */
};

void frame_init(struct frame *frame, size_t limit);
/*
 * Takes the next message off `in`; the view is valid until `in` is touched again.
 *   0          *ret_message
 *   -EAGAIN    no whole message yet
 *   -EMSGSIZE  longer than the limit, with or without a terminator in sight: the connection cannot go on
 *   -EBADMSG   a NUL byte in line mode: the line was taken off, the connection can go on
 */
int frame_next(struct frame *frame, struct buf *in, struct view *ret_message) MUST_CHECK;
/* The byte that ends what goes to this peer: '\n' in line mode, else NUL. */
char frame_terminator(const struct frame *frame);

#endif
