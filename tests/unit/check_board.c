/*
 * check_board: posts, ends, limits, dead hosts, stops, history, and what a commit makes true or takes back.
 */
#include "core/board.h"

#include "core_fixture.h"

static struct fixture fx;
static struct heard heard, settled; /* outlive the tasks that they watch */

/* A result that there is no memory for makes malloc(3) say so, also with ASan. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void setup(void)
{
	fixture_start(&fx, 2, 9);
}

static void teardown(void)
{
	fixture_close(&fx);
}

static void restart(uint64_t history_max, uint64_t history_age_us)
{
	fixture_close(&fx);
	fixture_init(&fx, 2, 9);
	fx.settings.daemon.history_max = history_max;
	fx.settings.daemon.history_age_us = history_age_us;
	fixture_open(&fx);
}

/* A task that a worker has. */
static struct task *run_one(uint64_t timeout_us)
{
	struct task *task;

	ck_assert_int_eq(fixture_try(&fx, fx.pool, timeout_us, &task), 0);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(task->state, TASK_ACTIVE);
	ck_assert(!task->unsent);
	return task;
}

START_TEST(test_board_finds_pools_and_handlers_by_name)
{
	ck_assert_ptr_eq(board_find_pool(fx.board, "default"), fx.pool);
	ck_assert_ptr_null(board_find_pool(fx.board, "Default"));
	ck_assert_ptr_eq(board_find_handler(fx.board, "echo"), &fx.board->handlers[1]);
	ck_assert_ptr_null(board_find_handler(fx.board, ""));
	ck_assert_ptr_null(board_find_task(fx.board, 0));
}
END_TEST

START_TEST(test_board_post_takes_all_that_it_was_given)
{
	struct task *task = fixture_post(&fx);

	ck_assert_uint_eq(task->id, 1);
	ck_assert_str_eq(task_name(task), "name");
	ck_assert(view_is_equal(task_args(task), view_of("{\"ms\":1}")));
	ck_assert_uint_eq(task->owner_uid, 1000);
	ck_assert_uint_eq(task->posted_us, fx.now_us);
	ck_assert_uint_eq(task->saved, TASK_NEW);
	ck_assert(task->dirty);
	ck_assert_ptr_eq(board_find_task(fx.board, 1), task);
}
END_TEST

START_TEST(test_board_nothing_leaves_before_the_commit)
{
	struct task *task = fixture_post(&fx);

	heard_init(&heard, &task->watches);
	heard_init(&settled, &fx.board->settled);
	fixture_sched(&fx);
	ck_assert_uint_eq(task->state, TASK_ACTIVE);
	ck_assert(TAILQ_EMPTY(&fx.board->starts));
	ck_assert_uint_eq(heard.times + settled.times, 0);
	board_settle(fx.board, fx.now_us);
	ck_assert_ptr_eq(TAILQ_FIRST(&fx.board->starts), task);
	ck_assert_uint_eq(heard.times, 1);
	ck_assert_int_eq(heard.error, 0);
	ck_assert_uint_eq(heard.state, TASK_ACTIVE);
	ck_assert_uint_eq(settled.times, 1);
	fixture_hand_over(&fx);
	board_settle(fx.board, fx.now_us); /* nothing changed: only `settled` is told */
	ck_assert_uint_eq(heard.times, 1);
	ck_assert_uint_eq(settled.times, 2);
	watch_remove(&settled.watch);
}
END_TEST

START_TEST(test_board_undo_takes_posts_back_and_says_why)
{
	struct task *task = fixture_post(&fx), *next;

	heard_init(&heard, &task->watches);
	heard_init(&settled, &fx.board->settled);
	fixture_sched(&fx);
	board_undo(fx.board, -ENOSPC);
	ck_assert_uint_eq(heard.times, 1);
	ck_assert_int_eq(heard.error, -ENOSPC);
	ck_assert_uint_eq(heard.state, TASK_NEW);
	ck_assert_int_eq(settled.error, -ENOSPC);
	ck_assert(TAILQ_EMPTY(&fx.board->starts) && TAILQ_EMPTY(&fx.board->dirty));
	ck_assert_ptr_null(board_find_task(fx.board, 1));
	ck_assert_ptr_eq(heard.watch.list, &task->watches); /* the task is there until the sweep */
	board_sweep(fx.board);
	ck_assert_uint_eq(fx.pool->stats.counters.posted, 0);
	ck_assert_uint_eq(fx.pool->stats.counters.refused, 1);
	ck_assert_uint_eq(fx.pool->slots.n_free, 2);
	next = fixture_post(&fx);
	ck_assert_uint_gt(next->id, 1); /* ids are not given twice */
	watch_remove(&settled.watch);
}
END_TEST

START_TEST(test_board_undo_puts_starts_back_in_order)
{
	struct task *task;
	uint64_t id = 1;

	fx.pool->paused = true;
	for (unsigned i = 0; i < 5; i++)
		(void)fixture_post(&fx);
	fixture_turn(&fx, 0);
	ck_assert_int_eq(pool_resize(fx.pool, 4), 0);
	fx.pool->paused = false;
	(void)fixture_post(&fx);
	fixture_turn(&fx, -EIO);
	TAILQ_FOREACH (task, &fx.pool->queue.lanes[0]->tasks[5], in_place)
		ck_assert_uint_eq(task->id, id++);
	ck_assert_uint_eq(id, 6);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(fx.pool->count[TASK_ACTIVE], 4);
}
END_TEST

START_TEST(test_board_undo_keeps_ends_for_the_next_commit)
{
	struct task *task = run_one(0);

	heard_init(&heard, &task->watches);
	ck_assert_int_eq(fixture_end(&fx, task, RESULT_OK), 0);
	for (unsigned i = 0; i < 3; i++) {
		fixture_turn(&fx, -ENOSPC);
		ck_assert_uint_eq(task->state, TASK_DONE);
		ck_assert(task->dirty);
		ck_assert_uint_eq(heard.times, 0);
		ck_assert_uint_eq(fx.board->n_ended, 0);
	}
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(heard.times, 1);
	ck_assert_uint_eq(heard.state, TASK_DONE);
	ck_assert_uint_eq(fx.board->n_ended, 1);
}
END_TEST

START_TEST(test_board_undo_of_what_was_posted_and_cancelled_in_one_turn)
{
	struct task *task = fixture_post(&fx);

	heard_init(&heard, &task->watches);
	board_stop(fx.board, STOP_FINISHING, fx.now_us);
	ck_assert_uint_eq(task->state, TASK_CANCELLED);
	fixture_turn(&fx, -EIO);
	ck_assert_int_eq(heard.error, -EIO);
	ck_assert_uint_eq(fx.pool->count[TASK_CANCELLED], 0);
	ck_assert(board_is_stopped(fx.board));
}
END_TEST

static const struct {
	uint8_t outcome;
	const char *said;
	uint8_t state;
	const char *reason;
} ends[] = {
	{RESULT_OK, NULL, TASK_DONE, ""}, {RESULT_OK, "ignored", TASK_DONE, ""},
	{RESULT_FAILED, NULL, TASK_FAILED, "failed"},
	{RESULT_FAILED, "exit_3", TASK_FAILED, "exit_3"},
	{RESULT_FAILED, "a_reason_that_is_too_long", TASK_FAILED, "a_reason_that_i"},
	{RESULT_CANCELLED, NULL, TASK_CANCELLED, "cancelled"},
	{RESULT_CRASHED, NULL, TASK_FAILED, "crashed"}, /* with a crash_max of 1 */
};

START_TEST(test_board_finish_knows_every_outcome)
{
	const struct result result = {.outcome = ends[_i].outcome,
		.reason = view_of(ends[_i].said),
		.result = VIEW_LIT("{\"x\":1}")};
	struct task *task = run_one(0);

	fx.handlers[0].crash_max = 1;
	ck_assert_int_eq(board_finish(fx.board, task->id, task->attempt, &result, fx.now_us), 0);
	ck_assert_uint_eq(task->state, ends[_i].state);
	ck_assert_str_eq(task_reason(task), ends[_i].reason);
	ck_assert(view_is_equal(task_result(task), view_of("{\"x\":1}")));
	ck_assert_uint_eq(fx.pool->stats.counters.crashed, ends[_i].outcome == RESULT_CRASHED);
	ck_assert_uint_eq(fx.pool->stats.times.total.count, 1);
	fixture_turn(&fx, 0);
}
END_TEST

START_TEST(test_board_finish_drops_and_counts_what_is_stale)
{
	struct task *task = run_one(0);
	const struct result result = {.outcome = RESULT_OK};

	ck_assert_int_eq(board_finish(fx.board, 99, 1, &result, fx.now_us), -ENOENT);
	ck_assert_int_eq(board_finish(fx.board, 0, 1, &result, fx.now_us), -ENOENT);
	ck_assert_int_eq(board_finish(fx.board, task->id, 2, &result, fx.now_us), -ENOENT);
	ck_assert_int_eq(board_finish(fx.board, task->id, 0, &result, fx.now_us), -ENOENT);
	ck_assert_uint_eq(task->state, TASK_ACTIVE);
	ck_assert_int_eq(board_finish(fx.board, task->id, 1, &result, fx.now_us), 0);
	ck_assert_int_eq(board_finish(fx.board, task->id, 1, &result, fx.now_us), -ENOENT);
	ck_assert_uint_eq(fx.pool->stats.counters.stale, 3);
}
END_TEST

START_TEST(test_board_finish_refuses_what_no_worker_has)
{
	const struct result unknown = {.outcome = RESULT_OUTCOMES};
	struct task *task = fixture_post(&fx);

	fixture_sched(&fx);
	ck_assert_int_eq(fixture_end(&fx, task, RESULT_OK), -EPROTO);
	board_settle(fx.board, fx.now_us);
	ck_assert_int_eq(fixture_end(&fx, task, RESULT_FAILED), -EPROTO);
	fixture_hand_over(&fx);
	ck_assert_int_eq(board_finish(fx.board, task->id, 1, &unknown, fx.now_us), -EPROTO);
	ck_assert_uint_eq(task->state, TASK_ACTIVE);
	fixture_check(&fx);
}
END_TEST

START_TEST(test_board_finish_without_memory_fails_the_task_only)
{
	const struct result huge = {.outcome = RESULT_OK, .result = {"", SIZE_MAX / 4}};
	struct task *task = run_one(0);

	ck_assert_int_eq(board_finish(fx.board, task->id, 1, &huge, fx.now_us), -ENOMEM);
	ck_assert_uint_eq(task->state, TASK_FAILED);
	ck_assert_str_eq(task_reason(task), "no_memory");
	ck_assert_uint_eq(fx.pool->slots.n_free, 2);
	fixture_turn(&fx, 0);
}
END_TEST

START_TEST(test_board_limit_asks_once_and_is_named_in_the_end)
{
	struct task *task = run_one(100);

	fx.now_us += 99;
	deadline_run(&fx.board->deadlines, fx.now_us);
	ck_assert(TAILQ_EMPTY(&fx.board->asks));
	fx.now_us += 1;
	deadline_run(&fx.board->deadlines, fx.now_us);
	ck_assert_ptr_eq(TAILQ_FIRST(&fx.board->asks), task);
	ck_assert(task->overdue && task->asked);
	board_stop(fx.board, STOP_ENDING, fx.now_us); /* asks again: it is on the list once */
	fixture_check(&fx);
	fixture_turn(&fx, 0);
	ck_assert_int_eq(fixture_end(&fx, task, RESULT_CANCELLED), 0);
	ck_assert_uint_eq(task->state, TASK_FAILED);
	ck_assert_str_eq(task_reason(task), "timeout");
	ck_assert_uint_eq(fx.pool->stats.counters.timed_out, 1);
	fixture_turn(&fx, 0);
}
END_TEST

START_TEST(test_board_limit_of_a_task_that_ends_in_time_is_off)
{
	struct task *late = run_one(100), *early = run_one(100);

	ck_assert_int_eq(fixture_end(&fx, early, RESULT_OK), 0);
	fx.now_us += 200;
	deadline_run(&fx.board->deadlines, fx.now_us);
	ck_assert_ptr_eq(TAILQ_FIRST(&fx.board->asks), late);
	ck_assert_int_eq(fixture_end(&fx, late, RESULT_OK),
		0); /* it is done before it was told: off the list, and done */
	ck_assert(TAILQ_EMPTY(&fx.board->asks));
	ck_assert_uint_eq(late->state, TASK_DONE);
	ck_assert(!early->overdue);
}
END_TEST

START_TEST(test_board_limit_before_the_hand_over_goes_with_it)
{
	struct task *task;

	ck_assert_int_eq(fixture_try(&fx, fx.pool, 10, &task), 0);
	fixture_sched(&fx);
	board_settle(fx.board, fx.now_us);
	fx.now_us += 10;
	deadline_run(&fx.board->deadlines, fx.now_us);
	ck_assert(task->asked && !task->on_asks);
	fixture_check(&fx);
}
END_TEST

START_TEST(test_board_host_gone_costs_its_own_tasks_only)
{
	struct task *mine = run_one(50), *elsewhere, *moved;

	ck_assert_int_eq(fixture_try(&fx, fx.other, 0, &elsewhere), 0);
	(void)fixture_post(&fx);
	moved = fixture_post(&fx);
	fixture_turn(&fx, 0);
	slots_down(&fx.pool->slots, &fx.hosts[0]); /* condemned, and followed */
	ck_assert_int_eq(pool_resize(fx.pool, 3), 0);
	slots_up(&fx.pool->slots, &fx.hosts[2]);
	fixture_turn(&fx, 0);
	ck_assert_ptr_eq(moved->slot->host, &fx.hosts[2]);
	ck_assert_uint_eq(board_host_gone(fx.board, fx.pool, &fx.hosts[0], false, fx.now_us), 2);
	ck_assert_uint_eq(mine->state, TASK_QUEUED); /* of two nobody knows which is to blame */
	ck_assert(mine->suspect);
	ck_assert_str_eq(task_reason(mine), "crashed");
	ck_assert_uint_eq(moved->state, TASK_ACTIVE);
	ck_assert_uint_eq(elsewhere->state, TASK_ACTIVE);
	ck_assert_uint_eq(fx.pool->stats.counters.crashed, 2);
	ck_assert_uint_eq(pool_ready(fx.pool), 2); /* the new host took the workers over */
	ck_assert_uint_eq(board_host_gone(fx.board, fx.pool, &fx.hosts[0], false, fx.now_us), 0);
	fixture_turn(&fx, 0);
}
END_TEST

START_TEST(test_board_host_gone_with_tasks_that_were_asked_or_not_handed_over)
{
	struct task *asked = run_one(10), *unsent = fixture_post(&fx);

	fx.now_us += 10;
	deadline_run(&fx.board->deadlines, fx.now_us);
	fixture_sched(&fx);
	board_settle(fx.board, fx.now_us);
	ck_assert_ptr_eq(TAILQ_FIRST(&fx.board->starts), unsent);
	ck_assert_uint_eq(board_host_gone(fx.board, fx.pool, &fx.hosts[0], false, fx.now_us), 2);
	ck_assert(TAILQ_EMPTY(&fx.board->starts) && TAILQ_EMPTY(&fx.board->asks));
	ck_assert_str_eq(task_reason(asked), "timeout");
	ck_assert_uint_eq(unsent->state, TASK_QUEUED);
	ck_assert(!unsent->suspect); /* it had not begun */
	fixture_turn(&fx, 0);
}
END_TEST

/* _i: every stage of a stop, paused or not. One task runs, two wait. */
START_TEST(test_board_stop_in_every_mode)
{
	enum stop_state stop = (enum stop_state)(_i / 2);
	bool paused = _i % 2 != 0, waits_end = paused || stop != STOP_DRAINING;
	struct task *active = run_one(0), *waiting, *refused;

	ck_assert_int_eq(pool_resize(fx.pool, 1), 0);
	waiting = fixture_post(&fx);
	(void)fixture_post(&fx);
	fixture_turn(&fx, 0);
	fx.pool->paused = paused;
	board_stop(fx.board, stop, fx.now_us);
	ck_assert_int_eq(fixture_try(&fx, fx.pool, 0, &refused), -ESHUTDOWN);
	ck_assert_uint_eq(fx.pool->stats.counters.refused, 1);
	ck_assert_uint_eq(fx.pool->count[TASK_CANCELLED], waits_end ? 2 : 0);
	ck_assert_str_eq(task_reason(waiting), waits_end ? "shutdown" : "");
	ck_assert_int_eq(active->on_asks, stop == STOP_ENDING);
	fixture_turn(&fx, 0);
	ck_assert(!board_is_stopped(fx.board));
	ck_assert_int_eq(
		fixture_end(&fx, active, stop == STOP_ENDING ? RESULT_CANCELLED : RESULT_OK), 0);
	ck_assert_str_eq(task_reason(active), stop == STOP_ENDING ? "shutdown" : "");
	ck_assert(!board_is_stopped(fx.board)); /* not written down yet */
	fixture_turn(&fx, 0);
	for (unsigned i = 0; i < 2 && !waits_end; i++) {
		ck_assert(!board_is_stopped(fx.board));
		ck_assert_int_eq(fixture_end(&fx, fx.pool->slots.all[0]->task, RESULT_OK), 0);
		fixture_turn(&fx, 0);
	}
	ck_assert(board_is_stopped(fx.board));
}
END_TEST

START_TEST(test_board_stop_only_goes_forward)
{
	struct task *active = run_one(0);

	board_stop(fx.board, STOP_FINISHING, fx.now_us);
	board_stop(fx.board, STOP_DRAINING, fx.now_us);
	board_stop(fx.board, STOP_RUNNING, fx.now_us);
	ck_assert_int_eq(fx.board->stop, STOP_FINISHING);
	ck_assert(!active->asked);
	board_stop(fx.board, STOP_ENDING, fx.now_us);
	ck_assert(active->asked && active->stopped);
	ck_assert_int_eq(fixture_end(&fx, active, RESULT_OK), 0);
	ck_assert_uint_eq(active->state, TASK_DONE); /* asked too late */
	fixture_turn(&fx, 0);
	ck_assert(board_is_stopped(fx.board));
}
END_TEST

START_TEST(test_board_history_keeps_its_number)
{
	restart((uint64_t)_i, 3600000000);
	for (uint64_t id = 1; id <= 6; id++) {
		struct task *task = run_one(0);

		heard_init(&heard, &task->watches);
		ck_assert_int_eq(fixture_end(&fx, task, RESULT_OK), 0);
		fixture_turn(&fx, 0);
		ck_assert_uint_eq(heard.times, 1); /* also when it is forgotten at once */
		for (uint64_t old = 1; old <= id; old++)
			ck_assert_int_eq(
				board_find_task(fx.board, old) != NULL, old + (uint64_t)_i > id);
		ck_assert_uint_eq(fx.pool->count[TASK_DONE], id);
		watch_remove(&heard.watch);
	}
}
END_TEST

START_TEST(test_board_history_keeps_its_age)
{
	struct task *first, *second;

	restart(100, 1000);
	first = run_one(0);
	second = run_one(0);
	ck_assert_int_eq(fixture_end(&fx, first, RESULT_OK), 0);
	fixture_turn(&fx, 0);
	fx.now_us += 400;
	ck_assert_int_eq(fixture_end(&fx, second, RESULT_OK), 0);
	fixture_turn(&fx, 0);
	fx.now_us = deadline_next(&fx.board->deadlines);
	ck_assert_uint_eq(fx.now_us, first->ended_us + 1000);
	fixture_turn(&fx, 0);
	ck_assert_ptr_null(board_find_task(fx.board, 1));
	ck_assert_ptr_eq(board_find_task(fx.board, 2), second);
	fx.now_us = deadline_next(&fx.board->deadlines);
	fixture_turn(&fx, 0);
	ck_assert_ptr_null(board_find_task(fx.board, 2));
	ck_assert_uint_eq(deadline_next(&fx.board->deadlines), UINT64_MAX);
}
END_TEST

/* With a limit set, tasks queued, started, settled, forgotten but not swept; ASan says whether all is given back. */
START_TEST(test_board_free_in_the_middle_of_everything)
{
	struct task *task;

	restart(0, 3600000000);
	task = run_one(0);
	(void)run_one(1000000);
	ck_assert_int_eq(fixture_end(&fx, task, RESULT_OK), 0);
	ck_assert_int_eq(fixture_try(&fx, fx.pool, 1000000, &task), 0);
	(void)fixture_post(&fx);
	fixture_sched(&fx);
	board_settle(fx.board, fx.now_us);
	(void)fixture_post(&fx);
	ck_assert(!TAILQ_EMPTY(&fx.board->dead) && !TAILQ_EMPTY(&fx.board->starts));
	board_free(fx.board);
	board_free(NULL);
	fixture_start(&fx, 1, 1);
}
END_TEST

static void add_commit_tests(TCase *tcase)
{
	tcase_add_test(tcase, test_board_finds_pools_and_handlers_by_name);
	tcase_add_test(tcase, test_board_post_takes_all_that_it_was_given);
	tcase_add_test(tcase, test_board_nothing_leaves_before_the_commit);
	tcase_add_test(tcase, test_board_undo_takes_posts_back_and_says_why);
	tcase_add_test(tcase, test_board_undo_puts_starts_back_in_order);
	tcase_add_test(tcase, test_board_undo_keeps_ends_for_the_next_commit);
	tcase_add_test(tcase, test_board_undo_of_what_was_posted_and_cancelled_in_one_turn);
}

int main(void)
{
	TCase *tcase = tcase_create("board");

	tcase_add_checked_fixture(tcase, setup, teardown);
	add_commit_tests(tcase);
	tcase_add_loop_test(tcase, test_board_finish_knows_every_outcome, 0, ARRAY_SIZE(ends));
	tcase_add_test(tcase, test_board_finish_drops_and_counts_what_is_stale);
	tcase_add_test(tcase, test_board_finish_refuses_what_no_worker_has);
	tcase_add_test(tcase, test_board_finish_without_memory_fails_the_task_only);
	tcase_add_test(tcase, test_board_limit_asks_once_and_is_named_in_the_end);
	tcase_add_test(tcase, test_board_limit_of_a_task_that_ends_in_time_is_off);
	tcase_add_test(tcase, test_board_limit_before_the_hand_over_goes_with_it);
	tcase_add_test(tcase, test_board_host_gone_costs_its_own_tasks_only);
	tcase_add_test(tcase, test_board_host_gone_with_tasks_that_were_asked_or_not_handed_over);
	tcase_add_loop_test(
		tcase, test_board_stop_in_every_mode, 2 * STOP_DRAINING, 2 * STOP_ENDING + 2);
	tcase_add_test(tcase, test_board_stop_only_goes_forward);
	tcase_add_loop_test(tcase, test_board_history_keeps_its_number, 0, 4);
	tcase_add_test(tcase, test_board_history_keeps_its_age);
	tcase_add_test(tcase, test_board_free_in_the_middle_of_everything);
	return fixture_run("board", tcase);
}
