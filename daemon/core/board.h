/*
 * board: all pools and all tasks; what changed in this turn; what the turn's commit makes true or takes back.
 * The one root of core. Called by net (turn, hostlink) and api; calls nobody above: see watch.h.
 *
 *   post, finish, stop …  ->  dirty  -> commit ok:  board_settle(): saved = state, watches fire, starts wait for hostlink
 *                                    -> it failed:  board_undo(): this turn's posts and starts are taken back
 *
 * Times are arguments: now_us is CLOCK_MONOTONIC and never goes back.
 */
#ifndef WORKPOOL_CORE_BOARD_H
#define WORKPOOL_CORE_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/idmap.h"
#include "config/settings.h"
#include "core/deadline.h"
#include "core/handler.h"
#include "core/pool.h"
#include "core/task.h"
#include "core/watch.h"

enum stop_state { STOP_RUNNING, STOP_DRAINING, STOP_FINISHING, STOP_ENDING };

struct board {
	const struct settings *settings; /* borrows: outlive the board */
	TAILQ_HEAD(, pool) pools;        /* owns */
	struct handler *handlers;        /* owns: one for each settings->handlers */
	struct idmap by_id;              /* borrows: what is in `tasks` */
	struct task_list tasks;          /* owns: every task that is known, by id */
	struct task_list dirty;  /* changed since the last commit, in order of the last change */
	struct task_list starts; /* settled as active, not handed over yet: board_take_start() */
	struct task_list asks;   /* active, to be ended by their worker: board_take_ask() */
	struct task_list ended;  /* kept to be shown, oldest end first */
	struct task_list dead;   /* freed by board_sweep() */
	struct deadlines deadlines;
	struct deadline retention; /* set while `ended` holds something that grows old */
	struct watch_list settled; /* fired at the end of every board_settle() and board_undo() */
	uint64_t n_ended;
	uint64_t last_id;
	uint64_t n_steps; /* changes of a task's state so far */
	enum stop_state stop;
	bool is_telling; /* watches fire: nothing may change */
};

/* What a post asks for; views and strings are copied. */
struct post {
	struct pool *pool;
	struct handler *handler;
	struct view name;
	struct view args;
	uint64_t timeout_us; /* 0: none */
	uint32_t owner_uid;
	uint64_t wall_us;
};

/* What a host said of a task. reason and result are copied. */
struct result {
	uint8_t outcome; /* enum result_outcome */
	struct view reason;
	struct view result;
};

/* The same numbers as in the hand-off: hostmsg.h. */
enum result_outcome { RESULT_OK, RESULT_FAILED, RESULT_CANCELLED, RESULT_CRASHED, RESULT_OUTCOMES };

/* One pool and one handler for each in the settings. cores: what "N/core" is multiplied with. -ENOMEM. */
int board_new(const struct settings *settings, uint32_t cores, struct board **ret_board) MUST_CHECK;
void board_free(struct board *board);

struct pool *board_find_pool(const struct board *board, const char *name);
struct handler *board_find_handler(const struct board *board, const char *name);
struct task *board_find_task(const struct board *board, uint64_t id);

/* 0: *ret_task is queued and dirty. -EAGAIN: at capacity; -ESHUTDOWN: no more posts; -ENOMEM. */
int board_post(struct board *board, const struct post *post, uint64_t now_us,
	struct task **ret_task) MUST_CHECK;
/* A host is through with a task. -ENOENT: nobody has this attempt any more, it was dropped (and counted as stale if the task is known); -EPROTO: not in a
 * worker; -ENOMEM: the result could not be kept, it is gone, and what was done is failed. */
int board_finish(struct board *board, uint64_t id, uint32_t attempt, const struct result *result,
	uint64_t now_us) MUST_CHECK;
/* `host` is gone: its tasks end as failed, reason "crashed". Returns how many. */
uint32_t board_host_gone(struct board *board, struct pool *pool, void *host, uint64_t now_us);

/* No more posts from now on. DRAINING: all tasks of pools that are not paused run first; FINISHING: queued tasks end as
 * cancelled, running ones finish; ENDING: running ones are asked to end too. Only ever goes forward. */
void board_stop(struct board *board, enum stop_state stop, uint64_t now_us);
/* Stopping, and nothing is left that would be waited for. */
bool board_is_stopped(const struct board *board);

/* The next task to hand over to its slot's host, the next one to ask to end; NULL: no more. For step 6 of the turn. */
struct task *board_take_start(struct board *board);
struct task *board_take_ask(struct board *board);

/* The commit of what is on `dirty` succeeded. */
void board_settle(struct board *board, uint64_t now_us);
/* It failed with this -errno. */
void board_undo(struct board *board, int error);
/* Tasks that left the history in this turn. */
void board_sweep(struct board *board);

#endif
