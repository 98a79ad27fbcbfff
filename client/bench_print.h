/*
 * bench_print: what a load test shows: of bursts the lines of the program that this one descends from, of loads that last a table;
 * and the JSON of both, which --compare reads again. Called by verb_bench.c. Functions return codes as in fault.h.
 */
#ifndef WORKPOOL_CLIENT_BENCH_PRINT_H
#define WORKPOOL_CLIENT_BENCH_PRINT_H

#include "client/bench.h"
#include "client/print.h"

#define BENCH_SIZES_MAX 16

enum bench_mode {
	BENCH_BURST,  /* all at once */
	BENCH_OPEN,   /* so many posts a second */
	BENCH_CLOSED, /* so many tasks under way */
	BENCH_MODES
};

/* The runs of one load test, and of what. */
struct bench_series {
	enum bench_mode mode;
	const char *handler, *pool; /* borrow: outlive it */
	uint64_t n_tasks;           /* in a run */
	uint64_t per_s;             /* of an open load */
	size_t n_posters;
	int64_t sizes[BENCH_SIZES_MAX];
	size_t n_sizes;
	size_t n_ran;             /* in order: runs[round * n_sizes + size] */
	struct bench_run *runs;   /* owns */
	struct print_table table; /* of a load that lasts */
};

/* The latest run, if people read it. */
int bench_print_run(struct print *print, struct bench_series *series) MUST_CHECK;
/* What all runs were, if people read it. */
int bench_print_summary(struct print *print, const struct bench_series *series) MUST_CHECK;
/* NULL: no memory. */
json_t *bench_print_to_json(const struct bench_series *series);

#endif
