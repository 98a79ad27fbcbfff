/*
 * resource: what holds tasks back though a worker is free: a cap on how many run, a rate of starts, and a breaker that
 * spares what has failed again and again. One for the daemon, one for each handler, one for each [resource]; a handler
 * claims the first two and those that it names. Checked in O(1) at a start; a lane that is held back waits on a list and
 * is looked at again only when the resource has something to give.
 *
 *                       breaker_failures in a row
 *   breaker:   CLOSED ------------------------------> OPEN  --breaker_pause--> one trial: HALF_OPEN
 *                 ^                                     ^                         |        |
 *                 |                                     +--- it fails: the pause doubles --+
 *                 +------------------------------------------- it succeeds ------------------
 *
 * The rate is a token bucket kept as one number (the generic cell rate algorithm): `full_at_ns` is when the bucket will be
 * full again; a start is due when that is less than `burst` intervals away.
 */
#ifndef WORKPOOL_CORE_RESOURCE_H
#define WORKPOOL_CORE_RESOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/tailq.h"
#include "core/deadline.h"

struct board;
struct lane;

enum resource_kind { RESOURCE_DAEMON, RESOURCE_HANDLER, RESOURCE_NAMED };
enum breaker { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };
/* Why a task may not start now. */
enum hold { HOLD_NOT, HOLD_CAP, HOLD_RATE, HOLD_BREAKER };

/* As configured; 0 means none, but for burst. */
struct resource_limits {
	uint64_t max_active; /* units: a task takes its handler's weight */
	uint64_t rate;       /* starts a second */
	uint64_t burst;      /* 1 and up */
	uint64_t breaker_failures;
	uint64_t breaker_pause_us;
};

struct resource {
	struct board *board; /* borrows: owns us */
	const char *name;    /* borrows: the settings'; "" for the daemon's */
	enum resource_kind kind;
	struct resource_limits limits;
	uint64_t active; /* units in use */
	uint64_t full_at_ns;
	enum breaker breaker;
	uint64_t failures;    /* in a row, while CLOSED */
	uint64_t trial;       /* id of the task that is tried while HALF_OPEN */
	uint64_t pause_us;    /* of the present OPEN */
	uint64_t trial_at_us; /* OPEN: no trial before */
	struct deadline wake; /* set while somebody waits for the rate or the breaker */
	TAILQ_HEAD(, lane) waiting;
};

void resource_init(
	struct resource *resource, struct board *board, const char *name, enum resource_kind kind);
/* Takes effect at once, for those that wait too. */
void resource_set_limits(struct resource *resource, const struct resource_limits *limits);
/* HOLD_NOT: a task of this weight may start now. *ret_until_us: when that changes by itself; UINT64_MAX: not by time. */
enum hold resource_check(
	const struct resource *resource, uint64_t weight, uint64_t now_us, uint64_t *ret_until_us);
/* A task that resource_check() let pass starts. */
void resource_take(struct resource *resource, uint64_t id, uint64_t weight, uint64_t now_us);
/* It runs no more; whoever may start now is woken. */
void resource_give_back(struct resource *resource, uint64_t id, uint64_t weight);
/* Its start did not happen after all: as resource_give_back(), and the rate gets its token back. */
void resource_take_back(struct resource *resource, uint64_t id, uint64_t weight);
/* How it ended, before resource_give_back(): what the breaker goes by. true: a failure that the breaker answers for, not the
 * task: it was under way when the breaker opened, or was the trial. */
bool resource_note(struct resource *resource, uint64_t id, bool is_ok, uint64_t now_us);
/* The one task that is let through while the breaker is HALF_OPEN. */
bool resource_is_trial(const struct resource *resource, uint64_t id);
/* Wakes whoever waits then, at the latest; UINT64_MAX: not by time. -ENOMEM: it will not. */
int resource_wake_at(struct resource *resource, uint64_t until_us) MUST_CHECK;
void resource_wake(struct resource *resource);

#endif
