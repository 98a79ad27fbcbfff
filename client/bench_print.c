/*
 * bench_print: see bench_print.h.
 */
#include "client/bench_print.h"

#include <stdio.h>
#include <unistd.h>

#include "client/fault.h"
#include "client/json.h"
#include "client/text.h"

#define SAME_SEC 0.001 /* a difference below is none */

static const char *const mode_words[BENCH_MODES] = {
	[BENCH_BURST] = "burst",
	[BENCH_OPEN] = "open",
	[BENCH_CLOSED] = "closed",
};

/* Of a run of a load that lasts. Times from when the post was due; run_: from when the task was started. */
static const struct print_column columns[] = {
	{"workers", "workers", PRINT_NUMBER},
	{"ended/s", "rate", PRINT_NUMBER},
	{"done", "done", PRINT_NUMBER},
	{"failed", "failed", PRINT_NUMBER},
	{"refused", "refused", PRINT_NUMBER},
	{"p50", "p50_us", PRINT_US},
	{"p90", "p90_us", PRINT_US},
	{"p99", "p99_us", PRINT_US},
	{"p99.9", "p999_us", PRINT_US},
	{"max", "max_us", PRINT_US},
	{"run_p50", "run_us.p50", PRINT_US},
	{"run_p99", "run_us.p99", PRINT_US},
	{"late", "late_us", PRINT_US},
};

/* What the runs with one number of workers have in common. */
struct mean {
	double seconds;
	double per_s;
	double p50_us, p90_us, p99_us;
};

static double per_s_of(const struct bench_run *run)
{
	uint64_t n_ended = run->n_done + run->n_failed + run->n_unseen;

	return run->seconds > 0 ? (double)n_ended / run->seconds : 0;
}

static struct mean mean_of(const struct bench_series *series, size_t size)
{
	struct mean mean = {0};
	double n = 0;

	for (size_t i = size; i < series->n_ran; i += series->n_sizes)
		n++;
	for (size_t i = size; i < series->n_ran; i += series->n_sizes) {
		const struct bench_run *run = &series->runs[i];
		mean.seconds += run->seconds / n;
		mean.per_s += per_s_of(run) / n;
		mean.p50_us += (double)run->total_us.p50 / n;
		mean.p90_us += (double)run->total_us.p90 / n;
		mean.p99_us += (double)run->total_us.p99 / n;
	}
	return mean;
}

/* Into `object`, which has what is the same in all modes. */
static int add_steady(json_t *object, const struct bench_run *run)
{
	auto_json json_t *more = json_pack("{s:I, s:I, s:{s:I, s:I, s:I, s:I, s:I}}", "p999_us",
		(json_int_t)run->total_us.p999, "late_us", (json_int_t)run->late_us, "run_us",
		"p50", (json_int_t)run->run_us.p50, "p90", (json_int_t)run->run_us.p90, "p99",
		(json_int_t)run->run_us.p99, "p999", (json_int_t)run->run_us.p999, "max",
		(json_int_t)run->run_us.max);

	return more ? json_object_update(object, more) : -1;
}

static int add_burst(json_t *object, const struct bench_run *run)
{
	auto_json json_t *more = json_pack("{s:I, s:I, s:I}", "max_active",
		(json_int_t)run->max_active, "max_queued", (json_int_t)run->max_queued, "unseen",
		(json_int_t)run->n_unseen);

	return more ? json_object_update(object, more) : -1;
}

static json_t *run_to_json(const struct bench_series *series, const struct bench_run *run)
{
	json_t *object = json_pack("{s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "workers",
		(json_int_t)run->workers, "duration", run->seconds, "rate", per_s_of(run), "done",
		(json_int_t)run->n_done, "failed", (json_int_t)run->n_failed, "refused",
		(json_int_t)run->n_refused, "p50_us", (json_int_t)run->total_us.p50, "p90_us",
		(json_int_t)run->total_us.p90, "p99_us", (json_int_t)run->total_us.p99, "max_us",
		(json_int_t)run->total_us.max);
	int r = series->mode == BENCH_BURST ? add_burst(object, run) : add_steady(object, run);

	if (r == 0)
		return object;
	json_decref(object);
	return NULL;
}

static void print_burst(const struct bench_series *series, const struct bench_run *run)
{
	(void)printf("CPU[%ld] Workers[%jd] AmountOfWork[%ju] Duration[%f] MaxActive[%jd] "
		     "MaxQueued[%jd]",
		sysconf(_SC_NPROCESSORS_ONLN), (intmax_t)run->workers, (uintmax_t)series->n_tasks,
		run->seconds, (intmax_t)run->max_active, (intmax_t)run->max_queued);
	if (run->n_failed > 0)
		(void)printf(" Failed[%ju]", (uintmax_t)run->n_failed);
	if (run->n_refused > 0)
		(void)printf(" Refused[%ju]", (uintmax_t)run->n_refused);
	(void)putchar('\n');
}

static int print_steady(
	struct print *print, struct bench_series *series, const struct bench_run *run)
{
	auto_json json_t *rows = json_pack("[o]", run_to_json(series, run));

	if (series->table.n == 0)
		series->table = PRINT_TABLE(columns);
	return rows ? print_rows(print, &series->table, rows) : fault_no_memory();
}

int bench_print_run(struct print *print, struct bench_series *series)
{
	const struct bench_run *run = &series->runs[series->n_ran - 1];
	int code = 0;

	if (print->is_json)
		return 0;
	if (series->mode == BENCH_BURST)
		print_burst(series, run);
	else
		code = print_steady(print, series, run);
	return code ? code : print_flush(print);
}

/* Against the first number of workers; to ten milliseconds where there are many of them. */
static void print_difference(double seconds)
{
	double size = seconds < 0 ? -seconds : seconds;
	long ms = (long)(size * 1000 + 0.5);

	if (size < SAME_SEC) {
		(void)fputs(" the same", stdout);
		return;
	}
	if (ms >= 100)
		ms = (ms + 5) / 10 * 10;
	(void)printf(" ~%ld Milliseconds %s", ms, seconds < 0 ? "Slower" : "Faster");
}

static int append_times(struct buf *out, const struct bench_series *series, size_t size)
{
	struct mean mean = mean_of(series, size);
	const struct {
		const char *name;
		double us;
	} times[] = {{"p50", mean.p50_us}, {", p90", mean.p90_us}, {", p99", mean.p99_us}};
	int r = buf_printf(out, "%-3jd workers : %.1f tasks/s : total ",
		(intmax_t)series->sizes[size], mean.per_s);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(times); i++) {
		r = buf_printf(out, "%s ", times[i].name);
		if (r == 0)
			r = text_append_duration(out, (uint64_t)times[i].us);
	}
	return r == 0 ? buf_append(out, "\n", 1) : r;
}

static int print_times(const struct bench_series *series)
{
	struct buf lines;
	int r = 0;

	buf_init(&lines, TEXT_LIMIT);
	for (size_t i = 0; r == 0 && i < series->n_sizes; i++)
		r = append_times(&lines, series, i);
	if (r == 0)
		(void)fwrite(buf_view(&lines).data, 1, buf_len(&lines), stdout);
	buf_done(&lines);
	return r < 0 ? fault_no_memory() : 0;
}

/* A load that lasts has told its runs in rows; the burst's are compared. */
int bench_print_summary(struct print *print, const struct bench_series *series)
{
	double first = mean_of(series, 0).seconds;

	if (print->is_json || series->mode != BENCH_BURST)
		return 0;
	(void)putchar('\n');
	for (size_t i = 0; i < series->n_sizes; i++) {
		double seconds = mean_of(series, i).seconds;
		(void)printf("%-3jd workers : %f :", (intmax_t)series->sizes[i], seconds);
		if (i > 0)
			print_difference(first - seconds);
		(void)putchar('\n');
	}
	(void)putchar('\n');
	return print_times(series);
}

static json_t *size_to_json(const struct bench_series *series, size_t size)
{
	struct mean mean = mean_of(series, size);

	return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f}", "workers",
		(json_int_t)series->sizes[size], "duration", mean.seconds, "rate", mean.per_s,
		"p50_us", mean.p50_us, "p90_us", mean.p90_us, "p99_us", mean.p99_us);
}

json_t *bench_print_to_json(const struct bench_series *series)
{
	auto_json json_t *runs = json_array();
	auto_json json_t *sizes = json_array();

	for (size_t i = 0; i < series->n_ran; i++) {
		if (json_array_append_new(runs, run_to_json(series, &series->runs[i])) < 0)
			return NULL;
	}
	for (size_t i = 0; i < series->n_sizes; i++) {
		if (json_array_append_new(sizes, size_to_json(series, i)) < 0)
			return NULL;
	}
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:o*, s:I, s:O, s:O}", "handler",
		series->handler, "pool", series->pool, "mode", mode_words[series->mode], "tasks",
		(json_int_t)series->n_tasks, "connections", (json_int_t)series->n_posters,
		"rate_wanted",
		series->mode == BENCH_OPEN ? json_integer((json_int_t)series->per_s) : NULL, "cpus",
		(json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "runs", runs, "sizes", sizes);
}
