/* check_coproc: the line that a program gets for a task, and every kind of line that it may say or must not. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "wire/coproc.h"
#include "wire/json.h"

static void task_is_written_as(const struct coproc_task *task, const char *expected)
{
	struct buf out;

	buf_init(&out, 4096);
	ck_assert_int_eq(coproc_write_task(task, &out), 0);
	ck_assert_msg(view_is_equal(buf_view(&out), view_of(expected)), "%.*s", (int)buf_len(&out),
		buf_view(&out).data);
	buf_done(&out);
}

START_TEST(test_coproc_task_has_all_that_is_known_of_it)
{
	task_is_written_as(
		&(struct coproc_task){7, VIEW_LIT("resize"), 3, 2, UINT64_C(1764403200000123)},
		"{\"id\":7,\"handler\":\"resize\",\"worker\":3,\"attempt\":2,"
		"\"deadline\":1764403200.000123,\"args\":");
	task_is_written_as(&(struct coproc_task){.id = 1, .handler = VIEW_LIT("x")},
		"{\"id\":1,\"handler\":\"x\",\"worker\":0,\"attempt\":0,\"deadline\":null,"
		"\"args\":");
	task_is_written_as(&(struct coproc_task){UINT64_MAX, VIEW_LIT("a\"\n"), UINT32_MAX,
				   UINT32_MAX, UINT64_C(1)},
		"{\"id\":18446744073709551615,\"handler\":\"a\\\"\\n\",\"worker\":4294967295,"
		"\"attempt\":4294967295,\"deadline\":0.000001,\"args\":");
}
END_TEST

START_TEST(test_coproc_task_is_one_line_of_json)
{
	struct coproc_task task = {7, VIEW_LIT("x"), 3, 2, 0};
	char why[JSON_WHY_SIZE];
	struct buf out;

	buf_init(&out, 4096);
	ck_assert_int_eq(coproc_write_task(&task, &out), 0);
	ck_assert_int_eq(buf_printf(&out, "{\"a\":1}" COPROC_TASK_END), 0);
	struct view all = buf_view(&out);
	ck_assert_ptr_eq(memchr(all.data, '\n', all.len), all.data + all.len - 1);
	auto_json json_t *json = NULL;
	ck_assert_int_eq(json_parse(all, &json, why), 0);
	ck_assert_int_eq(
		json_integer_value(json_object_get(json_object_get(json, "args"), "a")), 1);
	buf_done(&out);
}
END_TEST

START_TEST(test_coproc_task_without_room_writes_nothing)
{
	struct coproc_task task = {7, VIEW_LIT("resize"), 3, 2, UINT64_C(1764403200000123)};
	enum {
		WHOLE_TASK = sizeof("{'id':7,'handler':'resize','worker':3,'attempt':2,"
				    "'deadline':1764403200.000123,'args':") -
			     1
	};

	for (size_t limit = 4; limit < 3 + WHOLE_TASK; limit++) {
		struct buf out;

		buf_init(&out, limit);
		ck_assert_int_eq(buf_append(&out, "abc", 3), 0);
		ck_assert_int_eq(coproc_write_task(&task, &out), -EMSGSIZE);
		ck_assert_uint_eq(buf_len(&out), 3);
		buf_done(&out);
	}
}
END_TEST

static const struct {
	const char *text;
	const char *result; /* as the bytes that are handed on */
} results[] = {
	{"{\"id\":7,\"result\":1}", "1"},
	{"{\"id\":7,\"result\":null}", "null"},
	{"{\"id\":7,\"result\":true}", "true"},
	{"{\"id\":7,\"result\":\"\"}", "\"\""},
	{"{\"id\":7,\"result\":{}}", "{}"},
	{"{\"id\":7,\"result\":[]}", "[]"},
	{"{\"result\":1,\"id\":7}", "1"},
	{"{\"id\":7,\"result\":1.50}", "1.50"},
	{"{\"id\":7,\"result\":1E2}", "1E2"},
	{"{\"id\":7,\"result\":\"\\u00e4/\\/\"}", "\"\\u00e4/\\/\""},
	{" { \"id\" : 7 , \"result\" : [ 1 , { \"a\" : 2 } ] } \r", "[ 1 , { \"a\" : 2 } ]"},
	{"{\"id\":7,\"result\":\"}],{[\\\"\"}", "\"}],{[\\\"\""},
	{"{\"id\":7,\"result\":{\"result\":5,\"id\":9}}", "{\"result\":5,\"id\":9}"},
	{"{\"note\":null,\"result\":3,\"id\":7}", "3"},
	{"{\"id\":7,\"result\":5,\"error\":null}", "5"},
	{"{\"id\":7,\"result\":null,\"error\":null}", "null"},
	{"{\"id\":7,\"res\\u0075lt\":1.50}", "1.5"}, /* written anew */
	{"{\"\\u0069d\":7,\"result\":[\"\\\\\"]}", "[\"\\\\\"]"},
};

START_TEST(test_coproc_result_is_handed_on_as_it_was_written)
{
	struct coproc_line line;
	char why[COPROC_WHY_SIZE] = "";

	ck_assert_msg(coproc_parse(view_of(results[_i].text), &line, why) == 0, "%s: %s",
		results[_i].text, why);
	ck_assert_int_eq(line.type, COPROC_RESULT);
	ck_assert_uint_eq(line.id, 7);
	ck_assert_msg(view_is_equal(line.result, view_of(results[_i].result)), "%s: %.*s",
		results[_i].text, (int)line.result.len, line.result.data);
	coproc_done(&line);
}
END_TEST

START_TEST(test_coproc_error_is_text)
{
	static const char *const texts[] = {"{\"id\":9007199254740991,\"error\":\"no \\u00e4\"}",
		"{\"id\":9007199254740991,\"error\":\"no \\u00e4\",\"result\":null}"};
	char why[COPROC_WHY_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct coproc_line line;

		ck_assert_int_eq(coproc_parse(view_of(texts[i]), &line, why), 0);
		ck_assert_int_eq(line.type, COPROC_ERROR);
		ck_assert_uint_eq(line.id, UINT64_C(9007199254740991));
		ck_assert(view_is_equal(line.error, VIEW_LIT("no \xc3\xa4")));
		coproc_done(&line);
	}
}
END_TEST

START_TEST(test_coproc_progress_is_permille_and_a_note)
{
	static const struct {
		const char *text;
		uint32_t permille;
		const char *note;
	} rows[] = {
		{"{\"id\":1,\"permille\":0}", 0, NULL},
		{"{\"id\":1,\"permille\":1000,\"note\":\"all\"}", 1000, "all"},
		{"{\"id\":1,\"permille\":5,\"note\":null,\"error\":null,\"result\":null}", 5, NULL},
		{"{\"id\":1,\"permille\":5,\"note\":\"\"}", 5, ""},
	};
	char why[COPROC_WHY_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct coproc_line line;

		ck_assert_int_eq(coproc_parse(view_of(rows[i].text), &line, why), 0);
		ck_assert_int_eq(line.type, COPROC_PROGRESS);
		ck_assert_uint_eq(line.permille, rows[i].permille);
		ck_assert(!rows[i].note == !line.note);
		ck_assert_str_eq(line.note ? line.note : "", rows[i].note ? rows[i].note : "");
		coproc_done(&line);
	}
}
END_TEST

static const struct {
	const char *text;
	const char *why; /* its beginning: the rest is the JSON reader's; NULL: all of it */
} refused[] = {
	{"", "byte 0: "},
	{"ok", "byte 2: "},
	{"{\"id\":7,\"result\":", "byte 17: "},
	{"{\"id\":7,\"result\":1} 2", "byte 21: "},
	{"{\"id\":7,\"result\":1,\"result\":2}", "byte 27: duplicate object key"},
	{"{\"id\":7,\"result\":1,\"res\\u0075lt\":2}", NULL},
	{"{\"id\":7,\"result\":9007199254740992}",
		"integer outside of +-9007199254740991 in member 'result'"},
	{"{\"id\":7,\"result\":\"\xff\"}", NULL},
	{"{\"id\":7,\"result\":\"\\u0000\"}", NULL},
	{"{\"id\":7,\"result\":NaN}", NULL},
	{"[]", "no object"},
	{"7", "no object"},
	{"null", "no object"},
	{"{}", "id: required"},
	{"{\"result\":1}", "id: required"},
	{"{\"id\":null,\"result\":1}", "id: required"},
	{"{\"id\":\"7\",\"result\":1}", "id: a number from 1 to 9007199254740991"},
	{"{\"id\":7.0,\"result\":1}", "id: a number from 1 to 9007199254740991"},
	{"{\"id\":0,\"result\":1}", "id: a number from 1 to 9007199254740991"},
	{"{\"id\":-7,\"result\":1}", "id: a number from 1 to 9007199254740991"},
	{"{\"id\":7}", "result, error or permille is missing"},
	{"{\"id\":7,\"error\":null}", "result, error or permille is missing"},
	{"{\"id\":7,\"note\":\"x\"}", "result, error or permille is missing"},
	{"{\"id\":7,\"result\":1,\"error\":\"x\"}",
		"only one of result, error and permille can be said"},
	{"{\"id\":7,\"result\":1,\"permille\":1}",
		"only one of result, error and permille can be said"},
	{"{\"id\":7,\"error\":\"x\",\"permille\":1}",
		"only one of result, error and permille can be said"},
	{"{\"id\":7,\"result\":1,\"note\":\"x\"}", "note: goes with permille only"},
	{"{\"id\":7,\"permille\":1001}", "permille: a number from 0 to 1000"},
	{"{\"id\":7,\"permille\":-1}", "permille: a number from 0 to 1000"},
	{"{\"id\":7,\"permille\":0.5}", "permille: a number from 0 to 1000"},
	{"{\"id\":7,\"permille\":1,\"note\":2}", NULL},
	{"{\"id\":7,\"error\":{}}", NULL},
	{"{\"id\":7,\"reslut\":1}", "reslut: unknown"},
	{"{\"id\":7,\"a\\nb\":1}", "a?b: unknown"},
};

static void line_is_refused(struct view text, const char *expected)
{
	char why[COPROC_WHY_SIZE] = "";
	struct coproc_line line = {.id = 99};

	ck_assert_msg(coproc_parse(text, &line, why) == -EBADMSG, "%.*s", (int)text.len, text.data);
	ck_assert_uint_eq(line.id, 99);
	ck_assert(why[0] != '\0' && str_is_utf8(view_of(why)));
	ck_assert_msg(!expected || strncmp(why, expected, strlen(expected)) == 0, "%.*s: \"%s\"",
		(int)text.len, text.data, why);
}

START_TEST(test_coproc_refuses_every_other_line_in_words)
{
	line_is_refused(view_of(refused[_i].text), refused[_i].why);
}
END_TEST

START_TEST(test_coproc_line_has_the_limits_of_a_call)
{
	struct buf deep, wide, nul;

	buf_init(&deep, 4096);
	buf_init(&wide, 1 << 20);
	buf_init(&nul, 4096);
	ck_assert_int_eq(buf_printf(&deep, "{\"id\":7,\"result\":"), 0);
	for (int i = 0; i < JSON_DEPTH_LIMIT; i++)
		ck_assert_int_eq(buf_append(&deep, "[", 1), 0);
	line_is_refused(buf_view(&deep), "byte 49: more than 32 levels deep");
	ck_assert_int_eq(buf_printf(&wide, "{\"id\":7,\"result\":[0"), 0);
	for (int i = 0; i < JSON_VALUES_LIMIT; i++)
		ck_assert_int_eq(buf_append(&wide, ",0", 2), 0);
	ck_assert_int_eq(buf_append(&wide, "]}", 2), 0);
	line_is_refused(buf_view(&wide), "byte 65550: more than 32768 values");
	ck_assert_int_eq(buf_append(&nul, "{\"id\":7,\"result\":1}\0", 20), 0);
	line_is_refused(buf_view(&nul), NULL);
	buf_done(&deep);
	buf_done(&wide);
	buf_done(&nul);
}
END_TEST

/* Every beginning of a good line is none. */
START_TEST(test_coproc_half_a_line_is_refused)
{
	static const char text[] = "{\"id\":7,\"result\":{\"a\":[1,\"b\\\"\",null]}}";

	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		auto_free char *half = mem_dup(text, len);

		ck_assert_ptr_nonnull(half);
		line_is_refused((struct view){half, len}, NULL);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("coproc");
	TCase *tcase = tcase_create("coproc");

	tcase_add_test(tcase, test_coproc_task_has_all_that_is_known_of_it);
	tcase_add_test(tcase, test_coproc_task_is_one_line_of_json);
	tcase_add_test(tcase, test_coproc_task_without_room_writes_nothing);
	tcase_add_loop_test(tcase, test_coproc_result_is_handed_on_as_it_was_written, 0,
		(int)ARRAY_SIZE(results));
	tcase_add_test(tcase, test_coproc_error_is_text);
	tcase_add_test(tcase, test_coproc_progress_is_permille_and_a_note);
	tcase_add_loop_test(
		tcase, test_coproc_refuses_every_other_line_in_words, 0, (int)ARRAY_SIZE(refused));
	tcase_add_test(tcase, test_coproc_line_has_the_limits_of_a_call);
	tcase_add_test(tcase, test_coproc_half_a_line_is_refused);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
