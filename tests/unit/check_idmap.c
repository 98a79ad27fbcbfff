/* check_idmap: growth, shrinking, gaps, and random commands against a plain array. */
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/idmap.h"

#define MANY 5000

static char values[MANY + 1]; /* only their addresses matter */
static uint32_t random_state = 4711;

static uint32_t next_random(uint32_t below)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % below;
}

START_TEST(test_idmap_empty_one_finds_nothing)
{
	struct idmap map;

	idmap_init(&map);
	ck_assert_ptr_null(idmap_find(&map, 1));
	ck_assert_ptr_null(idmap_remove(&map, 1));
	ck_assert_ptr_null(idmap_find(&map, 0));
	ck_assert_ptr_null(idmap_remove(&map, 0));
	ck_assert_ptr_null(map.entries);
	idmap_done(&map);
}
END_TEST

START_TEST(test_idmap_refuses_an_id_twice_and_keeps_the_first)
{
	struct idmap map;

	idmap_init(&map);
	ck_assert_int_eq(idmap_add(&map, 7, &values[1]), 0);
	ck_assert_int_eq(idmap_add(&map, 7, &values[2]), -EEXIST);
	ck_assert_ptr_eq(idmap_find(&map, 7), &values[1]);
	ck_assert_uint_eq(map.len, 1);
	idmap_done(&map);
}
END_TEST

START_TEST(test_idmap_refusal_at_the_growth_boundary_does_not_grow)
{
	struct idmap map;

	idmap_init(&map);
	for (uint64_t id = 1; id <= 12; id++)
		ck_assert_int_eq(idmap_add(&map, id, &values[id]), 0);
	size_t cap = map.cap;
	ck_assert_uint_eq(map.len, cap / 4 * 3);
	ck_assert_int_eq(idmap_add(&map, 12, &values[1]), -EEXIST);
	ck_assert_uint_eq(map.cap, cap);
	ck_assert_int_eq(idmap_add(&map, 13, &values[13]), 0);
	ck_assert_uint_eq(map.cap, cap * 2);
	idmap_done(&map);
}
END_TEST

START_TEST(test_idmap_takes_the_smallest_and_the_largest_id)
{
	static const uint64_t ids[] = {1, 2, UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63};
	struct idmap map;

	idmap_init(&map);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		ck_assert_int_eq(idmap_add(&map, ids[i], &values[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		ck_assert_ptr_eq(idmap_find(&map, ids[i]), &values[i]);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		ck_assert_ptr_eq(idmap_remove(&map, ids[i]), &values[i]);
	ck_assert_uint_eq(map.len, 0);
	idmap_done(&map);
}
END_TEST

START_TEST(test_idmap_is_never_more_than_three_quarters_full)
{
	struct idmap map;

	idmap_init(&map);
	for (uint64_t id = 1; id <= MANY; id++) {
		ck_assert_int_eq(idmap_add(&map, id, &values[id]), 0);
		ck_assert_uint_le(map.len * 4, map.cap * 3);
		ck_assert_uint_eq(map.cap & (map.cap - 1), 0);
	}
	idmap_done(&map);
}
END_TEST

START_TEST(test_idmap_gives_memory_back_when_mostly_empty)
{
	struct idmap map;

	idmap_init(&map);
	for (uint64_t id = 1; id <= MANY; id++)
		ck_assert_int_eq(idmap_add(&map, id, &values[id]), 0);
	size_t full = map.cap;
	for (uint64_t id = 1; id <= MANY - 3; id++)
		ck_assert_ptr_eq(idmap_remove(&map, id), &values[id]);
	ck_assert_uint_lt(map.cap, full / 64);
	for (uint64_t id = MANY - 2; id <= MANY; id++)
		ck_assert_ptr_eq(idmap_find(&map, id), &values[id]);
	idmap_done(&map);
}
END_TEST

/*
 * An id whose product with the hash's factor is `product`: this is the factor's inverse modulo
 * 2^64. So the upper bits, which are the home, can be chosen.
 */
static uint64_t id_of(uint64_t product)
{
	return product * UINT64_C(0xf1de83e19937733d);
}

/* Twelve entries in sixteen places: four want the last one, four the first, four the second. */
START_TEST(test_idmap_finds_the_rest_after_any_one_of_a_run_was_removed)
{
	static const uint64_t homes[] = {15, 0, 1};

	for (size_t gone = 0; gone < 12; gone++) {
		struct idmap map;
		idmap_init(&map);
		for (size_t i = 0; i < 12; i++)
			ck_assert_int_eq(
				idmap_add(&map, id_of(homes[i % 3] << 60 | (i + 1)), &values[i]),
				0);
		ck_assert_uint_eq(map.cap, 16);
		ck_assert_ptr_eq(idmap_remove(&map, id_of(homes[gone % 3] << 60 | (gone + 1))),
			&values[gone]);
		for (size_t i = 0; i < 12; i++)
			ck_assert_ptr_eq(idmap_find(&map, id_of(homes[i % 3] << 60 | (i + 1))),
				i == gone ? NULL : (void *)&values[i]);
		idmap_done(&map);
	}
}
END_TEST

START_TEST(test_idmap_agrees_with_a_plain_array_for_random_commands)
{
	static void *model[MANY + 1];
	size_t members = 0;
	struct idmap map;

	idmap_init(&map);
	for (int step = 0; step < 200000; step++) {
		/* Waves: a range that grows and shrinks, so that the map does too. */
		uint32_t range = step / 20000 % 2 ? 40 : MANY;
		uint64_t id = 1 + next_random(range);
		void *value = &values[next_random(MANY)];
		bool is_right;
		if (next_random(2)) {
			is_right = idmap_add(&map, id, value) == (model[id] ? -EEXIST : 0);
			members += model[id] ? 0 : 1;
			model[id] = model[id] ? model[id] : value;
		} else {
			is_right = idmap_remove(&map, id) == model[id];
			members -= model[id] ? 1 : 0;
			model[id] = NULL;
		}
		uint64_t other = 1 + next_random(MANY);
		/* One look for all: a million asserts that hold cost a second, and many under load. */
		if (!is_right || idmap_find(&map, other) != model[other] || map.len != members)
			ck_abort_msg("step %d, id %d, other %d, %zu of %zu", step, (int)id,
				(int)other, map.len, members);
	}
	for (uint64_t id = 1; id <= MANY; id++)
		ck_assert_ptr_eq(idmap_remove(&map, id), model[id]);
	ck_assert_uint_eq(map.len, 0);
	idmap_done(&map);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("idmap");
	TCase *tcase = tcase_create("idmap");

	tcase_add_test(tcase, test_idmap_empty_one_finds_nothing);
	tcase_add_test(tcase, test_idmap_refuses_an_id_twice_and_keeps_the_first);
	tcase_add_test(tcase, test_idmap_refusal_at_the_growth_boundary_does_not_grow);
	tcase_add_test(tcase, test_idmap_takes_the_smallest_and_the_largest_id);
	tcase_add_test(tcase, test_idmap_is_never_more_than_three_quarters_full);
	tcase_add_test(tcase, test_idmap_gives_memory_back_when_mostly_empty);
	tcase_add_test(tcase, test_idmap_finds_the_rest_after_any_one_of_a_run_was_removed);
	tcase_add_test(tcase, test_idmap_agrees_with_a_plain_array_for_random_commands);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
