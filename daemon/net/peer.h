/*
 * peer: who is at the other end of a connection, and what he may. From the kernel's credentials alone (unix(7): SO_PEERCRED,
 * SO_PEERGROUPS), read once at accept; names are looked up once, when the daemon starts.
 */
#ifndef WORKPOOL_NET_PEER_H
#define WORKPOOL_NET_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/mem.h"
#include "config/settings.h"

/* Each role may all that the ones before it may. */
enum role { ROLE_NONE, ROLE_READ, ROLE_POST, ROLE_ADMIN, ROLES };

struct peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	gid_t *groups; /* owns */
	size_t n_groups;
	enum role role;
};

/* Users and groups of one "alice, @admins". */
struct peer_list {
	uid_t *uids; /* owns */
	gid_t *gids; /* owns */
	size_t n_uids, n_gids;
};

/* [access] and every handler's `allow`, names looked up. */
struct access {
	bool given; /* there is an [access] section */
	uid_t own_uid;
	struct peer_list roles[ROLES]; /* [ROLE_NONE] is empty */
	struct peer_list *allow;       /* owns: one for each settings->handlers */
	size_t n_allow;
};

/* -ESRCH: ret_why (of why_size bytes) names the user or group that there is not; -ENOMEM. */
int access_new(const struct settings *settings, struct access **ret_access, char *ret_why,
	size_t why_size) MUST_CHECK;
void access_free(struct access *access);

/* Reads the credentials of a connected Unix socket and gives the role. -errno: treat as nobody and close. */
int peer_read(int fd, const struct access *access, struct peer *ret_peer) MUST_CHECK;
void peer_done(struct peer *peer);
/* Its role by other rules than at accept. */
void peer_update(struct peer *peer, const struct access *access);
/* May post to the handler with this index in the settings. */
bool peer_is_allowed(const struct peer *peer, const struct access *access, size_t handler);
const char *peer_role_name(enum role role); /* "none", "read", "post", "admin" */

#endif
