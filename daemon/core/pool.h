/*
 * pool: workers, a queue and its bound. Has room or not, starts the next task, is resized and paused.
 *
 * Invariants, after every turn whose commit succeeded: count[TASK_QUEUED] + count[TASK_DELAYED] <= capacity but for tasks
 * that came back and a capacity that was lowered; count[TASK_ACTIVE] == slots.n_busy; no task is queued while a slot is
 * free, the pool is not paused, and nothing holds its handler back.
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
	bool leaving; /* takes no posts; freed when it is empty */
	struct slots slots;
	void *hosts; /* net's: the hosts of this pool (net/hosts.h); opaque here */
	struct queue queue;
	struct task_list room; /* owns: posts that wait until there is room, first come first */
	uint64_t n_room;
	uint64_t count[TASK_STATES]; /* tasks in each state; [TASK_NEW] means nothing */
	struct stats stats;
	struct {
		uint64_t count[TASK_STATES];
		struct counters counters;
	} saved; /* what the store holds of both; those of tasks that wait or run mean nothing */
	TAILQ_ENTRY(pool) link; /* in: board->pools */
};

TAILQ_HEAD(pool_list, pool);

/* -ENOMEM. workers: what the rule in the settings gives on this machine. */
int pool_new(struct board *board, const struct settings_pool *settings, uint32_t workers,
	struct pool **ret_pool) MUST_CHECK;
void pool_free(struct pool *pool);

/* Tasks that wait: what `capacity` bounds. */
uint64_t pool_waiting(const struct pool *pool);
/* Could one more task wait? */
bool pool_has_room(const struct pool *pool);
/* A task of this handler that came now would be started at once: for a pool that is full. */
bool pool_can_start(const struct pool *pool, const struct handler *handler, uint64_t now_us);
/* Gives the next task that may start a worker, -EAGAIN: none may. -ENOMEM: its time limit could not be set, nothing changed. */
int pool_start_next(struct pool *pool, uint64_t now_us) MUST_CHECK;
/* Starts all that may start. 0, or -ENOMEM as above. */
int pool_serve(struct pool *pool, uint64_t now_us) MUST_CHECK;
/* Takes a worker, and what its handler claims, from a task that has them; the task is still active. */
void pool_release(struct pool *pool, struct task *task);
/* The start was not written down: back to its place in the queue, as if it had not been. */
void pool_take_back(struct pool *pool, struct task *task);
/* workers: 1 … SETTINGS_WORKERS_MAX. Growing starts waiting tasks with this turn; shrinking lets running tasks finish. -ENOMEM. */
int pool_resize(struct pool *pool, uint32_t workers) MUST_CHECK;
/* Workers that could take a task now: none while paused, or when the daemon only finishes what runs. */
uint32_t pool_ready(const struct pool *pool);
/* Queued, delayed or active tasks. */
uint64_t pool_unfinished(const struct pool *pool);
/* Each worker has a host to itself (isolation = task): whoever crashes there was alone. */
bool pool_is_isolated(const struct pool *pool);
/* Suspects wait that cannot run in any worker, or one runs: a host for one of them at a time is wanted, beside the pool's own. */
bool pool_wants_alone(const struct pool *pool);

#endif
