/*
 * scan: a call of the common shape, read in one pass and without a tree: {"method":"…","parameters":{…}} with parameters
 * that are strings, integers, booleans or objects. It takes only what it is sure of; all else is msg.c's, which alone
 * refuses. So a call means the same whichever way it was read (fuzz_scan compares them, with msg_parse() as the judge).
 */
#ifndef WORKPOOL_WIRE_SCAN_H
#define WORKPOOL_WIRE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "wire/param.h"

#define SCAN_MEMBERS 16u

enum scan_type { SCAN_STRING, SCAN_INT, SCAN_BOOL, SCAN_OBJECT };

struct scan_member {
	struct view name;
	enum scan_type type;
	struct view
		text; /* SCAN_STRING: a NUL is behind it; SCAN_OBJECT: what json_write() would write */
	int64_t number; /* SCAN_INT; SCAN_BOOL: 0 or 1 */
};

struct scan {
	struct view method; /* a NUL is behind it */
	struct scan_member params[SCAN_MEMBERS];
	size_t n_params;
	struct buf
		text; /* owns: what was copied; the views point into it, until the next call, or into the message */
};

void scan_init(struct scan *scan);
void scan_done(struct scan *scan);
/* 0; -ENOTSUP: not a call of that shape, or none at all: ask msg_parse(). Also without memory. */
int scan_call(struct scan *scan, struct view message) MUST_CHECK;
/*
 * As param_read(), and all that is borrowed lives as long as the message, until the next scan_call(). -ENOTSUP: something is not as the table
 * says; *ret_values may be partly written.
 */
int scan_read_params(
	const struct scan *scan, const struct param *table, size_t n, void *ret_values) MUST_CHECK;

/* Appends a value of that kind as json_write() would write it. -ENOTSUP: not sure of it, nothing was appended; also without memory. */
int scan_value(struct view text, struct buf *out) MUST_CHECK;

#endif
