/*
 * build: settings while they are made: defaults first, then one file after the other on top, with a
 * note for every key of where it was said, so that a rule that fails later can point at the line.
 * Called by config.c; rules.c reads it.
 */
#ifndef WORKPOOL_CONFIG_BUILD_H
#define WORKPOOL_CONFIG_BUILD_H

#include "base/buf.h"
#include "base/mem.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/origins.h"

#define BUILD_BUILTINS 4 /* the first handlers: noop, echo, sleep, fail */
struct build {
	struct settings *settings; /* owns */
	uint32_t file;             /* the one that is being read, in settings->origins */
	struct origin_section *
		current; /* borrows: the section that is being read, until the next; NULL: none yet */
	bool is_private; /* the file that is being read may hold secrets */
	char *why;       /* borrows: config_load()'s caller's, CONFIG_WHY_SIZE bytes */
};

/* Everything at its default, the pool "default", the built-in handlers. build_done() also after a
 * failure. -ENOMEM. */
int build_init(struct build *build, char *why) MUST_CHECK;
void build_done(struct build *build);

/* Puts one file's text on top. -EINVAL and -EACCES with a line in why; -ENOMEM. */
int build_add(struct build *build, const char *file, struct view text, bool is_private) MUST_CHECK;

/* The key's value came from something that is no file. -ENOMEM. */
int build_note(struct build *build, const struct config_key *key, const char *origin) MUST_CHECK;

/* As refuse_line(); section may be NULL. Returns error. */
int build_refuse(struct build *build, int error, struct origin origin,
	const struct origin_section *section, const char *key, const char *value, const char *fmt,
	...) PRINTF_LIKE(7, 8);
/* As build_refuse() with value_write_range() of the key for a reason. */
int build_refuse_value(struct build *build, struct origin origin,
	const struct origin_section *section, const struct config_key *key, const char *value);

#endif
