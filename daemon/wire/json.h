/*
 * json: text -> jansson tree, with the limits that outside text is held to. The reader (jsonread.c) refuses duplicate keys, \u0000,
 * NaN, invalid UTF-8 and text after the value; here are depth, key length and the range in which a double is exact.
 */
#ifndef WORKPOOL_WIRE_JSON_H
#define WORKPOOL_WIRE_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"

#define JSON_DEPTH_LIMIT  32
#define JSON_VALUES_LIMIT 32768 /* of a call: a tree of so many takes some 7 MB */
#define JSON_KEY_LIMIT    256   /* bytes */
#define JSON_INT_LIMIT    INT64_C(9007199254740991) /* 2^53 - 1, RFC 8259, 6 */
#define JSON_WHY_SIZE     200

static inline void json_unref(json_t **json)
{
	json_decref(*json);
}
#define auto_json __attribute__((cleanup(json_unref)))

/*
 * Any JSON value (a bare string or number too). 0: *ret_json is the caller's.
 * -EBADMSG: `ret_why` (JSON_WHY_SIZE bytes) says where and why ("byte 17: duplicate key"); it is valid UTF-8.
 * -ENOMEM.
 */
int json_parse(struct view text, json_t **ret_json, char *ret_why) MUST_CHECK;
/* The same for text that anybody may have sent: -EBADMSG too when it holds more than max_values values. */
int json_parse_bounded(
	struct view text, size_t max_values, json_t **ret_json, char *ret_why) MUST_CHECK;
/* Compact text onto the end of `out`: -ENOMEM, -EMSGSIZE as buf_append(). */
int json_write(const json_t *json, struct buf *out) MUST_CHECK;

#endif
