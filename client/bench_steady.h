/*
 * bench_steady: one run of a load that lasts: open (so many posts a second, whatever becomes of them) or closed (so many tasks
 * under way, each end is followed by a post). Called by verb_bench.c. Functions return codes as in fault.h.
 */
#ifndef WORKPOOL_CLIENT_BENCH_STEADY_H
#define WORKPOOL_CLIENT_BENCH_STEADY_H

#include "client/bench.h"
#include "client/load.h"

struct bench_steady {
	struct load load;
	struct print *print; /* borrows: the caller's; for the progress */
	uint64_t per_s;      /* open; 0: closed */
	uint64_t n;          /* posts in a run */
	uint64_t n_posted;
	uint64_t start_us, ended_us; /* of the last end */
	uint64_t post_from_us;       /* closed: not before, because the queue was full */
	struct bench_run run;        /* the one that is under way */
	int64_t *totals_us,
		*runs_us; /* own; of each end, from when its post was due; from its start */
	size_t n_totals, n_runs;
};

/* options: on_end and arg are ours. per_s: at most PACE_RATE_MAX, n: at most PACE_POSTS_MAX. */
int bench_steady_init(struct bench_steady *steady, struct print *print, struct load_options options,
	uint64_t n, uint64_t per_s) MUST_CHECK;
/* After load_clear(), where the daemon can be reached. */
void bench_steady_done(struct bench_steady *steady);
int bench_steady_run(struct bench_steady *steady, struct bench_run *ret_run) MUST_CHECK;

#endif
