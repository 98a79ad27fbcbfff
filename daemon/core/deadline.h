/*
 * deadline: everything that waits for a time, in one heap: time limits, progress intervals, receive time-outs, retention.
 * The loop arms one timer for deadline_next(). Times are CLOCK_MONOTONIC microseconds that the caller passes in.
 */
#ifndef WORKPOOL_CORE_DEADLINE_H
#define WORKPOOL_CORE_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"

struct deadline {
	struct heap_node node; /* in: deadlines->heap while set */
	void (*fire)(struct deadline *deadline, uint64_t now_us);
};

struct deadlines {
	struct heap heap;
	uint64_t seq; /* equal times fire in the order in which they were set */
	uint64_t
		floor_us; /* while deadline_run() fires: nothing is set for an earlier time; 0: no run */
};

void deadlines_init(struct deadlines *all);
void deadlines_done(struct deadlines *all);
void deadline_init(struct deadline *deadline, void (*fire)(struct deadline *, uint64_t now_us));
/* Room for one more: the next deadline_set() cannot fail. -ENOMEM. */
int deadlines_reserve(struct deadlines *all) MUST_CHECK;
/* Sets or moves it. -ENOMEM: it is not set. */
int deadline_set(struct deadlines *all, struct deadline *deadline, uint64_t at_us) MUST_CHECK;
void deadline_clear(struct deadlines *all, struct deadline *deadline); /* fine when not set */
bool deadline_is_set(const struct deadline *deadline);
uint64_t deadline_at(const struct deadline *deadline); /* while it is set */
uint64_t deadline_next(const struct deadlines *all);   /* UINT64_MAX: none */
/* Fires all that are due at now_us, each unset before its call. One that is set again for a due time waits for the next run. */
void deadline_run(struct deadlines *all, uint64_t now_us);

#endif
