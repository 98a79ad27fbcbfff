/*
 * post: how a task comes in: board.h's board_post(), board_retry() and what waits for room. `capacity` is kept here: a pool never has more
 * tasks waiting than that, but for those that came back. Free workers count: when the queue is full those that may start
 * are started first, and a task that can start at once needs no room.
 */
#include <assert.h>
#include <errno.h>

#include "core/board.h"
#include "core/timer.h"
#include "core/unique.h"

static bool post_fits(
	struct pool *pool, const struct handler *handler, bool is_delayed, uint64_t now_us)
{
	if (pool_has_room(pool))
		return true;
	if (pool_serve(pool, now_us) == 0 && pool_has_room(pool))
		return true;
	return !is_delayed && pool_can_start(pool, handler, now_us);
}

/* The same for one that comes now: those that wait for room came first. */
static bool post_has_room(
	struct pool *pool, const struct handler *handler, bool is_delayed, uint64_t now_us)
{
	if (!TAILQ_EMPTY(&pool->room))
		(void)board_let_in(pool->board, pool, now_us);
	return TAILQ_EMPTY(&pool->room) && post_fits(pool, handler, is_delayed, now_us);
}

/* One came in for which there was no room, because it can start at once. Without memory for its time limit it waits. */
static void post_start(struct pool *pool, uint64_t now_us)
{
	if (pool_waiting(pool) > pool->capacity)
		IGNORE(pool_serve(pool, now_us));
}

/* Everything that can fail, before anything has changed. */
static int post_reserve(struct board *board, struct task *task)
{
	int r = queue_open_lane(&task->pool->queue, task->handler->index);

	if (r == 0 && (task->delay_us > 0 || task->expires_us > 0))
		r = deadlines_reserve(&board->deadlines);
	return r == 0 ? idtable_add(&board->tasks, board->last_id + 1, task) : r;
}

/* Into the queue, or behind its delay. */
static int post_admit(struct board *board, struct task *task, uint64_t now_us)
{
	uint64_t due_us = task->posted_us + task->delay_us;
	struct pool *pool = task->pool;
	int r = post_reserve(board, task);

	if (r < 0)
		return r;
	task->id = ++board->last_id;
	pool->stats.counters.posted++;
	task->due_us = due_us;
	task->queued_us = now_us;
	r = task_step(task, due_us > now_us ? EV_POST_LATER : EV_POST);
	assert(r == 0); /* it was new */
	if (task->state == TASK_QUEUED)
		queue_push(&pool->queue, task);
	timer_arm(task);
	post_start(pool, now_us);
	return 0;
}

static struct task *post_make(const struct post *post, uint64_t now_us)
{
	struct task *task = task_new(post->name, post->unique, post->args);

	if (task == NULL)
		return NULL;
	task->pool = post->pool;
	task->handler = post->handler;
	task->owner_uid = post->owner_uid;
	task->priority = post->priority;
	task->retries = post->retries;
	task->timeout_us = post->timeout_us;
	task->delay_us = post->delay_us;
	task->expires_us = post->expiry_us > 0 ? now_us + post->expiry_us : 0;
	task->posted_us = now_us;
	task->posted_wall_us = post->wall_us;
	timer_init(task);
	return task;
}

/* To the end of those that wait for room. */
static int post_enter_room(
	struct board *board, struct task *task, uint64_t room_us, uint64_t now_us)
{
	int r = deadlines_reserve(&board->deadlines);

	if (r < 0)
		return r;
	task->in_room = true;
	task->due_us = now_us + room_us;
	if (task->expires_us != 0 && task->expires_us < task->due_us)
		task->due_us = task->expires_us; /* later it would come in only to expire */
	TAILQ_INSERT_TAIL(&task->pool->room, task, in_place);
	task->pool->n_room++;
	timer_arm(task);
	return 0;
}

static int post_take(struct board *board, const struct post *post, bool has_room, uint64_t now_us,
	struct task **ret_task)
{
	struct task *task = post_make(post, now_us);
	int r;

	if (task == NULL)
		return -ENOMEM;
	r = unique_take(board, task);
	if (r == 0)
		r = has_room ? post_admit(board, task, now_us)
			     : post_enter_room(board, task, post->room_us, now_us);
	if (r < 0) {
		unique_drop(board, task);
		task_free(task);
		return r;
	}
	*ret_task = task;
	return 0;
}

/* Its key is taken. A post that will not wait for room joins none that does: nobody would say how long that is. */
static int post_find_taken(const struct post *post, struct task *other, struct task **ret_task)
{
	struct counters *counters = &post->pool->stats.counters;
	bool joins = post->handler->settings->unique == UNIQUE_JOIN;
	bool has_to_wait = joins && other->in_room && post->room_us == 0;

	if (joins && !has_to_wait)
		counters->joined++;
	else
		counters->refused++;
	if (has_to_wait)
		return -EAGAIN;
	*ret_task = other;
	return -EEXIST;
}

int board_post(
	struct board *board, const struct post *post, uint64_t now_us, struct task **ret_task)
{
	struct pool *pool = post->pool;
	struct counters *counters = &pool->stats.counters;
	struct task *other;
	bool has_room;

	if (board->stop != STOP_RUNNING || pool->leaving) {
		counters->refused++;
		return -ESHUTDOWN;
	}
	other = post->unique.len > 0
			? unique_find(board, post->handler, post->owner_uid, post->unique)
			: NULL;
	if (other != NULL)
		return post_find_taken(post, other, ret_task);
	if (board->store_error < 0) {
		counters->refused++;
		return board->store_error;
	}
	has_room = post_has_room(pool, post->handler, post->delay_us > 0, now_us);
	if (!has_room &&
		post->room_us == 0) { /* before anything is allocated: refusing must cost little */
		counters->refused++;
		return -EAGAIN;
	}
	return post_take(board, post, has_room, now_us, ret_task);
}

int board_retry(struct board *board, struct task *task, uint64_t now_us)
{
	struct pool *pool = task->pool;
	int r;

	if (!task_is_ended(task) || task->state == TASK_DONE)
		return -EPROTO;
	if (task->dirty)
		return -EBUSY;
	if (board->stop != STOP_RUNNING || pool->leaving)
		return -ESHUTDOWN;
	if (board->store_error < 0)
		return board->store_error;
	if (!post_has_room(pool, task->handler, false, now_us))
		return -EAGAIN;
	r = unique_take(board, task);
	if (r < 0)
		return r;
	TAILQ_REMOVE(&board->ended, task, in_place);
	board->n_ended--;
	if (task->id < board->oldest_id)
		board->oldest_id = task->id;
	task->failures = task->crashes = 0;
	task->trials = 0;
	task->started_us = task->ended_us = task->expires_us = 0;
	task->asked = task->overdue = task->stopped = task->cancelled = task->stuck =
		task->suspect = false;
	task->queued_us = now_us;
	r = task_step(task, EV_RETRY);
	assert(r == 0); /* it had ended */
	queue_push(&pool->queue, task);
	post_start(pool, now_us);
	return 0;
}

static void room_remove(struct task *task)
{
	TAILQ_REMOVE(&task->pool->room, task, in_place);
	task->pool->n_room--;
	task->in_room = false;
	timer_clear(task);
}

static void room_refuse(struct board *board, struct task *task, int error)
{
	unique_drop(board, task);
	task->pool->stats.counters.refused++;
	task->refusal = error;
	TAILQ_INSERT_TAIL(&board->refused, task, in_place);
}

uint32_t board_let_in(struct board *board, struct pool *pool, uint64_t now_us)
{
	uint32_t n = 0;
	struct task *task;

	while ((task = TAILQ_FIRST(&pool->room)) != NULL && board->store_error == 0) {
		if (!post_fits(pool, task->handler, task->delay_us > 0, now_us))
			break;
		room_remove(task);
		if (post_admit(board, task, now_us) == 0)
			n++;
		else
			room_refuse(board, task, -ENOMEM);
	}
	return n;
}

void board_leave_room(struct board *board, struct task *task)
{
	if (!task->in_room)
		return;
	room_remove(task);
	unique_drop(board, task);
	TAILQ_INSERT_TAIL(&board->dead, task, in_place);
}

void board_refuse(struct board *board, struct task *task, int error)
{
	room_remove(task);
	room_refuse(board, task, error);
}
