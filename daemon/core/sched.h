/*
 * sched: free slots take queued tasks. Step 3 of the turn; only in memory.
 */
#ifndef WORKPOOL_CORE_SCHED_H
#define WORKPOOL_CORE_SCHED_H

#include <stdint.h>

#include "base/mem.h"

struct board;

/* Starts what may start in every pool, then notes the marks. -ENOMEM: some waiting task could not be started now. */
int sched_run(struct board *board, uint64_t now_us) MUST_CHECK;

#endif
