/*
 * check_tune: the search for the least number of workers, on simulated servers with a known knee: so many cores, 5 ms a task.
 * The simulation is a queue with its own clock and random numbers: each run gives the same.
 */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/json.h"
#include "client/tune.h"
#include "client/tune_print.h"
#include "client/tune_svg.h"

#define WORKERS_MAX 64
#define TASKS_MAX   4096
#define SERVICE_S   0.005
#define HANDOVER_S  0.00005
#define RUNS        20

struct server {
	unsigned cores;
	double noise;   /* each window is slower or faster by up to this part */
	double hiccups; /* such a part of all windows is disturbed: up to twice as slow */
	bool is_heavy_tailed;
	double now;
	uint64_t random;
	unsigned fails_after; /* 0: never */
	uint32_t misled_by;
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
	if (next_random(server) < server->hiccups)
		pace *= 1 + next_random(server);
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
	double hiccups;
} servers[] = {
	{2, 0.03, false, 2, 0},
	{4, 0.03, false, 2, 0},
	{6, 0.03, false, 2, 0},
	{12, 0.03, false, 2, 0},
	{24, 0.03, false, 2, 0},
	{6, 0, false, 0, 0},
	{6, 0.03, true, 2, 0},
	{12, 0.03, true, 2, 0},
	{6, 0.01, false, 2, 0.1},
	{12, 0.01, false, 2, 0.1},
};

START_TEST(test_tune_finds_the_knee)
{
	unsigned n_wrong = 0, n_unsure = 0;

	for (unsigned run = 0; run < RUNS; run++) {
		struct server server = {.cores = servers[_i].cores,
			.noise = servers[_i].noise,
			.is_heavy_tailed = servers[_i].is_heavy_tailed,
			.hiccups = servers[_i].hiccups,
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
	printf("%u cores%s%s: %d runs, %u wrong, %u not certain\n", servers[_i].cores,
		servers[_i].is_heavy_tailed ? ", heavy tail" : "",
		servers[_i].hiccups > 0 ? ", disturbed" : "", RUNS, n_wrong, n_unsure);
	ck_assert_uint_le(n_wrong, servers[_i].wrong_max);
	/* It must not hide behind "not certain" where the times are all alike. */
	ck_assert(servers[_i].is_heavy_tailed || n_unsure == 0);
}
END_TEST

/* Just when the coarse search tries a size, it looks much too good. */
static int measure_misled(
	void *arg, const struct tune_window *window, struct tune_sample *ret_sample)
{
	const struct server *server = arg;
	int code = measure(arg, window, ret_sample);

	if (window->window_us > 0 && window->workers == server->misled_by)
		ret_sample->per_s *= 20;
	return code;
}

static const uint32_t misleading[] = {1, 4, 32, 64};

START_TEST(test_tune_finds_the_knee_beyond_the_edge_of_a_coarse_search_that_was_misled)
{
	struct server server = {.cores = 12, .random = 4711, .misled_by = misleading[_i]};
	struct tune tune;

	tune_init(&tune, &usual, 1);
	ck_assert_int_eq(tune_run(&tune, measure_misled, elapsed_us, &server), 0);
	ck_assert(tune.is_certain);
	ck_assert(is_right(chosen_of(&tune), 12));
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

/* Bursts: as many tasks at once, the workers in steps. */
static int measure_burst(
	void *arg, const struct tune_window *window, struct tune_sample *ret_sample)
{
	struct server *server = arg;

	ck_assert_uint_eq(window->settle_tasks, 0);
	ck_assert_uint_eq(window->tasks, 100);
	ck_assert_uint_eq(window->window_us, 0);
	server->windows++;
	unsigned able = window->workers < server->cores ? window->workers : server->cores;
	double seconds = ceil(100.0 / able) * SERVICE_S * (1 + 0.01 * next_random(server));
	*ret_sample = (struct tune_sample){
		.per_s = 100 / seconds, .p50_us = 5000, .p99_us = 6000, .n = 100};
	return 0;
}

START_TEST(test_tune_of_bursts_measures_powers_of_two)
{
	static const uint32_t sizes[] = {1, 2, 4, 8, 16, 32, 50};
	struct tune_options options = usual;
	struct server server = {.cores = 16, .random = 4711};
	struct tune tune;

	options.is_burst = true;
	options.tasks = 100;
	options.workers_max = 50;
	options.rounds = 10;
	tune_init(&tune, &options, 1);
	ck_assert_int_eq(tune_run(&tune, measure_burst, elapsed_us, &server), 0);
	ck_assert_uint_eq(tune.n_coarse, 0);
	ck_assert_uint_eq(tune.n_points, ARRAY_SIZE(sizes));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		ck_assert_uint_eq(tune.points[i].workers, sizes[i]);
	ck_assert_uint_eq(server.windows, 10 * ARRAY_SIZE(sizes));
	ck_assert(tune_is_found(&tune));
	ck_assert_uint_eq(chosen_of(&tune), 16);
}
END_TEST

START_TEST(test_tune_of_bursts_tries_no_more_workers_than_tasks)
{
	struct tune_options options = usual;
	struct server server = {.cores = 16, .random = 4711};
	struct tune tune;

	options.is_burst = true;
	options.tasks = 100;
	options.workers_max = 1000;
	tune_init(&tune, &options, 1);
	ck_assert_int_eq(tune_run(&tune, measure_burst, elapsed_us, &server), 0);
	ck_assert_uint_eq(tune.points[tune.n_points - 1].workers, 100);
}
END_TEST

/* 16, 18, 20, 24 workers; 20 is chosen, 24 the best. */
static struct tune *made(void)
{
	static const double means[] = {800, 900, 989, 1000};
	static const uint32_t sizes[] = {16, 18, 20, 24};
	static struct tune tune;

	tune = (struct tune){
		.options = usual, .n_points = 4, .best = 3, .chosen = 2, .is_certain = true};
	tune.low = 1;
	tune.high = 3;
	for (size_t i = 0; i < 4; i++)
		tune.points[i] = (struct tune_point){.workers = sizes[i],
			.mean = means[i],
			.smoothed = means[i],
			.error = 8,
			.n = 2,
			.per_s = {means[i] - 8, means[i] + 8},
			.p50_us = 5100,
			.p99_us = 7200 + (int64_t)i};
	tune.n_coarse = 1;
	tune.coarse[0] = (struct tune_point){.workers = 1, .mean = 60, .n = 2, .per_s = {59, 61}};
	return &tune;
}

static const char *text_of(struct buf *out)
{
	ck_assert_int_eq(buf_append(out, "", 1), 0);
	return buf_view(out).data;
}

static void check_sentence(const struct tune *tune, const char *text)
{
	struct buf out;

	buf_init(&out, 4096);
	ck_assert_int_eq(tune_print_sentence(&out, tune), 0);
	ck_assert_str_eq(text_of(&out), text);
	buf_done(&out);
}

START_TEST(test_tune_says_what_to_use)
{
	struct tune *tune = made();

	check_sentence(tune, "use 20 workers: 98.9 % ± 0.8 of the best (24), 17 % fewer");
	tune->chosen = 3;
	check_sentence(tune, "use 24 workers: the best, ± 0.8 %");
	tune->hit_max = true;
	check_sentence(tune, "use 24 workers: the best, ± 0.8 %; more were not tried (--max)");
	tune->points[3].workers = 1;
	tune->hit_max = false;
	check_sentence(tune, "use 1 worker: the best, ± 0.8 %");
}
END_TEST

START_TEST(test_tune_says_why_there_is_no_number)
{
	struct tune *tune = made();

	tune->is_certain = false;
	check_sentence(
		tune, "not certain: between 18 and 24 workers; times vary too much to say more");
	tune->low = tune->high = 2;
	check_sentence(tune, "not certain: perhaps 20 workers; times vary too much to say more");
	tune->is_certain = true;
	tune->options.p99_us = 7000;
	ck_assert(!tune_is_found(tune));
	check_sentence(tune, "no size keeps p99 at 7.00 ms: with 20 workers it is 7.20 ms");
}
END_TEST

static void check_table(const struct tune *tune, bool for_people, bool has_legend, const char *text)
{
	struct buf out;

	buf_init(&out, 4096);
	ck_assert_int_eq(tune_print_table(&out, tune, for_people, has_legend), 0);
	ck_assert_str_eq(text_of(&out), text);
	buf_done(&out);
}

START_TEST(test_tune_table_for_programs)
{
	struct tune *tune = made();

	check_table(tune, false, true,
		"workers\ttasks/s\tof_best\terror\tp50\tp99\tfailed\tmark\n"
		"16\t800.0\t80.0\t0.8\t5.100\t7.200\t0\t-\n"
		"18\t900.0\t90.0\t0.8\t5.100\t7.201\t0\t-\n"
		"20\t989.0\t98.9\t0.8\t5.100\t7.202\t0\tuse\n"
		"24\t1000.0\t100.0\t0.8\t5.100\t7.203\t0\tbest\n");
	tune->is_certain = false;
	tune->n_points = 2;
	tune->best = 1;
	tune->points[0].n_failed = 3;
	tune->options.is_burst = true;
	tune->options.tasks = 100;
	check_table(tune, false, false,
		"16\t800.0\t88.9\t0.9\t126.262\t123.762\t126.262\t5.100\t7.200\t3\t-\n"
		"18\t900.0\t100.0\t0.9\t112.107\t110.132\t112.107\t5.100\t7.201\t0\tperhaps\n");
}
END_TEST

START_TEST(test_tune_table_for_people)
{
	check_table(made(), true, true,
		"WORKERS   TASKS/S   % OF THE BEST       P50       P99  FAILED\n"
		"     16     800.0   80.0 % ±  0.8   5.10 ms   7.20 ms       0  "
		"###################\n"
		"     18     900.0   90.0 % ±  0.8   5.10 ms   7.20 ms       0  "
		"######################\n"
		"     20     989.0   98.9 % ±  0.8   5.10 ms   7.20 ms       0  "
		"######################## <- use\n"
		"     24    1000.0  100.0 % ±  0.8   5.10 ms   7.20 ms       0  "
		"######################## <- best\n");
}
END_TEST

START_TEST(test_tune_json_has_the_answer_and_every_sample)
{
	struct tune *tune = made();
	auto_json json_t *json = tune_print_to_json(tune);
	const json_t *points = json_object_get(json, "points");

	ck_assert_int_eq(json_integer_value(json_object_get(json, "workers")), 20);
	ck_assert_int_eq(json_integer_value(json_object_get(json, "best")), 24);
	ck_assert_uint_eq(json_array_size(points), 4);
	ck_assert_uint_eq(
		json_array_size(json_object_get(json_array_get(points, 0), "samples")), 2);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "coarse")), 1);
	tune->is_certain = false;
	auto_json json_t *unsure = tune_print_to_json(tune);
	ck_assert_ptr_null(json_object_get(unsure, "workers"));
	ck_assert_int_eq(json_integer_value(json_object_get(unsure, "low")), 18);
}
END_TEST

static unsigned count(const char *text, const char *word)
{
	unsigned n = 0;

	for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
		n++;
	return n;
}

/* That it is XML is seen by the live test, with a parser. */
START_TEST(test_tune_svg_has_every_size_and_the_one_to_use)
{
	struct tune *tune = made();
	struct buf out;

	buf_init(&out, 65536);
	ck_assert_int_eq(tune_svg_append(&out, tune, "a <b> & \"c\"\x01"), 0);
	const char *svg = text_of(&out);
	ck_assert_uint_eq(count(svg, "<circle class=\"dot\""), 4);
	ck_assert_uint_eq(count(svg, "<circle class=\"coarse\""), 1);
	ck_assert_uint_eq(count(svg, "use 20</text>"), 1);
	ck_assert_uint_eq(count(svg, "a &lt;b&gt; &amp; &quot;c&quot; </title>"), 1);
	ck_assert_uint_eq(count(svg, "nan"), 0);
	buf_done(&out);
	tune->is_certain = false;
	buf_init(&out, 65536);
	ck_assert_int_eq(tune_svg_append(&out, tune, "t"), 0);
	ck_assert_uint_eq(count(text_of(&out), "use 20</text>"), 0);
	buf_done(&out);
}
END_TEST

/* One size only, and nothing ended: no axis has a length. */
START_TEST(test_tune_prints_what_is_nothing)
{
	struct tune *tune = made();
	struct buf out;

	tune->n_points = 1;
	tune->n_coarse = 0;
	tune->best = tune->chosen = tune->low = tune->high = 0;
	tune->points[0] = (struct tune_point){.workers = 1};
	buf_init(&out, 65536);
	ck_assert_int_eq(tune_svg_append(&out, tune, "t"), 0);
	ck_assert_uint_eq(count(text_of(&out), "nan"), 0);
	buf_done(&out);
	check_table(tune, false, false, "1\t0.0\t0.0\t0.0\t0.000\t0.000\t0\tuse\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tune");
	TCase *tcase = tcase_create("tune");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, test_tune_finds_the_knee, 0, (int)ARRAY_SIZE(servers));
	tcase_add_loop_test(tcase,
		test_tune_finds_the_knee_beyond_the_edge_of_a_coarse_search_that_was_misled, 0,
		(int)ARRAY_SIZE(misleading));
	tcase_add_test(tcase, test_tune_stays_within_what_is_allowed);
	tcase_add_test(tcase, test_tune_keeps_the_tasks_quick);
	tcase_add_test(tcase, test_tune_ends_when_a_measurement_does);
	tcase_add_test(tcase, test_tune_keeps_to_its_budget);
	tcase_add_test(tcase, test_tune_rate_is_not_misled_by_bursts);
	tcase_add_test(tcase, test_tune_of_bursts_measures_powers_of_two);
	tcase_add_test(tcase, test_tune_of_bursts_tries_no_more_workers_than_tasks);
	tcase_add_test(tcase, test_tune_says_what_to_use);
	tcase_add_test(tcase, test_tune_says_why_there_is_no_number);
	tcase_add_test(tcase, test_tune_table_for_programs);
	tcase_add_test(tcase, test_tune_table_for_people);
	tcase_add_test(tcase, test_tune_json_has_the_answer_and_every_sample);
	tcase_add_test(tcase, test_tune_svg_has_every_size_and_the_one_to_use);
	tcase_add_test(tcase, test_tune_prints_what_is_nothing);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
