/*
 * check_explain: what a task is said to wait for, its position, and the estimates.
 */
#include "core/explain.h"

#include "core_fixture.h"

static struct fixture fx;

static void teardown(void)
{
	fixture_close(&fx);
}

static struct explanation explain(const struct task *task)
{
	struct explanation why;

	explain_task(task, fx.now_us, &why);
	return why;
}

static struct task *post_for(unsigned handler, uint8_t priority)
{
	struct post post = fixture_make_post(&fx, fx.pool);

	post.handler = &fx.board->handlers[handler];
	post.priority = priority;
	return fixture_post_as(&fx, &post);
}

/* A task that runs from now on. */
static struct task *post_active(unsigned handler)
{
	struct task *task = post_for(handler, 5);

	fixture_turn(&fx, 0);
	ck_assert_uint_eq(task->state, TASK_ACTIVE);
	return task;
}

static void pass(uint64_t us)
{
	fx.now_us += us;
}

static void must_wait_for(const struct task *task, enum waits_for waits_for)
{
	const char *word = explain_word(explain(task).waits_for);

	ck_assert_str_eq(word, explain_word(waits_for));
}

/* Runs take this long from here on. */
static void measure(unsigned handler, uint64_t run_us)
{
	struct task *task = post_active(handler);

	pass(run_us);
	ck_assert_int_eq(fixture_end(&fx, task, RESULT_OK), 0);
	fixture_turn(&fx, 0);
}

START_TEST(test_explain_active_and_ended_tasks_wait_for_nothing)
{
	struct explanation why;
	struct task *task;

	fixture_start(&fx, 1, 10);
	task = post_active(0);
	for (int i = 0; i < 2; i++) {
		why = explain(task);
		ck_assert_uint_eq(why.waits_for, WAITS_FOR_NOTHING);
		ck_assert_uint_eq(why.position, 0);
		ck_assert_uint_eq(why.until_us, 0);
		ck_assert_uint_eq(why.estimate_us, EXPLAIN_UNKNOWN);
		if (i == 0)
			ck_assert_int_eq(fixture_end(&fx, task, RESULT_OK), 0);
	}
}
END_TEST

START_TEST(test_explain_delay_is_known_to_the_microsecond)
{
	struct explanation why;
	struct task *task;
	struct post post;

	fixture_start(&fx, 1, 10);
	post = fixture_make_post(&fx, fx.pool);
	post.delay_us = 700;
	task = fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	pass(300);
	why = explain(task);
	ck_assert_uint_eq(why.waits_for, WAITS_FOR_DELAY);
	ck_assert_uint_eq(why.until_us, fx.now_us + 400);
	ck_assert_uint_eq(why.estimate_us, 400);
	ck_assert_uint_eq(why.position, 0);
}
END_TEST

START_TEST(test_explain_paused_before_host_before_workers)
{
	struct task *task;

	fixture_start(&fx, 1, 10);
	(void)post_active(0);
	task = fixture_post(&fx);
	fixture_turn(&fx, 0);
	must_wait_for(task, WAITS_FOR_WORKERS);
	(void)board_host_gone(fx.board, fx.pool, &fx.hosts[0], true, fx.now_us);
	must_wait_for(task, WAITS_FOR_HOST);
	fx.pool->paused = true;
	must_wait_for(task, WAITS_FOR_PAUSED);
	ck_assert_uint_eq(explain(task).estimate_us, EXPLAIN_UNKNOWN);
}
END_TEST

START_TEST(test_explain_position_is_by_priority_then_by_time_over_all_handlers)
{
	static const uint8_t priorities[] = {5, 3, 5, 9, 0, 3, 5, 9};
	static const uint64_t positions[] = {4, 2, 5, 7, 1, 3, 6, 8};
	struct task *tasks[ARRAY_SIZE(priorities)];

	fixture_start(&fx, 1, 10);
	(void)post_active(0);
	for (unsigned i = 0; i < ARRAY_SIZE(priorities); i++)
		tasks[i] = post_for(i % 2, priorities[i]);
	fixture_turn(&fx, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(priorities); i++) {
		ck_assert_uint_eq(explain(tasks[i]).position, positions[i]);
		ck_assert(!explain(tasks[i]).position_is_least);
	}
}
END_TEST

START_TEST(test_explain_position_leaves_out_handlers_that_are_held_back)
{
	struct task *held, *plain;

	fixture_init(&fx, 1, 1000);
	fx.handlers[1].max_active = 1;
	fixture_open(&fx);
	(void)post_active(1);
	for (int i = 0; i < 500; i++)
		held = post_for(1, 0);
	plain = post_for(0, 9);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(explain(plain).position, 1);
	ck_assert_uint_eq(explain(plain).waits_for, WAITS_FOR_WORKERS);
	ck_assert_uint_eq(explain(held).position, 500);
	ck_assert_uint_eq(explain(held).waits_for, WAITS_FOR_HANDLER);
}
END_TEST

START_TEST(test_explain_looks_at_no_more_tasks_than_it_says)
{
	const struct task *last = NULL;
	struct explanation why;

	fixture_start(&fx, 1, 100000);
	fx.pool->paused = true;
	for (int i = 0; i < EXPLAIN_LOOK_MAX + 500; i++)
		last = post_for(0, 5);
	why = explain(last);
	ck_assert_uint_eq(why.position, EXPLAIN_LOOK_MAX + 1);
	ck_assert(why.position_is_least);
	/* What is all more urgent is counted without a look. */
	last = post_for(1, 6);
	why = explain(last);
	ck_assert_uint_eq(why.position, EXPLAIN_LOOK_MAX + 501);
	ck_assert(!why.position_is_least);
}
END_TEST

/* Caps of the daemon, of the handler, of a resource; _i. */
START_TEST(test_explain_names_the_cap_that_holds_it_back)
{
	static const enum waits_for kinds[] = {
		WAITS_FOR_DAEMON, WAITS_FOR_HANDLER, WAITS_FOR_RESOURCE};
	struct task *first, *second;

	fixture_init(&fx, 8, 10);
	fixture_use(&fx, 0, 1);
	if (_i == 0)
		fx.settings.daemon.max_active = 2;
	else if (_i == 1)
		fx.handlers[0].max_active = 2;
	else
		fx.resources[1].max_active = 2;
	fixture_open(&fx);
	measure(0, 1000);
	(void)post_active(0);
	(void)post_active(0);
	first = fixture_post(&fx);
	second = fixture_post(&fx);
	fixture_turn(&fx, 0);
	must_wait_for(first, kinds[_i]);
	must_wait_for(second, kinds[_i]);
	ck_assert_uint_eq(explain(second).position, 2);
	ck_assert_uint_eq(explain(first).estimate_us, 500);
	ck_assert_uint_eq(explain(second).estimate_us, 1000);
	ck_assert_uint_eq(explain(second).until_us, 0);
	ck_assert_ptr_eq(explain(first).resource, _i == 2 ? &fx.board->resources[1] : NULL);
}
END_TEST

START_TEST(test_explain_a_rate_tells_until_when)
{
	struct explanation why;
	struct task *third;

	fixture_init(&fx, 3, 10);
	fixture_use(&fx, 0, 0);
	fx.resources[0].rate = 10;
	fixture_open(&fx);
	(void)post_active(0);
	(void)fixture_post(&fx);
	third = fixture_post(&fx);
	fixture_turn(&fx, 0);
	pass(20000);
	why = explain(third);
	ck_assert_uint_eq(why.waits_for, WAITS_FOR_RATE);
	ck_assert_ptr_eq(why.resource, &fx.board->resources[0]);
	ck_assert_uint_eq(why.until_us, fx.now_us + 80000);
	ck_assert_uint_eq(why.estimate_us, 80000 + 100000); /* one is ahead */
	/* While no worker is free that is what it waits for. */
	ck_assert_int_eq(pool_resize(fx.pool, 1), 0);
	must_wait_for(third, WAITS_FOR_WORKERS);
}
END_TEST

START_TEST(test_explain_a_breaker_tells_until_when)
{
	struct explanation why;
	struct task *task;

	fixture_init(&fx, 3, 10);
	fixture_use(&fx, 0, 0);
	fixture_use(&fx, 0, 1);
	fx.resources[0].rate = 1; /* told only if nothing worse holds it back */
	fx.resources[1].breaker_failures = 1;
	fixture_open(&fx);
	task = post_active(0);
	ck_assert_int_eq(fixture_end(&fx, task, RESULT_FAILED), 0);
	task = fixture_post(&fx);
	fixture_turn(&fx, 0);
	why = explain(task);
	ck_assert_uint_eq(why.waits_for, WAITS_FOR_BREAKER);
	ck_assert_ptr_eq(why.resource, &fx.board->resources[1]);
	ck_assert_uint_eq(why.until_us, fx.now_us + 5 * US_PER_SEC);
	ck_assert_uint_eq(why.estimate_us, 5 * US_PER_SEC);
	/* One tries: nobody knows how long that takes. */
	pass(5 * US_PER_SEC);
	(void)fixture_post(&fx);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(task->state, TASK_ACTIVE);
	task = fixture_post(&fx);
	fixture_turn(&fx, 0);
	why = explain(task);
	ck_assert_uint_eq(why.waits_for, WAITS_FOR_BREAKER);
	ck_assert_uint_eq(why.until_us, 0);
	ck_assert_uint_eq(why.estimate_us, EXPLAIN_UNKNOWN);
}
END_TEST

START_TEST(test_explain_suspects_wait_for_their_turn_alone)
{
	struct task *suspects[2], *plain;

	fixture_start(&fx, 2, 10);
	for (int i = 0; i < 2; i++)
		suspects[i] = fixture_post(&fx);
	fixture_turn(&fx, 0);
	(void)board_host_gone(fx.board, fx.pool, &fx.hosts[0], false, fx.now_us);
	slots_up(&fx.pool->slots, &fx.hosts[2]);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(fx.pool->count[TASK_QUEUED], 2);
	must_wait_for(suspects[0], WAITS_FOR_ALONE); /* no host for it yet */
	slots_alone_up(&fx.pool->slots, &fx.hosts[3]);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(suspects[0]->state, TASK_ACTIVE);
	must_wait_for(suspects[1], WAITS_FOR_ALONE);
	ck_assert_uint_eq(explain(suspects[1]).position, 1);
	(void)post_active(0);
	plain = fixture_post(&fx);
	fixture_turn(&fx, 0);
	/* The suspect's host is busy, so the others do not wait for it. */
	ck_assert_uint_eq(explain(plain).position, 1);
	must_wait_for(plain, WAITS_FOR_WORKERS);
	ck_assert_int_eq(fixture_end(&fx, suspects[0], RESULT_OK), 0);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(suspects[1]->state, TASK_ACTIVE);
}
END_TEST

START_TEST(test_explain_where_each_worker_has_a_host)
{
	struct task *suspects[2], *plain;

	fixture_start(&fx, 2, 10);
	for (int i = 0; i < 2; i++)
		suspects[i] = fixture_post(&fx);
	fixture_turn(&fx, 0);
	(void)board_host_gone(fx.board, fx.pool, &fx.hosts[0], false, fx.now_us);
	fx.pools[0].isolation = ISOLATION_TASK;
	plain = fixture_post(&fx);
	fixture_turn(&fx, 0);
	must_wait_for(suspects[0], WAITS_FOR_HOST); /* any worker's will do */
	ck_assert_uint_eq(explain(plain).position, 3);
	slot_up(&fx.pool->slots, 1, &fx.hosts[2]);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(suspects[0]->state, TASK_ACTIVE);
	must_wait_for(suspects[1], WAITS_FOR_WORKERS);
	must_wait_for(plain, WAITS_FOR_WORKERS); /* though one has no host */
	ck_assert_uint_eq(explain(plain).position, 2);
}
END_TEST

START_TEST(test_explain_estimates_from_the_pools_run_times)
{
	struct task *task = NULL;

	fixture_start(&fx, 2, 10);
	(void)post_active(0);
	(void)post_active(0);
	task = fixture_post(&fx);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(explain(task).estimate_us, EXPLAIN_UNKNOWN); /* nothing was measured */
	times_attempt(&fx.pool->stats.times, 0, 0, 4000);
	ck_assert_uint_eq(explain(task).estimate_us, 2000);
	task = fixture_post(&fx);
	ck_assert_uint_eq(explain(task).estimate_us, 4000);
}
END_TEST

/* --- room ---------------------------------------------------------------------------------- */

START_TEST(test_room_without_any_end_is_a_second)
{
	fixture_start(&fx, 1, 1);
	ck_assert_uint_eq(explain_room_us(fx.pool, fx.now_us), US_PER_SEC);
	times_attempt(&fx.pool->stats.times, 0, 0, 3000);
	fx.pool->paused = true;
	ck_assert_uint_eq(explain_room_us(fx.pool, fx.now_us), US_PER_SEC);
	fx.pool->paused = false;
	slots_down(&fx.pool->slots, &fx.hosts[0]);
	ck_assert_uint_eq(explain_room_us(fx.pool, fx.now_us), US_PER_SEC);
}
END_TEST

START_TEST(test_room_goes_by_the_rate_of_ends)
{
	fixture_start(&fx, 1, 1);
	fx.now_us = 100 * US_PER_SEC;
	for (int i = 0; i < 50; i++)
		rate_add(&fx.pool->stats.ended, fx.now_us);
	pass(US_PER_SEC);
	ck_assert_uint_eq(explain_room_us(fx.pool, fx.now_us), 20000);
	fx.pool->n_room = 4; /* they come first */
	ck_assert_uint_eq(explain_room_us(fx.pool, fx.now_us), 100000);
	fx.pool->n_room = 0;
	pass(5 * US_PER_SEC); /* nothing in the last second: 50 in ten */
	ck_assert_uint_eq(explain_room_us(fx.pool, fx.now_us), 200000);
	pass(10 * US_PER_SEC);
	ck_assert_uint_eq(explain_room_us(fx.pool, fx.now_us), US_PER_SEC);
}
END_TEST

START_TEST(test_room_goes_by_run_times_when_nothing_ended_lately)
{
	fixture_start(&fx, 4, 10);
	fx.now_us = 100 * US_PER_SEC;
	times_attempt(&fx.pool->stats.times, 0, 0, 20000);
	ck_assert_uint_eq(explain_room_us(fx.pool, fx.now_us), 5000);
	for (int i = 0; i < 14; i++)
		(void)fixture_post(&fx);
	fixture_turn(&fx, 0);
	fx.pool->capacity = 7; /* three have to go before there is room for one */
	ck_assert_uint_eq(explain_room_us(fx.pool, fx.now_us), 20000);
	/* Bounds. */
	times_clear(&fx.pool->stats.times);
	times_attempt(&fx.pool->stats.times, 0, 0, 1);
	ck_assert_uint_eq(explain_room_us(fx.pool, fx.now_us), US_PER_MS);
	times_clear(&fx.pool->stats.times);
	times_attempt(&fx.pool->stats.times, 0, 0, 3600 * US_PER_SEC);
	ck_assert_uint_eq(explain_room_us(fx.pool, fx.now_us), 60 * US_PER_SEC);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("explain");

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, test_explain_active_and_ended_tasks_wait_for_nothing);
	tcase_add_test(tcase, test_explain_delay_is_known_to_the_microsecond);
	tcase_add_test(tcase, test_explain_paused_before_host_before_workers);
	tcase_add_test(tcase, test_explain_position_is_by_priority_then_by_time_over_all_handlers);
	tcase_add_test(tcase, test_explain_position_leaves_out_handlers_that_are_held_back);
	tcase_add_test(tcase, test_explain_looks_at_no_more_tasks_than_it_says);
	tcase_add_loop_test(tcase, test_explain_names_the_cap_that_holds_it_back, 0, 3);
	tcase_add_test(tcase, test_explain_a_rate_tells_until_when);
	tcase_add_test(tcase, test_explain_a_breaker_tells_until_when);
	tcase_add_test(tcase, test_explain_suspects_wait_for_their_turn_alone);
	tcase_add_test(tcase, test_explain_where_each_worker_has_a_host);
	tcase_add_test(tcase, test_explain_estimates_from_the_pools_run_times);
	tcase_add_test(tcase, test_room_without_any_end_is_a_second);
	tcase_add_test(tcase, test_room_goes_by_the_rate_of_ends);
	tcase_add_test(tcase, test_room_goes_by_run_times_when_nothing_ended_lately);
	return fixture_run("explain", tcase);
}
