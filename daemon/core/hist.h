/*
 * hist: log-linear histogram of microseconds: 64 steps in each doubling, so a quantile is within 1/64 of the exact value.
 * Values above HIST_MAX_US count as HIST_MAX_US; mean and max are exact.
 */
#ifndef WORKPOOL_CORE_HIST_H
#define WORKPOOL_CORE_HIST_H

#include <stdint.h>

#define HIST_STEP_BITS 6
#define HIST_MAX_BITS  38 /* 2^38 us: 76 hours */
#define HIST_MAX_US    ((UINT64_C(1) << HIST_MAX_BITS) - 1)
#define HIST_BUCKETS   ((HIST_MAX_BITS - HIST_STEP_BITS + 1) << HIST_STEP_BITS)

struct hist {
	uint64_t count;
	uint64_t sum_us;
	uint64_t max_us;
	uint64_t buckets[HIST_BUCKETS];
};

void hist_clear(struct hist *hist);
void hist_add(struct hist *hist, uint64_t us);
/* The upper end of the bucket that holds the q-quantile (0 < q <= 1), never above max_us; 0 when empty. */
uint64_t hist_quantile(const struct hist *hist, double q);
uint64_t hist_mean(const struct hist *hist); /* 0 when empty */

#endif
