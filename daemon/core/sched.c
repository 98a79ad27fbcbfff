/*
 * sched: see sched.h. Queues and marks are looked at here, after free workers were served, so `queued` and `max_queued`
 * are tasks that had to wait.
 */
#include "core/sched.h"

#include <errno.h>

#include "core/board.h"
#include "core/finish.h"

static int sched_serve(struct board *board, struct pool *pool, uint64_t now_us)
{
	int r;

	if (board->broken < 0)
		return 0; /* no start would be written down */
	/* What came back after the stop had ended all that waited. */
	if (board->stop > STOP_DRAINING && !board->keeps && pool_waiting(pool) > 0)
		board_cancel_waiting(board, pool, now_us);
	r = pool_serve(pool, now_us);
	if (board_let_in(board, pool, now_us) > 0 && r == 0)
		r = pool_serve(pool, now_us); /* who came in may start */
	stats_mark(&pool->stats, pool->count[TASK_QUEUED], pool->count[TASK_ACTIVE]);
	return r;
}

int sched_run(struct board *board, uint64_t now_us)
{
	/* Another pool is the first each time: what they share is not always taken by the same one. */
	size_t from = board->n_scheds++ % board->settings->n_pools;
	int worst = 0;

	for (unsigned pass = 0; pass < 2; pass++) {
		struct pool *pool;
		size_t n = 0;

		TAILQ_FOREACH (pool, &board->pools, link)
			if ((n++ >= from) == (pass == 0) && sched_serve(board, pool, now_us) < 0)
				worst = -ENOMEM;
	}
	return worst;
}
