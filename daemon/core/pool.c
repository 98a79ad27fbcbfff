/*
 * pool: see pool.h.
 */
#include "core/pool.h"

#include <assert.h>
#include <errno.h>

#include "core/board.h"

int pool_new(struct board *board, const struct settings_pool *settings, uint32_t workers,
	struct pool **ret_pool)
{
	struct pool *pool = calloc(1, sizeof *pool);
	int r;

	if (pool == NULL)
		return -ENOMEM;
	pool->board = board;
	pool->settings = settings;
	pool->capacity = settings->capacity;
	pool->paused = settings->paused;
	pool->is_rule = true;
	queue_init(&pool->queue);
	slots_init(&pool->slots);
	r = slots_resize(&pool->slots, workers);
	if (r < 0) {
		pool_free(pool);
		return r;
	}
	*ret_pool = pool;
	return 0;
}

void pool_free(struct pool *pool)
{
	if (pool == NULL)
		return;
	slots_done(&pool->slots);
	free(pool);
}

uint32_t pool_ready(const struct pool *pool)
{
	return pool->paused ? 0 : pool->slots.n_free;
}

bool pool_has_room(const struct pool *pool)
{
	uint64_t waiting = pool->count[TASK_QUEUED] + pool->count[TASK_DELAYED];

	/* A burst that arrives in one turn finds the free workers too: they are served at its end. */
	return waiting < pool->capacity || waiting - pool->capacity < pool_ready(pool);
}

uint64_t pool_waiting(const struct pool *pool)
{
	uint64_t waiting = pool->count[TASK_QUEUED] + pool->count[TASK_DELAYED],
		 ready = pool_ready(pool);

	return waiting > ready ? waiting - ready : 0;
}

int pool_admit(struct pool *pool, struct task *task)
{
	int r;

	if (!pool_has_room(pool)) {
		pool->stats.counters.refused++;
		return -EAGAIN;
	}
	r = task_step(task, EV_POST);
	if (r < 0)
		return r;
	pool->stats.counters.posted++;
	queue_push(&pool->queue, task);
	return 0;
}

int pool_start_next(struct pool *pool, uint64_t now_us)
{
	struct board *board = pool->board;
	struct task *task = queue_first(&pool->queue);
	int r;

	if (task == NULL || pool_ready(pool) == 0)
		return -EAGAIN;
	if (task->timeout_us > 0) {
		r = deadline_set(&board->deadlines, &task->limit, now_us + task->timeout_us);
		if (r < 0)
			return r;
	}
	queue_remove(&pool->queue, task);
	task->slot = slot_take(&pool->slots, task);
	task->started_us = now_us;
	task->attempt++;
	task->unsent = true;
	r = task_step(task, EV_START);
	assert(r == 0); /* what is in the queue is queued */
	return r;
}

int pool_serve(struct pool *pool, uint64_t now_us)
{
	int r;

	do
		r = pool_start_next(pool, now_us);
	while (r == 0);
	return r == -EAGAIN ? 0 : r;
}

void pool_release(struct pool *pool, struct task *task)
{
	deadline_clear(&pool->board->deadlines, &task->limit);
	slot_release(&pool->slots, task->slot);
	task->slot = NULL;
	task->unsent = false;
}

void pool_take_back(struct pool *pool, struct task *task)
{
	pool_release(pool, task);
	task->started_us = 0;
	task->attempt--;
	task->asked = task->overdue = task->stopped = false;
	queue_push_front(&pool->queue, task);
}

int pool_resize(struct pool *pool, uint32_t workers)
{
	int r = slots_resize(&pool->slots, workers);

	if (r == 0)
		pool->is_rule = false;
	return r;
}

uint64_t pool_unfinished(const struct pool *pool)
{
	return pool->count[TASK_QUEUED] + pool->count[TASK_DELAYED] + pool->count[TASK_ACTIVE];
}
