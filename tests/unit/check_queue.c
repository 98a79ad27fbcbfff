/*
 * check_queue: first in, first out; who comes back is first again.
 */
#include "core/queue.h"

#include "core_fixture.h"

static struct task *tasks[4];
static struct queue queue;

static void setup(void)
{
	queue_init(&queue);
	for (unsigned i = 0; i < ARRAY_SIZE(tasks); i++) {
		tasks[i] = task_new(i + 1, view_of(NULL), view_of(NULL));
		ck_assert_ptr_nonnull(tasks[i]);
	}
}

static void teardown(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(tasks); i++)
		task_free(tasks[i]);
}

/* Takes all out and compares their ids. */
static void expect(const uint64_t *ids, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct task *task = queue_first(&queue);

		ck_assert_ptr_nonnull(task);
		ck_assert_uint_eq(task->id, ids[i]);
		queue_remove(&queue, task);
	}
	ck_assert_ptr_null(queue_first(&queue));
}

START_TEST(test_queue_is_empty_at_first)
{
	ck_assert_ptr_null(queue_first(&queue));
}
END_TEST

START_TEST(test_queue_gives_first_what_came_first)
{
	for (unsigned i = 0; i < ARRAY_SIZE(tasks); i++)
		queue_push(&queue, tasks[i]);
	expect((const uint64_t[]){1, 2, 3, 4}, 4);
}
END_TEST

START_TEST(test_queue_puts_those_that_come_back_first)
{
	queue_push(&queue, tasks[2]);
	queue_push_front(&queue, tasks[1]);
	queue_push_front(&queue, tasks[0]);
	queue_push(&queue, tasks[3]);
	expect((const uint64_t[]){1, 2, 3, 4}, 4);
}
END_TEST

START_TEST(test_queue_lets_go_of_any)
{
	for (unsigned i = 0; i < ARRAY_SIZE(tasks); i++)
		queue_push(&queue, tasks[i]);
	queue_remove(&queue, tasks[1]);
	queue_remove(&queue, tasks[3]);
	queue_push(&queue, tasks[1]);
	expect((const uint64_t[]){1, 3, 2}, 3);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("queue");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_queue_is_empty_at_first);
	tcase_add_test(tcase, test_queue_gives_first_what_came_first);
	tcase_add_test(tcase, test_queue_puts_those_that_come_back_first);
	tcase_add_test(tcase, test_queue_lets_go_of_any);
	return fixture_run("queue", tcase);
}
