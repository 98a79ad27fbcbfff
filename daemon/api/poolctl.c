/*
 * poolctl: what an operator does to pools: Resize, Pause, Resume, Drain, ResetMarks.
 */
#include <string.h>

#include "api/method.h"
#include "base/clock.h"

struct pool_values {
	const char *pool;
	int64_t timeout_ms; /* Drain only */
	uint64_t told;      /* Drain: what the last progress reply said was left */
};

static const struct param pool_params[] = {
	{.name = "pool",
		.type = PARAM_STRING,
		METHOD_FIELD(pool_values, pool),
		.min = 1,
		.max = SETTINGS_NAME_MAX,
		.text = "all if not given"},
};

static bool pool_is_meant(const struct pool_values *values, const struct pool *pool)
{
	return values->pool == NULL || strcmp(values->pool, pool->settings->name) == 0;
}

/* Does it to the pool that is named, or to all, and answers with nothing. */
static void pool_run_each(struct call *call, void (*act)(struct pool *pool, uint64_t now_us))
{
	const struct pool_values *values = call->values;
	struct board *board = call->conn->daemon->board;
	struct pool *pool;

	if (values->pool != NULL && board_find_pool(board, values->pool) == NULL) {
		call_refuse_no_such_pool(call, values->pool);
		return;
	}
	TAILQ_FOREACH (pool, &board->pools, link)
		if (pool_is_meant(values, pool))
			act(pool, call->conn->daemon->now_us);
	call_reply_text(call, VIEW_LIT("{}"));
}

static void pool_pause(struct pool *pool, uint64_t now_us)
{
	(void)now_us;
	if (!pool->paused)
		board_notice(pool->board, &(struct notice){.kind = NOTICE_PAUSED, .pool = pool});
	pool->paused = true;
}

static void pool_resume(struct pool *pool, uint64_t now_us)
{
	(void)now_us;
	if (pool->paused)
		board_notice(pool->board, &(struct notice){.kind = NOTICE_RESUMED, .pool = pool});
	pool->paused = false;
}

static void pool_reset_marks(struct pool *pool, uint64_t now_us)
{
	struct board *board = pool->board;

	(void)now_us;
	stats_reset_marks(&pool->stats, pool->count[TASK_QUEUED], pool->count[TASK_ACTIVE]);
	for (size_t i = 0; i < board->settings->n_handlers; i++)
		if (board->handlers[i].pool == pool && board->handlers[i].times != NULL)
			times_clear(board->handlers[i].times);
}

static void pause_run(struct call *call)
{
	/* A pool that drains for a stop would never get empty. */
	if (call->conn->daemon->board->stop != STOP_RUNNING) {
		call_refuse_stopping(call);
		return;
	}
	pool_run_each(call, pool_pause);
}

static void resume_run(struct call *call)
{
	pool_run_each(call, pool_resume);
}

static void reset_marks_run(struct call *call)
{
	pool_run_each(call, pool_reset_marks);
}

const struct method method_pause = {
	.interface = METHOD_INTERFACE,
	.name = "Pause",
	.role = ROLE_ADMIN,
	METHOD_PARAMS(pool_params, pool_values),
	.reply = "",
	.text = "No more tasks are started; posts are still taken, running tasks finish.",
	.run = pause_run,
};

const struct method method_resume = {
	.interface = METHOD_INTERFACE,
	.name = "Resume",
	.role = ROLE_ADMIN,
	METHOD_PARAMS(pool_params, pool_values),
	.reply = "",
	.text = "Tasks are started again.",
	.run = resume_run,
};

const struct method method_reset_marks = {
	.interface = METHOD_INTERFACE,
	.name = "ResetMarks",
	.role = ROLE_ADMIN,
	METHOD_PARAMS(pool_params, pool_values),
	.reply = "",
	.text = "High-water marks start again at the present numbers, time histograms with "
		"nothing: the pool's and those of the handlers whose own pool it is.",
	.run = reset_marks_run,
};

#define NOT_GIVEN (-1)

struct resize_values {
	const char *pool;
	int64_t workers, capacity;
};

static const struct resize_values resize_defaults = {
	.pool = "default", .workers = NOT_GIVEN, .capacity = NOT_GIVEN};

static const struct param resize_params[] = {
	{.name = "pool",
		.type = PARAM_STRING,
		METHOD_FIELD(resize_values, pool),
		.min = 1,
		.max = SETTINGS_NAME_MAX,
		.text = "\"default\" if not given"},
	{.name = "workers",
		.type = PARAM_INT,
		METHOD_FIELD(resize_values, workers),
		.min = 1,
		.max = SETTINGS_WORKERS_MAX,
		.text = "running tasks finish when there are fewer"},
	{.name = "capacity",
		.type = PARAM_INT,
		METHOD_FIELD(resize_values, capacity),
		.min = 0,
		.max = 10000000,
		.text = "tasks that may wait; those that wait already stay when it is less"},
};

static void resize_run(struct call *call)
{
	const struct resize_values *values = call->values;
	struct pool *pool = board_find_pool(call->conn->daemon->board, values->pool);
	uint32_t workers;
	uint64_t capacity;

	if (pool == NULL) {
		call_refuse_no_such_pool(call, values->pool);
		return;
	}
	if (values->workers == NOT_GIVEN && values->capacity == NOT_GIVEN) {
		call_refuse_parameter(call, "workers", "required, or capacity is");
		return;
	}
	workers = pool->slots.workers;
	capacity = pool->capacity;
	if (values->workers != NOT_GIVEN && pool_resize(pool, (uint32_t)values->workers) < 0) {
		call_refuse_internal(call, "out of memory");
		return;
	}
	if (values->capacity != NOT_GIVEN)
		pool->capacity = (uint64_t)values->capacity;
	board_notice(pool->board,
		&(struct notice){
			.kind = NOTICE_RESIZED, .pool = pool, .number = pool->slots.workers});
	call_reply(call, json_pack("{s:s, s:I, s:I, s:I, s:I}", "pool", values->pool,
				 "workers_before", (json_int_t)workers, "workers",
				 (json_int_t)pool->slots.workers, "capacity_before",
				 (json_int_t)capacity, "capacity", (json_int_t)pool->capacity));
}

const struct method method_resize = {
	.interface = METHOD_INTERFACE,
	.name = "Resize",
	.role = ROLE_ADMIN,
	METHOD_PARAMS(resize_params, resize_values),
	.defaults = &resize_defaults,
	.reply = "pool: string, workers_before: int, workers: int, capacity_before: int, capacity: "
		 "int",
	.text = "Changes a pool's number of workers, its capacity, or both, at once.",
	.run = resize_run,
};

static const struct pool_values drain_defaults = {.timeout_ms = NOT_GIVEN, .told = UINT64_MAX};

static const struct param drain_params[] = {
	{.name = "pool",
		.type = PARAM_STRING,
		METHOD_FIELD(pool_values, pool),
		.min = 1,
		.max = SETTINGS_NAME_MAX,
		.text = "all if not given"},
	{.name = "timeout_ms",
		.type = PARAM_INT,
		METHOD_FIELD(pool_values, timeout_ms),
		.min = 0,
		.max = 86400000,
		.text = "answer then at the latest; never if not given"},
};

static void drain_tell(struct call *call, bool is_over)
{
	const struct board *board = call->conn->daemon->board;
	struct pool_values *values = call->values;
	uint64_t queued = 0, active = 0;
	const struct pool *pool;
	json_t *json;

	TAILQ_FOREACH (pool, &board->pools, link)
		if (pool_is_meant(values, pool)) {
			queued += pool->count[TASK_QUEUED] + pool->count[TASK_DELAYED];
			active += pool->count[TASK_ACTIVE];
		}
	if (queued + active > 0 && !is_over && (!call->msg.more || values->told == queued + active))
		return;
	/* Progress that nobody reads does not pile up. */
	if (queued + active > 0 && !is_over &&
		buf_len(&call->conn->out) >= call->conn->daemon->settings->daemon.max_output_bytes)
		return;
	values->told = queued + active;
	json = json_pack("{s:b, s:I, s:I}", "drained", queued + active == 0, "queued",
		(json_int_t)queued, "active", (json_int_t)active);
	if (queued + active == 0 || is_over)
		call_reply(call, json);
	else
		call_reply_more(call, json);
}

/* Nothing starts any more, and no end is written down: it is drained now or never. */
static bool drain_is_in_vain(const struct board *board, const struct pool_values *values)
{
	const struct pool *pool;
	const struct task *task;

	if (board->broken == 0)
		return false;
	TAILQ_FOREACH (pool, &board->pools, link)
		if (pool_is_meant(values, pool) && pool_unfinished(pool) > 0)
			return true;
	TAILQ_FOREACH (task, &board->dirty, in_dirty)
		if (pool_is_meant(values, task->pool))
			return true;
	return false;
}

static void drain_on_settled(struct watch *watch, struct task *task, int error)
{
	struct call *call = container_of(watch, struct call, watch);
	const struct board *board = call->conn->daemon->board;

	(void)task;
	if (drain_is_in_vain(board, call->values))
		call_refuse_store(call, board->broken);
	else if (error == 0 ||
		 board->broken < 0) /* else ends may be there that are not written down */
		drain_tell(call, false);
}

static void drain_on_timeout(struct deadline *deadline, uint64_t now_us)
{
	(void)now_us;
	drain_tell(container_of(deadline, struct call, deadline), true);
}

static void drain_run(struct call *call)
{
	struct daemon *daemon = call->conn->daemon;
	const struct pool_values *values = call->values;

	if (values->pool != NULL && board_find_pool(daemon->board, values->pool) == NULL) {
		call_refuse_no_such_pool(call, values->pool);
		return;
	}
	if (call->msg.oneway) {
		call_reply_text(call, VIEW_LIT("{}")); /* nobody would hear the end of it */
		return;
	}
	call->deadline.fire = drain_on_timeout;
	call->watch.fire = drain_on_settled;
	if (values->timeout_ms != NOT_GIVEN &&
		deadline_set(&daemon->board->deadlines, &call->deadline,
			daemon->now_us + (uint64_t)values->timeout_ms * US_PER_MS) < 0) {
		call_refuse_internal(call, "out of memory");
		return;
	}
	watch_add(&daemon->board->settled, &call->watch);
}

const struct method method_drain = {
	.interface = METHOD_INTERFACE,
	.name = "Drain",
	.role = ROLE_ADMIN,
	.flags = METHOD_STREAMS | METHOD_HOLDS,
	METHOD_PARAMS(drain_params, pool_values),
	.defaults = &drain_defaults,
	.reply = "drained: bool, queued: int, active: int",
	.text = "Waits until nothing is queued or active. Posts are still taken. With more, tells "
		"what is left as it changes.",
	.run = drain_run,
};
