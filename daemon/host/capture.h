/*
 * capture: what a program writes to one pipe: the first `limit` bytes are kept, the rest is read and counted.
 */
#ifndef WORKPOOL_HOST_CAPTURE_H
#define WORKPOOL_HOST_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct capture {
	int fd; /* owns: non-blocking; -1: ended */
	struct buf kept;
	uint64_t total_bytes;
};

void capture_init(struct capture *capture, int fd, size_t limit);
void capture_done(struct capture *capture);
void capture_reset(struct capture *capture); /* from here on it counts and keeps anew */
/* One read. At the end of the file, or an error, fd becomes -1. false: nothing was there. */
bool capture_read(struct capture *capture);
/* What is in the pipe now, and no more than a pipe holds. */
void capture_catch_up(struct capture *capture);
/* The same; then fd is closed. */
void capture_drain(struct capture *capture);

#endif
