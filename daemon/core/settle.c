/*
 * settle: the end of a turn for the board. What the commit wrote down becomes true here, or is taken back; nothing that a
 * peer can see happens before (law b).
 */
#include <assert.h>
#include <string.h>

#include "core/board.h"
#include "core/handler.h"
#include "core/timer.h"
#include "core/unique.h"

static void board_tell(struct board *board, struct watch_list *list, struct task *task, int error)
{
	board->is_telling = true;
	watch_list_fire(list, task, error);
	board->is_telling = false;
}

/* Out of the history; freed by board_sweep(), so that a pointer lives until the end of the turn; what is written of it has to go
 * before. */
static void board_forget(struct board *board, struct task *task)
{
	bool is_written = board->keeps && task->saved != TASK_NEW;

	unique_drop(board, task);
	(void)idtable_remove(&board->tasks, task->id);
	TAILQ_INSERT_TAIL(is_written ? &board->forgotten : &board->dead, task, in_place);
}

/* Keeps the history within its number and age. */
static void board_trim(struct board *board, uint64_t now_us)
{
	const struct settings_daemon *keep = &board->settings->daemon;
	struct task *task;

	while ((task = TAILQ_FIRST(&board->ended)) != NULL) {
		if (board->n_ended <= keep->history_max &&
			now_us - task->ended_us < keep->history_age_us)
			break;
		TAILQ_REMOVE(&board->ended, task, in_place);
		board->n_ended--;
		board_forget(board, task);
	}
	/* Armed for the oldest at that time and not moved with every end: it may wake up too early, once an age. */
	if (task != NULL && !deadline_is_set(&board->retention))
		IGNORE(deadline_set(&board->deadlines,
			&board->retention, /* without memory: the next end trims */
			task->ended_us + keep->history_age_us));
}

/* Posts that waited for room in vain are told, and are gone. */
static void board_tell_refused(struct board *board)
{
	struct task *task;

	while ((task = TAILQ_FIRST(&board->refused)) != NULL) {
		TAILQ_REMOVE(&board->refused, task, in_place);
		board_tell(board, &task->watches, task, task->refusal);
		TAILQ_INSERT_TAIL(&board->dead, task, in_place);
	}
}

/* The end of a turn, however its commit went. */
static void board_close_turn(struct board *board, int error)
{
	board_tell_refused(board);
	board_tell(board, &board->settled, NULL, error);
	board->n_notices = board->n_lost_notices = 0;
}

/* The commit wrote the numbers of a task's pool and handler with it. */
static void board_note_saved(const struct task *task)
{
	struct pool *pool = task->pool;
	struct handler *handler = task->handler;

	memcpy(pool->saved.count, pool->count, sizeof pool->count);
	pool->saved.counters = pool->stats.counters;
	memcpy(handler->saved_count, handler->count, sizeof handler->count);
}

static void settle_task(struct board *board, struct task *task)
{
	TAILQ_REMOVE(&board->dirty, task, in_dirty);
	task->dirty = false;
	if (board->unsafe.is_deferred)
		board->unsafe.tasks[board->unsafe.n++] =
			(struct unsafe_task){task->id, task->saved};
	task->saved = task->state;
	board_note_saved(task);
	if (task->state == TASK_ACTIVE && task->unsent && !task->on_starts) {
		TAILQ_INSERT_TAIL(&board->starts, task, in_place);
		task->on_starts = true;
	}
	if (task_is_ended(task)) {
		TAILQ_INSERT_TAIL(&board->ended, task, in_place);
		board->n_ended++;
	}
	board_tell(board, &task->watches, task, 0);
	board_tell(board, &board->changed, task, 0);
	task->news = 0;
}

bool board_is_safe(const struct board *board, uint64_t id)
{
	return id > 0 && id <= board->unsafe.id;
}

void board_settle_starts(struct board *board)
{
	struct task *task, *next;

	TAILQ_FOREACH_SAFE (task, &board->dirty, in_dirty, next)
		if (task->state == TASK_ACTIVE && task->unsent && task->saved != TASK_NEW &&
			task->saved < TASK_ACTIVE && board_is_safe(board, task->id) &&
			!task->cancelled && task->handler->settings->on_crash == ON_CRASH_RETRY)
			settle_task(board, task);
}

/* Room to note that many more. */
static bool has_room(struct unsafe *unsafe, size_t n)
{
	struct unsafe_task *tasks;
	size_t room = 2 * (unsafe->n + n);

	if (unsafe->n + n <= unsafe->room)
		return true;
	tasks = reallocarray(unsafe->tasks, room, sizeof *tasks);
	if (tasks == NULL)
		return false;
	unsafe->tasks = tasks;
	unsafe->room = room;
	return true;
}

bool board_defer(struct board *board)
{
	const struct task *task;
	size_t n = 0;

	TAILQ_FOREACH (task, &board->dirty, in_dirty) {
		if (task->state == TASK_ACTIVE || task->saved >= TASK_DONE)
			return false;
		n++;
	}
	board->unsafe.is_deferred = has_room(&board->unsafe, n);
	return board->unsafe.is_deferred;
}

void board_flush_begins(struct board *board)
{
	board->unsafe.n_coming = board->unsafe.n;
	board->unsafe.coming_id = board->last_id;
}

void board_flush_ended(struct board *board)
{
	struct unsafe *unsafe = &board->unsafe;

	unsafe->n -= unsafe->n_coming;
	if (unsafe->n > 0)
		memmove(unsafe->tasks, unsafe->tasks + unsafe->n_coming,
			unsafe->n * sizeof *unsafe->tasks);
	unsafe->n_coming = 0;
	unsafe->id = unsafe->coming_id;
}

void board_settle(struct board *board, uint64_t now_us)
{
	struct task *task;

	TAILQ_CONCAT(&board->dead, &board->forgotten, in_place);
	while ((task = TAILQ_FIRST(&board->dirty)) != NULL)
		settle_task(board, task);
	board->unsafe.is_deferred = false;
	board_trim(board, now_us);
	board_close_turn(board, 0);
}

/* Into the history again, where it was. */
static void board_unretry(struct board *board, struct task *task)
{
	struct task *before;

	task->started_us = task->end != NULL ? task->end->started_us : 0;
	task->ended_us = task->end != NULL ? task->end->ended_us : task->posted_us;
	TAILQ_FOREACH_REVERSE(before, &board->ended, task_list, in_place)
	if (before->ended_us <= task->ended_us)
		break;
	if (before != NULL)
		TAILQ_INSERT_AFTER(&board->ended, before, task, in_place);
	else
		TAILQ_INSERT_HEAD(&board->ended, task, in_place);
	board->n_ended++;
	unique_drop(board, task);
}

/* Nobody wants it ended any more, unless something else does. */
static void board_unask(struct board *board, struct task *task)
{
	task->cancelled = false;
	if (task->overdue || task->stopped)
		return;
	if (task->on_asks)
		TAILQ_REMOVE(&board->asks, task, in_place);
	task->asked = task->on_asks = false;
	timer_arm(task);
}

/* Takes back what this turn did with a task; true: the task waits for the next commit instead. */
static bool board_undo_task(struct board *board, struct task *task, int error)
{
	struct pool *pool = task->pool;
	int r = 0;

	if (task->state == TASK_ACTIVE && task->unsent && !task->on_starts) {
		pool_take_back(pool, task);
		r = task_step(task, EV_UNSTART);
		assert(r == 0);
		task->news &= (uint16_t) ~(1u << EV_START | 1u << EV_UNSTART);
		timer_arm(task);
	} else if (task->state == TASK_ACTIVE && (task->news & 1u << EV_ASK) != 0) {
		board_unask(board, task);
	}
	if (task->saved == TASK_NEW) {
		if (task->state == TASK_QUEUED)
			queue_remove(&pool->queue, task);
		timer_clear(task);
		r = task_step(task, EV_UNPOST);
		assert(r == 0);
		pool->stats.counters.posted--;
		pool->stats.counters.refused++;
		board_tell(board, &task->watches, task, error);
		board_forget(board, task);
		return false;
	}
	if (task->saved >= TASK_DONE && task->state == TASK_QUEUED) {
		queue_remove(&pool->queue, task);
		r = task_step(task, EV_UNRETRY);
		assert(r == 0);
		board_unretry(board, task);
		board_tell(board, &task->watches, task, error); /* posts that joined it */
		return false;
	}
	(void)r; /* with NDEBUG */
	/* Also an end that is the same as before: it was retried and cancelled, and is in no history until it is written. */
	return task->state != task->saved || task_is_ended(task);
}

/* As if it had been in this turn; last first, so that each is in the end as the disk has it. One that has left the history is in nobody's
 * sight. */
static void board_unsettle(struct board *board)
{
	struct unsafe *unsafe = &board->unsafe;

	while (unsafe->n > 0) {
		const struct unsafe_task *row = &unsafe->tasks[--unsafe->n];
		struct task *task = board_find_task(board, row->id);

		if (task == NULL)
			continue;
		if (task_is_ended(task) && !task->dirty) {
			TAILQ_REMOVE(&board->ended, task, in_place);
			board->n_ended--;
		}
		task_unsettle(task, (enum task_state)row->saved);
	}
	unsafe->n_coming = 0;
}

void board_break(struct board *board, int error)
{
	struct pool *pool;
	struct task *task;

	board_unsettle(board);

	board->broken = error;
	board->must_tell_broken = true;
	TAILQ_FOREACH (pool, &board->pools, link)
		while ((task = TAILQ_FIRST(&pool->room)) != NULL)
			board_refuse(board, task, error);
	board_notice(board, &(struct notice){.kind = NOTICE_STORE_FAILED});
}

/* Whoever waits for a task waits in vain. Later only what changes has somebody who does not know: who follows its output. */
static void board_tell_broken(struct board *board, int error)
{
	struct task *task;

	if (board->must_tell_broken) {
		for (task = board_above(board, 0); task != NULL;
			task = board_above(board, task->id))
			board_tell(board, &task->watches, task, error);
		board->must_tell_broken = false;
	} else {
		TAILQ_FOREACH (task, &board->dirty, in_dirty)
			board_tell(board, &task->watches, task, error);
	}
}

void board_undo(struct board *board, int error)
{
	struct task_list keep = TAILQ_HEAD_INITIALIZER(keep);
	struct task *task;

	/* Last first: those that go back to the front of a queue end in the order in which they were taken. */
	while ((task = TAILQ_LAST(&board->dirty, task_list)) != NULL) {
		bool stays = board_undo_task(board, task, error);

		TAILQ_REMOVE(&board->dirty, task, in_dirty);
		if (stays) {
			TAILQ_INSERT_HEAD(&keep, task, in_dirty);
		} else {
			task->dirty = false;
			task->news = 0;
		}
	}
	TAILQ_CONCAT(&board->dirty, &keep, in_dirty);
	if (board->broken < 0)
		board_tell_broken(board, error);
	board_close_turn(board, error);
}

void board_sweep(struct board *board)
{
	struct task *task;

	while ((task = TAILQ_FIRST(&board->dead)) != NULL) {
		TAILQ_REMOVE(&board->dead, task, in_place);
		task_free(task);
	}
}
