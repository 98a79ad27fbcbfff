/*
 * restore: see restore.h.
 */
#include "core/restore.h"

#include <assert.h>
#include <errno.h>

#include "core/board.h"
#include "core/finish.h"
#include "core/handler.h"
#include "core/timer.h"
#include "core/unique.h"

void restore_init(struct restore *restore, struct board *board, uint64_t now_us)
{
	*restore = (struct restore){.board = board, .now_us = now_us};
}

void restore_done(struct restore *restore)
{
	free(restore->queued.all);
	free(restore->ended.all);
	free(restore->active.all);
}

static int list_add(struct restore_list *list, struct task *task)
{
	if (list->len == list->cap) {
		size_t cap = list->cap > 0 ? 2 * list->cap : 256;
		struct task **all = reallocarray(list->all, cap, sizeof *all);

		if (all == NULL)
			return -ENOMEM;
		list->all = all;
		list->cap = cap;
	}
	list->all[list->len++] = task;
	return 0;
}

static struct task *make_task(const struct restored *row)
{
	struct task *task = task_new(row->name, row->unique, row->args);

	if (task == NULL)
		return NULL;
	task->from_file = true;
	task->id = row->id;
	task->pool = row->pool;
	task->handler = row->handler;
	task->priority = row->priority;
	task->trials = row->trials;
	task->suspect = row->suspect;
	task->cancelled = row->cancelled && row->state == TASK_ACTIVE;
	task->attempt = row->attempt;
	task->failures = row->failures;
	task->retries = row->retries;
	task->crashes = row->crashes;
	task->owner_uid = row->owner_uid;
	task->seq = row->seq;
	task->posted_us = row->posted_us;
	task->posted_wall_us = row->posted_wall_us;
	task->queued_us = row->queued_us;
	task->started_us = row->started_us;
	task->ended_us = row->ended_us;
	task->due_us = row->due_us;
	task->expires_us = row->expires_us;
	task->timeout_us = row->timeout_us;
	task->delay_us = row->delay_us;
	timer_init(task);
	return task;
}

/* What no board could have written. */
static bool is_sound(const struct restored *row, const struct board *board)
{
	bool is_ended = row->state >= TASK_DONE, is_active = row->state == TASK_ACTIVE;

	return row->id > board->tasks.last && row->state > TASK_NEW && row->state < TASK_STATES &&
	       row->priority < TASK_PRIORITIES && row->posted_us != 0 &&
	       (row->ended_us != 0) == is_ended && (!is_active || row->started_us != 0) &&
	       (!is_active || row->attempt > 0) && !(row->suspect && row->state == TASK_DELAYED);
}

/* All that can fail; the task is on no list of the board yet. */
static int reserve(struct restore *restore, struct task *task, const struct restored *row)
{
	struct board *board = restore->board;
	int r = row->state < TASK_DONE ? unique_take(board, task) : 0;

	if (r == 0 && row->has_end)
		r = finish_set_end(task, row->reason, row->result);
	if (r == 0 && row->state < TASK_DONE)
		r = queue_open_lane(&task->pool->queue, task->handler->index);
	if (r == 0 && (row->state == TASK_DELAYED || task->expires_us != 0))
		r = deadlines_reserve(&board->deadlines);
	if (r == 0)
		r = list_add(row->state >= TASK_DONE     ? &restore->ended
			     : row->state == TASK_ACTIVE ? &restore->active
							 : &restore->queued,
			task);
	return r == 0 ? idtable_add(&board->tasks, task->id, task) : r;
}

int restore_task(struct restore *restore, const struct restored *row)
{
	struct board *board = restore->board;
	struct task *task;
	int r;

	if (!is_sound(row, board))
		return -EBADMSG;
	task = make_task(row);
	if (task == NULL)
		return -ENOMEM;
	r = reserve(restore, task, row);
	if (r < 0) {
		unique_drop(board, task);
		task_free(task);
		return r == -EEXIST ? -EBADMSG : r;
	}
	task_restore(task, row->state);
	if (row->state < TASK_ACTIVE)
		timer_arm(task);
	return 0;
}

static void take_counts(uint64_t to[TASK_STATES], const uint64_t from[TASK_STATES])
{
	/* Fewer than are there: the numbers were not written by a board. */
	for (unsigned state = TASK_DONE; state < TASK_STATES; state++)
		if (from[state] > to[state])
			to[state] = from[state];
}

void restore_pool(struct pool *pool)
{
	take_counts(pool->count, pool->saved.count);
	pool->stats.counters = pool->saved.counters;
}

void restore_handler(struct handler *handler)
{
	take_counts(handler->count, handler->saved_count);
}

static int by_seq(const void *a, const void *b)
{
	const struct task *x = *(struct task *const *)a, *y = *(struct task *const *)b;

	return x->seq != y->seq ? (x->seq < y->seq ? -1 : 1) : (x->id < y->id ? -1 : x->id > y->id);
}

static int by_end(const void *a, const void *b)
{
	const struct task *x = *(struct task *const *)a, *y = *(struct task *const *)b;

	return x->ended_us != y->ended_us ? (x->ended_us < y->ended_us ? -1 : 1)
					  : (x->id < y->id ? -1 : x->id > y->id);
}

/* Mostly they are in order: then nothing is sorted. */
static void sort(struct restore_list *list, int (*compare)(const void *, const void *))
{
	for (size_t i = 1; i < list->len; i++) {
		if (compare(&list->all[i - 1], &list->all[i]) > 0) {
			qsort(list->all, list->len, sizeof *list->all, compare);
			return;
		}
	}
}

/* It was active when the daemon died, and ends with that. */
static void end_active(struct restore *restore, struct task *task, enum task_event event)
{
	int r;

	task->ended_us = restore->now_us;
	IGNORE(finish_set_end(task,
		event == EV_CANCEL ? VIEW_LIT("cancelled") : VIEW_LIT("crashed"),
		VIEW_LIT("{\"error\":\"the daemon died while the task was running\"}"))); /* it ends
		without memory for why, too */
	unique_drop(restore->board, task);
	r = task_step(task, event);
	assert(r == 0); /* it was active */
	(void)r;        /* with NDEBUG */
}

/* Nobody knows how far it came. As in finish.c, whoever cancelled it counts first. */
static void return_active(struct restore *restore, struct task *task)
{
	int r;

	if (task->cancelled) {
		restore->counts.cancelled++;
		end_active(restore, task, EV_CANCEL);
	} else if (task->handler->settings->on_crash == ON_CRASH_LOST) {
		restore->counts.lost++;
		end_active(restore, task, EV_LOSE);
	} else {
		restore->counts.again++;
		task->started_us = 0;
		task->queued_us = restore->now_us;
		task->pool->stats.counters.returned++;
		r = task_step(task, EV_RETURN);
		assert(r == 0); /* it was active */
		(void)r;        /* with NDEBUG */
	}
}

static void put_in_queue(struct task *task)
{
	if (task->state == TASK_QUEUED)
		queue_restore(&task->pool->queue, task);
}

/* What waits or runs, and all that has ended: posted, whatever was counted of tasks that this board does not know. */
static void count_posted(struct pool *pool)
{
	uint64_t sum = 0;

	for (unsigned state = TASK_QUEUED; state < TASK_STATES; state++)
		sum += pool->count[state];
	pool->stats.counters.posted = sum;
}

int restore_finish(struct restore *restore, uint64_t last_id)
{
	struct board *board = restore->board;
	struct pool *pool;

	for (size_t i = 0; i < restore->active.len; i++) {
		if (list_add(&restore->queued, restore->active.all[i]) < 0)
			return -ENOMEM;
		return_active(restore, restore->active.all[i]);
	}
	sort(&restore->queued, by_seq);
	for (size_t i = 0; i < restore->queued.len; i++)
		put_in_queue(restore->queued.all[i]);
	sort(&restore->ended, by_end);
	for (size_t i = 0; i < restore->ended.len; i++)
		TAILQ_INSERT_TAIL(&board->ended, restore->ended.all[i], in_place);
	board->n_ended = restore->ended.len;
	TAILQ_FOREACH (pool, &board->pools, link)
		count_posted(pool);
	board->last_id = board->tasks.last > last_id ? board->tasks.last : last_id;
	restore->counts.ended = restore->ended.len;
	restore->counts.waiting =
		restore->queued.len - restore->counts.lost - restore->counts.cancelled;
	return 0;
}
