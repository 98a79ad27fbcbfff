/*
 * check_stats: marks, times, the table of counters, and rates over gaps in time.
 */
#include "core/stats.h"

#include "base/clock.h"
#include "core_fixture.h"

static struct stats stats;

static void setup(void)
{
	memset(&stats, 0, sizeof stats);
}

static void add(struct rate *rate, uint64_t second, unsigned n)
{
	while (n-- > 0)
		rate_add(rate, second * US_PER_SEC + n);
}

static double over(const struct rate *rate, uint64_t second, unsigned seconds)
{
	return rate_over(rate, second * US_PER_SEC, seconds);
}

START_TEST(test_stats_every_counter_has_its_row)
{
	ck_assert_uint_eq(stats_n_counters * sizeof(uint64_t), sizeof(struct counters));
	for (size_t i = 0; i < stats_n_counters; i++) {
		ck_assert_uint_eq(stats_counters[i].offset, i * sizeof(uint64_t));
		ck_assert_uint_gt(strlen(stats_counters[i].name), 0);
		ck_assert_uint_gt(strlen(stats_counters[i].unit), 0);
		ck_assert_uint_gt(strlen(stats_counters[i].help), 0);
		for (size_t k = 0; k < i; k++)
			ck_assert_str_ne(stats_counters[i].name, stats_counters[k].name);
	}
}
END_TEST

START_TEST(test_stats_marks_only_rise_until_reset)
{
	stats_mark(&stats, 3, 1);
	stats_mark(&stats, 1, 2);
	ck_assert_uint_eq(stats.max_queued, 3);
	ck_assert_uint_eq(stats.max_active, 2);
	times_attempt(&stats.times, 10, 20, 30);
	hist_add(&stats.times.total, 20);
	stats.counters.posted = 9;
	stats_reset_marks(&stats, 1, 0);
	ck_assert_uint_eq(stats.max_queued, 1);
	ck_assert_uint_eq(stats.max_active, 0);
	ck_assert_uint_eq(stats.times.total.count, 0);
	ck_assert_uint_eq(stats.times.wait.count + stats.times.run.count, 0);
	ck_assert_uint_eq(stats.counters.posted, 9);
}
END_TEST

START_TEST(test_stats_times_of_an_attempt_are_taken_apart)
{
	times_attempt(&stats.times, 1000, 1030, 1090);
	ck_assert_uint_eq(stats.times.wait.sum_us, 30);
	ck_assert_uint_eq(stats.times.run.sum_us, 60);
	ck_assert_uint_eq(stats.times.total.count, 0);
	times_clear(&stats.times);
	ck_assert_uint_eq(stats.times.wait.count + stats.times.run.count, 0);
}
END_TEST

START_TEST(test_rate_counts_whole_seconds_that_are_over)
{
	add(&stats.ended, 100, 30);
	ck_assert_double_eq(over(&stats.ended, 100, 1), 0.0);
	ck_assert_double_eq(over(&stats.ended, 101, 1), 30.0);
	ck_assert_double_eq(over(&stats.ended, 102, 1), 0.0);
	ck_assert_double_eq(over(&stats.ended, 102, 60), 0.5);
	ck_assert_double_eq(over(&stats.ended, 160, 60), 0.5);
	ck_assert_double_eq(over(&stats.ended, 161, 60), 0.0);
}
END_TEST

START_TEST(test_rate_forgets_over_gaps)
{
	add(&stats.ended, 100, 7);
	add(&stats.ended, 160, 1);
	ck_assert_double_eq(over(&stats.ended, 160, 60) * 60, 7.0);
	ck_assert_double_eq(over(&stats.ended, 161, 60) * 60, 1.0);
	add(&stats.ended, 161, 2); /* the cell of second 100 again */
	ck_assert_double_eq(over(&stats.ended, 162, 60) * 60, 3.0);
	add(&stats.ended, 1000, 5); /* every cell is old */
	ck_assert_double_eq(over(&stats.ended, 1001, 60) * 60, 5.0);
	add(&stats.ended, UINT32_MAX, 4);
	ck_assert_double_eq(over(&stats.ended, (uint64_t)UINT32_MAX + 1, 60) * 60, 4.0);
}
END_TEST

START_TEST(test_rate_right_after_boot)
{
	add(&stats.ended, 0, 3);
	ck_assert_double_eq(over(&stats.ended, 0, 60), 0.0);
	ck_assert_double_eq(over(&stats.ended, 1, 60) * 60, 3.0);
}
END_TEST

/* Against plain arrays, with gaps of all lengths around a minute. */
START_TEST(test_rate_is_right_for_random_gaps)
{
	static uint32_t ends[40000];
	uint64_t seed = 5;

	for (uint64_t second = 0; second + 130 < ARRAY_SIZE(ends);
		second += fixture_random(&seed) % 66) {
		unsigned n = (unsigned)(fixture_random(&seed) % 9);
		uint64_t now = second + fixture_random(&seed) % 64;

		add(&stats.ended, second, n);
		ends[second] += n;
		for (unsigned seconds = 1; seconds <= STATS_RATE_SECONDS; seconds++) {
			uint64_t sum = 0;

			for (uint64_t back = 1; back <= seconds && back <= now; back++)
				sum += ends[now - back];
			ck_assert_double_eq_tol(
				over(&stats.ended, now, seconds) * seconds, (double)sum, 1e-6);
		}
	}
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("stats");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, test_stats_every_counter_has_its_row);
	tcase_add_test(tcase, test_stats_marks_only_rise_until_reset);
	tcase_add_test(tcase, test_stats_times_of_an_attempt_are_taken_apart);
	tcase_add_test(tcase, test_rate_counts_whole_seconds_that_are_over);
	tcase_add_test(tcase, test_rate_forgets_over_gaps);
	tcase_add_test(tcase, test_rate_right_after_boot);
	tcase_add_test(tcase, test_rate_is_right_for_random_gaps);
	return fixture_run("stats", tcase);
}
