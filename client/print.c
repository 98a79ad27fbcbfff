/*
 * print: tables, fields and JSON documents on standard output, progress on standard error.
 * Called by the verbs. What a value looks like is in cell.c.
 */
#include "client/print.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/cell.h"
#include "client/fault.h"
#include "client/json.h"
#include "client/text.h"

#define COLUMN_GAP  2
#define TITLE_MAX   32
#define PROGRESS_US (100 * US_PER_MS)

static const struct {
	const char *word;
	const char *start; /* ECMA-48, SGR */
} colours[] = {
	{"done", "\033[32m"},
	{"running", "\033[32m"},
	{"up", "\033[32m"},
	{"active", "\033[36m"},
	{"queued", "\033[33m"},
	{"delayed", "\033[33m"},
	{"paused", "\033[33m"},
	{"starting", "\033[33m"},
	{"stopping", "\033[33m"},
	{"cancelled", "\033[35m"},
	{"expired", "\033[35m"},
	{"failed", "\033[31m"},
	{"lost", "\033[31m"},
	{"down", "\033[31m"},
	{"failing", "\033[31m"},
	{"closed", "\033[32m"},
	{"half_open", "\033[33m"},
	{"open", "\033[31m"},
	{"asked", "\033[33m"},
	{"unknown", "\033[31m"},
	{"denied", "\033[31m"},
};

void print_init(struct print *print, const char *when, bool is_json, bool has_legend, bool is_quiet)
{
	const char *no_colour = getenv("NO_COLOR"); /* no-color.org */
	bool is_terminal = isatty(STDOUT_FILENO) == 1;
	bool is_auto = strcmp(when, "auto") == 0;

	*print = (struct print){
		.is_terminal = is_terminal,
		.has_colour = is_auto ? is_terminal && !(no_colour && *no_colour)
				      : strcmp(when, "always") == 0,
		.has_legend = has_legend,
		.is_json = is_json,
		.has_progress = !is_quiet && isatty(STDERR_FILENO) == 1,
	};
}

int print_flush(struct print *print)
{
	print_progress_end(print);
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	int error = errno;
	/* Told once: what follows is lost as well. */
	clearerr(stdout);
	/* The reader of a pipe that has enough is no failure to tell anybody. */
	if (error == EPIPE)
		return CODE_PIPE;
	return fault_say(CODE_TASK, "standard output: %s",
		error ? strerror(error) : "not all of it could be written");
}

const json_t *print_lookup(const json_t *object, const char *key)
{
	for (;;) {
		const char *dot = strchr(key, '.');
		if (!dot)
			return json_object_get(object, key);
		object = json_object_getn(object, key, (size_t)(dot - key));
		key = dot + 1;
	}
}

int64_t print_int(const json_t *object, const char *key)
{
	return json_integer_value(print_lookup(object, key));
}

const char *print_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(print_lookup(object, key));

	return text ? text : "";
}

static bool is_there(const json_t *value)
{
	return value && !json_is_null(value);
}

/* The cell's text alone in `cell`. */
static int render(const struct print *print, const struct print_column *column, const json_t *row,
	struct buf *cell)
{
	const json_t *value = print_lookup(row, column->key);

	buf_consume(cell, buf_len(cell));
	if (!is_there(value))
		return buf_append(cell, "-", 1);
	return cell_append(column->kind, print->is_terminal, value, cell);
}

static int measure(
	const struct print *print, struct print_table *table, const json_t *rows, struct buf *cell)
{
	size_t i;
	const json_t *row;

	for (size_t c = 0; c < table->n; c++) {
		size_t *width = &table->widths[c];
		if (print->has_legend && strlen(table->columns[c].title) > *width)
			*width = strlen(table->columns[c].title);
		json_array_foreach (rows, i, row) {
			int r = render(print, &table->columns[c], row, cell);
			if (r < 0)
				return r;
			size_t need = text_width(buf_view(cell));
			*width = need > *width ? need : *width;
		}
	}
	return 0;
}

static bool has_value(const json_t *rows, const char *key)
{
	size_t i;
	const json_t *row;

	json_array_foreach (rows, i, row) {
		if (is_there(print_lookup(row, key)))
			return true;
	}
	return false;
}

/* Decides which columns are left out: never the first one, nor the last one of the table as it is then. */
static void fit(struct print_table *table, const json_t *rows)
{
	size_t used = table->widths[0];
	size_t n = 1;

	for (size_t c = 1; c < table->n; c++) {
		size_t need = COLUMN_GAP + table->widths[c];
		bool is_empty =
			json_array_size(rows) > 0 && !has_value(rows, table->columns[c].key);
		table->is_left_out[c] = is_empty || used + need > table->max_width;
		used += table->is_left_out[c] ? 0 : need;
		n = table->is_left_out[c] ? n : c + 1;
	}
	table->n = n;
}

static const char *colour_of(
	const struct print *print, const struct print_column *column, struct view text)
{
	for (size_t i = 0; column->kind == PRINT_STATE && i < ARRAY_SIZE(colours); i++) {
		if (print->has_colour && view_is_equal(text, view_of(colours[i].word)))
			return colours[i].start;
	}
	return NULL;
}

/* One cell at its place: padded on a terminal (the last one only if it is a number), a tab between them elsewhere. */
static void write_cell(
	const struct print *print, const struct print_table *table, size_t c, struct view text)
{
	const struct print_column *column = &table->columns[c];
	const char *colour = colour_of(print, column, text);
	size_t width = text_width(text);
	int pad = print->is_terminal && table->widths[c] > width ? (int)(table->widths[c] - width)
								 : 0;
	bool is_right = cell_is_right(column->kind);

	if (table->is_left_out[c])
		return;
	if (c > 0)
		(void)printf(
			"%*s", print->is_terminal ? COLUMN_GAP : 0, print->is_terminal ? "" : "\t");
	(void)printf("%*s%s", is_right ? pad : 0, "", colour ? colour : "");
	(void)fwrite(text.data ? text.data : "", 1, text.len, stdout);
	(void)printf("%s%*s", colour ? "\033[0m" : "", is_right || c + 1 == table->n ? 0 : pad, "");
}

/* "max_active", on a terminal "MAX ACTIVE" or "max active". Returns the part of ret_text that is used. */
static struct view title_text(
	const struct print *print, const char *title, bool in_capitals, char ret_text[TITLE_MAX])
{
	size_t len = 0;

	for (; len < TITLE_MAX && title[len]; len++) {
		char letter = title[len];
		if (print->is_terminal && letter == '_')
			letter = ' ';
		if (print->is_terminal && in_capitals)
			letter = (char)toupper((unsigned char)letter);
		ret_text[len] = letter;
	}
	return (struct view){ret_text, len};
}

static void write_titles(const struct print *print, const struct print_table *table)
{
	char text[TITLE_MAX];

	for (size_t c = 0; c < table->n; c++)
		write_cell(print, table, c, title_text(print, table->columns[c].title, true, text));
	(void)putchar('\n');
}

static int write_rows(const struct print *print, const struct print_table *table,
	const json_t *rows, struct buf *cell)
{
	size_t i;
	const json_t *row;

	json_array_foreach (rows, i, row) {
		for (size_t c = 0; c < table->n; c++) {
			int r = render(print, &table->columns[c], row, cell);
			if (r < 0)
				return r;
			write_cell(print, table, c, buf_view(cell));
		}
		(void)putchar('\n');
	}
	return 0;
}

int print_rows(struct print *print, struct print_table *table, const json_t *rows)
{
	struct buf cell;
	int r = 0;

	print_progress_end(print);
	buf_init(&cell, TEXT_LIMIT);
	if (print->is_terminal)
		r = measure(print, table, rows, &cell);
	if (r == 0 && print->is_terminal && table->max_width > 0 && !table->is_started)
		fit(table, rows);
	if (r == 0 && print->has_legend && !table->is_started)
		write_titles(print, table);
	table->is_started = true;
	if (r == 0)
		r = write_rows(print, table, rows, &cell);
	buf_done(&cell);
	return r < 0 ? fault_no_memory() : 0;
}

int print_fields(
	struct print *print, const struct print_column *columns, size_t n, const json_t *object)
{
	struct print_table value = {.n = 1};
	char text[TITLE_MAX];
	struct buf cell;
	int width = 0;
	int r = 0;

	print_progress_end(print);
	for (size_t c = 0; c < n; c++) {
		int len = (int)strlen(columns[c].title);
		width = len > width ? len : width;
	}
	buf_init(&cell, TEXT_LIMIT);
	for (size_t c = 0; r == 0 && c < n; c++) {
		if (!is_there(print_lookup(object, columns[c].key)))
			continue;
		r = render(print, &columns[c], object, &cell);
		if (r < 0)
			continue;
		struct view title = title_text(print, columns[c].title, false, text);
		if (print->is_terminal)
			(void)printf("%*.*s  ", width, (int)title.len, title.data);
		else
			(void)printf("%.*s\t", (int)title.len, title.data);
		value.columns = &columns[c];
		write_cell(print, &value, 0, buf_view(&cell));
		(void)putchar('\n');
	}
	buf_done(&cell);
	return r < 0 ? fault_no_memory() : 0;
}

int print_block(struct print *print, const char *text)
{
	struct buf safe;
	int r = 0;

	print_progress_end(print);
	buf_init(&safe, TEXT_LIMIT);
	while (r == 0 && *text) {
		size_t len = strcspn(text, "\n\t");
		r = text_append_safe(&safe, (struct view){text, len});
		text += len;
		if (r == 0 && *text)
			r = buf_append(&safe, text++, 1);
	}
	if (r == 0 && buf_len(&safe) > 0)
		(void)fwrite(buf_view(&safe).data, 1, buf_len(&safe), stdout);
	buf_done(&safe);
	return r < 0 ? fault_no_memory() : 0;
}

/* JSON leaves DEL and the C1 control characters (U+0080 to U+009F, two bytes) as they are; terminals obey them. */
static void write_json_to_terminal(struct view text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];
		unsigned char next = i + 1 < text.len ? (unsigned char)text.data[i + 1] : 0;
		if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
			(void)printf("\\u%04x", next);
			i++;
		} else if (c == 0x7f) {
			(void)fputs("\\u007f", stdout);
		} else {
			(void)putchar(c);
		}
	}
}

int print_json(struct print *print, const json_t *json)
{
	struct buf text;

	print_progress_end(print);
	buf_init(&text, TEXT_LIMIT);
	int r = json_write(json, &text);
	if (r == 0 && print->is_terminal)
		write_json_to_terminal(buf_view(&text));
	else if (r == 0)
		(void)fwrite(buf_view(&text).data, 1, buf_len(&text), stdout);
	(void)putchar('\n');
	buf_done(&text);
	return r < 0 ? fault_no_memory() : 0;
}

void print_progress(struct print *print, const char *fmt, ...)
{
	va_list ap;

	if (!print->has_progress)
		return;
	(void)fputs("\r", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputs("\033[K", stderr);
	(void)fflush(stderr);
	print->progress_shown = true;
}

bool print_progress_is_due(struct print *print)
{
	uint64_t now_us = clock_now_us();

	if (!print->has_progress || now_us - print->progress_us < PROGRESS_US)
		return false;
	print->progress_us = now_us;
	return true;
}

void print_progress_end(struct print *print)
{
	if (print->progress_shown)
		(void)fputs("\r\033[K", stderr);
	print->progress_shown = false;
}
