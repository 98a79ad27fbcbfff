/*
 * check_sqlite: what is written down comes back: every state, every place, every number, after any change, also after a turn
 * that failed; and what a start does with what it finds.
 */
#include "store_fixture.h"

#include <sqlite3.h>

#include "base/str.h"
#include "core/handler.h"

/* --- A board as text, as a start after a kill should find it ------------------------------- */

static uint64_t wall_of(const struct task *task, uint64_t at_us)
{
	return at_us != 0 ? task->posted_wall_us + (at_us - task->posted_us) : 0;
}

/* It was active, somebody had cancelled it, and it ends with the daemon; before that and after. */
static bool dies_cancelled(const struct task *task, bool has_crashed)
{
	return has_crashed ? task->state == TASK_ACTIVE && task->cancelled
			   : task->state == TASK_CANCELLED && task->saved == TASK_ACTIVE;
}

static void dump_task(struct buf *out, const struct task *task, bool has_crashed)
{
	bool again = has_crashed && task->state == TASK_ACTIVE;
	struct view args = task_args(task), result = task_result(task);
	int r;

	if (dies_cancelled(task, has_crashed)) {
		r = buf_printf(out, "%lu a%u is cancelled\n", task->id, task->attempt);
		ck_assert_int_eq(r, 0);
		return;
	}
	r = buf_printf(out,
		"%lu %s %s %s p%d t%d s%d a%u f%u/%u c%u u%u posted %lu queued %lu started %lu "
		"ended %lu due %lu expires %lu limit "
		"%lu delay %lu seq %lu '%s' '%s' '%.*s' end %d '%s' '%.*s'\n",
		task->id, task->pool->settings->name, task->handler->settings->name,
		again ? "queued" : task_state_name((enum task_state)task->state), task->priority,
		task->trials, task->suspect, task->attempt, task->failures, task->retries,
		task->crashes, task->owner_uid, task->posted_wall_us,
		again                                             ? 0
		: task->attempt > 0 && task->state == TASK_QUEUED ? 0
								  : wall_of(task, task->queued_us),
		again ? 0 : wall_of(task, task->started_us), wall_of(task, task->ended_us),
		task->state == TASK_DELAYED ? wall_of(task, task->due_us) : 0,
		wall_of(task, task->expires_us), task->timeout_us, task->delay_us,
		task->state == TASK_QUEUED || again ? task->seq : 0, task_name(task),
		task_unique(task), (int)args.len, args.data, task->end != NULL,
		task->end != NULL ? task->end->reason : "", (int)result.len,
		result.data != NULL ? result.data : "");

	ck_assert_int_eq(r, 0);
}

/* more: that will be cancelled. */
static void dump_counts(
	struct buf *out, const char *name, const uint64_t count[TASK_STATES], uint64_t more)
{
	ck_assert_int_eq(buf_printf(out, "%s", name), 0);
	for (unsigned state = TASK_DONE; state < TASK_STATES; state++)
		ck_assert_int_eq(
			buf_printf(out, " %lu", count[state] + (state == TASK_CANCELLED) * more),
			0);
	ck_assert_int_eq(buf_append(out, "\n", 1), 0);
}

static void dump_counters(struct buf *out, const struct pool *pool, uint64_t returned)
{
	const struct counters *c = &pool->saved.counters;

	ck_assert_int_eq(buf_printf(out,
				 "joined %lu refused %lu retried %lu returned %lu crashed %lu "
				 "timed_out %lu stale %lu\n",
				 c->joined, c->refused, c->retried, c->returned + returned,
				 c->crashed, c->timed_out, c->stale),
		0);
}

static uint64_t count_dying(
	const struct board *board, const struct pool *pool, const struct handler *handler)
{
	const struct task *task;
	uint64_t n = 0;

	BOARD_FOREACH(task, board)
	n += (task->pool == pool || task->handler == handler) && dies_cancelled(task, true);
	return n;
}

/* The caller frees it. has_crashed: what runs is told as what it will be. */
static char *dump(const struct board *board, bool has_crashed)
{
	const struct task *task;
	const struct pool *pool;
	struct buf out;
	char *text;

	buf_init(&out, 64u << 20);
	BOARD_FOREACH(task, board)
	dump_task(&out, task, has_crashed);
	ck_assert_int_eq(buf_printf(&out, "ended:"), 0);
	TAILQ_FOREACH (task, &board->ended, in_place)
		ck_assert_int_eq(buf_printf(&out, " %lu", task->ended_us), 0);
	TAILQ_FOREACH (pool, &board->pools, link) {
		dump_counts(&out, "\npool", pool->count,
			has_crashed ? count_dying(board, pool, NULL) : 0);
		dump_counters(&out, pool, 0);
	}
	for (size_t i = 0; i < board->settings->n_handlers; i++)
		dump_counts(&out, "handler", board->handlers[i].count,
			has_crashed ? count_dying(board, NULL, &board->handlers[i]) : 0);
	ck_assert_int_eq(buf_append(&out, "", 1), 0);
	text = mem_dup(buf_view(&out).data, buf_len(&out));
	buf_done(&out);
	return text;
}

static void same(const char *before, const char *after)
{
	size_t at = 0, line = 0;

	for (; before[at] != '\0' && before[at] == after[at]; at++)
		line = before[at] == '\n' ? at + 1 : line;
	ck_assert_msg(before[at] == after[at], "before %.*s\nafter  %.*s",
		(int)strcspn(before + line, "\n"), before + line, (int)strcspn(after + line, "\n"),
		after + line);
}

/* The daemon is killed here, and a new one finds all of it. */
static void crash_and_compare(struct box *box)
{
	auto_free char *before = NULL, *after = NULL;
	uint64_t last_id = box->fx.board->last_id;

	box_turn_ok(box); /* what was forgotten goes with a commit */
	before = dump(box->fx.board, true);
	box_crash(box);
	after = dump(box->fx.board, false);
	same(before, after);
	ck_assert_uint_le(box->fx.board->last_id, last_id);
}

/* --- States --------------------------------------------------------------------------------- */

START_TEST(test_sqlite_every_state_comes_back)
{
	struct box box;
	struct fixture *fx = &box.fx;
	struct post post;
	struct task *tasks[9];

	box_init(&box, 4, 100);
	box_open(&box);
	fx->pool->paused = true;
	post = box_post(&box);
	post.retries = 1;
	for (unsigned i = 0; i < 6; i++)
		tasks[i] = fixture_post_as(fx, &post); /* 1 … 6 */
	fx->pool->paused = false;
	box_turn_ok(&box);
	ck_assert_int_eq(tasks[3]->state, TASK_ACTIVE);
	ck_assert_int_eq(fixture_end(fx, tasks[0], RESULT_OK), 0); /* done */
	ck_assert_int_eq(
		fixture_end(fx, tasks[1], RESULT_FAILED), 0); /* waits for its second attempt */
	ck_assert_int_eq(board_cancel(fx->board, tasks[4], fx->now_us), 0);
	fx->now_us += 1234567;
	fx->pool->paused = true;
	post.wall_us = box_wall_us(&box);
	post.unique = VIEW_LIT("key");
	post.delay_us = 5 * US_PER_SEC;
	post.expiry_us = 9 * US_PER_SEC;
	tasks[6] = fixture_post_as(fx, &post); /* delayed */
	post.unique = VIEW_LIT("");
	post.delay_us = 0;
	post.expiry_us = US_PER_MS;
	tasks[7] = fixture_post_as(fx, &post);
	box_turn_ok(&box);
	fx->now_us += US_PER_SEC;
	box_turn_ok(&box);
	ck_assert_int_eq(tasks[0]->state, TASK_DONE);
	ck_assert_int_eq(tasks[1]->state, TASK_QUEUED); /* its pause is over */
	ck_assert_int_eq(tasks[2]->state, TASK_ACTIVE);
	ck_assert_int_eq(tasks[4]->state, TASK_CANCELLED);
	ck_assert_int_eq(tasks[6]->state, TASK_DELAYED);
	ck_assert_int_eq(tasks[7]->state, TASK_EXPIRED);
	crash_and_compare(&box);
	ck_assert_int_eq(board_find_task(fx->board, 3)->state, TASK_QUEUED);
	ck_assert_uint_eq(board_find_task(fx->board, 3)->attempt, 1);
	ck_assert_uint_eq(fx->pool->stats.counters.returned, 2);
	box_turn_ok(&box);
	crash_and_compare(&box); /* what was returned is written as what it is */
	box_close(&box);
}
END_TEST

/* Also what may not run twice: that somebody wanted it ended counts first. */
START_TEST(test_sqlite_a_task_that_was_cancelled_does_not_run_again)
{
	struct box box;
	struct fixture *fx = &box.fx;
	struct post post;
	struct task *task;
	uint64_t flushes;

	box_init(&box, 2, 100);
	fx->handlers[0].on_crash = _i == 0 ? ON_CRASH_RETRY : ON_CRASH_LOST;
	box_open(&box);
	post = box_post(&box);
	post.unique = VIEW_LIT("k");
	task = fixture_post_as(fx, &post);
	(void)box_post_one(&box); /* runs again, or is lost */
	box_turn_ok(&box);
	box_turn_ok(&box);
	ck_assert_uint_eq(task->state, TASK_ACTIVE);
	flushes = store_status(box.store).flushes;
	ck_assert_int_eq(board_cancel(fx->board, task, fx->now_us), 0);
	box_turn_ok(&box);
	ck_assert_uint_eq(task->state, TASK_ACTIVE);
	ck_assert_uint_eq(store_status(box.store).flushes, flushes + 1); /* before its answer */
	box_crash(&box);
	task = board_find_task(fx->board, 1);
	ck_assert_uint_eq(task->state, TASK_CANCELLED);
	ck_assert_str_eq(task_reason(task), "cancelled");
	ck_assert_ptr_nonnull(strstr(task_result(task).data, "the daemon died"));
	ck_assert_uint_eq(board_find_task(fx->board, 2)->state, _i == 0 ? TASK_QUEUED : TASK_LOST);
	ck_assert_uint_eq(fx->pool->count[TASK_CANCELLED], 1);
	ck_assert_uint_eq(fx->pool->stats.counters.posted, 2);
	post = box_post(&box);
	post.unique = VIEW_LIT("k");
	(void)fixture_post_as(fx, &post); /* its key is free */
	box_turn_ok(&box);
	/* Retried it is nobody's wish any more that it ends. */
	ck_assert_int_eq(
		board_retry(fx->board, board_find_task(fx->board, 1), fx->now_us), -EEXIST);
	ck_assert_int_eq(board_cancel(fx->board, board_find_task(fx->board, 3), fx->now_us), 0);
	box_turn_ok(&box);
	box_crash(&box);
	box_turn_ok(&box);
	ck_assert_int_eq(board_retry(fx->board, board_find_task(fx->board, 1), fx->now_us), 0);
	box_turn_ok(&box);
	box_crash(&box);
	ck_assert_uint_ne(board_find_task(fx->board, 1)->state, TASK_CANCELLED);
	box_close(&box);
}
END_TEST

START_TEST(test_sqlite_what_may_not_run_twice_is_lost_and_said_so)
{
	struct box box;
	struct fixture *fx = &box.fx;
	struct post post;
	struct task *task;

	box_init(&box, 2, 100);
	fx->handlers[0].on_crash = ON_CRASH_LOST;
	box_open(&box);
	post = box_post(&box);
	post.unique = VIEW_LIT("k");
	(void)fixture_post_as(fx, &post);
	box_turn_ok(&box);
	box_crash(&box);
	task = board_find_task(fx->board, 1);
	ck_assert_int_eq(task->state, TASK_LOST);
	ck_assert_int_eq(task->saved, TASK_ACTIVE);
	ck_assert_str_eq(task_reason(task), "crashed");
	ck_assert_ptr_nonnull(strstr(task_result(task).data, "the daemon died"));
	post = box_post(&box);
	post.unique = VIEW_LIT("k");
	(void)fixture_post_as(fx, &post); /* its key is free */
	box_turn_ok(&box);
	ck_assert_int_eq(fixture_end(fx, board_find_task(fx->board, 2), RESULT_OK), 0);
	crash_and_compare(&box);
	box_close(&box);
}
END_TEST

/* --- Anything that can happen, and a kill at any time --------------------------------------- */

static struct task *any_task(struct box *box, uint64_t *seed)
{
	uint64_t last = box->fx.board->last_id;

	return last > 0 ? board_find_task(box->fx.board, 1 + fixture_random(seed) % last) : NULL;
}

static void random_post(struct box *box, uint64_t *seed)
{
	static char args[3000];
	struct post post = box_post(box);
	struct task *task;
	char key[8];

	memset(args, 'x', sizeof args);
	args[0] = args[sizeof args - 1] = '"';
	post.pool = fixture_random(seed) % 4 == 0 ? box->fx.other : box->fx.pool;
	post.handler = &box->fx.board->handlers[fixture_random(seed) % FIXTURE_HANDLERS];
	post.priority = (uint8_t)(fixture_random(seed) % TASK_PRIORITIES);
	post.retries = (uint32_t)(fixture_random(seed) % 3);
	post.delay_us = fixture_random(seed) % 4 == 0 ? fixture_random(seed) % (3 * US_PER_SEC) : 0;
	post.expiry_us = fixture_random(seed) % 4 == 0
				 ? post.delay_us + 1 + fixture_random(seed) % US_PER_SEC
				 : 0;
	post.timeout_us = fixture_random(seed) % 4 == 0 ? 1 + fixture_random(seed) % US_PER_SEC : 0;
	(void)snprintf(key, sizeof key, "%u", (unsigned)(fixture_random(seed) % 20));
	post.unique = fixture_random(seed) % 3 == 0 ? view_of(key) : VIEW_LIT("");
	post.name = fixture_random(seed) % 3 == 0 ? VIEW_LIT("") : VIEW_LIT("näme");
	if (fixture_random(seed) % 5 == 0)
		post.args = (struct view){args, sizeof args};
	IGNORE(board_post(box->fx.board, &post, box->fx.now_us, &task)); /* refused is fine, too */
}

static void random_end(struct box *box, uint64_t *seed)
{
	struct task *task = any_task(box, seed);
	const struct result result = {.outcome = (uint8_t)(fixture_random(seed) % RESULT_OUTCOMES),
		.reason = fixture_random(seed) % 2 ? VIEW_LIT("exit") : VIEW_LIT(""),
		.result = fixture_random(seed) % 4 ? VIEW_LIT("{\"error\":\"no\"}") : VIEW_LIT("")};

	if (task != NULL && task->state == TASK_ACTIVE && !task->unsent)
		IGNORE(board_finish(box->fx.board, task->id, task->attempt, &result,
			box->fx.now_us)); /* any will do */
}

static void random_act(struct box *box, uint64_t *seed)
{
	struct fixture *fx = &box->fx;
	struct task *task = any_task(box, seed);

	switch (fixture_random(seed) % 12) {
	case 0:
	case 1:
	case 2:
	case 3:
		random_post(box, seed);
		break;
	case 4:
		if (task != NULL)
			IGNORE(board_cancel(fx->board, task, fx->now_us)); /* it may have ended */
		break;
	case 5:
		if (task != NULL)
			IGNORE(board_retry(fx->board, task, fx->now_us)); /* it may run */
		break;
	case 6:
		fx->now_us += fixture_random(seed) % US_PER_SEC;
		break;
	case 7:
		(void)board_host_gone(fx->board, fx->pool, &fx->hosts[0], false, fx->now_us);
		slots_up(&fx->pool->slots, &fx->hosts[0]);
		slots_alone_up(&fx->pool->slots, &fx->hosts[4]);
		break;
	default:
		random_end(box, seed);
		break;
	}
}

START_TEST(test_sqlite_whatever_happens_comes_back)
{
	uint64_t seed = (uint64_t)_i;
	struct box box;

	box_init(&box, 3, 30);
	box.fx.settings.daemon.history_max = 40;
	box.fx.settings.daemon.history_age_us = 20 * US_PER_SEC;
	box_open(&box);
	for (fixture_step = 0; fixture_step < 1500; fixture_step++) {
		for (uint64_t n = fixture_random(&seed) % 5; n > 0; n--)
			random_act(&box, &seed);
		box_turn_ok(&box);
		if (fixture_random(&seed) % 100 == 0)
			crash_and_compare(&box);
		else if (fixture_random(&seed) % 100 == 0)
			(void)store_tend(box.store, true);
	}
	crash_and_compare(&box);
	box_close(&box);
}
END_TEST

START_TEST(test_sqlite_order_of_starts_survives)
{
	static const uint8_t priorities[] = {5, 9, 5, 0, 5, 9, 0, 1};
	static const uint64_t order[] = {4, 7, 8, 1, 3, 5, 2, 6};
	struct box box;
	struct fixture *fx = &box.fx;

	box_init(&box, 1, 100);
	box_open(&box);
	fx->pool->paused = true;
	for (size_t i = 0; i < ARRAY_SIZE(priorities); i++) {
		struct post post = box_post(&box);

		post.priority = priorities[i];
		(void)fixture_post_as(fx, &post);
	}
	box_turn_ok(&box);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		struct task *task = board_find_task(fx->board, order[i]);

		box_turn_ok(&box);
		box_crash(&box); /* in the middle of it each time, and what ran is first again */
		fx->pool->paused = false;
		box_turn_ok(&box);
		task = board_find_task(fx->board, order[i]);
		ck_assert_int_eq(task->state, TASK_ACTIVE);
		box_crash(&box);
		fx->pool->paused = false;
		box_turn_ok(&box);
		task = board_find_task(fx->board, order[i]);
		ck_assert_int_eq(task->state, TASK_ACTIVE);
		ck_assert_uint_eq(task->attempt, i == 0 ? 2 : 3);
		ck_assert_int_eq(fixture_end(fx, task, RESULT_OK), 0);
		box_turn_ok(&box);
	}
	box_close(&box);
}
END_TEST

/* --- Ids and history ------------------------------------------------------------------------ */

START_TEST(test_sqlite_ids_never_repeat)
{
	struct box box;
	struct fixture *fx = &box.fx;

	box_init(&box, 1, 100);
	fx->settings.daemon.history_max = 0;
	box_open(&box);
	for (uint64_t id = 1; id < 20; id++) {
		struct task *task = box_post_one(&box);

		ck_assert_uint_eq(task->id, id);
		box_turn_ok(&box);
		ck_assert_int_eq(fixture_end(fx, task, RESULT_OK), 0);
		box_turn_ok(&box);
		box_turn_ok(&box); /* what was forgotten goes with this one */
		ck_assert(fx->board->tasks.len == 0);
		if (id % 3 == 0)
			box_crash(&box);
		else if (id % 3 == 1)
			box_restart(&box);
		ck_assert_uint_eq(fx->pool->count[TASK_DONE], id);
		ck_assert_uint_eq(fx->pool->stats.counters.posted, id);
	}
	box_close(&box);
}
END_TEST

static int64_t rows_of(const struct box *box, const char *sql)
{
	char command[2 * STORE_PATH_MAX], copy[STORE_PATH_MAX], line[64] = "";
	FILE *pipe;

	/* Of a copy: the file is taken. */
	(void)snprintf(copy, sizeof copy, "%.64s/look.db", box->dir);
	box_shell("cp %s %s && cp %s-wal %s-wal", box->path, copy, box->path, copy);
	(void)snprintf(command, sizeof command, "sqlite3 %s '%s'", copy, sql);
	pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	ck_assert_ptr_nonnull(fgets(line, sizeof line, pipe));
	ck_assert_int_eq(pclose(pipe), 0);
	box_shell("rm %s*", copy);
	return strtoll(line, NULL, 10);
}

START_TEST(test_sqlite_history_is_bounded_in_the_file_too)
{
	struct box box;
	struct fixture *fx = &box.fx;
	static char args[5000];

	memset(args, '1', sizeof args);
	box_init(&box, 4, 100);
	fx->settings.daemon.history_max = 10;
	box_open(&box);
	for (unsigned i = 0; i < 60; i++) {
		struct post post = box_post(&box);

		if (i % 2)
			post.args = (struct view){args, sizeof args};
		(void)fixture_post_as(fx, &post);
		box_turn_ok(&box);
		for (uint64_t id = 1; id <= fx->board->last_id; id++) {
			struct task *task = board_find_task(fx->board, id);

			if (task != NULL && task->state == TASK_ACTIVE)
				ck_assert_int_eq(fixture_end(fx, task, RESULT_OK), 0);
		}
		box_turn_ok(&box);
		box_turn_ok(&box);
		ck_assert_int_eq(
			rows_of(&box, "select count(*) from task"), (int64_t)fx->board->n_ended);
	}
	ck_assert_uint_eq(fx->board->n_ended, 10);
	ck_assert_int_eq(rows_of(&box, "select count(*) from large"), 5);
	/* Less is wanted from now on. */
	box_shut(&box);
	fx->settings.daemon.history_max = 3;
	box_open(&box);
	box_turn_ok(&box);
	ck_assert_uint_eq(fx->board->n_ended, 3);
	box_turn_ok(&box);
	ck_assert_int_eq(rows_of(&box, "select count(*) from task"), 3);
	ck_assert_int_eq(rows_of(&box, "select min(id) from task"), 58);
	box_close(&box);
}
END_TEST

/* --- What is not configured any more --------------------------------------------------------- */

START_TEST(test_sqlite_tasks_of_what_is_not_configured_wait_for_it)
{
	struct box box;
	struct fixture *fx = &box.fx;
	char *was = NULL;
	auto_free char *before = NULL;

	box_init(&box, 1, 100);
	box_open(&box);
	fx->pool->paused = true;
	for (unsigned i = 0; i < 9; i++) {
		struct post post = box_post(&box);

		post.pool = i < 3 ? fx->other : fx->pool;
		post.handler = &fx->board->handlers[i % FIXTURE_HANDLERS];
		(void)fixture_post_as(fx, &post);
	}
	box_turn_ok(&box); /* 1 runs in other */
	before = dump(fx->board, true);
	box_shut(&box);
	was = fx->handlers[2].name;
	fx->handlers[2].name = strdup("gone");
	box_open(&box);
	ck_assert_uint_eq(store_status(box.store).unknown, 3);
	ck_assert_ptr_null(board_find_task(fx->board, 3));
	ck_assert_uint_eq(fx->pool->stats.counters.posted, 4);
	ck_assert_uint_eq(box_post_one(&box)->id, 10); /* not 9, which nobody here knows */
	ck_assert_int_eq(board_cancel(fx->board, board_find_task(fx->board, 10), fx->now_us), 0);
	box_turn_ok(&box);
	box_shut(&box);
	free(fx->handlers[2].name);
	fx->handlers[2].name = was;
	box_open(&box);
	ck_assert_uint_eq(store_status(box.store).unknown, 0);
	ck_assert_uint_eq(fx->pool->count[TASK_QUEUED], 6);
	ck_assert_uint_eq(fx->other->count[TASK_QUEUED], 3);
	ck_assert_uint_eq(fx->pool->stats.counters.posted, 7);
	box_close(&box);
}
END_TEST

/* --- Time ------------------------------------------------------------------------------------ */

static struct task *post_at(struct box *box, uint64_t delay_us, uint64_t expiry_us)
{
	struct post post = box_post(box);

	post.delay_us = delay_us;
	post.expiry_us = expiry_us;
	return fixture_post_as(&box->fx, &post);
}

START_TEST(test_sqlite_delays_and_expiry_go_on_by_the_calendar)
{
	struct box box;
	struct fixture *fx = &box.fx;

	box_init(&box, 1, 100);
	box_open(&box);
	fx->pool->paused = true;
	(void)post_at(&box, 60 * US_PER_SEC, 0);
	(void)post_at(&box, 3600 * US_PER_SEC, 0);
	(void)post_at(&box, 0, 60 * US_PER_SEC);
	(void)post_at(&box, 0, 3600 * US_PER_SEC);
	box_turn_ok(&box);
	box_copy(&box);
	box_shut(&box);
	/* The machine was off for half an hour: a clock that begins anew, though as far ahead as ours does. */
	fx->now_us = BOX_NOW_US - 500 * US_PER_SEC;
	box.wall_us = BOX_WALL_US + (1800 + 500) * US_PER_SEC;
	box_open(&box);
	fx->pool->paused = true;
	box_turn_ok(&box);
	ck_assert_int_eq(board_find_task(fx->board, 1)->state, TASK_QUEUED);
	ck_assert_int_eq(board_find_task(fx->board, 2)->state, TASK_DELAYED);
	ck_assert_uint_eq(board_find_task(fx->board, 2)->due_us, fx->now_us + 1800 * US_PER_SEC);
	ck_assert_int_eq(board_find_task(fx->board, 3)->state, TASK_EXPIRED);
	ck_assert_int_eq(board_find_task(fx->board, 4)->state, TASK_QUEUED);
	ck_assert_uint_eq(board_find_task(fx->board, 4)->posted_us, fx->now_us - 1800 * US_PER_SEC);
	fx->now_us += 1800 * US_PER_SEC;
	box_turn_ok(&box);
	ck_assert_int_eq(board_find_task(fx->board, 2)->state, TASK_QUEUED);
	ck_assert_int_eq(board_find_task(fx->board, 4)->state, TASK_EXPIRED);
	box_close(&box);
}
END_TEST

START_TEST(test_sqlite_a_calendar_that_was_set_back_breaks_nothing)
{
	struct box box;
	struct fixture *fx = &box.fx;
	struct task *task;

	box_init(&box, 1, 100);
	box_open(&box);
	(void)fixture_post_as(fx, &(struct post){.pool = fx->pool,
					  .handler = &fx->board->handlers[0],
					  .priority = 5,
					  .wall_us = box_wall_us(&box)});
	box_turn_ok(&box);
	ck_assert_int_eq(fixture_end(fx, board_find_task(fx->board, 1), RESULT_OK), 0);
	box_turn_ok(&box);
	(void)post_at(&box, 60 * US_PER_SEC, 0);
	box_turn_ok(&box);
	box_shut(&box);
	box.wall_us -= 1000000 * US_PER_SEC;
	box_open(&box);
	task = board_find_task(fx->board, 1);
	ck_assert_uint_eq(task->ended_us, fx->now_us);
	task = board_find_task(fx->board, 2);
	ck_assert_int_eq(task->state, TASK_DELAYED);
	ck_assert_uint_eq(task->posted_us, fx->now_us);
	ck_assert_uint_eq(
		task->due_us, fx->now_us + 60 * US_PER_SEC); /* no longer than it was told to */
	box_close(&box);
}
END_TEST

/* --- Flushes --------------------------------------------------------------------------------- */

START_TEST(test_sqlite_flushes_what_has_to_be_and_nothing_else)
{
	struct box box;
	struct fixture *fx = &box.fx;
	struct task *task;

	box_init(&box, 1, 100);
	box_open(&box);
	fx->pool->paused = true;
	task = box_post_one(&box);
	box_turn_ok(&box);
	ck_assert_uint_eq(store_status(box.store).flushes, 1); /* the post */
	fx->pool->paused = false;
	box_turn_ok(&box);
	ck_assert_uint_eq(store_status(box.store).flushes, 1); /* not the start */
	ck_assert_uint_eq(store_status(box.store).commits, 2);
	ck_assert_int_eq(fixture_end(fx, task, RESULT_OK), 0);
	box_turn_ok(&box);
	ck_assert_uint_eq(store_status(box.store).flushes, 2); /* the end */
	fx->handlers[0].on_crash = ON_CRASH_LOST;
	fx->pool->paused = true;
	for (unsigned i = 0; i < 50; i++)
		(void)box_post_one(&box);
	box_turn_ok(&box);
	ck_assert_uint_eq(store_status(box.store).flushes, 3); /* one for all */
	ck_assert_uint_eq(store_status(box.store).posts, 51);
	fx->pool->paused = false;
	box_turn_ok(&box);
	ck_assert_uint_eq(
		store_status(box.store).flushes, 4); /* a start that must not be forgotten */
	ck_assert_uint_eq(store_status(box.store).flush->count, 4);
	box_shut(&box);
	box.options.is_full_sync = false;
	box_open(&box);
	(void)box_post_one(&box);
	box_turn_ok(&box);
	ck_assert_uint_eq(store_status(box.store).flushes, 0);
	box_close(&box);
}
END_TEST

/* --- Full ------------------------------------------------------------------------------------ */

/* Posts with large arguments until the store takes none. */
static unsigned fill(struct box *box)
{
	static char args[20000];
	unsigned n = 0;

	memset(args, '1', sizeof args);
	for (; store_check(box->store) == 0; n++) {
		struct post post = box_post(box);

		post.args = (struct view){args, sizeof args};
		(void)fixture_post_as(&box->fx, &post);
		ck_assert_int_eq(box_turn(box), 0);
		(void)store_tend(box->store, true);
		ck_assert_uint_lt(n, 10000);
	}
	return n;
}

START_TEST(test_sqlite_a_full_store_refuses_posts_and_takes_ends)
{
	struct box box;
	struct fixture *fx = &box.fx;
	unsigned n;

	box_init(&box, 1, 100000);
	fx->settings.daemon.history_max = 0;
	box.options.max_bytes = 16u << 20;
	box.options.reserve_bytes = 2u << 20;
	box_open(&box);
	fx->other->paused = true;
	n = fill(&box);
	ck_assert_uint_gt(n, 100);
	ck_assert_int_eq(store_check(box.store), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(store_status(box.store).why, "max_size"));
	ck_assert_uint_le(store_status(box.store).used_bytes, 16u << 20);
	(void)box_post_one(&box);
	ck_assert_int_eq(box_turn(&box), -ENOSPC); /* also one that was not asked before */
	fx->board->store_error = -ENOSPC;
	ck_assert_int_eq(fixture_try(fx, fx->pool, 0, &(struct task *){NULL}), -ENOSPC);
	for (uint64_t id = 1; id <= n; id++) {
		struct task *task = board_find_task(fx->board, id);

		ck_assert_int_eq(task->state, TASK_ACTIVE);
		ck_assert_int_eq(fixture_end(fx, task, RESULT_OK), 0);
		box_turn_ok(&box);
		(void)store_tend(box.store, false);
	}
	box_turn_ok(&box);
	ck_assert_int_eq(store_check(box.store), 0);
	ck_assert_str_eq(store_status(box.store).why, "");
	fx->board->store_error = 0;
	ck_assert_uint_gt(fill(&box), 100);
	box_close(&box);
}
END_TEST

/* The log counts, and is not cut while there is room: then it would stay as long as it once was. */
START_TEST(test_sqlite_an_empty_store_takes_posts_however_long_its_log_was)
{
	static char args[40000];
	struct box box;
	struct fixture *fx = &box.fx;

	memset(args, '1', sizeof args);
	box_init(&box, 1, 100000);
	fx->settings.daemon.history_max = 0;
	box.options.max_bytes = 4u << 20;
	box.options.reserve_bytes = 1u << 20;
	box_open(&box);
	for (unsigned i = 0; i < 300; i++) { /* 12 MB, one after the other */
		struct post post = box_post(&box);
		struct task *task;

		post.args = (struct view){args, sizeof args};
		ck_assert_int_eq(store_check(box.store), 0);
		task = fixture_post_as(fx, &post);
		box_turn_ok(&box);
		ck_assert_int_eq(fixture_end(fx, task, RESULT_OK), 0);
		box_turn_ok(&box);
		box_turn_ok(&box);
		(void)store_tend(box.store, false);
		(void)store_check(box.store);
		(void)store_tend(box.store, false);
	}
	box_close(&box);
}
END_TEST

/* Also when it has just begun anew: then next to nothing is in it. Of ten sizes some meet that. */
START_TEST(test_sqlite_a_store_is_full_of_tasks_and_not_of_its_log)
{
	static char args[40000]; /* ten pages */
	uint64_t room = 6900000 + (uint64_t)_i * 50000;
	struct box box;
	unsigned n = 0;

	memset(args, '1', sizeof args);
	box_init(&box, 1, 100000);
	box.options.reserve_bytes = 1u << 20;
	box.options.max_bytes = room + box.options.reserve_bytes;
	box_open(&box);
	box.fx.pool->paused = true;
	for (; store_check(box.store) == 0; n++) {
		struct post post = box_post(&box);

		post.args = (struct view){args, sizeof args};
		(void)fixture_post_as(&box.fx, &post);
		box_turn_ok(&box);
		(void)store_check(box.store);
		(void)store_tend(box.store, false);
		ck_assert_uint_lt(n, 1000);
	}
	ck_assert_uint_gt(n * sizeof args, room * 3 / 4);
	box_close(&box);
}
END_TEST

START_TEST(test_sqlite_a_turn_that_does_not_fit_leaves_nothing_behind)
{
	struct box box;
	struct fixture *fx = &box.fx;
	auto_free char *before = NULL, *after = NULL;
	static char args[20000];

	memset(args, '1', sizeof args);
	box_init(&box, 1, 100000);
	box.options.max_bytes = 4u << 20;
	box.options.reserve_bytes = 0;
	box_open(&box);
	fx->pool->paused = true;
	for (unsigned i = 0; i < 50; i++)
		(void)box_post_one(&box);
	box_turn_ok(&box);
	before = dump(fx->board, true);
	for (unsigned i = 0; i < 1000; i++) {
		struct post post = box_post(&box);

		post.args = (struct view){args, sizeof args};
		(void)fixture_post_as(fx, &post);
	}
	ck_assert_int_eq(box_turn(&box), -ENOSPC); /* 20 MB: max_page_count */
	(void)box_post_one(&box);
	box_copy(&box);
	box_shut(&box);
	box_open(&box);
	after = dump(fx->board, true);
	same(before, after);
	fx->pool->paused = true;
	(void)box_post_one(&box);
	box_turn_ok(&box);
	box_close(&box);
}
END_TEST

START_TEST(test_sqlite_space_is_given_back)
{
	struct box box;
	struct fixture *fx = &box.fx;
	struct stat is;
	off_t size;
	unsigned n;

	box_init(&box, 1, 100000);
	fx->settings.daemon.history_max = 0;
	box.options.max_bytes = 32u << 20;
	box_open(&box);
	fx->pool->paused = true;
	n = fill(&box);
	ck_assert_int_eq(stat(box.path, &is), 0);
	size = is.st_size;
	ck_assert_int_gt(size, 8 << 20);
	for (uint64_t id = 2; id <= n; id++) /* the oldest stays: it holds nobody's place */
		ck_assert_int_eq(
			board_cancel(fx->board, board_find_task(fx->board, id), fx->now_us), 0);
	box_turn_ok(&box);
	box_turn_ok(&box);
	for (unsigned i = 0; store_tend(box.store, true); i++)
		ck_assert_uint_lt(i, 1000);
	ck_assert_int_eq(stat(box.path, &is), 0);
	ck_assert_int_lt(is.st_size, size / 4);
	crash_and_compare(&box);
	box_close(&box);
}
END_TEST

/* --- A disk that fails ----------------------------------------------------------------------- */

/* The system's files, but that a flush or a write may fail. */
static struct {
	sqlite3_vfs vfs;
	sqlite3_io_methods methods;
	const sqlite3_io_methods *real;
	int sync_error, write_error; /* what they answer; 0: what the disk does */
	unsigned failing_syncs;      /* so many fail, and the next says yes, as a kernel does */
	unsigned sound_writes;       /* so many work before write_error is answered */
	int truncate_error;
	unsigned truncates; /* that were asked for */
} disk;

static int disk_sync(sqlite3_file *file, int flags)
{
	if (disk.failing_syncs > 0) {
		disk.failing_syncs--;
		return SQLITE_IOERR_FSYNC;
	}
	(void)file;
	(void)flags;
	return disk.sync_error; /* no power is cut here */
}

static int disk_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
	if (disk.write_error != 0 && disk.sound_writes == 0)
		return disk.write_error;
	disk.sound_writes -= disk.sound_writes > 0;
	return disk.real->xWrite(file, data, len, at);
}

static int disk_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	disk.truncates++;
	return disk.truncate_error != 0 ? disk.truncate_error : disk.real->xTruncate(file, size);
}

static int disk_open(
	sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	sqlite3_vfs *system = sqlite3_vfs_find("unix");
	int code = system->xOpen(system, name, file, flags, ret_flags);

	(void)vfs;
	if (code == SQLITE_OK) {
		disk.real = file->pMethods;
		disk.methods = *file->pMethods;
		disk.methods.xSync = disk_sync;
		disk.methods.xWrite = disk_write;
		disk.methods.xTruncate = disk_truncate;
		file->pMethods = &disk.methods;
	}
	return code;
}

static void disk_use(struct box *box)
{
	ck_assert_int_eq(sqlite3_initialize(), SQLITE_OK);
	disk.vfs = *sqlite3_vfs_find("unix");
	disk.vfs.zName = "failing";
	disk.vfs.xOpen = disk_open;
	ck_assert_int_eq(sqlite3_vfs_register(&disk.vfs, 0), SQLITE_OK);
	box->options.vfs = "failing";
}

START_TEST(test_sqlite_after_a_flush_that_failed_nothing_is_written_until_a_restart)
{
	struct box box;
	struct fixture *fx = &box.fx;
	auto_free char *before = NULL, *after = NULL;

	box_init(&box, 1, 100);
	disk_use(&box);
	box_open(&box);
	fx->pool->paused = true;
	(void)box_post_one(&box);
	box_turn_ok(&box);
	before = dump(fx->board, true);
	disk.sync_error = SQLITE_IOERR_FSYNC;
	(void)box_post_one(&box);
	ck_assert_int_eq(box_turn(&box), -EIO);
	disk.sync_error = 0; /* as a kernel does: the second time it says yes */
	(void)box_post_one(&box);
	ck_assert_int_eq(box_turn(&box), -EIO);
	ck_assert_int_eq(store_check(box.store), -EIO);
	ck_assert_ptr_nonnull(strstr(store_status(box.store).why, "a flush to the disk failed"));
	box_crash(&box);
	fx->pool->paused = true;
	after = dump(fx->board, true);
	same(before, after); /* what was refused is not there */
	(void)box_post_one(&box);
	box_turn_ok(&box);
	box_close(&box);
}
END_TEST

/* A turn whose flush is owed: what it did is settled, and noted until the disk has it. */
static void turn_beside(struct box *box)
{
	struct fixture *fx = &box->fx;

	ck_assert_int_eq(store_commit(box->store, fx->board), 0);
	ck_assert(board_defer(fx->board));
	board_settle(fx->board, fx->now_us);
	board_sweep(fx->board);
}

/* So many posts of ten pages each. */
static void post_long(struct box *box, unsigned n)
{
	static char args[40000];
	struct post post = box_post(box);

	memset(args, '1', sizeof args);
	post.args = (struct view){args, sizeof args};
	while (n-- > 0)
		(void)fixture_post_as(&box->fx, &post);
}

/* 110 posts are in the file, and as many in the log, enough for a checkpoint, and owed. */
static void open_with_posts_owed(struct box *box)
{
	box_init(box, 1, 1000);
	disk_use(box);
	box_open(box);
	box->fx.pool->paused = true;
	post_long(box, 110);
	box_turn_ok(box);
	(void)store_tend(box->store, false);
	post_long(box, 110);
	turn_beside(box);
	ck_assert(store_owes_flush(box->store));
}

/* So many tasks are there. */
static void must_have(const struct box *box, unsigned n)
{
	const struct task *task;

	BOARD_FOREACH(task, box->fx.board)
	n--;
	ck_assert_uint_eq(n, 0);
}

/* Those who wait for that flush are told that it failed: so what they posted is not there. */
START_TEST(test_sqlite_a_checkpoint_whose_flush_fails_leaves_nothing_that_is_owed)
{
	struct box box;

	open_with_posts_owed(&box);
	disk.failing_syncs = 1;
	(void)store_tend(box.store, false);
	ck_assert_int_eq(store_broken(box.store), -EIO);
	box_crash(&box);
	must_have(&box, 110);
	box_close(&box);
}
END_TEST

/* Nobody has to wait for another one. */
START_TEST(test_sqlite_a_checkpoint_is_the_flush_of_all_before_it)
{
	struct box box;

	open_with_posts_owed(&box);
	(void)store_tend(box.store, false);
	ck_assert(!store_owes_flush(box.store));
	ck_assert_uint_eq(store_status(box.store).flushes, 2);
	box_crash(&box);
	must_have(&box, 220);
	box_close(&box);
}
END_TEST

/* Pages of the file that are newer than the log are damage. */
START_TEST(test_sqlite_what_a_checkpoint_may_have_copied_is_not_cut_off_the_log)
{
	struct box box;

	open_with_posts_owed(&box);
	disk.write_error = SQLITE_IOERR_WRITE;
	disk.sound_writes = 10;
	(void)store_tend(box.store, false);
	ck_assert_uint_eq(disk.sound_writes, 0);
	ck_assert_int_eq(store_broken(box.store), 0);
	disk.write_error = 0;
	(void)box_post_one(&box);
	turn_beside(&box);
	disk.failing_syncs = 1;
	ck_assert_int_eq(store_flush(box.store), -EIO);
	box_crash(&box);
	must_have(&box, 220);
	box_close(&box);
}
END_TEST

/* What may not be on the disk goes from the log into the file no more than at any other time. */
START_TEST(test_sqlite_closing_hears_of_a_flush_that_failed)
{
	struct box box;

	open_with_posts_owed(&box);
	disk.failing_syncs = 1;
	store_begin_flush(box.store);
	box_shut(&box);
	box_copy(&box);
	box_open(&box);
	must_have(&box, 110);
	box_close(&box);
}
END_TEST

/* What net/gate.c does with a store's flushes, without anybody who waits. */
struct gate {
	bool is_under_way, is_owed;
};

static int gate_end(struct box *box, struct gate *gate)
{
	int r = gate->is_under_way ? store_end_flush(box->store) : 0;

	if (r == 0 && gate->is_under_way)
		board_flush_ended(box->fx.board);
	gate->is_under_way = false;
	return r;
}

static void gate_open(struct box *box, struct gate *gate)
{
	board_flush_begins(box->fx.board);
	board_flush_ended(box->fx.board);
	gate->is_owed = false;
}

static int gate_flush(struct box *box, struct gate *gate, bool has_starts)
{
	bool owes = store_owes_flush(box->store);
	int r;

	if ((owes || gate->is_under_way) && (has_starts || gate->is_under_way) &&
		store_can_begin_flush(box->store) && board_defer(box->fx.board)) {
		gate->is_owed |= owes;
		return 0;
	}
	r = gate_end(box, gate);
	if (r == 0)
		r = store_flush(box->store);
	if (r == 0)
		gate_open(box, gate);
	return r;
}

static void gate_begin(struct box *box, struct gate *gate)
{
	if (!gate->is_owed || gate->is_under_way)
		return;
	if (!store_owes_flush(box->store)) {
		gate_open(box, gate);
		return;
	}
	gate->is_owed = false;
	gate->is_under_way = true;
	board_flush_begins(box->fx.board);
	store_begin_flush(box->store);
}

/* The ends of some that run, and what somebody asks for. */
static void act_beside(struct box *box, uint64_t *seed)
{
	struct fixture *fx = &box->fx;
	uint64_t id = 1 + fixture_random(seed) % (fx->board->last_id + 1);
	struct task *task = board_find_task(fx->board, id);
	struct post post = box_post(box);

	switch (fixture_random(seed) % 8) {
	case 0:
		if (task != NULL)
			IGNORE(board_cancel(fx->board, task, fx->now_us)); /* it may have ended */
		break;
	case 1:
		if (task != NULL)
			IGNORE(board_retry(fx->board, task, fx->now_us)); /* it may not have */
		break;
	case 2:
		fx->now_us += US_PER_SEC;
		break;
	case 3:
		post.retries = 1;
		post.priority = (uint8_t)(fixture_random(seed) % TASK_PRIORITIES);
		post.delay_us = fixture_random(seed) % 2 * 3 * US_PER_SEC;
		post.expiry_us = fixture_random(seed) % 3 * 4 * US_PER_SEC;
		(void)fixture_post_as(fx, &post);
		break;
	default:
		BOARD_FOREACH(task, fx->board)
		if (task->state == TASK_ACTIVE && !task->unsent && fixture_random(seed) % 2 == 0)
			break;
		if (task != NULL)
			ck_assert_int_eq(
				fixture_end(fx, task,
					fixture_random(seed) % 3 == 0 ? RESULT_FAILED : RESULT_OK),
				0);
		break;
	}
}

/* -EIO: a flush has failed. */
static int turn_at_gate(struct box *box, struct gate *gate, uint64_t *seed)
{
	struct fixture *fx = &box->fx;
	bool has_starts;
	int r = 0;

	for (uint64_t n = fixture_random(seed) % 6; n > 0; n--)
		act_beside(box, seed);
	deadline_run(&fx->board->deadlines, fx->now_us);
	fixture_sched(fx);
	if (!board_is_clean(fx->board)) {
		r = store_commit(box->store, fx->board);
		if (r < 0) /* it flushes the log's head when that begins anew */
			return gate_end(box, gate) < 0 ? -EIO : r;
		board_settle_starts(fx->board);
		has_starts = !TAILQ_EMPTY(&fx->board->starts);
		fixture_hand_over(fx);
		r = gate_flush(box, gate, has_starts);
		if (r < 0)
			return r;
		board_settle(fx->board, fx->now_us);
	}
	fixture_hand_over(fx);
	board_sweep(fx->board);
	fixture_check(fx);
	if (fixture_random(seed) % 4 == 0)
		r = gate_end(box, gate);
	if (r == 0 && !gate->is_under_way)
		(void)store_tend(box->store, fixture_random(seed) % 4 == 0);
	if (r == 0 && store_broken(box->store) == 0)
		gate_begin(box, gate);
	return r < 0 ? r : store_broken(box->store);
}

/* A state that the board tells, and the one that a start finds. */
static bool is_same(enum task_state told, enum task_state found, bool is_cancelled, bool is_once)
{
	if (told >= TASK_DONE)
		return found == told;
	if (told == TASK_ACTIVE && is_cancelled)
		return found == TASK_CANCELLED;
	/* What came back and is not on the disk: it runs. */
	return found < TASK_DONE || (is_once && found == TASK_LOST);
}

/* Whoever reads after a flush that failed reads what the next start finds. */
START_TEST(test_sqlite_after_a_flush_that_failed_the_board_is_as_the_disk)
{
	uint64_t seed = (uint64_t)_i + 1;
	struct gate gate = {0};
	struct {
		uint8_t told;
		bool is_cancelled, is_known;
	} tasks[2000] = {0};
	struct box box;
	struct fixture *fx = &box.fx;
	const struct task *task;

	box_init(&box, 4, 1000);
	disk_use(&box);
	fx->handlers[0].on_crash = _i % 2 == 0 ? ON_CRASH_RETRY : ON_CRASH_LOST;
	fx->handlers[0].backoff_min_us = US_PER_SEC;
	box_open(&box);
	for (unsigned i = 0; i < 400; i++)
		(void)box_post_one(&box);
	for (uint64_t n = 10 + fixture_random(&seed) % 40; n > 0 || gate.is_under_way; n -= n > 0)
		ck_assert_int_eq(turn_at_gate(&box, &gate, &seed), 0);
	disk.failing_syncs = 1;
	while (turn_at_gate(&box, &gate, &seed) == 0)
		if (fixture_random(&seed) % 4 == 0)
			(void)box_post_one(&box);
	board_break(fx->board, -EIO);
	board_undo(fx->board, -EIO);
	board_sweep(fx->board);
	fixture_check(fx);
	BOARD_FOREACH(task, fx->board)
	{
		ck_assert_uint_lt(task->id, ARRAY_SIZE(tasks));
		tasks[task->id].is_known = true;
		tasks[task->id].told = (uint8_t)task_told_state(task);
		tasks[task->id].is_cancelled = task->cancelled;
	}
	box_crash(&box);
	BOARD_FOREACH(task, fx->board)
	ck_assert_msg(
		tasks[task->id].is_known, "seed %d: %lu was refused, and is there", _i, task->id);
	for (uint64_t id = 1; id < ARRAY_SIZE(tasks); id++) {
		task = board_find_task(fx->board, id);
		if (!tasks[id].is_known)
			continue;
		ck_assert_msg(task != NULL, "seed %d: %lu is lost", _i, id);
		ck_assert_msg(is_same(tasks[id].told, task->state, tasks[id].is_cancelled, _i % 2),
			"seed %d: %lu was told as %s, and is %s", _i, id,
			task_state_name(tasks[id].told), task_state_name(task->state));
	}
	box_close(&box);
}
END_TEST

/* Each copies the whole log. */
START_TEST(test_sqlite_a_checkpoint_that_failed_is_not_tried_with_every_turn)
{
	static char args[40000]; /* ten pages */
	struct box box;
	struct post post;

	memset(args, '1', sizeof args);
	box_init(&box, 1, 100000);
	disk_use(&box);
	box_open(&box);
	box.fx.pool->paused = true;
	post = box_post(&box);
	post.args = (struct view){args, sizeof args};
	disk.truncate_error = SQLITE_IOERR_TRUNCATE;
	disk.truncates = 0;
	for (unsigned i = 0; i < 250; i++) {
		(void)fixture_post_as(&box.fx, &post);
		box_turn_ok(&box);
		(void)store_tend(box.store, false);
	}
	ck_assert_uint_ge(disk.truncates, 2); /* 2,750 pages */
	ck_assert_uint_le(disk.truncates, 3);
	(void)store_tend(box.store, true); /* nothing else is to be done */
	ck_assert_uint_ge(disk.truncates, 3);
	disk.truncate_error = 0;
	(void)store_tend(box.store, true);
	ck_assert(!store_tend(box.store, true));
	crash_and_compare(&box);
	box_close(&box);
}
END_TEST

START_TEST(test_sqlite_after_a_write_that_failed_the_next_turn_tries_again)
{
	struct box box;
	struct fixture *fx = &box.fx;
	struct task *task;

	box_init(&box, 1, 100);
	disk_use(&box);
	box_open(&box);
	task = box_post_one(&box);
	box_turn_ok(&box);
	ck_assert_int_eq(task->state, TASK_ACTIVE);
	disk.write_error = SQLITE_IOERR_WRITE;
	ck_assert_int_eq(fixture_end(fx, task, RESULT_OK), 0);
	(void)box_post_one(&box);
	ck_assert_int_lt(box_turn(&box), 0);
	ck_assert(task->dirty);
	ck_assert_uint_eq(fx->pool->stats.counters.posted, 1);
	disk.write_error = 0;
	ck_assert_int_eq(store_check(box.store), 0);
	box_turn_ok(&box);
	ck_assert_int_eq(task->saved, TASK_DONE);
	(void)box_post_one(&box);
	crash_and_compare(&box);
	box_close(&box);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("sqlite");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_sqlite_every_state_comes_back);
	tcase_add_loop_test(tcase, test_sqlite_a_task_that_was_cancelled_does_not_run_again, 0, 2);
	tcase_add_test(tcase, test_sqlite_what_may_not_run_twice_is_lost_and_said_so);
	tcase_add_loop_test(tcase, test_sqlite_whatever_happens_comes_back, 0, 5);
	tcase_add_test(tcase, test_sqlite_order_of_starts_survives);
	tcase_add_test(tcase, test_sqlite_ids_never_repeat);
	tcase_add_test(tcase, test_sqlite_history_is_bounded_in_the_file_too);
	tcase_add_test(tcase, test_sqlite_tasks_of_what_is_not_configured_wait_for_it);
	tcase_add_test(tcase, test_sqlite_delays_and_expiry_go_on_by_the_calendar);
	tcase_add_test(tcase, test_sqlite_a_calendar_that_was_set_back_breaks_nothing);
	tcase_add_test(tcase, test_sqlite_flushes_what_has_to_be_and_nothing_else);
	tcase_add_test(tcase, test_sqlite_a_full_store_refuses_posts_and_takes_ends);
	tcase_add_test(tcase, test_sqlite_an_empty_store_takes_posts_however_long_its_log_was);
	tcase_add_loop_test(tcase, test_sqlite_a_store_is_full_of_tasks_and_not_of_its_log, 0, 10);
	tcase_add_test(tcase, test_sqlite_a_turn_that_does_not_fit_leaves_nothing_behind);
	tcase_add_test(tcase, test_sqlite_space_is_given_back);
	tcase_add_test(
		tcase, test_sqlite_after_a_flush_that_failed_nothing_is_written_until_a_restart);
	tcase_add_test(
		tcase, test_sqlite_a_checkpoint_whose_flush_fails_leaves_nothing_that_is_owed);
	tcase_add_test(tcase, test_sqlite_a_checkpoint_is_the_flush_of_all_before_it);
	tcase_add_test(tcase, test_sqlite_what_a_checkpoint_may_have_copied_is_not_cut_off_the_log);
	tcase_add_test(tcase, test_sqlite_closing_hears_of_a_flush_that_failed);
	tcase_add_loop_test(
		tcase, test_sqlite_after_a_flush_that_failed_the_board_is_as_the_disk, 0, 40);
	tcase_add_test(tcase, test_sqlite_a_checkpoint_that_failed_is_not_tried_with_every_turn);
	tcase_add_test(tcase, test_sqlite_after_a_write_that_failed_the_next_turn_tries_again);
	return fixture_run("sqlite", tcase);
}
