/*
 * config_show: the effective settings for people, a key at a time: what it is, and where that was
 * said. Called by whoever answers `wpctl config`; knows nothing of how it is shown.
 */
#ifndef WORKPOOL_CONFIG_CONFIG_SHOW_H
#define WORKPOOL_CONFIG_CONFIG_SHOW_H

#include <stdbool.h>

#include "base/mem.h"
#include "config/settings.h"

/* All of it good until the callback returns. */
struct config_shown {
	const char *section; /* "daemon", "pool mail" */
	const char *key;
	const char *value; /* as one would write it in the file; "": not given; a secret is "***" */
	const char
		*origin; /* "FILE:LINE", "default"; of the uri also "credential", "environment" */
	bool is_live;    /* a reload is enough to change it */
};

/*
 * Every key of every section that there is, in the order of the key table; of handlers those of its
 * type, and behind them the plugin's own. [access] is left out when it stands in no file (that is
 * not the same as an empty one), and so is a pool that is leaving. section: NULL: all of them; "pool": all of that kind; "pool mail".
 * -ENOENT: no section is called so; -ENOMEM; or what `show` gave, which ends it.
 */
int config_show_keys(const struct settings *settings, const char *section,
	int (*show)(void *user, const struct config_shown *shown), void *user) MUST_CHECK;

#endif
