/*
 * bench_steady: see bench_steady.h. A task's time goes from when its post was due to when the daemon knew its end; so a post that was
 * late, here or in the daemon, makes it longer.
 */
#include "client/bench_steady.h"

#include "base/clock.h"
#include "client/fault.h"
#include "client/pace.h"
#include "client/wait.h"

#define POSTS_A_TURN 256               /* then replies are read */
#define FULL_US      (10 * US_PER_MS)  /* a closed load does not storm a full queue */
#define PROGRESS_US  (200 * US_PER_MS) /* nothing need arrive for it */

static int on_end(void *arg, const struct load_end *end)
{
	struct bench_steady *steady = arg;

	if (end->is_refused) {
		steady->run.n_refused++;
		steady->post_from_us = wait_deadline(FULL_US);
		return 0;
	}
	if (end->is_done)
		steady->run.n_done++;
	else
		steady->run.n_failed++;
	if (end->ended_us > steady->ended_us)
		steady->ended_us = end->ended_us;
	steady->totals_us[steady->n_totals++] = (int64_t)(end->ended_us - end->due_us);
	if (end->started_us > 0)
		steady->runs_us[steady->n_runs++] = (int64_t)(end->ended_us - end->started_us);
	return 0;
}

int bench_steady_init(struct bench_steady *steady, struct print *print, struct load_options options,
	uint64_t n, uint64_t per_s)
{
	*steady = (struct bench_steady){
		.print = print,
		.per_s = per_s,
		.n = n,
		.totals_us = calloc(n, sizeof(*steady->totals_us)),
		.runs_us = calloc(n, sizeof(*steady->runs_us)),
	};
	if (!steady->totals_us || !steady->runs_us)
		return fault_no_memory();
	options.on_end = on_end;
	options.arg = steady;
	return load_init(&steady->load, &options);
}

void bench_steady_done(struct bench_steady *steady)
{
	load_done(&steady->load);
	free(steady->totals_us);
	free(steady->runs_us);
	*steady = (struct bench_steady){0};
}

/* When the next post may leave; WAIT_FOREVER: not before something has ended. */
static uint64_t next_post_us(const struct bench_steady *steady)
{
	if (steady->n_posted == steady->n)
		return WAIT_FOREVER;
	if (steady->per_s > 0)
		return pace_due_us(steady->start_us, steady->per_s, steady->n_posted);
	if (steady->load.n_under_way >= steady->load.n_posters)
		return WAIT_FOREVER;
	return steady->post_from_us;
}

static int post_what_is_due(struct bench_steady *steady)
{
	int code = 0;

	for (size_t i = 0; code == 0 && i < POSTS_A_TURN; i++) {
		uint64_t due_us = next_post_us(steady), now_us = clock_now_us();
		if (due_us > now_us)
			break;
		if (steady->per_s == 0)
			due_us = now_us;
		if ((int64_t)(now_us - due_us) > steady->run.late_us)
			steady->run.late_us = (int64_t)(now_us - due_us);
		code = load_post(&steady->load, due_us, 0);
		steady->n_posted++;
	}
	return code;
}

static void show_progress(struct bench_steady *steady)
{
	double seconds = (double)(clock_now_us() - steady->start_us) / (double)US_PER_SEC;

	if (print_progress_is_due(steady->print))
		print_progress(steady->print,
			"bench: %ju of %ju posted, %zu ended (%.0f/s), %ju refused, %ju failed",
			(uintmax_t)steady->n_posted, (uintmax_t)steady->n, steady->n_totals,
			seconds > 0 ? (double)steady->n_totals / seconds : 0,
			(uintmax_t)steady->run.n_refused, (uintmax_t)steady->run.n_failed);
}

static uint64_t wake_at_us(const struct bench_steady *steady)
{
	uint64_t at_us = next_post_us(steady);
	uint64_t show_us = steady->print->has_progress ? wait_deadline(PROGRESS_US) : WAIT_FOREVER;

	return at_us < show_us ? at_us : show_us;
}

int bench_steady_run(struct bench_steady *steady, struct bench_run *ret_run)
{
	int code = 0;

	steady->run = (struct bench_run){0};
	steady->n_posted = 0;
	steady->n_totals = steady->n_runs = 0;
	steady->post_from_us = 0;
	steady->start_us = steady->ended_us = clock_now_us();
	while (code == 0 && (steady->n_posted < steady->n || steady->load.n_under_way > 0)) {
		code = post_what_is_due(steady);
		if (code == 0)
			code = load_turn(&steady->load, wake_at_us(steady));
		show_progress(steady);
	}
	print_progress_end(steady->print);
	if (code)
		return code;
	steady->run.seconds = (double)(steady->ended_us - steady->start_us) / (double)US_PER_SEC;
	steady->run.total_us = spread_of(steady->totals_us, steady->n_totals);
	steady->run.run_us = spread_of(steady->runs_us, steady->n_runs);
	*ret_run = steady->run;
	return 0;
}
