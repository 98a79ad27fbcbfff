/*
 * peer: see peer.h.
 *
 * Without [access]: root and the daemon's own user are admin, whoever else can open the socket may post. With it, only who
 * is listed has a role, and root. The daemon's own user is then nobody unless listed by name, even if it is root: handlers'
 * children run as that user.
 */
#include "net/peer.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const role_names[ROLES] = {"none", "read", "post", "admin"};

const char *peer_role_name(enum role role)
{
	return role_names[role];
}

static void list_done(struct peer_list *list)
{
	free(list->uids);
	free(list->gids);
}

/* One word of a list. -ESRCH: no such user or group. */
static int list_add(struct peer_list *list, const char *word)
{
	if (word[0] == '@') {
		const struct group *group = getgrnam(word + 1);
		gid_t *gids;

		if (group == NULL)
			return -ESRCH;
		gids = realloc(list->gids, (list->n_gids + 1) * sizeof *gids);
		if (gids == NULL)
			return -ENOMEM;
		list->gids = gids;
		list->gids[list->n_gids++] = group->gr_gid;
	} else {
		const struct passwd *user = getpwnam(word);
		uid_t *uids;

		if (user == NULL)
			return -ESRCH;
		uids = realloc(list->uids, (list->n_uids + 1) * sizeof *uids);
		if (uids == NULL)
			return -ENOMEM;
		list->uids = uids;
		list->uids[list->n_uids++] = user->pw_uid;
	}
	return 0;
}

/* where: the key, for the sentence. */
static int list_parse(
	struct peer_list *list, const char *text, const char *where, char *ret_why, size_t why_size)
{
	auto_free char *copy = strdup(text);
	char *rest = copy, *word;

	if (copy == NULL)
		return -ENOMEM;
	while ((word = strsep(&rest, ", \t")) != NULL) {
		int r = word[0] != '\0' ? list_add(list, word) : 0;

		if (r == -ESRCH)
			(void)snprintf(ret_why, why_size, "%s: there is no %s \"%s\"", where,
				word[0] == '@' ? "group" : "user", word + (word[0] == '@'));
		if (r < 0)
			return r;
	}
	return 0;
}

static bool list_has_uid(const struct peer_list *list, uid_t uid)
{
	for (size_t i = 0; i < list->n_uids; i++)
		if (list->uids[i] == uid)
			return true;
	return false;
}

static bool list_has_group(const struct peer_list *list, const struct peer *peer)
{
	for (size_t i = 0; i < list->n_gids; i++) {
		if (list->gids[i] == peer->gid)
			return true;
		for (size_t k = 0; k < peer->n_groups; k++)
			if (list->gids[i] == peer->groups[k])
				return true;
	}
	return false;
}

int access_new(
	const struct settings *settings, struct access **ret_access, char *ret_why, size_t why_size)
{
	const char *const lists[ROLES] = {
		"", settings->access.read, settings->access.post, settings->access.admin};
	struct access *access = calloc(1, sizeof *access);
	char where[SETTINGS_NAME_MAX + 32];
	int r = -ENOMEM;

	(void)snprintf(ret_why, why_size, "out of memory");
	if (access == NULL)
		return r;
	access->given = settings->access.given;
	access->own_uid = geteuid();
	access->n_allow = settings->n_handlers;
	access->allow = calloc(settings->n_handlers + 1, sizeof *access->allow);
	if (access->allow == NULL)
		goto out;
	r = 0;
	for (int role = 0; r == 0 && role < ROLES; role++) {
		(void)snprintf(where, sizeof where, "[access] %s", role_names[role]);
		r = list_parse(&access->roles[role], lists[role], where, ret_why, why_size);
	}
	for (size_t i = 0; r == 0 && i < settings->n_handlers; i++) {
		(void)snprintf(
			where, sizeof where, "[handler %s] allow", settings->handlers[i].name);
		r = list_parse(
			&access->allow[i], settings->handlers[i].allow, where, ret_why, why_size);
	}
out:
	if (r < 0)
		access_free(access);
	else
		*ret_access = access;
	return r;
}

void access_free(struct access *access)
{
	if (access == NULL)
		return;
	for (int role = 0; role < ROLES; role++)
		list_done(&access->roles[role]);
	for (size_t i = 0; access->allow != NULL && i < access->n_allow; i++)
		list_done(&access->allow[i]);
	free(access->allow);
	free(access);
}

static enum role access_role(const struct access *access, const struct peer *peer)
{
	bool is_own = peer->uid == access->own_uid;

	if (!access->given)
		return peer->uid == 0 || is_own ? ROLE_ADMIN : ROLE_POST;
	if (peer->uid == 0 && !is_own)
		return ROLE_ADMIN;
	for (int role = ROLE_ADMIN; role > ROLE_NONE; role--)
		if (list_has_uid(&access->roles[role], peer->uid) ||
			(!is_own && list_has_group(&access->roles[role], peer)))
			return (enum role)role;
	return ROLE_NONE;
}

/* The supplementary groups; the kernel says how many there are by ERANGE. */
static int peer_read_groups(int fd, struct peer *peer)
{
	socklen_t size = 32 * sizeof(gid_t);

	for (;;) {
		gid_t *groups = realloc(peer->groups, size > 0 ? size : sizeof *groups);

		if (groups == NULL)
			return -ENOMEM;
		peer->groups = groups;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0)
			break;
		if (errno != ERANGE)
			return -errno;
	}
	peer->n_groups = size / sizeof(gid_t);
	return 0;
}

int peer_read(int fd, const struct access *access, struct peer *ret_peer)
{
	struct peer peer = {0};
	struct ucred cred;
	socklen_t size = sizeof cred;
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return -errno;
	peer.uid = cred.uid;
	peer.gid = cred.gid;
	peer.pid = cred.pid;
	r = peer_read_groups(fd, &peer);
	if (r < 0) {
		peer_done(&peer);
		return r;
	}
	peer.role = access_role(access, &peer);
	if (peer.n_groups == 0)
		peer_done(&peer);
	*ret_peer = peer;
	return 0;
}

void peer_done(struct peer *peer)
{
	free(peer->groups);
	peer->groups = NULL;
	peer->n_groups = 0;
}

bool peer_is_allowed(const struct peer *peer, const struct access *access, size_t handler)
{
	const struct peer_list *list = &access->allow[handler];

	if (list->n_uids == 0 && list->n_gids == 0)
		return true;
	return peer->role == ROLE_ADMIN || list_has_uid(list, peer->uid) ||
	       list_has_group(list, peer);
}

void peer_update(struct peer *peer, const struct access *access)
{
	peer->role = access_role(access, peer);
}
