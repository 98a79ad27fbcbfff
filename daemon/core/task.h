/*
 * task: one piece of work and its life. Law (a): only task_step() writes `state`, from the table state x event in task.c,
 * and it alone puts the task on board->dirty. Knows nothing of workers, queues and time limits: pool, sched and board do.
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
	TASK_NEW, /* not posted yet, or its post was taken back */
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
	EV_FAIL,   /* failed, crashed or over its time limit: task_end.reason tells which */
	EV_RETURN, /* back to the queue: a retry, or the worker was taken away */
	EV_CANCEL,
	EV_EXPIRE,
	EV_LOSE,
	EV_UNSTART, /* board_undo(): the start was not written down */
	EV_UNPOST,  /* board_undo(): the post was not written down */
	TASK_EVENTS
};

#define TASK_REASON_SIZE 16

/* How a task ended; made once, at its end. */
struct task_end {
	char reason[TASK_REASON_SIZE]; /* a word, "" when it is done */
	size_t result_len;
	char result[]; /* JSON text: the result, or {"error":…,"result":…}; may be empty */
};

struct task {
	uint64_t id;
	struct pool *pool;       /* borrows: pools live as long as the board */
	struct handler *handler; /* borrows: the same */
	uint8_t state;           /* enum task_state; written by task_step() only */
	uint8_t saved;           /* enum task_state: what the store holds */
	bool dirty;              /* on board->dirty */
	bool overdue;            /* the time limit has passed while it was active */
	bool unsent;             /* started, but not handed over yet */
	bool asked;              /* its worker was told to end it, or will be with this turn */
	bool on_asks;            /* on board->asks */
	bool stopped;            /* it was asked to end because the daemon stops */
	uint32_t attempt;        /* starts so far */
	uint32_t owner_uid;
	struct slot *slot;                        /* borrows: while active */
	uint64_t posted_us, started_us, ended_us; /* monotonic; 0: not yet */
	uint64_t posted_wall_us;                  /* display only */
	uint64_t timeout_us;                      /* 0: none */
	struct deadline limit;                    /* set while active and timeout_us > 0 */
	TAILQ_ENTRY(task) in_all;                 /* in: board->tasks, by id */
	TAILQ_ENTRY(task) in_dirty;               /* in: board->dirty */
	TAILQ_ENTRY(task)
	in_place; /* in: pool->queue while queued, board->starts or ->asks, board->ended, board->dead */
	struct watch_list watches;
	struct task_end *end; /* owns; NULL before the end */
	uint32_t name_len, args_len;
	char text[]; /* name, NUL, args (JSON text), NUL */
};

TAILQ_HEAD(task_list, task);

/* Not on any list, TASK_NEW. NULL: no memory. */
struct task *task_new(uint64_t id, struct view name, struct view args) MUST_CHECK;
void task_free(struct task *task);

/* 0; -EPROTO: this event cannot happen in this state (nothing changed). Counts the change in pool->count. */
int task_step(struct task *task, enum task_event event) MUST_CHECK;

bool task_is_ended(const struct task *task);
const char *task_name(const struct task *task); /* "" when it has none */
struct view task_args(const struct task *task);
struct view task_result(const struct task *task);
const char *task_reason(const struct task *task); /* "" unless it failed, was cancelled or lost */
const char *task_state_name(enum task_state state);
/* TASK_STATES: no such state. */
enum task_state task_state_by_name(const char *name);

#endif
