/*
 * board: see board.h. Its making, what stops it, and what leaves it; post.c has how tasks come in, finish.c how they end,
 * settle.c what the commit does to them.
 */
#include "core/board.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/finish.h"
#include "core/reload.h"
#include "core/timer.h"
#include "core/unique.h"

static void board_on_age(struct deadline *retention, uint64_t now_us)
{
	/* Waking up is enough: board_settle() of this turn trims. */
	(void)retention;
	(void)now_us;
}

static int board_open_pools(struct board *board, uint32_t cores)
{
	const struct settings *settings = board->settings;

	for (size_t i = 0; i < settings->n_pools; i++) {
		const struct settings_pool *row = &settings->pools[i];
		struct pool *pool;
		int r = pool_new(board, row, settings_workers(row->workers, cores), &pool);

		if (r < 0)
			return r;
		TAILQ_INSERT_TAIL(&board->pools, pool, link);
	}
	return 0;
}

/* What the tasks of a handler take units of. */
static void handler_claim(struct handler *handler, struct resource *resource, bool is_weighted)
{
	assert(handler->n_claims < HANDLER_CLAIMS_MAX);
	handler->claims[handler->n_claims++] = (struct claim){resource, is_weighted};
}

static void board_open_handler(struct board *board, size_t i)
{
	const struct settings_handler *settings = &board->settings->handlers[i];
	struct handler *handler = &board->handlers[i];

	handler->settings = settings;
	handler->index = i;
	handler->pool = board_find_pool(board, settings->pool);
	resource_init(&handler->own, board, settings->name, RESOURCE_HANDLER);
	handler_claim(handler, &board->total, false);
	handler_claim(handler, &handler->own, false);
	for (size_t j = 0; j < settings->n_resources; j++)
		handler_claim(handler, &board->resources[settings->resource_at[j]], true);
}

static int board_open(struct board *board, uint32_t cores)
{
	const struct settings *settings = board->settings;
	int r = board_open_pools(board, cores);

	board->handlers = calloc(settings->n_handlers, sizeof *board->handlers);
	board->resources = calloc(
		settings->n_resources + 1, sizeof *board->resources); /* + 1: never nothing */
	if (board->handlers == NULL || board->resources == NULL)
		r = -ENOMEM;
	if (r < 0)
		return r;
	resource_init(&board->total, board, "", RESOURCE_DAEMON);
	for (size_t i = 0; i < settings->n_resources; i++)
		resource_init(
			&board->resources[i], board, settings->resources[i].name, RESOURCE_NAMED);
	for (size_t i = 0; i < settings->n_handlers; i++)
		board_open_handler(board, i);
	reload_set_limits(board);
	return 0;
}

int board_new(const struct settings *settings, uint32_t cores, struct board **ret_board)
{
	struct board *board = calloc(1, sizeof *board);
	int r;

	if (board == NULL)
		return -ENOMEM;
	board->settings = settings;
	TAILQ_INIT(&board->pools);
	TAILQ_INIT(&board->dirty);
	TAILQ_INIT(&board->starts);
	TAILQ_INIT(&board->asks);
	TAILQ_INIT(&board->stuck);
	TAILQ_INIT(&board->ended);
	TAILQ_INIT(&board->refused);
	TAILQ_INIT(&board->forgotten);
	TAILQ_INIT(&board->dead);
	idtable_init(&board->tasks);
	deadlines_init(&board->deadlines);
	deadline_init(&board->retention, board_on_age);
	watch_list_init(&board->settled);
	watch_list_init(&board->changed);
	r = board_open(board, cores);
	if (r < 0) {
		board_free(board);
		return r;
	}
	*ret_board = board;
	return 0;
}

void board_free(struct board *board)
{
	struct pool *pool, *next_pool;
	struct task *task, *next_task;

	if (board == NULL)
		return;
	TAILQ_CONCAT(&board->dead, &board->forgotten, in_place);
	board_sweep(board);
	deadlines_done(&board->deadlines); /* before the tasks: it takes their timers out */
	unique_done(board);
	while ((task = board_above(board, 0)) != NULL) {
		(void)idtable_remove(&board->tasks, task->id);
		task_free(task);
	}
	TAILQ_FOREACH_SAFE (task, &board->refused, in_place, next_task)
		task_free(task);
	TAILQ_FOREACH_SAFE (pool, &board->pools, link, next_pool)
		pool_free(pool);
	watch_list_done(&board->settled);
	watch_list_done(&board->changed);
	idtable_done(&board->tasks);
	for (size_t i = 0; board->handlers != NULL && i < board->settings->n_handlers; i++)
		free(board->handlers[i].times);
	free(board->handlers);
	free(board->resources);
	free(board->unsafe.tasks);
	free(board);
}

struct pool *board_find_pool(const struct board *board, const char *name)
{
	struct pool *pool;

	TAILQ_FOREACH (pool, &board->pools, link)
		if (strcmp(pool->settings->name, name) == 0)
			return pool;
	return NULL;
}

struct handler *board_find_handler(const struct board *board, const char *name)
{
	for (size_t i = 0; i < board->settings->n_handlers; i++)
		if (strcmp(board->settings->handlers[i].name, name) == 0)
			return &board->handlers[i];
	return NULL;
}

struct task *board_find_task(const struct board *board, uint64_t id)
{
	return idtable_find(&board->tasks, id);
}

struct task *board_above(const struct board *board, uint64_t id)
{
	return idtable_above(&board->tasks, id);
}

struct task *board_below(const struct board *board, uint64_t id)
{
	return idtable_below(&board->tasks, id);
}

const struct task *board_oldest(struct board *board)
{
	const struct task *task = board_find_task(board, board->oldest_id);

	if (task == NULL)
		task = board_above(board, 0);
	while (task != NULL && task_is_ended(task))
		task = board_above(board, task->id);
	board->oldest_id = task != NULL ? task->id : board->last_id;
	return task;
}

bool board_is_clean(const struct board *board)
{
	return TAILQ_EMPTY(&board->dirty) && TAILQ_EMPTY(&board->forgotten);
}

void board_ask(struct board *board, struct task *task, uint64_t now_us)
{
	if (task->asked)
		return;
	task->asked = true;
	task->slot->asked_us = now_us;
	timer_arm(task);
	if (!task->unsent) {
		task->on_asks = true;
		TAILQ_INSERT_TAIL(&board->asks, task, in_place);
	}
}

void board_stuck(struct board *board, struct task *task, uint64_t now_us)
{
	if (task->unsent || task->on_asks) { /* nobody could have heard of it yet: once more */
		task->slot->asked_us = now_us;
		timer_arm(task);
		return;
	}
	task->stuck = task->on_stuck = true;
	TAILQ_INSERT_TAIL(&board->stuck, task, in_place);
}

void board_stop(struct board *board, enum stop_state stop, uint64_t now_us)
{
	struct pool *pool;
	struct task *task;

	if (stop <= board->stop)
		return;
	board->stop = stop;
	TAILQ_FOREACH (pool, &board->pools, link) {
		while ((task = TAILQ_FIRST(&pool->room)) != NULL)
			board_refuse(board, task, -ESHUTDOWN);
		if (!board->keeps && (stop != STOP_DRAINING || pool->paused))
			board_cancel_waiting(board, pool, now_us);
		for (uint32_t i = 0; stop == STOP_ENDING && i < pool->slots.len; i++) {
			task = pool->slots.all[i]->task;
			if (task == NULL)
				continue;
			task->stopped = true;
			board_ask(board, task, now_us);
		}
	}
}

bool board_is_stopped(const struct board *board)
{
	const struct pool *pool;

	if (board->stop == STOP_RUNNING || !TAILQ_EMPTY(&board->refused) ||
		(!TAILQ_EMPTY(&board->dirty) && board->broken == 0))
		return false;
	TAILQ_FOREACH (pool, &board->pools, link) {
		bool stays = board->broken < 0 ||
			     (board->keeps && (board->stop != STOP_DRAINING || pool->paused));

		if ((stays ? pool->count[TASK_ACTIVE] : pool_unfinished(pool)) > 0)
			return false;
	}
	return true;
}

struct task *board_take_start(struct board *board)
{
	struct task *task = TAILQ_FIRST(&board->starts);

	if (task != NULL) {
		TAILQ_REMOVE(&board->starts, task, in_place);
		task->unsent = task->on_starts = false;
	}
	return task;
}

struct task *board_take_ask(struct board *board)
{
	struct task *task = TAILQ_FIRST(&board->asks);

	while (task != NULL &&
		task->dirty) /* it must be written down first that somebody wants it */
		task = TAILQ_NEXT(task, in_place);
	if (task != NULL) {
		TAILQ_REMOVE(&board->asks, task, in_place);
		task->on_asks = false;
	}
	return task;
}

struct task *board_take_stuck(struct board *board)
{
	struct task *task = TAILQ_FIRST(&board->stuck);

	if (task != NULL) {
		TAILQ_REMOVE(&board->stuck, task, in_place);
		task->on_stuck = false;
	}
	return task;
}

void board_notice(struct board *board, const struct notice *notice)
{
	if (watch_list_is_empty(&board->changed))
		return;
	if (board->n_notices < BOARD_NOTICES_MAX)
		board->notices[board->n_notices++] = *notice;
	else
		board->n_lost_notices++;
}
