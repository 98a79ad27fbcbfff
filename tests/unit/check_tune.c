/*
 * check_tune: the search for the least number of workers, on simulated servers with a known knee: so many cores, 5 ms a task.
 * The simulation is a queue with its own clock and random numbers: each run gives the same.
 */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/tune.h"

#define WORKERS_MAX 64
#define TASKS_MAX   4096
#define SERVICE_S   0.005
#define HANDOVER_S  0.00005
#define RUNS        20

struct server {
	unsigned cores;
	double noise; /* each window is slower or faster by up to this part */
	bool is_heavy_tailed;
	double now;
	uint64_t random;
	unsigned fails_after; /* 0: never */
	unsigned windows;
	uint32_t largest;
};

static double next_random(struct server *server)
{
	server->random ^= server->random << 13;
	server->random ^= server->random >> 7;
	server->random ^= server->random << 17;
	return (double)(server->random >> 11) / 9007199254740992.0;
}

static double service_time(struct server *server)
{
	if (!server->is_heavy_tailed)
		return SERVICE_S;
	return SERVICE_S * 0.3 / pow(next_random(server) + 1e-9, 1 / 1.6);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static size_t earliest(const double *times, size_t n)
{
	size_t first = 0;

	for (size_t i = 1; i < n; i++)
		if (times[i] < times[first])
			first = i;
	return first;
}

/* Every task: the first free worker takes it, and waits for the first free core. */
static void simulate(struct server *server, uint32_t workers, size_t n, double *ends, double *runs)
{
	double pace = 1 + server->noise * (2 * next_random(server) - 1);
	double core[WORKERS_MAX], worker[WORKERS_MAX];

	for (size_t i = 0; i < WORKERS_MAX; i++)
		core[i] = worker[i] = server->now;
	for (size_t i = 0; i < n; i++) {
		size_t w = earliest(worker, workers), c = earliest(core, server->cores);
		double begin = core[c] > worker[w] ? core[c] : worker[w];

		ends[i] = core[c] = begin + service_time(server) * pace;
		runs[i] = ends[i] - worker[w];
		worker[w] = ends[i] + HANDOVER_S;
	}
	qsort(ends, n, sizeof(*ends), by_size);
	qsort(runs, n, sizeof(*runs), by_size);
}

static int measure(void *arg, const struct tune_window *window, struct tune_sample *ret_sample)
{
	static double ends[TASKS_MAX], runs[TASKS_MAX];
	static uint64_t ends_us[TASKS_MAX];
	struct server *server = arg;
	size_t first = (size_t)window->settle_tasks, n = first + (size_t)window->tasks;
	double sum = 0, squares = 0;

	ck_assert_uint_le(n, TASKS_MAX);
	ck_assert(window->workers >= 1 && window->workers <= WORKERS_MAX);
	if (server->fails_after > 0 && ++server->windows == server->fails_after)
		return 7;
	if (window->workers > server->largest)
		server->largest = window->workers;
	simulate(server, window->workers, n, ends, runs);
	size_t counted = 0;
	for (size_t i = first; i < n; i++) {
		if (window->window_us > 0 && counted > 1 &&
			(ends[i] - ends[first]) * 1e6 > (double)window->window_us)
			break;
		ends_us[counted++] = (uint64_t)(ends[i] * 1e6);
	}
	for (size_t i = 0; i < n; i++) {
		sum += runs[i];
		squares += runs[i] * runs[i];
	}
	double mean = sum / (double)n;
	*ret_sample = (struct tune_sample){.per_s = tune_rate(ends_us, counted),
		.cv2 = (squares / (double)n - mean * mean) / (mean * mean),
		.p50_us = (int64_t)(runs[n / 2] * 1e6),
		.p99_us = (int64_t)(runs[n - 1 - n / 100] * 1e6),
		.n = counted};
	server->now = ends[n - 1];
	return 0;
}

static uint64_t elapsed_us(void *arg)
{
	const struct server *server = arg;

	return (uint64_t)(server->now * 1e6);
}

static const struct tune_options usual = {.workers_max = WORKERS_MAX,
	.tasks = 400,
	.window_us = 2000000,
	.tolerance = 0.02,
	.rounds = 6,
	.budget_us = 300000000};

static uint32_t chosen_of(const struct tune *tune)
{
	return tune->points[tune->chosen].workers;
}

/* What so many cores need: 95 % of what is possible, with at most 1.3 times the workers that this takes. */
static bool is_right(uint32_t workers, unsigned cores)
{
	double least = ceil(0.95 * cores);

	return workers >= 0.95 * cores && workers <= 1.3 * least;
}

static const struct {
	unsigned cores;
	double noise;
	bool is_heavy_tailed;
	unsigned wrong_max; /* of RUNS: 1 of 10 */
} servers[] = {
	{2, 0.03, false, 2},
	{4, 0.03, false, 2},
	{6, 0.03, false, 2},
	{12, 0.03, false, 2},
	{24, 0.03, false, 2},
	{6, 0, false, 0},
	{6, 0.03, true, 2},
	{12, 0.03, true, 2},
};

START_TEST(test_tune_finds_the_knee)
{
	unsigned n_wrong = 0, n_unsure = 0;

	for (unsigned run = 0; run < RUNS; run++) {
		struct server server = {.cores = servers[_i].cores,
			.noise = servers[_i].noise,
			.is_heavy_tailed = servers[_i].is_heavy_tailed,
			.random = 88172645463325252u + run};
		struct tune tune;

		tune_init(&tune, &usual, 1);
		ck_assert_int_eq(tune_run(&tune, measure, elapsed_us, &server), 0);
		if (!tune.is_certain)
			n_unsure++;
		else if (!is_right(chosen_of(&tune), server.cores))
			n_wrong++;
		ck_assert_uint_le(tune.low, tune.chosen);
		ck_assert_uint_ge(tune.high, tune.low);
	}
	printf("%u cores%s: %d runs, %u wrong, %u not certain\n", servers[_i].cores,
		servers[_i].is_heavy_tailed ? ", heavy tail" : "", RUNS, n_wrong, n_unsure);
	ck_assert_uint_le(n_wrong, servers[_i].wrong_max);
	/* It must not hide behind "not certain" where the times are all alike. */
	ck_assert(servers[_i].is_heavy_tailed || n_unsure == 0);
}
END_TEST

START_TEST(test_tune_stays_within_what_is_allowed)
{
	struct tune_options options = usual;
	struct server server = {.cores = 24, .noise = 0.01, .random = 4711};
	struct tune tune;

	options.workers_max = 10;
	tune_init(&tune, &options, 1);
	ck_assert_int_eq(tune_run(&tune, measure, elapsed_us, &server), 0);
	ck_assert_uint_eq(server.largest, 10);
	ck_assert_uint_eq(chosen_of(&tune), 10);
	ck_assert(tune.hit_max);
}
END_TEST

/* With so many cores that p99 is what ends it: 4 cores, tasks of 5 ms, at most 7 ms: not more than 5 workers. */
START_TEST(test_tune_keeps_the_tasks_quick)
{
	struct tune_options options = usual;
	struct server server = {.cores = 4, .random = 4711};
	struct tune tune;

	options.p99_us = 7000;
	tune_init(&tune, &options, 1);
	ck_assert_int_eq(tune_run(&tune, measure, elapsed_us, &server), 0);
	ck_assert_uint_eq(chosen_of(&tune), 4);
	ck_assert_int_le(tune.points[tune.chosen].p99_us, 7000);
}
END_TEST

START_TEST(test_tune_ends_when_a_measurement_does)
{
	for (unsigned n = 1; n < 60; n += 7) {
		struct server server = {.cores = 4, .random = 4711, .fails_after = n};
		struct tune tune;

		tune_init(&tune, &usual, 1);
		ck_assert_int_eq(tune_run(&tune, measure, elapsed_us, &server), 7);
		ck_assert_uint_eq(server.windows, n);
	}
}
END_TEST

START_TEST(test_tune_keeps_to_its_budget)
{
	struct tune_options options = usual;
	struct server server = {.cores = 6, .noise = 0.5, .random = 4711};
	struct tune tune;

	options.budget_us = 1;
	tune_init(&tune, &options, 1);
	ck_assert_int_eq(tune_run(&tune, measure, elapsed_us, &server), 0);
	ck_assert_uint_eq(tune.points[0].n, 2);
	ck_assert(!tune.is_certain);
}
END_TEST

START_TEST(test_tune_rate_is_not_misled_by_bursts)
{
	uint64_t ends_us[400];

	/* Bursts of 24 every 5 ms are 4,800 a second, wherever the window begins. */
	for (unsigned offset = 0; offset < 24; offset++) {
		for (unsigned i = 0; i < 400; i++)
			ends_us[i] = (i + offset) / 24 * 5000;
		ck_assert_double_eq_tol(tune_rate(ends_us, 400), 4800, 4800 * 0.01);
	}
	ck_assert_double_eq(tune_rate(ends_us, 1), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tune");
	TCase *tcase = tcase_create("tune");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, test_tune_finds_the_knee, 0, (int)ARRAY_SIZE(servers));
	tcase_add_test(tcase, test_tune_stays_within_what_is_allowed);
	tcase_add_test(tcase, test_tune_keeps_the_tasks_quick);
	tcase_add_test(tcase, test_tune_ends_when_a_measurement_does);
	tcase_add_test(tcase, test_tune_keeps_to_its_budget);
	tcase_add_test(tcase, test_tune_rate_is_not_misled_by_bursts);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
