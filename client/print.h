/*
 * print: replies on standard output. What a verb shows is a table of columns over the reply's JSON; how it looks
 * is decided here: aligned, coloured and in units for people on a terminal, else tab-separated with bare numbers
 * (durations in milliseconds, times in seconds since the epoch); with -j the parameters as they came.
 */
#ifndef WORKPOOL_CLIENT_PRINT_H
#define WORKPOOL_CLIENT_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

#define PRINT_COLUMNS_MAX 20

enum print_kind {
	PRINT_TEXT,
	PRINT_NUMBER, /* integer, or a real with three decimals */
	PRINT_US,     /* a duration in microseconds */
	PRINT_MS,     /* a duration in milliseconds */
	PRINT_TIME,   /* seconds since the epoch */
	PRINT_CLOCK,  /* the same, on a terminal in short: the time of a day that is today */
	PRINT_STATE,  /* a word that has a colour */
	PRINT_YES,    /* a boolean */
	PRINT_PERMILLE,
	PRINT_LIST, /* an array of texts, parted by commas */
	PRINT_JSON, /* any value as compact JSON */
	PRINT_KINDS
};

/* key may lead into objects: "run_us.p50". What is not there is shown as "-". */
struct print_column {
	const char *title; /* on a terminal in capitals */
	const char *key;
	enum print_kind kind;
};

/* A table whose rows may come in several portions: the columns never become narrower. */
struct print_table {
	const struct print_column *columns; /* borrows: constant tables of the verbs */
	size_t n;
	size_t widths[PRINT_COLUMNS_MAX];
	size_t max_width; /* on a terminal: later columns that do not fit, and those without a value, are left out; 0: none is */
	bool is_left_out[PRINT_COLUMNS_MAX];
	bool is_started; /* the titles are out, and what is left out stays so */
};

#define PRINT_TABLE(c) ((struct print_table){.columns = (c), .n = ARRAY_SIZE(c)})

struct print {
	bool is_terminal;
	bool has_colour;
	bool has_legend;
	bool is_json;
	bool has_progress;    /* standard error is a terminal, and not -q */
	bool progress_shown;  /* a line without its newline is there */
	uint64_t progress_us; /* when print_progress_is_due() last said so */
};

/* when: "auto", "always" or "never". */
void print_init(
	struct print *print, const char *when, bool is_json, bool has_legend, bool is_quiet);
/* Writes out what is waiting. 0, or standard output is full (CODE_TASK, told) or closed (CODE_PIPE). */
int print_flush(struct print *print) MUST_CHECK;

/* Each returns 0 or a code (see fault.h). `rows` is an array of objects. */
int print_rows(struct print *print, struct print_table *table, const json_t *rows) MUST_CHECK;
/* One object, a line for each column: title and value. Columns that are not there are left out. */
int print_fields(struct print *print, const struct print_column *columns, size_t n,
	const json_t *object) MUST_CHECK;
/* Text of several lines, with its newlines and tabs. */
int print_block(struct print *print, const char *text) MUST_CHECK;
/* The document on one line. */
int print_json(struct print *print, const json_t *json) MUST_CHECK;

/* A line on the terminal's standard error that the next one overwrites; nothing where that is no terminal. */
void print_progress(struct print *print, const char *fmt, ...) PRINTF_LIKE(2, 3);
void print_progress_end(struct print *print);
/* Some times a second, for those who have news more often than a person can read; never where nothing would be shown. */
bool print_progress_is_due(struct print *print);

/* The value at "a.b" of an object, or NULL; 0 and "" where there is none of that type. */
const json_t *print_lookup(const json_t *object, const char *key);
int64_t print_int(const json_t *object, const char *key);
const char *print_text(const json_t *object, const char *key);

#endif
