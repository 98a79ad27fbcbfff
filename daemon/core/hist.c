/*
 * hist: see hist.h.
 *
 * Values below 64 have a bucket each; from there on each doubling [2^e, 2^(e+1)) has 64 equal buckets:
 *   index = (e - 5) * 64 + (the 6 bits after the leading one)
 */
#include "core/hist.h"

#include <string.h>

#define STEPS (UINT64_C(1) << HIST_STEP_BITS)

static unsigned hist_index(uint64_t us)
{
	unsigned shift;

	if (us < STEPS)
		return (unsigned)us;
	shift = 63 - (unsigned)__builtin_clzll(us) - HIST_STEP_BITS;
	return (unsigned)(((uint64_t)(shift + 1) << HIST_STEP_BITS) +
			  ((us >> shift) & (STEPS - 1)));
}

/* The largest value of a bucket. */
static uint64_t hist_upper(unsigned index)
{
	unsigned shift;

	if (index < STEPS)
		return index;
	shift = (index >> HIST_STEP_BITS) - 1;
	return (((index & (STEPS - 1)) + STEPS + 1) << shift) - 1;
}

void hist_clear(struct hist *hist)
{
	memset(hist, 0, sizeof *hist);
}

void hist_add(struct hist *hist, uint64_t us)
{
	hist->count++;
	hist->sum_us += us;
	if (us > hist->max_us)
		hist->max_us = us;
	hist->buckets[hist_index(us < HIST_MAX_US ? us : HIST_MAX_US)]++;
}

uint64_t hist_quantile(const struct hist *hist, double q)
{
	uint64_t rank, seen = 0;

	if (hist->count == 0)
		return 0;
	rank = (uint64_t)(q * (double)hist->count);
	if ((double)rank < q * (double)hist->count)
		rank++;
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		seen += hist->buckets[i];
		if (seen >= rank && seen > 0)
			return hist_upper(i) < hist->max_us ? hist_upper(i) : hist->max_us;
	}
	return hist->max_us;
}

uint64_t hist_mean(const struct hist *hist)
{
	return hist->count != 0 ? hist->sum_us / hist->count : 0;
}
