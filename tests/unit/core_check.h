/*
 * core_check: fixture_check(): what must be true of a board's lists and numbers at any time, also between two commands of
 * one turn; fixture_check_served(): what must be true after sched_run() besides. Part of core_fixture.h.
 */
#ifndef WORKPOOL_TESTS_UNIT_CORE_CHECK_H
#define WORKPOOL_TESTS_UNIT_CORE_CHECK_H

#include <search.h>

#include "core/unique.h"

/* The numbers that a walk over board->tasks gives. */
struct tally {
	uint64_t state[FIXTURE_POOLS][TASK_STATES];
	uint64_t dirty, starts, asks, stuck, ended, keyed;
};

/* A list may hold a task only once, and only tasks that say so: a task that is on two lists breaks one of the counts. */
#define FIXTURE_COUNT(list, member, task, expected, is_right)                                      \
	do {                                                                                       \
		uint64_t count_ = 0;                                                               \
		struct task *const *prev_ = &TAILQ_FIRST(list);                                    \
		TAILQ_FOREACH (task, list, member) {                                               \
			MUST(*(task)->member.tqe_prev == task);                                    \
			MUST((task)->member.tqe_prev == prev_);                                    \
			MUST(is_right);                                                            \
			MUST(++count_ <= expected);                                                \
			prev_ = &TAILQ_NEXT(task, member);                                         \
		}                                                                                  \
		MUST(count_ == expected);                                                          \
	} while (0)

/* When the one timer must fire, UINT64_MAX: it must not be set. Written from the manual's words, not from timer.c. */
static inline uint64_t fixture_timer_at(const struct task *task)
{
	uint64_t expires_us =
		task->expires_us != 0 && task->attempt == 0 ? task->expires_us : UINT64_MAX;

	switch (task->state) {
	case TASK_NEW:
		return task->in_room ? task->due_us : UINT64_MAX;
	case TASK_QUEUED:
		return expires_us;
	case TASK_DELAYED:
		return expires_us < task->due_us ? expires_us : task->due_us;
	case TASK_ACTIVE:
		if (task->asked)
			return task->stuck ? UINT64_MAX
					   : task->slot->asked_us +
						     task->handler->settings->kill_after_us +
						     2 * US_PER_SEC;
		return task->timeout_us > 0 ? task->started_us + task->timeout_us : UINT64_MAX;
	default:
		return UINT64_MAX;
	}
}

static inline void fixture_check_timer(const struct fixture *fx, const struct task *task)
{
	uint64_t at_us = fixture_timer_at(task);

	if (fixture_is_lax && !deadline_is_set(&task->timer))
		return;
	MUST(deadline_is_set(&task->timer) == (at_us != UINT64_MAX));
	/* Set while deadlines run for a time that is over: the next run has it. */
	if (at_us != UINT64_MAX)
		MUST(deadline_at(&task->timer) == at_us ||
			(at_us <= fx->now_us && deadline_at(&task->timer) <= fx->now_us + 1));
}

static inline struct task *fixture_holder_of(const struct task *task)
{
	const struct view key = {task_unique(task), task->unique_len};

	return unique_find(task->pool->board, task->handler, task->owner_uid, key);
}

static inline void fixture_check_key(const struct task *task)
{
	if (task->unique_len > 0)
		MUST((fixture_holder_of(task) == task) == !task_is_ended(task));
}

static inline void fixture_check_active(const struct task *task)
{
	MUST(task->slot->task == task && task->slot->state == SLOT_BUSY);
	MUST(task->slot->host != NULL && (!task->slot->is_alone || task->suspect));
	MUST(!task->suspect || slots_count_of(&task->pool->slots, task->slot->host) == 1);
	MUST(task->attempt > 0);
	MUST(!task->on_asks || (task->asked && !task->unsent));
	MUST(!task->on_stuck || (task->stuck && !task->on_asks));
	MUST(!task->stuck || (task->asked && !task->unsent));
	MUST(task->asked == (task->overdue || task->cancelled || task->stopped));
}

static inline void fixture_check_task(const struct fixture *fx, const struct task *task)
{
	bool is_active = task->state == TASK_ACTIVE;

	MUST(task->state < TASK_STATES && task->state != TASK_NEW && !task->in_room);
	MUST(board_find_task(fx->board, task->id) == task);
	MUST((task->slot != NULL) == is_active);
	MUST((task->started_us != 0 && task->ended_us == 0) == is_active);
	MUST((task->ended_us != 0) == task_is_ended(task));
	MUST(is_active || (!task->unsent && !task->on_starts && !task->on_asks && !task->on_stuck));
	MUST(task->dirty ? task->unsent || !task->on_starts : task->unsent == task->on_starts);
	MUST(is_active || task_is_ended(task) ||
		(!task->asked && !task->overdue && !task->cancelled && !task->stopped &&
			!task->stuck));
	MUST(task->state != TASK_DELAYED || !task->suspect);
	MUST(task->dirty || (task->saved == task->state && task->news == 0));
	if (is_active)
		fixture_check_active(task);
	fixture_check_timer(fx, task);
	fixture_check_key(task);
}

static inline void fixture_check_slots(const struct slots *slots, uint64_t active)
{
	uint32_t n_free = 0, n_busy = 0, n_leaving = 0, n_alone = 0, listed = 0;
	const struct slot *slot;

	MUST(slots->workers <= slots->len);
	for (uint32_t i = 0; i < slots->len; i++) {
		slot = slots->all[i];
		MUST(slot->id == i);
		MUST((slot->host != NULL) == (slot->state != SLOT_GONE));
		MUST((slot->task != NULL) == (slot->state == SLOT_BUSY));
		MUST(slot->state != SLOT_FREE || i < slots->workers);
		MUST(slot->state != SLOT_FREE || slot->host == slot->runner);
		MUST(slot->state != SLOT_GONE || i >= slots->workers || slot->runner == NULL);
		MUST(slots->host == NULL || slot->runner == slots->host);
		MUST(slot->state == SLOT_BUSY || !slot->is_alone);
		MUST(slot->state == SLOT_BUSY || slot->progress == NULL);
		n_free += slot->state == SLOT_FREE;
		n_busy += slot->state == SLOT_BUSY;
		n_leaving += slot->state == SLOT_BUSY && i >= slots->workers;
		n_alone += slot->is_alone;
	}
	TAILQ_FOREACH (slot, &slots->free, link) {
		MUST(slot->state == SLOT_FREE);
		MUST(++listed <= n_free);
	}
	MUST(listed == n_free && slots->n_free == n_free);
	MUST(slots->n_busy == n_busy && n_busy == active);
	MUST(slots->n_leaving == n_leaving);
	MUST(slots->alone_busy == n_alone && n_alone <= 1);
}

static inline void fixture_check_lists(const struct board *board, const struct tally *tally)
{
	const struct task *task;
	uint64_t ended_us = 0, n_refused = 0;

	FIXTURE_COUNT(&board->dirty, in_dirty, task, tally->dirty, task->dirty);
	FIXTURE_COUNT(&board->starts, in_place, task, tally->starts,
		task->on_starts && task->state == TASK_ACTIVE && task->unsent);
	FIXTURE_COUNT(&board->asks, in_place, task, tally->asks, task->on_asks);
	FIXTURE_COUNT(&board->stuck, in_place, task, tally->stuck, task->on_stuck);
	FIXTURE_COUNT(&board->ended, in_place, task, tally->ended,
		task_is_ended(task) && !task->dirty && task->saved == task->state &&
			task->ended_us >= ended_us && (ended_us = task->ended_us) != 0);
	MUST(board->n_ended == tally->ended);
	TAILQ_FOREACH (task, &board->refused, in_place)
		n_refused++;
	FIXTURE_COUNT(&board->refused, in_place, task, n_refused,
		task->state == TASK_NEW && task->id == 0 && !task->in_room && task->refusal < 0 &&
			!deadline_is_set(&task->timer) &&
			(task->unique_len == 0 || fixture_holder_of(task) != task));
}

static inline uint64_t fixture_count_waiting(const struct lane *lane)
{
	const struct lane *other;
	uint64_t n = 0;

	TAILQ_FOREACH (other, &lane->holder->waiting, in_waiting)
		n += other == lane;
	return n;
}

static inline void fixture_check_lane(
	const struct queue *queue, const struct pool *pool, const struct lane *lane, size_t i)
{
	const struct task *task, *first = NULL;
	uint64_t sum = 0;

	for (unsigned p = 0; p < TASK_PRIORITIES; p++) {
		uint64_t n = 0, seq = 0;

		TAILQ_FOREACH (task, &lane->tasks[p], in_place)
			n++;
		FIXTURE_COUNT(&lane->tasks[p], in_place, task, n,
			task->state == TASK_QUEUED && task->pool == pool &&
				task->handler->index == i && task->priority == p &&
				!task->suspect && task->seq > seq &&
				(seq = task->seq) <= queue->last_seq);
		MUST((lane->used >> p & 1) == (n > 0));
		if (first == NULL)
			first = TAILQ_FIRST(&lane->tasks[p]);
		sum += n;
	}
	MUST(lane->len == sum && lane->queue == queue);
	MUST(heap_is_member(&lane->node) == (first != NULL && lane->holder == NULL));
	if (heap_is_member(&lane->node))
		MUST(lane->node.key == first->priority && lane->node.seq == first->seq);
	if (lane->holder != NULL)
		MUST(first != NULL && fixture_count_waiting(lane) == 1);
}

static inline void fixture_check_queue(const struct pool *pool)
{
	const struct queue *queue = &pool->queue;
	uint64_t sum = 0, n_ready = 0, n_suspects = 0, seq = 0;
	const struct task *task;

	for (size_t i = 0; i < queue->n_lanes; i++) {
		if (queue->lanes[i] == NULL)
			continue;
		fixture_check_lane(queue, pool, queue->lanes[i], i);
		sum += queue->lanes[i]->len;
		n_ready += heap_is_member(&queue->lanes[i]->node);
	}
	MUST(queue->ready.len == n_ready);
	TAILQ_FOREACH (task, &queue->suspects, in_place)
		n_suspects++;
	FIXTURE_COUNT(&queue->suspects, in_place, task, n_suspects,
		task->state == TASK_QUEUED && task->pool == pool && task->suspect &&
			task->seq > seq && (seq = task->seq) != 0);
	MUST(sum + n_suspects == pool->count[TASK_QUEUED]);
}

static inline void fixture_check_room(
	const struct fixture *fx, const struct pool *pool, struct tally *tally)
{
	const struct task *task;

	FIXTURE_COUNT(&pool->room, in_place, task, pool->n_room,
		task->state == TASK_NEW && task->id == 0 && task->in_room && !task->dirty &&
			task->pool == pool);
	TAILQ_FOREACH (task, &pool->room, in_place) {
		fixture_check_timer(fx, task);
		fixture_check_key(task);
		tally->keyed += task->unique_len > 0;
	}
}

static inline void fixture_check_pool(const struct pool *pool, const uint64_t state[TASK_STATES])
{
	uint64_t sum = 0;

	for (unsigned i = TASK_QUEUED; i < TASK_STATES; i++) {
		MUST(i < TASK_DONE ? pool->count[i] == state[i] : pool->count[i] >= state[i]);
		sum += pool->count[i];
	}
	MUST(pool->stats.counters.posted == sum);
	fixture_check_queue(pool);
	fixture_check_slots(&pool->slots, pool->count[TASK_ACTIVE]);
}

static inline uint64_t fixture_units(const struct task *task, const struct resource *resource)
{
	uint64_t units = 0;

	for (size_t i = 0; i < task->handler->n_claims; i++)
		if (task->handler->claims[i].resource == resource)
			units += task->handler->claims[i].is_weighted ? task->slot->weight : 1;
	return units;
}

/* What the first task of a lane would take of it. */
static inline uint64_t fixture_units_wanted(
	const struct lane *lane, const struct resource *resource)
{
	const struct task *first = TAILQ_FIRST(&lane->tasks[__builtin_ctz(lane->used)]);

	return resource->kind == RESOURCE_NAMED ? first->handler->settings->weight : 1;
}

/* The units of those that are active, the trial, and that nobody waits who would not be woken. */
static inline void fixture_check_resource(const struct fixture *fx, const struct resource *resource)
{
	bool has_trial = false;
	const struct task *task;
	const struct lane *lane;
	uint64_t active = 0;

	BOARD_FOREACH(task, fx->board)
	{
		if (task->state != TASK_ACTIVE)
			continue;
		active += fixture_units(task, resource);
		has_trial |= task->id == resource->trial && fixture_units(task, resource) > 0;
	}
	MUST(resource->active == active);
	MUST(resource->breaker != BREAKER_HALF_OPEN || has_trial);
	MUST(resource->breaker == BREAKER_CLOSED || resource->limits.breaker_failures > 0);
	MUST(resource->breaker == BREAKER_CLOSED || resource->failures == 0);
	TAILQ_FOREACH (lane, &resource->waiting, in_waiting) {
		uint64_t until_us;
		uint64_t units = fixture_units_wanted(lane, resource);
		enum hold hold = resource_check(resource, units, fx->now_us, &until_us);

		MUST(lane->holder == resource);
		if (hold == HOLD_RATE || (hold == HOLD_BREAKER && until_us != UINT64_MAX))
			MUST(deadline_is_set(&resource->wake) &&
				deadline_at(&resource->wake) <= until_us);
		if (hold == HOLD_NOT)
			MUST(deadline_is_set(&resource->wake) &&
				deadline_at(&resource->wake) <= fx->now_us);
	}
}

static inline void fixture_check_resources(const struct fixture *fx)
{
	const struct board *board = fx->board;

	fixture_check_resource(fx, &board->total);
	for (size_t i = 0; i < board->settings->n_handlers; i++)
		fixture_check_resource(fx, &board->handlers[i].own);
	for (size_t i = 0; i < board->settings->n_resources; i++)
		fixture_check_resource(fx, &board->resources[i]);
}

static inline void fixture_count_key(const void *node, VISIT visit, void *count)
{
	(void)node;
	*(uint64_t *)count += visit == leaf || visit == postorder;
}

static inline void fixture_check_numbers(const struct fixture *fx)
{
	for (unsigned state = TASK_QUEUED; state < TASK_STATES; state++) {
		uint64_t sum = 0;

		for (size_t i = 0; i < fx->settings.n_handlers; i++)
			sum += fx->board->handlers[i].count[state];
		MUST(sum == fx->pool->count[state] + fx->other->count[state]);
	}
}

static inline void fixture_check(const struct fixture *fx)
{
	const struct board *board = fx->board;
	struct tally tally = {0};
	uint64_t last_id = 0, n_keys = 0;
	const struct task *task;

	BOARD_FOREACH(task, board)
	{
		fixture_check_task(fx, task);
		MUST(task->id > last_id);
		last_id = task->id;
		tally.state[task->pool == fx->other][task->state]++;
		tally.dirty += task->dirty;
		tally.starts += task->on_starts;
		tally.asks += task->on_asks;
		tally.stuck += task->on_stuck;
		tally.ended += task_is_ended(task) && !task->dirty;
		tally.keyed += task->unique_len > 0 && !task_is_ended(task);
	}
	MUST(last_id <= board->last_id);
	fixture_check_lists(board, &tally);
	fixture_check_room(fx, fx->pool, &tally);
	fixture_check_room(fx, fx->other, &tally);
	fixture_check_pool(fx->pool, tally.state[0]);
	fixture_check_pool(fx->other, tally.state[1]);
	fixture_check_resources(fx);
	fixture_check_numbers(fx);
	twalk_r(board->uniques, fixture_count_key, &n_keys);
	MUST(n_keys == tally.keyed);
}

static inline bool fixture_is_held(const struct handler *handler, uint64_t now_us)
{
	for (size_t i = 0; i < handler->n_claims; i++) {
		const struct claim *claim = &handler->claims[i];
		uint64_t until_us, units = claim->is_weighted ? handler->settings->weight : 1;

		if (resource_check(claim->resource, units, now_us, &until_us) != HOLD_NOT)
			return true;
	}
	return false;
}

/* After sched_run(): nobody waits who could run, and nobody waits for room who could come in. */
static inline void fixture_check_served(const struct fixture *fx)
{
	const struct pool *pool;

	TAILQ_FOREACH (pool, &fx->board->pools, link) {
		const struct task *suspect = TAILQ_FIRST(&pool->queue.suspects);

		MUST(TAILQ_EMPTY(&pool->room) || !pool_has_room(pool));
		if (pool_ready(pool) == 0)
			continue;
		for (size_t i = 0; i < pool->queue.n_lanes; i++)
			MUST(pool->queue.lanes[i] == NULL || pool->queue.lanes[i]->len == 0 ||
				fixture_is_held(&fx->board->handlers[i], fx->now_us));
		if (suspect != NULL &&
			(pool_is_isolated(pool) || slots_can_run_alone(&pool->slots)))
			MUST(fixture_is_held(suspect->handler, fx->now_us));
	}
}

#endif
