/*
 * pool: see pool.h.
 */
#include "core/pool.h"

#include <assert.h>
#include <errno.h>

#include "core/board.h"
#include "core/timer.h"

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
	TAILQ_INIT(&pool->room);
	slots_init(&pool->slots);
	r = queue_init(&pool->queue, board->settings->n_handlers);
	if (r == 0)
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
	struct task *task;

	if (pool == NULL)
		return;
	while ((task = TAILQ_FIRST(&pool->room)) != NULL) {
		TAILQ_REMOVE(&pool->room, task, in_place);
		task_free(task);
	}
	queue_done(&pool->queue);
	slots_done(&pool->slots);
	free(pool);
}

uint32_t pool_ready(const struct pool *pool)
{
	return pool->paused || pool->board->stop > STOP_DRAINING ? 0 : pool->slots.n_free;
}

uint64_t pool_waiting(const struct pool *pool)
{
	return pool->count[TASK_QUEUED] + pool->count[TASK_DELAYED];
}

bool pool_has_room(const struct pool *pool)
{
	return pool_waiting(pool) < pool->capacity;
}

/* What holds a handler's tasks back now; NULL: nothing does. */
static struct resource *find_holder(
	const struct handler *handler, uint64_t now_us, uint64_t *ret_until_us)
{
	for (size_t i = 0; i < handler->n_claims; i++) {
		const struct claim *claim = &handler->claims[i];
		uint64_t units = claim->is_weighted ? handler->settings->weight : 1;

		if (resource_check(claim->resource, units, now_us, ret_until_us) != HOLD_NOT)
			return claim->resource;
	}
	return NULL;
}

bool pool_can_start(const struct pool *pool, const struct handler *handler, uint64_t now_us)
{
	uint64_t until_us;

	/* A lane that waits for a time has its turn before, though the time may be over. */
	return pool_ready(pool) > 0 && queue_first(&pool->queue) == NULL &&
	       !queue_has_tasks_of(&pool->queue, handler->index) &&
	       find_holder(handler, now_us, &until_us) == NULL;
}

/* Does it with each claim of an active task: take, give_back or take_back. */
static void pool_each_claim(const struct task *task,
	void (*act)(struct resource *resource, const struct task *task, uint64_t units))
{
	const struct handler *handler = task->handler;

	for (size_t i = 0; i < handler->n_claims; i++)
		act(handler->claims[i].resource, task,
			handler->claims[i].is_weighted ? task->slot->weight : 1);
}

static void take_units(struct resource *resource, const struct task *task, uint64_t units)
{
	resource_take(resource, task->id, units, task->started_us);
}

static void give_units_back(struct resource *resource, const struct task *task, uint64_t units)
{
	resource_give_back(resource, task->id, units);
}

static void take_units_back(struct resource *resource, const struct task *task, uint64_t units)
{
	resource_take_back(resource, task->id, units);
}

static int pool_start(struct pool *pool, struct task *task, bool is_alone, uint64_t now_us)
{
	int r = task->timeout_us > 0 ? deadlines_reserve(&pool->board->deadlines) : 0;

	if (r < 0)
		return r;
	queue_remove(&pool->queue, task);
	task->slot =
		slot_take(&pool->slots, task, (uint32_t)task->handler->settings->weight, is_alone);
	task->started_us = now_us;
	task->attempt++;
	task->unsent = true;
	pool_each_claim(task, take_units);
	r = task_step(task, EV_START);
	assert(r == 0); /* what is in the queue is queued */
	timer_arm(task);
	return r;
}

/* The first suspect, if it may start: it needs a free worker's place and the host beside the pool's own; where each worker
 * has a host to itself any will do. */
static int pool_start_suspect(struct pool *pool, uint64_t now_us)
{
	struct task *task = TAILQ_FIRST(&pool->queue.suspects);
	bool is_isolated = pool_is_isolated(pool);
	struct resource *holder;
	uint64_t until_us;
	int r;

	if (task == NULL || !(is_isolated || slots_can_run_alone(&pool->slots)))
		return -EAGAIN;
	holder = find_holder(task->handler, now_us, &until_us);
	if (holder == NULL)
		return pool_start(pool, task, !is_isolated, now_us);
	r = resource_wake_at(holder, until_us);
	return r < 0 ? r : -EAGAIN;
}

int pool_start_next(struct pool *pool, uint64_t now_us)
{
	struct resource *holder;
	struct task *task;
	uint64_t until_us;
	int r;

	if (pool_ready(pool) == 0)
		return -EAGAIN;
	r = pool_start_suspect(pool, now_us);
	if (r != -EAGAIN)
		return r;
	while ((task = queue_first(&pool->queue)) != NULL) {
		holder = find_holder(task->handler, now_us, &until_us);
		if (holder == NULL)
			return pool_start(pool, task, false, now_us);
		r = resource_wake_at(holder, until_us);
		if (r < 0)
			return r;
		TAILQ_INSERT_TAIL(
			&holder->waiting, queue_hold(&pool->queue, task, holder), in_waiting);
	}
	return -EAGAIN;
}

int pool_serve(struct pool *pool, uint64_t now_us)
{
	int r;

	do
		r = pool_start_next(pool, now_us);
	while (r == 0);
	return r == -EAGAIN ? 0 : r;
}

static void pool_release_slot(struct pool *pool, struct task *task)
{
	timer_clear(task);
	slot_release(&pool->slots, task->slot);
	task->slot = NULL;
	task->unsent = false;
}

void pool_release(struct pool *pool, struct task *task)
{
	pool_each_claim(task, give_units_back);
	pool_release_slot(pool, task);
}

void pool_take_back(struct pool *pool, struct task *task)
{
	pool_each_claim(task, take_units_back);
	pool_release_slot(pool, task);
	task->started_us = 0;
	task->attempt--;
	task->asked = task->overdue = task->stopped = task->cancelled = false;
	queue_push_back(&pool->queue, task);
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
	return pool_waiting(pool) + pool->count[TASK_ACTIVE];
}

bool pool_is_isolated(const struct pool *pool)
{
	return pool->settings->isolation == ISOLATION_TASK;
}

bool pool_wants_alone(const struct pool *pool)
{
	return (!TAILQ_EMPTY(&pool->queue.suspects) && !pool_is_isolated(pool)) ||
	       pool->slots.alone_busy > 0;
}
