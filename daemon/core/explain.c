/*
 * explain: see explain.h.
 */
#include "core/explain.h"

#include "base/clock.h"
#include "core/board.h"

#define ROOM_MIN_US     US_PER_MS
#define ROOM_MAX_US     (60 * US_PER_SEC)
#define ROOM_DEFAULT_US US_PER_SEC /* nothing has been measured, or nothing ends by itself */
#define LATELY_SECONDS  10

/* What keeps a task from starting though a worker were free. */
struct holder {
	const struct resource *resource; /* NULL: nothing */
	enum hold hold;
	uint64_t units; /* that the task would take of it */
	uint64_t until_us;
};

/* What is not over by itself in a moment goes before a rate: that is what the task really waits for. */
static struct holder find_holder(const struct handler *handler, uint64_t now_us)
{
	struct holder found = {0};

	for (size_t i = 0; i < handler->n_claims; i++) {
		const struct claim *claim = &handler->claims[i];
		struct holder holder = {.resource = claim->resource,
			.units = claim->is_weighted ? handler->settings->weight : 1};

		holder.hold =
			resource_check(claim->resource, holder.units, now_us, &holder.until_us);
		if (holder.hold == HOLD_NOT)
			continue;
		if (holder.hold != HOLD_RATE)
			return holder;
		if (found.resource == NULL)
			found = holder;
	}
	return found;
}

/* --- the position -------------------------------------------------------------------------- */

struct walk {
	uint64_t ahead;
	uint32_t left; /* tasks that may still be looked at */
};

/* Counts the tasks of a list that came before `seq`. */
static void walk_list(struct walk *walk, const struct task_list *list, uint64_t seq)
{
	const struct task *task;

	TAILQ_FOREACH (task, list, in_place) {
		if (task->seq >= seq || walk->left == 0)
			return;
		walk->left--;
		walk->ahead++;
	}
}

static void walk_lane(struct walk *walk, const struct lane *lane, const struct task *task)
{
	if (lane->used >> task->priority == 0) { /* all of them are more urgent */
		walk->ahead += lane->len;
		return;
	}
	for (unsigned priority = 0; priority < task->priority; priority++)
		walk_list(walk, &lane->tasks[priority], UINT64_MAX);
	walk_list(walk, &lane->tasks[task->priority], task->seq);
}

/* How many tasks of its own lane, and of the others that nothing holds back, are ahead of a queued task. */
static void count_ahead(
	const struct task *task, uint64_t now_us, struct walk *own, struct walk *all)
{
	const struct pool *pool = task->pool;
	const struct queue *queue = &pool->queue;

	*own = *all = (struct walk){.left = EXPLAIN_LOOK_MAX};
	if (task->suspect) {
		walk_list(own, &queue->suspects, task->seq);
		*all = *own;
		return;
	}
	walk_lane(own, queue->lanes[task->handler->index], task);
	*all = *own;
	if (pool_is_isolated(pool))
		walk_list(all, &queue->suspects, UINT64_MAX);
	else
		all->ahead += !TAILQ_EMPTY(&queue->suspects) && slots_can_run_alone(&pool->slots);
	for (size_t i = 0; i < queue->n_lanes && all->left > 0; i++) {
		const struct lane *lane = queue->lanes[i];

		if (i != task->handler->index && lane != NULL && lane->len > 0 &&
			find_holder(&pool->board->handlers[i], now_us).resource == NULL)
			walk_lane(all, lane, task);
	}
}

/* --- how long ------------------------------------------------------------------------------ */

/* Until one more than `ahead` tasks of this length have ended, `at_once` of which run at the same time. */
static uint64_t time_of(const struct hist *run, uint64_t ahead, uint64_t at_once)
{
	if (run->count == 0)
		return EXPLAIN_UNKNOWN;
	return (uint64_t)((double)hist_mean(run) * (double)(ahead + 1) /
			  (double)(at_once > 0 ? at_once : 1));
}

static const struct hist *run_times(const struct task *task)
{
	const struct times *own = task->handler->times;

	return own != NULL && own->run.count > 0 ? &own->run : &task->pool->stats.times.run;
}

static enum waits_for holder_kind(const struct holder *holder)
{
	if (holder->hold == HOLD_BREAKER)
		return WAITS_FOR_BREAKER;
	if (holder->hold == HOLD_RATE)
		return WAITS_FOR_RATE;
	return holder->resource->kind == RESOURCE_DAEMON    ? WAITS_FOR_DAEMON
	       : holder->resource->kind == RESOURCE_HANDLER ? WAITS_FOR_HANDLER
							    : WAITS_FOR_RESOURCE;
}

/* own: the tasks ahead that want the same of the same resource. */
static void explain_holder(const struct task *task, const struct holder *holder, uint64_t own,
	uint64_t now_us, struct explanation *ret)
{
	const struct resource_limits *limits = &holder->resource->limits;

	ret->waits_for = holder_kind(holder);
	if (holder->resource->kind == RESOURCE_NAMED)
		ret->resource = holder->resource;
	if (holder->hold == HOLD_CAP) {
		ret->estimate_us =
			time_of(run_times(task), own, limits->max_active / holder->units);
		return;
	}
	if (holder->until_us == UINT64_MAX) /* a trial runs: its end tells */
		return;
	ret->until_us = holder->until_us;
	ret->estimate_us = holder->until_us - now_us;
	if (holder->hold == HOLD_RATE)
		ret->estimate_us += own * US_PER_SEC / limits->rate;
}

static void explain_queued(const struct task *task, uint64_t now_us, struct explanation *ret)
{
	const struct pool *pool = task->pool;
	const struct slots *slots = &pool->slots;
	struct holder holder = find_holder(task->handler, now_us);
	struct walk own, all;

	count_ahead(task, now_us, &own, &all);
	ret->position = all.ahead + 1;
	ret->position_is_least = all.left == 0;
	if (pool->paused) {
		ret->waits_for = WAITS_FOR_PAUSED;
	} else if (!slots_has_host(slots)) {
		ret->waits_for = WAITS_FOR_HOST;
	} else if (task->suspect && !pool_is_isolated(pool) &&
		   (own.ahead > 0 || !slots_can_run_alone(slots))) {
		ret->waits_for = WAITS_FOR_ALONE;
		ret->estimate_us = time_of(run_times(task), own.ahead, 1);
	} else if (holder.resource != NULL && (slots->n_free > 0 || holder.hold != HOLD_RATE)) {
		explain_holder(task, &holder, own.ahead, now_us, ret);
	} else if (slots->n_free == 0) {
		ret->waits_for = WAITS_FOR_WORKERS;
		ret->estimate_us = time_of(&pool->stats.times.run, all.ahead, slots->workers);
	}
}

void explain_task(const struct task *task, uint64_t now_us, struct explanation *ret_explanation)
{
	*ret_explanation = (struct explanation){.estimate_us = EXPLAIN_UNKNOWN};
	if (task->pool->board->broken < 0 && task_told_state(task) < TASK_ACTIVE) {
		ret_explanation->waits_for = WAITS_FOR_STORE;
	} else if (task->state == TASK_QUEUED) {
		explain_queued(task, now_us, ret_explanation);
	} else if (task->state == TASK_DELAYED) {
		ret_explanation->waits_for = WAITS_FOR_DELAY;
		ret_explanation->until_us = task->due_us;
		ret_explanation->estimate_us = task->due_us > now_us ? task->due_us - now_us : 0;
	}
}

/* Without ends nothing has been measured: how long tasks take tells when there will be one. */
static double room_interval_us(const struct pool *pool, uint64_t now_us)
{
	const struct hist *run = &pool->stats.times.run;
	double rate = rate_over(&pool->stats.ended, now_us, 1);

	if (rate <= 0)
		rate = rate_over(&pool->stats.ended, now_us, LATELY_SECONDS);
	if (rate > 0)
		return (double)US_PER_SEC / rate;
	return run->count > 0 ? (double)hist_mean(run) / pool->slots.workers
			      : (double)ROOM_DEFAULT_US;
}

uint64_t explain_room_us(const struct pool *pool, uint64_t now_us)
{
	uint64_t waiting = pool_waiting(pool);
	uint64_t too_many = waiting > pool->capacity ? waiting - pool->capacity : 0;
	double us;

	if (pool->paused || !slots_has_host(&pool->slots))
		return ROOM_DEFAULT_US; /* nothing leaves the queue: who knows how long */
	us = room_interval_us(pool, now_us) * (double)(1 + too_many + pool->n_room);
	return us < (double)ROOM_MIN_US   ? ROOM_MIN_US
	       : us > (double)ROOM_MAX_US ? ROOM_MAX_US
					  : (uint64_t)us;
}

static const char *const words[WAITS_FOR_KINDS] = {
	[WAITS_FOR_NOTHING] = "nothing",
	[WAITS_FOR_DELAY] = "delay",
	[WAITS_FOR_PAUSED] = "paused",
	[WAITS_FOR_HOST] = "host",
	[WAITS_FOR_ALONE] = "alone",
	[WAITS_FOR_DAEMON] = "daemon",
	[WAITS_FOR_HANDLER] = "handler",
	[WAITS_FOR_RESOURCE] = "resource",
	[WAITS_FOR_RATE] = "rate",
	[WAITS_FOR_BREAKER] = "breaker",
	[WAITS_FOR_WORKERS] = "workers",
	[WAITS_FOR_STORE] = "store",
};

const char *explain_word(enum waits_for waits_for)
{
	return words[waits_for];
}
