/*
 * finish: the rest of what ends tasks, for the board itself; board.h has what others call.
 */
#ifndef WORKPOOL_CORE_FINISH_H
#define WORKPOOL_CORE_FINISH_H

#include <stdint.h>

#include "base/buf.h"

struct board;
struct pool;
struct task;

/* What the task, or its attempt, ended with: copies, with the task's times. -ENOMEM: nothing is known of it then. */
int finish_set_end(struct task *task, struct view reason, struct view result) MUST_CHECK;

/* All that waits in a pool ends, because the daemon stops and nothing keeps it. */
void board_cancel_waiting(struct board *board, struct pool *pool, uint64_t now_us);

#endif
