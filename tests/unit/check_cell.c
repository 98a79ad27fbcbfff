/* check_cell: small blocks that stay at hand. */
#include <check.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cell.h"

#define MANY 20000

/* More memory than there is: the sanitizer shall answer NULL as malloc(3) does. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static size_t in_use(void)
{
	return mallinfo2().uordblks;
}

START_TEST(test_cell_of_every_size_holds_it_and_is_aligned)
{
	char *cells[600];

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
			cells[i] = cell_alloc(i);
			ck_assert_ptr_nonnull(cells[i]);
			ck_assert_uint_eq((uintptr_t)cells[i] % 16, 0);
			memset(cells[i], (int)(i % 251), i);
		}
		for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
			for (size_t k = 0; k < i; k++)
				ck_assert_int_eq((unsigned char)cells[i][k], (int)(i % 251));
			cell_free(cells[i]);
		}
	}
	cell_free(NULL);
}
END_TEST

START_TEST(test_cell_refuses_what_there_cannot_be)
{
	volatile size_t size = SIZE_MAX;

	for (size_t i = 0; i < 40; i++)
		ck_assert_ptr_null(cell_alloc(size - i));
}
END_TEST

START_TEST(test_cell_keeps_no_more_than_64_kb)
{
	static void *cells[MANY];
	size_t before = in_use();

	for (size_t i = 0; i < MANY; i++)
		ck_assert_ptr_nonnull(cells[i] = cell_alloc(1 + i % 256));
	for (size_t i = 0; i < MANY; i++)
		cell_free(cells[i]);
	/* malloc(3) adds 8 bytes a block of 32 or more, and keeps some at hand itself. */
	ck_assert_uint_le(in_use(), before + 128 * 1024);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cell");
	TCase *tcase = tcase_create("cell");

	tcase_add_test(tcase, test_cell_of_every_size_holds_it_and_is_aligned);
	tcase_add_test(tcase, test_cell_refuses_what_there_cannot_be);
	tcase_add_test(tcase, test_cell_keeps_no_more_than_64_kb);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
