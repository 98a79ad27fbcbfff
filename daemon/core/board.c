/*
 * board: see board.h. What happens to tasks; settle.c has what the commit does to them.
 */
#include "core/board.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* What an end that a host reports means for the task. */
static const struct {
	enum task_event event;
	const char *reason; /* when the host named none */
} outcomes[RESULT_OUTCOMES] = {
	[RESULT_OK] = {EV_OK, ""},
	[RESULT_FAILED] = {EV_FAIL, "failed"},
	[RESULT_CANCELLED] = {EV_CANCEL, "cancelled"},
	[RESULT_CRASHED] = {EV_FAIL, "crashed"},
};

static void board_on_limit(struct deadline *limit, uint64_t now_us);

static void board_on_age(struct deadline *retention, uint64_t now_us)
{
	/* Waking up is enough: board_settle() of this turn trims. */
	(void)retention;
	(void)now_us;
}

int board_new(const struct settings *settings, uint32_t cores, struct board **ret_board)
{
	struct board *board = calloc(1, sizeof *board);

	if (board == NULL)
		return -ENOMEM;
	board->settings = settings;
	TAILQ_INIT(&board->pools);
	TAILQ_INIT(&board->tasks);
	TAILQ_INIT(&board->dirty);
	TAILQ_INIT(&board->starts);
	TAILQ_INIT(&board->asks);
	TAILQ_INIT(&board->ended);
	TAILQ_INIT(&board->dead);
	idmap_init(&board->by_id);
	deadlines_init(&board->deadlines);
	deadline_init(&board->retention, board_on_age);
	watch_list_init(&board->settled);
	for (size_t i = 0; i < settings->n_pools; i++) {
		const struct settings_pool *row = &settings->pools[i];
		struct pool *pool;
		int r = pool_new(board, row, settings_workers(row->workers, cores), &pool);

		if (r < 0) {
			board_free(board);
			return r;
		}
		TAILQ_INSERT_TAIL(&board->pools, pool, link);
	}
	board->handlers = calloc(settings->n_handlers, sizeof *board->handlers);
	if (board->handlers == NULL) {
		board_free(board);
		return -ENOMEM;
	}
	for (size_t i = 0; i < settings->n_handlers; i++) {
		board->handlers[i].settings = &settings->handlers[i];
		board->handlers[i].pool = board_find_pool(board, settings->handlers[i].pool);
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
	board_sweep(board);
	deadlines_done(&board->deadlines); /* before the tasks: it takes their limits out */
	TAILQ_FOREACH_SAFE (task, &board->tasks, in_all, next_task)
		task_free(task);
	TAILQ_FOREACH_SAFE (pool, &board->pools, link, next_pool)
		pool_free(pool);
	watch_list_done(&board->settled);
	idmap_done(&board->by_id);
	free(board->handlers);
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
	return id != 0 ? idmap_find(&board->by_id, id) : NULL;
}

int board_post(
	struct board *board, const struct post *post, uint64_t now_us, struct task **ret_task)
{
	struct task *task;
	int r;

	if (board->stop != STOP_RUNNING) {
		post->pool->stats.counters.refused++;
		return -ESHUTDOWN;
	}
	if (!pool_has_room(
		    post->pool)) { /* before anything is allocated: refusing must cost little */
		post->pool->stats.counters.refused++;
		return -EAGAIN;
	}
	task = task_new(board->last_id + 1, post->name, post->args);
	if (task == NULL)
		return -ENOMEM;
	task->pool = post->pool;
	task->handler = post->handler;
	task->owner_uid = post->owner_uid;
	task->timeout_us = post->timeout_us;
	task->posted_us = now_us;
	task->posted_wall_us = post->wall_us;
	deadline_init(&task->limit, board_on_limit);
	r = idmap_add(&board->by_id, task->id, task);
	if (r == 0) {
		r = pool_admit(post->pool, task);
		if (r < 0)
			(void)idmap_remove(&board->by_id, task->id); /* it is there: just added */
	}
	if (r < 0) {
		task_free(task);
		return r;
	}
	board->last_id = task->id;
	TAILQ_INSERT_TAIL(&board->tasks, task, in_all);
	*ret_task = task;
	return 0;
}

/* Has the worker of an active task asked to end it, once: with this turn's flush, or right behind the task's hand-over. */
static void board_ask(struct board *board, struct task *task)
{
	if (task->asked)
		return;
	task->asked = true;
	if (!task->unsent) {
		task->on_asks = true;
		TAILQ_INSERT_TAIL(&board->asks, task, in_place);
	}
}

static void board_on_limit(struct deadline *limit, uint64_t now_us)
{
	struct task *task = container_of(limit, struct task, limit);

	(void)now_us;
	task->overdue = true;
	board_ask(task->pool->board, task);
}

static struct task_end *board_make_end(struct view reason, struct view result)
{
	struct task_end *end = malloc(sizeof *end + result.len);
	size_t len = reason.len < TASK_REASON_SIZE ? reason.len : TASK_REASON_SIZE - 1;

	if (end == NULL)
		return NULL;
	if (len > 0)
		memcpy(end->reason, reason.data, len);
	end->reason[len] = '\0';
	end->result_len = result.len;
	if (result.len > 0)
		memcpy(end->result, result.data, result.len);
	return end;
}

/* A task that waits or runs ends, with whatever it holds. */
static int board_end(struct board *board, struct task *task, enum task_event event,
	struct view reason, struct view result, uint64_t now_us)
{
	struct pool *pool = task->pool;
	struct task_end *end = board_make_end(reason, result);
	int r = end != NULL ? 0 : -ENOMEM, step;

	if (task->state == TASK_ACTIVE) {
		if (task->unsent && !task->dirty) /* settled, but not handed over yet */
			TAILQ_REMOVE(&board->starts, task, in_place);
		pool_release(pool, task);
		stats_done(&pool->stats, task->posted_us, task->started_us, now_us);
		if (task->on_asks)
			TAILQ_REMOVE(&board->asks, task, in_place);
		task->on_asks = false;
	} else if (task->state == TASK_QUEUED) {
		queue_remove(&pool->queue, task);
	}
	task->end = end;
	task->ended_us = now_us;
	if (r < 0 && event == EV_OK)
		event = EV_FAIL;
	step = task_step(task, event);
	assert(step == 0); /* whoever waits or runs can end */
	(void)step;        /* with NDEBUG */
	return r;
}

int board_finish(struct board *board, uint64_t id, uint32_t attempt, const struct result *result,
	uint64_t now_us)
{
	struct task *task = board_find_task(board, id);
	struct view reason = result->reason;
	enum task_event event;

	if (task == NULL)
		return -ENOENT;
	if (task->state != TASK_ACTIVE || task->attempt != attempt) {
		task->pool->stats.counters.stale++;
		return -ENOENT;
	}
	if (result->outcome >= RESULT_OUTCOMES ||
		(task->unsent && result->outcome != RESULT_CRASHED))
		return -EPROTO;
	event = outcomes[result->outcome].event;
	if (reason.len == 0 || event == EV_OK)
		reason = view_of(outcomes[result->outcome].reason);
	if (result->outcome == RESULT_CRASHED)
		task->pool->stats.counters.crashed++;
	else if (event != EV_OK && task->overdue) {
		event = EV_FAIL;
		reason = view_of("timeout");
		task->pool->stats.counters.timed_out++;
	} else if (event == EV_CANCEL && task->stopped)
		reason = view_of("shutdown");
	return board_end(board, task, event, reason, result->result, now_us);
}

uint32_t board_host_gone(struct board *board, struct pool *pool, void *host, uint64_t now_us)
{
	const struct result crashed = {.outcome = RESULT_CRASHED,
		.result = VIEW_LIT("{\"error\":\"the host process of the pool died while the task "
				   "was in it\"}")};
	struct slot *slot;
	uint32_t n = 0;

	slots_down(&pool->slots, host);
	while ((slot = slots_busy_of(&pool->slots, host)) != NULL) {
		struct task *task = slot->task;

		IGNORE(board_finish(board, task->id, task->attempt, &crashed,
			now_us)); /* it ends even without memory for why */
		n++;
	}
	return n;
}

/* Ends all that waits in a pool: it will not be handed out any more. */
static void board_cancel_queued(struct board *board, struct pool *pool, uint64_t now_us)
{
	struct task *task;

	while ((task = queue_first(&pool->queue)) != NULL)
		IGNORE(board_end(board, task, EV_CANCEL,
			VIEW_LIT("shutdown"), /* it ends even without memory for why */
			VIEW_LIT("{\"error\":\"the daemon stopped before a worker was free\"}"),
			now_us));
}

void board_stop(struct board *board, enum stop_state stop, uint64_t now_us)
{
	struct pool *pool;

	if (stop <= board->stop)
		return;
	board->stop = stop;
	TAILQ_FOREACH (pool, &board->pools, link) {
		if (stop != STOP_DRAINING || pool->paused)
			board_cancel_queued(board, pool, now_us);
		for (uint32_t i = 0; stop == STOP_ENDING && i < pool->slots.len; i++) {
			struct task *task = pool->slots.all[i]->task;

			if (task == NULL)
				continue;
			task->stopped = true;
			board_ask(board, task);
		}
	}
}

bool board_is_stopped(const struct board *board)
{
	const struct pool *pool;

	if (board->stop == STOP_RUNNING || !TAILQ_EMPTY(&board->dirty))
		return false;
	TAILQ_FOREACH (pool, &board->pools, link)
		if (pool_unfinished(pool) > 0)
			return false;
	return true;
}

struct task *board_take_start(struct board *board)
{
	struct task *task = TAILQ_FIRST(&board->starts);

	if (task != NULL) {
		TAILQ_REMOVE(&board->starts, task, in_place);
		task->unsent = false;
	}
	return task;
}

struct task *board_take_ask(struct board *board)
{
	struct task *task = TAILQ_FIRST(&board->asks);

	if (task != NULL) {
		TAILQ_REMOVE(&board->asks, task, in_place);
		task->on_asks = false;
	}
	return task;
}
