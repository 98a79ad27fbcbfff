/*
 * core_fixture: a board with two pools, each with a host that is up, three handlers and two resources that none of them
 * uses at first, for the tests of core. The settings may be changed between fixture_init() and _open(). fixture_check() is
 * in core_check.h.
 */
#ifndef WORKPOOL_TESTS_UNIT_CORE_FIXTURE_H
#define WORKPOOL_TESTS_UNIT_CORE_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "core/board.h"
#include "core/sched.h"

#define FIXTURE_POOLS     2
#define FIXTURE_HANDLERS  3
#define FIXTURE_RESOURCES 2

struct fixture {
	struct settings settings;
	struct settings_pool pools[FIXTURE_POOLS];
	struct settings_handler handlers[FIXTURE_HANDLERS];
	struct settings_resource resources[FIXTURE_RESOURCES];
	uint32_t used[FIXTURE_HANDLERS][FIXTURE_RESOURCES];
	struct board *board;
	struct pool *pool;  /* "default", where fixture_post() goes */
	struct pool *other; /* "other" */
	uint64_t now_us;
	char hosts
		[6]; /* their addresses stand for host processes; 0 and 1 are up, the last two run suspects */
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

static inline void fixture_init_handler(struct settings_handler *row, char *name, char *pool)
{
	*row = (struct settings_handler){.name = name,
		.pool = pool,
		.kill_after_us = 5 * US_PER_SEC,
		.backoff_min_us = US_PER_SEC,
		.backoff_max_us = 600 * US_PER_SEC,
		.crash_max = 2,
		.weight = 1,
		.priority = 5};
}

static inline void fixture_init(struct fixture *fx, uint32_t workers, uint64_t capacity)
{
	static char names[FIXTURE_POOLS][16] = {"default", "other"};
	static char handlers[FIXTURE_HANDLERS][16] = {"sleep", "echo", "mail"};
	static char resources[FIXTURE_RESOURCES][16] = {"db", "net"};

	memset(fx, 0, sizeof *fx);
	fx->now_us = 1000000;
	fx->settings.daemon.history_max = 1000;
	fx->settings.daemon.history_age_us = 3600000000;
	fx->settings.pools = fx->pools;
	fx->settings.n_pools = FIXTURE_POOLS;
	fx->settings.handlers = fx->handlers;
	fx->settings.n_handlers = FIXTURE_HANDLERS;
	fx->settings.resources = fx->resources;
	fx->settings.n_resources = FIXTURE_RESOURCES;
	for (unsigned i = 0; i < FIXTURE_POOLS; i++) {
		fx->pools[i].name = names[i];
		fx->pools[i].workers.number = workers;
		fx->pools[i].capacity = capacity;
	}
	for (unsigned i = 0; i < FIXTURE_HANDLERS; i++) {
		fixture_init_handler(&fx->handlers[i], handlers[i], names[i % FIXTURE_POOLS]);
		fx->handlers[i].resource_at = fx->used[i];
	}
	for (unsigned i = 0; i < FIXTURE_RESOURCES; i++)
		fx->resources[i] = (struct settings_resource){
			.name = resources[i], .burst = 1, .breaker_pause_us = 5 * US_PER_SEC};
}

/* The handler's tasks claim this resource. Between fixture_init() and _open(). */
static inline void fixture_use(struct fixture *fx, unsigned handler, uint32_t resource)
{
	fx->used[handler][fx->handlers[handler].n_resources++] = resource;
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

/* A plain post for handler 0; the test changes what it is about. */
static inline struct post fixture_make_post(const struct fixture *fx, struct pool *pool)
{
	return (struct post){.pool = pool,
		.handler = &fx->board->handlers[0],
		.name = VIEW_LIT("name"),
		.args = VIEW_LIT("{\"ms\":1}"),
		.priority = 5,
		.owner_uid = 1000};
}

static inline int fixture_try(
	struct fixture *fx, struct pool *pool, uint64_t timeout_us, struct task **ret_task)
{
	struct post post = fixture_make_post(fx, pool);

	post.timeout_us = timeout_us;
	return board_post(fx->board, &post, fx->now_us, ret_task);
}

static inline struct task *fixture_post_as(struct fixture *fx, const struct post *post)
{
	struct task *task = NULL;

	ck_assert_int_eq(board_post(fx->board, post, fx->now_us, &task), 0);
	ck_assert_ptr_nonnull(task);
	return task;
}

static inline struct task *fixture_post(struct fixture *fx)
{
	const struct post post = fixture_make_post(fx, fx->pool);

	return fixture_post_as(fx, &post);
}

static inline void fixture_sched(struct fixture *fx)
{
	ck_assert_int_eq(sched_run(fx->board, fx->now_us), 0);
}

/* What net does at the end of a turn: hands tasks over, asks some to end, ends hosts. */
static inline void fixture_hand_over(struct fixture *fx)
{
	while (board_take_start(fx->board) != NULL)
		continue;
	while (board_take_ask(fx->board) != NULL)
		continue;
	while (board_take_stuck(fx->board) != NULL)
		continue;
}

static inline int fixture_end(struct fixture *fx, const struct task *task, uint8_t outcome)
{
	const struct result result = {.outcome = outcome, .result = VIEW_LIT("{}")};

	return board_finish(fx->board, task->id, task->attempt, &result, fx->now_us);
}

/* How far a long test is: told when a check fails. */
unsigned long fixture_step __attribute__((weak)); /* one for all files of a test */
/* Without memory a timer may not be set, though it should be (core/timer.h). */
bool fixture_is_lax __attribute__((weak));

/* As ck_assert(), which writes a mark for each that holds: too slow for what is done a million times. */
#define MUST(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond))                                                                       \
			ck_abort_msg("%s, at step %lu", #cond, fixture_step);                      \
	} while (0)

#include "core_check.h"

/* Steps 2 to 7 of a turn; error: what the commit says. */
static inline void fixture_turn(struct fixture *fx, int error)
{
	deadline_run(&fx->board->deadlines, fx->now_us);
	fixture_sched(fx);
	fixture_check(fx);
	fixture_check_served(fx);
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
