/*
 * verb: what a verb is and what it is given. A verb is a row in verbs.def and a function in one of the verb_*.c.
 */
#ifndef WORKPOOL_CLIENT_VERB_H
#define WORKPOOL_CLIENT_VERB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"
#include "client/link.h"
#include "client/print.h"

#define OPT_NOT_GIVEN UINT64_MAX /* of every number and duration */

#define OPT_LIST_MAX 64

/* A flag that may be given several times. */
struct opt_list {
	const char *texts[OPT_LIST_MAX]; /* borrow: argv */
	size_t n;
};

/* One field for each row of flags.def, of the type that its kind says. */
struct opts {
	const char *socket, *colour, *pool, *name, *mode, *state, *handler, *workers, *unique,
		*args, *compare, *plot; /* borrow: argv */
	bool is_json, no_legend, is_quiet, is_verbose, wants_help, wants_version;
	bool reset_marks, wants_settled, is_all, is_mine, propagate, more, oneway, is_followed,
		is_dry_run, is_closed, is_yes, is_applied;
	struct opt_list by_name, kinds;
	uint64_t timeout_us, task_us, wait_us, watch_us, for_us, stop_us, delay_us, expires_us,
		room_us;
	uint64_t rate, capacity, limit, count, runs, clients, priority, retries, workers_max, burst;
	uint64_t p99_us, budget_us, tolerance; /* tolerance: millionths */
};

enum flag_kind {
	FLAG_SET,     /* bool */
	FLAG_TEXT,    /* const char *, not empty */
	FLAG_WHEN,    /* const char *: auto, always, never */
	FLAG_WORD,    /* const char *: the flag's own name; only one of the flags with this field */
	FLAG_LIST,    /* struct opt_list of texts, none of them empty */
	FLAG_NUMBER,  /* uint64_t from min to max */
	FLAG_PERCENT, /* uint64_t, millionths, from min to max: "5%", "0.5" */
	FLAG_DURATION,     /* uint64_t, microseconds */
	FLAG_DURATION_OPT, /* the same; --flag without =D is 0 */
	FLAG_KINDS
};

struct flag {
	char letter;
	const char *name;
	enum flag_kind kind;
	size_t offset; /* in struct opts */
	uint64_t min;
	uint64_t max;
	const char *arg;
	const char *text;
};

struct ctl;

struct verb {
	const char *name;
	size_t min;
	size_t max;
	uint64_t flags; /* bit n: row n of flags.def */
	const char *usage;
	const char *text;
	int (*run)(struct ctl *ctl); /* an exit code; failures are told already */
};

/* One run of wpctl. */
struct ctl {
	const struct verb *verb;
	struct opts opts;
	const char **names; /* owns the array, borrows argv: the verb's arguments */
	size_t n_names;
	struct print print;
	struct link link;
};

/* Fills verb, opts and names from the command line: 0 or CODE_USAGE, told. ctl must be zero; names is the caller's. */
int verb_parse(struct ctl *ctl, int argc, char **argv) MUST_CHECK;
void verb_write_help(const struct verb *verb, FILE *to);
void verb_write_overview(FILE *to);

#define VERB(name, min, max, flags, usage, text) int verb_##name(struct ctl *ctl);
#include "client/verbs.def"
#undef VERB

#endif
