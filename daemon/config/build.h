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
#include "config/source.h"

#define BUILD_BUILTINS 4 /* the first handlers: noop, echo, sleep, fail */
#define BUILD_FILES    (SOURCE_FILES_MAX + 1)

struct build_origin {
	uint32_t line; /* 0: nowhere */
	uint32_t file; /* in build->files */
};

/* A section that stands in some file; all its occurrences are one. */
struct build_section {
	enum config_scope scope;
	size_t at;                  /* in settings->pools or the like; else 0 */
	struct build_origin origin; /* the last occurrence */
	struct build_origin keys[CONFIG_SCOPE_KEYS_MAX]; /* by keys_place() */
};

struct build {
	struct settings *settings;      /* owns */
	struct build_section *sections; /* owns */
	size_t n_sections;
	size_t cap_sections;
	size_t current;           /* section that is being read; SIZE_MAX: none yet */
	char *files[BUILD_FILES]; /* owns: names for messages */
	uint32_t n_files;
	bool is_private; /* the file that is being read may hold secrets */
	char *why;       /* borrows: config_load()'s caller's, CONFIG_WHY_SIZE bytes */
};

/* Everything at its default, the pool "default", the built-in handlers. build_done() also after a
 * failure. -ENOMEM. */
int build_init(struct build *build, char *why) MUST_CHECK;
void build_done(struct build *build);

/* Puts one file's text on top. -EINVAL and -EACCES with a line in why; -ENOMEM; -E2BIG: more than
 * BUILD_FILES. */
int build_add(struct build *build, const char *file, struct view text, bool is_private) MUST_CHECK;

/* The struct that the scope's keys are offsets in. Good until the next build_add(). */
void *build_base(const struct build *build, enum config_scope scope, size_t at);

/*
 * FILE:LINE: [pool mail] workers: "x": reason. section, key and value may be NULL. Returns error.
 * Names and values are escaped and cut; whoever calls leaves a secret's value out.
 */
int build_refuse(struct build *build, int error, struct build_origin origin,
	const struct build_section *section, const char *key, const char *value, const char *fmt,
	...) PRINTF_LIKE(7, 8);
/* As build_refuse() with value_write_range() of the key for a reason. */
int build_refuse_value(struct build *build, struct build_origin origin,
	const struct build_section *section, const struct config_key *key, const char *value);

/* FILE: reason, for a file that could not be read. Returns error. */
int build_refuse_file(char *why, int error, const char *file, const char *reason);

#endif
