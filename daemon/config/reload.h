/*
 * reload: from the settings in force to those of files that were read again. A reload is
 * config_load(), config_diff() for whoever wants to know, config_apply_live(), and then the use of
 * what came out. Knows nothing of pools that run: it only keeps places as they were, because others
 * take them for identities.
 */
#ifndef WORKPOOL_CONFIG_RELOAD_H
#define WORKPOOL_CONFIG_RELOAD_H

#include "base/mem.h"
#include "config/config.h"
#include "config/settings.h"

enum config_change_kind {
	CHANGE_LIVE,      /* a reload is enough */
	CHANGE_RESTART,   /* a reload leaves it as it is */
	CHANGE_POOL_NEW,  /* also one that was leaving and came back */
	CHANGE_POOL_GONE, /* never the pool "default" */
};

/* All of it good until the callback returns. */
struct config_change {
	enum config_change_kind kind;
	const char *section; /* "daemon", "pool mail" */
	const char *key;     /* "": the section itself, which was or is "absent" or "present" */
	const char *before;  /* as one would write it in the file; a secret is "***" */
	const char *after;
};

/*
 * What differs, in the order of the key table; sections in the order of `old`, then the new ones. A
 * section that came or went is one change. old: the settings in force, so that what needs a restart
 * is told again until there was one. -ENOMEM, or what `on_change` gave, which ends it.
 */
int config_diff(const struct settings *old, const struct settings *new,
	int (*on_change)(void *user, const struct config_change *change), void *user) MUST_CHECK;

/*
 * Makes `new`, fresh from config_load(), the settings to go on with after `old`:
 * - A key that is not live has its value and origin of `old`.
 * - Handlers and resources are those of `old`, in its order: new ones are left out, and those that
 *   no file has any more stay as they were.
 * - Pools have the order of `old`, new ones behind them. One that no file has any more stays in its
 *   place with `leaving` set; its tasks are to end there. It stays until a restart, or comes back
 *   in its place, all of it new, when a later file has it again.
 * new holds nothing of old. -EINVAL: cannot be done without a restart, and ret_why has one line for
 * people as config_load()'s; -ENOMEM. On failure new is as it was.
 */
int config_apply_live(
	struct settings *new, const struct settings *old, char ret_why[CONFIG_WHY_SIZE]) MUST_CHECK;

#endif
