/*
 * input: JSON that the user gives, as an argument or on standard input.
 */
#ifndef WORKPOOL_CLIENT_INPUT_H
#define WORKPOOL_CLIENT_INPUT_H

#include <jansson.h>

#include "base/mem.h"

#define INPUT_LIMIT ((size_t)1024 * 1024) /* bytes: the daemon takes no longer message */

/* The object in `text`, or on standard input if that is "-". *ret_object is the caller's. A code as in fault.h;
 * `what` names it in messages. */
int input_read_object(const char *text, const char *what, json_t **ret_object) MUST_CHECK;

#endif
