/*
 * json: JSON of the user and of the daemon as jansson's trees. What the daemon takes is its own to judge; here is only what is JSON.
 */
#ifndef WORKPOOL_CLIENT_JSON_H
#define WORKPOOL_CLIENT_JSON_H

#include <jansson.h>

#include "base/buf.h"
#include "base/mem.h"

#define JSON_WHY_SIZE 200

static inline void json_unref(json_t **json)
{
	json_decref(*json);
}
#define auto_json __attribute__((cleanup(json_unref)))

/* Any value. 0: *ret_json is the caller's. -EBADMSG: `ret_why` (JSON_WHY_SIZE bytes, valid UTF-8) says where and why; -ENOMEM. */
int json_parse(struct view text, json_t **ret_json, char *ret_why) MUST_CHECK;
/* Compact text onto the end of `out`: -ENOMEM, -EMSGSIZE as buf_append(). */
int json_write(const json_t *json, struct buf *out) MUST_CHECK;

#endif
