/*
 * verb_bench: the load test of the program that this one descends from: the same work with several numbers of
 * workers, all numbers once in each round, so that a noisy machine hurts them alike.
 * Invariant: workers and capacity of the pool are put back on every way out, signals included: from the first
 * change on signals are held (wait.h), and restore() runs last.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "client/bench.h"
#include "client/fault.h"
#include "client/input.h"
#include "client/json.h"
#include "client/text.h"
#include "client/verb.h"
#include "client/wait.h"

#define SIZES_MAX      16
#define SIZES_DEFAULT  "100,64,24,8"
#define COUNT_DEFAULT  100
#define RUNS_DEFAULT   5
#define RESTORE_US     (10 * US_PER_SEC)
#define SETTLE_STEP_US (2 * US_PER_MS)
#define SAME_SEC       0.001 /* a difference below is none */

struct trial {
	struct ctl *ctl; /* borrows: outlives the verb */
	struct bench bench;
	char *pool; /* owns */
	int64_t workers_before;
	int64_t capacity_before;
	bool is_admin;
	bool is_changed; /* something has to be put back */
	int64_t sizes[SIZES_MAX];
	size_t n_sizes;
	size_t n_runs;
	size_t n_ran;           /* in order: runs[round * n_sizes + size] */
	struct bench_run *runs; /* owns */
};

/* What the runs with one number of workers have in common. */
struct mean {
	double seconds;
	double per_s;
	double p50_us;
	double p99_us;
};

static uint64_t given_or(uint64_t value, uint64_t otherwise)
{
	return value == OPT_NOT_GIVEN ? otherwise : value;
}

static int read_sizes(struct trial *trial, const char *text)
{
	auto_free char *copy = strdup(text);
	char *rest = copy;
	uint64_t size;

	if (!copy)
		return fault_no_memory();
	for (char *word = strsep(&rest, ","); word; word = strsep(&rest, ",")) {
		if (trial->n_sizes == SIZES_MAX || str_to_u64(word, &size) < 0 || size < 1 ||
			size > INT32_MAX)
			return fault_say(CODE_USAGE, "--workers: 1 to %d numbers as %s, not \"%s\"",
				SIZES_MAX, SIZES_DEFAULT, text);
		trial->sizes[trial->n_sizes++] = (int64_t)size;
	}
	return 0;
}

/* The pool that the handler's tasks go to by themselves. */
static int find_pool(struct trial *trial)
{
	struct ctl *ctl = trial->ctl;
	auto_reply struct link_reply reply = {0};
	const char *found = ctl->opts.pool;
	size_t i;
	json_t *handler;

	int code = found ? 0 : link_call(&ctl->link, "Handlers", json_object(), &reply);
	if (code)
		return code;
	json_array_foreach (json_object_get(reply.params, "handlers"), i, handler) {
		if (strcmp(print_text(handler, "name"), ctl->names[0]) == 0)
			found = print_text(handler, "pool");
	}
	if (!found) {
		auto_json json_t *params = json_pack("{s:s}", "handler", ctl->names[0]);
		return fault_report("org.workpool.NoSuchHandler", params);
	}
	trial->pool = strdup(found);
	return trial->pool ? 0 : fault_no_memory();
}

/* How the pool is now, and what we may do to it. */
static int look_at_pool(struct trial *trial)
{
	auto_reply struct link_reply reply = {0};
	const struct opts *opts = &trial->ctl->opts;
	const json_t *pool;

	int code = bench_ask_pool(&trial->ctl->link, trial->pool, &reply, &pool);
	if (code)
		return code;
	if (json_is_true(json_object_get(pool, "paused")))
		return fault_say(CODE_INACTIVE, "bench: pool \"%s\" is paused", trial->pool);
	trial->workers_before = print_int(pool, "workers");
	trial->capacity_before = print_int(pool, "capacity");
	trial->is_admin = strcmp(print_text(reply.params, "daemon.role"), "admin") == 0;
	if (trial->n_sizes > 0 && !trial->is_admin)
		return fault_report("org.varlink.service.PermissionDenied", NULL);
	if (trial->n_sizes == 0 && trial->is_admin)
		return read_sizes(trial, SIZES_DEFAULT);
	if (trial->n_sizes == 0) {
		trial->sizes[trial->n_sizes++] = trial->workers_before;
		(void)fault_say(0,
			"bench: only an admin may resize: %jd workers as they are; "
			"marks and times are the pool's since their last reset",
			(intmax_t)trial->workers_before);
	}
	if (!trial->is_admin &&
		trial->capacity_before < (int64_t)given_or(opts->count, COUNT_DEFAULT))
		(void)fault_say(0, "bench: the queue takes %jd tasks only: others are refused",
			(intmax_t)trial->capacity_before);
	return 0;
}

static int resize(struct trial *trial, int64_t workers, int64_t capacity)
{
	auto_reply struct link_reply reply = {0};

	trial->is_changed = true;
	return link_call(&trial->ctl->link, "Resize",
		json_pack("{s:s, s:I, s:I}", "pool", trial->pool, "workers", (json_int_t)workers,
			"capacity", (json_int_t)capacity),
		&reply);
}

/* Until the workers of the size before have left and the host is up. */
static int settle(struct trial *trial)
{
	for (;;) {
		auto_reply struct link_reply reply = {0};
		const json_t *pool;
		int code = bench_ask_pool(&trial->ctl->link, trial->pool, &reply, &pool);
		if (code)
			return code;
		if (print_int(pool, "leaving") == 0 && strcmp(print_text(pool, "host"), "up") == 0)
			return 0;
		if (clock_now_us() >= trial->ctl->link.whole_until_us)
			return link_fail(&trial->ctl->link, -ETIMEDOUT);
		if (wait_until(wait_deadline(SETTLE_STEP_US)) < 0)
			return wait_signal_code();
	}
}

static void show_run(struct trial *trial, const struct bench_run *run)
{
	if (trial->ctl->print.is_json)
		return;
	(void)printf("CPU[%ld] Workers[%jd] AmountOfWork[%ju] Duration[%f] MaxActive[%jd] "
		     "MaxQueued[%jd]",
		sysconf(_SC_NPROCESSORS_ONLN), (intmax_t)run->workers, (uintmax_t)trial->bench.n,
		run->seconds, (intmax_t)run->max_active, (intmax_t)run->max_queued);
	if (run->n_failed > 0)
		(void)printf(" Failed[%ju]", (uintmax_t)run->n_failed);
	if (run->n_refused > 0)
		(void)printf(" Refused[%ju]", (uintmax_t)run->n_refused);
	(void)putchar('\n');
}

static int run_one(struct trial *trial, size_t size)
{
	struct bench_run *run = &trial->runs[trial->n_ran];
	int64_t n = (int64_t)trial->bench.n;
	int code = 0;

	if (trial->is_admin)
		code = resize(trial, trial->sizes[size],
			trial->capacity_before > n ? trial->capacity_before : n);
	if (code == 0)
		code = settle(trial);
	if (code == 0)
		code = bench_run(&trial->bench, run);
	if (code)
		return code;
	trial->n_ran++;
	show_run(trial, run);
	return print_flush(&trial->ctl->print);
}

static int run_all(struct trial *trial)
{
	int code = 0;

	wait_set_mode(WAIT_HOLD);
	for (size_t round = 0; code == 0 && round < trial->n_runs; round++) {
		for (size_t size = 0; code == 0 && size < trial->n_sizes; size++)
			code = run_one(trial, size);
	}
	return code;
}

/* On a fresh connection: the old one may hang in a Wait. */
static int restore(struct trial *trial)
{
	struct link *link = &trial->ctl->link;

	if (!trial->is_changed)
		return 0;
	wait_set_mode(WAIT_SHIELD);
	link_close(link);
	link->answer_us = link->absence_us = RESTORE_US;
	link->whole_until_us = WAIT_FOREVER;
	int code = resize(trial, trial->workers_before, trial->capacity_before);
	if (code)
		(void)fault_say(0,
			"bench: pool \"%s\" could not be put back to %jd workers, capacity %jd",
			trial->pool, (intmax_t)trial->workers_before,
			(intmax_t)trial->capacity_before);
	return code;
}

static struct mean mean_of(const struct trial *trial, size_t size)
{
	struct mean mean = {0};
	double n = 0;

	for (size_t i = size; i < trial->n_ran; i += trial->n_sizes) {
		const struct bench_run *run = &trial->runs[i];
		uint64_t n_ended = run->n_done + run->n_failed + run->n_unseen;
		n++;
		mean.seconds += run->seconds;
		mean.per_s += run->seconds > 0 ? (double)n_ended / run->seconds : 0;
		mean.p50_us += (double)run->p50_us;
		mean.p99_us += (double)run->p99_us;
	}
	return (struct mean){mean.seconds / n, mean.per_s / n, mean.p50_us / n, mean.p99_us / n};
}

/* Against the first number of workers; to ten milliseconds where there are many of them. */
static void show_difference(double seconds)
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

static int show_times(const struct trial *trial)
{
	struct buf line;
	int r = 0;

	buf_init(&line, TEXT_LIMIT);
	for (size_t i = 0; r == 0 && i < trial->n_sizes; i++) {
		struct mean mean = mean_of(trial, i);
		r = buf_printf(&line, "%-3jd workers : %.1f tasks/s : total p50 ",
			(intmax_t)trial->sizes[i], mean.per_s);
		if (r == 0)
			r = text_append_duration(&line, (uint64_t)mean.p50_us);
		if (r == 0)
			r = buf_append(&line, ", p99 ", 6);
		if (r == 0)
			r = text_append_duration(&line, (uint64_t)mean.p99_us);
		if (r == 0)
			r = buf_append(&line, "\n", 1);
	}
	if (r == 0)
		(void)fwrite(buf_view(&line).data, 1, buf_len(&line), stdout);
	buf_done(&line);
	return r < 0 ? fault_no_memory() : 0;
}

static int show_summary(const struct trial *trial)
{
	double first = mean_of(trial, 0).seconds;

	(void)putchar('\n');
	for (size_t i = 0; i < trial->n_sizes; i++) {
		double seconds = mean_of(trial, i).seconds;
		(void)printf("%-3jd workers : %f :", (intmax_t)trial->sizes[i], seconds);
		if (i > 0)
			show_difference(first - seconds);
		(void)putchar('\n');
	}
	(void)putchar('\n');
	return show_times(trial);
}

static json_t *run_to_json(const struct bench_run *run)
{
	return json_pack("{s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "workers",
		(json_int_t)run->workers, "duration", run->seconds, "max_active",
		(json_int_t)run->max_active, "max_queued", (json_int_t)run->max_queued, "done",
		(json_int_t)run->n_done, "failed", (json_int_t)run->n_failed, "refused",
		(json_int_t)run->n_refused, "unseen", (json_int_t)run->n_unseen, "p50_us",
		(json_int_t)run->p50_us, "p99_us", (json_int_t)run->p99_us);
}

static int show_json(const struct trial *trial)
{
	auto_json json_t *runs = json_array();
	auto_json json_t *sizes = json_array();

	for (size_t i = 0; i < trial->n_ran; i++) {
		if (json_array_append_new(runs, run_to_json(&trial->runs[i])) < 0)
			return fault_no_memory();
	}
	for (size_t i = 0; i < trial->n_sizes; i++) {
		struct mean mean = mean_of(trial, i);
		if (json_array_append_new(sizes,
			    json_pack("{s:I, s:f, s:f, s:f, s:f}", "workers",
				    (json_int_t)trial->sizes[i], "duration", mean.seconds, "rate",
				    mean.per_s, "p50_us", mean.p50_us, "p99_us", mean.p99_us)) < 0)
			return fault_no_memory();
	}
	auto_json json_t *all = json_pack("{s:s, s:s, s:I, s:I, s:I, s:O, s:O}", "handler",
		trial->ctl->names[0], "pool", trial->pool, "tasks", (json_int_t)trial->bench.n,
		"connections", (json_int_t)trial->bench.n_posters, "cpus",
		(json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "runs", runs, "sizes", sizes);
	return all ? print_json(&trial->ctl->print, all) : fault_no_memory();
}

/* A load test whose tasks failed has measured something else. */
static int judge(const struct trial *trial)
{
	uint64_t n_failed = 0;
	uint64_t n_refused = 0;
	uint64_t n_unseen = 0;

	for (size_t i = 0; i < trial->n_ran; i++) {
		n_failed += trial->runs[i].n_failed;
		n_refused += trial->runs[i].n_refused;
		n_unseen += trial->runs[i].n_unseen;
	}
	if (n_unseen > 0)
		(void)fault_say(0,
			"bench: %ju tasks were forgotten before they could be looked at "
			"(the daemon's history_max)",
			(uintmax_t)n_unseen);
	if (n_failed == 0 && n_refused == 0)
		return 0;
	return fault_say(CODE_TASK, "bench: %ju of %ju tasks failed, %ju were refused",
		(uintmax_t)n_failed, (uintmax_t)(trial->n_ran * trial->bench.n),
		(uintmax_t)n_refused);
}

static int report(const struct trial *trial)
{
	int code = trial->ctl->print.is_json ? show_json(trial) : show_summary(trial);

	if (code == 0)
		code = print_flush(&trial->ctl->print);
	return code ? code : judge(trial);
}

static int prepare(struct trial *trial)
{
	struct ctl *ctl = trial->ctl;
	const struct opts *opts = &ctl->opts;
	auto_json json_t *args = NULL;
	int code = 0;

	if (ctl->n_names > 1)
		code = input_read_object(ctl->names[1], "arguments", &args);
	if (code == 0 && opts->workers)
		code = read_sizes(trial, opts->workers);
	if (code == 0)
		code = find_pool(trial);
	if (code == 0)
		code = look_at_pool(trial);
	if (code)
		return code;
	trial->n_runs = given_or(opts->runs, RUNS_DEFAULT);
	trial->runs = calloc(trial->n_runs * trial->n_sizes, sizeof(*trial->runs));
	if (!trial->runs)
		return fault_no_memory();
	code = bench_init(&trial->bench, &ctl->link,
		json_pack("{s:s, s:s, s:O*}", "handler", ctl->names[0], "pool", trial->pool, "args",
			args),
		given_or(opts->count, COUNT_DEFAULT), given_or(opts->clients, 1), opts->socket,
		opts->timeout_us);
	trial->bench.may_reset = trial->is_admin;
	return code;
}

int verb_bench(struct ctl *ctl)
{
	struct trial trial = {.ctl = ctl};

	int code = prepare(&trial);
	if (code == 0)
		code = run_all(&trial);
	bool is_whole = code == 0;
	int restored = restore(&trial);
	if (is_whole)
		code = report(&trial);
	bench_done(&trial.bench);
	free(trial.runs);
	free(trial.pool);
	return code ? code : restored;
}
