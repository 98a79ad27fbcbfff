/*
 * cell: values as a person or a program reads them. Called by print.c. What came from the daemon passes
 * text_append_safe() on its way out.
 */
#include "client/cell.h"

#include <time.h>

#include "base/clock.h"
#include "client/json.h"
#include "client/text.h"

static int cell_text(bool is_terminal, const json_t *value, struct buf *out)
{
	(void)is_terminal;
	return text_append_safe(
		out, (struct view){json_string_value(value), json_string_length(value)});
}

static int cell_number(bool is_terminal, const json_t *value, struct buf *out)
{
	(void)is_terminal;
	if (json_is_real(value))
		return buf_printf(out, "%.3f", json_real_value(value));
	return buf_printf(out, "%jd", (intmax_t)json_integer_value(value));
}

static int cell_us(bool is_terminal, const json_t *value, struct buf *out)
{
	double us = json_number_value(value); /* a mean is no integer */

	if (is_terminal)
		return text_append_duration(out, us > 0 ? (uint64_t)us : 0);
	return buf_printf(out, "%.3f", us / (double)US_PER_MS);
}

static int cell_ms(bool is_terminal, const json_t *value, struct buf *out)
{
	json_int_t ms = json_integer_value(value);

	if (is_terminal)
		return text_append_duration(out, ms > 0 ? (uint64_t)ms * US_PER_MS : 0);
	return buf_printf(out, "%jd", (intmax_t)ms);
}

static int cell_time(bool is_terminal, const json_t *value, struct buf *out)
{
	if (is_terminal)
		return text_append_time(out, json_number_value(value));
	return buf_printf(out, "%.3f", json_number_value(value));
}

static int cell_yes(bool is_terminal, const json_t *value, struct buf *out)
{
	(void)is_terminal;
	return buf_printf(out, "%s", json_is_true(value) ? "yes" : "no");
}

static int cell_json(bool is_terminal, const json_t *value, struct buf *out)
{
	struct buf plain;

	(void)is_terminal;
	buf_init(&plain, TEXT_LIMIT);
	int r = json_write(value, &plain);
	if (r == 0)
		r = text_append_safe(out, buf_view(&plain));
	buf_done(&plain);
	return r;
}

static int cell_clock(bool is_terminal, const json_t *value, struct buf *out)
{
	if (is_terminal)
		return text_append_clock(out, json_number_value(value), (double)time(NULL));
	return buf_printf(out, "%.3f", json_number_value(value));
}

static int cell_permille(bool is_terminal, const json_t *value, struct buf *out)
{
	json_int_t permille = json_integer_value(value);

	if (is_terminal)
		return buf_printf(out, "%.1f %%", (double)permille / 10);
	return buf_printf(out, "%jd", (intmax_t)permille);
}

static int cell_list(bool is_terminal, const json_t *value, struct buf *out)
{
	const char *comma = "";
	size_t i;
	const json_t *word;
	int r = json_array_size(value) > 0 ? 0 : buf_append(out, "-", 1);

	json_array_foreach (value, i, word) {
		if (r == 0)
			r = buf_printf(out, "%s", comma);
		if (r == 0)
			r = cell_text(is_terminal, word, out);
		comma = ",";
	}
	return r;
}

static const struct {
	int (*append)(bool is_terminal, const json_t *value, struct buf *out);
	bool is_right;
} kinds[PRINT_KINDS] = {
	[PRINT_TEXT] = {cell_text, false},
	[PRINT_NUMBER] = {cell_number, true},
	[PRINT_US] = {cell_us, true},
	[PRINT_MS] = {cell_ms, true},
	[PRINT_TIME] = {cell_time, false},
	[PRINT_CLOCK] = {cell_clock, false},
	[PRINT_STATE] = {cell_text, false},
	[PRINT_YES] = {cell_yes, false},
	[PRINT_PERMILLE] = {cell_permille, true},
	[PRINT_LIST] = {cell_list, false},
	[PRINT_JSON] = {cell_json, false},
};

int cell_append(enum print_kind kind, bool is_terminal, const json_t *value, struct buf *out)
{
	return kinds[kind].append(is_terminal, value, out);
}

bool cell_is_right(enum print_kind kind)
{
	return kinds[kind].is_right;
}
