/*
 * bench_compare: two load tests beside each other, by their JSON. Pure.
 */
#ifndef WORKPOOL_CLIENT_BENCH_COMPARE_H
#define WORKPOOL_CLIENT_BENCH_COMPARE_H

#include <jansson.h>
#include <stdbool.h>

/* Is it what `wpctl bench --json` writes? */
bool bench_compare_is_bench(const json_t *json);
/* The first condition in which the two differ, so that their figures say little about each other ("handler", "tasks" …); NULL: none. */
const char *bench_compare_difference(const json_t *before, const json_t *now);
/* A row for each number of workers that both have: workers and, of each figure X, X_before, X and X_ratio = X / X_before (null
 * where X_before is 0). NULL: no memory. */
json_t *bench_compare_rows(const json_t *before, const json_t *now);

#endif
