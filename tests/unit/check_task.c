/*
 * check_task: all pairs of state and event. What is written here is written a second time on purpose: a change of the life
 * of a task has to be made in both places.
 */
#include "core/task.h"

#include "core_fixture.h"

static const struct row {
	enum task_state from;
	enum task_event event;
	enum task_state to;
} rows[] = {
	{TASK_NEW, EV_POST, TASK_QUEUED},
	{TASK_NEW, EV_POST_LATER, TASK_DELAYED},
	{TASK_QUEUED, EV_START, TASK_ACTIVE},
	{TASK_QUEUED, EV_CANCEL, TASK_CANCELLED},
	{TASK_QUEUED, EV_EXPIRE, TASK_EXPIRED},
	{TASK_QUEUED, EV_UNPOST, TASK_NEW},
	{TASK_QUEUED, EV_UNRETRY, TASK_LOST}, /* what the store holds: setup() says so */
	{TASK_DELAYED, EV_DUE, TASK_QUEUED},
	{TASK_DELAYED, EV_CANCEL, TASK_CANCELLED},
	{TASK_DELAYED, EV_EXPIRE, TASK_EXPIRED},
	{TASK_DELAYED, EV_UNPOST, TASK_NEW},
	{TASK_ACTIVE, EV_OK, TASK_DONE},
	{TASK_ACTIVE, EV_FAIL, TASK_FAILED},
	{TASK_ACTIVE, EV_ASK, TASK_ACTIVE},
	{TASK_ACTIVE, EV_CANCEL, TASK_CANCELLED},
	{TASK_ACTIVE, EV_RETURN, TASK_QUEUED},
	{TASK_ACTIVE, EV_RETURN_LATER, TASK_DELAYED},
	{TASK_ACTIVE, EV_LOSE, TASK_LOST},
	{TASK_ACTIVE, EV_UNSTART, TASK_QUEUED},
	{TASK_FAILED, EV_RETRY, TASK_QUEUED},
	{TASK_CANCELLED, EV_RETRY, TASK_QUEUED},
	{TASK_CANCELLED, EV_UNPOST, TASK_NEW},
	{TASK_EXPIRED, EV_RETRY, TASK_QUEUED},
	{TASK_EXPIRED, EV_UNPOST, TASK_NEW},
	{TASK_LOST, EV_RETRY, TASK_QUEUED},
};

/* The events that bring a new task into each state; TASK_EVENTS: no more. */
static const enum task_event ways[TASK_STATES][3] = {
	[TASK_NEW] = {TASK_EVENTS},
	[TASK_QUEUED] = {EV_POST, TASK_EVENTS},
	[TASK_DELAYED] = {EV_POST_LATER, TASK_EVENTS},
	[TASK_ACTIVE] = {EV_POST, EV_START, TASK_EVENTS},
	[TASK_DONE] = {EV_POST, EV_START, EV_OK},
	[TASK_FAILED] = {EV_POST, EV_START, EV_FAIL},
	[TASK_CANCELLED] = {EV_POST, EV_CANCEL, TASK_EVENTS},
	[TASK_EXPIRED] = {EV_POST, EV_EXPIRE, TASK_EVENTS},
	[TASK_LOST] = {EV_POST, EV_START, EV_LOSE},
};

static struct board board;
static struct pool pool;
static struct handler handler;
static struct task *task;

static void setup(void)
{
	memset(&board, 0, sizeof board);
	memset(&pool, 0, sizeof pool);
	memset(&handler, 0, sizeof handler);
	TAILQ_INIT(&board.dirty);
	pool.board = &board;
	task = task_new(view_of("name"), view_of("key"), view_of("[1]"));
	ck_assert_ptr_nonnull(task);
	task->pool = &pool;
	task->handler = &handler;
	task->saved = TASK_LOST;
}

static void teardown(void)
{
	task_free(task);
}

static void bring_to(enum task_state state)
{
	for (unsigned i = 0; i < 3 && ways[state][i] != TASK_EVENTS; i++)
		ck_assert_int_eq(task_step(task, ways[state][i]), 0);
	ck_assert_uint_eq(task->state, state);
	if (task->dirty)
		TAILQ_REMOVE(&board.dirty, task, in_dirty);
	task->dirty = false;
	task->news = 0;
}

static const struct row *find_row(enum task_state from, enum task_event event)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].from == from && rows[i].event == event)
			return &rows[i];
	return NULL;
}

static void expect_step(const struct row *row)
{
	uint64_t before[TASK_STATES];

	memcpy(before, pool.count, sizeof before);
	ck_assert_int_eq(task_step(task, row->event), 0);
	ck_assert_uint_eq(task->state, row->to);
	before[row->from]--;
	before[row->to]++;
	ck_assert_mem_eq(pool.count, before, sizeof before);
	ck_assert_mem_eq(handler.count, before, sizeof before);
	ck_assert_uint_eq(task->news, 1u << row->event);
	ck_assert(task->dirty);
	ck_assert_ptr_eq(TAILQ_FIRST(&board.dirty), task);
	ck_assert_ptr_null(TAILQ_NEXT(task, in_dirty));
}

static void expect_refusal(enum task_event event)
{
	struct task was = *task;
	uint64_t before[TASK_STATES];

	memcpy(before, pool.count, sizeof before);
	ck_assert_int_eq(task_step(task, event), -EPROTO);
	ck_assert_mem_eq(task, &was, sizeof was);
	ck_assert_mem_eq(pool.count, before, sizeof before);
	ck_assert_mem_eq(handler.count, before, sizeof before);
	ck_assert(TAILQ_EMPTY(&board.dirty));
}

START_TEST(test_task_step_is_the_written_table)
{
	enum task_state from = (enum task_state)(_i / TASK_EVENTS);
	enum task_event event = (enum task_event)(_i % TASK_EVENTS);
	const struct row *row = find_row(from, event);

	bring_to(from);
	if (row != NULL)
		expect_step(row);
	else
		expect_refusal(event);
}
END_TEST

START_TEST(test_task_is_dirty_once_behind_those_that_changed_before)
{
	struct task *second = task_new(view_of(""), view_of(""), view_of(""));

	ck_assert_ptr_nonnull(second);
	second->pool = &pool;
	second->handler = &handler;
	ck_assert_int_eq(task_step(task, EV_POST), 0);
	ck_assert_int_eq(task_step(second, EV_POST), 0);
	ck_assert_int_eq(task_step(task, EV_START), 0);
	ck_assert_int_eq(task_step(task, EV_OK), 0);
	/* In order of the last change, so that work leaves in the order in which it was started. */
	ck_assert_ptr_eq(TAILQ_FIRST(&board.dirty), second);
	ck_assert_ptr_eq(TAILQ_NEXT(second, in_dirty), task);
	ck_assert_ptr_null(TAILQ_NEXT(task, in_dirty));
	task_free(second);
}
END_TEST

START_TEST(test_task_has_ended_in_the_last_five_states)
{
	bring_to((enum task_state)_i);
	ck_assert_int_eq(task_is_ended(task), _i == TASK_DONE || _i == TASK_FAILED ||
						      _i == TASK_CANCELLED || _i == TASK_EXPIRED ||
						      _i == TASK_LOST);
}
END_TEST

START_TEST(test_task_state_names_lead_back)
{
	const char *name = task_state_name((enum task_state)_i);

	ck_assert_uint_eq(task_state_by_name(name), _i == TASK_NEW ? TASK_STATES : (unsigned)_i);
}
END_TEST

START_TEST(test_task_state_names_refuse_strangers)
{
	ck_assert_str_eq(task_state_name(TASK_STATES), "?");
	ck_assert_uint_eq(task_state_by_name("?"), TASK_STATES);
	ck_assert_uint_eq(task_state_by_name(""), TASK_STATES);
	ck_assert_uint_eq(task_state_by_name("Queued"), TASK_STATES);
}
END_TEST

START_TEST(test_task_new_copies_its_texts)
{
	char name[] = "n", key[] = "k", args[] = "{\"a\":1}";
	struct task *own = task_new(view_of(name), view_of(key), view_of(args));

	ck_assert_ptr_nonnull(own);
	memset(name, 'x', sizeof name - 1);
	memset(key, 'x', sizeof key - 1);
	memset(args, 'x', sizeof args - 1);
	ck_assert_str_eq(task_name(own), "n");
	ck_assert_str_eq(task_unique(own), "k");
	ck_assert_uint_eq(own->unique_len, 1);
	ck_assert(view_is_equal(task_args(own), view_of("{\"a\":1}")));
	ck_assert_int_eq(task_args(own).data[task_args(own).len], '\0');
	ck_assert_uint_eq(own->state, TASK_NEW);
	ck_assert(
		!own->dirty && !deadline_is_set(&own->timer) && watch_list_is_empty(&own->watches));
	ck_assert_str_eq(task_reason(own), "");
	ck_assert_uint_eq(task_result(own).len, 0);
	task_free(own);
}
END_TEST

START_TEST(test_task_new_takes_empty_texts)
{
	struct task *own = task_new(view_of(NULL), view_of(NULL), view_of(NULL));

	ck_assert_ptr_nonnull(own);
	ck_assert_str_eq(task_name(own), "");
	ck_assert_str_eq(task_unique(own), "");
	ck_assert_uint_eq(task_args(own).len, 0);
	task_free(own);
	task_free(NULL);
}
END_TEST

START_TEST(test_task_new_refuses_texts_beyond_4_gib)
{
	const struct view huge = {"", (size_t)UINT32_MAX + 1};

	ck_assert_ptr_null(task_new(huge, view_of(""), view_of("")));
	ck_assert_ptr_null(task_new(view_of(""), huge, view_of("")));
	ck_assert_ptr_null(task_new(view_of(""), view_of(""), huge));
}
END_TEST

START_TEST(test_task_free_takes_watches_off)
{
	struct task *own = task_new(view_of(""), view_of(""), view_of(""));
	struct heard heard;

	ck_assert_ptr_nonnull(own);
	heard_init(&heard, &own->watches);
	task_free(own);
	ck_assert_ptr_null(heard.watch.list);
	ck_assert_uint_eq(heard.times, 0);
}
END_TEST

START_TEST(test_task_without_an_end_tells_why)
{
	bring_to(TASK_FAILED);
	ck_assert_str_eq(task_reason(task), "no_memory");
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("task");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(
		tcase, test_task_step_is_the_written_table, 0, TASK_STATES * TASK_EVENTS);
	tcase_add_test(tcase, test_task_is_dirty_once_behind_those_that_changed_before);
	tcase_add_loop_test(tcase, test_task_has_ended_in_the_last_five_states, 0, TASK_STATES);
	tcase_add_loop_test(tcase, test_task_state_names_lead_back, 0, TASK_STATES);
	tcase_add_test(tcase, test_task_state_names_refuse_strangers);
	tcase_add_test(tcase, test_task_new_copies_its_texts);
	tcase_add_test(tcase, test_task_new_takes_empty_texts);
	tcase_add_test(tcase, test_task_new_refuses_texts_beyond_4_gib);
	tcase_add_test(tcase, test_task_free_takes_watches_off);
	tcase_add_test(tcase, test_task_without_an_end_tells_why);
	return fixture_run("task", tcase);
}
