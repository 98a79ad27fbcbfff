/*
 * tune: finds the least number of workers that gives the best result, by measuring. Knows nothing of daemons: whoever calls
 * measures. Not for what is printed (tune_print.c) and not for loads (tune_load.c).
 *
 *   coarse   1, 2, 4, … workers, one window each, until more bring nothing
 *   fine     steps of about 12 % around what was best, in rounds, there and back again, until the means are sure enough
 *   answer   the least size that is as good as the best one within the tolerance; or between which it lies
 */
#ifndef WORKPOOL_CLIENT_TUNE_H
#define WORKPOOL_CLIENT_TUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

#define TUNE_POINTS_MAX 64u
#define TUNE_ROUNDS_MAX 40u

/* One measurement. */
struct tune_window {
	uint32_t workers;      /* to be set before */
	uint64_t settle_tasks; /* ends that do not count, after the change */
	uint64_t tasks;        /* ends that count … */
	uint64_t window_us;    /* … or so long, whichever is first; 0: no limit */
};

struct tune_sample {
	double per_s;   /* ends a second */
	double cv2;     /* of the tasks' run times: variance / mean^2 */
	int64_t p50_us; /* of the tasks' run times, as p99 */
	int64_t p99_us;
	uint64_t n, n_failed;
};

/* 0; else a code of fault.h, which ends it: also when failures were too many, or somebody wants it ended. */
typedef int tune_measure(
	void *arg, const struct tune_window *window, struct tune_sample *ret_sample);

struct tune_options {
	uint32_t workers_max; /* 1 … */
	uint64_t tasks;       /* in a window */
	bool is_burst; /* a window is that many tasks posted at once: sizes 1, 2, 4, …, no others */
	uint64_t window_us; /* of the coarse search */
	int64_t p99_us;     /* run times above are too long; 0: any */
	double tolerance;   /* 0.02: two sizes within 2 % of the best are as good */
	uint32_t rounds;    /* of the fine search, at least */
	uint64_t budget_us; /* no new round begins later than that */
};

struct tune_point {
	uint32_t workers;
	double per_s[TUNE_ROUNDS_MAX];
	uint32_t n;  /* rounds */
	double mean; /* ends a second, trimmed; each round weighed by its own level: a machine that is slow for a while is so for all */
	double error;    /* standard error of the mean */
	double smoothed; /* with its neighbours, 1-2-1 */
	int64_t p50_us;  /* medians of the rounds'; as p99 */
	int64_t p99_us;
	int64_t p50s_us[TUNE_ROUNDS_MAX], p99s_us[TUNE_ROUNDS_MAX];
	uint64_t n_failed;
};

struct tune {
	struct tune_options options;
	struct tune_point coarse[TUNE_POINTS_MAX];
	struct tune_point points[TUNE_POINTS_MAX]; /* by size */
	size_t n_coarse, n_points;
	uint32_t workers; /* set now; 0: not known */
	double cv2;       /* of the last sample */
	size_t best;      /* the point with the highest smoothed mean */
	size_t chosen;    /* the least one that is as good */
	bool is_certain; /* each error is within the tolerance, and low and high are close or the errors small */
	size_t low, high; /* when it is not: the answer lies from the one to the other */
	bool hit_max;     /* the best one was the largest that was allowed */
};

void tune_init(struct tune *tune, const struct tune_options *options, uint32_t workers);
/* The answer is one: certain, and its tasks are as quick as they have to be. */
bool tune_is_found(const struct tune *tune);
/* Measures and decides. elapsed_us: since the begin, for the budget; borrows only while it runs. */
int tune_run(struct tune *tune, tune_measure *measure, uint64_t (*elapsed_us)(void *arg),
	void *arg) MUST_CHECK;

/*
 * Ends a second, of their times in order (n > 0): the slope of a straight line through all of them. Tasks of equal length end
 * in bursts, and from the first to the last end of a few bursts is up to one burst too much or too little. 0: all at once.
 */
double tune_rate(const uint64_t *ends_us, size_t n);

#endif
