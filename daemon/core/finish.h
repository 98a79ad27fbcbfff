/*
 * finish: the rest of what ends tasks, for the board itself; board.h has what others call.
 */
#ifndef WORKPOOL_CORE_FINISH_H
#define WORKPOOL_CORE_FINISH_H

#include <stdint.h>

struct board;
struct pool;

/* All that waits in a pool ends, because the daemon stops and nothing keeps it. */
void board_cancel_waiting(struct board *board, struct pool *pool, uint64_t now_us);

#endif
