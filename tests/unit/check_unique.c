/*
 * check_unique: a key belongs to one owner and one handler, from the post until the task ends, and to nobody afterwards.
 */
#include "core/unique.h"

#include <stdio.h>

#include "core_fixture.h"

static struct fixture fx;
static struct post post;

static void setup(void)
{
	fixture_init(&fx, 1, 9);
	fx.handlers[1].unique = UNIQUE_REFUSE;
	fixture_open(&fx);
	post = fixture_make_post(&fx, fx.pool);
	post.unique = view_of("key");
}

static void teardown(void)
{
	fixture_close(&fx);
}

static int try_post(struct task **ret_task)
{
	*ret_task = NULL;
	return board_post(fx.board, &post, fx.now_us, ret_task);
}

START_TEST(test_unique_second_post_finds_the_first)
{
	struct task *first = fixture_post_as(&fx, &post), *second;

	ck_assert_int_eq(try_post(&second), -EEXIST);
	ck_assert_ptr_eq(second, first);
	fixture_turn(&fx, 0);
	ck_assert_int_eq(try_post(&second), -EEXIST); /* it runs */
	ck_assert_ptr_eq(second, first);
	ck_assert_uint_eq(fx.pool->stats.counters.joined, 2);
	ck_assert_uint_eq(fx.pool->stats.counters.refused, 0);
	ck_assert_uint_eq(fx.pool->stats.counters.posted, 1);
}
END_TEST

START_TEST(test_unique_policy_is_the_handlers)
{
	struct task *first, *second;

	post.handler = &fx.board->handlers[1];
	first = fixture_post_as(&fx, &post);
	ck_assert_int_eq(try_post(&second), -EEXIST);
	ck_assert_ptr_eq(second, first);
	ck_assert_uint_eq(fx.pool->stats.counters.joined, 0);
	ck_assert_uint_eq(fx.pool->stats.counters.refused, 1);
}
END_TEST

/* A full pool, and one that stops: who joins needs no room, but a stop takes nobody. */
START_TEST(test_unique_join_needs_no_room)
{
	struct task *first, *second;

	fx.pool->capacity = 0;
	first = fixture_post_as(&fx, &post);
	ck_assert_int_eq(try_post(&second), -EEXIST);
	ck_assert_ptr_eq(second, first);
	board_stop(fx.board, STOP_DRAINING, fx.now_us);
	ck_assert_int_eq(try_post(&second), -ESHUTDOWN);
}
END_TEST

START_TEST(test_unique_key_is_of_one_owner_and_handler)
{
	static const char *const keys[] = {"key", "ke", "key2", "kez", "KEY"};

	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
		post.unique = view_of(keys[i]);
		for (uint32_t uid = 0; uid < 2; uid++) {
			post.owner_uid = uid;
			for (unsigned handler = 0; handler < FIXTURE_HANDLERS; handler++) {
				post.handler = &fx.board->handlers[handler];
				fx.pool->capacity = 100;
				(void)fixture_post_as(&fx, &post);
			}
		}
	}
	fixture_check(&fx);
	post.unique = view_of("");
	(void)fixture_post_as(&fx, &post);
	(void)fixture_post_as(&fx, &post); /* none is no key */
	fixture_check(&fx);
}
END_TEST

/* However it ends, in whatever state; _i: what ends it. */
START_TEST(test_unique_key_is_free_after_the_end)
{
	struct task *first, *second;

	fx.pool->paused = _i == 2 || _i == 3;
	post.expiry_us = _i == 3 ? 10 : 0;
	first = fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	if (_i < 2)
		ck_assert_int_eq(fixture_end(&fx, first, _i == 0 ? RESULT_OK : RESULT_FAILED), 0);
	else if (_i == 2)
		ck_assert_int_eq(board_cancel(fx.board, first, fx.now_us), 0);
	else
		deadline_run(&fx.board->deadlines, fx.now_us += 10);
	ck_assert(task_is_ended(first));
	second = fixture_post_as(&fx, &post);
	ck_assert_ptr_ne(first, second);
	fixture_turn(&fx, -EIO); /* the second one is taken back, the first one's end is not */
	ck_assert_ptr_null(board_find_task(fx.board, 2));
	second = fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	if (first->state != TASK_DONE)
		ck_assert_int_eq(board_retry(fx.board, first, fx.now_us), -EEXIST);
	ck_assert_ptr_eq(fixture_holder_of(first), second);
	fx.settings.daemon.history_max = 0; /* the first one is forgotten, the key is not */
	fixture_turn(&fx, 0);
	ck_assert_ptr_null(board_find_task(fx.board, 1));
	ck_assert_int_eq(try_post(&first), -EEXIST);
	ck_assert_ptr_eq(first, second);
}
END_TEST

START_TEST(test_unique_key_is_held_while_it_is_tried_again)
{
	struct task *first, *second;

	post.retries = 1;
	first = fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	ck_assert_int_eq(fixture_end(&fx, first, RESULT_FAILED), 0);
	ck_assert_uint_eq(first->state, TASK_DELAYED);
	ck_assert_int_eq(try_post(&second), -EEXIST);
	fixture_turn(&fx, 0);
}
END_TEST

START_TEST(test_unique_key_comes_back_with_a_retry)
{
	struct task *first = fixture_post_as(&fx, &post), *second;

	fixture_turn(&fx, 0);
	ck_assert_int_eq(fixture_end(&fx, first, RESULT_FAILED), 0);
	fixture_turn(&fx, 0);
	ck_assert_int_eq(board_retry(fx.board, first, fx.now_us), 0);
	ck_assert_int_eq(try_post(&second), -EEXIST);
	ck_assert_ptr_eq(second, first);
	fixture_turn(&fx, -EIO);
	ck_assert_uint_eq(first->state, TASK_FAILED);
	ck_assert_int_eq(try_post(&second), 0); /* the retry was taken back */
	fixture_turn(&fx, 0);
}
END_TEST

START_TEST(test_unique_key_is_held_in_the_room)
{
	struct task *first, *second;

	fx.pool->paused = true;
	fx.pool->capacity = 0;
	post.room_us = 50;
	first = fixture_post_as(&fx, &post);
	ck_assert_int_eq(try_post(&second), -EEXIST);
	ck_assert_ptr_eq(second, first);
	ck_assert_uint_eq(second->id, 0);
	post.room_us = 0; /* who will not wait joins none that does */
	ck_assert_int_eq(try_post(&second), -EAGAIN);
	post.room_us = 50;
	fx.now_us += 50;
	fixture_turn(&fx, 0);
	second = fixture_post_as(&fx, &post);
	board_leave_room(fx.board, second);
	second = fixture_post_as(&fx, &post);
	fixture_turn(&fx, 0);
	ck_assert(second->in_room);
}
END_TEST

/* 20,000 keys in and out, in an order that would make a plain tree a list. */
START_TEST(test_unique_many_keys)
{
	char key[16];

	fx.pool->capacity = 100000;
	fx.pool->paused = true;
	fx.settings.daemon.history_max = 0;
	for (unsigned i = 0; i < 20000; i++) {
		(void)snprintf(key, sizeof key, "%08u", i);
		post.unique = view_of(key);
		(void)fixture_post_as(&fx, &post);
	}
	fixture_turn(&fx, 0);
	for (uint64_t id = 1; id <= 20000; id++)
		ck_assert_int_eq(
			board_cancel(fx.board, board_find_task(fx.board, id), fx.now_us), 0);
	ck_assert_ptr_null(fx.board->uniques);
	fixture_turn(&fx, 0);
	ck_assert(fx.board->tasks.len == 0);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("unique");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_unique_second_post_finds_the_first);
	tcase_add_test(tcase, test_unique_policy_is_the_handlers);
	tcase_add_test(tcase, test_unique_join_needs_no_room);
	tcase_add_test(tcase, test_unique_key_is_of_one_owner_and_handler);
	tcase_add_loop_test(tcase, test_unique_key_is_free_after_the_end, 0, 4);
	tcase_add_test(tcase, test_unique_key_is_held_while_it_is_tried_again);
	tcase_add_test(tcase, test_unique_key_comes_back_with_a_retry);
	tcase_add_test(tcase, test_unique_key_is_held_in_the_room);
	tcase_add_test(tcase, test_unique_many_keys);
	return fixture_run("unique", tcase);
}
