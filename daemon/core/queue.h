/*
 * queue: the tasks of a pool that wait for a worker. One lane a handler, because whether a task may start depends on its
 * handler alone: a lane whose handler is held back (core/resource.h) steps aside as a whole, and the others' starts cost
 * no more for what is in it. In a lane: by priority, then first in first out. Knows no bound: core/post.c keeps it.
 *
 *   lane "mail"    [0] -> task -> task      \
 *                  [5] -> task               >  ready: the lanes that may start one, by the key of their first task
 *   lane "report"  [5] -> task -> task …    /
 *   suspects       -> task -> task              those that were in a host when it died: each runs alone
 */
#ifndef WORKPOOL_CORE_QUEUE_H
#define WORKPOOL_CORE_QUEUE_H

#include "base/heap.h"
#include "core/task.h"

struct resource;

struct lane {
	struct task_list tasks[TASK_PRIORITIES]; /* linked by in_place, by seq */
	uint32_t used;                           /* bit p: tasks[p] is not empty */
	uint64_t len;
	struct queue *queue;          /* borrows: owns us */
	struct heap_node node;        /* in: queue->ready, unless empty or held back */
	struct resource *holder;      /* borrows: what holds it back; NULL: nothing */
	TAILQ_ENTRY(lane) in_waiting; /* in: holder->waiting */
};

struct queue {
	struct lane **lanes; /* owns; by the handler's index; NULL where none was opened yet */
	size_t n_lanes;
	struct heap ready;
	struct task_list suspects; /* linked by in_place, by seq */
	uint64_t last_seq;
};

/* n_handlers: indexes of handlers are below it. -ENOMEM. */
int queue_init(struct queue *queue, size_t n_handlers) MUST_CHECK;
void queue_done(struct queue *queue);
/* The lane of a handler, made if it is not there; tasks of it can be pushed from here on. -ENOMEM. */
int queue_open_lane(struct queue *queue, size_t handler) MUST_CHECK;
/* Behind all of its priority. */
void queue_push(struct queue *queue, struct task *task);
/* For a task that had its place before: ahead of all that came after it. Suspects go to their own list. */
void queue_push_back(struct queue *queue, struct task *task);
/* Behind all of its priority, with the place that it has already: for those that the store held, first place first. */
void queue_restore(struct queue *queue, struct task *task);
void queue_remove(struct queue *queue, struct task *task);
/* Tasks of this handler wait, suspects left aside; held back or not. */
bool queue_has_tasks_of(const struct queue *queue, size_t handler);
/* The one that is next, suspects left aside; NULL: none, or all are held back. */
struct task *queue_first(const struct queue *queue);
/* Takes the task's lane out of `ready` until lane_release(); it is the caller's to put on holder->waiting. */
struct lane *queue_hold(struct queue *queue, const struct task *task, struct resource *holder);
void lane_release(struct lane *lane);

#endif
