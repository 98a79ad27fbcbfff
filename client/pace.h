/*
 * pace: when the posts of an open load are due: evenly, so many a second, whatever became of those before. Pure.
 * A load that waits for answers posts less as soon as these come late, and so measures least when there is most to measure
 * ("coordinated omission"). Here each time that is measured begins when its post was due.
 */
#ifndef WORKPOOL_CLIENT_PACE_H
#define WORKPOOL_CLIENT_PACE_H

#include <stdint.h>

#include "base/clock.h"

#define PACE_RATE_MAX  UINT64_C(10000000) /* posts a second */
#define PACE_POSTS_MAX UINT64_C(10000000)

/* The n-th, from 0. Counted from the start, so that what is rounded does not add up. */
static inline uint64_t pace_due_us(uint64_t start_us, uint64_t per_s, uint64_t n)
{
	return start_us + n * US_PER_SEC / per_s;
}

#endif
