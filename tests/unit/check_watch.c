/*
 * check_watch: each watch fires once, in order, whatever the callbacks take off the list.
 */
#include "core/watch.h"

#include "core_fixture.h"

#define N 5

struct noted {
	struct watch watch;
	unsigned times;
	uint64_t takes_off; /* bit i: takes watch i off when it fires */
	struct watch *adds; /* NULL: none */
};

static struct watch_list list;
static struct noted noted[N + 1]; /* the last one is on no list at first */
static char order[64];
static int last_error;

static void on_fire(struct watch *watch, struct task *task, int error)
{
	struct noted *self = container_of(watch, struct noted, watch);
	size_t len = strlen(order);

	ck_assert_ptr_null(task);
	self->times++;
	last_error = error;
	order[len] = (char)('a' + (self - noted));
	order[len + 1] = '\0';
	for (unsigned i = 0; i < N; i++)
		if ((self->takes_off >> i & 1) != 0)
			watch_remove(&noted[i].watch);
	if (self->adds != NULL)
		watch_add(&list, self->adds);
}

static void setup(void)
{
	memset(noted, 0, sizeof noted);
	memset(order, 0, sizeof order);
	watch_list_init(&list);
	for (unsigned i = 0; i <= N; i++)
		noted[i].watch.fire = on_fire;
	for (unsigned i = 0; i < N; i++)
		watch_add(&list, &noted[i].watch);
}

START_TEST(test_watch_fires_each_once_in_order)
{
	watch_list_fire(&list, NULL, -5);
	ck_assert_str_eq(order, "abcde");
	ck_assert_int_eq(last_error, -5);
	watch_list_fire(&list, NULL, 0);
	ck_assert_str_eq(order, "abcdeabcde");
}
END_TEST

/* Every set that every watch may take off: 5 * 32 lists; those that fired before stay fired. */
START_TEST(test_watch_removal_while_firing_is_safe)
{
	for (unsigned who = 0; who < N; who++) {
		for (uint64_t set = 0; set < 1u << N; set++) {
			setup();
			noted[who].takes_off = set;
			watch_list_fire(&list, NULL, 0);
			for (unsigned i = 0; i < N; i++) {
				bool gone = (set >> i & 1) != 0;

				ck_assert_uint_eq(noted[i].times, !(gone && i > who));
				ck_assert_ptr_eq(noted[i].watch.list, gone ? NULL : &list);
			}
			ck_assert_int_eq(watch_list_is_empty(&list), set == (1u << N) - 1);
		}
	}
}
END_TEST

START_TEST(test_watch_that_takes_itself_off_can_be_freed)
{
	struct noted *own = calloc(1, sizeof *own);

	ck_assert_ptr_nonnull(own);
	own->watch.fire = on_fire;
	watch_add(&list, &own->watch);
	watch_remove(&own->watch);
	free(own);
	watch_list_fire(&list, NULL, 0);
	ck_assert_str_eq(order, "abcde");
}
END_TEST

START_TEST(test_watch_added_while_firing_stays_on_the_list)
{
	noted[0].adds = &noted[N].watch;
	watch_list_fire(&list, NULL, 0);
	noted[0].adds = NULL;
	ck_assert_ptr_eq(noted[N].watch.list, &list);
	noted[N].times = 0;
	watch_list_fire(&list, NULL, 0);
	ck_assert_uint_eq(noted[N].times, 1);
}
END_TEST

START_TEST(test_watch_remove_twice_is_fine)
{
	watch_remove(&noted[0].watch);
	watch_remove(&noted[0].watch);
	watch_list_fire(&list, NULL, 0);
	ck_assert_str_eq(order, "bcde");
}
END_TEST

START_TEST(test_watch_list_done_takes_all_off)
{
	watch_list_done(&list);
	ck_assert(watch_list_is_empty(&list));
	for (unsigned i = 0; i < N; i++)
		ck_assert_ptr_null(noted[i].watch.list);
	watch_list_fire(&list, NULL, 0);
	ck_assert_str_eq(order, "");
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("watch");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, test_watch_fires_each_once_in_order);
	tcase_add_test(tcase, test_watch_removal_while_firing_is_safe);
	tcase_add_test(tcase, test_watch_that_takes_itself_off_can_be_freed);
	tcase_add_test(tcase, test_watch_added_while_firing_stays_on_the_list);
	tcase_add_test(tcase, test_watch_remove_twice_is_fine);
	tcase_add_test(tcase, test_watch_list_done_takes_all_off);
	return fixture_run("watch", tcase);
}
