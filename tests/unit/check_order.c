/*
 * check_order: 200,000 tasks with random priorities, handlers and delays in a simulated clock start in the order that a
 * plain model says, none early, none missing; and what waits costs nothing: neither those that are delayed nor those that a
 * cap holds back.
 */
#include <stdio.h>

#include "core_fixture.h"

#define TASKS   200000
#define WORKERS 64

static struct fixture fx;

/* How often pool.c asks whether a task may start (the linker puts this in between). */
enum hold __real_resource_check(
	const struct resource *resource, uint64_t weight, uint64_t now_us, uint64_t *ret_until_us);
enum hold __wrap_resource_check(
	const struct resource *resource, uint64_t weight, uint64_t now_us, uint64_t *ret_until_us);
static uint64_t n_checks;

enum hold __wrap_resource_check(
	const struct resource *resource, uint64_t weight, uint64_t now_us, uint64_t *ret_until_us)
{
	n_checks++;
	return __real_resource_check(resource, weight, now_us, ret_until_us);
}

/* The model: what is delayed, sorted once by when it is due; and a plain list of ids for each priority. */
struct delayed {
	uint64_t due_us;
	uint32_t id;
};

static struct {
	uint8_t priority[TASKS + 1];
	uint64_t due_us[TASKS + 1];
	struct delayed delayed[TASKS];
	size_t n_delayed;
	uint32_t list[TASK_PRIORITIES][TASKS];
	size_t first[TASK_PRIORITIES], last[TASK_PRIORITIES];
} model;

static void model_enter(uint32_t id)
{
	model.list[model.priority[id]][model.last[model.priority[id]]++] = id;
}

/* Those that are due, in order of the time, then of their posts. */
static void model_pass(uint64_t now_us)
{
	for (;;) {
		size_t best = SIZE_MAX;

		for (size_t i = 0; i < model.n_delayed; i++)
			if (model.delayed[i].due_us <= now_us &&
				(best == SIZE_MAX ||
					model.delayed[i].due_us < model.delayed[best].due_us ||
					(model.delayed[i].due_us == model.delayed[best].due_us &&
						model.delayed[i].id < model.delayed[best].id)))
				best = i;
		if (best == SIZE_MAX)
			return;
		model_enter(model.delayed[best].id);
		model.delayed[best] = model.delayed[--model.n_delayed];
	}
}

static uint32_t model_next(void)
{
	for (unsigned p = 0; p < TASK_PRIORITIES; p++)
		if (model.first[p] < model.last[p])
			return model.list[p][model.first[p]++];
	return 0;
}

static void post_some(uint64_t *seed, unsigned n)
{
	struct post post = fixture_make_post(&fx, fx.pool);

	while (n-- > 0 && fx.board->last_id < TASKS) {
		uint32_t id = (uint32_t)fx.board->last_id + 1;
		struct task *task;

		post.priority = (uint8_t)(fixture_random(seed) % TASK_PRIORITIES);
		post.delay_us = fixture_random(seed) % 2 == 0 ? 0 : fixture_random(seed) % 3000;
		post.handler = &fx.board->handlers[fixture_random(seed) % FIXTURE_HANDLERS];
		MUST(board_post(fx.board, &post, fx.now_us, &task) == 0 && task->id == id);
		model.priority[id] = post.priority;
		model.due_us[id] = fx.now_us + post.delay_us;
		if (post.delay_us == 0)
			model_enter(id);
		else
			model.delayed[model.n_delayed++] =
				(struct delayed){fx.now_us + post.delay_us, id};
	}
}

/* One commit; returns how many have started, each as the model says. */
static uint32_t start_some(uint32_t ready)
{
	struct task *task;
	uint32_t n = 0;

	deadline_run(&fx.board->deadlines, fx.now_us);
	fixture_sched(&fx);
	board_settle(fx.board, fx.now_us);
	model_pass(fx.now_us);
	for (; (task = board_take_start(fx.board)) != NULL; n++) {
		MUST(n < ready);
		MUST(task->id == model_next());
		MUST(model.due_us[task->id] <= fx.now_us); /* not early */
	}
	if (n < ready)
		MUST(model_next() == 0); /* nobody waits who could run */
	board_sweep(fx.board);
	return n;
}

START_TEST(test_order_is_by_priority_then_by_entry)
{
	uint64_t seed = 11, started = 0, turns = 0;

	fixture_init(&fx, WORKERS, TASKS);
	fx.settings.daemon.history_max = 10;
	fixture_open(&fx);
	while (started < TASKS) {
		uint32_t ready = 0;

		fixture_step = ++turns;
		fx.now_us += fixture_random(&seed) % 200;
		post_some(&seed, (unsigned)(fixture_random(&seed) % 64));
		for (uint32_t i = 0; i < WORKERS; i++) {
			struct task *task = fx.pool->slots.all[i]->task;

			if (task != NULL && fixture_random(&seed) % 2 == 0)
				MUST(fixture_end(&fx, task, RESULT_OK) == 0);
		}
		ready = pool_ready(fx.pool);
		started += start_some(ready);
		MUST(turns < 10 * TASKS);
	}
	ck_assert_uint_eq(started, TASKS);
	ck_assert_uint_eq(pool_waiting(fx.pool), 0);
	printf("%d tasks in %llu turns: 0 early, 0 missing\n", TASKS, (unsigned long long)turns);
	fixture_close(&fx);
}
END_TEST

static uint64_t n_fired;

static void count_fire(struct deadline *deadline, uint64_t now_us)
{
	(void)deadline;
	(void)now_us;
	n_fired++;
}

/* Nodes of the heap that are in another place than before. */
static size_t count_moves(const struct heap *heap, struct heap_node *const *before)
{
	size_t n = 0;

	for (size_t i = 0; i < heap->len; i++)
		n += heap->nodes[i] != before[i];
	return n;
}

/* A million that wait: a tick with nothing due moves nothing, one with k due at most k paths from the root to a leaf. */
START_TEST(test_order_a_million_that_wait_cost_nothing)
{
	enum { MANY = 1000000, DEPTH = 20 };
	struct deadline *all = calloc(MANY, sizeof *all);
	struct heap_node **before = malloc(MANY * sizeof(struct heap_node *));
	struct deadlines deadlines;
	uint64_t seed = 3;

	ck_assert(all != NULL && before != NULL);
	deadlines_init(&deadlines);
	for (size_t i = 0; i < MANY; i++) {
		deadline_init(&all[i], count_fire);
		ck_assert_int_eq(
			deadline_set(&deadlines, &all[i], 1000 + fixture_random(&seed) % 1000000),
			0);
	}
	for (uint64_t now_us = 995; now_us < 1020; now_us++) {
		uint64_t fired = n_fired;

		memcpy(before, deadlines.heap.nodes, deadlines.heap.len * sizeof *before);
		deadline_run(&deadlines, now_us);
		ck_assert_uint_le(
			count_moves(&deadlines.heap, before), (n_fired - fired) * (DEPTH + 1));
	}
	ck_assert_uint_gt(n_fired, 0);
	deadlines_done(&deadlines);
	free(before);
	free(all);
}
END_TEST

/* One task of handler 2 comes, runs and ends; returns how often it was asked whether something may start. */
static uint64_t run_another(void)
{
	struct post post = fixture_make_post(&fx, fx.pool);
	struct task *task;
	uint64_t before = n_checks;

	post.handler = &fx.board->handlers[2];
	task = fixture_post_as(&fx, &post);
	fixture_sched(&fx);
	board_settle(fx.board, fx.now_us);
	fixture_hand_over(&fx);
	ck_assert_uint_eq(task->state, TASK_ACTIVE);
	ck_assert_int_eq(fixture_end(&fx, task, RESULT_OK), 0);
	fixture_sched(&fx);
	board_settle(fx.board, fx.now_us);
	board_sweep(fx.board);
	return n_checks - before;
}

/* _i: what holds them back: 0 the handler's cap, 1 a resource's, 2 a rate, 3 a pause of the breaker. */
START_TEST(test_order_what_is_held_back_costs_nothing)
{
	uint64_t empty, full;

	fixture_init(&fx, 4, 200000);
	fx.settings.daemon.history_max = 0;
	fx.handlers[0].max_active = _i == 0;
	fx.resources[0].max_active = _i == 1;
	fx.resources[0].rate = _i == 2;
	fx.resources[0].breaker_failures = _i == 3;
	fixture_use(&fx, 0, 0);
	fixture_open(&fx);
	empty = run_another();
	for (unsigned i = 0; i < 100000; i++)
		(void)fixture_post(&fx);
	fixture_sched(&fx);
	board_settle(fx.board, fx.now_us);
	fixture_hand_over(&fx);
	if (_i == 3) {
		for (unsigned i = 0; i < 4; i++)
			ck_assert_int_eq(
				fixture_end(&fx, fx.pool->slots.all[i]->task, RESULT_FAILED), 0);
		fixture_sched(&fx);
		board_settle(fx.board, fx.now_us);
	}
	ck_assert_uint_ge(fx.pool->count[TASK_QUEUED], 99999);
	(void)run_another(); /* the lane steps aside once */
	full = run_another();
	/* At most one look at the lane that waits, for each end: not one for each task. */
	ck_assert_uint_le(full, empty + 2 * FIXTURE_HANDLERS);
	n_checks = 0;
	for (unsigned i = 0; i < 1000; i++)
		(void)run_another();
	ck_assert_uint_le(n_checks, 1000 * (empty + 2 * FIXTURE_HANDLERS));
	fixture_close(&fx);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("order");

	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, test_order_is_by_priority_then_by_entry);
	tcase_add_test(tcase, test_order_a_million_that_wait_cost_nothing);
	tcase_add_loop_test(tcase, test_order_what_is_held_back_costs_nothing, 0, 4);
	return fixture_run("order", tcase);
}
