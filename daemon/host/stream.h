/*
 * stream: how far the daemon has been told of one output of a program. What a capture keeps is told once, in order, as
 * text; of what it only counts the number is told.
 */
#ifndef WORKPOOL_HOST_STREAM_H
#define WORKPOOL_HOST_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "host/capture.h"
#include "wire/hostmsg.h"

struct work;

struct stream {
	enum hostmsg_stream number;
	const struct capture *capture; /* borrows: stands beside us */
	struct buf text;               /* of one LOG; kept for the next */
	size_t told_bytes;             /* of capture->kept */
	uint64_t told_total;
	uint64_t tried_at_us; /* to tell */
	bool was_told;        /* one LOG at least */
	bool is_behind;       /* there was no room for more, or no memory */
};

void stream_init(struct stream *stream, enum hostmsg_stream number, const struct capture *capture);
void stream_done(struct stream *stream);
/* Tells what there is, as far as there is room. Of STREAM_OUT one LOG, though it be empty. */
void stream_tell(struct stream *stream, struct work *task);
/* When stream_tell() is to be called, though nothing happens; 0: never. */
uint64_t stream_due_us(const struct stream *stream);

#endif
