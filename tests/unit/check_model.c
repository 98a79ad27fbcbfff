/*
 * check_model: random turns of a board beside a model of it that is too plain to be wrong: one array of tasks, searched from
 * end to end; who starts next is the one with the least id. After each command every number of both is compared, and
 * fixture_check() looks at the board's lists. CHECK_SEED=n runs that seed only; the seed is printed.
 */
#include <stdio.h>

#include "core_fixture.h"

#define BOARDS   16   /* a seed's boards, one after the other, each stopped at the end */
#define COMMANDS 3200 /* for each board */
#define TASKS                                                                                      \
	256 /* that are known at one time: more than capacities, workers and histories allow */
#define WORKERS 8

struct mtask {
	uint64_t id; /* 0: the cell is free */
	struct mpool *pool;
	uint8_t state, saved;
	bool changed, unsent, asked, on_asks, overdue, stopped;
	uint32_t attempt, worker;
	const void *host;
	uint64_t timeout_us, limit_us, ended_us, end_number;
	unsigned heard_times; /* how often its watch should have fired */
	struct heard heard;
};

struct mpool {
	struct pool *pool;
	char *hosts; /* two: one that is up, one that is condemned */
	uint32_t workers;
	uint64_t capacity;
	bool paused;
	char *host; /* NULL: none is up */
	uint64_t count[TASK_STATES], max_queued, max_active, runs;
	struct counters counters;
	bool is_disturbed; /* since the last turn something took free workers or places away */
};

static struct fixture fx;
static struct mtask tasks[TASKS];
static struct mpool pools[FIXTURE_POOLS];
static uint64_t seed, last_id, n_ends, n_commits;
static struct heard on_settled;

static uint64_t pick(uint64_t n)
{
	return fixture_random(&seed) % n;
}

static struct mpool *pick_pool(void)
{
	return &pools[pick(FIXTURE_POOLS)];
}

static void model_step(struct mtask *m, uint8_t state)
{
	if (m->state != TASK_NEW)
		m->pool->count[m->state]--;
	if (state != TASK_NEW)
		m->pool->count[state]++;
	m->state = state;
	m->changed = true;
}

/* All tasks one after the other: the first one behind NULL, NULL behind the last one. */
static struct mtask *next_task(struct mtask *m)
{
	for (m = m == NULL ? tasks : m + 1; m < tasks + TASKS; m++)
		if (m->id != 0)
			return m;
	return NULL;
}

static struct mtask *model_by_id(uint64_t id)
{
	for (unsigned i = 0; i < TASKS; i++)
		if (tasks[i].id == id)
			return &tasks[i];
	return NULL;
}

#define ANY UINT32_MAX

/* The task with the least id of this pool, state, worker (ANY), host (NULL: any). */
static struct mtask *model_find(
	const struct mpool *p, uint8_t state, uint32_t worker, const void *host)
{
	struct mtask *first = NULL;

	for (struct mtask *m = next_task(NULL); m != NULL; m = next_task(m))
		if (m->pool == p && m->state == state && (worker == ANY || m->worker == worker) &&
			(host == NULL || m->host == host) && (first == NULL || m->id < first->id))
			first = m;
	return first;
}

static uint64_t model_free(const struct mpool *p)
{
	uint64_t n = 0;

	for (uint32_t worker = 0; worker < p->workers && p->host != NULL; worker++)
		n += model_find(p, TASK_ACTIVE, worker, NULL) == NULL;
	return n;
}

/* Any task of this state, NULL: none. */
static struct mtask *pick_task(uint8_t state)
{
	size_t from = pick(TASKS);

	for (size_t i = from; i < from + TASKS; i++)
		if (tasks[i % TASKS].id != 0 && tasks[i % TASKS].state == state)
			return &tasks[i % TASKS];
	return NULL;
}

static void model_end(struct mtask *m, uint8_t state)
{
	m->pool->runs += m->state == TASK_ACTIVE;
	model_step(m, state);
	m->unsent = m->on_asks = false;
	m->ended_us = fx.now_us;
	m->end_number = ++n_ends;
}

static void model_ask(struct mtask *m)
{
	if (!m->asked && !m->unsent)
		m->on_asks = true;
	m->asked = true;
}

static void compare_task(const struct mtask *m)
{
	const struct task *task = board_find_task(fx.board, m->id);

	MUST(task != NULL && task->pool == m->pool->pool);
	MUST(task->state == m->state && task->saved == m->saved && task->dirty == m->changed);
	MUST(task->attempt == m->attempt && m->heard.times == m->heard_times);
	MUST(task->unsent == m->unsent && task->on_asks == m->on_asks);
	MUST(task->asked == m->asked && task->overdue == m->overdue && task->stopped == m->stopped);
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
	MUST(pool->slots.n_busy == m->count[TASK_ACTIVE]);
	MUST(stats->max_queued == m->max_queued && stats->max_active == m->max_active);
	MUST(stats->total.count == m->runs && stats->wait.count == m->runs);
}

static void compare(void)
{
	const struct task *task;
	uint64_t n = 0;

	fixture_step++;
	fixture_check(&fx);
	for (unsigned i = 0; i < FIXTURE_POOLS; i++)
		compare_pool(&pools[i]);
	for (struct mtask *m = next_task(NULL); m != NULL; m = next_task(m)) {
		compare_task(m);
		n++;
	}
	TAILQ_FOREACH (task, &fx.board->tasks, in_all)
		n--;
	MUST(n == 0);
	MUST(fx.board->last_id == last_id && on_settled.times == n_commits);
}

static void do_post(void)
{
	struct mpool *p = pick_pool();
	uint64_t room = p->capacity + (p->paused ? 0 : model_free(p));
	uint64_t timeout_us = pick(3) == 0 ? 1 + pick(3000) : 0;
	bool is_stopping = fx.board->stop != STOP_RUNNING;
	struct mtask *m = model_by_id(0);
	struct task *task;
	int r = fixture_try(&fx, p->pool, timeout_us, &task);

	if (is_stopping || p->count[TASK_QUEUED] >= room) {
		MUST(r == (is_stopping ? -ESHUTDOWN : -EAGAIN));
		p->counters.refused++;
		return;
	}
	MUST(r == 0 && m != NULL && task->id == last_id + 1);
	*m = (struct mtask){.id = ++last_id, .pool = p, .timeout_us = timeout_us};
	model_step(m, TASK_QUEUED);
	p->counters.posted++;
	heard_init(&m->heard, &task->watches);
}

/* A result, now and then one that nobody waits for. */
static void do_finish(void)
{
	static const uint8_t states[] = {TASK_DONE, TASK_FAILED, TASK_CANCELLED, TASK_FAILED};
	uint8_t outcome = (uint8_t)pick(RESULT_OUTCOMES), state = states[outcome];
	const struct result result = {.outcome = outcome, .result = VIEW_LIT("{\"x\":1}")};
	struct mtask *m = pick_task(pick(4) != 0 ? TASK_ACTIVE : (uint8_t)pick(TASK_STATES));
	uint32_t attempt = m != NULL ? m->attempt + (pick(8) == 0) : 0;
	bool is_stale = m == NULL || m->state != TASK_ACTIVE || m->attempt != attempt;
	uint64_t id = m != NULL ? m->id : last_id + 1;
	int r = board_finish(fx.board, id, attempt, &result, fx.now_us);

	if (is_stale && m != NULL)
		m->pool->counters.stale++;
	MUST(r == (is_stale ? -ENOENT : m->unsent && outcome != RESULT_CRASHED ? -EPROTO : 0));
	if (r < 0)
		return;
	if (outcome == RESULT_CRASHED) {
		m->pool->counters.crashed++;
	} else if (outcome != RESULT_OK && m->overdue) {
		m->pool->counters.timed_out++;
		state = TASK_FAILED;
	}
	model_end(m, state);
}

static void do_host_gone(void)
{
	struct mpool *p = pick_pool();
	char *host = &p->hosts[pick(2)];
	uint32_t n = 0;

	for (uint32_t worker = 0; worker < WORKERS; worker++) {
		struct mtask *m = model_find(p, TASK_ACTIVE, worker, host);

		n += m != NULL;
		if (m != NULL)
			model_end(m, TASK_FAILED);
	}
	p->counters.crashed += n;
	if (p->host == host)
		p->host = NULL;
	p->is_disturbed = true;
	MUST(board_host_gone(fx.board, p->pool, host, fx.now_us) == n);
}

/* A host comes up where there is none, or follows one that is condemned and keeps its tasks. */
static void do_host_up(void)
{
	struct mpool *p = pick_pool();
	char *next = &p->hosts[p->host == p->hosts];

	if (model_find(p, TASK_ACTIVE, ANY, next) != NULL)
		return;
	if (p->host != NULL)
		slots_down(&p->pool->slots, p->host);
	slots_up(&p->pool->slots, next);
	p->host = next;
}

static void do_change(void)
{
	struct mpool *p = pick_pool();
	uint64_t capacity = p->capacity;
	uint32_t workers = p->workers;

	if (pick(2) == 0)
		p->workers = 1 + (uint32_t)pick(WORKERS);
	else if (pick(2) == 0)
		p->capacity = pick(3) == 0 ? 0 : pick(20);
	else if (fx.board->stop == STOP_RUNNING)
		p->paused = !p->paused;
	p->is_disturbed |= p->workers < workers || p->capacity < capacity || p->paused;
	p->pool->capacity = p->capacity;
	p->pool->paused = p->paused;
	MUST(pool_resize(p->pool, p->workers) == 0);
}

/* Some stage of a stop, also one that is over already. */
static void do_stop(void)
{
	enum stop_state stop = (enum stop_state)pick(STOP_ENDING + 1);

	for (struct mpool *p = pools; p < pools + FIXTURE_POOLS && stop > fx.board->stop; p++) {
		struct mtask *m;

		while ((stop != STOP_DRAINING || p->paused) &&
			(m = model_find(p, TASK_QUEUED, ANY, NULL)) != NULL)
			model_end(m, TASK_CANCELLED);
		for (uint32_t worker = 0; worker < WORKERS && stop == STOP_ENDING; worker++) {
			m = model_find(p, TASK_ACTIVE, worker, NULL);
			if (m != NULL) {
				m->stopped = true;
				model_ask(m);
			}
		}
	}
	board_stop(fx.board, stop, fx.now_us);
}

static void do_deadlines(void)
{
	for (struct mtask *m = next_task(NULL); m != NULL; m = next_task(m))
		if (m->state == TASK_ACTIVE && m->limit_us <= fx.now_us && !m->overdue) {
			m->overdue = true;
			model_ask(m);
		}
	deadline_run(&fx.board->deadlines, fx.now_us);
}

/* Which of the free workers a task gets is the pool's choice; that it was free is not. */
static void model_start(struct mtask *m)
{
	const struct task *task = board_find_task(fx.board, m->id);

	MUST(task != NULL && task->slot != NULL && task->slot->id < m->pool->workers);
	MUST(model_find(m->pool, TASK_ACTIVE, task->slot->id, NULL) == NULL);
	m->worker = task->slot->id;
	m->host = m->pool->host;
	m->attempt++;
	m->unsent = true;
	m->limit_us = m->timeout_us > 0 ? fx.now_us + m->timeout_us : UINT64_MAX;
	model_step(m, TASK_ACTIVE);
}

static void do_sched(void)
{
	MUST(sched_run(fx.board, fx.now_us) == 0);
	for (struct mpool *p = pools; p < pools + FIXTURE_POOLS; p++) {
		const uint64_t *n = p->count;

		for (uint64_t ready = p->paused ? 0 : model_free(p); ready > 0; ready--)
			if (n[TASK_QUEUED] > 0)
				model_start(model_find(p, TASK_QUEUED, ANY, NULL));
		MUST(p->is_disturbed || n[TASK_QUEUED] <= p->capacity);
		p->is_disturbed = n[TASK_QUEUED] > p->capacity;
		if (n[TASK_QUEUED] > p->max_queued)
			p->max_queued = n[TASK_QUEUED];
		if (n[TASK_ACTIVE] > p->max_active)
			p->max_active = n[TASK_ACTIVE];
	}
}

/* The history: the oldest ends go while there are too many, or they are too old. */
static void model_trim(void)
{
	const struct settings_daemon *keep = &fx.settings.daemon;

	for (;;) {
		struct mtask *oldest = NULL;
		uint64_t n = 0;

		for (struct mtask *m = next_task(NULL); m != NULL; m = next_task(m)) {
			if (m->state < TASK_DONE)
				continue;
			n++;
			if (oldest == NULL || m->end_number < oldest->end_number)
				oldest = m;
		}
		if (oldest == NULL || (n <= keep->history_max &&
					      fx.now_us - oldest->ended_us < keep->history_age_us))
			return;
		oldest->id = 0;
	}
}

static void do_settle(void)
{
	board_settle(fx.board, fx.now_us);
	n_commits++;
	for (struct mtask *m = next_task(NULL); m != NULL; m = next_task(m)) {
		if (!m->changed)
			continue;
		m->heard_times++;
		MUST(m->heard.error == 0 && m->heard.state == m->state && m->heard.id == m->id);
		m->changed = false;
		m->saved = m->state;
	}
	model_trim();
}

static void do_undo(void)
{
	board_undo(fx.board, -ENOSPC);
	n_commits++;
	for (struct mtask *m = next_task(NULL); m != NULL; m = next_task(m)) {
		m->pool->is_disturbed = true; /* what had a worker waits again */
		if (m->saved == TASK_NEW) {
			MUST(m->heard.times == 1 && m->heard.error == -ENOSPC);
			MUST(m->heard.state == TASK_NEW);
			model_step(m, TASK_NEW);
			m->pool->counters.posted--;
			m->pool->counters.refused++;
			m->id = 0;
		} else if (m->state == TASK_ACTIVE && m->changed) {
			model_step(m, TASK_QUEUED);
			m->attempt--;
			m->unsent = m->changed = false;
		}
	}
}

/* What net does; some of it may stay for a later turn. Then the sweep. */
static void do_hand_over(void)
{
	bool all = pick(4) != 0;
	struct task *task;

	while ((all || pick(3) != 0) && (task = fixture_take_start(&fx)) != NULL)
		model_by_id(task->id)->unsent = false;
	while ((all || pick(3) != 0) && (task = fixture_take_ask(&fx)) != NULL)
		model_by_id(task->id)->on_asks = false;
	board_sweep(fx.board);
}

static void run(void (*command)(void))
{
	command();
	compare();
}

/* One turn: many commands, one commit, which may fail. */
static void do_turn(void)
{
	static void (*const commands[])(void) = {
		do_post, do_post, do_post, do_finish, do_finish, do_host_up, do_change};

	fx.now_us += pick(4) == 0 ? pick(2500) : pick(50);
	for (uint64_t n = pick(12); n > 0; n--)
		run(pick(60) == 0 ? do_host_gone : commands[pick(ARRAY_SIZE(commands))]);
	run(do_deadlines);
	for (uint64_t n = pick(10) == 0 ? 0 : 1 + pick(2); n > 0; n--) {
		run(do_sched);
		if (n > 1) /* nothing says that a turn does this once */
			run(do_post);
	}
	run(pick(8) == 0 ? do_undo : do_settle);
	run(do_hand_over);
}

static void model_open(void)
{
	memset(tasks, 0, sizeof tasks);
	last_id = n_ends = n_commits = fixture_step = 0;
	fixture_init(&fx, WORKERS / 2, pick(20));
	fx.settings.daemon.history_max = pick(4) == 0 ? 0 : pick(60);
	fx.settings.daemon.history_age_us = pick(2) == 0 ? 1 + pick(20000) : 3600000000;
	fixture_open(&fx);
	heard_init(&on_settled, &fx.board->settled);
	slots_down(&fx.pool->slots, &fx.hosts[0]);
	slots_down(&fx.other->slots, &fx.hosts[1]);
	for (unsigned i = 0; i < FIXTURE_POOLS; i++)
		pools[i] = (struct mpool){.pool = i == 0 ? fx.pool : fx.other,
			.hosts = &fx.hosts[2 * i],
			.workers = fx.pools[i].workers.number,
			.capacity = fx.pools[i].capacity};
}

/* Turns, then a stop in random stages until nothing is left. */
static unsigned long run_board(void)
{
	model_open();
	while (fixture_step < COMMANDS)
		do_turn();
	while (!board_is_stopped(fx.board)) {
		MUST(fixture_step < 20ul * COMMANDS);
		if (pick(6) == 0)
			run(do_stop);
		do_turn();
	}
	watch_remove(&on_settled.watch);
	fixture_close(&fx);
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
