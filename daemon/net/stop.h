/*
 * stop: the order in which the daemon ends, and that it does: first no more posts, then what the mode says, then the hosts,
 * then the answers, then exit. stop_timeout after it began, what still runs is ended; a little later, killed.
 */
#ifndef WORKPOOL_NET_STOP_H
#define WORKPOOL_NET_STOP_H

#include <stdint.h>

#include "config/settings.h"

struct daemon;

/* Begins to stop, or goes on to a stricter mode. timeout_us 0: the configured one. */
void stop_begin(struct daemon *daemon, enum stop_mode mode, uint64_t timeout_us);
/* SIGTERM, SIGINT: the configured mode; a second one: now. */
void stop_by_signal(struct daemon *daemon, int signal);
/* Step of the turn: the next stage, when the present one is through. */
void stop_check(struct daemon *daemon);

#endif
