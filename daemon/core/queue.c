/*
 * queue: see queue.h.
 */
#include "core/queue.h"

void queue_init(struct queue *queue)
{
	TAILQ_INIT(&queue->tasks);
}

void queue_push(struct queue *queue, struct task *task)
{
	TAILQ_INSERT_TAIL(&queue->tasks, task, in_place);
}

void queue_push_front(struct queue *queue, struct task *task)
{
	TAILQ_INSERT_HEAD(&queue->tasks, task, in_place);
}

void queue_remove(struct queue *queue, struct task *task)
{
	TAILQ_REMOVE(&queue->tasks, task, in_place);
}

struct task *queue_first(const struct queue *queue)
{
	return TAILQ_FIRST(&queue->tasks);
}
