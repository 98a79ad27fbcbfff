/*
 * unique: which task has a unique key. A key belongs to one owner and one handler, so nobody can take another's; a task has
 * it from its post until it ends.
 */
#ifndef WORKPOOL_CORE_UNIQUE_H
#define WORKPOOL_CORE_UNIQUE_H

#include <stdint.h>

#include "base/buf.h"

struct board;
struct handler;
struct task;

/* NULL: it is free. */
struct task *unique_find(const struct board *board, const struct handler *handler,
	uint32_t owner_uid, struct view key);
/* The task takes its key, if it has one. -EEXIST: another has it; -ENOMEM. */
int unique_take(struct board *board, struct task *task) MUST_CHECK;
/* Fine when it does not have it. */
void unique_drop(struct board *board, struct task *task);
/* All at once. */
void unique_done(struct board *board);

#endif
