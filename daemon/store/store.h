/*
 * store: where tasks are written down. One commit a turn writes all that is on board->dirty; when it returns 0 the turn's
 * changes are true. commit() is the only place of the daemon that may block.
 */
#ifndef WORKPOOL_STORE_STORE_H
#define WORKPOOL_STORE_STORE_H

#include "base/mem.h"

struct board;
struct store;

struct store_ops {
	const char *name; /* as [store] type says it */
	/* 0; -ENOSPC: full, all else: broken. On failure nothing of this turn was written. Does not touch the dirty list. */
	int (*commit)(struct store *store, const struct board *board);
	void (*close)(struct store *store);
};

struct store {
	const struct store_ops *ops;
};

/* In memory: nothing outlives the process. -ENOMEM. */
int store_mem_open(struct store **ret_store) MUST_CHECK;

static inline int store_commit(struct store *store, const struct board *board)
{
	return store->ops->commit(store, board);
}

static inline void store_close(struct store *store)
{
	if (store != NULL)
		store->ops->close(store);
}

#endif
