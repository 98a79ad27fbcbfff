/*
 * clock: the two clocks as microseconds in 64 bits.
 * Called once a turn by net/, and by log.c; never by core/, where time is an argument.
 */
#include "base/clock.h"

#include <assert.h>
#include <time.h>

static uint64_t read_us(clockid_t id)
{
	struct timespec ts;

	/* Fails for a clock that the kernel does not have only: both of ours are always there. */
	int r = clock_gettime(id, &ts);
	assert(r == 0);
	(void)r;
	return (uint64_t)ts.tv_sec * US_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_now_us(void)
{
	return read_us(CLOCK_MONOTONIC) + CLOCK_AHEAD_US;
}

uint64_t clock_wall_us(void)
{
	return read_us(CLOCK_REALTIME);
}
