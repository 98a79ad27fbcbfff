/*
 * store: where tasks are written down. One commit a turn writes all that has changed on the board; when it returns 0 the
 * turn's changes are written, and flush() waits for the disk; tend() keeps the file in order when the turn's answers have left. These
 * two are the only places of the daemon that may block.
 *
 *   store_open()  ->  store_load(): the board as it was  ->  store_commit(), store_tend() once a turn  ->  store_close()
 */
#ifndef WORKPOOL_STORE_STORE_H
#define WORKPOOL_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "core/hist.h"

struct board;
struct settings;
struct store;

#define STORE_WHY_SIZE 512

/* How a store is; numbers are since it was opened. */
struct store_status {
	const char *path;    /* NULL: no file; the rest is 0 then, as far as it is about one */
	uint64_t size_bytes; /* of its files */
	uint64_t used_bytes; /* of those what is not free for the next posts */
	uint64_t max_bytes;  /* what used_bytes is kept below */
	uint64_t commits, flushes; /* transactions, and those that waited for the disk */
	uint64_t posts;            /* tasks that were written down for the first time */
	uint64_t last_flush_us;    /* how long the last one waited */
	const struct hist *flush;  /* how long they all did */
	uint64_t unknown; /* tasks whose pool or handler is not configured: kept as they are */
	const char *why;  /* why it takes no posts; "": it does */
};

struct store_ops {
	const char *name; /* as [store] type says it */
	bool keeps;       /* it outlives the process */
	/* Fills a fresh board. -EBUSY: another process has the store; -EUCLEAN: it is damaged and was kept aside; all else: it
	 * cannot be read. ret_why, of STORE_WHY_SIZE bytes, says it in a sentence. wall_us: the calendar at now_us. */
	int (*load)(struct store *store, struct board *board, uint64_t now_us, uint64_t wall_us,
		char *ret_why);
	/* Writes all that has changed: from here on it survives the process. 0; -ENOSPC: full, all else: broken. On failure
	 * nothing of it was written. Does not touch the board. */
	int (*commit)(struct store *store, const struct board *board);
	/* It survives the machine, too, as far as something of it has to; may block. On failure it is as if commit() had failed.
	 * NULL: there is nothing to wait for. */
	int (*flush)(struct store *store);
	/* Whether flush() has something to wait for. NULL: always. */
	bool (*owes_flush)(const struct store *store);
	/* The same beside the loop, which may commit meanwhile, but not tend or close: begin, the descriptor is readable, end; a
	 * flush() in between waits for both. What was committed after the begin is for the next. NULL, as the next three: cannot. */
	int (*flush_fd)(const struct store *store);
	bool (*can_begin_flush)(const struct store *store); /* now */
	void (*begin_flush)(struct store *store);
	int (*end_flush)(struct store *store); /* as flush(); waits if need be */
	/* 0: it takes posts; else what a commit of one would say, as far as is known before. */
	int (*check)(struct store *store);
	/* -errno: nothing is written any more, whatever comes, until a restart; 0: it is tried. NULL: never. */
	int (*broken)(const struct store *store);
	/* A step of what is not urgent; true: there is more, for a time when nothing else is to be done. */
	bool (*tend)(struct store *store, bool is_idle);
	void (*status)(struct store *store, struct store_status *ret_status);
	/* board: its last state, whose numbers are still written; NULL: not. */
	void (*close)(struct store *store, const struct board *board);
};

struct store {
	const struct store_ops *ops;
};

/* As [store] says. ret_why, of STORE_WHY_SIZE bytes, says what is wrong in a sentence. */
int store_open(const struct settings *settings, struct store **ret_store, char *ret_why) MUST_CHECK;
/* The path of the file that the settings mean: 0, or -ENAMETOOLONG. */
int store_path(const struct settings *settings, char *ret_path, size_t size) MUST_CHECK;

/* In memory: nothing outlives the process. -ENOMEM. */
int store_mem_open(struct store **ret_store) MUST_CHECK;

static inline int store_load(
	struct store *store, struct board *board, uint64_t now_us, uint64_t wall_us, char *ret_why)
{
	return store->ops->load(store, board, now_us, wall_us, ret_why);
}

static inline int store_commit(struct store *store, const struct board *board)
{
	return store->ops->commit(store, board);
}

static inline int store_flush(struct store *store)
{
	return store->ops->flush != NULL ? store->ops->flush(store) : 0;
}

static inline bool store_owes_flush(const struct store *store)
{
	return store->ops->owes_flush == NULL || store->ops->owes_flush(store);
}

/* -1: it cannot be flushed beside the loop. */
static inline int store_flush_fd(const struct store *store)
{
	return store->ops->flush_fd != NULL ? store->ops->flush_fd(store) : -1;
}

static inline bool store_can_begin_flush(const struct store *store)
{
	return store->ops->can_begin_flush(store);
}

static inline void store_begin_flush(struct store *store)
{
	store->ops->begin_flush(store);
}

static inline int store_end_flush(struct store *store)
{
	return store->ops->end_flush(store);
}

static inline int store_check(struct store *store)
{
	return store->ops->check(store);
}

static inline int store_broken(const struct store *store)
{
	return store->ops->broken != NULL ? store->ops->broken(store) : 0;
}

static inline bool store_tend(struct store *store, bool is_idle)
{
	return store->ops->tend(store, is_idle);
}

static inline struct store_status store_status(struct store *store)
{
	struct store_status status = {.why = ""};

	store->ops->status(store, &status);
	return status;
}

/* Why it did not take something, in words: its own, or those of the -errno that it gave. Good as long as the store is not asked again. */
static inline const char *store_reason(const struct store_status *status, int error)
{
	return status->why[0] != '\0' ? status->why : strerror(-error);
}

static inline void store_close(struct store *store, const struct board *board)
{
	if (store != NULL)
		store->ops->close(store, board);
}

#endif
