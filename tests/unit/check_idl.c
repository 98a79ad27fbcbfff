/*
 * The interface description and the tables that it is made from. doc/org.workpool.varlink is what the daemon says:
 * WORKPOOL_UPDATE=1 writes it anew.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/idl.h"
#include "api/method.h"

static char *description(const char *interface)
{
	struct buf text;
	char *copy;

	buf_init(&text, 1 << 20);
	ck_assert_int_eq(idl_write(interface, &text), 0);
	copy = mem_dup(buf_view(&text).data, buf_len(&text));
	ck_assert_ptr_nonnull(copy);
	buf_done(&text);
	return copy;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(test_idl_is_the_file_in_the_tree)
{
	const char *top = getenv("srcdir");
	auto_free char *text = description(METHOD_INTERFACE);
	static char kept[1 << 20];
	char path[4096];
	FILE *file;
	size_t len;

	(void)snprintf(path, sizeof path, "%s/doc/org.workpool.varlink", top != NULL ? top : ".");
	if (getenv("WORKPOOL_UPDATE") != NULL)
		write_file(path, text);
	file = fopen(path, "r");
	ck_assert_msg(file != NULL, "%s is missing", path);
	len = fread(kept, 1, sizeof kept - 1, file);
	kept[len] = '\0';
	(void)fclose(file);
	ck_assert_msg(strcmp(kept, text) == 0, "%s is stale: WORKPOOL_UPDATE=1 make check", path);
}
END_TEST

START_TEST(test_idl_names_every_method_with_every_parameter)
{
	for (size_t i = 0; i < method_n_rows; i++) {
		const struct method *row = method_rows[i];
		auto_free char *text = description(row->interface);
		char line[128];
		const char *at;

		(void)snprintf(line, sizeof line, "\nmethod %s(", row->name);
		at = strstr(text, line);
		ck_assert_msg(at != NULL, "%s is not described", row->name);
		for (size_t k = 0; k < row->n_params; k++) {
			const char *end = strchr(at + 1, '\n'),
				   *param = strstr(at, row->params[k].name);

			ck_assert_msg(param != NULL && param < end, "%s.%s is not described",
				row->name, row->params[k].name);
		}
	}
}
END_TEST

START_TEST(test_idl_refuses_an_unknown_interface)
{
	struct buf text;

	buf_init(&text, 1 << 20);
	ck_assert_int_eq(idl_write("org.example", &text), -ENOENT);
	ck_assert_uint_eq(buf_len(&text), 0);
	buf_done(&text);
}
END_TEST

START_TEST(test_method_rows_are_complete_and_found_by_name)
{
	for (size_t i = 0; i < method_n_rows; i++) {
		const struct method *row = method_rows[i];
		char name[128];

		(void)snprintf(name, sizeof name, "%s.%s", row->interface, row->name);
		ck_assert_ptr_eq(method_find(name), row);
		ck_assert_ptr_nonnull(row->run);
		ck_assert_int_ne(row->role, ROLE_NONE);
		ck_assert_uint_gt(strlen(row->text), 10);
		ck_assert_ptr_nonnull(row->reply);
		for (size_t k = 0; k < row->n_params; k++) {
			ck_assert_uint_gt(strlen(row->params[k].text), 3);
			ck_assert_uint_lt(row->params[k].offset, row->values_size);
		}
	}
	ck_assert_ptr_null(method_find("org.workpool.post"));
	ck_assert_ptr_null(method_find("org.workpoolPost"));
	ck_assert_ptr_null(method_find("Post"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("idl");
	TCase *tests = tcase_create("idl");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, test_idl_is_the_file_in_the_tree);
	tcase_add_test(tests, test_idl_names_every_method_with_every_parameter);
	tcase_add_test(tests, test_idl_refuses_an_unknown_interface);
	tcase_add_test(tests, test_method_rows_are_complete_and_found_by_name);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
