/*
 * explain: what a task waits for, the one thing, and about how long. Only looks, for whoever asks; nothing depends on it.
 * Estimates come from the measured times of a handler or pool and promise nothing.
 */
#ifndef WORKPOOL_CORE_EXPLAIN_H
#define WORKPOOL_CORE_EXPLAIN_H

#include <stdbool.h>
#include <stdint.h>

struct pool;
struct resource;
struct task;

enum waits_for {
	WAITS_FOR_NOTHING, /* active, ended, or about to start */
	WAITS_FOR_DELAY,
	WAITS_FOR_PAUSED,   /* its pool to be resumed */
	WAITS_FOR_HOST,     /* no host process is up */
	WAITS_FOR_ALONE,    /* a suspect: its turn in the host beside the pool's own */
	WAITS_FOR_DAEMON,   /* the daemon's max_active */
	WAITS_FOR_HANDLER,  /* its handler's max_active */
	WAITS_FOR_RESOURCE, /* a resource's max_active */
	WAITS_FOR_RATE,     /* a resource's rate */
	WAITS_FOR_BREAKER,  /* a resource's breaker */
	WAITS_FOR_WORKERS,  /* all are busy */
	WAITS_FOR_STORE,    /* which takes nothing until a restart */
	WAITS_FOR_KINDS
};

#define EXPLAIN_LOOK_MAX 20000      /* tasks that are looked at for a position */
#define EXPLAIN_UNKNOWN  UINT64_MAX /* no estimate */

struct explanation {
	enum waits_for waits_for;
	const struct resource
		*resource;      /* borrows: RESOURCE, RATE, BREAKER: which one; else NULL */
	uint64_t position;      /* 1 is the next one in its pool; 0: it is not queued */
	bool position_is_least; /* more may be ahead than were looked at */
	uint64_t until_us;      /* when that ends by itself; 0: not known */
	uint64_t estimate_us;   /* until it starts, or EXPLAIN_UNKNOWN */
};

void explain_task(const struct task *task, uint64_t now_us, struct explanation *ret_explanation);
/* About when a full pool has room for one more post, from 1 ms to 1 min. */
uint64_t explain_room_us(const struct pool *pool, uint64_t now_us);
const char *explain_word(enum waits_for waits_for);

#endif
