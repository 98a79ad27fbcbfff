/*
 * verb_bench: load tests of any handler. A burst is the one of the program that this one descends from: the same work with several
 * numbers of workers, all numbers once in each round, so that a noisy machine hurts them alike. Open and closed loads last.
 * Invariant: workers and capacity of the pool are put back on every way out, signals included: signals are held while it runs
 * (wait.h), and sizing_restore() runs last.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "client/bench.h"
#include "client/bench_compare.h"
#include "client/bench_print.h"
#include "client/bench_steady.h"
#include "client/fault.h"
#include "client/input.h"
#include "client/json.h"
#include "client/pace.h"
#include "client/sizing.h"
#include "client/verb.h"
#include "client/wait.h"

#define SIZES_DEFAULT  "100,64,24,8"
#define COUNT_DEFAULT  100
#define RUNS_DEFAULT   5
#define OPEN_SECONDS   10   /* of an open load, if nobody says how many posts */
#define CLOSED_DEFAULT 1000 /* posts of a closed load */
#define EARLIER_MAX    ((size_t)16 * 1024 * 1024)
#define LATE_US                                                                                    \
	(10 * 1000) /* an open load this far behind its times was not the one that was asked for */

struct trial {
	struct ctl *ctl; /* borrows: outlives the verb */
	struct sizing sizing;
	struct bench_series series;
	struct bench bench;         /* of bursts */
	struct bench_steady steady; /* of the others */
	size_t n_rounds;
	bool resizes;
	json_t *earlier; /* owns; what it is compared with */
};

static uint64_t given_or(uint64_t value, uint64_t otherwise)
{
	return value == OPT_NOT_GIVEN ? otherwise : value;
}

static int read_sizes(struct bench_series *series, const char *text)
{
	auto_free char *copy = strdup(text);
	char *rest = copy;
	uint64_t size;

	if (!copy)
		return fault_no_memory();
	for (char *word = strsep(&rest, ","); word; word = strsep(&rest, ",")) {
		if (series->n_sizes == BENCH_SIZES_MAX || str_to_u64(word, &size) < 0 || size < 1 ||
			size > INT32_MAX)
			return fault_say(CODE_USAGE, "--workers: 1 to %d numbers as %s, not \"%s\"",
				BENCH_SIZES_MAX, SIZES_DEFAULT, text);
		series->sizes[series->n_sizes++] = (int64_t)size;
	}
	return 0;
}

/* An earlier --json. */
static int read_earlier(struct trial *trial, const char *path)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	auto_free char *text = NULL;
	char why[JSON_WHY_SIZE];
	struct view view = {0};

	int r = fd < 0 ? -errno : fd_read_all(fd, EARLIER_MAX, &text, &view.len);
	if (r < 0)
		return fault_say(CODE_USAGE, "--compare: %s: %s", path, strerror(-r));
	view.data = text;
	r = json_parse(view, &trial->earlier, why);
	if (r == -ENOMEM)
		return fault_no_memory();
	if (r < 0 || !bench_compare_is_bench(trial->earlier))
		return fault_say(CODE_USAGE,
			"--compare: %s: not what wpctl bench --json writes%s%s", path,
			r < 0 ? ": " : "", r < 0 ? why : "");
	return 0;
}

/* The pool that the handler's tasks go to by themselves, if none is named. */
static int find_pool(struct trial *trial)
{
	struct ctl *ctl = trial->ctl;
	auto_reply struct link_reply reply = {0};
	const char *pool = ctl->opts.pool;
	const json_t *handler;

	int code = pool ? 0 : sizing_find_handler(&ctl->link, ctl->names[0], &reply, &handler);
	if (code)
		return code;
	if (!pool)
		pool = print_text(handler, "pool");
	code = sizing_init(&trial->sizing, &ctl->link, "bench", pool);
	trial->series.pool = trial->sizing.pool;
	return code;
}

/* A burst changes the workers if it may; the others if they are told to. */
static int choose_sizes(struct trial *trial)
{
	struct bench_series *series = &trial->series;
	const struct sizing *sizing = &trial->sizing;
	bool is_burst = series->mode == BENCH_BURST;

	if (series->n_sizes > 0 && !sizing->is_admin)
		return fault_report("org.varlink.service.PermissionDenied", NULL);
	trial->resizes = sizing->is_admin && (is_burst || series->n_sizes > 0);
	if (series->n_sizes == 0 && trial->resizes)
		return read_sizes(series, SIZES_DEFAULT);
	if (series->n_sizes > 0)
		return 0;
	series->sizes[series->n_sizes++] = sizing->workers;
	if (!is_burst)
		return 0;
	(void)fault_say(0,
		"bench: only an admin may resize: %jd workers as they are; "
		"marks and times are the pool's since their last reset",
		(intmax_t)sizing->workers);
	if (sizing->capacity < (int64_t)series->n_tasks)
		(void)fault_say(0, "bench: the queue takes %jd tasks only: others are refused",
			(intmax_t)sizing->capacity);
	return 0;
}

/* All of a burst finds room; that the queue is full is a result of the others. */
static int resize(struct trial *trial, int64_t workers)
{
	const struct sizing *sizing = &trial->sizing;
	int64_t n = (int64_t)trial->series.n_tasks, capacity = sizing->capacity;

	if (trial->series.mode == BENCH_BURST && capacity < n)
		capacity = n;
	return trial->resizes ? sizing_set(&trial->sizing, workers, capacity) : 0;
}

static int run_one(struct trial *trial, size_t size)
{
	struct bench_series *series = &trial->series;
	struct bench_run *run = &series->runs[series->n_ran];

	int code = resize(trial, series->sizes[size]);
	if (code == 0)
		code = series->mode == BENCH_BURST ? bench_run(&trial->bench, run)
						   : bench_steady_run(&trial->steady, run);
	if (code)
		return code;
	if (series->mode != BENCH_BURST)
		run->workers = series->sizes[size];
	series->n_ran++;
	return bench_print_run(&trial->ctl->print, series);
}

static int run_all(struct trial *trial)
{
	int code = 0;

	wait_set_mode(WAIT_HOLD);
	for (size_t round = 0; code == 0 && round < trial->n_rounds; round++) {
		for (size_t size = 0; code == 0 && size < trial->series.n_sizes; size++)
			code = run_one(trial, size);
	}
	return code;
}

static void warn(const struct bench_series *series, uint64_t n_unseen, int64_t late_us)
{
	if (n_unseen > 0)
		(void)fault_say(0,
			"bench: %ju tasks were forgotten before they could be looked at "
			"(the daemon's history_max)",
			(uintmax_t)n_unseen);
	if (series->mode == BENCH_OPEN && late_us > LATE_US)
		(void)fault_say(0,
			"bench: posts left up to %jd ms late: the rate is more than wpctl can "
			"post, "
			"or the machine is busy",
			(intmax_t)(late_us / 1000));
}

/* A load test whose tasks failed has measured something else; so has a burst that was refused in part. */
static int judge(const struct bench_series *series)
{
	uint64_t n_failed = 0, n_refused = 0, n_unseen = 0;
	int64_t late_us = 0;

	for (size_t i = 0; i < series->n_ran; i++) {
		const struct bench_run *run = &series->runs[i];
		n_failed += run->n_failed;
		n_refused += run->n_refused;
		n_unseen += run->n_unseen;
		late_us = run->late_us > late_us ? run->late_us : late_us;
	}
	warn(series, n_unseen, late_us);
	if (n_failed == 0 && n_refused == 0)
		return 0;
	return fault_say(CODE_TASK, "bench: %ju of %ju tasks failed, %ju were refused",
		(uintmax_t)n_failed, (uintmax_t)(series->n_ran * series->n_tasks),
		(uintmax_t)n_refused);
}

static int show_compared(struct trial *trial, json_t *now)
{
	static const struct print_column columns[] = {
		{"workers", "workers", PRINT_NUMBER},
		{"ended/s_before", "rate_before", PRINT_NUMBER},
		{"ended/s", "rate", PRINT_NUMBER},
		{"ended/s_ratio", "rate_ratio", PRINT_NUMBER},
		{"p50_before", "p50_us_before", PRINT_US},
		{"p50", "p50_us", PRINT_US},
		{"p50_ratio", "p50_us_ratio", PRINT_NUMBER},
		{"p99_before", "p99_us_before", PRINT_US},
		{"p99", "p99_us", PRINT_US},
		{"p99_ratio", "p99_us_ratio", PRINT_NUMBER},
	};
	struct print_table table = PRINT_TABLE(columns);
	struct print *print = &trial->ctl->print;
	auto_json json_t *rows = bench_compare_rows(trial->earlier, now);
	const char *difference = bench_compare_difference(trial->earlier, now);

	if (!rows)
		return fault_no_memory();
	if (difference)
		(void)fault_say(
			0, "bench: compared with another load: \"%s\" is not the same", difference);
	if (json_array_size(rows) == 0)
		(void)fault_say(0, "bench: no number of workers is in both");
	if (print->is_json)
		return json_object_set(now, "compared", rows) < 0 ? fault_no_memory() : 0;
	(void)putchar('\n');
	return print_rows(print, &table, rows);
}

static int report(struct trial *trial)
{
	struct print *print = &trial->ctl->print;
	auto_json json_t *json = bench_print_to_json(&trial->series);

	int code = json ? bench_print_summary(print, &trial->series) : fault_no_memory();
	if (code == 0 && trial->earlier)
		code = show_compared(trial, json);
	if (code == 0 && print->is_json)
		code = print_json(print, json);
	if (code == 0)
		code = print_flush(print);
	return code ? code : judge(&trial->series);
}

static int choose_mode(struct trial *trial)
{
	const struct opts *opts = &trial->ctl->opts;
	struct bench_series *series = &trial->series;
	static const uint64_t counts[BENCH_MODES] = {
		[BENCH_BURST] = COUNT_DEFAULT, [BENCH_CLOSED] = CLOSED_DEFAULT};
	bool is_open = opts->rate != OPT_NOT_GIVEN;

	if (is_open && opts->is_closed)
		return fault_say(CODE_USAGE, "bench: either --rate or --closed");
	series->mode = is_open ? BENCH_OPEN : opts->is_closed ? BENCH_CLOSED : BENCH_BURST;
	series->per_s = is_open ? opts->rate : 0;
	series->n_tasks =
		given_or(opts->count, is_open ? opts->rate * OPEN_SECONDS : counts[series->mode]);
	if (series->n_tasks > PACE_POSTS_MAX)
		series->n_tasks = PACE_POSTS_MAX;
	series->n_posters = given_or(opts->clients, 1);
	trial->n_rounds = given_or(opts->runs, series->mode == BENCH_BURST ? RUNS_DEFAULT : 1);
	return 0;
}

static int make_load(struct trial *trial, json_t *args)
{
	struct ctl *ctl = trial->ctl;
	struct bench_series *series = &trial->series;
	const struct opts *opts = &ctl->opts;
	struct load_options options = {
		.verb = "bench",
		.socket = opts->socket,
		.timeout_us = opts->timeout_us,
		.handler = series->handler,
		.pool = series->pool,
		.args = args,
		.n_posters = series->n_posters,
	};

	if (series->mode != BENCH_BURST)
		return bench_steady_init(
			&trial->steady, &ctl->print, options, series->n_tasks, series->per_s);
	int code = bench_init(&trial->bench, &ctl->link, &ctl->print,
		json_pack("{s:s, s:s, s:O*}", "handler", series->handler, "pool", series->pool,
			"args", args),
		series->n_tasks, series->n_posters, opts->socket, opts->timeout_us);
	trial->bench.may_reset = trial->sizing.is_admin;
	return code;
}

static int prepare(struct trial *trial)
{
	struct ctl *ctl = trial->ctl;
	struct bench_series *series = &trial->series;
	auto_json json_t *args = NULL;

	int code = choose_mode(trial);
	if (code == 0 && ctl->n_names > 1)
		code = input_read_object(ctl->names[1], "arguments", &args);
	if (code == 0 && ctl->opts.workers)
		code = read_sizes(series, ctl->opts.workers);
	if (code == 0 && ctl->opts.compare)
		code = read_earlier(trial, ctl->opts.compare);
	if (code == 0)
		code = find_pool(trial);
	if (code == 0)
		code = choose_sizes(trial);
	if (code)
		return code;
	series->runs = calloc(trial->n_rounds * series->n_sizes, sizeof(*series->runs));
	return series->runs ? make_load(trial, args) : fault_no_memory();
}

int verb_bench(struct ctl *ctl)
{
	struct trial trial = {.ctl = ctl, .series.handler = ctl->names[0]};

	int code = prepare(&trial);
	if (code == 0)
		code = run_all(&trial);
	bool is_whole = code == 0;
	wait_set_mode(WAIT_SHIELD);
	print_progress_end(&ctl->print);
	int restored = sizing_restore(&trial.sizing);
	if (restored == 0)
		load_clear(&trial.steady.load, &ctl->link, 0);
	bench_steady_done(&trial.steady);
	if (is_whole)
		code = report(&trial);
	bench_done(&trial.bench);
	json_decref(trial.earlier);
	free(trial.series.runs);
	sizing_done(&trial.sizing);
	return code ? code : restored;
}
