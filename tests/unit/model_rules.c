/*
 * model_rules: what becomes of one task. See model.h.
 */
#include "model.h"

#define STUCK_US   (2 * US_PER_SEC)
#define TRIALS_MAX 3

struct model model;

struct mtask *model_next(struct mtask *m)
{
	for (m = m == NULL ? model.tasks : m + 1; m < model.tasks + MODEL_TASKS; m++)
		if (m->pool != NULL && m->id != 0)
			return m;
	return NULL;
}

struct mtask *model_by_id(uint64_t id)
{
	for (struct mtask *m = model_next(NULL); m != NULL; m = model_next(m))
		if (m->id == id)
			return m;
	return NULL;
}

struct mtask *model_new_cell(void)
{
	for (struct mtask *m = model.tasks; m < model.tasks + MODEL_TASKS; m++)
		if (m->pool == NULL)
			return m;
	MUST(!"MODEL_TASKS is too small");
	return NULL;
}

void model_drop(struct mtask *m)
{
	watch_remove(&m->heard.watch);
	*m = (struct mtask){0};
}

struct mtask *model_find(const struct mpool *p, uint8_t state, uint32_t worker, const void *host)
{
	struct mtask *first = NULL;

	for (struct mtask *m = model_next(NULL); m != NULL; m = model_next(m))
		if (m->pool == p && m->state == state &&
			(worker == MODEL_ANY || m->worker == worker) &&
			(host == NULL || m->host == host) && (first == NULL || m->id < first->id))
			first = m;
	return first;
}

/* The one that has this key: queued, delayed, active, or in the room. */
struct mtask *model_by_key(unsigned handler, uint32_t owner, unsigned key)
{
	for (struct mtask *m = model.tasks; m < model.tasks + MODEL_TASKS; m++)
		if (m->pool != NULL && m->key == key && m->handler == handler &&
			m->owner == owner && m->state < TASK_DONE && m->refusal == 0)
			return m;
	return NULL;
}

const struct settings_handler *model_handler(const struct mtask *m)
{
	return &model.fx.handlers[m->handler];
}

void model_step(struct mtask *m, uint8_t state)
{
	if (m->state != TASK_NEW)
		m->pool->count[m->state]--;
	if (state != TASK_NEW)
		m->pool->count[state]++;
	m->state = state;
	if (state != TASK_ACTIVE)
		m->on_starts = m->is_news = false;
	m->changed = true;
	m->change = ++model.last_change;
}

/* --- time ---------------------------------------------------------------------------------- */

static uint64_t timer_of(const struct mtask *m)
{
	uint64_t expires_us = m->expires_us != 0 && m->attempt == 0 ? m->expires_us : MODEL_NEVER;

	if (m->in_room)
		return m->due_us;
	if (m->state == TASK_QUEUED)
		return expires_us;
	if (m->state == TASK_DELAYED)
		return expires_us < m->due_us ? expires_us : m->due_us;
	if (m->state != TASK_ACTIVE)
		return MODEL_NEVER;
	if (m->asked)
		return m->asked_us + model_handler(m)->kill_after_us + STUCK_US;
	return m->timeout_us > 0 ? m->started_us + m->timeout_us : MODEL_NEVER;
}

void model_arm(struct mtask *m)
{
	m->timer_us = timer_of(m);
	if (m->timer_us < model.floor_us)
		m->timer_us = model.floor_us;
	m->timer_set = ++model.last_set;
}

void model_ask(struct mtask *m)
{
	if (m->asked)
		return;
	m->asked = true;
	m->asked_us = model.fx.now_us;
	m->on_asks = !m->unsent;
	model_arm(m);
}

static void fire_active(struct mtask *m)
{
	if (!m->asked) {
		m->overdue = true;
		model_ask(m);
	} else if (m->unsent || m->on_asks) {
		m->asked_us = model.fx.now_us;
		model_arm(m);
	} else {
		m->stuck = m->on_stuck = true;
	}
}

void model_fire_timer(struct mtask *m)
{
	bool may_expire = m->attempt == 0 && m->expires_us != 0;

	m->timer_us = MODEL_NEVER;
	if (m->in_room) {
		model_refuse(m, -EAGAIN);
	} else if (m->state == TASK_ACTIVE) {
		fire_active(m);
	} else if (may_expire && m->expires_us <= model.fx.now_us) {
		model_end(m, TASK_EXPIRED);
	} else {
		model_step(m, TASK_QUEUED);
		m->entered = ++model.last_entered;
		model_arm(m);
	}
}

/* --- resources ----------------------------------------------------------------------------- */

/* Units that are in use: of everything, of a handler's own, or of a resource. */
static uint64_t count_active(int handler, int resource)
{
	uint64_t n = 0;

	for (struct mtask *m = model_next(NULL); m != NULL; m = model_next(m)) {
		const struct settings_handler *row = model_handler(m);

		if (m->state != TASK_ACTIVE || (handler >= 0 && m->handler != (unsigned)handler))
			continue;
		if (resource < 0)
			n++;
		for (size_t i = 0; resource >= 0 && i < row->n_resources; i++)
			if (row->resource_at[i] == (uint32_t)resource)
				n += m->weight;
	}
	return n;
}

static int64_t interval_ns(const struct settings_resource *row)
{
	return INT64_C(1000000000) / (int64_t)row->rate;
}

static void fill(struct mresource *resource, const struct settings_resource *row)
{
	int64_t most_ns = (int64_t)row->burst * interval_ns(row);

	resource->tokens_ns += (int64_t)(model.fx.now_us - resource->filled_us) * 1000;
	resource->filled_us = model.fx.now_us;
	if (resource->tokens_ns > most_ns)
		resource->tokens_ns = most_ns;
}

static bool is_resource_held(uint32_t i, uint64_t weight)
{
	const struct settings_resource *row = &model.fx.resources[i];
	struct mresource *resource = &model.resources[i];

	if (resource->breaker == BREAKER_HALF_OPEN ||
		(resource->breaker == BREAKER_OPEN && model.fx.now_us < resource->trial_at_us))
		return true;
	if (row->max_active > 0 && count_active(-1, (int)i) + weight > row->max_active)
		return true;
	if (row->rate == 0)
		return false;
	fill(resource, row);
	return resource->tokens_ns < interval_ns(row);
}

bool model_is_held(unsigned handler)
{
	const struct settings_handler *row = &model.fx.handlers[handler];
	uint64_t most = model.fx.settings.daemon.max_active;

	if (most > 0 && count_active(-1, -1) >= most)
		return true;
	if (row->max_active > 0 && count_active((int)handler, -1) >= row->max_active)
		return true;
	for (size_t i = 0; i < row->n_resources; i++)
		if (is_resource_held(row->resource_at[i], row->weight))
			return true;
	return false;
}

void model_take(const struct mtask *m)
{
	for (size_t i = 0; i < model_handler(m)->n_resources; i++) {
		uint32_t at = model_handler(m)->resource_at[i];
		struct mresource *resource = &model.resources[at];

		if (model.fx.resources[at].rate > 0) {
			fill(resource, &model.fx.resources[at]);
			resource->tokens_ns -= interval_ns(&model.fx.resources[at]);
		}
		if (resource->breaker == BREAKER_OPEN) {
			resource->breaker = BREAKER_HALF_OPEN;
			resource->trial = m->id;
		}
	}
}

void model_give_back(const struct mtask *m, bool was_not_started)
{
	for (size_t i = 0; i < model_handler(m)->n_resources; i++) {
		uint32_t at = model_handler(m)->resource_at[i];
		struct mresource *resource = &model.resources[at];

		if (was_not_started && model.fx.resources[at].rate > 0)
			resource->tokens_ns += interval_ns(&model.fx.resources[at]);
		if (resource->breaker == BREAKER_HALF_OPEN && resource->trial == m->id)
			resource->breaker = BREAKER_OPEN;
	}
}

static void breaker_opens(struct mresource *resource, uint64_t first_us)
{
	resource->breaker = BREAKER_OPEN;
	resource->failures = 0;
	resource->pause_us = resource->pause_us == 0 ? first_us : 2 * resource->pause_us;
	if (resource->pause_us > 60 * US_PER_SEC)
		resource->pause_us = 60 * US_PER_SEC;
	resource->trial_at_us = model.fx.now_us + resource->pause_us;
}

static void breaker_closes(struct mresource *resource)
{
	resource->breaker = BREAKER_CLOSED;
	resource->failures = resource->pause_us = 0;
}

void model_set_limits(uint32_t i, const struct settings_resource *limits)
{
	struct settings_resource *row = &model.fx.resources[i];
	int64_t more = (int64_t)limits->burst - (int64_t)row->burst;

	/* Another rate begins with a full bucket; another burst does not change what was taken out of it. */
	if (row->rate != limits->rate) {
		model.resources[i].tokens_ns = INT64_MAX / 4;
	} else if (row->rate > 0) {
		fill(&model.resources[i], row);
		model.resources[i].tokens_ns += more * interval_ns(row);
	}
	row->max_active = limits->max_active;
	row->rate = limits->rate;
	row->burst = limits->burst;
	row->breaker_failures = limits->breaker_failures;
	row->breaker_pause_us = limits->breaker_pause_us;
	if (limits->breaker_failures == 0)
		breaker_closes(&model.resources[i]);
}

/* true: some breaker answers for the failure. *ret_trial: for one of them it was the trial. */
static bool tell_breakers(const struct mtask *m, bool is_ok, bool *ret_trial)
{
	bool is_excused = false;

	*ret_trial = false;
	for (size_t i = 0; i < model_handler(m)->n_resources; i++) {
		uint32_t at = model_handler(m)->resource_at[i];
		const struct settings_resource *row = &model.fx.resources[at];
		struct mresource *resource = &model.resources[at];
		bool is_trial = resource->breaker == BREAKER_HALF_OPEN && resource->trial == m->id;

		if (row->breaker_failures == 0)
			continue;
		if (is_ok && (is_trial || resource->breaker == BREAKER_CLOSED)) {
			breaker_closes(resource);
		} else if (!is_ok && resource->breaker == BREAKER_CLOSED) {
			if (++resource->failures >= row->breaker_failures)
				breaker_opens(resource, row->breaker_pause_us);
		} else if (!is_ok) {
			is_excused = true;
			if (!is_trial)
				continue;
			breaker_opens(resource, row->breaker_pause_us);
			*ret_trial = true;
		}
	}
	return is_excused;
}

/* --- ends ---------------------------------------------------------------------------------- */

static void leave(struct mtask *m)
{
	if (m->state == TASK_ACTIVE) {
		m->pool->attempts += !m->unsent;
		model_give_back(m, false);
	}
	m->timer_us = MODEL_NEVER;
	m->on_asks = m->on_stuck = m->unsent = false;
}

void model_end(struct mtask *m, uint8_t state)
{
	m->pool->ends += m->state == TASK_ACTIVE && !m->unsent;
	leave(m);
	model_step(m, state);
	m->ended_us = model.fx.now_us;
}

/* For another attempt, at its place or after a pause. */
static void come_back(struct mtask *m, uint64_t pause_us)
{
	leave(m);
	m->asked = m->overdue = m->cancelled = m->stopped = m->stuck = false;
	m->pause_us = pause_us;
	m->pool->is_over = true;
	model_step(m, pause_us > 0 ? TASK_DELAYED : TASK_QUEUED);
	model_arm(m);
}

static uint64_t backoff(const struct mtask *m, uint32_t tries)
{
	uint64_t pause_us = model_handler(m)->backoff_min_us;

	for (uint32_t i = 1; i < tries && pause_us < model_handler(m)->backoff_max_us; i++)
		pause_us *= 2;
	return pause_us < model_handler(m)->backoff_max_us ? pause_us
							   : model_handler(m)->backoff_max_us;
}

static bool may_return(const struct mtask *m)
{
	return model.keeps || model.stop == STOP_RUNNING ||
	       (model.stop == STOP_DRAINING && !m->pool->paused);
}

static void attempt_fails(struct mtask *m)
{
	bool was_trial, is_excused = tell_breakers(m, false, &was_trial) && m->trials < TRIALS_MAX;

	m->suspect = false;
	if (may_return(m) && is_excused) {
		m->trials++;
		m->pool->counters.returned++;
		come_back(m, 0);
		if (was_trial)
			m->entered = ++model.last_entered;
	} else if (may_return(m) && m->failures < m->retries) {
		m->pool->counters.retried++;
		come_back(m, backoff(m, ++m->failures));
	} else {
		model_end(m, TASK_FAILED);
	}
}

static void attempt_crashes(struct mtask *m, bool is_host)
{
	m->suspect = is_host;
	m->crashes++;
	if (model_handler(m)->on_crash == ON_CRASH_LOST) {
		model_end(m, TASK_LOST);
	} else if (!may_return(m) || m->crashes >= model_handler(m)->crash_max) {
		model_end(m, TASK_FAILED);
	} else {
		m->pool->counters.retried++;
		come_back(m, is_host ? 0 : backoff(m, m->crashes));
	}
}

static void be_innocent(struct mtask *m, bool is_suspect)
{
	if (model_handler(m)->on_crash == ON_CRASH_LOST) {
		model_end(m, TASK_LOST);
	} else if (!may_return(m)) {
		model_end(m, TASK_FAILED);
	} else {
		m->suspect |= is_suspect;
		m->pool->counters.returned++;
		come_back(m, 0);
	}
}

static void return_or_cancel(struct mtask *m, bool returns)
{
	if (returns) {
		m->pool->counters.returned++;
		come_back(m, 0);
	} else {
		model_end(m, TASK_CANCELLED);
	}
}

void model_attempt_ends(struct mtask *m, enum how how)
{
	bool was_trial;

	if (m->unsent) { /* its host had not heard of it */
		return_or_cancel(m, !m->cancelled && may_return(m));
		return;
	}
	m->pool->counters.crashed += how >= HOW_CRASHED;
	if (how == HOW_OK) {
		(void)tell_breakers(m, true, &was_trial);
		model_end(m, TASK_DONE);
	} else if (m->cancelled) {
		model_end(m, TASK_CANCELLED);
	} else if (m->overdue) {
		m->pool->counters.timed_out++;
		attempt_fails(m);
	} else if (m->stopped && how != HOW_FAILED) {
		return_or_cancel(m, model.keeps);
	} else if (how == HOW_CANCELLED) {
		model_end(m, TASK_CANCELLED);
	} else if (how == HOW_FAILED) {
		attempt_fails(m);
	} else if (how == HOW_CRASHED || how == HOW_HOST) {
		attempt_crashes(m, how == HOW_HOST);
	} else {
		be_innocent(m, how == HOW_HOST_SHARED);
	}
}
