/*
 * spread: how values lie, as percentiles. Pure.
 */
#ifndef WORKPOOL_CLIENT_SPREAD_H
#define WORKPOOL_CLIENT_SPREAD_H

#include <stddef.h>
#include <stdint.h>

/* p999: all but one in a thousand are no greater. */
struct spread {
	int64_t p50, p90, p99, p999, max;
};

/* Sorts them. Of no values: all 0. */
struct spread spread_of(int64_t *values, size_t n);

#endif
