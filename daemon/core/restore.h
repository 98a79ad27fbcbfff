/*
 * restore: a board as a store held it. Called by store, once, between board_new() and the first turn:
 *
 *   restore_init()  ->  restore_task() for each task, by id  ->  restore_pool(), restore_handler()  ->  restore_finish()
 *
 * A task comes back as it was: queued at its place, delayed until its time, ended in the history, with its unique key. It is
 * not dirty, for the store holds it. One that was active when the daemon died is: restore_finish() returns it to its place
 * in the queue, with its attempts counted; or ends it as cancelled if somebody wanted that, or as lost if its handler says so
 * (on_crash). Nobody is told: there are no watches yet.
 */
#ifndef WORKPOOL_CORE_RESTORE_H
#define WORKPOOL_CORE_RESTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "core/stats.h"
#include "core/task.h"

struct board;

/* A task as it was written down. Times are monotonic as struct task's, those before now at most now; views are copied. */
struct restored {
	uint64_t id; /* not 0, above the one before */
	struct pool *pool;
	struct handler *handler;
	enum task_state state; /* not TASK_NEW */
	uint8_t priority, trials;
	bool suspect;
	bool cancelled; /* active, and somebody wants it ended */
	bool has_end;   /* reason and result say something */
	uint32_t attempt, failures, retries, crashes, owner_uid;
	uint64_t seq;
	uint64_t posted_us, queued_us, started_us, ended_us, due_us, expires_us;
	uint64_t posted_wall_us, timeout_us, delay_us;
	struct view name, unique, args, reason, result;
};

/* What came back, for the log. */
struct restore_counts {
	uint64_t waiting;   /* queued or delayed, those that run again counted */
	uint64_t again;     /* were active */
	uint64_t lost;      /* were active, and may not run twice */
	uint64_t cancelled; /* were active, and somebody had cancelled them */
	uint64_t ended;     /* in the history */
};

struct restore {
	struct board *board; /* borrows: outlives the restoring */
	uint64_t now_us;
	struct restore_list {
		struct task **all; /* owns the array */
		size_t len, cap;
	} queued, ended, active;
	struct restore_counts counts;
};

void restore_init(struct restore *restore, struct board *board, uint64_t now_us);
void restore_done(struct restore *restore);
/* 0; -EBADMSG: it contradicts itself or another one, and is not on the board; -ENOMEM. */
int restore_task(struct restore *restore, const struct restored *row) MUST_CHECK;
/* What the caller has put into `saved` and `saved_count`, how many tasks have ended so far, and the counters, is the pool's and the
 * handler's. */
void restore_pool(struct pool *pool);
void restore_handler(struct handler *handler);
/* last_id: ids up to there were given away. -ENOMEM. */
int restore_finish(struct restore *restore, uint64_t last_id) MUST_CHECK;

#endif
