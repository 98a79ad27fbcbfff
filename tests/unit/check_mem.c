/* check_mem: ownership helpers of base/mem.h. */
#include <check.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

START_TEST(test_mem_dup_copies_bytes_and_ends_them_with_nul)
{
	auto_free char *copy = mem_dup("ab\0cd", 5);

	ck_assert_ptr_nonnull(copy);
	ck_assert_mem_eq(copy, "ab\0cd", 6);
}
END_TEST

START_TEST(test_mem_dup_of_nothing_is_the_empty_string)
{
	auto_free char *copy = mem_dup(NULL, 0);

	ck_assert_ptr_nonnull(copy);
	ck_assert_str_eq(copy, "");
}
END_TEST

START_TEST(test_mem_dup_refuses_a_length_that_has_no_room_for_nul)
{
	volatile size_t len = SIZE_MAX;

	ck_assert_ptr_null(mem_dup("", len));
}
END_TEST

START_TEST(test_mem_take_empties_the_variable)
{
	char *text = mem_dup("x", 1);
	auto_free char *taken = take(text);

	ck_assert_ptr_null(text);
	ck_assert_str_eq(taken, "x");
}
END_TEST

struct outer {
	int first;
	char inner;
};

START_TEST(test_mem_container_of_finds_the_struct)
{
	struct outer outer = {1, 'x'};

	ck_assert_ptr_eq(container_of(&outer.inner, struct outer, inner), &outer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mem");
	TCase *tcase = tcase_create("mem");

	tcase_add_test(tcase, test_mem_dup_copies_bytes_and_ends_them_with_nul);
	tcase_add_test(tcase, test_mem_dup_of_nothing_is_the_empty_string);
	tcase_add_test(tcase, test_mem_dup_refuses_a_length_that_has_no_room_for_nul);
	tcase_add_test(tcase, test_mem_take_empties_the_variable);
	tcase_add_test(tcase, test_mem_container_of_finds_the_struct);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
