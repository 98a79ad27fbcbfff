/*
 * clock: the only place that reads a clock. core/ never calls it: there time is
 * an argument. _us is CLOCK_MONOTONIC (every timer), _wall_us is for display.
 */
#ifndef WORKPOOL_BASE_CLOCK_H
#define WORKPOOL_BASE_CLOCK_H

#include <stdint.h>

#define US_PER_MS  UINT64_C(1000)
#define US_PER_SEC UINT64_C(1000000)

/* CLOCK_MONOTONIC and this much, the same for all processes of the host: so what a store tells from before the last boot has a
 * time above 0, too. About 31 years. */
#define CLOCK_AHEAD_US (UINT64_C(1000000000) * US_PER_SEC)

uint64_t clock_now_us(void);
uint64_t clock_wall_us(void); /* CLOCK_REALTIME since 1970, may jump */

#endif
