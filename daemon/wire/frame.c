/*
 * frame: finds the ends of messages in what a connection received. Not for what is in them
 * (msg.c), not for the binary messages of a host (hostmsg.c).
 * Called by net/conn.c and client/. Invariants: the first `scanned` waiting bytes hold no
 * terminator; which messages are found does not depend on how the bytes arrived. `in` must be
 * able to hold limit + 1 bytes.
 */
#include "wire/frame.h"

#include <errno.h>
#include <string.h>

void frame_init(struct frame *frame, size_t limit)
{
	*frame = (struct frame){.mode = FRAME_OPEN, .limit = limit};
}

/* Where the first terminator at or behind `from` is; text.len: there is none yet. */
static size_t find_end(enum frame_mode mode, struct view text, size_t from)
{
	size_t end = text.len;
	const char *at;

	if (from == end)
		return end;
	if (mode != FRAME_NUL) {
		at = memchr(text.data + from, '\n', end - from);
		if (at)
			end = (size_t)(at - text.data);
	}
	if (mode != FRAME_LINE) {
		at = memchr(text.data + from, '\0', end - from);
		if (at)
			end = (size_t)(at - text.data);
	}
	return end;
}

static bool is_empty_line(const struct frame *frame, struct view line)
{
	return frame->mode == FRAME_LINE &&
	       (line.len == 0 || (line.len == 1 && line.data[0] == '\r'));
}

int frame_next(struct frame *frame, struct buf *in, struct view *ret_message)
{
	for (;;) {
		struct view text = buf_view(in);
		size_t end = find_end(frame->mode, text, frame->scanned);
		if (end > frame->limit)
			return -EMSGSIZE; /* scanned stays: asked again, it says so again */
		if (end == text.len) {
			frame->scanned = end;
			return -EAGAIN;
		}
		if (frame->mode == FRAME_OPEN)
			frame->mode = text.data[end] == '\n' ? FRAME_LINE : FRAME_NUL;
		buf_consume(in, end + 1);
		frame->scanned = 0;
		struct view message = {text.data, end};
		if (is_empty_line(frame, message))
			continue;
		if (frame->mode == FRAME_LINE && memchr(message.data, '\0', end))
			return -EBADMSG;
		*ret_message = message;
		return 0;
	}
}

char frame_terminator(const struct frame *frame)
{
	return frame->mode == FRAME_LINE ? '\n' : '\0';
}
