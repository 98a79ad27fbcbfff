/*
 * reply: one message of the daemon, taken apart.
 */
#ifndef WORKPOOL_CLIENT_LIB_REPLY_H
#define WORKPOOL_CLIENT_LIB_REPLY_H

#include <stdbool.h>

#include "base/buf.h"
#include "client/lib/workpool.h"

/* 0: *ret_reply is the caller's; WORKPOOL_BAD_REPLY, WORKPOOL_NO_MEMORY. The message is copied. */
int reply_new(struct view message, struct workpool_reply **ret_reply) MUST_CHECK;
void reply_set_data(struct workpool_reply *reply, void *data);

#endif
