/*
 * extras: keys of a [handler] section that are not every handler's: while files are read all of them,
 * since its type may be said behind them; then rules.c gives the type's own their fields, and what is
 * left are the settings of a plugin, whose names and values only it knows.
 */
#ifndef WORKPOOL_CONFIG_EXTRAS_H
#define WORKPOOL_CONFIG_EXTRAS_H

#include "base/buf.h"
#include "base/mem.h"
#include "config/origins.h"

#define EXTRAS_MAX 64 /* of one section; a line of a file bounds name and value */

struct extra {
	char *name;  /* owns */
	char *value; /* owns */
	struct origin origin;
};

struct extras {
	size_t n;
	struct extra at[EXTRAS_MAX];
};

/* *extras NULL: there are none. A name that is there gets the new value. -ENOMEM, -E2BIG. */
int extras_set(struct extras **extras, const char *name, const char *value,
	struct origin origin) MUST_CHECK;
/* NULL: not there; extras may be NULL, here and below. Good until the next change. */
const struct extra *extras_find(const struct extras *extras, const char *name);
size_t extras_count(const struct extras *extras);
void extras_remove(struct extras *extras, size_t at);
void extras_free(struct extras *extras);
/* A copy for settings with other origins. -ENOMEM. */
int extras_adopt(struct extras **ret_extras, struct origins *origins, const struct extras *from,
	const struct origins *from_origins) MUST_CHECK;
/* "name=value\n" of each. -ENOMEM, -EMSGSIZE. */
int extras_write_lines(const struct extras *extras, struct buf *out) MUST_CHECK;

#endif
