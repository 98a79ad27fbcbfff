/*
 * queue: see queue.h. Invariants: a lane is in `ready` exactly while it has tasks and no holder, with the key of its first
 * task; within a list `seq` grows. `ready` has room for every lane, so that nothing here but opening a lane can fail.
 */
#include "core/queue.h"

#include <assert.h>
#include <errno.h>

#include "core/handler.h"
#include "core/resource.h"

int queue_init(struct queue *queue, size_t n_handlers)
{
	*queue = (struct queue){.n_lanes = n_handlers};
	TAILQ_INIT(&queue->suspects);
	heap_init(&queue->ready);
	queue->lanes = calloc(n_handlers, sizeof *queue->lanes);
	return queue->lanes != NULL ? heap_reserve(&queue->ready, n_handlers) : -ENOMEM;
}

void queue_done(struct queue *queue)
{
	heap_done(&queue->ready);
	for (size_t i = 0; queue->lanes != NULL && i < queue->n_lanes; i++)
		free(queue->lanes[i]);
	free(queue->lanes);
	queue->lanes = NULL;
}

int queue_open_lane(struct queue *queue, size_t handler)
{
	struct lane *lane;

	assert(handler < queue->n_lanes);
	if (queue->lanes[handler] != NULL)
		return 0;
	lane = calloc(1, sizeof *lane);
	if (lane == NULL)
		return -ENOMEM;
	lane->queue = queue;
	for (unsigned i = 0; i < TASK_PRIORITIES; i++)
		TAILQ_INIT(&lane->tasks[i]);
	queue->lanes[handler] = lane;
	return 0;
}

static struct lane *lane_of(const struct queue *queue, const struct task *task)
{
	return queue->lanes[task->handler->index];
}

static struct task *lane_first(const struct lane *lane)
{
	return lane->used != 0 ? TAILQ_FIRST(&lane->tasks[__builtin_ctz(lane->used)]) : NULL;
}

/* Puts the lane where its first task belongs now. */
static void lane_place(struct lane *lane)
{
	const struct task *first = lane_first(lane);
	int r;

	if (first == NULL && lane->holder != NULL) {
		TAILQ_REMOVE(&lane->holder->waiting, lane, in_waiting);
		lane->holder = NULL;
	}
	if (first != NULL && heap_is_member(&lane->node) && lane->node.key == first->priority &&
		lane->node.seq == first->seq)
		return;
	heap_remove(&lane->queue->ready, &lane->node);
	if (first == NULL || lane->holder != NULL)
		return;
	r = heap_insert(&lane->queue->ready, &lane->node, first->priority, first->seq);
	assert(r == 0); /* there is room for every lane */
	(void)r;        /* with NDEBUG */
}

static void lane_grew(struct lane *lane, const struct task *task)
{
	lane->used |= 1u << task->priority;
	lane->len++;
	lane_place(lane);
}

void queue_push(struct queue *queue, struct task *task)
{
	struct lane *lane = lane_of(queue, task);

	assert(!task->suspect); /* those only come back */
	task->seq = ++queue->last_seq;
	TAILQ_INSERT_TAIL(&lane->tasks[task->priority], task, in_place);
	lane_grew(lane, task);
}

/* By seq; those that are ahead of it came back, too: there are never more of them than workers. */
static void insert_by_seq(struct task_list *list, struct task *task)
{
	struct task *next;

	TAILQ_FOREACH (next, list, in_place)
		if (next->seq > task->seq)
			break;
	if (next != NULL)
		TAILQ_INSERT_BEFORE(next, task, in_place);
	else
		TAILQ_INSERT_TAIL(list, task, in_place);
}

void queue_push_back(struct queue *queue, struct task *task)
{
	struct lane *lane = lane_of(queue, task);

	if (task->suspect) {
		insert_by_seq(&queue->suspects, task);
		return;
	}
	insert_by_seq(&lane->tasks[task->priority], task);
	lane_grew(lane, task);
}

void queue_restore(struct queue *queue, struct task *task)
{
	struct lane *lane = lane_of(queue, task);

	if (task->seq <=
		queue->last_seq) /* two of one place: the file was written by somebody else */
		task->seq = queue->last_seq + 1;
	queue->last_seq = task->seq;
	if (task->suspect) {
		TAILQ_INSERT_TAIL(&queue->suspects, task, in_place);
		return;
	}
	TAILQ_INSERT_TAIL(&lane->tasks[task->priority], task, in_place);
	lane_grew(lane, task);
}

void queue_remove(struct queue *queue, struct task *task)
{
	struct lane *lane = lane_of(queue, task);

	if (task->suspect) {
		TAILQ_REMOVE(&queue->suspects, task, in_place);
		return;
	}
	TAILQ_REMOVE(&lane->tasks[task->priority], task, in_place);
	lane->len--;
	if (TAILQ_EMPTY(&lane->tasks[task->priority]))
		lane->used &= ~(1u << task->priority);
	lane_place(lane);
}

bool queue_has_tasks_of(const struct queue *queue, size_t handler)
{
	return queue->lanes[handler] != NULL && queue->lanes[handler]->len > 0;
}

struct task *queue_first(const struct queue *queue)
{
	const struct heap_node *node = heap_min(&queue->ready);

	return node != NULL ? lane_first(container_of(node, struct lane, node)) : NULL;
}

struct lane *queue_hold(struct queue *queue, const struct task *task, struct resource *holder)
{
	struct lane *lane = lane_of(queue, task);

	lane->holder = holder;
	heap_remove(&queue->ready, &lane->node);
	return lane;
}

void lane_release(struct lane *lane)
{
	lane->holder = NULL;
	lane_place(lane);
}
