/*
 * signals: SIGTERM and SIGINT stop, a second one stops now; SIGCHLD tells of hosts that ended; SIGPIPE is ignored.
 */
#ifndef WORKPOOL_NET_SIGNALS_H
#define WORKPOOL_NET_SIGNALS_H

#include "base/mem.h"

struct daemon;
struct signals;

int signals_new(struct daemon *daemon, struct signals **ret_signals) MUST_CHECK;
void signals_free(struct signals *signals);

#endif
