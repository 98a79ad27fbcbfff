/*
 * fuzz_frame: messages found do not depend on how the bytes arrive; nothing is lost, nothing twice.
 * Input: the first byte is the limit, the second how the rest is cut, the rest is the stream.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "wire/frame.h"

#define BUF_LIMIT (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

/*
 * Takes what is there; each result is noted with its length, so that notes are equal only when
 * all results are.
 */
static int drain(struct frame *frame, struct buf *in, struct buf *notes)
{
	struct view message;
	int r;

	while ((r = frame_next(frame, in, &message)) != -EAGAIN) {
		must(r == 0 || r == -EBADMSG || r == -EMSGSIZE);
		must(buf_printf(notes, "%d,%zu,", r, r == 0 ? message.len : 0) == 0);
		if (r == -EMSGSIZE) {
			struct view untouched = {0};
			must(frame_next(frame, in, &untouched) == -EMSGSIZE);
			return -1;
		}
		if (r == 0) {
			must(message.len <= frame->limit);
			must(buf_append(notes, message.data, message.len) == 0);
		}
	}
	must(buf_len(in) <= frame->limit);
	must(frame->scanned == buf_len(in));
	return 0;
}

static void run(size_t limit, unsigned cut, struct view text, struct buf *notes)
{
	struct frame frame;
	struct buf in;

	frame_init(&frame, limit);
	/*
	 * Cut 0: all at once; else as it is in the daemon: never more in memory than the limit
	 * and a terminator.
	 */
	buf_init(&in, cut == 0 ? BUF_LIMIT : limit + 1);
	size_t at = 0;
	do {
		size_t n = cut == 0 ? text.len : 1 + (at * 7 + cut) % cut;
		n = n < text.len - at ? n : text.len - at;
		n = n < in.limit - buf_len(&in) ? n : in.limit - buf_len(&in);
		must(buf_append(&in, text.data + at, n) == 0);
		at += n;
		if (drain(&frame, &in, notes) < 0)
			break;
	} while (at < text.len);
	char terminator = frame_terminator(&frame);
	must(terminator == (frame.mode == FRAME_LINE ? '\n' : '\0'));
	buf_done(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole, pieces;

	if (size < 2 || size > 4096)
		return 0;
	struct view text = {(const char *)data + 2, size - 2};
	buf_init(&whole, BUF_LIMIT);
	buf_init(&pieces, BUF_LIMIT);
	run(data[0], 0, text, &whole);
	run(data[0], 1 + data[1] % 32u, text, &pieces);
	must(view_is_equal(buf_view(&whole), buf_view(&pieces)));
	buf_done(&whole);
	buf_done(&pieces);
	return 0;
}
