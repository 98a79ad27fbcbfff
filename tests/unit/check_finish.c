/*
 * check_finish: what becomes of a task whose attempt ends. The rules are written here a second time on purpose, a row each:
 * who asked for the end, how it ended, what the handler's settings are, and what must come of it.
 */
#include "core_fixture.h"

static struct fixture fx;

static void setup(void)
{
	fixture_start(&fx, 2, 9);
}

static void teardown(void)
{
	fixture_close(&fx);
}

enum how { OK, FAILED, CANCELLED, CRASHED, HOST, HOST_BY_US, HOST_SHARED };

static const struct row {
	const char *
		asked; /* c: cancelled, t: over its time limit, s: by a stop; k: the store keeps; d: draining */
	enum how how;
	uint32_t retries;
	uint64_t crash_max;
	int on_crash;
	uint8_t state;
	const char *reason;
	const char *counted; /* the counters that are 1 afterwards */
	bool is_suspect;
} rows[] = {
	/* It succeeded: whoever asked for its end came too late. */
	{"", OK, 0, 2, ON_CRASH_RETRY, TASK_DONE, "", "", false},
	{"cts", OK, 0, 2, ON_CRASH_RETRY, TASK_DONE, "", "", false},
	/* Somebody cancelled it. */
	{"c", FAILED, 3, 2, ON_CRASH_RETRY, TASK_CANCELLED, "cancelled", "", false},
	{"c", CANCELLED, 3, 2, ON_CRASH_RETRY, TASK_CANCELLED, "cancelled", "", false},
	{"c", CRASHED, 3, 2, ON_CRASH_RETRY, TASK_CANCELLED, "cancelled", "crashed", false},
	{"c", HOST, 3, 2, ON_CRASH_LOST, TASK_CANCELLED, "cancelled", "crashed", false},
	{"c", HOST_SHARED, 3, 2, ON_CRASH_RETRY, TASK_CANCELLED, "cancelled", "crashed", false},
	{"cts", CANCELLED, 3, 2, ON_CRASH_RETRY, TASK_CANCELLED, "cancelled", "", false},
	/* Its time limit had passed. */
	{"t", CANCELLED, 0, 2, ON_CRASH_RETRY, TASK_FAILED, "timeout", "timed_out", false},
	{"t", FAILED, 0, 2, ON_CRASH_RETRY, TASK_FAILED, "timeout", "timed_out", false},
	{"t", HOST, 0, 2, ON_CRASH_LOST, TASK_FAILED, "timeout", "timed_out crashed", false},
	{"t", HOST_BY_US, 0, 2, ON_CRASH_RETRY, TASK_FAILED, "timeout", "timed_out crashed", false},
	{"t", CANCELLED, 1, 2, ON_CRASH_RETRY, TASK_DELAYED, "timeout", "timed_out retried", false},
	{"ts", CANCELLED, 1, 2, ON_CRASH_RETRY, TASK_FAILED, "timeout", "timed_out", false},
	{"tsk", CANCELLED, 1, 2, ON_CRASH_RETRY, TASK_DELAYED, "timeout", "timed_out retried",
		false},
	/* The daemon stops and asked it to end. */
	{"s", CANCELLED, 3, 2, ON_CRASH_RETRY, TASK_CANCELLED, "shutdown", "", false},
	{"s", CRASHED, 3, 2, ON_CRASH_RETRY, TASK_CANCELLED, "shutdown", "crashed", false},
	{"s", HOST, 3, 2, ON_CRASH_LOST, TASK_CANCELLED, "shutdown", "crashed", false},
	{"sk", CANCELLED, 3, 2, ON_CRASH_RETRY, TASK_QUEUED, "", "returned", false},
	{"sk", HOST_BY_US, 3, 2, ON_CRASH_RETRY, TASK_QUEUED, "", "returned crashed", false},
	{"s", FAILED, 3, 2, ON_CRASH_RETRY, TASK_FAILED, "failed", "", false},
	{"sk", FAILED, 3, 2, ON_CRASH_RETRY, TASK_DELAYED, "failed", "retried", false},
	/* Its program crashed. */
	{"", CRASHED, 0, 2, ON_CRASH_RETRY, TASK_DELAYED, "crashed", "crashed retried", false},
	{"", CRASHED, 3, 1, ON_CRASH_RETRY, TASK_FAILED, "crashed", "crashed", false},
	{"", CRASHED, 3, 2, ON_CRASH_LOST, TASK_LOST, "crashed", "crashed", false},
	/* Its host died with it alone. */
	{"", HOST, 0, 2, ON_CRASH_RETRY, TASK_QUEUED, "crashed", "crashed retried", true},
	{"", HOST, 3, 1, ON_CRASH_RETRY, TASK_FAILED, "crashed", "crashed", true},
	{"", HOST, 3, 2, ON_CRASH_LOST, TASK_LOST, "crashed", "crashed", true},
	{"d", HOST, 0, 2, ON_CRASH_RETRY, TASK_QUEUED, "crashed", "crashed retried", true},
	/* Its host died with others in it. */
	{"", HOST_SHARED, 0, 1, ON_CRASH_RETRY, TASK_QUEUED, "crashed", "crashed returned", true},
	{"", HOST_SHARED, 0, 1, ON_CRASH_LOST, TASK_LOST, "crashed", "crashed", false},
	/* Its host was ended because of another. */
	{"", HOST_BY_US, 0, 1, ON_CRASH_RETRY, TASK_QUEUED, "crashed", "crashed returned", false},
	{"", HOST_BY_US, 0, 1, ON_CRASH_LOST, TASK_LOST, "crashed", "crashed", false},
	/* It failed, or said itself that it was cancelled. */
	{"", FAILED, 0, 2, ON_CRASH_RETRY, TASK_FAILED, "failed", "", false},
	{"", FAILED, 1, 2, ON_CRASH_RETRY, TASK_DELAYED, "failed", "retried", false},
	{"d", FAILED, 1, 2, ON_CRASH_RETRY, TASK_DELAYED, "failed", "retried", false},
	{"", CANCELLED, 3, 2, ON_CRASH_RETRY, TASK_CANCELLED, "cancelled", "", false},
};

static struct task *run_one(uint32_t retries, uint64_t timeout_us)
{
	struct post post = fixture_make_post(&fx, fx.pool);
	struct task *task;

	post.retries = retries;
	post.timeout_us = timeout_us;
	task = fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(task->state, TASK_ACTIVE);
	return task;
}

static void ask(struct task *task, const char *asked)
{
	fx.board->keeps = strchr(asked, 'k') != NULL;
	if (strchr(asked, 'd') != NULL)
		board_stop(fx.board, STOP_DRAINING, fx.now_us);
	if (strchr(asked, 'c') != NULL)
		ck_assert_int_eq(board_cancel(fx.board, task, fx.now_us), 0);
	if (strchr(asked, 't') != NULL) {
		fx.now_us += 1000;
		deadline_run(&fx.board->deadlines, fx.now_us);
		ck_assert(task->asked);
	}
	if (strchr(asked, 's') != NULL)
		board_stop(fx.board, STOP_ENDING, fx.now_us);
	fixture_turn(&fx, 0);
}

static void end(struct task *task, enum how how)
{
	if (how <= CRASHED)
		ck_assert_int_eq(fixture_end(&fx, task, (uint8_t)how), 0);
	else
		ck_assert_uint_eq(board_host_gone(fx.board, fx.pool, task->slot->host,
					  how == HOST_BY_US, fx.now_us),
			1 + (how == HOST_SHARED));
}

START_TEST(test_finish_follows_the_written_rules)
{
	const struct row *row = &rows[_i];
	const char *counters = (const char *)&fx.pool->stats.counters;
	struct task *task;

	fx.handlers[0].crash_max = row->crash_max;
	fx.handlers[0].on_crash = row->on_crash;
	task = run_one(row->retries, strchr(row->asked, 't') != NULL ? 1000 : 0);
	if (row->how == HOST_SHARED)
		(void)run_one(0, 0);
	ask(task, row->asked);
	end(task, row->how);
	ck_assert_uint_eq(task->state, row->state);
	ck_assert_str_eq(task_reason(task), row->reason);
	if (!task_is_ended(task))
		ck_assert_int_eq(task->suspect, row->is_suspect);
	for (size_t i = 0; i < stats_n_counters && row->how != HOST_SHARED; i++) {
		uint64_t n = *(const uint64_t *)(const void *)(counters + stats_counters[i].offset);
		bool is_counted = strcmp(stats_counters[i].name, "posted") == 0 ||
				  strstr(row->counted, stats_counters[i].name) != NULL;

		ck_assert_msg(n == is_counted, "%s: %d", stats_counters[i].name, (int)n);
	}
	fixture_turn(&fx, 0);
}
END_TEST

/* A task that its host had not been told of: nothing has happened to it. In every stage of a stop, kept or not. */
START_TEST(test_finish_of_what_was_not_handed_over)
{
	bool keeps = _i % 2 != 0, is_cancelled = _i / 2 % 2 != 0;
	enum stop_state stop = (enum stop_state)(_i / 4);
	struct task *task = fixture_post(&fx);
	bool stays = !is_cancelled && (keeps || stop <= STOP_DRAINING);

	fx.handlers[0].on_crash = ON_CRASH_LOST;
	fx.board->keeps = keeps;
	fixture_sched(&fx);
	board_stop(fx.board, stop, fx.now_us);
	if (is_cancelled)
		ck_assert_int_eq(board_cancel(fx.board, task, fx.now_us), 0);
	ck_assert_uint_eq(board_host_gone(fx.board, fx.pool, &fx.hosts[0], false, fx.now_us), 1);
	ck_assert_uint_eq(task->state, stays ? TASK_QUEUED : TASK_CANCELLED);
	if (!stays)
		ck_assert_str_eq(task_reason(task), is_cancelled ? "cancelled" : "shutdown");
	ck_assert_uint_eq(fx.pool->stats.counters.crashed, 0);
	ck_assert_uint_eq(fx.pool->stats.times.run.count, 0);
	fixture_check(&fx);
	fixture_turn(&fx, -EIO); /* whatever became of it can be taken back */
	ck_assert_uint_eq(fx.pool->stats.counters.posted, 0);
	fixture_turn(&fx, 0);
}
END_TEST

START_TEST(test_finish_backs_off_twice_as_long_each_time)
{
	uint64_t expected_us = US_PER_SEC;
	struct task *task;

	fx.handlers[0].backoff_max_us = 5 * US_PER_SEC;
	task = run_one(6, 0);
	for (uint32_t i = 1; i <= 6; i++) {
		ck_assert_int_eq(fixture_end(&fx, task, RESULT_FAILED), 0);
		ck_assert_uint_eq(task->state, TASK_DELAYED);
		ck_assert_uint_eq(task->failures, i);
		ck_assert_uint_le(task->due_us - fx.now_us, expected_us);
		ck_assert_uint_ge(task->due_us - fx.now_us, expected_us / 5 * 4);
		fx.now_us = task->due_us - 1;
		fixture_turn(&fx, 0);
		ck_assert_uint_eq(task->state, TASK_DELAYED);
		fx.now_us++;
		fixture_turn(&fx, 0);
		ck_assert_uint_eq(task->state, TASK_ACTIVE);
		expected_us = expected_us < 4 * US_PER_SEC ? 2 * expected_us : 5 * US_PER_SEC;
	}
	ck_assert_int_eq(fixture_end(&fx, task, RESULT_FAILED), 0);
	ck_assert_uint_eq(task->state, TASK_FAILED);
	ck_assert_uint_eq(task->attempt, 7);
	fixture_turn(&fx, 0);
}
END_TEST

/* What failed together does not come back together. */
START_TEST(test_finish_spreads_the_pauses)
{
	uint64_t least_us = UINT64_MAX, most_us = 0;

	fixture_close(&fx);
	fixture_start(&fx, 100, 9);
	for (unsigned i = 0; i < 100; i++)
		(void)run_one(1, 0);
	for (uint64_t id = 1; id <= 100; id++) {
		struct task *task = board_find_task(fx.board, id);
		uint64_t pause_us;

		ck_assert_int_eq(fixture_end(&fx, task, RESULT_FAILED), 0);
		pause_us = task->due_us - fx.now_us;
		least_us = pause_us < least_us ? pause_us : least_us;
		most_us = pause_us > most_us ? pause_us : most_us;
	}
	ck_assert_uint_lt(least_us, US_PER_SEC * 82 / 100);
	ck_assert_uint_gt(most_us, US_PER_SEC * 98 / 100);
	fixture_turn(&fx, 0);
}
END_TEST

/* Two in a host that dies: each runs alone; the guilty one kills that host, too, the other one ends well. */
/* What runs now, the only one. */
static struct task *running(void)
{
	struct task *task, *found = NULL;

	BOARD_FOREACH(task, fx.board)
	{
		if (task->state != TASK_ACTIVE)
			continue;
		ck_assert_ptr_null(found);
		found = task;
	}
	return found;
}

/* The next trial, which fails. */
static struct task *fail_a_trial(void)
{
	struct task *task;

	fx.now_us = fx.board->resources[0].trial_at_us;
	deadline_run(&fx.board->deadlines, fx.now_us);
	fixture_turn(&fx, 0);
	task = running();
	ck_assert_ptr_nonnull(task);
	ck_assert_int_eq(fixture_end(&fx, task, RESULT_FAILED), 0);
	fixture_turn(&fx, 0);
	return task;
}

/* Each trial is another task's while there are others of its priority. */
START_TEST(test_finish_of_a_trial_lets_others_try)
{
	static const unsigned order[] = {0, 1, 2, 3, 0, 1, 2, 3};
	struct task *tasks[4];

	fixture_close(&fx);
	fixture_init(&fx, 2, 9);
	fixture_use(&fx, 0, 0);
	fx.resources[0].breaker_failures = 1;
	fixture_open(&fx);
	ck_assert_int_eq(fixture_end(&fx, run_one(0, 0), RESULT_FAILED), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(tasks); i++)
		tasks[i] = fixture_post(&fx);
	fixture_turn(&fx, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		ck_assert_ptr_eq(fail_a_trial(), tasks[order[i]]);
		ck_assert_uint_eq(tasks[order[i]]->state, TASK_QUEUED);
	}
	ck_assert_uint_eq(fx.pool->stats.counters.returned, ARRAY_SIZE(order));
}
END_TEST

START_TEST(test_finish_finds_the_one_that_is_to_blame)
{
	struct task *guilty = run_one(0, 0), *innocent = run_one(0, 0), *later;

	ck_assert_uint_eq(board_host_gone(fx.board, fx.pool, &fx.hosts[0], false, fx.now_us), 2);
	slots_up(&fx.pool->slots, &fx.hosts[2]);
	ck_assert(pool_wants_alone(fx.pool));
	fixture_turn(&fx, 0);
	later = fixture_post(&fx);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(later->state, TASK_ACTIVE); /* nobody waits for them */
	ck_assert_uint_eq(guilty->state, TASK_QUEUED);
	for (unsigned n = 1; n <= 2; n++) {
		slots_alone_up(&fx.pool->slots, &fx.hosts[4]);
		fixture_turn(&fx, 0);
		ck_assert_uint_eq(guilty->state, TASK_ACTIVE);
		ck_assert_ptr_eq(guilty->slot->host, &fx.hosts[4]);
		ck_assert_uint_eq(innocent->state, TASK_QUEUED);
		ck_assert_uint_eq(
			board_host_gone(fx.board, fx.pool, &fx.hosts[4], false, fx.now_us), 1);
		ck_assert_uint_eq(guilty->crashes, n);
	}
	ck_assert_uint_eq(guilty->state, TASK_FAILED); /* crash_max */
	slots_alone_up(&fx.pool->slots, &fx.hosts[4]);
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(innocent->state, TASK_ACTIVE);
	ck_assert_int_eq(fixture_end(&fx, innocent, RESULT_OK), 0);
	ck_assert_uint_eq(innocent->crashes, 0);
	ck_assert(!pool_wants_alone(fx.pool));
	ck_assert_uint_eq(later->state, TASK_ACTIVE);
	fixture_turn(&fx, 0);
}
END_TEST

START_TEST(test_finish_stuck_task_costs_its_host_after_kill_after)
{
	struct task *task = run_one(0, 1000), *other = run_one(0, 0);

	fx.now_us += 1000;
	fixture_turn(&fx, 0);
	ck_assert(task->asked);
	fx.now_us += 7 * US_PER_SEC - 1;
	deadline_run(&fx.board->deadlines, fx.now_us);
	ck_assert_ptr_null(board_take_stuck(fx.board));
	fx.now_us++;
	deadline_run(&fx.board->deadlines, fx.now_us);
	fixture_check(&fx);
	ck_assert_ptr_eq(board_take_stuck(fx.board), task);
	ck_assert_ptr_null(board_take_stuck(fx.board));
	ck_assert_uint_eq(board_host_gone(fx.board, fx.pool, &fx.hosts[0], true, fx.now_us), 2);
	ck_assert_str_eq(task_reason(task), "timeout");
	ck_assert_uint_eq(other->state, TASK_QUEUED);
	fixture_turn(&fx, 0);
}
END_TEST

/* Its worker could not be asked yet: it is not stuck, and the time starts again. */
START_TEST(test_finish_nobody_is_stuck_who_was_not_asked)
{
	struct task *task = run_one(0, 0);

	ck_assert_int_eq(board_cancel(fx.board, task, fx.now_us), 0);
	ck_assert_int_eq(board_cancel(fx.board, task, fx.now_us), -EALREADY);
	ck_assert_ptr_null(board_take_ask(fx.board)); /* that has to be written down first */
	board_settle(fx.board, fx.now_us);
	fx.now_us += 7 * US_PER_SEC;
	deadline_run(&fx.board->deadlines, fx.now_us);
	ck_assert_ptr_null(board_take_stuck(fx.board));
	ck_assert_ptr_eq(board_take_ask(fx.board), task);
	fixture_check(&fx);
	fx.now_us += 7 * US_PER_SEC;
	deadline_run(&fx.board->deadlines, fx.now_us);
	ck_assert_ptr_eq(board_take_stuck(fx.board), task);
	fixture_turn(&fx, 0);
}
END_TEST

START_TEST(test_cancel_of_an_active_task_that_is_not_written_is_taken_back)
{
	struct task *task = run_one(0, 1000);

	ck_assert_int_eq(board_cancel(fx.board, task, fx.now_us), 0);
	ck_assert(task->dirty && task->asked);
	board_undo(fx.board, -EIO);
	fixture_check(&fx);
	ck_assert(!task->dirty && !task->asked && !task->cancelled && !task->on_asks);
	ck_assert_uint_eq(task->state, TASK_ACTIVE);
	ck_assert_ptr_null(board_take_ask(fx.board));
	/* Its time limit passes as ever; that it is asked for that is not taken back. */
	fx.now_us += 1000;
	deadline_run(&fx.board->deadlines, fx.now_us);
	ck_assert(task->asked && task->overdue && !task->dirty);
	ck_assert_int_eq(board_cancel(fx.board, task, fx.now_us), 0);
	board_undo(fx.board, -EIO);
	ck_assert(task->asked && !task->cancelled);
	ck_assert_ptr_eq(board_take_ask(fx.board), task);
	fixture_check(&fx);
	fixture_turn(&fx, 0);
}
END_TEST

START_TEST(test_cancel_of_each_state)
{
	struct post post = fixture_make_post(&fx, fx.pool);
	struct task *active = run_one(0, 0), *delayed, *queued;

	post.delay_us = 1000;
	delayed = fixture_post_as(&fx, &post);
	fx.pool->paused = true;
	queued = fixture_post(&fx);
	ck_assert_int_eq(board_cancel(fx.board, delayed, fx.now_us), 0);
	ck_assert_int_eq(board_cancel(fx.board, queued, fx.now_us), 0);
	ck_assert_uint_eq(delayed->state, TASK_CANCELLED);
	ck_assert_uint_eq(queued->state, TASK_CANCELLED);
	ck_assert_int_eq(board_cancel(fx.board, queued, fx.now_us), -EPROTO);
	ck_assert_int_eq(board_cancel(fx.board, active, fx.now_us), 0);
	ck_assert_uint_eq(active->state, TASK_ACTIVE);
	ck_assert_ptr_eq(TAILQ_FIRST(&fx.board->asks), active);
	fixture_turn(&fx, 0);
}
END_TEST

START_TEST(test_retry_gives_all_attempts_again)
{
	struct task *task = run_one(1, 0);

	for (unsigned n = 0; n < 2; n++) {
		for (unsigned i = 0; i < 2; i++) {
			ck_assert_int_eq(fixture_end(&fx, task, RESULT_FAILED), 0);
			fx.now_us += US_PER_SEC;
			fixture_turn(&fx, 0);
		}
		ck_assert_uint_eq(task->state, TASK_FAILED);
		ck_assert_int_eq(board_retry(fx.board, task, fx.now_us), 0);
		ck_assert_int_eq(board_retry(fx.board, task, fx.now_us), -EPROTO);
		fixture_turn(&fx, 0);
		ck_assert_uint_eq(task->state, TASK_ACTIVE);
	}
	ck_assert_uint_eq(task->attempt, 5);
	ck_assert_int_eq(fixture_end(&fx, task, RESULT_OK), 0);
	ck_assert_int_eq(board_retry(fx.board, task, fx.now_us), -EPROTO);
	fixture_turn(&fx, 0);
}
END_TEST

START_TEST(test_retry_waits_for_the_commit_of_the_end)
{
	struct task *task = run_one(0, 0);

	ck_assert_int_eq(fixture_end(&fx, task, RESULT_FAILED), 0);
	ck_assert_int_eq(board_retry(fx.board, task, fx.now_us), -EBUSY);
	fixture_turn(&fx, 0);
	board_stop(fx.board, STOP_DRAINING, fx.now_us);
	ck_assert_int_eq(board_retry(fx.board, task, fx.now_us), -ESHUTDOWN);
}
END_TEST

/* A pool that only takes what it can run at once takes a retry, too, while a worker is free. */
START_TEST(test_retry_needs_no_room_when_a_worker_is_free)
{
	struct task *task, *second;

	fixture_close(&fx);
	fixture_start(&fx, 1, 0);
	task = run_one(0, 0);
	ck_assert_int_eq(fixture_end(&fx, task, RESULT_FAILED), 0);
	fixture_turn(&fx, 0);
	ck_assert_int_eq(board_retry(fx.board, task, fx.now_us), 0);
	ck_assert_uint_eq(task->state, TASK_ACTIVE);
	fixture_turn(&fx, 0);
	ck_assert_int_eq(fixture_end(&fx, task, RESULT_FAILED), 0);
	second = fixture_post(&fx);
	fixture_turn(&fx, 0);
	ck_assert_int_eq(board_retry(fx.board, task, fx.now_us), -EAGAIN);
	ck_assert_uint_eq(second->state, TASK_ACTIVE);
}
END_TEST

/* Also with a start, or a cancel, in the same turn. */
START_TEST(test_retry_that_is_not_written_down_is_taken_back)
{
	struct task *first = run_one(0, 0), *task = run_one(0, 0), *last;

	ck_assert_int_eq(fixture_end(&fx, first, RESULT_FAILED), 0);
	fixture_turn(&fx, 0);
	fx.now_us += 10;
	ck_assert_int_eq(board_cancel(fx.board, task, fx.now_us), 0);
	ck_assert_int_eq(fixture_end(&fx, task, RESULT_CANCELLED), 0);
	fixture_turn(&fx, 0);
	last = run_one(0, 0);
	fx.now_us += 10;
	ck_assert_int_eq(fixture_end(&fx, last, RESULT_FAILED), 0);
	fixture_turn(&fx, 0);
	fx.now_us += 10;
	ck_assert_int_eq(board_retry(fx.board, task, fx.now_us), 0);
	if (_i == 2)
		ck_assert_int_eq(board_cancel(fx.board, task, fx.now_us), 0);
	fx.pool->paused = _i == 1;
	fixture_turn(&fx, -EIO);
	ck_assert_uint_eq(task->state, TASK_CANCELLED);
	ck_assert_uint_eq(task->ended_us, fx.now_us - (_i == 2 ? 0 : 20));
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(fx.board->n_ended, 3);
	ck_assert_uint_eq(fx.pool->count[TASK_CANCELLED], 1);
	fx.now_us += 2 * fx.settings.daemon.history_age_us;
	fixture_turn(&fx, 0);
	ck_assert(fx.board->tasks.len == 0); /* it is in the history, and leaves it */
}
END_TEST

static void add_retry_tests(TCase *tcase)
{
	tcase_add_test(tcase, test_retry_gives_all_attempts_again);
	tcase_add_test(tcase, test_retry_waits_for_the_commit_of_the_end);
	tcase_add_test(tcase, test_retry_needs_no_room_when_a_worker_is_free);
	tcase_add_loop_test(tcase, test_retry_that_is_not_written_down_is_taken_back, 0, 3);
}

int main(void)
{
	TCase *tcase = tcase_create("finish");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test_finish_follows_the_written_rules, 0, ARRAY_SIZE(rows));
	tcase_add_loop_test(
		tcase, test_finish_of_what_was_not_handed_over, 0, 4 * (STOP_ENDING + 1));
	tcase_add_test(tcase, test_finish_backs_off_twice_as_long_each_time);
	tcase_add_test(tcase, test_finish_spreads_the_pauses);
	tcase_add_test(tcase, test_finish_of_a_trial_lets_others_try);
	tcase_add_test(tcase, test_finish_finds_the_one_that_is_to_blame);
	tcase_add_test(tcase, test_finish_stuck_task_costs_its_host_after_kill_after);
	tcase_add_test(tcase, test_finish_nobody_is_stuck_who_was_not_asked);
	tcase_add_test(tcase, test_cancel_of_an_active_task_that_is_not_written_is_taken_back);
	tcase_add_test(tcase, test_cancel_of_each_state);
	add_retry_tests(tcase);
	return fixture_run("finish", tcase);
}
