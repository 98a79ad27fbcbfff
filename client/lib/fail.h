/*
 * fail: what went wrong on a connection: a code (workpool.h) and a line of text.
 */
#ifndef WORKPOOL_CLIENT_LIB_FAIL_H
#define WORKPOOL_CLIENT_LIB_FAIL_H

#include "base/mem.h"
#include "client/lib/workpool.h"

/* Each notes a text in wp and returns `code`. */
int fail(struct workpool *wp, int code); /* the code's own words */
int fail_because(struct workpool *wp, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
int fail_system(struct workpool *wp, int code, int error); /* error: an errno; about the socket */
int fail_reply(
	struct workpool *wp, const struct workpool_reply *reply); /* its code; 0: it is no error */
void fail_none(struct workpool *wp);                              /* forgets the last one */

/* Of an error's full name; WORKPOOL_OTHER_ERROR if it is not known. */
int fail_code(const char *error) MUST_CHECK;

#endif
