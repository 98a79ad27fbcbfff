/*
 * check_deadline: what is due fires, in order, whatever the callbacks set and clear.
 */
#include "core/deadline.h"

#include "core_fixture.h"

#define N 6

struct alarm_clock {
	struct deadline deadline;
	unsigned times;
	bool is_reset; /* sets itself again when it fires, for reset_at_us */
	uint64_t reset_at_us;
	struct alarm_clock *clears; /* NULL: none */
	struct alarm_clock *sets;   /* for set_at_us; NULL: none */
	uint64_t set_at_us;
};

static struct deadlines all;
static struct alarm_clock clocks[N];
static char order[64];

static void on_fire(struct deadline *deadline, uint64_t now_us)
{
	struct alarm_clock *self = container_of(deadline, struct alarm_clock, deadline);
	size_t len = strlen(order);

	(void)now_us;
	ck_assert(!deadline_is_set(deadline));
	self->times++;
	ck_assert_uint_lt(len, sizeof order - 1);
	order[len] = (char)('a' + (self - clocks));
	order[len + 1] = '\0';
	if (self->clears != NULL)
		deadline_clear(&all, &self->clears->deadline);
	if (self->is_reset)
		ck_assert_int_eq(deadline_set(&all, deadline, self->reset_at_us), 0);
	if (self->sets != NULL)
		ck_assert_int_eq(deadline_set(&all, &self->sets->deadline, self->set_at_us), 0);
}

static void set(unsigned i, uint64_t at_us)
{
	ck_assert_int_eq(deadline_set(&all, &clocks[i].deadline, at_us), 0);
}

static void run(uint64_t now_us, const char *expected)
{
	order[0] = '\0';
	deadline_run(&all, now_us);
	ck_assert_str_eq(order, expected);
}

static void setup(void)
{
	memset(clocks, 0, sizeof clocks);
	deadlines_init(&all);
	for (unsigned i = 0; i < N; i++)
		deadline_init(&clocks[i].deadline, on_fire);
}

static void teardown(void)
{
	deadlines_done(&all);
}

START_TEST(test_deadline_none_is_never)
{
	ck_assert_uint_eq(deadline_next(&all), UINT64_MAX);
	run(UINT64_MAX, "");
	deadline_clear(&all, &clocks[0].deadline);
}
END_TEST

START_TEST(test_deadline_fires_what_is_due_and_no_more)
{
	set(0, 30);
	set(1, 10);
	set(2, 20);
	ck_assert_uint_eq(deadline_next(&all), 10);
	run(9, "");
	run(20, "bc");
	ck_assert(!deadline_is_set(&clocks[1].deadline));
	ck_assert(deadline_is_set(&clocks[0].deadline));
	ck_assert_uint_eq(deadline_next(&all), 30);
	run(1000, "a");
	run(1000, "");
}
END_TEST

START_TEST(test_deadline_equal_times_fire_in_order_of_setting)
{
	set(3, 5);
	set(0, 5);
	set(2, 5);
	set(1, 5);
	set(3, 5); /* set again: it is the last now */
	run(5, "acbd");
}
END_TEST

START_TEST(test_deadline_set_moves_it)
{
	set(0, 10);
	set(1, 20);
	set(0, 30);
	ck_assert_uint_eq(deadline_next(&all), 20);
	run(30, "ba");
	ck_assert_uint_eq(clocks[0].times, 1);
}
END_TEST

START_TEST(test_deadline_set_again_while_firing_waits_for_the_next_run)
{
	clocks[0].is_reset = true;
	clocks[0].reset_at_us = 10;
	set(0, 10);
	run(10, "a");
	ck_assert(deadline_is_set(&clocks[0].deadline));
	run(11, "a");
	clocks[0].reset_at_us = 100;
	run(12, "a");
	run(99, "");
	run(100, "a");
}
END_TEST

/* A periodic one that is far behind must not keep the others from being served. */
START_TEST(test_deadline_set_for_the_past_while_firing_holds_nobody_up)
{
	clocks[0].is_reset = true;
	clocks[0].reset_at_us = 1;
	set(0, 1);
	set(1, 5);
	set(2, 7);
	run(10, "abc");
}
END_TEST

START_TEST(test_deadline_set_for_others_while_firing_waits_for_the_next_run)
{
	clocks[0].sets = &clocks[3];
	clocks[0].set_at_us = 2;
	set(0, 1);
	set(1, 5);
	run(10, "ab");
	run(11, "d");
}
END_TEST

START_TEST(test_deadline_cleared_while_firing_does_not_fire)
{
	clocks[0].clears = &clocks[1];
	clocks[2].clears = &clocks[2];
	set(0, 1);
	set(1, 1);
	set(2, 1);
	run(1, "ac");
	run(1, "");
}
END_TEST

START_TEST(test_deadlines_done_lets_all_go)
{
	set(0, 1);
	deadlines_done(&all);
	ck_assert(!deadline_is_set(&clocks[0].deadline));
	deadlines_init(&all);
}
END_TEST

/* Against a plain search, with times that are often equal. */
START_TEST(test_deadline_order_is_right_for_random_times)
{
	uint64_t seed = 1, at_us[N] = {0}, seq[N] = {0}, next_seq = 1;

	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = (unsigned)(fixture_random(&seed) % N), expected = N;

		if (fixture_random(&seed) % 4 == 0) {
			deadline_clear(&all, &clocks[i].deadline);
			at_us[i] = 0;
		} else {
			at_us[i] = round + 1 + fixture_random(&seed) % 4;
			seq[i] = next_seq++;
			set(i, at_us[i]);
		}
		order[0] = '\0';
		deadline_run(&all, round);
		for (size_t k = 0; k < strlen(order); k++) {
			expected = N;
			for (unsigned j = 0; j < N; j++)
				if (at_us[j] != 0 && at_us[j] <= round &&
					(expected == N || at_us[j] < at_us[expected] ||
						(at_us[j] == at_us[expected] &&
							seq[j] < seq[expected])))
					expected = j;
			ck_assert_uint_eq((unsigned)(order[k] - 'a'), expected);
			at_us[expected] = 0;
		}
		for (unsigned j = 0; j < N; j++) {
			/* One assert that holds costs more than all the rest of a round. */
			if ((at_us[j] != 0) != deadline_is_set(&clocks[j].deadline) ||
				(at_us[j] != 0 && at_us[j] <= round))
				ck_abort_msg("round %u, deadline %u", round, j);
		}
	}
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("deadline");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_deadline_none_is_never);
	tcase_add_test(tcase, test_deadline_fires_what_is_due_and_no_more);
	tcase_add_test(tcase, test_deadline_equal_times_fire_in_order_of_setting);
	tcase_add_test(tcase, test_deadline_set_moves_it);
	tcase_add_test(tcase, test_deadline_set_again_while_firing_waits_for_the_next_run);
	tcase_add_test(tcase, test_deadline_set_for_the_past_while_firing_holds_nobody_up);
	tcase_add_test(tcase, test_deadline_set_for_others_while_firing_waits_for_the_next_run);
	tcase_add_test(tcase, test_deadline_cleared_while_firing_does_not_fire);
	tcase_add_test(tcase, test_deadlines_done_lets_all_go);
	tcase_add_test(tcase, test_deadline_order_is_right_for_random_times);
	return fixture_run("deadline", tcase);
}
