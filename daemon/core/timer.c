/*
 * timer: see timer.h.
 */
#include "core/timer.h"

#include <errno.h>

#include "base/clock.h"
#include "core/board.h"

#define NEVER UINT64_MAX
/* A worker that was asked gets kill_after for its program, and this for what comes after. */
#define STUCK_AFTER_US (2 * US_PER_SEC)

static uint64_t at_new(const struct task *task)
{
	return task->due_us;
}

/* What has been started does not expire any more, also when it waits for another attempt. */
static uint64_t at_queued(const struct task *task)
{
	return task->expires_us != 0 && task->attempt == 0 ? task->expires_us : NEVER;
}

static uint64_t at_delayed(const struct task *task)
{
	return at_queued(task) < task->due_us ? at_queued(task) : task->due_us;
}

static uint64_t at_active(const struct task *task)
{
	if (task->asked)
		return task->slot->asked_us + task->handler->settings->kill_after_us +
		       STUCK_AFTER_US;
	return task->timeout_us > 0 ? task->started_us + task->timeout_us : NEVER;
}

static void on_new(struct task *task, uint64_t now_us)
{
	(void)now_us;
	board_refuse(task->pool->board, task, -EAGAIN);
}

static void on_delayed(struct task *task, uint64_t now_us)
{
	if (at_queued(task) <= now_us)
		board_expire(task->pool->board, task, now_us);
	else
		board_due(task->pool->board, task, now_us);
}

static void on_queued(struct task *task, uint64_t now_us)
{
	board_expire(task->pool->board, task, now_us);
}

static void on_active(struct task *task, uint64_t now_us)
{
	if (task->asked) {
		board_stuck(task->pool->board, task, now_us);
		return;
	}
	task->overdue = true;
	board_ask(task->pool->board, task, now_us);
}

/* By state; the others have no timer. */
static const struct {
	uint64_t (*at_us)(const struct task *task);
	void (*fire)(struct task *task, uint64_t now_us);
} meanings[TASK_STATES] = {
	[TASK_NEW] = {at_new, on_new}, /* in the room */
	[TASK_DELAYED] = {at_delayed, on_delayed},
	[TASK_QUEUED] = {at_queued, on_queued},
	[TASK_ACTIVE] = {at_active, on_active},
};

static void timer_on_fire(struct deadline *timer, uint64_t now_us)
{
	struct task *task = container_of(timer, struct task, timer);

	meanings[task->state].fire(task, now_us);
}

void timer_init(struct task *task)
{
	deadline_init(&task->timer, timer_on_fire);
}

void timer_arm(struct task *task)
{
	struct deadlines *all = &task->pool->board->deadlines;
	uint64_t at_us = meanings[task->state].at_us(task);

	if (at_us == NEVER)
		deadline_clear(all, &task->timer);
	else
		IGNORE(deadline_set(all, &task->timer, at_us)); /* timer.h */
}

void timer_clear(struct task *task)
{
	deadline_clear(&task->pool->board->deadlines, &task->timer);
}
