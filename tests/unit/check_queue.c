/*
 * check_queue: by priority, then first in first out, over all lanes; who comes back has its place; a lane that is held back
 * steps aside with all that is in it, at no cost for the others.
 */
#include "core/queue.h"

#include "core_fixture.h"

#define HANDLERS 3
#define TASKS    8

static struct task *tasks[TASKS + 1]; /* by id; [0] is not used */
static struct handler handlers[HANDLERS];
static struct resource holder;
static struct queue queue;
static struct pool *no_pool; /* tasks here are in no pool */

/* Task i is for handler i % 3; all have priority 5. */
static void setup(void)
{
	ck_assert_int_eq(queue_init(&queue, HANDLERS), 0);
	TAILQ_INIT(&holder.waiting);
	for (size_t i = 0; i < HANDLERS; i++) {
		handlers[i] = (struct handler){.index = i};
		ck_assert_int_eq(queue_open_lane(&queue, i), 0);
	}
	for (unsigned i = 1; i <= TASKS; i++) {
		tasks[i] = task_new(view_of(NULL), view_of(NULL), view_of(NULL));
		ck_assert_ptr_nonnull(tasks[i]);
		tasks[i]->id = i;
		tasks[i]->handler = &handlers[i % HANDLERS];
		tasks[i]->pool = no_pool;
		tasks[i]->state = TASK_QUEUED;
		tasks[i]->priority = 5;
	}
}

static void teardown(void)
{
	queue_done(&queue);
	for (unsigned i = 1; i <= TASKS; i++)
		task_free(tasks[i]);
}

static void check(void)
{
	uint64_t n_ready = 0;

	for (size_t i = 0; i < HANDLERS; i++) {
		fixture_check_lane(&queue, no_pool, queue.lanes[i], i);
		n_ready += heap_is_member(&queue.lanes[i]->node);
	}
	ck_assert_uint_eq(queue.ready.len, n_ready);
}

static void push(unsigned id, uint8_t priority)
{
	tasks[id]->priority = priority;
	queue_push(&queue, tasks[id]);
	check();
}

/* Takes all out and compares their ids: a digit each. */
static void expect(const char *ids)
{
	for (; *ids != '\0'; ids++) {
		struct task *task = queue_first(&queue);

		ck_assert_ptr_nonnull(task);
		ck_assert_uint_eq(task->id, (unsigned)(*ids - '0'));
		queue_remove(&queue, task);
		check();
	}
	ck_assert_ptr_null(queue_first(&queue));
}

/* What pool.c does when the first task's handler is held back. */
static struct lane *hold(unsigned id)
{
	struct lane *lane = queue_hold(&queue, tasks[id], &holder);

	TAILQ_INSERT_TAIL(&holder.waiting, lane, in_waiting);
	check();
	return lane;
}

static void release(struct lane *lane)
{
	TAILQ_REMOVE(&holder.waiting, lane, in_waiting);
	lane_release(lane);
	check();
}

START_TEST(test_queue_is_empty_at_first)
{
	ck_assert_ptr_null(queue_first(&queue));
}
END_TEST

START_TEST(test_queue_gives_first_what_came_first_over_all_lanes)
{
	for (unsigned i = 1; i <= TASKS; i++)
		push(i, 5);
	expect("12345678");
}
END_TEST

START_TEST(test_queue_gives_by_priority_then_by_entry)
{
	static const uint8_t priorities[TASKS] = {9, 0, 5, 9, 0, 5, 1, 0};

	for (unsigned i = 1; i <= TASKS; i++)
		push(i, priorities[i - 1]);
	expect("25873614");
}
END_TEST

START_TEST(test_queue_puts_those_that_come_back_where_they_were)
{
	for (unsigned i = 1; i <= TASKS; i++)
		push(i, 5);
	for (unsigned i = 1; i <= 5; i++)
		queue_remove(&queue, tasks[i]);
	queue_push_back(&queue, tasks[4]);
	queue_push_back(&queue, tasks[1]);
	queue_push_back(&queue, tasks[2]);
	check();
	push(3, 5); /* entered again: behind all */
	expect("1246783");
}
END_TEST

START_TEST(test_queue_lets_go_of_any)
{
	for (unsigned i = 1; i <= 7; i++)
		push(i, 5);
	queue_remove(&queue, tasks[1]);
	queue_remove(&queue, tasks[4]);
	queue_remove(&queue, tasks[7]); /* the lane is empty */
	check();
	push(4, 5);
	expect("23564");
}
END_TEST

START_TEST(test_queue_keeps_suspects_apart)
{
	for (unsigned i = 1; i <= 4; i++)
		push(i, 5);
	for (unsigned i = 1; i <= 2; i++) {
		queue_remove(&queue, tasks[3 - i]);
		tasks[3 - i]->suspect = true;
		queue_push_back(&queue, tasks[3 - i]);
	}
	ck_assert_ptr_eq(TAILQ_FIRST(&queue.suspects), tasks[1]);
	ck_assert_ptr_eq(TAILQ_NEXT(tasks[1], in_place), tasks[2]);
	queue_remove(&queue, tasks[1]);
	ck_assert_ptr_eq(TAILQ_FIRST(&queue.suspects), tasks[2]);
	expect("34");
	queue_remove(&queue, tasks[2]);
	ck_assert(TAILQ_EMPTY(&queue.suspects));
}
END_TEST

START_TEST(test_queue_passes_over_a_lane_that_is_held_back)
{
	struct lane *lane;

	for (unsigned i = 1; i <= TASKS; i++)
		push(i, 5);
	lane = hold(1); /* 1, 4 and 7 */
	ck_assert_ptr_eq(queue_first(&queue), tasks[2]);
	queue_remove(&queue, tasks[2]);
	queue_remove(&queue, tasks[1]); /* also those that are held back may go */
	queue_push_back(&queue, tasks[1]);
	check();
	release(lane);
	expect("1345678");
}
END_TEST

START_TEST(test_queue_lane_that_is_held_back_grows_unseen)
{
	struct lane *lane;

	push(1, 5);
	lane = hold(1);
	push(4, 0);
	ck_assert_ptr_null(queue_first(&queue));
	push(2, 9);
	ck_assert_ptr_eq(queue_first(&queue), tasks[2]);
	release(lane);
	expect("412");
}
END_TEST

START_TEST(test_queue_lane_that_is_emptied_waits_for_nothing)
{
	push(1, 5);
	(void)hold(1);
	queue_remove(&queue, tasks[1]);
	ck_assert(TAILQ_EMPTY(&holder.waiting));
	push(4, 5);
	expect("4");
}
END_TEST

/* Against a search from end to end, with everything that may happen to a queue. */
START_TEST(test_queue_order_is_right_for_random_use)
{
	uint64_t seed = 7;
	bool is_in[TASKS + 1] = {false};

	for (unsigned round = 0; round < 30000; round++) {
		unsigned id = 1 + (unsigned)(fixture_random(&seed) % TASKS);
		struct lane *lane = queue.lanes[id % HANDLERS];
		const struct task *best = NULL;

		fixture_step = round;
		if (fixture_random(&seed) % 4 == 0) {
			if (lane->holder != NULL)
				release(lane);
			else if (lane->len > 0)
				(void)hold(id);
		} else if (is_in[id]) {
			queue_remove(&queue, tasks[id]);
			is_in[id] = false;
			if (fixture_random(&seed) % 3 == 0) {
				queue_push_back(&queue, tasks[id]);
				is_in[id] = true;
			}
		} else {
			push(id, (uint8_t)(fixture_random(&seed) % TASK_PRIORITIES));
			is_in[id] = true;
		}
		check();
		for (unsigned i = 1; i <= TASKS; i++)
			if (is_in[i] && queue.lanes[i % HANDLERS]->holder == NULL &&
				(best == NULL || tasks[i]->priority < best->priority ||
					(tasks[i]->priority == best->priority &&
						tasks[i]->seq < best->seq)))
				best = tasks[i];
		MUST(queue_first(&queue) == best);
	}
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("queue");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_queue_is_empty_at_first);
	tcase_add_test(tcase, test_queue_gives_first_what_came_first_over_all_lanes);
	tcase_add_test(tcase, test_queue_gives_by_priority_then_by_entry);
	tcase_add_test(tcase, test_queue_puts_those_that_come_back_where_they_were);
	tcase_add_test(tcase, test_queue_lets_go_of_any);
	tcase_add_test(tcase, test_queue_keeps_suspects_apart);
	tcase_add_test(tcase, test_queue_passes_over_a_lane_that_is_held_back);
	tcase_add_test(tcase, test_queue_lane_that_is_held_back_grows_unseen);
	tcase_add_test(tcase, test_queue_lane_that_is_emptied_waits_for_nothing);
	tcase_add_test(tcase, test_queue_order_is_right_for_random_use);
	return fixture_run("queue", tcase);
}
