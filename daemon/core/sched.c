/*
 * sched: see sched.h. Queues and marks are looked at here, after free workers were served, so `queued` and `max_queued`
 * are tasks that had to wait.
 */
#include "core/sched.h"

#include "core/board.h"

int sched_run(struct board *board, uint64_t now_us)
{
	struct pool *pool;
	int worst = 0;

	TAILQ_FOREACH (pool, &board->pools, link) {
		int r = pool_serve(pool, now_us);

		if (r < 0)
			worst = r;
		stats_mark(&pool->stats, pool->count[TASK_QUEUED], pool->count[TASK_ACTIVE]);
	}
	return worst;
}
