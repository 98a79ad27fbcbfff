/*
 * follow: what a task's program writes, byte for byte, and how the task ended. For log and post --follow.
 */
#ifndef WORKPOOL_CLIENT_FOLLOW_H
#define WORKPOOL_CLIENT_FOLLOW_H

#include <stdbool.h>

#include "base/mem.h"

struct ctl;

/* The output so far; to_end: as it comes, until the task has ended, and the code is that of its end. A code as in
 * fault.h. */
int follow_task(struct ctl *ctl, const char *id, bool to_end) MUST_CHECK;

#endif
