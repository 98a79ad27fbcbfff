/*
 * bench_compare: see bench_compare.h. Called by verb_bench.c.
 */
#include "client/bench_compare.h"

#include <stdio.h>

#include "base/mem.h"
#include "client/json.h"

#define KEY_SIZE 32

static const char *const figures[] = {"duration", "rate", "p50_us", "p90_us", "p99_us"};

static const char *const conditions[] = {
	"handler", "mode", "tasks", "connections", "rate_wanted", "cpus"};

bool bench_compare_is_bench(const json_t *json)
{
	const json_t *sizes = json_object_get(json, "sizes");
	size_t i;
	json_t *size;

	json_array_foreach (sizes, i, size) {
		if (!json_is_integer(json_object_get(size, "workers")))
			return false;
		for (size_t f = 0; f < ARRAY_SIZE(figures); f++) {
			if (!json_is_number(json_object_get(size, figures[f])))
				return false;
		}
	}
	return json_array_size(sizes) > 0;
}

const char *bench_compare_difference(const json_t *before, const json_t *now)
{
	for (size_t i = 0; i < ARRAY_SIZE(conditions); i++) {
		const json_t *a = json_object_get(before, conditions[i]);
		const json_t *b = json_object_get(now, conditions[i]);
		if (a != b && !json_equal(a, b))
			return conditions[i];
	}
	return NULL;
}

static const json_t *find_size(const json_t *bench, const json_t *workers)
{
	size_t i;
	json_t *size;

	json_array_foreach (json_object_get(bench, "sizes"), i, size) {
		if (json_equal(json_object_get(size, "workers"), workers))
			return size;
	}
	return NULL;
}

static json_t *ratio_of(double now, double before)
{
	return before > 0 ? json_real(now / before) : json_null();
}

static int add_figure(json_t *row, const char *figure, const json_t *before, const json_t *now)
{
	double was = json_number_value(json_object_get(before, figure));
	double is = json_number_value(json_object_get(now, figure));
	char before_key[KEY_SIZE], ratio_key[KEY_SIZE];

	(void)snprintf(before_key, sizeof(before_key), "%s_before", figure);
	(void)snprintf(ratio_key, sizeof(ratio_key), "%s_ratio", figure);
	if (json_object_set_new(row, before_key, json_real(was)) < 0 ||
		json_object_set_new(row, figure, json_real(is)) < 0)
		return -1;
	return json_object_set_new(row, ratio_key, ratio_of(is, was));
}

static int add_row(json_t *rows, const json_t *before, const json_t *now)
{
	auto_json json_t *row = json_pack("{s:O}", "workers", json_object_get(now, "workers"));

	for (size_t f = 0; f < ARRAY_SIZE(figures); f++) {
		if (!row || add_figure(row, figures[f], before, now) < 0)
			return -1;
	}
	return json_array_append(rows, row);
}

json_t *bench_compare_rows(const json_t *before, const json_t *now)
{
	auto_json json_t *rows = json_array();
	size_t i;
	json_t *size;

	json_array_foreach (json_object_get(now, "sizes"), i, size) {
		const json_t *other = find_size(before, json_object_get(size, "workers"));
		if (other && add_row(rows, other, size) < 0)
			return NULL;
	}
	return take(rows);
}
