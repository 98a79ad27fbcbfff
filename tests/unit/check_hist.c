/*
 * check_hist: quantiles against exact ones, for data of several shapes, and the ends of the range.
 */
#include "core/hist.h"

#include "core_fixture.h"

#define N 20000

static struct hist hist;
static uint64_t values[N];

static uint64_t shape_uniform(uint64_t *seed)
{
	return fixture_random(seed) % 1000000;
}

static uint64_t shape_small(uint64_t *seed)
{
	return fixture_random(seed) % 70;
}

/* Every size from 1 us to 76 hours is as likely as any other. */
static uint64_t shape_log_uniform(uint64_t *seed)
{
	uint64_t bits = fixture_random(seed) % HIST_MAX_BITS;

	return (UINT64_C(1) << bits) + (fixture_random(seed) & ((UINT64_C(1) << bits) - 1));
}

static uint64_t shape_constant(uint64_t *seed)
{
	(void)seed;
	return 123457;
}

/* Most take 1 ms, one in a hundred takes 30 s. */
static uint64_t shape_two_peaks(uint64_t *seed)
{
	uint64_t base = fixture_random(seed) % 100 == 0 ? 30000000 : 1000;

	return base + fixture_random(seed) % (base / 8);
}

/* The edges of buckets. */
static uint64_t shape_powers(uint64_t *seed)
{
	return (UINT64_C(1) << fixture_random(seed) % HIST_MAX_BITS) - fixture_random(seed) % 2;
}

static uint64_t (*const shapes[])(uint64_t *) = {shape_uniform, shape_small, shape_log_uniform,
	shape_constant, shape_two_peaks, shape_powers};

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

START_TEST(test_hist_quantiles_are_within_a_64th)
{
	static const double quantiles[] = {
		0.0001, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0};
	uint64_t seed = (uint64_t)_i + 1, sum = 0;

	hist_clear(&hist);
	for (unsigned i = 0; i < N; i++) {
		values[i] = shapes[_i](&seed);
		sum += values[i];
		hist_add(&hist, values[i]);
	}
	qsort(values, N, sizeof values[0], compare);
	for (unsigned i = 0; i < ARRAY_SIZE(quantiles); i++) {
		uint64_t rank = (uint64_t)(quantiles[i] * N), exact, got;

		rank += (double)rank < quantiles[i] * N;
		exact = values[rank - 1];
		got = hist_quantile(&hist, quantiles[i]);
		ck_assert_uint_ge(got, exact);
		ck_assert_uint_le(got - exact, exact / 64);
	}
	ck_assert_uint_eq(hist_quantile(&hist, 1.0), values[N - 1]);
	ck_assert_uint_eq(hist.max_us, values[N - 1]);
	ck_assert_uint_eq(hist_mean(&hist), sum / N);
	ck_assert_uint_eq(hist.count, N);
}
END_TEST

START_TEST(test_hist_is_exact_below_64)
{
	for (uint64_t us = 0; us < 64; us++) {
		hist_clear(&hist);
		hist_add(&hist, us);
		hist_add(&hist, 1000); /* so that max_us does not help */
		ck_assert_uint_eq(hist_quantile(&hist, 0.5), us);
	}
}
END_TEST

/* Each bucket's edge: of v - 1, v, v + 1 none is told as less than it is, nor as more than a 64th above. */
START_TEST(test_hist_edges_of_each_doubling)
{
	for (unsigned bits = 0; bits < HIST_MAX_BITS; bits++) {
		for (uint64_t us = (UINT64_C(1) << bits) - 1; us <= (UINT64_C(1) << bits) + 1;
			us++) {
			hist_clear(&hist);
			hist_add(&hist, us);
			hist_add(&hist, HIST_MAX_US);
			ck_assert_uint_ge(hist_quantile(&hist, 0.5), us);
			ck_assert_uint_le(hist_quantile(&hist, 0.5) - us, us / 64);
		}
	}
}
END_TEST

START_TEST(test_hist_empty_is_zero)
{
	hist_clear(&hist);
	ck_assert_uint_eq(hist_quantile(&hist, 0.5), 0);
	ck_assert_uint_eq(hist_quantile(&hist, 1.0), 0);
	ck_assert_uint_eq(hist_mean(&hist), 0);
}
END_TEST

START_TEST(test_hist_beyond_the_range_counts_as_its_end)
{
	hist_clear(&hist);
	hist_add(&hist, HIST_MAX_US);
	hist_add(&hist, HIST_MAX_US + 1);
	hist_add(&hist, UINT64_MAX / 4);
	ck_assert_uint_eq(hist_quantile(&hist, 0.01), HIST_MAX_US);
	ck_assert_uint_eq(hist_quantile(&hist, 1.0), HIST_MAX_US);
	ck_assert_uint_eq(hist.max_us, UINT64_MAX / 4);
	ck_assert_uint_eq(hist.buckets[HIST_BUCKETS - 1], 3);
}
END_TEST

START_TEST(test_hist_one_value_is_every_quantile)
{
	hist_clear(&hist);
	hist_add(&hist, 1000003);
	ck_assert_uint_eq(hist_quantile(&hist, 0.0000001), 1000003);
	ck_assert_uint_eq(hist_quantile(&hist, 0.5), 1000003);
	ck_assert_uint_eq(hist_quantile(&hist, 1.0), 1000003);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("hist");

	tcase_add_loop_test(tcase, test_hist_quantiles_are_within_a_64th, 0, ARRAY_SIZE(shapes));
	tcase_add_test(tcase, test_hist_is_exact_below_64);
	tcase_add_test(tcase, test_hist_edges_of_each_doubling);
	tcase_add_test(tcase, test_hist_empty_is_zero);
	tcase_add_test(tcase, test_hist_beyond_the_range_counts_as_its_end);
	tcase_add_test(tcase, test_hist_one_value_is_every_quantile);
	return fixture_run("hist", tcase);
}
