/*
 * check_model: random turns of a board beside a model of it that is too plain to be wrong (model.h). After each command every
 * number of both is compared, and fixture_check() looks at the board's lists. CHECK_SEED=n runs that seed, which is printed.
 */
#include <stdio.h>

#include "core/reload.h"
#include "model.h"

#define BOARDS   16   /* a seed's boards, one after the other, each stopped at the end */
#define COMMANDS 3200 /* for each board */

static struct fixture *const fx = &model.fx;
static uint64_t seed;

static uint64_t pick(uint64_t n)
{
	return fixture_random(&seed) % n;
}

static struct mpool *pick_pool(void)
{
	return &model.pools[pick(FIXTURE_POOLS)];
}

/* Any task of this state, NULL: none. */
static struct mtask *pick_task(uint8_t state)
{
	size_t from = pick(MODEL_TASKS);

	for (size_t i = from; i < from + MODEL_TASKS; i++) {
		struct mtask *m = &model.tasks[i % MODEL_TASKS];

		if (m->pool != NULL && m->id != 0 && m->state == state)
			return m;
	}
	return NULL;
}

/* --- commands: first the model, then the board ---------------------------------------------- */

static struct post make_post(const struct mtask *m, uint64_t room_us)
{
	static const char *const keys[MODEL_KEYS] = {"", "a", "b", "c", "ab", "ba"};
	struct post post = fixture_make_post(fx, m->pool->pool);

	post.handler = &fx->board->handlers[m->handler];
	post.priority = m->priority;
	post.retries = m->retries;
	post.unique = view_of(keys[m->key]);
	post.owner_uid = m->owner;
	post.timeout_us = m->timeout_us;
	post.delay_us = m->delay_us;
	post.expiry_us = m->expires_us > 0 ? m->expires_us - fx->now_us : 0;
	post.room_us = room_us;
	return post;
}

static struct mtask make_task(void)
{
	return (struct mtask){.pool = pick_pool(),
		.handler = (unsigned)pick(FIXTURE_HANDLERS),
		.key = pick(3) == 0 ? (unsigned)pick(MODEL_KEYS) : 0,
		.owner = (uint32_t)pick(2),
		.priority = (uint8_t)pick(TASK_PRIORITIES),
		.retries = (uint32_t)pick(3),
		.posted_us = fx->now_us,
		.delay_us = pick(4) == 0 ? 1 + pick(2000) : 0,
		.expires_us = pick(5) == 0 ? fx->now_us + 1 + pick(3000) : 0,
		.timeout_us = pick(3) == 0 ? 1 + pick(3000) : 0,
		.timer_us = MODEL_NEVER};
}

/* What a post must answer; *ret_m: its cell. */
static int model_post(const struct mtask *what, uint64_t room_us, struct mtask **ret_m)
{
	struct counters *counters = &what->pool->counters;
	struct mtask *other;
	bool has_room;

	if (model.stop != STOP_RUNNING) {
		counters->refused++;
		return -ESHUTDOWN;
	}
	other = what->key != 0 ? model_by_key(what->handler, what->owner, what->key) : NULL;
	if (other != NULL) {
		bool joins = fx->handlers[what->handler].unique == UNIQUE_JOIN;
		bool may_not_wait = joins && other->in_room && room_us == 0;

		*(joins && !may_not_wait ? &counters->joined : &counters->refused) += 1;
		*ret_m = other;
		return may_not_wait ? -EAGAIN : -EEXIST;
	}
	has_room = model_has_room(what->pool, what->handler, what->delay_us > 0);
	if (!has_room && room_us == 0) {
		counters->refused++;
		return -EAGAIN;
	}
	*ret_m = model_new_cell();
	**ret_m = *what;
	if (has_room)
		model_admit(*ret_m);
	else
		model_enter_room(*ret_m, room_us);
	return 0;
}

static void do_post(void)
{
	struct mtask what = make_task(), *m = NULL;
	uint64_t room_us = pick(3) == 0 ? 1 + pick(3000) : 0;
	struct post post = make_post(&what, room_us);
	struct task *task = NULL;
	int expected, r;

	model_look(false);
	expected = model_post(&what, room_us, &m);
	r = board_post(fx->board, &post, fx->now_us, &task);
	MUST(r == expected);
	MUST(r != -EEXIST || task == m->task);
	if (r == 0) {
		m->task = task;
		heard_init(&m->heard, &task->watches);
	}
}

static void do_leave(void)
{
	struct mtask *m = &model.tasks[pick(MODEL_TASKS)];

	if (!m->in_room)
		return;
	m->pool->n_room--;
	board_leave_room(fx->board, m->task);
	model_drop(m);
}

/* Also one that nobody waits for. */
static void do_finish(void)
{
	uint8_t outcome = (uint8_t)pick(RESULT_OUTCOMES);
	const struct result result = {.outcome = outcome};
	struct mtask *m = pick_task(pick(4) != 0 ? TASK_ACTIVE : (uint8_t)pick(TASK_STATES));
	uint32_t attempt = m != NULL ? m->attempt + (pick(8) == 0) : 0;
	bool is_stale = m == NULL || m->state != TASK_ACTIVE || m->attempt != attempt;
	int expected = is_stale ? -ENOENT : m->unsent ? -EPROTO : 0;

	if (m != NULL)
		m->pool->counters.stale += is_stale;
	if (expected == 0)
		model_attempt_ends(m, (enum how)outcome);
	MUST(board_finish(fx->board, m != NULL ? m->id : model.last_id + 1, attempt, &result,
		     fx->now_us) == expected);
}

static void cancel(struct mtask *m)
{
	int expected = -EPROTO; /* it has ended */

	if (m->state == TASK_QUEUED || m->state == TASK_DELAYED) {
		expected = 0;
		model_end(m, TASK_CANCELLED);
	} else if (m->state == TASK_ACTIVE) {
		expected = m->cancelled ? -EALREADY : 0;
		if (!m->cancelled) {
			model_step(m, TASK_ACTIVE);
			m->is_news = true;
		}
		m->cancelled = true;
		model_ask(m);
	}
	MUST(board_cancel(fx->board, m->task, fx->now_us) == expected);
}

static void do_cancel(void)
{
	struct mtask *m = pick_task((uint8_t)pick(TASK_STATES));

	if (m != NULL)
		cancel(m);
}

static int model_try_retry(struct mtask *m)
{
	if (m->state < TASK_FAILED)
		return -EPROTO;
	if (m->changed)
		return -EBUSY;
	if (model.stop != STOP_RUNNING)
		return -ESHUTDOWN;
	if (!model_has_room(m->pool, m->handler, false))
		return -EAGAIN;
	if (m->key != 0 && model_by_key(m->handler, m->owner, m->key) != NULL)
		return -EEXIST;
	model_retry(m);
	return 0;
}

static void do_retry(void)
{
	struct mtask *m = pick_task((uint8_t)pick(TASK_STATES));
	int expected;

	if (m == NULL)
		return;
	model_look(false);
	expected = model_try_retry(m);
	MUST(board_retry(fx->board, m->task, fx->now_us) == expected);
	if (expected == 0 && pick(3) == 0) {
		model_compare(); /* who has which worker */
		cancel(m);
	}
}

static void do_host_gone(void)
{
	struct mpool *p = pick_pool();
	uint64_t which = pick(3);
	char *host = which < 2 ? &p->hosts[which] : p->alone_host;
	uint32_t n = 0, n_begun = 0;
	bool by_us = pick(3) == 0;

	for (struct mtask *m = model_next(NULL); m != NULL; m = model_next(m))
		n_begun += m->pool == p && m->state == TASK_ACTIVE && m->host == host && !m->unsent;
	if (p->host == host)
		p->host = NULL;
	if (p->alone == host)
		p->alone = NULL;
	for (uint32_t worker = 0; worker < MODEL_WORKERS; worker++) {
		struct mtask *m = model_find(p, TASK_ACTIVE, worker, host);

		n += m != NULL;
		if (m != NULL)
			model_attempt_ends(m, by_us          ? HOW_HOST_BY_US
					      : n_begun == 1 ? HOW_HOST
							     : HOW_HOST_SHARED);
	}
	MUST(board_host_gone(fx->board, p->pool, host, by_us, fx->now_us) == n);
}

/* A host comes up where there is none, or follows one that is condemned and keeps its tasks; or one for suspects. */
static void do_host_up(void)
{
	struct mpool *p = pick_pool();
	char *next = &p->hosts[p->host == p->hosts];

	if (pick(2) == 0) {
		if (p->alone != NULL ||
			model_find(p, TASK_ACTIVE, MODEL_ANY, p->alone_host) != NULL)
			return;
		p->alone = p->alone_host;
		slots_alone_up(&p->pool->slots, p->alone);
		return;
	}
	if (model_find(p, TASK_ACTIVE, MODEL_ANY, next) != NULL)
		return;
	if (p->host != NULL)
		slots_down(&p->pool->slots, p->host);
	slots_up(&p->pool->slots, next);
	p->host = next;
}

static void do_change(void)
{
	struct mpool *p = pick_pool();
	const uint64_t capacity = p->capacity;

	if (pick(2) == 0)
		p->workers = 1 + (uint32_t)pick(MODEL_WORKERS);
	else if (pick(2) == 0)
		p->capacity = pick(3) == 0 ? 0 : pick(20);
	else
		p->paused = !p->paused;
	p->is_over |= p->capacity < capacity;
	p->pool->capacity = p->capacity;
	p->pool->paused = p->paused;
	MUST(pool_resize(p->pool, p->workers) == 0);
}

static struct settings_resource make_limits(void)
{
	return (struct settings_resource){.max_active = pick(2) * (3 + pick(3)),
		.rate = pick(3) * 800,
		.burst = 1 + pick(3),
		.breaker_failures = pick(3),
		.breaker_pause_us = 200 + pick(2000)};
}

static void do_limits(void)
{
	unsigned handler = (unsigned)pick(FIXTURE_HANDLERS);
	uint32_t resource = (uint32_t)pick(FIXTURE_RESOURCES);
	struct settings_resource limits = make_limits();

	fx->settings.daemon.max_active = pick(2) * (2 + pick(8));
	fx->handlers[handler].max_active = pick(2) * (1 + pick(4));
	fx->handlers[handler].weight = 1 + pick(3);
	fx->handlers[handler].crash_max = 1 + pick(3);
	model_set_limits(resource, &limits);
	reload_set_limits(fx->board);
}

/* Some stage of a stop, also one that is over already. */
static void do_stop(void)
{
	enum stop_state stop = (enum stop_state)pick(STOP_ENDING + 1);

	for (struct mpool *p = model.pools; stop > model.stop && p < model.pools + FIXTURE_POOLS;
		p++) {
		for (struct mtask *m = model.tasks; m < model.tasks + MODEL_TASKS; m++)
			if (m->pool == p && m->in_room)
				model_refuse(m, -ESHUTDOWN);
		if (!model.keeps && (stop != STOP_DRAINING || p->paused))
			model_cancel_waiting(p);
		for (uint32_t worker = 0; worker < MODEL_WORKERS && stop == STOP_ENDING; worker++) {
			struct mtask *m = model_find(p, TASK_ACTIVE, worker, NULL);

			if (m == NULL)
				continue;
			m->stopped = true;
			model_ask(m);
		}
	}
	model.stop = stop > model.stop ? stop : model.stop;
	board_stop(fx->board, stop, fx->now_us);
}

/* All timers that are due, the earliest first, then the one that was set first. */
static void do_deadlines(void)
{
	model.floor_us = fx->now_us + 1;
	for (;;) {
		struct mtask *first = NULL;

		for (struct mtask *m = model.tasks; m < model.tasks + MODEL_TASKS; m++)
			if (m->pool != NULL && m->refusal == 0 && m->timer_us <= fx->now_us &&
				(first == NULL || m->timer_us < first->timer_us ||
					(m->timer_us == first->timer_us &&
						m->timer_set < first->timer_set)))
				first = m;
		if (first == NULL)
			break;
		model_fire_timer(first);
	}
	model.floor_us = 0;
	deadline_run(&fx->board->deadlines, fx->now_us);
}

static void do_sched(void)
{
	model_look(true);
	model_sched();
	MUST(sched_run(fx->board, fx->now_us) == 0);
	fixture_check_served(fx);
	for (struct mpool *p = model.pools; p < model.pools + FIXTURE_POOLS; p++)
		p->is_over = model_waiting(p) > p->capacity;
}

static void do_settle(void)
{
	board_settle(fx->board, fx->now_us);
	model_settle();
}

static void do_undo(void)
{
	board_undo(fx->board, -ENOSPC);
	model_undo();
}

/* What net does; some of it may stay for a later turn. Then the sweep. */
static void do_hand_over(void)
{
	bool all = pick(4) != 0;
	struct task *task;

	while ((all || pick(3) != 0) && (task = board_take_start(fx->board)) != NULL)
		model_by_id(task->id)->unsent = model_by_id(task->id)->on_starts = false;
	while ((all || pick(3) != 0) && (task = board_take_ask(fx->board)) != NULL)
		model_by_id(task->id)->on_asks = false;
	while (pick(3) != 0 && (task = board_take_stuck(fx->board)) != NULL)
		model_by_id(task->id)->on_stuck = false;
	board_sweep(fx->board);
}

/* --- boards -------------------------------------------------------------------------------- */

static void run(void (*command)(void))
{
	command();
	model_compare();
}

/* One turn: many commands, one commit, which may fail. */
static void do_turn(bool is_stopping)
{
	static void (*const commands[])(void) = {do_post, do_post, do_post, do_post, do_finish,
		do_finish, do_finish, do_host_up, do_change, do_cancel, do_retry, do_leave};

	fx->now_us += pick(40) == 0 ? 8 * US_PER_SEC : pick(4) == 0 ? pick(2500) : pick(50);
	for (uint64_t n = pick(14); n > 0; n--)
		run(pick(40) == 0       ? do_host_gone
			: pick(90) == 0 ? do_limits
					: commands[pick(ARRAY_SIZE(commands))]);
	run(do_deadlines);
	run(do_sched);
	if (pick(2) == 0) { /* nothing says that a turn does this once */
		run(do_post);
		run(do_sched);
	}
	if (is_stopping && pick(6) == 0)
		run(do_stop);
	run(pick(8) == 0 ? do_undo : do_settle);
	run(do_hand_over);
}

static void open_handlers(void)
{
	for (unsigned i = 0; i < FIXTURE_HANDLERS; i++) {
		struct settings_handler *row = &fx->handlers[i];

		row->kill_after_us = pick(2000);
		row->backoff_min_us = 1 + pick(300);
		row->backoff_max_us = row->backoff_min_us + pick(1000);
		row->on_crash = pick(4) == 0 ? ON_CRASH_LOST : ON_CRASH_RETRY;
		row->crash_max = 1 + pick(3);
		row->max_active = pick(2) * (1 + pick(4));
		row->weight = 1 + pick(3);
		row->unique = (int)pick(2);
		for (uint32_t j = 0; j < FIXTURE_RESOURCES; j++)
			if (pick(2) == 0)
				fixture_use(fx, i, j);
	}
}

static void model_open(void)
{
	memset(&model, 0, sizeof model);
	fixture_step = 0;
	fixture_init(fx, MODEL_WORKERS / 2, pick(20));
	fx->settings.daemon.history_max = pick(4) == 0 ? 0 : pick(60);
	fx->settings.daemon.history_age_us = pick(2) == 0 ? 1 + pick(20000) : 3600000000;
	fx->settings.daemon.max_active = pick(2) * (2 + pick(8));
	open_handlers();
	for (uint32_t i = 0; i < FIXTURE_RESOURCES; i++) {
		const struct settings_resource limits = make_limits();

		model_set_limits(i, &limits);
		model.resources[i].tokens_ns = INT64_MAX / 4; /* full */
	}
	fixture_open(fx);
	model.keeps = fx->board->keeps = pick(3) == 0;
	heard_init(&model.on_settled, &fx->board->settled);
	for (unsigned i = 0; i < FIXTURE_POOLS; i++) {
		model.pools[i] = (struct mpool){.pool = i == 0 ? fx->pool : fx->other,
			.hosts = &fx->hosts[2 * i],
			.alone_host = &fx->hosts[4 + i],
			.workers = fx->pools[i].workers.number,
			.capacity = fx->pools[i].capacity};
		slots_down(&model.pools[i].pool->slots, &fx->hosts[i]);
	}
}

/* Turns, then a stop in random stages until nothing is left. */
static unsigned long run_board(void)
{
	model_open();
	while (fixture_step < COMMANDS)
		do_turn(false);
	while (!board_is_stopped(fx->board)) {
		MUST(fixture_step < 20ul * COMMANDS);
		do_turn(true);
	}
	fixture_close(fx); /* takes on_settled off */
	return fixture_step;
}

START_TEST(test_board_is_as_the_model_says)
{
	static const uint64_t seeds[] = {1, 2, 3, 20, 500, 0xdeadbeef};
	const char *env = getenv("CHECK_SEED");
	unsigned long sum = 0;

	seed = env != NULL ? strtoull(env, NULL, 0) : seeds[_i];
	printf("CHECK_SEED=%llu\n", (unsigned long long)seed);
	(void)fflush(stdout);
	for (unsigned n = 0; n < BOARDS; n++)
		sum += run_board();
	printf("%lu commands compared\n", sum);
	for (unsigned state = TASK_QUEUED; state < TASK_STATES; state++)
		ck_assert_uint_gt(model_seen.state[state], 0);
	ck_assert(model_seen.trials > 0 && model_seen.stuck > 0 && model_seen.alone > 0);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("model");

	tcase_set_timeout(tcase, 600);
	tcase_add_loop_test(
		tcase, test_board_is_as_the_model_says, 0, getenv("CHECK_SEED") != NULL ? 1 : 6);
	return fixture_run("model", tcase);
}
