/*
 * root: builds the one struct daemon out of all rooms, and takes it apart again. For main.c, and for tests that run turns.
 */
#ifndef WORKPOOL_ROOT_ROOT_H
#define WORKPOOL_ROOT_ROOT_H

#include <stddef.h>

#include "base/mem.h"

struct daemon;
struct settings;
struct store;

/*
 * Takes settings and store, whatever happens. socket: listens there, NULL: where the settings say. -ESRCH: the
 * configuration names somebody who is not there; -EADDRINUSE, -ENOMEM, -errno: ret_why says why in words. root_close()
 * after a failure too.
 */
int root_open(struct daemon *daemon, const struct settings *settings, struct store *store,
	const char *socket, char *ret_why, size_t why_size) MUST_CHECK;
void root_close(struct daemon *daemon);

#endif
