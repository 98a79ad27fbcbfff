/*
 * notify: what the service manager is told (sd_notify(3)): READY, STATUS, STOPPING, WATCHDOG. Silent without one.
 */
#ifndef WORKPOOL_NET_NOTIFY_H
#define WORKPOOL_NET_NOTIFY_H

#include "base/mem.h"

struct daemon;
struct notify;

int notify_new(struct daemon *daemon, struct notify **ret_notify) MUST_CHECK;
void notify_free(struct notify *notify);
/* Step of the turn: READY when the daemon got ready, STOPPING when it stops, STATUS at most once a second. */
void notify_turn(struct daemon *daemon);
/* Around a reload. */
void notify_reloading(struct notify *notify);
void notify_reloaded(struct notify *notify);

#endif
