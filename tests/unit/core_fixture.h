/*
 * core_fixture: a board with two pools, each with a host that is up, for the tests of core; and fixture_check(): what must
 * be true of a board's lists and numbers at any time. The settings may be changed between fixture_init() and _open().
 */
#ifndef WORKPOOL_TESTS_UNIT_CORE_FIXTURE_H
#define WORKPOOL_TESTS_UNIT_CORE_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <string.h>

#include "core/board.h"
#include "core/sched.h"

#define FIXTURE_POOLS 2

struct fixture {
	struct settings settings;
	struct settings_pool pools[FIXTURE_POOLS];
	struct settings_handler handlers[FIXTURE_POOLS];
	struct board *board;
	struct pool *pool;  /* "default", where fixture_post() goes */
	struct pool *other; /* "other" */
	uint64_t now_us;
	char hosts[4]; /* their addresses stand for host processes; 0 and 1 are up */
};

/* A watch that notes what it was told. */
struct heard {
	struct watch watch;
	unsigned times;
	int error;
	uint8_t state; /* enum task_state of the task at that time */
	uint64_t id;
};

static inline void heard_on_fire(struct watch *watch, struct task *task, int error)
{
	struct heard *heard = container_of(watch, struct heard, watch);

	heard->times++;
	heard->error = error;
	heard->state = task != NULL ? task->state : TASK_NEW;
	heard->id = task != NULL ? task->id : 0;
}

static inline void heard_init(struct heard *heard, struct watch_list *list)
{
	*heard = (struct heard){.watch = {.fire = heard_on_fire}};
	watch_add(list, &heard->watch);
}

/* splitmix64: the same numbers on every machine. */
static inline uint64_t fixture_random(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static inline void fixture_init(struct fixture *fx, uint32_t workers, uint64_t capacity)
{
	static char names[FIXTURE_POOLS][16] = {"default", "other"};
	static char handlers[FIXTURE_POOLS][16] = {"sleep", "echo"};

	memset(fx, 0, sizeof *fx);
	fx->now_us = 1000000;
	fx->settings.daemon.history_max = 1000;
	fx->settings.daemon.history_age_us = 3600000000;
	fx->settings.pools = fx->pools;
	fx->settings.n_pools = FIXTURE_POOLS;
	fx->settings.handlers = fx->handlers;
	fx->settings.n_handlers = FIXTURE_POOLS;
	for (unsigned i = 0; i < FIXTURE_POOLS; i++) {
		fx->pools[i].name = names[i];
		fx->pools[i].workers.number = workers;
		fx->pools[i].capacity = capacity;
		fx->handlers[i].name = handlers[i];
		fx->handlers[i].pool = names[i];
	}
}

static inline void fixture_open(struct fixture *fx)
{
	ck_assert_int_eq(board_new(&fx->settings, 1, &fx->board), 0);
	fx->pool = board_find_pool(fx->board, "default");
	fx->other = board_find_pool(fx->board, "other");
	ck_assert_ptr_nonnull(fx->pool);
	ck_assert_ptr_nonnull(fx->other);
	slots_up(&fx->pool->slots, &fx->hosts[0]);
	slots_up(&fx->other->slots, &fx->hosts[1]);
}

static inline void fixture_start(struct fixture *fx, uint32_t workers, uint64_t capacity)
{
	fixture_init(fx, workers, capacity);
	fixture_open(fx);
}

static inline int fixture_try(
	struct fixture *fx, struct pool *pool, uint64_t timeout_us, struct task **ret_task)
{
	const struct post post = {.pool = pool,
		.handler = &fx->board->handlers[0],
		.name = VIEW_LIT("name"),
		.args = VIEW_LIT("{\"ms\":1}"),
		.timeout_us = timeout_us,
		.owner_uid = 1000};

	return board_post(fx->board, &post, fx->now_us, ret_task);
}

static inline struct task *fixture_post(struct fixture *fx)
{
	struct task *task = NULL;

	ck_assert_int_eq(fixture_try(fx, fx->pool, 0, &task), 0);
	ck_assert_ptr_nonnull(task);
	return task;
}

static inline void fixture_sched(struct fixture *fx)
{
	ck_assert_int_eq(sched_run(fx->board, fx->now_us), 0);
}

/* What net does at the end of a turn: hands the next task over, or asks one to end; NULL: none is left. */
static inline struct task *fixture_take_start(struct fixture *fx)
{
	struct task *task = TAILQ_FIRST(&fx->board->starts);

	if (task != NULL) {
		TAILQ_REMOVE(&fx->board->starts, task, in_place);
		task->unsent = false;
	}
	return task;
}

static inline struct task *fixture_take_ask(struct fixture *fx)
{
	struct task *task = TAILQ_FIRST(&fx->board->asks);

	if (task != NULL) {
		TAILQ_REMOVE(&fx->board->asks, task, in_place);
		task->on_asks = false;
	}
	return task;
}

static inline void fixture_hand_over(struct fixture *fx)
{
	while (fixture_take_start(fx) != NULL)
		continue;
	while (fixture_take_ask(fx) != NULL)
		continue;
}

static inline int fixture_end(struct fixture *fx, const struct task *task, uint8_t outcome)
{
	const struct result result = {.outcome = outcome, .result = VIEW_LIT("{}")};

	return board_finish(fx->board, task->id, task->attempt, &result, fx->now_us);
}

/* How far a long test is: told when a check fails. */
static unsigned long fixture_step UNUSED;

/* As ck_assert(), which writes a mark for each that holds: too slow for what is done a million times. */
#define MUST(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond))                                                                       \
			ck_abort_msg("%s, at step %lu", #cond, fixture_step);                      \
	} while (0)

/* fixture_check(): the numbers that a walk over board->tasks gives. */
struct tally {
	uint64_t state[FIXTURE_POOLS][TASK_STATES];
	uint64_t dirty, starts, asks, ended;
};

static inline void fixture_check_task(const struct board *board, const struct task *task)
{
	bool is_active = task->state == TASK_ACTIVE;

	MUST(task->state < TASK_STATES);
	MUST(task->state != TASK_NEW);
	MUST(board_find_task(board, task->id) == task);
	MUST((task->slot != NULL) == is_active);
	MUST((task->started_us != 0 && task->ended_us == 0) == is_active);
	MUST((task->ended_us != 0) == task_is_ended(task));
	MUST(is_active || (!task->unsent && !task->on_asks));
	MUST(!task->on_asks || (task->asked && !task->unsent));
	MUST(task->dirty || task->saved == task->state);
	if (is_active) {
		MUST(task->slot->task == task);
		MUST(task->slot->state == SLOT_BUSY);
		MUST(task->slot->host != NULL);
	}
	MUST(deadline_is_set(&task->limit) ==
		(is_active && task->timeout_us > 0 && !task->overdue));
}

static inline void fixture_check_slots(const struct slots *slots, uint64_t active)
{
	uint32_t n_free = 0, n_busy = 0, n_leaving = 0, listed = 0;
	const struct slot *slot;

	MUST(slots->workers <= slots->len);
	for (uint32_t i = 0; i < slots->len; i++) {
		slot = slots->all[i];
		MUST(slot->id == i);
		MUST((slot->host != NULL) == (slot->state != SLOT_GONE));
		MUST((slot->task != NULL) == (slot->state == SLOT_BUSY));
		MUST(slot->state != SLOT_FREE || i < slots->workers);
		MUST(slot->state != SLOT_GONE || i >= slots->workers || slots->host == NULL);
		n_free += slot->state == SLOT_FREE;
		n_busy += slot->state == SLOT_BUSY;
		n_leaving += slot->state == SLOT_BUSY && i >= slots->workers;
	}
	TAILQ_FOREACH (slot, &slots->free, link) {
		MUST(slot->state == SLOT_FREE);
		MUST(++listed <= n_free);
	}
	MUST(listed == n_free);
	MUST(slots->n_free == n_free);
	MUST(slots->n_busy == n_busy);
	MUST(slots->n_leaving == n_leaving);
	MUST(n_busy == active);
}

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

static inline bool fixture_is_next(uint64_t last[FIXTURE_POOLS], const struct task *task)
{
	uint64_t *id = &last[task->pool != TAILQ_FIRST(&task->pool->board->pools)];
	bool is_next = task->id > *id;

	*id = task->id;
	return is_next;
}

static inline void fixture_check_lists(const struct board *board, const struct tally *tally)
{
	const struct task *task;
	uint64_t ended_us = 0;
	uint64_t last[FIXTURE_POOLS] = {
		0}; /* of each pool: first in, first out up to the hand-over */

	FIXTURE_COUNT(&board->dirty, in_dirty, task, tally->dirty, task->dirty);
	FIXTURE_COUNT(&board->starts, in_place, task, tally->starts,
		task->state == TASK_ACTIVE && task->unsent && !task->dirty &&
			fixture_is_next(last, task));
	FIXTURE_COUNT(&board->asks, in_place, task, tally->asks, task->on_asks);
	FIXTURE_COUNT(&board->ended, in_place, task, tally->ended,
		task_is_ended(task) && !task->dirty && task->saved == task->state &&
			task->ended_us >= ended_us && (ended_us = task->ended_us) != 0);
	MUST(board->n_ended == tally->ended);
}

static inline void fixture_check_pool(const struct pool *pool, const uint64_t state[TASK_STATES])
{
	const struct task *task;
	uint64_t sum = 0, last_id = 0;

	for (unsigned i = TASK_QUEUED; i < TASK_STATES; i++) {
		MUST(i < TASK_DONE ? pool->count[i] == state[i] : pool->count[i] >= state[i]);
		sum += pool->count[i];
	}
	MUST(pool->stats.counters.posted == sum);
	FIXTURE_COUNT(&pool->queue.tasks, in_place, task, pool->count[TASK_QUEUED],
		task->state == TASK_QUEUED && task->pool == pool && task->id > last_id &&
			(last_id = task->id) != 0);
	fixture_check_slots(&pool->slots, pool->count[TASK_ACTIVE]);
}

static inline void fixture_check(const struct fixture *fx)
{
	const struct board *board = fx->board;
	struct tally tally = {0};
	const struct task *task;
	uint64_t last_id = 0;

	TAILQ_FOREACH (task, &board->tasks, in_all) {
		fixture_check_task(board, task);
		MUST(task->id > last_id);
		last_id = task->id;
		tally.state[task->pool == fx->other][task->state]++;
		tally.dirty += task->dirty;
		tally.starts += task->unsent && !task->dirty;
		tally.asks += task->on_asks;
		tally.ended += task_is_ended(task) && !task->dirty;
	}
	MUST(last_id <= board->last_id);
	fixture_check_lists(board, &tally);
	fixture_check_pool(fx->pool, tally.state[0]);
	fixture_check_pool(fx->other, tally.state[1]);
	for (unsigned i = TASK_QUEUED; i < TASK_STATES; i++)
		MUST(board->handlers[0].count[i] + board->handlers[1].count[i] ==
			fx->pool->count[i] + fx->other->count[i]);
}

/* Steps 2 to 7 of a turn; error: what the commit says. */
static inline void fixture_turn(struct fixture *fx, int error)
{
	deadline_run(&fx->board->deadlines, fx->now_us);
	fixture_sched(fx);
	fixture_check(fx);
	if (error == 0)
		board_settle(fx->board, fx->now_us);
	else
		board_undo(fx->board, error);
	fixture_check(fx);
	fixture_hand_over(fx);
	board_sweep(fx->board);
	fixture_check(fx);
}

static inline void fixture_close(struct fixture *fx)
{
	fixture_check(fx);
	board_free(fx->board);
	fx->board = NULL;
}

/* The end of every main(): runs the suite's one case and says with the exit code how it went. */
static inline int fixture_run(const char *name, TCase *tcase)
{
	Suite *suite = suite_create(name);
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}

#endif
