/*
 * check_timer: a task has one timer, and what it means goes by the state: delay, expiry, time limit, patience. Nothing early,
 * to the microsecond.
 */
#include "core/timer.h"

#include "core_fixture.h"

static struct fixture fx;
static struct post post;

static void setup(void)
{
	fixture_start(&fx, 1, 9);
	post = fixture_make_post(&fx, fx.pool);
}

static void teardown(void)
{
	fixture_close(&fx);
}

/* Turns at exactly these two times: the state before it is due, and then. */
static void expect(struct task *task, uint64_t after_us, uint8_t before, uint8_t then)
{
	fx.now_us += after_us - 1;
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(task->state, before);
	fx.now_us += 1;
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(task->state, then);
}

START_TEST(test_timer_of_a_delay)
{
	struct task *task;

	post.delay_us = 100;
	task = fixture_post_as(&fx, &post);
	ck_assert_uint_eq(task->state, TASK_DELAYED);
	fixture_turn(&fx, 0);
	expect(task, 100, TASK_DELAYED, TASK_ACTIVE);
	ck_assert_uint_eq(task->queued_us, fx.now_us); /* it has waited for nobody */
	ck_assert(!deadline_is_set(&task->timer));
}
END_TEST

START_TEST(test_timer_of_an_expiry)
{
	struct task *task;

	fx.pool->paused = true;
	post.expiry_us = 100;
	task = fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	expect(task, 100, TASK_QUEUED, TASK_EXPIRED);
	ck_assert_str_eq(task_reason(task), "expired");
}
END_TEST

/* delay, expiry: which one is first. */
static const struct {
	uint64_t delay_us, expiry_us;
	uint8_t state;
} both[] = {
	{100, 101, TASK_QUEUED},
	{100, 100, TASK_EXPIRED},
	{100, 99, TASK_EXPIRED},
	{100, 1, TASK_EXPIRED},
};

START_TEST(test_timer_of_a_delay_and_an_expiry)
{
	struct task *task;
	uint64_t first_us =
		both[_i].delay_us < both[_i].expiry_us ? both[_i].delay_us : both[_i].expiry_us;

	fx.pool->paused = true;
	post.delay_us = both[_i].delay_us;
	post.expiry_us = both[_i].expiry_us;
	task = fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	expect(task, first_us, TASK_DELAYED, both[_i].state);
	fx.now_us += 1;
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(task->state, TASK_EXPIRED);
}
END_TEST

START_TEST(test_timer_of_an_expiry_is_off_after_the_start)
{
	struct task *task;

	post.expiry_us = 100;
	post.retries = 1;
	task = fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	expect(task, 100, TASK_ACTIVE, TASK_ACTIVE);
	ck_assert_int_eq(fixture_end(&fx, task, RESULT_FAILED), 0);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(task->state, TASK_DELAYED); /* also while it waits to be tried again */
	fx.now_us += US_PER_SEC;
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(task->state, TASK_ACTIVE);
}
END_TEST

START_TEST(test_timer_of_an_expiry_is_on_again_when_the_start_is_taken_back)
{
	struct task *task;

	fx.pool->paused = true;
	post.expiry_us = 100;
	task = fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	fx.pool->paused = false;
	fixture_turn(&fx, -EIO);
	fx.pool->paused = true;
	ck_assert_uint_eq(task->state, TASK_QUEUED);
	expect(task, 100, TASK_QUEUED, TASK_EXPIRED);
}
END_TEST

START_TEST(test_timer_of_a_limit_then_of_patience)
{
	struct task *task;

	fx.handlers[0].kill_after_us = 300;
	post.timeout_us = 100;
	task = fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	expect(task, 100, TASK_ACTIVE, TASK_ACTIVE);
	ck_assert(task->overdue && task->asked && !task->stuck);
	fx.now_us += 300 + 2 * US_PER_SEC - 1;
	fixture_turn(&fx, 0);
	ck_assert(!task->stuck);
	fx.now_us += 1;
	fixture_turn(&fx, 0);
	ck_assert(task->stuck);
	ck_assert_uint_eq(deadline_next(&fx.board->deadlines), UINT64_MAX);
}
END_TEST

/* A cancel before the limit: patience counts from there, and the limit is not told any more. */
START_TEST(test_timer_of_a_cancel_replaces_the_limit)
{
	struct task *task;

	post.timeout_us = 100;
	task = fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	fx.now_us += 50;
	ck_assert_int_eq(board_cancel(fx.board, task, fx.now_us), 0);
	fixture_turn(&fx, 0);
	fx.now_us += 50;
	fixture_turn(&fx, 0);
	ck_assert(!task->overdue);
	ck_assert_uint_eq(deadline_next(&fx.board->deadlines), fx.now_us - 50 + 7 * US_PER_SEC);
}
END_TEST

START_TEST(test_timer_of_a_limit_starts_again_with_each_attempt)
{
	struct task *task;

	post.timeout_us = 100;
	post.retries = 1;
	task = fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	fx.now_us += 100;
	fixture_turn(&fx, 0);
	ck_assert_int_eq(fixture_end(&fx, task, RESULT_CANCELLED), 0);
	ck_assert_uint_eq(task->state, TASK_DELAYED);
	fx.now_us = task->due_us;
	fixture_turn(&fx, 0);
	ck_assert(task->state == TASK_ACTIVE && !task->overdue && !task->asked);
	ck_assert_uint_eq(deadline_at(&task->timer), fx.now_us + 100);
}
END_TEST

START_TEST(test_timer_that_is_very_late_expires_what_was_not_started)
{
	struct task *task;

	post.delay_us = 10;
	post.expiry_us = 20;
	task = fixture_post_as(&fx, &post);
	fx.now_us += 1000;
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(task->state, TASK_EXPIRED);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("timer");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_timer_of_a_delay);
	tcase_add_test(tcase, test_timer_of_an_expiry);
	tcase_add_loop_test(tcase, test_timer_of_a_delay_and_an_expiry, 0, ARRAY_SIZE(both));
	tcase_add_test(tcase, test_timer_of_an_expiry_is_off_after_the_start);
	tcase_add_test(tcase, test_timer_of_an_expiry_is_on_again_when_the_start_is_taken_back);
	tcase_add_test(tcase, test_timer_of_a_limit_then_of_patience);
	tcase_add_test(tcase, test_timer_of_a_cancel_replaces_the_limit);
	tcase_add_test(tcase, test_timer_of_a_limit_starts_again_with_each_attempt);
	tcase_add_test(tcase, test_timer_that_is_very_late_expires_what_was_not_started);
	return fixture_run("timer", tcase);
}
