/*
 * check_sched: free workers take what waits, first come first served, and the marks are taken after that.
 */
#include "core/sched.h"

#include "core_fixture.h"

static struct fixture fx;

static void teardown(void)
{
	fixture_close(&fx);
}

/* The ids on board->starts, in order. */
static void expect_starts(const uint64_t *ids, unsigned n)
{
	struct task *task = TAILQ_FIRST(&fx.board->starts);

	for (unsigned i = 0; i < n; i++) {
		ck_assert_ptr_nonnull(task);
		ck_assert_uint_eq(task->id, ids[i]);
		task = TAILQ_NEXT(task, in_place);
	}
	ck_assert_ptr_null(task);
}

START_TEST(test_sched_marks_a_burst_after_free_workers_were_served)
{
	fixture_start(&fx, 24, 76);
	for (unsigned i = 0; i < 100; i++)
		(void)fixture_post(&fx);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(fx.pool->stats.max_queued, 76);
	ck_assert_uint_eq(fx.pool->stats.max_active, 24);
	ck_assert_uint_eq(fx.pool->stats.counters.refused, 0);
}
END_TEST

START_TEST(test_sched_starts_first_what_came_first)
{
	fixture_start(&fx, 2, 9);
	for (unsigned i = 0; i < 4; i++)
		(void)fixture_post(&fx);
	fixture_sched(&fx);
	board_settle(fx.board, fx.now_us);
	expect_starts((const uint64_t[]){1, 2}, 2);
	fixture_hand_over(&fx);
}
END_TEST

/* Task 2 waited before, 3 is posted in the turn in which both find a worker: 3 is dirty first, 2 has to leave first. */
START_TEST(test_sched_hands_over_in_order_also_what_was_posted_in_this_turn)
{
	struct task *first;

	fixture_start(&fx, 1, 9);
	first = fixture_post(&fx);
	(void)fixture_post(&fx);
	fixture_turn(&fx, 0);
	(void)fixture_post(&fx);
	ck_assert_int_eq(fixture_end(&fx, first, RESULT_OK), 0);
	ck_assert_int_eq(pool_resize(fx.pool, 2), 0);
	fixture_sched(&fx);
	board_settle(fx.board, fx.now_us);
	expect_starts((const uint64_t[]){2, 3}, 2);
	fixture_check(&fx);
}
END_TEST

START_TEST(test_sched_serves_each_pool)
{
	struct task *elsewhere;

	fixture_start(&fx, 1, 9);
	(void)fixture_post(&fx);
	(void)fixture_post(&fx);
	ck_assert_int_eq(fixture_try(&fx, fx.other, 0, &elsewhere), 0);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(elsewhere->state, TASK_ACTIVE);
	ck_assert_uint_eq(fx.pool->count[TASK_ACTIVE], 1);
	ck_assert_uint_eq(fx.other->stats.max_queued, 0);
}
END_TEST

START_TEST(test_sched_starts_nothing_without_a_host)
{
	struct task *task;

	fixture_start(&fx, 2, 9);
	slots_down(&fx.pool->slots, &fx.hosts[0]);
	task = fixture_post(&fx);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(task->state, TASK_QUEUED);
	slots_up(&fx.pool->slots, &fx.hosts[2]);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(task->state, TASK_ACTIVE);
	ck_assert_ptr_eq(task->slot->host, &fx.hosts[2]);
}
END_TEST

START_TEST(test_sched_notes_times)
{
	struct task *task;

	fixture_start(&fx, 1, 9);
	task = fixture_post(&fx);
	fx.now_us += 300;
	fixture_turn(&fx, 0);
	fx.now_us += 700;
	ck_assert_int_eq(fixture_end(&fx, task, RESULT_OK), 0);
	ck_assert_uint_eq(fx.pool->stats.times.wait.sum_us, 300);
	ck_assert_uint_eq(fx.pool->stats.times.run.sum_us, 700);
	ck_assert_uint_eq(fx.pool->stats.times.total.sum_us, 1000);
	fixture_turn(&fx, 0);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("sched");

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, test_sched_marks_a_burst_after_free_workers_were_served);
	tcase_add_test(tcase, test_sched_starts_first_what_came_first);
	tcase_add_test(tcase, test_sched_hands_over_in_order_also_what_was_posted_in_this_turn);
	tcase_add_test(tcase, test_sched_serves_each_pool);
	tcase_add_test(tcase, test_sched_starts_nothing_without_a_host);
	tcase_add_test(tcase, test_sched_notes_times);
	return fixture_run("sched", tcase);
}
