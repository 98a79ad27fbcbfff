/*
 * check_pool: who is admitted, who is started, and what resizing and pausing do to those that wait and run.
 */
#include "core/pool.h"

#include "core_fixture.h"

static struct fixture fx;

static void teardown(void)
{
	fixture_close(&fx);
}

/* Posts until one is refused. */
static uint64_t fill(void)
{
	struct task *task;
	uint64_t n = 0;
	int r;

	while ((r = fixture_try(&fx, fx.pool, 0, &task)) == 0)
		n++;
	ck_assert_int_eq(r, -EAGAIN);
	return n;
}

/* _i: capacity 0 … 4, workers 1 … 4, paused or not, host up or not. */
START_TEST(test_pool_admit_takes_capacity_and_free_workers)
{
	uint64_t capacity = (uint64_t)_i % 5, ready;
	uint32_t workers = 1 + (uint32_t)_i / 5 % 4;
	bool paused = _i / 20 % 2 != 0, up = _i / 40 == 0;

	fixture_start(&fx, workers, capacity);
	fx.pool->paused = paused;
	if (!up)
		slots_down(&fx.pool->slots, &fx.hosts[0]);
	ready = paused || !up ? 0 : workers;
	ck_assert_uint_eq(pool_ready(fx.pool), ready);
	ck_assert_uint_eq(fill(), capacity + ready);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(fx.pool->count[TASK_QUEUED], capacity);
	ck_assert_uint_eq(fx.pool->count[TASK_ACTIVE], ready);
	ck_assert_uint_eq(fx.pool->stats.max_queued, capacity);
	ck_assert_uint_eq(fill(), 0);
	ck_assert_uint_eq(fx.pool->stats.counters.refused, 2);
	ck_assert_uint_eq(fx.pool->stats.counters.posted, capacity + ready);
}
END_TEST

START_TEST(test_pool_admit_after_an_end_takes_one_more)
{
	struct task *first;

	fixture_start(&fx, 1, 0);
	first = fixture_post(&fx);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(fill(), 0);
	ck_assert_int_eq(fixture_end(&fx, first, RESULT_OK), 0);
	ck_assert_uint_eq(fill(), 1);
}
END_TEST

START_TEST(test_pool_admit_with_more_waiting_than_a_lowered_capacity)
{
	fixture_start(&fx, 2, 5);
	fx.pool->paused = true;
	ck_assert_uint_eq(fill(), 5);
	fx.pool->capacity = 2;
	fx.pool->paused = false;
	ck_assert_uint_eq(fill(), 0); /* 5 wait, 2 workers: 3 will be left */
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(fx.pool->count[TASK_QUEUED], 3);
	fx.pool->capacity = UINT64_MAX;
	(void)fixture_post(&fx);
}
END_TEST

START_TEST(test_pool_refused_post_leaves_nothing)
{
	struct task *task = NULL, *next;

	fixture_start(&fx, 1, 0);
	(void)fixture_post(&fx);
	ck_assert_int_eq(fixture_try(&fx, fx.pool, 0, &task), -EAGAIN);
	ck_assert_ptr_null(task);
	ck_assert_ptr_null(board_find_task(fx.board, 2));
	fixture_check(&fx);
	fixture_turn(&fx, 0);
	ck_assert_int_eq(fixture_try(&fx, fx.other, 0, &next), 0); /* the other pool is not full */
}
END_TEST

START_TEST(test_pool_start_next_needs_a_task_and_a_worker)
{
	struct task *task;

	fixture_start(&fx, 1, 9);
	ck_assert_int_eq(pool_start_next(fx.pool, 1), -EAGAIN);
	task = fixture_post(&fx);
	(void)fixture_post(&fx);
	fx.pool->paused = true;
	ck_assert_int_eq(pool_start_next(fx.pool, 1), -EAGAIN);
	fx.pool->paused = false;
	ck_assert_int_eq(pool_start_next(fx.pool, 1), 0);
	ck_assert_uint_eq(task->state, TASK_ACTIVE);
	ck_assert_uint_eq(task->attempt, 1);
	ck_assert(task->unsent);
	ck_assert_int_eq(pool_start_next(fx.pool, 1), -EAGAIN);
}
END_TEST

START_TEST(test_pool_take_back_leaves_no_trace_of_the_start)
{
	struct task *task;

	fixture_start(&fx, 1, 9);
	ck_assert_int_eq(fixture_try(&fx, fx.pool, 50, &task), 0);
	board_settle(fx.board, fx.now_us);
	fixture_sched(&fx);
	ck_assert(deadline_is_set(&task->timer));
	board_undo(fx.board, -ENOSPC);
	fixture_check(&fx);
	ck_assert_uint_eq(task->state, TASK_QUEUED);
	ck_assert_uint_eq(task->attempt, 0);
	ck_assert_uint_eq(task->started_us, 0);
	ck_assert(!deadline_is_set(&task->timer) && !task->unsent && task->slot == NULL);
	ck_assert_uint_eq(pool_ready(fx.pool), 1);
}
END_TEST

START_TEST(test_pool_resize_up_starts_more_with_this_turn)
{
	fixture_start(&fx, 1, 9);
	for (unsigned i = 0; i < 5; i++)
		(void)fixture_post(&fx);
	fixture_turn(&fx, 0);
	ck_assert(fx.pool->is_rule);
	ck_assert_int_eq(pool_resize(fx.pool, 4), 0);
	ck_assert(!fx.pool->is_rule);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(fx.pool->count[TASK_ACTIVE], 4);
	ck_assert_uint_eq(fx.pool->count[TASK_QUEUED], 1);
}
END_TEST

START_TEST(test_pool_resize_down_starts_nothing_until_enough_have_ended)
{
	struct task *tasks[6];

	fixture_start(&fx, 4, 9);
	for (unsigned i = 0; i < 6; i++)
		tasks[i] = fixture_post(&fx);
	fixture_turn(&fx, 0);
	ck_assert_int_eq(pool_resize(fx.pool, 1), 0);
	for (unsigned i = 4; i-- > 1;) {
		ck_assert_int_eq(fixture_end(&fx, tasks[i], RESULT_OK), 0);
		fixture_turn(&fx, 0);
		ck_assert_uint_eq(fx.pool->count[TASK_ACTIVE], i);
	}
	ck_assert_int_eq(fixture_end(&fx, tasks[0], RESULT_OK), 0);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(fx.pool->count[TASK_ACTIVE], 1);
	ck_assert_uint_eq(tasks[4]->state, TASK_ACTIVE);
	ck_assert_uint_eq(tasks[4]->slot->id, 0);
}
END_TEST

START_TEST(test_pool_paused_lets_running_tasks_end_and_starts_none)
{
	struct task *first, *second;

	fixture_start(&fx, 1, 9);
	first = fixture_post(&fx);
	second = fixture_post(&fx);
	fixture_turn(&fx, 0);
	fx.pool->paused = true;
	ck_assert_int_eq(fixture_end(&fx, first, RESULT_OK), 0);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(second->state, TASK_QUEUED);
	fx.pool->paused = false;
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(second->state, TASK_ACTIVE);
}
END_TEST

START_TEST(test_pool_that_gets_the_other_isolation_starts_nothing_until_hosts_are_up)
{
	struct settings settings;
	struct settings_pool pools[FIXTURE_POOLS];
	struct task *first, *second, *third;

	fixture_start(&fx, 2, 0);
	first = fixture_post(&fx);
	fixture_turn(&fx, 0);
	memcpy(pools, fx.pools, sizeof pools);
	settings = fx.settings;
	settings.pools = pools;
	pools[0].isolation = ISOLATION_TASK;
	ck_assert_int_eq(board_reload(fx.board, &settings, 1), 0);
	fixture_check(&fx);
	ck_assert_uint_eq(pool_ready(fx.pool), 0);
	ck_assert_uint_eq(pool_ready(fx.other), 2);
	ck_assert_uint_eq(fill(), 0);
	slot_up(&fx.pool->slots, first->slot->id, &fx.hosts[2]);
	ck_assert_uint_eq(pool_ready(fx.pool), 0); /* it is busy where it is */
	slot_up(&fx.pool->slots, 1 - first->slot->id, &fx.hosts[3]);
	second = fixture_post(&fx);
	fixture_turn(&fx, 0);
	ck_assert_ptr_eq(second->slot->host, &fx.hosts[3]);
	ck_assert_ptr_eq(first->slot->host, &fx.hosts[0]);
	ck_assert_int_eq(fixture_end(&fx, first, RESULT_OK), 0);
	third = fixture_post(&fx);
	fixture_turn(&fx, 0);
	ck_assert_ptr_eq(third->slot->host, &fx.hosts[2]);
	/* A crash is proof, and waits as a failure does. */
	ck_assert_uint_eq(board_host_gone(fx.board, fx.pool, &fx.hosts[3], false, fx.now_us), 1);
	ck_assert_uint_eq(second->state, TASK_DELAYED);
	ck_assert(second->crashes == 1 && !second->suspect);
	ck_assert_uint_eq(third->state, TASK_ACTIVE);
	/* The same again changes nothing. */
	ck_assert_int_eq(board_reload(fx.board, &settings, 1), 0);
	ck_assert_ptr_eq(third->slot->runner, &fx.hosts[2]);
	ck_assert_int_eq(board_reload(fx.board, &fx.settings, 1), 0);
	ck_assert(!slots_has_host(&fx.pool->slots));
}
END_TEST

START_TEST(test_pool_begins_as_the_settings_say)
{
	fixture_init(&fx, 3, 7);
	fx.pools[0].paused = true;
	fixture_open(&fx);
	ck_assert(fx.pool->paused && !fx.other->paused);
	ck_assert_uint_eq(fx.pool->slots.workers, 3);
	ck_assert_uint_eq(fx.pool->capacity, 7);
	ck_assert_uint_eq(pool_unfinished(fx.pool), 0);
	(void)fixture_post(&fx);
	ck_assert_uint_eq(pool_unfinished(fx.pool), 1);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("pool");

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_loop_test(
		tcase, test_pool_admit_takes_capacity_and_free_workers, 0, 5 * 4 * 2 * 2);
	tcase_add_test(tcase, test_pool_admit_after_an_end_takes_one_more);
	tcase_add_test(tcase, test_pool_admit_with_more_waiting_than_a_lowered_capacity);
	tcase_add_test(tcase, test_pool_refused_post_leaves_nothing);
	tcase_add_test(tcase, test_pool_start_next_needs_a_task_and_a_worker);
	tcase_add_test(tcase, test_pool_take_back_leaves_no_trace_of_the_start);
	tcase_add_test(tcase, test_pool_resize_up_starts_more_with_this_turn);
	tcase_add_test(tcase, test_pool_resize_down_starts_nothing_until_enough_have_ended);
	tcase_add_test(tcase, test_pool_paused_lets_running_tasks_end_and_starts_none);
	tcase_add_test(
		tcase, test_pool_that_gets_the_other_isolation_starts_nothing_until_hosts_are_up);
	tcase_add_test(tcase, test_pool_begins_as_the_settings_say);
	return fixture_run("pool", tcase);
}
