/*
 * ready: from the first turn until the daemon takes calls: the hosts start, and the socket is served when all are
 * up, or after a moment all the same: a daemon whose hosts do not start can still be asked why. It is ready when all are up;
 * but one that has failed twice, as by a plugin that hangs or crashes at its start, keeps only its own pool back.
 */
#ifndef WORKPOOL_NET_READY_H
#define WORKPOOL_NET_READY_H

#include "base/mem.h"

struct daemon;

/* The first turn starts the hosts. -ENOMEM. */
int ready_begin(struct daemon *daemon) MUST_CHECK;
/* Step of the turn: is every host up now? */
void ready_check(struct daemon *daemon);

#endif
