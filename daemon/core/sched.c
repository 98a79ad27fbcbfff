/*
 * sched: see sched.h. Queues and marks are looked at here, after free workers were served, so `queued` and `max_queued`
 * are tasks that had to wait.
 */
#include "core/sched.h"

#include <errno.h>

#include "core/board.h"

int sched_run(struct board *board, uint64_t now_us)
{
	struct pool *pool;
	int worst = 0;

	TAILQ_FOREACH (pool, &board->pools, link) {
		int r;

		do
			r = pool_start_next(pool, now_us);
		while (r == 0);
		if (r != -EAGAIN)
			worst = r;
		stats_mark(&pool->stats, pool->count[TASK_QUEUED], pool->count[TASK_ACTIVE]);
	}
	return worst;
}
