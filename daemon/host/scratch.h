/*
 * scratch: a directory that goes with a task.
 */
#ifndef WORKPOOL_HOST_SCRATCH_H
#define WORKPOOL_HOST_SCRATCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/mem.h"

/* A new directory in `parent` that only this user may enter; the caller frees *ret_path. -errno. */
int scratch_make(const char *parent, char **ret_path) MUST_CHECK;
/* It is as scratch_make() made it: the same, empty, and nobody changed its mode, owner or attributes. */
bool scratch_is_fresh(const char *path, ino_t inode) MUST_CHECK;
/* Where such directories go unless somebody says more: $TMPDIR or /tmp. */
const char *scratch_parent(void);
/* With all that is in it; NULL: nothing. What cannot be removed is logged. */
void scratch_remove(const char *path);

#endif
