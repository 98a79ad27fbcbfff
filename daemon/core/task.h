/*
 * task: one piece of work and its life. Law (a): only task_step() writes `state`, from the table state x event in task.c,
 * and it alone puts the task on board->dirty; but for task_restore(), with which a task begins that the store held. Knows nothing of workers, queues and time limits: pool, sched and board do.
 */
#ifndef WORKPOOL_CORE_TASK_H
#define WORKPOOL_CORE_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/tailq.h"
#include "core/deadline.h"
#include "core/watch.h"

struct handler;
struct pool;
struct slot;

enum task_state {
	TASK_NEW, /* not posted yet: it waits for room, or its post was taken back */
	TASK_QUEUED,
	TASK_DELAYED,
	TASK_ACTIVE,
	TASK_DONE,
	TASK_FAILED,
	TASK_CANCELLED,
	TASK_EXPIRED,
	TASK_LOST,
	TASK_STATES
};

enum task_event {
	EV_POST,       /* into the queue */
	EV_POST_LATER, /* with a delay */
	EV_DUE,        /* the delay is over */
	EV_START,      /* a worker has it */
	EV_OK,
	EV_FAIL,         /* failed, crashed or over its time limit: task_end.reason tells which */
	EV_RETURN,       /* back to the queue: a retry, or the worker was taken away */
	EV_RETURN_LATER, /* the same after a pause */
	EV_ASK, /* somebody wants it ended, and its worker is asked to: active until it has */
	EV_CANCEL,
	EV_EXPIRE,
	EV_LOSE,
	EV_RETRY,   /* it had ended, and somebody wants it run again */
	EV_UNSTART, /* board_undo(): the start was not written down */
	EV_UNPOST,  /* board_undo(): the post was not written down */
	EV_UNRETRY, /* board_undo(): the retry was not written down: ended as before */
	TASK_EVENTS
};

#define TASK_PRIORITIES  10 /* 0 is first */
#define TASK_REASON_SIZE 16

/* How a task ended, or its last attempt; made once, at that end. */
struct task_end {
	uint64_t started_us, ended_us; /* the task's at that time, for a retry that is taken back */
	char reason[TASK_REASON_SIZE]; /* a word, "" when it is done */
	size_t result_len;
	char result[]; /* JSON text: the result, or {"error":…,"result":…}; may be empty */
};

/* There may be a million of them: what only a running one has is in its slot (core/slot.h). */
struct task {
	uint64_t id;             /* 0: it waits for room */
	struct pool *pool;       /* borrows: pools live as long as the board */
	struct handler *handler; /* borrows: the same */
	uint8_t state;           /* enum task_state; written by task_step() only */
	uint8_t saved;           /* enum task_state: what the store holds */
	uint8_t priority;        /* 0 is first … TASK_PRIORITIES - 1 */
	uint8_t trials;          /* failures that a breaker answered for */
	uint16_t news;    /* bits 1 << enum task_event since the last commit, for board->changed */
	bool dirty : 1;   /* on board->dirty */
	bool unsent : 1;  /* started, but not handed over yet */
	bool overdue : 1; /* the time limit has passed while it was active */
	bool cancelled : 1; /* somebody wants it ended: written down, so that it does not run again */
	bool stopped : 1;   /* it was asked to end because the daemon stops */
	bool asked : 1;     /* its worker was told to end it, or will be with this turn */
	bool stuck : 1;     /* it did not end though it was asked: its host goes */
	bool on_starts : 1; /* on board->starts */
	bool on_asks : 1;   /* on board->asks */
	bool on_stuck : 1;  /* on board->stuck */
	bool suspect : 1;   /* was in a host when it died: runs alone */
	bool followed : 1; /* its host is to tell its output: api's wish, which stays for all attempts */
	bool in_room : 1;   /* on pool->room */
	bool from_file : 1; /* as a store held it: its texts may be anything */
	uint32_t attempt;   /* starts so far */
	uint32_t failures;  /* attempts that failed and count … */
	uint32_t retries;   /* … of which so many are forgiven */
	uint32_t crashes;   /* that it is known to be guilty of */
	uint32_t owner_uid;
	int refusal;       /* -errno, while on board->refused */
	struct slot *slot; /* borrows: while active, and NULL else */
	uint64_t seq;      /* its place among those of its priority */
	uint64_t posted_us, queued_us, started_us, ended_us; /* monotonic; 0: not yet */
	uint64_t posted_wall_us;                             /* display only */
	uint64_t timeout_us;                                 /* 0: none */
	uint64_t delay_us;                                   /* of the post; 0: none */
	uint64_t due_us;       /* while delayed: when that is over; in the room: when it gives up */
	uint64_t expires_us;   /* not started by then: it expires; 0: never */
	struct deadline timer; /* what it means depends on the state: core/timer.c */
	TAILQ_ENTRY(task) in_dirty; /* in: board->dirty */
	TAILQ_ENTRY(task)
	in_place; /* in: one of: a lane, queue->suspects, pool->room; board->starts, ->asks or ->stuck, ->ended, ->refused, ->dead */
	struct watch_list watches;
	struct task_end *end; /* owns; NULL before the first attempt's end */
	uint16_t name_len, unique_len;
	uint32_t args_len;
	char text[]; /* name, NUL, unique key, NUL, args (JSON text), NUL */
};

TAILQ_HEAD(task_list, task);

/* Not on any list, TASK_NEW, id 0. NULL: no memory, or too long. */
struct task *task_new(struct view name, struct view unique, struct view args) MUST_CHECK;
void task_free(struct task *task);

/* 0; -EPROTO: this event cannot happen in this state (nothing changed). Counts the change in pool->count. */
int task_step(struct task *task, enum task_event event) MUST_CHECK;

/* A new task takes the state that the store holds of it: the beginning of its life on this board, and no change. */
void task_restore(struct task *task, enum task_state state);
/* For settle.c: it was settled as what the store does not have after all: that is `saved`, and it is dirty as it was before. */
void task_unsettle(struct task *task, enum task_state saved);

bool task_is_ended(const struct task *task);
/* What may be told: an end that a store could not write down yet is none, for after a restart there would be another. */
enum task_state task_told_state(const struct task *task);
const char *task_name(const struct task *task);   /* "" when it has none */
const char *task_unique(const struct task *task); /* the same */
struct view task_args(const struct task *task);
/* Of the end, or of the last attempt while it waits for the next one. */
struct view task_result(const struct task *task);
const char *task_reason(const struct task *task); /* "" unless it failed, was cancelled or lost */
const char *task_state_name(enum task_state state);
/* TASK_STATES: no such state. */
enum task_state task_state_by_name(const char *name);

#endif
