/*
 * slot: one worker of a pool as the daemon sees it: its id, and what it does. A slot's id is the worker id that the
 * handler is told; it is stable: slot 3 is worker 3 as long as the pool has more than three workers.
 *
 *              slots_up             slot_take
 *      gone ------------> free <-----------------> busy
 *        ^                 |     slot_release        |
 *        +-----------------+-------------------------+   slots_down; and slot_release of a slot that leaves
 */
#ifndef WORKPOOL_CORE_SLOT_H
#define WORKPOOL_CORE_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/tailq.h"

struct task;

enum slot_state { SLOT_GONE, SLOT_FREE, SLOT_BUSY };

struct slot {
	uint32_t id;
	enum slot_state state;
	void *host;             /* borrows: who runs it (net/hostlink); opaque here; NULL: gone */
	bool is_alone;          /* busy with a suspect, in a host of its own */
	struct task *task;      /* borrows: while busy */
	TAILQ_ENTRY(slot) link; /* in: slots->free while free */
};

struct slots {
	struct slot **
		all; /* owns; index = id; never shrinks: a slot that was there once may still be busy */
	uint32_t len;
	uint32_t workers; /* slots with an id from here on leave: no new task */
	uint32_t n_free, n_busy;
	uint32_t n_leaving;  /* busy with an id >= workers */
	uint32_t alone_busy; /* 0 or 1: a suspect runs */
	void *host;          /* borrows: who runs slots that come up; NULL: nobody */
	void *alone;         /* borrows: who runs one suspect at a time; NULL: nobody */
	TAILQ_HEAD(, slot) free;
};

void slots_init(struct slots *slots);
void slots_done(struct slots *slots);
/* Room for so many: slots_resize() up to there cannot fail. -ENOMEM. */
int slots_reserve(struct slots *slots, uint32_t len) MUST_CHECK;
/* workers: 1 … SETTINGS_WORKERS_MAX. -ENOMEM: nothing changed. */
int slots_resize(struct slots *slots, uint32_t workers) MUST_CHECK;
/* host runs this pool's workers from now on: those that are gone come up. The one before was taken down. */
void slots_up(struct slots *slots, void *host);
/* host runs suspects from now on, in the place of a free worker each. */
void slots_alone_up(struct slots *slots, void *host);
/* host runs nothing any more: its free slots are gone. Its busy ones stay the caller's to end, one by one. */
void slots_down(struct slots *slots, void *host);
/* The first busy slot of this host, NULL: none. */
struct slot *slots_busy_of(const struct slots *slots, const void *host);
/* How many slots of this host are busy. */
uint32_t slots_count_of(const struct slots *slots, const void *host);
/* A suspect could start, if a slot is free. */
bool slots_can_run_alone(const struct slots *slots);
/* A free slot for this task, run by host: slots->host or slots->alone. NULL: none is free. */
struct slot *slot_take(struct slots *slots, struct task *task, void *host);
void slot_release(struct slots *slots, struct slot *slot);

#endif
