/*
 * pool: workers, a queue and its bound. Admits tasks, starts the next one, is resized and paused.
 *
 * Invariants, after every turn whose commit succeeded: count[TASK_QUEUED] <= capacity but for tasks that came back, a
 * capacity that was lowered, and free workers that were taken away in the turn; count[TASK_ACTIVE] == slots.n_busy; no
 * task is queued while a slot is free and the pool is not paused.
 */
#ifndef WORKPOOL_CORE_POOL_H
#define WORKPOOL_CORE_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "config/settings.h"
#include "core/queue.h"
#include "core/slot.h"
#include "core/stats.h"
#include "core/task.h"

struct board;

struct pool {
	struct board *board;                  /* borrows: owns this pool */
	const struct settings_pool *settings; /* borrows: settings outlive the board */
	uint64_t capacity;                    /* tasks that may wait: queued and delayed */
	bool paused;
	bool is_rule; /* workers are what the configuration's rule gave */
	struct slots slots;
	struct queue queue;
	uint64_t count
		[TASK_STATES]; /* tasks in each state; those of ended ones only grow; [TASK_NEW] means nothing */
	struct stats stats;
	TAILQ_ENTRY(pool) link; /* in: board->pools */
};

/* -ENOMEM. workers: what the rule in the settings gives on this machine. */
int pool_new(struct board *board, const struct settings_pool *settings, uint32_t workers,
	struct pool **ret_pool) MUST_CHECK;
void pool_free(struct pool *pool);

/* Could one more task be taken? */
bool pool_has_room(const struct pool *pool);
/* Tasks that wait and will still wait when the free workers have been served. */
uint64_t pool_waiting(const struct pool *pool);
/* Takes the task into the queue: 0; -EAGAIN: at capacity. The refusal is counted. */
int pool_admit(struct pool *pool, struct task *task) MUST_CHECK;
/* Gives the next task that may start a worker, -EAGAIN: none may. -ENOMEM: its time limit could not be set, nothing changed. */
int pool_start_next(struct pool *pool, uint64_t now_us) MUST_CHECK;
/*
 * Starts all that may start. Before workers are taken away, by a resize or a pause, too: what was admitted for free workers
 * in this turn gets them, else more than `capacity` would wait. 0, or -ENOMEM as above.
 */
int pool_serve(struct pool *pool, uint64_t now_us) MUST_CHECK;
/* Takes a worker from a task that has one; the task is still active. */
void pool_release(struct pool *pool, struct task *task);
/* The start was not written down: back to the front of the queue, as if it had not been. */
void pool_take_back(struct pool *pool, struct task *task);
/* workers: 1 … SETTINGS_WORKERS_MAX. Growing starts waiting tasks with this turn; shrinking lets running tasks finish. -ENOMEM. */
int pool_resize(struct pool *pool, uint32_t workers) MUST_CHECK;
/* Workers that could take a task now: none while paused. */
uint32_t pool_ready(const struct pool *pool);
/* Queued, delayed or active tasks. */
uint64_t pool_unfinished(const struct pool *pool);

#endif
