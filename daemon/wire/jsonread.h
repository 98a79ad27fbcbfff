/*
 * jsonread: the reader behind json.h: bytes -> tree. Called by json.c, which knows the limits and asks for a tree only when the
 * text is not too deep to be read by recursion.
 */
#ifndef WORKPOOL_WIRE_JSONREAD_H
#define WORKPOOL_WIRE_JSONREAD_H

#include <jansson.h>

#include "base/buf.h"

/*
 * Any JSON value of RFC 8259, but no key twice in an object and no \u0000 in a string. 0: *ret_json is the caller's. -EBADMSG: ret_why
 * (JSON_WHY_SIZE bytes) says where and why, perhaps with a part of the text that is not fit to be shown; -ENOMEM: nothing is known of
 * the text.
 */
int jsonread_text(struct view text, json_t **ret_json, char *ret_why) MUST_CHECK;

#endif
