/*
 * call: one call to the daemon, whose parameters have been looked at already.
 */
#ifndef WORKPOOL_CLIENT_LIB_CALL_H
#define WORKPOOL_CLIENT_LIB_CALL_H

#include <stdint.h>

#include "base/buf.h"
#include "client/lib/workpool.h"

struct request {
	const char *method;
	struct view params; /* a JSON object: walk_is_object() */
	unsigned flags;     /* enum workpool_flags */
	void *data;         /* the caller's */
};

/* workpool_send() and workpool_call() without a look at the parameters. Failures have a text. */
int call_send(struct workpool *wp, const struct request *request) MUST_CHECK;
int call_run(struct workpool *wp, const struct request *request, uint64_t until_us,
	struct workpool_reply **ret_reply) MUST_CHECK;

/* `text` is a JSON object, which is *ret_object; NULL: an empty one. Else WORKPOOL_BAD_ARGUMENT; `what` names it. */
int call_check_object(struct workpool *wp, const char *what, const char *text,
	struct view *ret_object) MUST_CHECK;

#endif
