/*
 * tune_print: see tune_print.h.
 */
#include "client/tune_print.h"

#include <string.h>

#include "base/clock.h"
#include "client/json.h"
#include "client/text.h"

#define BAR_WIDTH 24
#define CELL_SIZE 32

/* How long a burst took. */
struct times {
	uint64_t median_us, least_us, most_us;
};

/* What is decided by is smoothed; people are told of a size that was measured. */
static double reference_of(const struct tune *tune)
{
	return tune->points[tune->best].mean;
}

double tune_print_part(const struct tune *tune, const struct tune_point *point)
{
	return reference_of(tune) > 0 ? point->mean / reference_of(tune) : 0;
}

double tune_print_part_error(const struct tune *tune, const struct tune_point *point)
{
	return reference_of(tune) > 0 ? point->error / reference_of(tune) : 0;
}

static struct times times_of(const struct tune *tune, const struct tune_point *point)
{
	uint64_t us[TUNE_ROUNDS_MAX];

	for (uint32_t i = 0; i < point->n; i++) {
		uint32_t at = i;
		uint64_t value =
			point->per_s[i] > 0
				? (uint64_t)((double)tune->options.tasks * 1e6 / point->per_s[i])
				: 0;
		for (; at > 0 && us[at - 1] > value; at--)
			us[at] = us[at - 1];
		us[at] = value;
	}
	if (point->n == 0)
		return (struct times){0};
	return (struct times){us[point->n / 2], us[0], us[point->n - 1]};
}

static const char *mark_of(const struct tune *tune, size_t i)
{
	if (tune_is_found(tune) && i == tune->chosen)
		return "use";
	if (!tune->is_certain && i >= tune->low && i <= tune->high)
		return "perhaps";
	return i == tune->best ? "best" : "-";
}

/* Right-aligned to `width`: text_append_duration() writes into a buf only. */
static int append_duration(struct buf *out, uint64_t us, int width)
{
	char cell[CELL_SIZE];
	struct buf text;

	buf_init(&text, sizeof(cell) - 1);
	int r = text_append_duration(&text, us);
	if (r == 0)
		r = buf_printf(out, "  %*.*s", width, (int)buf_len(&text), buf_view(&text).data);
	buf_done(&text);
	return r;
}

static int append_times(struct buf *out, const struct tune *tune, const struct tune_point *point)
{
	struct times times = times_of(tune, point);

	if (!tune->options.is_burst)
		return 0;
	int r = append_duration(out, times.median_us, 9);
	if (r == 0)
		r = append_duration(out, times.least_us, 9);
	return r == 0 ? append_duration(out, times.most_us, 9) : r;
}

static int append_row_for_people(struct buf *out, const struct tune *tune, size_t i)
{
	static const char bar[BAR_WIDTH + 1] = "########################";
	const struct tune_point *point = &tune->points[i];
	double part = tune_print_part(tune, point);
	double length = part < 1 ? part * BAR_WIDTH + 0.5 : BAR_WIDTH;
	const char *mark = mark_of(tune, i);

	int r = buf_printf(out, "%7u  %8.1f  %5.1f %% ± %4.1f", point->workers, point->mean,
		100 * part, 100 * tune_print_part_error(tune, point));
	if (r == 0)
		r = append_times(out, tune, point);
	if (r == 0)
		r = append_duration(out, (uint64_t)point->p50_us, 8);
	if (r == 0)
		r = append_duration(out, (uint64_t)point->p99_us, 8);
	if (r == 0)
		r = buf_printf(out, "  %6ju  %-*.*s", (uintmax_t)point->n_failed, BAR_WIDTH,
			(int)length, bar);
	if (r == 0 && strcmp(mark, "-") != 0)
		r = buf_printf(out, " <- %s", mark);
	while (r == 0 && buf_view(out).data[buf_len(out) - 1] == ' ')
		buf_truncate(out, buf_len(out) - 1);
	return r == 0 ? buf_append(out, "\n", 1) : r;
}

static double ms_of(int64_t us)
{
	return (double)us / (double)US_PER_MS;
}

static int append_row_for_programs(struct buf *out, const struct tune *tune, size_t i)
{
	const struct tune_point *point = &tune->points[i];
	struct times times = times_of(tune, point);

	int r = buf_printf(out, "%u\t%.1f\t%.1f\t%.1f\t", point->workers, point->mean,
		100 * tune_print_part(tune, point), 100 * tune_print_part_error(tune, point));
	if (r == 0 && tune->options.is_burst)
		r = buf_printf(out, "%.3f\t%.3f\t%.3f\t", ms_of((int64_t)times.median_us),
			ms_of((int64_t)times.least_us), ms_of((int64_t)times.most_us));
	if (r < 0)
		return r;
	return buf_printf(out, "%.3f\t%.3f\t%ju\t%s\n", ms_of(point->p50_us), ms_of(point->p99_us),
		(uintmax_t)point->n_failed, mark_of(tune, i));
}

static int append_legend(struct buf *out, bool is_burst, bool for_people)
{
	if (!for_people)
		return buf_printf(out,
			"workers\ttasks/s\tof_best\terror\t%sp50\tp99\tfailed\tmark\n",
			is_burst ? "time\ttime_min\ttime_max\t" : "");
	return buf_printf(out, "%7s%10s   %% OF THE BEST%s%10s%10s%8s\n", "WORKERS", "TASKS/S",
		is_burst ? "       TIME       FROM         TO" : "", "P50", "P99", "FAILED");
}

int tune_print_table(struct buf *out, const struct tune *tune, bool for_people, bool has_legend)
{
	int r = has_legend ? append_legend(out, tune->options.is_burst, for_people) : 0;

	for (size_t i = 0; r == 0 && i < tune->n_points; i++)
		r = for_people ? append_row_for_people(out, tune, i)
			       : append_row_for_programs(out, tune, i);
	return r;
}

static const char *workers_word(uint32_t workers)
{
	return workers == 1 ? "worker" : "workers";
}

static int append_uncertain(struct buf *out, const struct tune *tune)
{
	uint32_t low = tune->points[tune->low].workers, high = tune->points[tune->high].workers;
	int r = low == high ? buf_printf(out, "not certain: perhaps %u", low)
			    : buf_printf(out, "not certain: between %u and %u", low, high);

	return r == 0 ? buf_printf(out, " %s; times vary too much to say more", workers_word(high))
		      : r;
}

static int append_slow(struct buf *out, const struct tune *tune)
{
	const struct tune_point *point = &tune->points[tune->chosen];
	int r = buf_printf(out, "no size keeps p99 at ");

	if (r == 0)
		r = text_append_duration(out, (uint64_t)tune->options.p99_us);
	if (r == 0)
		r = buf_printf(
			out, ": with %u %s it is ", point->workers, workers_word(point->workers));
	return r == 0 ? text_append_duration(out, (uint64_t)point->p99_us) : r;
}

static int append_answer(struct buf *out, const struct tune *tune)
{
	const struct tune_point *chosen = &tune->points[tune->chosen];
	const struct tune_point *best = &tune->points[tune->best];
	double fewer = 1 - (double)chosen->workers / best->workers;

	int r = buf_printf(out, "use %u %s: ", chosen->workers, workers_word(chosen->workers));
	if (r < 0)
		return r;
	if (chosen == best)
		r = buf_printf(
			out, "the best, ± %.1f %%", 100 * tune_print_part_error(tune, chosen));
	else
		r = buf_printf(out, "%.1f %% ± %.1f of the best (%u), %.0f %% fewer",
			100 * tune_print_part(tune, chosen),
			100 * tune_print_part_error(tune, chosen), best->workers, 100 * fewer);
	if (r == 0 && tune->hit_max)
		r = buf_printf(out, "; more were not tried (--max)");
	return r;
}

int tune_print_sentence(struct buf *out, const struct tune *tune)
{
	if (!tune->is_certain)
		return append_uncertain(out, tune);
	return tune_is_found(tune) ? append_answer(out, tune) : append_slow(out, tune);
}

static json_t *samples_to_json(const struct tune_point *point)
{
	json_t *samples = json_array();

	for (uint32_t i = 0; samples && i < point->n; i++) {
		if (json_array_append_new(samples, json_real(point->per_s[i])) < 0) {
			json_decref(samples);
			return NULL;
		}
	}
	return samples;
}

static json_t *point_to_json(const struct tune *tune, const struct tune_point *point)
{
	struct times times = times_of(tune, point);
	json_t *burst =
		tune->options.is_burst
			? json_pack("{s:I, s:I, s:I}", "median", (json_int_t)times.median_us, "min",
				  (json_int_t)times.least_us, "max", (json_int_t)times.most_us)
			: NULL;

	return json_pack("{s:I, s:f, s:f, s:f, s:f, s:o*, s:I, s:I, s:I, s:o}", "workers",
		(json_int_t)point->workers, "per_s", point->mean, "error", point->error, "part",
		tune_print_part(tune, point), "part_error", tune_print_part_error(tune, point),
		"burst_us", burst, "p50_us", (json_int_t)point->p50_us, "p99_us",
		(json_int_t)point->p99_us, "failed", (json_int_t)point->n_failed, "samples",
		samples_to_json(point));
}

static json_t *points_to_json(const struct tune *tune)
{
	json_t *points = json_array();

	for (size_t i = 0; points && i < tune->n_points; i++) {
		if (json_array_append_new(points, point_to_json(tune, &tune->points[i])) < 0) {
			json_decref(points);
			return NULL;
		}
	}
	return points;
}

static json_t *coarse_to_json(const struct tune *tune)
{
	json_t *coarse = json_array();

	for (size_t i = 0; coarse && i < tune->n_coarse; i++) {
		const struct tune_point *point = &tune->coarse[i];
		if (json_array_append_new(
			    coarse, json_pack("{s:I, s:o}", "workers", (json_int_t)point->workers,
					    "samples", samples_to_json(point))) < 0) {
			json_decref(coarse);
			return NULL;
		}
	}
	return coarse;
}

json_t *tune_print_to_json(const struct tune *tune)
{
	json_t *workers = tune_is_found(tune)
				  ? json_integer((json_int_t)tune->points[tune->chosen].workers)
				  : NULL;
	struct buf sentence;
	json_t *json = NULL;

	buf_init(&sentence, TEXT_LIMIT);
	if (tune_print_sentence(&sentence, tune) == 0)
		json = json_pack("{s:s%, s:b, s:o*, s:I, s:I, s:I, s:b, s:f, s:o, s:o}", "sentence",
			buf_view(&sentence).data, buf_len(&sentence), "certain", tune->is_certain,
			"workers", workers, "low", (json_int_t)tune->points[tune->low].workers,
			"high", (json_int_t)tune->points[tune->high].workers, "best",
			(json_int_t)tune->points[tune->best].workers, "hit_max", tune->hit_max,
			"tolerance", tune->options.tolerance, "coarse", coarse_to_json(tune),
			"points", points_to_json(tune));
	buf_done(&sentence);
	return json;
}
