/*
 * model_compare: every number of the model and of the board. See model.h.
 */
#include "model.h"

static struct fixture *const fx = &model.fx;
struct model_seen model_seen;

/* Which of the free workers a task has, and how its pause was spread, is the board's choice; the bounds are not. */
static void learn(struct mtask *m, const struct task *task)
{
	if (m->state == TASK_ACTIVE && m->worker == MODEL_ANY) {
		MUST(task->slot != NULL && task->slot->id < m->pool->workers);
		MUST(model_find(m->pool, TASK_ACTIVE, task->slot->id, NULL) == NULL);
		m->worker = task->slot->id;
		model_seen.alone += m->suspect;
	}
	if (m->state == TASK_DELAYED && m->pause_us > 0) {
		uint64_t pause_us = task->due_us - fx->now_us;

		MUST(pause_us <= m->pause_us && pause_us >= m->pause_us / 5 * 4);
		m->pause_us = 0;
		m->timer_us = m->due_us = task->due_us;
	}
}

static void compare_task(struct mtask *m)
{
	const struct task *task = m->id != 0 ? board_find_task(fx->board, m->id) : m->task;

	MUST(task != NULL && task == m->task && task->pool == m->pool->pool);
	MUST(task->state == m->state && task->id == m->id);
	MUST(task->saved == m->saved && task->dirty == m->changed);
	MUST(task->attempt == m->attempt && task->failures == m->failures);
	MUST(task->crashes == m->crashes && task->trials == m->trials);
	MUST(task->suspect == m->suspect && task->in_room == m->in_room);
	MUST(task->unsent == m->unsent && task->on_asks == m->on_asks);
	MUST(task->on_starts == m->on_starts);
	MUST(task->asked == m->asked && task->overdue == m->overdue);
	MUST(task->cancelled == m->cancelled && task->stopped == m->stopped);
	MUST(task->stuck == m->stuck && task->on_stuck == m->on_stuck);
	MUST(task->ended_us == m->ended_us && m->heard.times == m->heard_times);
	learn(m, task);
	MUST(deadline_is_set(&task->timer) == (m->timer_us != MODEL_NEVER));
	if (m->timer_us != MODEL_NEVER)
		MUST(deadline_at(&task->timer) == m->timer_us);
	if (m->state == TASK_ACTIVE)
		MUST(task->slot->id == m->worker && task->slot->host == m->host);
}

static void compare_pool(const struct mpool *m)
{
	const struct pool *pool = m->pool;
	const struct stats *stats = &pool->stats;

	for (unsigned state = TASK_QUEUED; state < TASK_STATES; state++)
		MUST(pool->count[state] == m->count[state]);
	MUST(memcmp(&stats->counters, &m->counters, sizeof m->counters) == 0);
	MUST(pool->slots.workers == m->workers && pool->slots.n_free == model_free(m));
	MUST(pool->slots.n_busy == m->count[TASK_ACTIVE] && pool->n_room == m->n_room);
	MUST(stats->max_queued == m->max_queued && stats->max_active == m->max_active);
	MUST(stats->times.run.count == m->attempts && stats->times.wait.count == m->attempts);
	MUST(stats->times.total.count == m->ends);
	MUST(m->is_over || model_waiting(m) <= m->capacity);
}

static void compare_resource(unsigned i)
{
	const struct resource *resource = &fx->board->resources[i];
	const struct mresource *m = &model.resources[i];

	MUST(resource->breaker == m->breaker && resource->failures == m->failures);
	if (m->breaker == BREAKER_OPEN)
		MUST(resource->trial_at_us == m->trial_at_us);
	if (m->breaker == BREAKER_HALF_OPEN)
		MUST(resource->trial == m->trial);
	model_seen.trials += m->breaker == BREAKER_HALF_OPEN;
}

void model_compare(void)
{
	const struct task *task;
	uint64_t n = 0;

	fixture_step++;
	for (unsigned state = 0; state < TASK_STATES; state++)
		model_seen.state[state] += model.pools[0].count[state];
	for (struct mtask *m = model.tasks; m < model.tasks + MODEL_TASKS; m++)
		if (m->pool != NULL && m->refusal == 0) {
			compare_task(m);
			n += m->id != 0;
			model_seen.stuck += m->on_stuck;
		}
	fixture_check(fx);
	for (unsigned i = 0; i < FIXTURE_POOLS; i++)
		compare_pool(&model.pools[i]);
	for (unsigned i = 0; i < FIXTURE_RESOURCES; i++)
		compare_resource(i);
	BOARD_FOREACH(task, fx->board)
	n--;
	MUST(n == 0);
	MUST(fx->board->last_id == model.last_id && model.on_settled.times == model.n_commits);
}
