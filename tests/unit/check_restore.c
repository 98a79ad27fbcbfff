/*
 * check_restore: a board as a store held it: what it takes and refuses, places, numbers. That all of a task comes back through a file
 * is in check_sqlite.
 */
#include "core_fixture.h"

#include "core/handler.h"
#include "core/restore.h"

static struct restored make_row(const struct fixture *fx, uint64_t id, enum task_state state)
{
	return (struct restored){.id = id,
		.pool = fx->pool,
		.handler = &fx->board->handlers[0],
		.state = state,
		.priority = 5,
		.attempt = state >= TASK_ACTIVE,
		.seq = id,
		.posted_us = 10,
		.queued_us = 10,
		.started_us = state >= TASK_ACTIVE ? 20 : 0,
		.ended_us = state >= TASK_DONE ? 30 : 0,
		.due_us = state == TASK_DELAYED ? fx->now_us + 5 : 0};
}

static void restore_one(struct restore *restore, const struct restored *row)
{
	ck_assert_int_eq(restore_task(restore, row), 0);
}

/* The fixture's second handler may not run twice. */
static void start(struct fixture *fx, struct restore *restore)
{
	fixture_init(fx, 1, 10);
	fx->handlers[1].on_crash = ON_CRASH_LOST;
	fixture_open(fx);
	fx->board->keeps = true;
	restore_init(restore, fx->board, fx->now_us);
}

static void finish(struct fixture *fx, struct restore *restore, uint64_t last_id)
{
	ck_assert_int_eq(restore_finish(restore, last_id), 0);
	restore_done(restore);
	fixture_check(fx);
}

START_TEST(test_restore_refuses_what_no_board_wrote)
{
	struct restore restore;
	struct fixture fx;
	struct restored good, rows[12];

	start(&fx, &restore);
	good = make_row(&fx, 5, TASK_QUEUED);
	good.unique = VIEW_LIT("k");
	restore_one(&restore, &good);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		rows[i] = make_row(&fx, 6, TASK_QUEUED);
	rows[0].id = 0;
	rows[1].id = 5; /* there already */
	rows[2].id = 4; /* out of order */
	rows[3].state = TASK_NEW;
	rows[4].state = TASK_STATES;
	rows[5].priority = TASK_PRIORITIES;
	rows[6].posted_us = 0;
	rows[7].ended_us = 30;
	rows[8].state = TASK_DONE;
	rows[9].state = TASK_ACTIVE;
	rows[10].state = TASK_DELAYED;
	rows[10].suspect = true;
	rows[11].unique = VIEW_LIT("k"); /* another's */
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ck_assert_msg(restore_task(&restore, &rows[i]) == -EBADMSG, "row %zu", i);
	finish(&fx, &restore, 0);
	ck_assert_uint_eq(fx.pool->count[TASK_QUEUED], 1);
	ck_assert_uint_eq(fx.board->last_id, 5);
	fixture_close(&fx);
}
END_TEST

START_TEST(test_restore_keeps_places_also_when_two_say_the_same)
{
	static const uint64_t seqs[] = {7, 3, 3, 9, 1}, order[] = {5, 2, 3, 1, 4};
	struct restore restore;
	struct fixture fx;

	start(&fx, &restore);
	for (uint64_t id = 1; id <= ARRAY_SIZE(seqs); id++) {
		struct restored row = make_row(&fx, id, TASK_QUEUED);

		row.seq = seqs[id - 1];
		restore_one(&restore, &row);
	}
	finish(&fx, &restore, 0);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		struct task *task = board_find_task(fx.board, order[i]);

		fixture_turn(&fx, 0);
		ck_assert_msg(task->state == TASK_ACTIVE, "place %zu", i);
		ck_assert_int_eq(fixture_end(&fx, task, RESULT_OK), 0);
		fixture_turn(&fx, 0);
	}
	fixture_close(&fx);
}
END_TEST

START_TEST(test_restore_what_was_active_runs_again_or_is_lost)
{
	struct restore restore;
	struct fixture fx;
	struct restored row;
	struct task *task;

	start(&fx, &restore);
	row = make_row(&fx, 1, TASK_ACTIVE);
	row.attempt = 3;
	restore_one(&restore, &row);
	row = make_row(&fx, 2, TASK_ACTIVE);
	row.handler = &fx.board->handlers[1];
	restore_one(&restore, &row);
	row = make_row(&fx, 3, TASK_QUEUED);
	restore_one(&restore, &row);
	finish(&fx, &restore, 0);
	ck_assert_uint_eq(restore.counts.again, 1);
	ck_assert_uint_eq(restore.counts.lost, 1);
	ck_assert_uint_eq(restore.counts.waiting, 2);
	task = board_find_task(fx.board, 2);
	ck_assert_int_eq(task->state, TASK_LOST);
	ck_assert(task->dirty); /* to be written down */
	fixture_turn(&fx, 0);
	task = board_find_task(fx.board, 1); /* before the one that came later */
	ck_assert_int_eq(task->state, TASK_ACTIVE);
	ck_assert_uint_eq(task->attempt, 4);
	ck_assert_uint_eq(fx.pool->stats.counters.returned, 1);
	fixture_close(&fx);
}
END_TEST

START_TEST(test_restore_numbers_add_up_whatever_was_counted)
{
	struct restore restore;
	struct fixture fx;
	struct restored row;

	start(&fx, &restore);
	row = make_row(&fx, 1, TASK_DONE);
	restore_one(&restore, &row);
	row = make_row(&fx, 2, TASK_DELAYED);
	restore_one(&restore, &row);
	fx.pool->saved.count[TASK_DONE] = 40;
	fx.pool->saved.count[TASK_EXPIRED] = 2;
	fx.pool->saved.counters.refused = 9;
	fx.pool->saved.counters.posted = 1; /* nobody asks */
	fx.board->handlers[0].saved_count[TASK_DONE] = 40;
	fx.board->handlers[1].saved_count[TASK_EXPIRED] = 2;
	restore_pool(fx.pool);
	restore_handler(&fx.board->handlers[0]);
	restore_handler(&fx.board->handlers[1]);
	finish(&fx, &restore, 77);
	ck_assert_uint_eq(fx.pool->stats.counters.posted, 43);
	ck_assert_uint_eq(fx.pool->stats.counters.refused, 9);
	ck_assert_uint_eq(fx.board->last_id, 77);
	ck_assert_uint_eq(fx.board->n_ended, 1);
	ck_assert_ptr_eq(board_oldest(fx.board), board_find_task(fx.board, 2));
	ck_assert(board_is_clean(fx.board));
	fixture_close(&fx);
}
END_TEST

START_TEST(test_restore_what_is_forgotten_waits_for_a_commit)
{
	struct restore restore;
	struct fixture fx;

	start(&fx, &restore);
	for (uint64_t id = 1; id <= 5; id++) {
		const struct restored row = make_row(&fx, id, TASK_DONE);

		restore_one(&restore, &row);
	}
	finish(&fx, &restore, 0);
	fx.settings.daemon.history_max = 2;
	fixture_turn(&fx, 0);
	ck_assert_uint_eq(fx.board->n_ended, 2);
	ck_assert_ptr_null(board_find_task(fx.board, 3));
	ck_assert_uint_eq(TAILQ_LAST(&fx.board->forgotten, task_list)->id, 3);
	fixture_turn(&fx, -EIO);
	ck_assert(!board_is_clean(fx.board)); /* its rows are still there */
	fixture_turn(&fx, 0);
	ck_assert(board_is_clean(fx.board));
	fixture_close(&fx);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("restore");

	tcase_add_test(tcase, test_restore_refuses_what_no_board_wrote);
	tcase_add_test(tcase, test_restore_keeps_places_also_when_two_say_the_same);
	tcase_add_test(tcase, test_restore_what_was_active_runs_again_or_is_lost);
	tcase_add_test(tcase, test_restore_numbers_add_up_whatever_was_counted);
	tcase_add_test(tcase, test_restore_what_is_forgotten_waits_for_a_commit);
	return fixture_run("restore", tcase);
}
