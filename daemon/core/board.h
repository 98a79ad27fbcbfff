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

#include "base/idtable.h"
#include "config/settings.h"
#include "core/deadline.h"
#include "core/handler.h"
#include "core/pool.h"
#include "core/resource.h"
#include "core/task.h"
#include "core/watch.h"

enum stop_state { STOP_RUNNING, STOP_DRAINING, STOP_FINISHING, STOP_ENDING };

/* What happened besides tasks' changes of state; for whoever streams events. */
enum notice_kind {
	NOTICE_PROGRESS,       /* task */
	NOTICE_RESIZED,        /* pool; number: its workers */
	NOTICE_PAUSED,         /* pool */
	NOTICE_RESUMED,        /* pool */
	NOTICE_HOST_STARTED,   /* pool; number: the process */
	NOTICE_HOST_GONE,      /* pool; number: the process */
	NOTICE_BREAKER_OPEN,   /* resource */
	NOTICE_BREAKER_CLOSED, /* resource */
	NOTICE_STORE_FAILED,   /* nothing: board_break() */
	NOTICE_KINDS
};

struct notice {
	enum notice_kind kind;
	const struct pool *pool; /* borrows, as the others; NULL: not of a pool */
	const struct task *task;
	const struct resource *resource;
	uint64_t number;
};

#define BOARD_NOTICES_MAX 256 /* of one turn that are kept; the rest is counted */

/* What board_settle() settled though the disk did not have it: who, and as what the disk has it. */
struct unsafe {
	struct unsafe_task {
		uint64_t id;
		uint8_t saved;
	} * tasks; /* owns */
	size_t n, room;
	size_t n_coming;  /* of those that the flush has that is under way */
	bool is_deferred; /* the next board_settle() is one of these */
	uint64_t id,
		coming_id; /* tasks up to there were posted for good, and will have been with that flush */
};

struct board {
	const struct settings *settings; /* borrows: outlive the board */
	struct pool_list pools;          /* owns */
	struct handler *handlers;        /* owns: one for each settings->handlers */
	struct resource *resources;      /* owns: one for each settings->resources */
	struct resource total;           /* the daemon's max_active */
	struct idtable tasks;     /* owns: every task that is known; BOARD_FOREACH walks it */
	struct task_list dirty;   /* changed since the last commit, in order of the last change */
	struct task_list starts;  /* settled as active, not handed over yet: board_take_start() */
	struct task_list asks;    /* active, to be ended by their worker: board_take_ask() */
	struct task_list stuck;   /* active, did not end when asked: board_take_stuck() */
	struct task_list ended;   /* kept to be shown, oldest end first */
	struct task_list refused; /* owns: waited for room in vain; told at the turn's end */
	struct task_list
		forgotten; /* owns: left the history; what is written of them goes with the next commit; used if `keeps` */
	struct task_list dead; /* freed by board_sweep() */
	void *uniques;         /* owns the tree, borrows the tasks: unique.c */
	struct deadlines deadlines;
	struct deadline retention; /* set while `ended` holds something that grows old */
	struct watch_list settled; /* fired at the end of every board_settle() and board_undo() */
	struct watch_list
		changed; /* fired for every task that board_settle() settles, while task->news tells what happened */
	struct notice notices
		[BOARD_NOTICES_MAX]; /* of this turn, kept only while `changed` has a watch */
	size_t n_notices, n_lost_notices;
	uint64_t n_scheds; /* sched_run()s so far */
	uint64_t n_ended;
	uint64_t last_id;
	struct unsafe unsafe; /* what was settled before its flush */
	uint64_t n_steps;     /* changes of a task's state so far */
	uint64_t oldest_id;   /* no task before it waits or runs; see board_oldest() */
	enum stop_state stop;
	int store_error; /* -errno that posts are refused with, because the store takes none; 0: it does */
	int broken; /* -errno: the store takes nothing until a restart, see board_break(); 0: it may */
	bool keeps; /* the store outlives the process: what waits at a stop stays for the next start */
	bool must_tell_broken; /* with the next board_undo() */
	bool is_telling;       /* watches fire: nothing may change */
};

/* What a post asks for; views and strings are copied. */
struct post {
	struct pool *pool;
	struct handler *handler;
	struct view name;
	struct view
		unique; /* "": none; else unique among the owner's tasks for this handler that have not ended */
	struct view args;
	uint8_t priority;    /* 0 … TASK_PRIORITIES - 1 */
	uint32_t retries;    /* attempts that may fail and are tried again */
	uint64_t delay_us;   /* 0: none */
	uint64_t expiry_us;  /* from now; 0: never */
	uint64_t timeout_us; /* 0: none */
	uint64_t room_us;    /* how long it may wait for room; 0: refused at once */
	uint32_t owner_uid;
	uint64_t wall_us;
};

/* What a host said of a task. reason and result are copied. */
struct result {
	uint8_t outcome; /* enum result_outcome */
	struct view reason;
	struct view result;
};

/* The same numbers as in the hand-off: hostmsg.h. CRASHED: the task's own program died; its host lives. */
enum result_outcome { RESULT_OK, RESULT_FAILED, RESULT_CANCELLED, RESULT_CRASHED, RESULT_OUTCOMES };

/* One pool, handler and resource for each in the settings. cores: what "N/core" is multiplied with. -ENOMEM. */
int board_new(const struct settings *settings, uint32_t cores, struct board **ret_board) MUST_CHECK;
void board_free(struct board *board);
/* Live keys of other settings (config/reload.h), which outlive the board from here on. -ENOMEM: nothing changed. */
int board_reload(struct board *board, const struct settings *settings, uint32_t cores) MUST_CHECK;

struct pool *board_find_pool(const struct board *board, const char *name);
struct handler *board_find_handler(const struct board *board, const char *name);
struct task *board_find_task(const struct board *board, uint64_t id);
/* The task with the next id above that, known or not, and with the one below. NULL: none. 0, UINT64_MAX: from an end. */
struct task *board_above(const struct board *board, uint64_t id);
struct task *board_below(const struct board *board, uint64_t id);
/* All tasks by id; the one that the loop is at may be forgotten, but not freed. */
#define BOARD_FOREACH(task, board)                                                                 \
	for ((task) = board_above((board), 0); (task) != NULL;                                     \
		(task) = board_above((board), (task)->id))
/* The task with the lowest id that has not ended; NULL: none. */
const struct task *board_oldest(struct board *board);
/* Nothing is to be written down. */
bool board_is_clean(const struct board *board);

/*
 * 0: *ret_task is queued or delayed, and dirty; or it waits for room (TASK_NEW, without an id), and its watch will tell: 0
 * when it is in, -EAGAIN, -ESHUTDOWN, or what the commit said. -EEXIST: *ret_task has the unique key already. -EAGAIN: at
 * capacity; -ESHUTDOWN: no more posts; board->store_error; -ENOMEM.
 */
int board_post(struct board *board, const struct post *post, uint64_t now_us,
	struct task **ret_task) MUST_CHECK;
/* Posts that wait for room come in as far as there is some, first come first. Returns how many. */
uint32_t board_let_in(struct board *board, struct pool *pool, uint64_t now_us);
/* Nobody waits any more for a post that waited for room; fine when it is in, or was refused in this turn. */
void board_leave_room(struct board *board, struct task *task);
/* For timer.c: a post that waits for room gives up with this -errno. */
void board_refuse(struct board *board, struct task *task, int error);

/* A host is through with a task. -ENOENT: nobody has this attempt any more, it was dropped (and counted as stale if the task is known); -EPROTO: not in a
 * worker; -ENOMEM: the result could not be kept, it is gone, and what was done is failed. */
int board_finish(struct board *board, uint64_t id, uint32_t attempt, const struct result *result,
	uint64_t now_us) MUST_CHECK;
/*
 * `host` is gone with the tasks in it. One alone is to blame; of several each is a suspect and runs alone next. by_us: we
 * ended it because of a task that was stuck, the others are innocent. Returns how many there were.
 */
uint32_t board_host_gone(
	struct board *board, struct pool *pool, void *host, bool by_us, uint64_t now_us);
/* Somebody wants it ended: at once if it waits, by its worker, who is asked when that is written down, if it is active. 0; -EALREADY:
 * asked before; -EPROTO: it has ended. */
int board_cancel(struct board *board, struct task *task, uint64_t now_us) MUST_CHECK;
/* Into the queue again, with all its attempts. 0; -EPROTO: it has not ended, or is done; -EBUSY: its end is not written down
 * yet; -EEXIST: another task has its unique key; all else as board_post(). */
int board_retry(struct board *board, struct task *task, uint64_t now_us) MUST_CHECK;
/* What its handler told of its progress. -ENOENT: nobody has this attempt; -ENOMEM. */
int board_progress(struct board *board, uint64_t id, uint32_t attempt, uint32_t permille,
	struct view note) MUST_CHECK;

/* For timer.c. */
void board_due(struct board *board, struct task *task, uint64_t now_us);
void board_expire(struct board *board, struct task *task, uint64_t now_us);
void board_ask(struct board *board, struct task *task, uint64_t now_us);
void board_stuck(struct board *board, struct task *task, uint64_t now_us);

/* No more posts from now on. DRAINING: all tasks of pools that are not paused run first; FINISHING: queued tasks end as
 * cancelled (or stay, if the store keeps them) and none is started, running ones finish; ENDING: running ones are asked to end too. Only ever goes forward. */
void board_stop(struct board *board, enum stop_state stop, uint64_t now_us);
/* Stopping, and nothing is left that would be waited for. */
bool board_is_stopped(const struct board *board);

/* The next task to hand over to its slot's host, the next one to ask to end; NULL: no more. For step 6 of the turn. */
struct task *board_take_start(struct board *board);
struct task *board_take_ask(struct board *board);
/* A task that did not end though it was asked: its host is to go. NULL: no more. */
struct task *board_take_stuck(struct board *board);

/* Keeps it until the turn's end, if anybody listens. */
void board_notice(struct board *board, const struct notice *notice);

/* The commit of what is on `dirty` succeeded, and waits for its flush: starts of tasks that may run twice need not. */
void board_settle_starts(struct board *board);
/* Whether the next board_settle() may come before its flush, if answers wait for that: nothing else leaves with it, and there is memory
 * to note what it settles. */
bool board_defer(struct board *board);
/* A flush begins, of all that was settled so far. It has ended: all that is for good. */
void board_flush_begins(struct board *board);
void board_flush_ended(struct board *board);
/* The task (0: none) was posted for good, whatever comes of the flush that is under way. */
bool board_is_safe(const struct board *board, uint64_t id);
/* It is true now. */
void board_settle(struct board *board, uint64_t now_us);
/* It failed with this -errno; board_settle_starts() has what it had settled. */
void board_undo(struct board *board, int error);
/*
 * No commit will ever succeed on this board, says the store with this -errno: every turn ends with board_undo() from here on. No
 * task starts, no end is ever true, and the next board_undo() tells all who wait for one; what was settled without its flush is taken back
 * by it, too. Stopping waits for running tasks only.
 */
void board_break(struct board *board, int error);
/* Tasks that left the history in this turn. */
void board_sweep(struct board *board);

#endif
