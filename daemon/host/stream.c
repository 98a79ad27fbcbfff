/*
 * stream: see stream.h. Called by h_exec.c, by the thread that runs the task, for a task that is followed.
 * Invariants: the LOGs' texts in a row are what the report says, unless that had to be shortened to fit a message; a
 * character that has begun waits for its rest until the stream ends.
 */
#include "host/stream.h"

#include <errno.h>

#include "base/clock.h"
#include "host/tell.h"
#include "host/utf8.h"

#define TEXT_BYTES (64u * 1024)     /* of one LOG */
#define STEP_US    (1 * US_PER_SEC) /* between two LOGs that only count, and two tries */

void stream_init(struct stream *stream, enum hostmsg_stream number, const struct capture *capture)
{
	*stream = (struct stream){.number = number, .capture = capture};
	buf_init(&stream->text, TEXT_BYTES);
}

void stream_done(struct stream *stream)
{
	buf_done(&stream->text);
}

/* The next text into stream->text; how far that is in capture->kept. -ENOMEM. */
static int take_text(struct stream *stream, size_t *ret_told_bytes)
{
	const struct capture *capture = stream->capture;
	struct view kept = buf_view(&capture->kept), rest;
	bool is_cut = capture->total_bytes > kept.len;
	size_t end = is_cut || capture->fd >= 0 ? utf8_whole(kept) : kept.len;

	buf_truncate(&stream->text, 0);
	if (stream->told_bytes < end) {
		rest = (struct view){kept.data + stream->told_bytes, end - stream->told_bytes};
		size_t used = utf8_clean(rest, &stream->text);
		*ret_told_bytes = stream->told_bytes + used;
		return used > 0 ? 0 : -ENOMEM;
	}
	*ret_told_bytes = is_cut ? kept.len : stream->told_bytes;
	return 0;
}

/* One LOG; false: nothing is to be told now, or nothing can be. */
static bool tell_one(struct stream *stream, struct work *task)
{
	uint64_t total = stream->capture->total_bytes, now_us = clock_now_us();
	bool is_due = (stream->number == STREAM_OUT && !stream->was_told) ||
		      (total != stream->told_total &&
			      (stream->capture->fd < 0 || now_us >= stream->tried_at_us + STEP_US));
	bool has_text = stream->told_bytes < buf_len(&stream->capture->kept);

	stream->is_behind = false;
	if (!is_due && !has_text)
		return false;
	size_t told_bytes;
	int r = tell_has_room(task, stream->number) ? take_text(stream, &told_bytes) : -EAGAIN;
	bool is_told = r == 0 && (is_due || buf_len(&stream->text) > 0);
	if (is_told)
		r = tell_log(task, stream->number, total, buf_view(&stream->text));
	stream->is_behind = r < 0;
	if (r < 0 || is_told)
		stream->tried_at_us = now_us;
	if (r < 0)
		return false;
	stream->told_bytes = told_bytes;
	if (is_told) {
		stream->told_total = total;
		stream->was_told = true;
	}
	return is_told;
}

void stream_tell(struct stream *stream, struct work *task)
{
	while (tell_one(stream, task))
		;
}

uint64_t stream_due_us(const struct stream *stream)
{
	bool is_due = stream->is_behind || stream->told_total != stream->capture->total_bytes;

	return is_due ? stream->tried_at_us + STEP_US : 0;
}
