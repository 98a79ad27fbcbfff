/*
 * scratch: a directory that goes with a task.
 */
#ifndef WORKPOOL_HOST_SCRATCH_H
#define WORKPOOL_HOST_SCRATCH_H

#include "base/mem.h"

/* A new directory that only this user may enter, below $TMPDIR or /tmp. The caller frees *ret_path. -errno. */
int scratch_make(char **ret_path) MUST_CHECK;
/* With all that is in it; NULL: nothing. What cannot be removed is logged. */
void scratch_remove(const char *path);

#endif
