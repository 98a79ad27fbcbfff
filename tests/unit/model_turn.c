/*
 * model_turn: who comes in, who starts, and what a commit makes true or takes back. See model.h.
 */
#include "model.h"

uint64_t model_waiting(const struct mpool *p)
{
	return p->count[TASK_QUEUED] + p->count[TASK_DELAYED];
}

uint64_t model_free(const struct mpool *p)
{
	uint64_t n = 0;

	for (uint32_t worker = 0; worker < p->workers && p->host != NULL; worker++)
		n += model_find(p, TASK_ACTIVE, worker, NULL) == NULL;
	/* Those that start with this call have a worker, too, though which one is not known yet. */
	for (struct mtask *m = model_next(NULL); m != NULL; m = model_next(m))
		n -= m->pool == p && m->state == TASK_ACTIVE && m->worker == MODEL_ANY;
	return n;
}

static uint64_t ready(const struct mpool *p)
{
	return p->paused || model.stop > STOP_DRAINING ? 0 : model_free(p);
}

void model_look(bool timers_have_run)
{
	for (unsigned i = 0; i < FIXTURE_POOLS; i++)
		for (unsigned j = 0; j < FIXTURE_HANDLERS; j++) {
			const struct lane *lane = model.pools[i].pool->queue.lanes[j];

			model.pools[i].waits[j] =
				!timers_have_run && lane != NULL && lane->holder != NULL;
		}
}

/* --- who starts ---------------------------------------------------------------------------- */

static void start(struct mtask *m, const void *host)
{
	m->attempt++;
	m->unsent = true;
	m->worker = MODEL_ANY;
	m->host = host;
	m->started_us = model.fx.now_us;
	m->weight = (uint32_t)model_handler(m)->weight;
	model_take(m);
	model_step(m, TASK_ACTIVE);
	model_arm(m);
}

/* Of the queued ones, suspects or not, that nothing holds back: by priority, suspects only by entry. */
static struct mtask *first_that_may_start(const struct mpool *p, bool is_suspect)
{
	struct mtask *best = NULL;

	for (struct mtask *m = model_next(NULL); m != NULL; m = model_next(m)) {
		bool is_before;

		if (m->pool != p || m->state != TASK_QUEUED || m->suspect != is_suspect)
			continue;
		is_before = best == NULL || (!is_suspect && m->priority < best->priority) ||
			    ((is_suspect || m->priority == best->priority) &&
				    m->entered < best->entered);
		/* Only the first suspect is asked for; all others of a handler wait for the same as its first. */
		if (is_before &&
			(is_suspect || (!p->waits[m->handler] && !model_is_held(m->handler))))
			best = m;
	}
	return best != NULL && is_suspect && model_is_held(best->handler) ? NULL : best;
}

static bool suspect_runs(const struct mpool *p)
{
	for (struct mtask *m = model_next(NULL); m != NULL; m = model_next(m))
		if (m->pool == p && m->state == TASK_ACTIVE && m->suspect)
			return true;
	return false;
}

static void serve(struct mpool *p)
{
	while (ready(p) > 0) {
		struct mtask *m =
			p->alone != NULL && !suspect_runs(p) ? first_that_may_start(p, true) : NULL;
		const void *host = m != NULL ? p->alone : p->host;

		if (m == NULL)
			m = first_that_may_start(p, false);
		if (m == NULL)
			return;
		start(m, host);
	}
}

/* --- who comes in -------------------------------------------------------------------------- */

static bool has_queued(const struct mpool *p, unsigned handler)
{
	for (struct mtask *m = model_next(NULL); m != NULL; m = model_next(m))
		if (m->pool == p && m->state == TASK_QUEUED && !m->suspect && m->handler == handler)
			return true;
	return false;
}

static bool fits(struct mpool *p, unsigned handler, bool is_delayed)
{
	if (model_waiting(p) < p->capacity)
		return true;
	serve(p);
	if (model_waiting(p) < p->capacity)
		return true;
	return !is_delayed && ready(p) > 0 && !has_queued(p, handler) && !model_is_held(handler);
}

static struct mtask *first_in_room(const struct mpool *p)
{
	struct mtask *first = NULL;

	for (struct mtask *m = model.tasks; m < model.tasks + MODEL_TASKS; m++)
		if (m->pool == p && m->in_room && (first == NULL || m->entered < first->entered))
			first = m;
	return first;
}

static void leave_room(struct mtask *m)
{
	m->in_room = false;
	m->pool->n_room--;
	m->timer_us = MODEL_NEVER;
}

static bool let_in(struct mpool *p)
{
	bool is_any = false;
	struct mtask *m;

	while ((m = first_in_room(p)) != NULL && fits(p, m->handler, m->delay_us > 0)) {
		leave_room(m);
		model_admit(m);
		is_any = true;
	}
	return is_any;
}

bool model_has_room(struct mpool *p, unsigned handler, bool is_delayed)
{
	(void)let_in(p);
	return first_in_room(p) == NULL && fits(p, handler, is_delayed);
}

void model_admit(struct mtask *m)
{
	m->id = ++model.last_id;
	m->pool->counters.posted++;
	m->due_us = m->posted_us + m->delay_us;
	m->entered = ++model.last_entered;
	model_step(m, m->due_us > model.fx.now_us ? TASK_DELAYED : TASK_QUEUED);
	model_arm(m);
	if (model_waiting(m->pool) > m->pool->capacity)
		serve(m->pool);
}

void model_enter_room(struct mtask *m, uint64_t room_us)
{
	m->in_room = true;
	m->pool->n_room++;
	m->entered = ++model.last_entered;
	m->due_us = model.fx.now_us + room_us;
	if (m->expires_us != 0 && m->expires_us < m->due_us)
		m->due_us = m->expires_us;
	model_arm(m);
}

void model_refuse(struct mtask *m, int error)
{
	leave_room(m);
	m->refusal = error;
	m->pool->counters.refused++;
}

void model_retry(struct mtask *m)
{
	m->was_ended_us = m->ended_us;
	m->failures = m->crashes = m->trials = 0;
	m->ended_us = m->expires_us = 0;
	m->asked = m->overdue = m->cancelled = m->stopped = m->stuck = m->suspect = false;
	m->entered = ++model.last_entered;
	model_step(m, TASK_QUEUED);
	if (model_waiting(m->pool) > m->pool->capacity)
		serve(m->pool);
}

/* --- the turn ------------------------------------------------------------------------------ */

void model_cancel_waiting(struct mpool *p)
{
	struct mtask *m;

	for (;;) {
		struct mtask *queued = model_find(p, TASK_QUEUED, MODEL_ANY, NULL);
		struct mtask *delayed = model_find(p, TASK_DELAYED, MODEL_ANY, NULL);

		m = queued == NULL || (delayed != NULL && delayed->id < queued->id) ? delayed
										    : queued;
		if (m == NULL)
			return;
		model_end(m, TASK_CANCELLED);
	}
}

static void sched_pool(struct mpool *p)
{
	if (model.stop > STOP_DRAINING && !model.keeps)
		model_cancel_waiting(p);
	serve(p);
	if (let_in(p))
		serve(p);
	if (p->count[TASK_QUEUED] > p->max_queued)
		p->max_queued = p->count[TASK_QUEUED];
	if (p->count[TASK_ACTIVE] > p->max_active)
		p->max_active = p->count[TASK_ACTIVE];
}

/* Each pool is the first one in its turn. */
void model_sched(void)
{
	size_t from = model.n_scheds++;

	for (size_t i = 0; i < FIXTURE_POOLS; i++)
		sched_pool(&model.pools[(from + i) % FIXTURE_POOLS]);
}

/* The history: the oldest ends go while there are too many, or they are too old. */
static void trim(void)
{
	const struct settings_daemon *keep = &model.fx.settings.daemon;

	for (;;) {
		struct mtask *oldest = NULL;
		uint64_t n = 0;

		for (struct mtask *m = model_next(NULL); m != NULL; m = model_next(m)) {
			if (m->state < TASK_DONE)
				continue;
			n++;
			if (oldest == NULL || m->ended_us < oldest->ended_us ||
				(m->ended_us == oldest->ended_us && m->end < oldest->end))
				oldest = m;
		}
		if (oldest == NULL ||
			(n <= keep->history_max &&
				model.fx.now_us - oldest->ended_us < keep->history_age_us))
			return;
		model_drop(oldest);
	}
}

/* However the commit went: those that found no room are told, and gone. */
static void tell_refused(void)
{
	for (struct mtask *m = model.tasks; m < model.tasks + MODEL_TASKS; m++) {
		if (m->pool == NULL || m->refusal == 0)
			continue;
		MUST(m->heard.times == 1 && m->heard.error == m->refusal);
		MUST(m->heard.state == TASK_NEW && m->heard.id == 0);
		model_drop(m);
	}
	model.n_commits++;
}

/* Of those that have changed, the one whose last change came first. */
static struct mtask *first_change(void)
{
	struct mtask *first = NULL;

	for (struct mtask *m = model_next(NULL); m != NULL; m = model_next(m))
		if (m->changed && (first == NULL || m->change < first->change))
			first = m;
	return first;
}

void model_settle(void)
{
	struct mtask *m;

	while ((m = first_change()) != NULL) {
		m->heard_times++;
		MUST(m->heard.times == m->heard_times && m->heard.error == 0);
		MUST(m->heard.state == m->state && m->heard.id == m->id);
		m->changed = m->is_news = false;
		m->saved = m->state;
		m->on_starts |= m->state == TASK_ACTIVE && m->unsent;
		m->end = ++model.last_end;
	}
	trim();
	tell_refused();
}

static void unstart(struct mtask *m)
{
	model_give_back(m, true);
	m->attempt--;
	m->started_us = 0;
	m->unsent = m->asked = m->overdue = m->cancelled = m->stopped = false;
	m->pool->is_over = true;
	model_step(m, TASK_QUEUED);
	model_arm(m);
}

static void unpost(struct mtask *m)
{
	MUST(m->heard.times == 1 && m->heard.error == -ENOSPC && m->heard.state == TASK_NEW);
	model_step(m, TASK_NEW);
	m->pool->counters.posted--;
	m->pool->counters.refused++;
	model_drop(m);
}

static void unretry(struct mtask *m)
{
	model_step(m, m->saved);
	m->heard_times++;
	MUST(m->heard.times == m->heard_times && m->heard.error == -ENOSPC);
	m->ended_us = m->was_ended_us;
	m->end = ++model.last_end;
	m->timer_us = MODEL_NEVER;
	m->changed = false;
}

/* Its worker is not asked to end it, unless for something else. */
static void uncancel(struct mtask *m)
{
	m->cancelled = m->is_news = false;
	if (m->overdue || m->stopped)
		return;
	m->asked = m->on_asks = false;
	model_arm(m);
}

static void undo_task(struct mtask *m)
{
	if (m->state == TASK_ACTIVE && m->unsent && !m->on_starts)
		unstart(m);
	else if (m->is_news)
		uncancel(m);
	if (m->saved == TASK_NEW)
		unpost(m);
	else if (m->saved >= TASK_DONE && m->state == TASK_QUEUED)
		unretry(m);
	else
		m->changed = m->state != m->saved || m->state >= TASK_DONE;
}

/* The last change first. */
void model_undo(void)
{
	uint64_t before = UINT64_MAX;

	for (;;) {
		struct mtask *last = NULL;

		for (struct mtask *m = model_next(NULL); m != NULL; m = model_next(m))
			if (m->changed && m->change < before &&
				(last == NULL || m->change > last->change))
				last = m;
		if (last == NULL)
			break;
		before = last->change;
		undo_task(last);
	}
	tell_refused();
}
