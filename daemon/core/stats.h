/*
 * stats: a pool's counters, marks, times and rates. The number of tasks in each state is the pool's own (pool->count);
 * here is what is counted besides. Only core writes it.
 */
#ifndef WORKPOOL_CORE_STATS_H
#define WORKPOOL_CORE_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "core/hist.h"

struct counters {
#define COUNTER(name, unit, help) uint64_t name;
#include "core/counters.def"
#undef COUNTER
};

/* A row of counters.def, for whoever prints them all. */
struct counter_row {
	const char *name;
	const char *unit;
	const char *help;
	size_t offset; /* of a uint64_t in struct counters */
};
extern const struct counter_row stats_counters[];
extern const size_t stats_n_counters;

#define STATS_RATE_SECONDS 60

/* Ends per second: one cell a second of the last minute, and the one that fills now. */
struct rate {
	uint64_t second; /* the second that `cells[second % …]` counts */
	uint32_t cells[STATS_RATE_SECONDS + 1];
};

/* Of attempts but for `total`. */
struct times {
	struct hist wait;  /* into the queue to start */
	struct hist run;   /* start to end */
	struct hist total; /* post to the task's end */
};

struct stats {
	struct counters counters;
	uint64_t max_queued; /* high-water marks since the last stats_reset_marks() */
	uint64_t max_active;
	struct times times;
	struct rate ended; /* tasks that had run */
};

/* Notes the numbers after free workers were served. */
void stats_mark(struct stats *stats, uint64_t queued, uint64_t active);
void times_attempt(struct times *times, uint64_t queued_us, uint64_t started_us, uint64_t ended_us);
void times_clear(struct times *times);
/* Marks go to the present numbers, histograms to nothing. */
void stats_reset_marks(struct stats *stats, uint64_t queued, uint64_t active);

void rate_add(struct rate *rate, uint64_t now_us);
/* Ends per second over the last `seconds` whole seconds (1 … STATS_RATE_SECONDS). */
double rate_over(const struct rate *rate, uint64_t now_us, unsigned seconds);

#endif
