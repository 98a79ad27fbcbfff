/*
 * listen: the control socket: systemd's (sd_listen_fds(3)) or our own under a lock file, so that a second daemon refuses
 * instead of stealing the path. Accepts, within the limits; when descriptors run out a spare one is used to say so.
 */
#ifndef WORKPOOL_NET_LISTEN_H
#define WORKPOOL_NET_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct daemon;
struct listener;

/*
 * Opens the socket; connections wait in the backlog until listen_start(). path NULL or "": $XDG_RUNTIME_DIR/workpoold/
 * control.sock, else /run/workpoold/control.sock; a socket that systemd handed over wins. -EADDRINUSE: another daemon has
 * it; -errno; ret_why says what in words.
 */
int listen_new(struct daemon *daemon, const char *path, struct listener **ret_listener,
	char *ret_why, size_t why_size) MUST_CHECK;
/* Closes, and removes the path if it is ours. */
void listen_free(struct listener *listener);
void listen_start(struct listener *listener);
/* "": the service manager's, and it has no path. */
const char *listen_path(const struct listener *listener);
bool listen_is_activated(const struct listener *listener); /* the service manager's */

#endif
