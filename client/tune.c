/*
 * tune: see tune.h. Called by verb_tune.c. Pure: the same samples give the same answer.
 */
#include "client/tune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COARSE_GAIN 1.05 /* what the last two must have brought over all below */
#define FINE_FROM                                                                                  \
	0.85 /* the fine search begins behind the last size below this part of the best … */
#define FINE_TO   1.4 /* … and ends with so many times the best size */
#define FINE_STEP 1.12
#define CV2_MIN   1.0
#define CV2_MAX   4.0
#define NEAR      1.15 /* neighbours that differ by more say little about each other */
#define TRIM      5    /* one in so many windows at each end does not count */

/* Standard errors: the highest of many means is mostly too high, by about one, and what lies beyond two is no chance. */
#define LIKELY 1.0
#define SURE   2.0

/* An answer is certain with errors within the tolerance, if it lies for sure between sizes that differ by no more than this … */
#define CLOSE 1.5
/* … or with errors within this part of the tolerance: more rounds would not change it. */
#define NARROW 3.0

void tune_init(struct tune *tune, const struct tune_options *options, uint32_t workers)
{
	memset(tune, 0, sizeof(*tune));
	tune->options = *options;
	tune->workers = workers;
	tune->cv2 = CV2_MIN;
}

static double clamp(double x, double low, double high)
{
	return x < low ? low : x > high ? high : x;
}

/* Tasks that were under way at the old size, and as many at the new one, are not of one size. */
static uint64_t settle_tasks(const struct tune *tune, uint32_t workers)
{
	uint32_t most = workers > tune->workers ? workers : tune->workers;

	return (uint64_t)(2.0 * most * clamp(tune->cv2, CV2_MIN, CV2_MAX));
}

static int measure_point(struct tune *tune, struct tune_point *point, uint64_t window_us,
	tune_measure *measure, void *arg)
{
	struct tune_window window = {.workers = point->workers,
		.settle_tasks = tune->options.is_burst ? 0 : settle_tasks(tune, point->workers),
		.tasks = tune->options.tasks,
		.window_us = window_us};
	struct tune_sample sample = {0};

	int code = measure(arg, &window, &sample);
	if (code)
		return code;
	tune->workers = point->workers;
	tune->cv2 = sample.cv2;
	point->per_s[point->n] = sample.per_s;
	point->p50s_us[point->n] = sample.p50_us;
	point->p99s_us[point->n] = sample.p99_us;
	point->n_failed += sample.n_failed;
	point->n++;
	return 0;
}

/* The last two sizes brought too little over all below them. */
static bool brings_nothing(const struct tune *tune)
{
	double below = 0, last = 0;

	if (tune->n_coarse < 3)
		return false;
	for (size_t i = 0; i < tune->n_coarse; i++) {
		double *of = i + 2 < tune->n_coarse ? &below : &last;
		if (tune->coarse[i].per_s[0] > *of)
			*of = tune->coarse[i].per_s[0];
	}
	return last < COARSE_GAIN * below;
}

static bool is_slow(const struct tune *tune, int64_t p99_us)
{
	return tune->options.p99_us > 0 && p99_us > tune->options.p99_us;
}

/* Up to where more workers bring nothing or tasks get too slow, and back again: one window alone says little. */
static int search_coarse(struct tune *tune, tune_measure *measure, void *arg)
{
	const struct tune_options *options = &tune->options;
	bool goes_on = true;
	int code = 0;

	for (uint32_t workers = 1; goes_on;) {
		struct tune_point *point = &tune->coarse[tune->n_coarse];

		point->workers = workers;
		code = measure_point(tune, point, options->window_us, measure, arg);
		if (code)
			return code;
		/* The first one counts however slow it is: something has to be the answer. */
		goes_on = !is_slow(tune, point->p99s_us[0]);
		tune->n_coarse += goes_on || tune->n_coarse == 0;
		goes_on = goes_on && !brings_nothing(tune) && workers < options->workers_max;
		workers = workers > options->workers_max / 2 ? options->workers_max : 2 * workers;
	}
	for (size_t i = tune->n_coarse; code == 0 && i-- > 0;) {
		struct tune_point *point = &tune->coarse[i];

		code = measure_point(tune, point, options->window_us, measure, arg);
		/* What disturbs a window mostly takes away. */
		point->mean = fmax(point->per_s[0], point->per_s[1]);
	}
	return code;
}

/* The sizes of the fine search, none of them measured. */
static void lay_sizes(struct tune *tune, uint32_t from, uint32_t to)
{
	memset(tune->points, 0, sizeof(tune->points));
	tune->n_points = 0;
	for (uint32_t workers = from; tune->n_points < TUNE_POINTS_MAX;) {
		tune->points[tune->n_points++].workers = workers;
		if (workers == to)
			break;
		uint32_t next = (uint32_t)lround(FINE_STEP * workers);
		workers = next <= workers ? workers + 1 : next;
		if (workers > to)
			workers = to;
	}
}

/* From the coarse search to the sizes of the fine one. */
static void lay_grid(struct tune *tune)
{
	const struct tune_point *best = &tune->coarse[0];
	uint32_t from = 1, to, limit = tune->options.workers_max;

	for (size_t i = 1; i < tune->n_coarse; i++) {
		if (tune->coarse[i].mean > best->mean)
			best = &tune->coarse[i];
	}
	for (const struct tune_point *at = tune->coarse; at < best; at++) {
		if (at->mean < FINE_FROM * best->mean)
			from = at->workers;
	}
	to = (uint32_t)ceil(FINE_TO * best->workers);
	lay_sizes(tune, from, to < limit ? to : limit);
}

/* Of bursts: the sizes of a coarse search, but not more than the tasks of one can use. */
static void lay_powers(struct tune *tune)
{
	const struct tune_options *options = &tune->options;
	uint32_t to = options->workers_max;

	if (to > options->tasks)
		to = (uint32_t)options->tasks;
	for (uint32_t workers = 1; workers < to; workers *= 2)
		tune->points[tune->n_points++].workers = workers;
	tune->points[tune->n_points++].workers = to;
}

static int measure_round(struct tune *tune, uint32_t round, tune_measure *measure, void *arg)
{
	for (size_t i = 0; i < tune->n_points; i++) {
		size_t at = round % 2 == 0 ? i : tune->n_points - 1 - i;
		int code = measure_point(tune, &tune->points[at], 0, measure, arg);
		if (code)
			return code;
	}
	return 0;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts them. */
static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), by_size);
	return n > 0 ? (values[(n - 1) / 2] + values[n / 2]) / 2 : 0;
}

static int64_t median_us(const int64_t *us, uint32_t n)
{
	double values[TUNE_ROUNDS_MAX] = {0};

	for (uint32_t i = 0; i < n; i++)
		values[i] = (double)us[i];
	return (int64_t)median(values, n);
}

static double centre_of(const struct tune_point *point)
{
	double values[TUNE_ROUNDS_MAX] = {0};

	memcpy(values, point->per_s, point->n * sizeof(*values));
	return median(values, point->n);
}

/* What most sizes did in a round, as part of what they do: one that was disturbed in it is not to change the others. */
static double level_of(const struct tune *tune, uint32_t round)
{
	double parts[TUNE_POINTS_MAX] = {0};
	size_t n = 0;

	for (size_t i = 0; i < tune->n_points; i++) {
		double centre = centre_of(&tune->points[i]);
		if (centre > 0)
			parts[n++] = tune->points[i].per_s[round] / centre;
	}
	double level = median(parts, n);
	return level > 0 ? level : 1;
}

/*
 * Mean and standard error without the highest and the lowest fifth (trimmed mean; its error from the winsorized variance, Yuen
 * 1974): another program that takes the machine for a moment spoils a window, not the answer.
 */
static void average(struct tune_point *point, double *values)
{
	uint32_t n = point->n, cut = n / TRIM;
	double sum = 0, squares = 0, all = 0;

	qsort(values, n, sizeof(*values), by_size);
	for (uint32_t i = cut; i < n - cut; i++)
		sum += values[i];
	point->mean = sum / (n - 2 * cut);
	for (uint32_t i = 0; i < n; i++) {
		double value = values[i < cut ? cut : i >= n - cut ? n - cut - 1 : i];
		all += value;
		squares += value * value;
	}
	double variance = n > 1 ? (squares - all * all / n) / (n - 1) : 0;
	point->error = variance > 0 ? sqrt(variance * n) / (n - 2 * cut) : 0;
}

static void sum_up(struct tune *tune)
{
	double levels[TUNE_ROUNDS_MAX] = {0}, values[TUNE_ROUNDS_MAX] = {0};

	for (uint32_t k = 0; k < tune->points[0].n; k++)
		levels[k] = level_of(tune, k);
	for (size_t i = 0; i < tune->n_points; i++) {
		struct tune_point *point = &tune->points[i];

		for (uint32_t k = 0; k < point->n; k++)
			values[k] = point->per_s[k] / levels[k];
		average(point, values);
		point->p50_us = median_us(point->p50s_us, point->n);
		point->p99_us = median_us(point->p99s_us, point->n);
	}
}

static double most_error(const struct tune *tune)
{
	double most = 0;

	for (size_t i = 0; i < tune->n_points; i++) {
		if (tune->points[i].error > most)
			most = tune->points[i].error;
	}
	return most;
}

static bool are_near(const struct tune_point *a, const struct tune_point *b)
{
	return b->workers <= NEAR * a->workers;
}

/* 1-2-1, over neighbours that are near: among small sizes one worker more is another thing. */
static void smooth(struct tune *tune)
{
	struct tune_point *points = tune->points;

	for (size_t i = 0; i < tune->n_points; i++) {
		double sum = 2 * points[i].mean, weights = 2;

		if (i > 0 && are_near(&points[i - 1], &points[i])) {
			sum += points[i - 1].mean;
			weights++;
		}
		if (i + 1 < tune->n_points && are_near(&points[i], &points[i + 1])) {
			sum += points[i + 1].mean;
			weights++;
		}
		points[i].smoothed = sum / weights;
	}
}

/* The first size of which it is true that with `errors` standard errors more it is good enough. */
static size_t first_good(const struct tune *tune, double errors)
{
	double tolerance = tune->options.tolerance * tune->points[tune->best].smoothed;
	double reference = tune->points[tune->best].smoothed;
	const struct tune_point *best = &tune->points[tune->best];

	for (size_t i = 0; i < tune->best; i++) {
		const struct tune_point *point = &tune->points[i];
		double more = errors * hypot(point->error, best->error);

		if (!is_slow(tune, point->p99_us) && point->mean + more >= reference - tolerance &&
			point->smoothed + more >= reference - 1.5 * tolerance)
			return i;
	}
	return tune->best;
}

/* Each standard error is within such a part of the tolerance. */
static bool has_errors_below(const struct tune *tune, double part)
{
	return most_error(tune) <=
	       tune->options.tolerance / part * tune->points[tune->best].smoothed;
}

static void decide(struct tune *tune)
{
	smooth(tune);
	tune->best = 0;
	for (size_t i = 1; i < tune->n_points; i++) {
		if (!is_slow(tune, tune->points[i].p99_us) &&
			tune->points[i].smoothed > tune->points[tune->best].smoothed)
			tune->best = i;
	}
	tune->chosen = first_good(tune, LIKELY);
	tune->low = first_good(tune, SURE);
	tune->high = first_good(tune, -SURE);
	bool is_close = tune->points[tune->high].workers <= CLOSE * tune->points[tune->low].workers;
	tune->is_certain =
		has_errors_below(tune, 1) && (is_close || has_errors_below(tune, NARROW));
	tune->hit_max = tune->chosen + 1 == tune->n_points &&
			tune->points[tune->chosen].workers == tune->options.workers_max;
}

/* The largest size is the best one by more than the tolerance. */
static bool is_rising(const struct tune *tune)
{
	double enough = (1 - tune->options.tolerance) * tune->points[tune->best].mean;

	for (size_t i = 0; i + 1 < tune->n_points; i++) {
		if (tune->points[i].mean >= enough)
			return false;
	}
	return tune->best + 1 == tune->n_points;
}

/* The coarse search saw each size for a moment only. Where the answer is at the edge of what it left, more is looked at. */
static bool widen(struct tune *tune)
{
	uint32_t from = tune->points[0].workers, to = tune->points[tune->n_points - 1].workers;
	uint32_t limit = tune->options.workers_max;
	bool is_lower = tune->chosen == 0 && from > 1, is_higher = is_rising(tune) && to < limit;

	if (tune->options.is_burst || (!is_lower && !is_higher))
		return false;
	if (is_lower)
		from /= 2;
	if (is_higher)
		to = (uint32_t)ceil(FINE_TO * to);
	lay_sizes(tune, from, to < limit ? to : limit);
	return true;
}

static int search_fine(
	struct tune *tune, tune_measure *measure, uint64_t (*elapsed_us)(void *arg), void *arg)
{
	const struct tune_options *options = &tune->options;

	for (uint32_t round = 0; round < TUNE_ROUNDS_MAX;) {
		bool is_late = elapsed_us(arg) > options->budget_us;

		/* Two at least: else there is no error of a mean. */
		if (round >= 2 && is_late)
			return 0;
		int code = measure_round(tune, round, measure, arg);
		if (code)
			return code;
		sum_up(tune);
		decide(tune);
		round++;
		if (round == 2 && !is_late && widen(tune))
			round = 0;
		else if (round >= options->rounds && tune->is_certain)
			return 0;
	}
	return 0;
}

int tune_run(struct tune *tune, tune_measure *measure, uint64_t (*elapsed_us)(void *arg), void *arg)
{
	int code = tune->options.is_burst ? 0 : search_coarse(tune, measure, arg);

	if (code)
		return code;
	if (tune->options.is_burst)
		lay_powers(tune);
	else
		lay_grid(tune);
	return search_fine(tune, measure, elapsed_us, arg);
}

bool tune_is_found(const struct tune *tune)
{
	return tune->is_certain && !is_slow(tune, tune->points[tune->chosen].p99_us);
}

double tune_rate(const uint64_t *ends_us, size_t n)
{
	double mean_i = (double)(n - 1) / 2, mean_t = 0, both = 0, square = 0;

	for (size_t i = 0; i < n; i++)
		mean_t += (double)(ends_us[i] - ends_us[0]) / (double)n;
	for (size_t i = 0; i < n; i++) {
		double t = (double)(ends_us[i] - ends_us[0]) - mean_t;
		both += ((double)i - mean_i) * t;
		square += t * t;
	}
	return square > 0 ? both / square * 1e6 : 0;
}
