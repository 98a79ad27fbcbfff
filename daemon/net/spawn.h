/*
 * spawn: starts a pool's host process with one end of a socketpair as its descriptor 3.
 */
#ifndef WORKPOOL_NET_SPAWN_H
#define WORKPOOL_NET_SPAWN_H

#include <sys/types.h>

#include "base/mem.h"

#define SPAWN_HOST_FD 3 /* the descriptor on which a host finds its daemon */

/* workpool-host beside our own binary (a build tree), else where it is installed. Returns ret_path. */
const char *spawn_host_path(char *ret_path, size_t size);
/* pool: the host's first argument, for ps(1). 0: *ret_pid and *ret_fd (non-blocking) are the caller's. -errno. */
int spawn_host(const char *path, const char *pool, pid_t *ret_pid, int *ret_fd) MUST_CHECK;

#endif
