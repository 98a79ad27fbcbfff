/*
 * queue: the tasks of a pool that wait for a worker, first in first out. Knows no bound: pool_admit() keeps it.
 */
#ifndef WORKPOOL_CORE_QUEUE_H
#define WORKPOOL_CORE_QUEUE_H

#include "core/task.h"

struct queue {
	struct task_list tasks; /* linked by in_place */
};

void queue_init(struct queue *queue);
void queue_push(struct queue *queue, struct task *task);
/* For tasks that come back: they were first once. */
void queue_push_front(struct queue *queue, struct task *task);
void queue_remove(struct queue *queue, struct task *task);
struct task *queue_first(const struct queue *queue); /* NULL: empty */

#endif
