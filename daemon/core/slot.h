/*
 * slot: one worker of a pool as the daemon sees it: its id, and what it does. A slot's id is the worker id that the
 * handler is told; it is stable: slot 3 is worker 3 as long as the pool has more than three workers.
 *
 *              slots_up             slot_take
 *      gone ------------> free <-----------------> busy
 *        ^                 |     slot_release        |
 *        +-----------------+-------------------------+   slots_down; and slot_release of a slot that leaves
 *
 * Who runs the workers is net's part: one host for all of them (slots_up), or each its own (slot_up).
 *
 * A slot also has what is true of its task only while it runs, so that those that wait need no room for it: slot_take()
 * begins it, slot_release() ends it.
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

/* What a handler said of its progress. */
struct slot_progress {
	uint32_t permille;
	char note[]; /* UTF-8, "" for none */
};

struct slot {
	uint32_t id;
	enum slot_state state;
	void *runner; /* borrows: who runs its next task (net/hostlink); opaque here; NULL: nobody */
	void *host; /* borrows: who runs it now: free: runner; busy: who has its task; gone: NULL */
	bool is_alone;                  /* busy with a suspect, in a host of its own */
	struct task *task;              /* borrows: while busy */
	uint32_t weight;                /* while busy: units that its task has of the resources */
	uint64_t asked_us;              /* while task->asked: when the worker was asked to end it */
	struct slot_progress *progress; /* owns; NULL: none was told, or not busy */
	TAILQ_ENTRY(slot) link;         /* in: slots->free while free */
};

struct slots {
	struct slot **
		all; /* owns; index = id; never shrinks: a slot that was there once may still be busy */
	uint32_t len;
	uint32_t workers; /* slots with an id from here on leave: no new task */
	uint32_t n_free, n_busy;
	uint32_t n_leaving;  /* busy with an id >= workers */
	uint32_t alone_busy; /* 0 or 1: a suspect runs */
	void *host; /* borrows: runner of all slots, those to come too; NULL: each has its own, or none */
	void *alone; /* borrows: who runs one suspect at a time; NULL: nobody */
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
/* host runs this one worker, id < len, from now on. The one before was taken down. */
void slot_up(struct slots *slots, uint32_t id, void *host);
/* host runs suspects from now on, in the place of a free worker each. */
void slots_alone_up(struct slots *slots, void *host);
/* host runs nothing any more: its free slots are gone. Its busy ones stay the caller's to end, one by one. */
void slots_down(struct slots *slots, void *host);
/* Nobody runs the workers any more, whoever it was: the same. Who runs suspects stays. */
void slots_down_all(struct slots *slots);
/* Somebody runs one of the workers at least, or will when it is free. */
bool slots_has_host(const struct slots *slots);
/* The first busy slot of this host, NULL: none. */
struct slot *slots_busy_of(const struct slots *slots, const void *host);
/* How many slots of this host are busy. */
uint32_t slots_count_of(const struct slots *slots, const void *host);
/* A suspect could start, if a slot is free. */
bool slots_can_run_alone(const struct slots *slots);
/* A free slot for this task, which takes so many units of its resources. is_alone: in the host for suspects, in the place of the slot's own runner. NULL: none is free. */
struct slot *slot_take(struct slots *slots, struct task *task, uint32_t weight, bool is_alone);
void slot_release(struct slots *slots, struct slot *slot);

#endif
