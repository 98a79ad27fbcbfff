/*
 * source: a configuration file's bytes, read whole and only from a file that nobody but root and
 * ourselves can write. Called by config.c. Knows nothing of what the bytes mean.
 */
#ifndef WORKPOOL_CONFIG_SOURCE_H
#define WORKPOOL_CONFIG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

#define SOURCE_BYTES_MAX ((size_t)1024 * 1024)
#define SOURCE_FILES_MAX 256 /* of one conf.d */

struct source {
	char *data; /* owns; a NUL after it; wiped before it is freed, it may hold secrets */
	size_t len;
	bool is_private; /* nobody else may read the file (no bit of 0077) */
	bool is_hidden;  /* others may not, the group may: systemd's credentials show an ACL so */
};

/*
 * name within dir (AT_FDCWD: a path). 0: source_done() when used. *ret_reason is a constant text
 * for people, or strerror()'s, good until its next call. -ELOOP: a symbolic link; -EACCES: owner or
 * mode; -EINVAL: no regular file; -EFBIG; or what open(2) and read(2) say.
 */
int source_read(
	int dir, const char *name, struct source *ret_source, const char **ret_reason) MUST_CHECK;
void source_done(struct source *source);

/* The *.conf of a directory, in byte order of their names; hidden ones are left out. */
struct source_list {
	int dir; /* owns */
	char **names;
	size_t n;
};

/* -ENOENT: no such directory. source_list_done() also after a failure. -E2BIG: more than
 * SOURCE_FILES_MAX. */
int source_list_open(
	const char *path, struct source_list *ret_list, const char **ret_reason) MUST_CHECK;
void source_list_done(struct source_list *list);

#endif
