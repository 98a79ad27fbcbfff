/*
 * check_bench: what load tests compute: when posts are due, percentiles, and two tests beside each other.
 */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>

#include "client/bench_compare.h"
#include "client/bench_print.h"
#include "client/json.h"
#include "client/pace.h"
#include "client/spread.h"

static const uint64_t rates[] = {1, 3, 7, 1000, 999983, PACE_RATE_MAX};

/* Each post is in the second that it belongs to, to the microsecond, however long it goes on. */
START_TEST(test_pace_does_not_drift)
{
	uint64_t start_us = CLOCK_AHEAD_US + 12345;
	uint64_t last_us = start_us;

	for (uint64_t n = 0; n <= PACE_POSTS_MAX; n += 997) {
		uint64_t due_us = pace_due_us(start_us, rates[_i], n);
		ck_assert_uint_ge(due_us, last_us);
		ck_assert_uint_le((due_us - start_us) * rates[_i], n * US_PER_SEC);
		ck_assert_uint_gt((due_us - start_us + 1) * rates[_i], n * US_PER_SEC);
		last_us = due_us;
	}
	ck_assert_uint_eq(pace_due_us(start_us, rates[_i], 0), start_us);
	ck_assert_uint_eq(
		pace_due_us(start_us, rates[_i], 10 * rates[_i]), start_us + 10 * US_PER_SEC);
}
END_TEST

START_TEST(test_spread_is_by_nearest_rank)
{
	int64_t values[1000];

	for (int64_t i = 0; i < 1000; i++)
		values[i] = (i * 619) % 1000 + 1; /* 1 to 1000, in no order */
	struct spread spread = spread_of(values, 1000);
	ck_assert_int_eq(spread.p50, 500);
	ck_assert_int_eq(spread.p90, 900);
	ck_assert_int_eq(spread.p99, 990);
	ck_assert_int_eq(spread.p999, 999);
	ck_assert_int_eq(spread.max, 1000);
}
END_TEST

START_TEST(test_spread_of_few_values)
{
	int64_t two[] = {9, 4};
	struct spread none = spread_of(NULL, 0), one = spread_of(two, 1);

	ck_assert_int_eq(none.max, 0);
	ck_assert_int_eq(one.p50, 9);
	ck_assert_int_eq(one.p999, 9);
	struct spread both = spread_of(two, 2);
	ck_assert_int_eq(both.p50, 4);
	ck_assert_int_eq(both.p90, 9);
}
END_TEST

/* Two runs each with 8 and 4 workers; `factor` times as long as they might. */
static json_t *series_json(double factor, int64_t other_size)
{
	struct bench_run runs[4] = {0};
	struct bench_series series = {.mode = BENCH_CLOSED,
		.handler = "h",
		.pool = "p",
		.n_tasks = 100,
		.n_posters = 16,
		.sizes = {8, other_size},
		.n_sizes = 2,
		.n_ran = 4,
		.runs = runs};

	for (size_t i = 0; i < 4; i++)
		runs[i] = (struct bench_run){.workers = series.sizes[i % 2],
			.seconds = factor * (i % 2 == 0 ? 2 : 4),
			.n_done = 90,
			.n_failed = 10,
			.total_us = {.p50 = (int64_t)(factor * (i < 2 ? 900 : 1100)), .p99 = 5000}};
	return bench_print_to_json(&series);
}

static double number_at(const json_t *rows, size_t i, const char *key)
{
	const json_t *value = json_object_get(json_array_get(rows, i), key);

	ck_assert_msg(json_is_number(value), "%s is no number", key);
	return json_number_value(value);
}

START_TEST(test_compare_gives_ratios_of_means)
{
	auto_json json_t *before = series_json(1, 4);
	auto_json json_t *now = series_json(2, 4);
	auto_json json_t *rows = bench_compare_rows(before, now);

	ck_assert(bench_compare_is_bench(before) && bench_compare_is_bench(now));
	ck_assert_ptr_null(bench_compare_difference(before, now));
	ck_assert_uint_eq(json_array_size(rows), 2);
	ck_assert_double_eq_tol(number_at(rows, 0, "rate_before"), 50, 1e-9);
	ck_assert_double_eq_tol(number_at(rows, 1, "rate_before"), 25, 1e-9);
	ck_assert_double_eq_tol(number_at(rows, 0, "rate_ratio"), 0.5, 1e-9);
	ck_assert_double_eq_tol(number_at(rows, 0, "p50_us"), 2000, 1e-9);
	ck_assert_double_eq_tol(number_at(rows, 0, "p50_us_ratio"), 2, 1e-9);
	ck_assert_double_eq_tol(number_at(rows, 1, "p99_us_ratio"), 1, 1e-9);
	/* Nothing to divide by. */
	ck_assert(json_is_null(json_object_get(json_array_get(rows, 0), "p90_us_ratio")));
}
END_TEST

START_TEST(test_compare_takes_what_both_have)
{
	auto_json json_t *before = series_json(1, 4);
	auto_json json_t *now = series_json(1, 6);
	auto_json json_t *rows = bench_compare_rows(before, now);

	ck_assert_uint_eq(json_array_size(rows), 1);
	ck_assert_double_eq(number_at(rows, 0, "workers"), 8);
	ck_assert_int_eq(json_object_set_new(now, "tasks", json_integer(7)), 0);
	ck_assert_str_eq(bench_compare_difference(before, now), "tasks");
	ck_assert_int_eq(json_object_del(now, "handler"), 0);
	ck_assert_str_eq(bench_compare_difference(before, now), "handler");
}
END_TEST

static const char *const no_benches[] = {"[]", "{}", "{\"sizes\":[]}", "{\"sizes\":{}}",
	"{\"sizes\":[7]}", "{\"sizes\":[{\"workers\":\"7\"}]}", "{\"sizes\":[{\"workers\":7}]}",
	"{\"sizes\":[{\"workers\":7,\"duration\":1,\"rate\":1,\"p50_us\":1,\"p90_us\":1,\"p99_us\":"
	"null}]}"};

START_TEST(test_compare_knows_what_is_no_bench)
{
	auto_json json_t *json = json_loads(no_benches[_i], 0, NULL);

	ck_assert_ptr_nonnull(json);
	ck_assert(!bench_compare_is_bench(json));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bench");
	TCase *tcase = tcase_create("bench");

	tcase_add_loop_test(tcase, test_pace_does_not_drift, 0, (int)ARRAY_SIZE(rates));
	tcase_add_test(tcase, test_spread_is_by_nearest_rank);
	tcase_add_test(tcase, test_spread_of_few_values);
	tcase_add_test(tcase, test_compare_gives_ratios_of_means);
	tcase_add_test(tcase, test_compare_takes_what_both_have);
	tcase_add_loop_test(
		tcase, test_compare_knows_what_is_no_bench, 0, (int)ARRAY_SIZE(no_benches));
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
