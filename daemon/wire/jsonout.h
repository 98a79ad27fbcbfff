/*
 * jsonout: JSON written member by member, without a tree: for answers that are many or long. Each function appends a value to
 * the object or array that is open, with its key, or in an array without (NULL). The first failure stays in `error` and makes all that
 * follow do nothing: who writes looks at it once, at the end.
 */
#ifndef WORKPOOL_WIRE_JSONOUT_H
#define WORKPOOL_WIRE_JSONOUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct jsonout {
	struct buf *out; /* borrows: its owner's, who is writing */
	int error;       /* 0; -ENOMEM, -EMSGSIZE: as buf_append() */
};

/* brace: '{' or '['; '}' or ']'. */
void jsonout_open(struct jsonout *json, const char *key, char brace);
void jsonout_close(struct jsonout *json, char brace);
void jsonout_string(struct jsonout *json, const char *key, const char *text);
void jsonout_int(struct jsonout *json, const char *key, int64_t value);
void jsonout_bool(struct jsonout *json, const char *key, bool value);
/* Microseconds as seconds, with all of their six decimals. */
void jsonout_seconds(struct jsonout *json, const char *key, uint64_t value_us);
void jsonout_tree(struct jsonout *json, const char *key, const json_t *value);
/* Text that json_write() or scan.h wrote. */
void jsonout_raw(struct jsonout *json, const char *key, struct view text);
/* Text that is JSON comes as it is, but without blanks; text that is none after all, as a string. */
void jsonout_text(struct jsonout *json, const char *key, struct view text);

#endif
