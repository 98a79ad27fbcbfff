/*
 * tasklog: the method Log; here is what the hosts' words of output come to.
 */
#ifndef WORKPOOL_API_TASKLOG_H
#define WORKPOOL_API_TASKLOG_H

#include <stdint.h>

#include "base/buf.h"

struct api;
struct daemon;
struct task;

/* The next bytes of a stream (1: standard output, 2: error) of which the program has written `total` so far: the hook for
 * linkmsg.c. */
void tasklog_on_log(
	struct daemon *daemon, struct task *task, uint8_t stream, uint64_t total, struct view text);
void tasklog_close(struct api *api);

#endif
