/*
 * check_nomem: memory runs out at the Nth allocation, for every N, once or for good. One call is refused, or a result is lost
 * and said to be; every list and number is right after it, and the board goes on. The linker puts us before malloc(3).
 */
#include <stdio.h>

#include "core_fixture.h"

static struct fixture fx;
static struct heard heard[2];
static uint64_t n_allocations, fails_from, fails_until;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);

static bool has_memory(void)
{
	n_allocations++;
	return n_allocations < fails_from || n_allocations >= fails_until;
}

void *__wrap_malloc(size_t size)
{
	return has_memory() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
	return has_memory() ? __real_calloc(n, size) : NULL;
}

void *__wrap_realloc(void *old, size_t size)
{
	return has_memory() ? __real_realloc(old, size) : NULL;
}

void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
	return has_memory() ? __real_reallocarray(old, n, size) : NULL;
}

/* Whatever was asked for: it worked, or there was no memory, and all is as it must be. */
static bool worked(int r)
{
	if (r != 0 && r != -ENOMEM)
		ck_abort_msg("%s, at step %lu", strerror(-r), fixture_step);
	fixture_check(&fx);
	return r == 0;
}

static void turn(int error)
{
	fx.now_us += 10;
	deadline_run(&fx.board->deadlines, fx.now_us);
	fixture_check(&fx);
	(void)worked(sched_run(fx.board, fx.now_us));
	if (error == 0)
		board_settle(fx.board, fx.now_us);
	else
		board_undo(fx.board, error);
	fixture_check(&fx);
	fixture_hand_over(&fx);
	board_sweep(fx.board);
	fixture_check(&fx);
}

/* Many of all kinds: every table grows. */
static void post_all(void)
{
	for (unsigned i = 0; i < 60; i++) {
		struct post post = fixture_make_post(&fx, i % 3 == 0 ? fx.other : fx.pool);
		char key[8];
		struct task *task;
		int r;

		(void)snprintf(key, sizeof key, "%u", i);
		post.handler = &fx.board->handlers[i % FIXTURE_HANDLERS];
		post.unique = view_of(i % 2 == 0 ? key : "");
		post.delay_us = i % 4 == 0 ? 15 : 0;
		post.expiry_us = i % 5 == 0 ? 1000 : 0;
		post.timeout_us = i % 3 == 0 ? 25 : 0;
		post.room_us = i % 7 == 0 ? 20 : 0;
		post.retries = i % 2;
		r = board_post(fx.board, &post, fx.now_us, &task);
		(void)worked(r == -EAGAIN || r == -EEXIST ? 0 : r);
	}
}

/* Every active task ends in some way; what has failed is wanted again. */
static void end_all(void)
{
	uint64_t last = fx.board->last_id;

	for (uint64_t id = 1; id <= last; id++) {
		struct task *task = board_find_task(fx.board, id);
		const struct result result = {.outcome = (uint8_t)(id % RESULT_OUTCOMES),
			.result = VIEW_LIT("{\"x\":1}")};

		if (task == NULL || task->state != TASK_ACTIVE)
			continue;
		(void)worked(board_progress(fx.board, id, task->attempt, 500, view_of("half")));
		if (id % 5 == 0)
			(void)worked(board_cancel(fx.board, task, fx.now_us));
		(void)worked(board_finish(fx.board, id, task->attempt, &result, fx.now_us));
		MUST(task->state != TASK_ACTIVE);
	}
	turn(0);
	for (uint64_t id = 1; id <= last; id++) {
		struct task *task = board_find_task(fx.board, id);
		int r = 0;

		if (task != NULL && task_is_ended(task) && task->state != TASK_DONE)
			r = board_retry(fx.board, task, fx.now_us);
		(void)worked(r == -EAGAIN || r == -EEXIST ? 0 : r);
	}
}

/* Other settings: one more pool, and more workers. */
static void reload(struct settings *settings, struct settings_pool *pools)
{
	memcpy(pools, fx.pools, sizeof fx.pools);
	pools[FIXTURE_POOLS] = pools[0];
	pools[FIXTURE_POOLS].name = (char *)(uintptr_t) "third";
	pools[0].workers.number = 20;
	*settings = fx.settings;
	settings->pools = pools;
	settings->n_pools = FIXTURE_POOLS + 1;
	if (worked(board_reload(fx.board, settings, 1)))
		MUST(board_find_pool(fx.board, "third") != NULL);
	else
		MUST(fx.board->settings == &fx.settings && fx.pool->slots.workers == 6);
}

/* Everything that a board does; false: not even a board could be made. */
static bool run_all(void)
{
	struct settings_pool pools[FIXTURE_POOLS + 1];
	struct settings settings;

	fixture_init(&fx, 6, 25);
	fx.resources[0].rate = 1000;
	fx.resources[0].burst = 4;
	fixture_use(&fx, 1, 0);
	if (board_new(&fx.settings, 1, &fx.board) < 0)
		return false;
	fx.pool = board_find_pool(fx.board, "default");
	fx.other = board_find_pool(fx.board, "other");
	slots_up(&fx.pool->slots, &fx.hosts[0]);
	slots_up(&fx.other->slots, &fx.hosts[1]);
	heard_init(&heard[0], &fx.board->changed);
	heard_init(&heard[1], &fx.board->settled);
	for (unsigned i = 0; i < 4; i++) {
		post_all();
		turn(i == 1 ? -ENOSPC : 0);
		if (i == 2)
			reload(&settings, pools);
		(void)board_host_gone(fx.board, fx.other, &fx.hosts[1], false, fx.now_us);
		fixture_check(&fx);
		slots_up(&fx.other->slots, &fx.hosts[1]);
		slots_alone_up(&fx.other->slots, &fx.hosts[5]);
		turn(0);
		end_all();
		turn(i == 2 ? -EIO : 0);
	}
	board_stop(fx.board, STOP_ENDING, fx.now_us);
	fixture_check(&fx);
	turn(0);
	board_free(fx.board);
	return true;
}

static void try_all(uint64_t n_failures)
{
	uint64_t n = 0, n_boards = 0, used;

	fixture_is_lax = true;
	do {
		fixture_step = ++n;
		n_allocations = 0;
		fails_from = n;
		fails_until = n_failures < UINT64_MAX ? n + n_failures : UINT64_MAX;
		n_boards += run_all();
		used = n_allocations;
		fails_from = UINT64_MAX; /* Check wants memory, too */
	} while (used >= n);
	printf("%llu allocations failed in turn, %llu boards went on\n",
		(unsigned long long)(n - 1), (unsigned long long)n_boards);
	ck_assert_uint_gt(n_boards, 100);
}

START_TEST(test_nomem_once)
{
	try_all(1);
}
END_TEST

START_TEST(test_nomem_for_a_while)
{
	try_all(50);
}
END_TEST

START_TEST(test_nomem_for_good)
{
	try_all(UINT64_MAX);
}
END_TEST

static void never(struct deadline *deadline, uint64_t now_us)
{
	(void)deadline;
	(void)now_us;
}

/* A lane that nobody could wake is not held back: it is looked at again in the next turn. */
START_TEST(test_nomem_for_who_wakes_a_lane)
{
	static struct deadline fill[64];
	struct heap *heap;
	size_t n = 0;

	fixture_init(&fx, 2, 9);
	fx.resources[0].rate = 1;
	fixture_use(&fx, 0, 0);
	fixture_open(&fx);
	heap = &fx.board->deadlines.heap;
	(void)fixture_post(&fx);
	(void)fixture_post(&fx);
	do {
		deadline_init(&fill[n], never);
		ck_assert_int_eq(deadline_set(&fx.board->deadlines, &fill[n], UINT64_MAX - 1), 0);
		n++;
	} while (heap->len < heap->cap);
	n_allocations = 0;
	fails_from = 1;
	fails_until = UINT64_MAX;
	IGNORE(worked(sched_run(fx.board, fx.now_us)));
	MUST(n_allocations == 1);
	fails_from = UINT64_MAX;
	ck_assert_uint_eq(fx.pool->count[TASK_QUEUED], 1);
	ck_assert_ptr_nonnull(queue_first(&fx.pool->queue));
	fixture_turn(&fx, 0);
	ck_assert_ptr_null(queue_first(&fx.pool->queue));
	fx.now_us += US_PER_SEC;
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(fx.pool->count[TASK_QUEUED], 0);
	fixture_close(&fx);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("nomem");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_nomem_once);
	tcase_add_test(tcase, test_nomem_for_a_while);
	tcase_add_test(tcase, test_nomem_for_good);
	tcase_add_test(tcase, test_nomem_for_who_wakes_a_lane);
	return fixture_run("nomem", tcase);
}
