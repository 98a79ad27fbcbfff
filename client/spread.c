/*
 * spread: see spread.h. Called by bench_steady.c and tune_load.c.
 */
#include "client/spread.h"

#include <stdlib.h>

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The least value that so many thousandths are no greater than (nearest rank). */
static int64_t at_permille(const int64_t *sorted, size_t n, size_t permille)
{
	size_t rank = (n * permille + 999) / 1000;

	return sorted[rank > 0 ? rank - 1 : 0];
}

struct spread spread_of(int64_t *values, size_t n)
{
	if (n == 0)
		return (struct spread){0};
	qsort(values, n, sizeof(*values), by_size);
	return (struct spread){
		.p50 = at_permille(values, n, 500),
		.p90 = at_permille(values, n, 900),
		.p99 = at_permille(values, n, 990),
		.p999 = at_permille(values, n, 999),
		.max = values[n - 1],
	};
}
