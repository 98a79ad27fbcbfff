/*
 * origins: where the values of settings were said: for every section that stands in some file, and
 * each of its keys, the file and the line. What is not there is a default. Written by build.c and
 * reload.c; read for error lines and by whoever shows settings.
 */
#ifndef WORKPOOL_CONFIG_ORIGINS_H
#define WORKPOOL_CONFIG_ORIGINS_H

#include "base/buf.h"
#include "base/mem.h"
#include "config/keys.h"

struct origin {
	uint32_t file; /* 1 …: in origins->files; 0: a default */
	uint32_t line; /* 0: no file, but what the file's name says */
};

/* A section that stands in some file; all its occurrences are one. */
struct origin_section {
	enum config_scope scope;
	size_t at;                                 /* its place, see section.h */
	struct origin origin;                      /* the last occurrence */
	struct origin keys[CONFIG_SCOPE_KEYS_MAX]; /* by keys_place() */
};

struct origins {
	char **files; /* owns: names for people */
	uint32_t n_files;
	struct origin_section *sections; /* owns */
	size_t n_sections;
	size_t cap_sections;
};

/* NULL: no memory. */
struct origins *origins_new(void) MUST_CHECK;
void origins_free(struct origins *origins);
/* The number of a file: a new one, also if there is one of that name. -ENOMEM. */
int origins_add_file(struct origins *origins, const char *name, uint32_t *ret_file) MUST_CHECK;
/* NULL: it stands in no file; so it is with origins NULL. Good until the next origins_enter(). */
struct origin_section *origins_find(
	const struct origins *origins, enum config_scope scope, size_t at);
/* As origins_find(), but makes it if it is not there. -ENOMEM. */
int origins_enter(struct origins *origins, enum config_scope scope, size_t at,
	struct origin_section **ret_section) MUST_CHECK;
/* An origin of `from`, as an origin of `origins`: the file of the same name, or a new one. -ENOMEM.
 */
int origins_adopt(struct origins *origins, const struct origins *from, struct origin origin,
	struct origin *ret_origin) MUST_CHECK;

/* "FILE:LINE"; "credential" or "environment"; "default". */
int origins_write(const struct origins *origins, struct origin origin, struct buf *out) MUST_CHECK;

#endif
