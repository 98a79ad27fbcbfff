/*
 * bson: a JSON tree of a client as BSON, by an own walk: nothing in it can become a type, an operator or a path that
 * the configuration did not allow. And a tree of the configuration with values of a client put in: as values, never as text.
 */
#ifndef WORKPOOL_HOST_BSON_H
#define WORKPOOL_HOST_BSON_H

#include <jansson.h>

#include "base/buf.h"
#include "host/mongolib.h"

#define BSON_WHY_SIZE 200

enum bson_keys {
	BSON_PLAIN,     /* no key that is empty, begins with "$" or holds a "." */
	BSON_OPERATORS, /* all but the empty key and the operators that run code or write */
};

/*
 * ret_bson is bson_init()ed by the caller, who destroys it; json (NULL: {}) is an object, or an array for a pipeline.
 * Integers become int32 if they fit, else int64; reals double. -EINVAL: a key is refused, ret_why is a sentence that
 * names it; -E2BIG: too large or too deep. On failure *ret_bson may be partly written.
 */
int bson_from_json(const json_t *json, enum bson_keys keys, bson_t *ret_bson,
	char ret_why[BSON_WHY_SIZE]) MUST_CHECK;

/*
 * The same for a tree of the configuration, which may have all keys but those that run code or write. A string of it that
 * is "$args.NAME" or "$args.NAME.NAME…" stands for that value of args, whose own keys are held to `keys`. -ENOENT: args
 * has no such value, ret_why is a sentence that names it.
 */
int bson_from_template(const json_t *template, const json_t *args, enum bson_keys keys,
	bson_t *ret_bson, char ret_why[BSON_WHY_SIZE]) MUST_CHECK;
/* The name behind "$args." in a string of the configuration, up to the next dot; {NULL, 0}: it is a string as any other. */
struct view bson_template_name(const json_t *string);

#endif
