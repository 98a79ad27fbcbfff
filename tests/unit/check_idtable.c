/* check_idtable: order, gaps, what is gone, and random commands against a plain array. */
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/idtable.h"

#define MANY 5000

static char values[MANY + 1]; /* only their addresses matter */
static uint32_t random_state = 4711;

static uint32_t next_random(uint32_t below)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % below;
}

START_TEST(test_idtable_empty_one_finds_nothing)
{
	struct idtable table;

	idtable_init(&table);
	ck_assert_ptr_null(idtable_find(&table, 0));
	ck_assert_ptr_null(idtable_find(&table, 1));
	ck_assert_ptr_null(idtable_remove(&table, 1));
	ck_assert_ptr_null(idtable_above(&table, 0));
	ck_assert_ptr_null(idtable_below(&table, UINT64_MAX));
	idtable_done(&table);
}
END_TEST

START_TEST(test_idtable_takes_ids_that_grow_only)
{
	struct idtable table;

	idtable_init(&table);
	ck_assert_int_eq(idtable_add(&table, 0, &values[1]), -EEXIST);
	ck_assert_int_eq(idtable_add(&table, 100, &values[1]), 0);
	ck_assert_int_eq(idtable_add(&table, 100, &values[2]), -EEXIST);
	ck_assert_int_eq(idtable_add(&table, 99, &values[2]), -EEXIST);
	ck_assert_ptr_eq(idtable_remove(&table, 100), &values[1]);
	ck_assert_int_eq(idtable_add(&table, 100, &values[2]), -EEXIST);
	ck_assert_int_eq(idtable_add(&table, UINT64_MAX, &values[3]), 0);
	ck_assert_ptr_eq(idtable_find(&table, UINT64_MAX), &values[3]);
	ck_assert_ptr_eq(idtable_above(&table, 100), &values[3]);
	ck_assert_ptr_null(idtable_above(&table, UINT64_MAX));
	ck_assert_uint_eq(table.len, 1);
	idtable_done(&table);
}
END_TEST

/* Far apart, so that each has a page of its own and most pages are not there. */
START_TEST(test_idtable_finds_neighbours_of_what_is_gone)
{
	struct idtable table;

	idtable_init(&table);
	for (uint64_t i = 1; i <= 20; i++)
		ck_assert_int_eq(idtable_add(&table, i * 1000, &values[i]), 0);
	for (uint64_t i = 1; i <= 20; i++) {
		ck_assert_ptr_eq(idtable_above(&table, i * 1000 - 1), &values[i]);
		ck_assert_ptr_eq(idtable_above(&table, i * 1000 - 500), &values[i]);
		ck_assert_ptr_eq(idtable_below(&table, i * 1000 + 1), &values[i]);
		ck_assert_ptr_eq(idtable_below(&table, i * 1000 + 500), &values[i]);
	}
	for (uint64_t i = 2; i <= 19; i++)
		ck_assert_ptr_eq(idtable_remove(&table, i * 1000), &values[i]);
	ck_assert_ptr_eq(idtable_above(&table, 1000), &values[20]);
	ck_assert_ptr_eq(idtable_above(&table, 10000), &values[20]);
	ck_assert_ptr_eq(idtable_below(&table, 20000), &values[1]);
	ck_assert_ptr_eq(idtable_below(&table, 10000), &values[1]);
	ck_assert_ptr_null(idtable_below(&table, 1000));
	idtable_done(&table);
}
END_TEST

START_TEST(test_idtable_keeps_no_page_that_is_empty_but_the_last)
{
	struct idtable table;
	size_t pages;

	idtable_init(&table);
	for (uint64_t id = 1; id <= MANY; id++) {
		ck_assert_int_eq(idtable_add(&table, id, &values[id]), 0);
		ck_assert_ptr_eq(idtable_remove(&table, id), &values[id]);
		ck_assert_uint_eq(table.by_number.len, 1);
	}
	for (uint64_t id = MANY + 1; id <= 2 * MANY; id++)
		ck_assert_int_eq(idtable_add(&table, id, &values[1]), 0);
	pages = table.by_number.len;
	ck_assert_uint_ge(pages, MANY / 64);
	for (uint64_t id = 2 * MANY; id > MANY; id--)
		ck_assert_ptr_eq(idtable_remove(&table, id), &values[1]);
	ck_assert_uint_eq(table.by_number.len, 1);
	ck_assert_uint_eq(table.len, 0);
	idtable_done(&table);
}
END_TEST

/* What the plain array says: from `at` on in one direction; 0: nothing. */
static uint64_t walk(const bool *is_there, uint64_t at, int step)
{
	for (at += (uint64_t)step; at > 0 && at <= MANY; at += (uint64_t)step)
		if (is_there[at])
			return at;
	return 0;
}

START_TEST(test_idtable_does_what_a_plain_array_does)
{
	static bool is_there[MANY + 2];
	struct idtable table;
	uint64_t last = 0;
	size_t n = 0;

	idtable_init(&table);
	for (int i = 0; i < 200000; i++) {
		uint64_t id = 1 + next_random(MANY);

		if (next_random(4) == 0 && last < MANY) {
			last += 1 + (next_random(8) == 0 ? next_random(100) : 0);
			if (last > MANY)
				last = MANY;
			int r = idtable_add(&table, last, &values[last]);
			ck_assert(r == 0 || (r == -EEXIST && table.last == last));
			n += r == 0;
			is_there[last] |= r == 0;
		} else if (next_random(8) == 0) {
			void *value = idtable_remove(&table, id);
			ck_assert_ptr_eq(value, is_there[id] ? &values[id] : NULL);
			n -= is_there[id];
			is_there[id] = false;
		}
		ck_assert_ptr_eq(idtable_find(&table, id), is_there[id] ? &values[id] : NULL);
		if (i % 16 == 0) {
			uint64_t above = walk(is_there, id, 1), below = walk(is_there, id, -1);
			ck_assert_ptr_eq(idtable_above(&table, id), above ? &values[above] : NULL);
			ck_assert_ptr_eq(idtable_below(&table, id), below ? &values[below] : NULL);
		}
		ck_assert_uint_eq(table.len, n);
	}
	ck_assert_uint_gt(last, MANY / 2);
	idtable_done(&table);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("idtable");
	TCase *tcase = tcase_create("idtable");

	tcase_add_test(tcase, test_idtable_empty_one_finds_nothing);
	tcase_add_test(tcase, test_idtable_takes_ids_that_grow_only);
	tcase_add_test(tcase, test_idtable_finds_neighbours_of_what_is_gone);
	tcase_add_test(tcase, test_idtable_keeps_no_page_that_is_empty_but_the_last);
	tcase_add_test(tcase, test_idtable_does_what_a_plain_array_does);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
