/*
 * check_post: who comes in when a pool is full. The capacity is never passed, those that wait for room come in in order or
 * are told why not, and a worker that is free is never a reason to refuse.
 */
#include "core_fixture.h"

#define WAITERS 4

static struct fixture fx;
static struct heard heard[WAITERS];
static struct post post;

static void open_pool(uint32_t workers, uint64_t capacity)
{
	fixture_open(&fx);
	ck_assert_int_eq(pool_resize(fx.pool, workers), 0);
	fx.pool->capacity = capacity;
	post = fixture_make_post(&fx, fx.pool);
}

static void setup(void)
{
	fixture_init(&fx, 1, 1);
	open_pool(1, 1);
}

static void teardown(void)
{
	fixture_close(&fx);
}

static void reopen(uint32_t workers, uint64_t capacity)
{
	board_free(fx.board);
	open_pool(workers, capacity);
}

static int try_post(void)
{
	struct task *task;

	return board_post(fx.board, &post, fx.now_us, &task);
}

static struct task *wait_for_room(unsigned i, uint64_t room_us)
{
	struct task *task;

	post.room_us = room_us;
	task = fixture_post_as(&fx, &post);
	post.room_us = 0;
	heard_init(&heard[i], &task->watches);
	return task;
}

/* One runs, one waits; all after it find no room. */
static struct task *fill(void)
{
	struct task *first = fixture_post_as(&fx, &post);

	fixture_turn(&fx, 0);
	(void)fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	ck_assert_int_eq(try_post(), -EAGAIN);
	return first;
}

START_TEST(test_room_is_given_in_order)
{
	struct task *active = fill();

	for (unsigned i = 0; i < WAITERS; i++)
		(void)wait_for_room(i, 1000 * (WAITERS - i));
	fixture_check(&fx);
	ck_assert_uint_eq(fx.pool->n_room, WAITERS);
	for (unsigned i = 0; i < WAITERS; i++) {
		ck_assert_int_eq(fixture_end(&fx, active, RESULT_OK), 0);
		ck_assert_uint_eq(heard[i].times, 0);
		fixture_turn(&fx, 0);
		ck_assert_uint_eq(heard[i].times, 1);
		ck_assert_int_eq(heard[i].error, 0);
		ck_assert_uint_eq(heard[i].id, 3 + i);
		ck_assert_uint_eq(heard[i].state, TASK_QUEUED);
		ck_assert_uint_eq(pool_waiting(fx.pool), 1);
		active = fx.pool->slots.all[0]->task;
		ck_assert_uint_eq(active->id, 2 + i);
	}
	ck_assert_uint_eq(fx.pool->stats.counters.refused, 1);
}
END_TEST

START_TEST(test_room_that_does_not_come_is_told)
{
	struct task *active = fill();

	(void)wait_for_room(0, 300);
	(void)wait_for_room(1, 100);
	fx.now_us += 99;
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(heard[1].times, 0);
	fx.now_us += 1;
	deadline_run(&fx.board->deadlines, fx.now_us);
	ck_assert_uint_eq(heard[1].times, 0);  /* not before the turn's end */
	fixture_turn(&fx, _i == 0 ? 0 : -EIO); /* however the commit goes */
	ck_assert_uint_eq(heard[1].times, 1);
	ck_assert_int_eq(heard[1].error, -EAGAIN);
	ck_assert_ptr_null(heard[1].watch.list); /* it is gone */
	ck_assert_uint_eq(fx.pool->stats.counters.refused, 2);
	ck_assert_uint_eq(fx.pool->stats.counters.posted, 2);
	ck_assert_int_eq(fixture_end(&fx, active, RESULT_OK), 0);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(heard[0].times, 1);
	ck_assert_int_eq(heard[0].error, 0);
}
END_TEST

START_TEST(test_room_ends_with_the_expiry)
{
	(void)fill();
	post.expiry_us = 50;
	(void)wait_for_room(0, 1000);
	fx.now_us += 50;
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(heard[0].times, 1);
	ck_assert_int_eq(heard[0].error, -EAGAIN);
}
END_TEST

START_TEST(test_room_at_a_stop)
{
	(void)fill();
	(void)wait_for_room(0, 1000);
	board_stop(fx.board, (enum stop_state)_i, fx.now_us);
	fixture_check(&fx);
	ck_assert(!board_is_stopped(fx.board));
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(heard[0].times, 1);
	ck_assert_int_eq(heard[0].error, -ESHUTDOWN);
	ck_assert_uint_eq(fx.pool->n_room, 0);
}
END_TEST

START_TEST(test_room_that_nobody_waits_for)
{
	struct task *active = fill(), *first, *refused;

	first = wait_for_room(0, 1000);
	refused = wait_for_room(1, 10);
	(void)wait_for_room(2, 1000);
	board_leave_room(fx.board, first);
	fixture_check(&fx);
	fx.now_us += 10;
	deadline_run(&fx.board->deadlines, fx.now_us);
	board_leave_room(fx.board, refused); /* too late, and no harm */
	fixture_check(&fx);
	ck_assert_int_eq(fixture_end(&fx, active, RESULT_OK), 0);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(heard[0].times, 0);
	ck_assert_int_eq(heard[2].error, 0);
	ck_assert_uint_eq(heard[2].id, 3);
	ck_assert_uint_eq(fx.pool->n_room, 0);
}
END_TEST

START_TEST(test_room_given_by_a_commit_that_fails)
{
	struct task *active = fill();

	(void)wait_for_room(0, 1000);
	ck_assert_int_eq(fixture_end(&fx, active, RESULT_OK), 0);
	fixture_turn(&fx, -ENOSPC);
	ck_assert_uint_eq(heard[0].times, 1);
	ck_assert_int_eq(heard[0].error, -ENOSPC);
	ck_assert_uint_eq(fx.pool->n_room, 0);
	ck_assert_uint_eq(pool_unfinished(fx.pool), 1);
}
END_TEST

START_TEST(test_room_is_not_overtaken)
{
	struct task *active = fill();

	(void)wait_for_room(0, 1000);
	ck_assert_int_eq(fixture_end(&fx, active, RESULT_OK), 0);
	ck_assert_int_eq(try_post(), -EAGAIN); /* the room is the other's */
	fixture_check(&fx);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(heard[0].id, 3);
}
END_TEST

/* Much becomes free at once: all that wait come in, and one more that comes now. */
START_TEST(test_room_for_all_in_one_turn)
{
	struct task *task;

	reopen(4, 2);
	for (unsigned i = 0; i < 6; i++)
		(void)fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	ck_assert_int_eq(try_post(), -EAGAIN);
	for (unsigned i = 0; i < 3; i++)
		(void)wait_for_room(i, 1000);
	for (uint64_t id = 1; id <= 4; id++)
		ck_assert_int_eq(fixture_end(&fx, board_find_task(fx.board, id), RESULT_OK), 0);
	ck_assert_int_eq(board_post(fx.board, &post, fx.now_us, &task), 0);
	ck_assert_uint_eq(task->id, 10);
	fixture_check(&fx);
	ck_assert_uint_le(pool_waiting(fx.pool), 2);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(fx.pool->count[TASK_ACTIVE], 4);
	ck_assert_uint_eq(fx.pool->count[TASK_QUEUED], 2);
}
END_TEST

START_TEST(test_delayed_tasks_need_room_and_a_free_worker_is_none)
{
	post.delay_us = 100;
	(void)fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	ck_assert_int_eq(try_post(), -EAGAIN);
	post.delay_us = 0;
	ck_assert_int_eq(try_post(), 0); /* it starts at once */
	ck_assert_uint_eq(fx.pool->count[TASK_ACTIVE], 1);
	ck_assert_int_eq(try_post(), -EAGAIN);
	fixture_turn(&fx, 0);
}
END_TEST

/* The queue is full of tasks that a cap holds back: the others' posts start all the same, as many as there are workers. */
START_TEST(test_full_of_what_is_held_back_takes_what_can_start)
{
	fx.handlers[0].max_active = 1;
	reopen(3, 2);
	for (unsigned i = 0; i < 3; i++)
		(void)fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(fx.pool->count[TASK_ACTIVE], 1);
	ck_assert_int_eq(try_post(), -EAGAIN);
	post.handler = &fx.board->handlers[2];
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(try_post(), 0);
		ck_assert_uint_eq(pool_waiting(fx.pool), 2);
		fixture_check(&fx);
	}
	ck_assert_int_eq(try_post(), -EAGAIN);
	fixture_turn(&fx, 0);
}
END_TEST

/* A lane waits for its rate, and the time is over, but its timer has not run yet: a post is behind it all the same. */
START_TEST(test_capacity_is_not_passed_while_a_timer_is_due)
{
	fixture_use(&fx, 0, 0);
	fx.resources[0].rate = 10;
	reopen(9, 2);
	for (unsigned i = 0; i < 3; i++)
		(void)fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(pool_waiting(fx.pool), 2);
	fx.now_us += 100000;
	for (unsigned i = 0; i < 5; i++)
		ck_assert_int_eq(try_post(), -EAGAIN);
	ck_assert_uint_eq(pool_waiting(fx.pool), 2);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(pool_waiting(fx.pool), 1);
	ck_assert_int_eq(try_post(), 0);
	fixture_turn(&fx, 0);
}
END_TEST

/* Tasks that come back are never refused, and count: nobody comes in until they are fewer again. */
START_TEST(test_capacity_may_be_passed_by_what_comes_back)
{
	reopen(2, 1);
	for (unsigned i = 0; i < 3; i++)
		(void)fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(board_host_gone(fx.board, fx.pool, &fx.hosts[0], true, fx.now_us), 2);
	ck_assert_uint_eq(pool_waiting(fx.pool), 3);
	ck_assert_int_eq(try_post(), -EAGAIN);
	slots_up(&fx.pool->slots, &fx.hosts[0]);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(pool_waiting(fx.pool), 1);
	ck_assert_uint_eq(board_find_task(fx.board, 1)->state, TASK_ACTIVE);
	ck_assert_uint_eq(board_find_task(fx.board, 2)->state, TASK_ACTIVE);
}
END_TEST

/* _i: 0 pools share a cap of 1; each gets its turns though both always have work. 1: the same by a resource. */
START_TEST(test_pools_share_a_cap_fairly)
{
	unsigned starts[FIXTURE_POOLS] = {0};

	fx.settings.daemon.max_active = _i == 0;
	fx.resources[0].max_active = 1;
	fixture_use(&fx, 0, 0);
	reopen(1, 9);
	for (unsigned n = 0; n < 100; n++) {
		struct task *task;

		for (unsigned i = 0; i < FIXTURE_POOLS; i++) {
			post.pool = i == 0 ? fx.pool : fx.other;
			while (pool_has_room(post.pool) && pool_waiting(post.pool) < 2)
				(void)fixture_post_as(&fx, &post);
		}
		fixture_turn(&fx, 0);
		task = fx.pool->slots.all[0]->task;
		ck_assert((task == NULL) != (fx.other->slots.all[0]->task == NULL));
		starts[task == NULL]++;
		task = task != NULL ? task : fx.other->slots.all[0]->task;
		ck_assert_int_eq(fixture_end(&fx, task, RESULT_OK), 0);
	}
	ck_assert_uint_eq(starts[0], 50);
}
END_TEST

/* What the store keeps stays queued; what it does not keep and comes back after the stop is not run any more. */
START_TEST(test_stop_starts_nothing_any_more)
{
	bool keeps = _i % 2 != 0, is_undone = _i / 2 != 0;
	struct task *active = fixture_post_as(&fx, &post), *task;

	fx.board->keeps = keeps;
	fixture_turn(&fx, 0);
	task = fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	ck_assert_int_eq(fixture_end(&fx, active, RESULT_OK), 0);
	if (is_undone) {
		fixture_sched(&fx);
		ck_assert_uint_eq(task->state, TASK_ACTIVE);
	}
	board_stop(fx.board, STOP_FINISHING, fx.now_us);
	if (is_undone) {
		board_undo(fx.board, -EIO);
		fixture_check(&fx);
		ck_assert_uint_eq(task->state, TASK_QUEUED);
	}
	for (unsigned i = 0; i < 2; i++)
		fixture_turn(&fx, 0);
	ck_assert_uint_eq(task->state, keeps ? TASK_QUEUED : TASK_CANCELLED);
	ck_assert(board_is_stopped(fx.board));
}
END_TEST

static void add_room_tests(TCase *tcase)
{
	tcase_add_test(tcase, test_room_is_given_in_order);
	tcase_add_loop_test(tcase, test_room_that_does_not_come_is_told, 0, 2);
	tcase_add_test(tcase, test_room_ends_with_the_expiry);
	tcase_add_loop_test(tcase, test_room_at_a_stop, STOP_DRAINING, STOP_ENDING + 1);
	tcase_add_test(tcase, test_room_that_nobody_waits_for);
	tcase_add_test(tcase, test_room_given_by_a_commit_that_fails);
	tcase_add_test(tcase, test_room_is_not_overtaken);
	tcase_add_test(tcase, test_room_for_all_in_one_turn);
}

int main(void)
{
	TCase *tcase = tcase_create("post");

	tcase_add_checked_fixture(tcase, setup, teardown);
	add_room_tests(tcase);
	tcase_add_test(tcase, test_delayed_tasks_need_room_and_a_free_worker_is_none);
	tcase_add_test(tcase, test_full_of_what_is_held_back_takes_what_can_start);
	tcase_add_test(tcase, test_capacity_is_not_passed_while_a_timer_is_due);
	tcase_add_test(tcase, test_capacity_may_be_passed_by_what_comes_back);
	tcase_add_loop_test(tcase, test_pools_share_a_cap_fairly, 0, 2);
	tcase_add_loop_test(tcase, test_stop_starts_nothing_any_more, 0, 4);
	return fixture_run("post", tcase);
}
