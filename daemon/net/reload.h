/*
 * reload: reads the configuration again and goes on with what is live in it. A bad file changes nothing.
 */
#ifndef WORKPOOL_NET_RELOAD_H
#define WORKPOOL_NET_RELOAD_H

#include "config/reload.h"

struct daemon;

/*
 * on_change hears of every difference, also of those that need a restart. dry: nothing else happens. -errno: nothing has
 * changed, and ret_why has one line for people.
 */
int reload_run(struct daemon *daemon, bool dry,
	int (*on_change)(void *user, const struct config_change *change), void *user,
	char ret_why[CONFIG_WHY_SIZE]) MUST_CHECK;
/* SIGHUP: the same, told in the log. */
void reload_by_signal(struct daemon *daemon);

#endif
