/*
 * param: a JSON object against a table of parameters: unknown, missing and wrongly typed ones, ranges, defaults.
 * The same table checks a method's parameters (into a struct) and a handler's args (check only), and tells a user about them.
 */
#ifndef WORKPOOL_WIRE_PARAM_H
#define WORKPOOL_WIRE_PARAM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"

/* The C type of the field at `offset`: */
enum param_type {
	PARAM_BOOL,   /* bool */
	PARAM_INT,    /* int64_t, from min to max */
	PARAM_STRING, /* const char *, borrowed from the JSON; from min to max bytes (max 0: 256) */
	PARAM_STRINGS, /* json_t *, borrowed: an array of strings, at most max of them (max 0: 256) */
	PARAM_OBJECT, /* json_t *, borrowed: an object */
	PARAM_ANY,    /* json_t *, borrowed: any JSON value */
	PARAM_ENUM,   /* const char *, borrowed: one of the words of `words` */
	PARAM_JSON,   /* struct param_json: an object */
};

/* An object, however the call was read: one of them, and none if it was not given. */
struct param_json {
	json_t *tree;     /* borrows: param_read() */
	struct view text; /* borrows: scan_read_params(); what json_write() would make of it */
};

#define PARAM_REQUIRED 1u
#define PARAM_NO_FIELD SIZE_MAX /* `offset` of a parameter that is only checked */

struct param {
	const char *name;
	enum param_type type;
	unsigned flags;
	size_t offset;
	int64_t min; /* PARAM_INT: the range; PARAM_STRING: bytes at least */
	int64_t max;
	const char *words; /* PARAM_ENUM: "drain finish now" */
	const char *text;  /* one line for people, no full stop */
};

#define PARAM_WHY_SIZE 160

/*
 * Reads `object` (NULL: as {}) by the table of n rows into *ret_values (may be NULL: check only). null counts as not given,
 * and what is not given leaves its field as the caller filled it: that is where defaults come from.
 * 0, or -EINVAL with the name of the first wrong parameter (borrowed from table or JSON) and a reason in words:
 * "a number from 1 to 1024", "required", "unknown"; unknown names are found before missing ones. On failure *ret_values may be partly written.
 * A JSON real with an integral value is not an integer.
 */
int param_read(const json_t *object, const struct param *table, size_t n, void *ret_values,
	const char **ret_param, char ret_why[PARAM_WHY_SIZE]) MUST_CHECK;
/* Bytes of a PARAM_STRING at most. */
int64_t param_string_max(const struct param *param);
/* "bool", "int", "string", "[]string", "object", … as the interface description calls it. */
const char *param_type_name(enum param_type type);

#endif
