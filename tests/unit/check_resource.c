/*
 * check_resource: caps, weights, a rate to the microsecond, and a breaker that is walked through event by event.
 */
#include "core/resource.h"

#include "core/queue.h"
#include "core_fixture.h"

static struct board board; /* only its deadlines and its list of listeners are used */
static struct resource resource;

static void setup(void)
{
	memset(&board, 0, sizeof board);
	deadlines_init(&board.deadlines);
	watch_list_init(&board.changed);
	resource_init(&resource, &board, "db", RESOURCE_NAMED);
}

static void teardown(void)
{
	deadlines_done(&board.deadlines);
}

static enum hold check_at(uint64_t weight, uint64_t now_us, uint64_t *ret_until_us)
{
	return resource_check(&resource, weight, now_us, ret_until_us);
}

static enum hold check(uint64_t now_us)
{
	uint64_t until_us;

	return check_at(1, now_us, &until_us);
}

START_TEST(test_resource_without_limits_holds_nobody)
{
	for (uint64_t id = 1; id < 1000; id++) {
		ck_assert_int_eq(check(0), HOLD_NOT);
		resource_take(&resource, id, 1000, 0);
	}
}
END_TEST

/* _i: the cap; tasks of weight 3. */
START_TEST(test_resource_cap_is_never_passed)
{
	uint64_t cap = (uint64_t)_i, until_us;

	resource_set_limits(&resource, &(struct resource_limits){.max_active = cap, .burst = 1});
	for (uint64_t n = 1; n <= 4; n++) {
		bool fits = 3 * n <= cap;

		ck_assert_int_eq(check_at(3, 0, &until_us), fits ? HOLD_NOT : HOLD_CAP);
		if (!fits) {
			ck_assert_uint_eq(until_us, UINT64_MAX);
			break;
		}
		resource_take(&resource, n, 3, 0);
		ck_assert_uint_eq(resource.active, 3 * n);
	}
	if (resource.active > 0) {
		resource_give_back(&resource, 1, 3);
		ck_assert_int_eq(check_at(3, 0, &until_us), HOLD_NOT);
	}
}
END_TEST

START_TEST(test_resource_rate_is_exact)
{
	uint64_t now_us = 1000000, until_us;

	resource_set_limits(&resource, &(struct resource_limits){.rate = 4, .burst = 3});
	for (uint64_t id = 1; id <= 3; id++) { /* the burst */
		ck_assert_int_eq(check(now_us), HOLD_NOT);
		resource_take(&resource, id, 1, now_us);
	}
	for (uint64_t id = 4; id < 20; id++) { /* then one each 250 ms, not one microsecond early */
		ck_assert_int_eq(check_at(1, now_us, &until_us), HOLD_RATE);
		ck_assert_uint_eq(until_us, now_us + 250000);
		ck_assert_int_eq(check(now_us + 249999), HOLD_RATE);
		now_us += 250000;
		ck_assert_int_eq(check(now_us), HOLD_NOT);
		resource_take(&resource, id, 1, now_us);
	}
	now_us += 500000; /* two tokens have come, and no third */
	for (uint64_t id = 20; id < 22; id++) {
		ck_assert_int_eq(check(now_us), HOLD_NOT);
		resource_take(&resource, id, 1, now_us);
	}
	ck_assert_int_eq(check(now_us), HOLD_RATE);
	now_us += UINT64_C(1000000000); /* the bucket holds no more than the burst */
	for (uint64_t id = 22; id < 25; id++) {
		ck_assert_int_eq(check(now_us), HOLD_NOT);
		resource_take(&resource, id, 1, now_us);
	}
	ck_assert_int_eq(check(now_us), HOLD_RATE);
}
END_TEST

/* Any rate and burst: never more than burst + rate x time in any stretch of time, and no less when asked all the time. */
START_TEST(test_resource_rate_over_a_long_time)
{
	static const uint64_t rates[] = {1, 3, 7, 1000, 1000000};
	uint64_t rate = rates[_i], until_us, now_us = 5, n = 0, begin_us = now_us;
	uint64_t burst = 1 + (uint64_t)_i;

	resource_set_limits(&resource, &(struct resource_limits){.rate = rate, .burst = burst});
	while (n < 5000) {
		if (check_at(1, now_us, &until_us) != HOLD_NOT) {
			ck_assert_uint_gt(until_us, now_us);
			now_us = until_us;
			continue;
		}
		resource_take(&resource, ++n, 1, now_us);
		MUST((double)n <= (double)burst + (double)rate * (double)(now_us - begin_us) / 1e6 +
					  1e-3 * (double)n);
	}
	ck_assert_double_eq_tol(
		(double)(now_us - begin_us), (double)(n - burst) * 1e6 / (double)rate, 5000.0);
}
END_TEST

START_TEST(test_resource_take_back_gives_the_token_back)
{
	resource_set_limits(&resource, &(struct resource_limits){.rate = 1, .burst = 2});
	for (unsigned i = 0; i < 10; i++) {
		resource_take(&resource, 1, 1, 100);
		resource_take(&resource, 2, 1, 100);
		ck_assert_int_eq(check(100), HOLD_RATE);
		resource_take_back(&resource, 2, 1);
		ck_assert_int_eq(check(100), HOLD_NOT);
		resource_take_back(&resource, 1, 1);
	}
	ck_assert_uint_eq(resource.active, 0);
}
END_TEST

/* What happens, when, and what the breaker is then. */
static const struct step {
	char what; /* t: the task starts; f, o: it fails, ends well; n: it ends and tells nothing; -: nothing */
	uint64_t id;
	uint64_t at_s;
	enum breaker breaker;
	enum hold hold; /* of the next one */
	bool is_excused;
	uint64_t until_s; /* 0: not by time */
} steps[] = {
	{'t', 1, 0, BREAKER_CLOSED, HOLD_NOT, false, 0},
	{'t', 2, 0, BREAKER_CLOSED, HOLD_NOT, false, 0},
	{'t', 3, 0, BREAKER_CLOSED, HOLD_NOT, false, 0},
	{'t', 4, 0, BREAKER_CLOSED, HOLD_NOT, false, 0},
	{'t', 5, 0, BREAKER_CLOSED, HOLD_NOT, false, 0},
	{'t', 6, 0, BREAKER_CLOSED, HOLD_NOT, false, 0},
	{'t', 7, 0, BREAKER_CLOSED, HOLD_NOT, false, 0},
	{'f', 1, 1, BREAKER_CLOSED, HOLD_NOT, false, 0},
	{'o', 2, 1, BREAKER_CLOSED, HOLD_NOT, false, 0}, /* not in a row any more */
	{'f', 3, 1, BREAKER_CLOSED, HOLD_NOT, false, 0},
	{'f', 4, 2, BREAKER_OPEN, HOLD_BREAKER, false, 7}, /* the second one */
	{'f', 5, 3, BREAKER_OPEN, HOLD_BREAKER, true, 7},  /* was under way */
	{'o', 6, 4, BREAKER_OPEN, HOLD_BREAKER, false, 7}, /* the same: closes nothing */
	{'-', 0, 6, BREAKER_OPEN, HOLD_BREAKER, false, 7},
	{'-', 0, 7, BREAKER_OPEN, HOLD_NOT, false, 0},
	{'t', 8, 7, BREAKER_HALF_OPEN, HOLD_BREAKER, false, 0}, /* one trial */
	{'f', 7, 8, BREAKER_HALF_OPEN, HOLD_BREAKER, true, 0},
	{'f', 8, 8, BREAKER_OPEN, HOLD_BREAKER, true, 18}, /* twice as long */
	{'t', 9, 18, BREAKER_HALF_OPEN, HOLD_BREAKER, false, 0},
	{'n', 9, 19, BREAKER_OPEN, HOLD_NOT, false, 0}, /* told nothing: another at once */
	{'t', 10, 19, BREAKER_HALF_OPEN, HOLD_BREAKER, false, 0},
	{'f', 10, 20, BREAKER_OPEN, HOLD_BREAKER, true, 40},
	{'t', 11, 40, BREAKER_HALF_OPEN, HOLD_BREAKER, false, 0},
	{'f', 11, 40, BREAKER_OPEN, HOLD_BREAKER, true, 80},
	{'t', 12, 80, BREAKER_HALF_OPEN, HOLD_BREAKER, false, 0},
	{'f', 12, 80, BREAKER_OPEN, HOLD_BREAKER, true, 140}, /* a minute at the most */
	{'t', 13, 140, BREAKER_HALF_OPEN, HOLD_BREAKER, false, 0},
	{'f', 13, 140, BREAKER_OPEN, HOLD_BREAKER, true, 200},
	{'t', 14, 200, BREAKER_HALF_OPEN, HOLD_BREAKER, false, 0},
	{'o', 14, 201, BREAKER_CLOSED, HOLD_NOT, false, 0},
	{'t', 15, 201, BREAKER_CLOSED, HOLD_NOT, false, 0},
	{'t', 16, 201, BREAKER_CLOSED, HOLD_NOT, false, 0},
	{'f', 15, 202, BREAKER_CLOSED, HOLD_NOT, false, 0},
	{'f', 16, 202, BREAKER_OPEN, HOLD_BREAKER, false, 207}, /* from the beginning */
};

START_TEST(test_resource_breaker_as_it_is_written)
{
	resource_set_limits(&resource,
		&(struct resource_limits){
			.burst = 1, .breaker_failures = 2, .breaker_pause_us = 5 * US_PER_SEC});
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		const struct step *step = &steps[i];
		uint64_t now_us = step->at_s * US_PER_SEC, until_us;
		bool is_excused = false;

		if (step->what == 't')
			resource_take(&resource, step->id, 1, now_us);
		if (step->what == 'f' || step->what == 'o')
			is_excused = resource_note(&resource, step->id, step->what == 'o', now_us);
		if (step->what != 't' && step->what != '-')
			resource_give_back(&resource, step->id, 1);
		ck_assert_msg(resource.breaker == step->breaker, "breaker in step %zu", i);
		ck_assert_msg(check_at(1, now_us, &until_us) == step->hold, "hold in step %zu", i);
		ck_assert_msg(is_excused == step->is_excused, "excuse in step %zu", i);
		if (step->hold == HOLD_BREAKER)
			ck_assert_uint_eq(until_us,
				step->until_s > 0 ? step->until_s * US_PER_SEC : UINT64_MAX);
	}
}
END_TEST

START_TEST(test_resource_pause_that_is_configured_longer_stays)
{
	resource_set_limits(&resource,
		&(struct resource_limits){
			.burst = 1, .breaker_failures = 1, .breaker_pause_us = 90 * US_PER_SEC});
	resource_take(&resource, 1, 1, 0);
	(void)resource_note(&resource, 1, false, 0);
	resource_give_back(&resource, 1, 1);
	resource_take(&resource, 2, 1, 90 * US_PER_SEC);
	ck_assert(resource_note(&resource, 2, false, 100 * US_PER_SEC));
	ck_assert_uint_eq(resource.trial_at_us, 190 * US_PER_SEC);
}
END_TEST

START_TEST(test_resource_start_that_is_taken_back_was_no_trial)
{
	resource_set_limits(&resource,
		&(struct resource_limits){
			.burst = 1, .breaker_failures = 1, .breaker_pause_us = US_PER_SEC});
	resource_take(&resource, 1, 1, 0);
	ck_assert(!resource_note(&resource, 1, false, 0)); /* it opens it, and answers itself */
	resource_give_back(&resource, 1, 1);
	resource_take(&resource, 2, 1, US_PER_SEC);
	resource_take_back(&resource, 2, 1);
	ck_assert_int_eq(resource.breaker, BREAKER_OPEN);
	ck_assert_int_eq(check(US_PER_SEC), HOLD_NOT);
}
END_TEST

/* Every change that may let somebody start wakes who waits; here a lane of an empty queue stands for them. */
START_TEST(test_resource_wakes_who_waits)
{
	struct queue queue;
	struct handler handler = {.index = 0};
	struct task *task = task_new(view_of(""), view_of(""), view_of(""));

	ck_assert_int_eq(queue_init(&queue, 1), 0);
	ck_assert_int_eq(queue_open_lane(&queue, 0), 0);
	task->handler = &handler;
	queue_push(&queue, task);
	resource_take(&resource, 1, 1, 0);
	for (unsigned i = 0; i < 5; i++) {
		TAILQ_INSERT_TAIL(
			&resource.waiting, queue_hold(&queue, task, &resource), in_waiting);
		ck_assert_ptr_null(queue_first(&queue));
		if (i == 0)
			resource_give_back(&resource, 1, 1);
		else if (i == 1)
			resource_set_limits(&resource,
				&(struct resource_limits){.burst = 1, .breaker_failures = 1});
		else if (i == 2)
			(void)resource_note(&resource, 9, true, 0);
		else if (i == 3)
			resource_take(&resource, 1, 1, 0), resource_take_back(&resource, 1, 1);
		else {
			ck_assert_int_eq(resource_wake_at(&resource, 50), 0);
			ck_assert_int_eq(resource_wake_at(&resource, 70), 0);
			ck_assert_int_eq(resource_wake_at(&resource, UINT64_MAX), 0);
			ck_assert_uint_eq(deadline_next(&board.deadlines), 50);
			ck_assert_int_eq(resource_wake_at(&resource, 30), 0);
			ck_assert_uint_eq(deadline_next(&board.deadlines), 30);
			deadline_run(&board.deadlines, 30);
		}
		ck_assert_msg(queue_first(&queue) == task, "not woken by %u", i);
	}
	queue_remove(&queue, task);
	queue_done(&queue);
	task_free(task);
}
END_TEST

START_TEST(test_resource_limits_change_live)
{
	resource_set_limits(&resource, &(struct resource_limits){.max_active = 1, .burst = 1});
	resource_take(&resource, 1, 1, 0);
	ck_assert_int_eq(check(0), HOLD_CAP);
	resource_set_limits(&resource, &(struct resource_limits){.max_active = 2, .burst = 1});
	ck_assert_int_eq(check(0), HOLD_NOT);
	resource_set_limits(
		&resource, &(struct resource_limits){
				   .burst = 1, .breaker_failures = 1, .breaker_pause_us = 9});
	(void)resource_note(&resource, 1, false, 0);
	ck_assert_int_eq(check(0), HOLD_BREAKER);
	resource_set_limits(&resource, &(struct resource_limits){.burst = 1});
	ck_assert_int_eq(resource.breaker, BREAKER_CLOSED);
	ck_assert_int_eq(check(0), HOLD_NOT);
	ck_assert(!resource_note(&resource, 1, false, 0)); /* no breaker, nothing to answer for */
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("resource");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_resource_without_limits_holds_nobody);
	tcase_add_loop_test(tcase, test_resource_cap_is_never_passed, 1, 13);
	tcase_add_test(tcase, test_resource_rate_is_exact);
	tcase_add_loop_test(tcase, test_resource_rate_over_a_long_time, 0, 5);
	tcase_add_test(tcase, test_resource_take_back_gives_the_token_back);
	tcase_add_test(tcase, test_resource_breaker_as_it_is_written);
	tcase_add_test(tcase, test_resource_pause_that_is_configured_longer_stays);
	tcase_add_test(tcase, test_resource_start_that_is_taken_back_was_no_trial);
	tcase_add_test(tcase, test_resource_wakes_who_waits);
	tcase_add_test(tcase, test_resource_limits_change_live);
	return fixture_run("resource", tcase);
}
