/* check_param: every type with right and wrong values, reasons in words, defaults. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "wire/json.h"
#include "wire/param.h"

struct values {
	char shift; /* so that nothing lies at 0 */
	bool flag;
	int64_t count;
	const char *name;
	const char *mode;
	json_t *list;
	json_t *args;
	json_t *any;
};

static const struct param table[] = {
	{"flag", PARAM_BOOL, 0, offsetof(struct values, flag), 0, 0, NULL, "t"},
	{"count", PARAM_INT, 0, offsetof(struct values, count), 1, 1024, NULL, "t"},
	{"name", PARAM_STRING, 0, offsetof(struct values, name), 1, 4, NULL, "t"},
	{"free", PARAM_STRING, 0, PARAM_NO_FIELD, 0, 0, NULL, "t"},
	{"mode", PARAM_ENUM, 0, offsetof(struct values, mode), 0, 0, "drain finish now", "t"},
	{"list", PARAM_STRINGS, 0, offsetof(struct values, list), 0, 2, NULL, "t"},
	{"many", PARAM_STRINGS, 0, PARAM_NO_FIELD, 0, 0, NULL, "t"},
	{"args", PARAM_OBJECT, 0, offsetof(struct values, args), 0, 0, NULL, "t"},
	{"any", PARAM_ANY, 0, offsetof(struct values, any), 0, 0, NULL, "t"},
	{"wide", PARAM_INT, 0, PARAM_NO_FIELD, INT64_MIN, INT64_MAX, NULL, "t"},
};

static json_t *json_of(const char *text)
{
	char why[JSON_WHY_SIZE] = "";
	json_t *json = NULL;

	ck_assert_msg(json_parse(view_of(text), &json, why) == 0, "%s: %s", text, why);
	return json;
}

/* why NULL: right. */
static const struct {
	const char *text;
	const char *param;
	const char *why;
} rows[] = {
	{"{}", NULL, NULL},
	{"{\"flag\":true}", NULL, NULL},
	{"{\"flag\":0}", "flag", "true or false"},
	{"{\"flag\":\"true\"}", "flag", "true or false"},
	{"{\"count\":1}", NULL, NULL},
	{"{\"count\":1024}", NULL, NULL},
	{"{\"count\":0}", "count", "a number from 1 to 1024"},
	{"{\"count\":1025}", "count", "a number from 1 to 1024"},
	{"{\"count\":-9007199254740991}", "count", "a number from 1 to 1024"},
	{"{\"count\":5.0}", "count", "a number from 1 to 1024"},
	{"{\"count\":\"5\"}", "count", "a number from 1 to 1024"},
	{"{\"count\":true}", "count", "a number from 1 to 1024"},
	{"{\"wide\":-9007199254740991}", NULL, NULL},
	{"{\"name\":\"a\"}", NULL, NULL},
	{"{\"name\":\"abcd\"}", NULL, NULL},
	{"{\"name\":\"\xf0\x9f\x98\x80\"}", NULL, NULL},
	{"{\"name\":\"\"}", "name", "a string of 1 to 4 bytes"},
	{"{\"name\":\"abcde\"}", "name", "a string of 1 to 4 bytes"},
	{"{\"name\":\"\xe2\x82\xac\xe2\x82\xac\"}", "name", "a string of 1 to 4 bytes"},
	{"{\"name\":1}", "name", "a string of 1 to 4 bytes"},
	{"{\"free\":\"\"}", NULL, NULL},
	{"{\"free\":[]}", "free", "a string of at most 256 bytes"},
	{"{\"mode\":\"drain\"}", NULL, NULL},
	{"{\"mode\":\"now\"}", NULL, NULL},
	{"{\"mode\":\"no\"}", "mode", "one of drain, finish, now"},
	{"{\"mode\":\"drain finish\"}", "mode", "one of drain, finish, now"},
	{"{\"mode\":\"Drain\"}", "mode", "one of drain, finish, now"},
	{"{\"mode\":\"\"}", "mode", "one of drain, finish, now"},
	{"{\"mode\":\" \"}", "mode", "one of drain, finish, now"},
	{"{\"mode\":1}", "mode", "one of drain, finish, now"},
	{"{\"list\":[]}", NULL, NULL},
	{"{\"list\":[\"a\",\"b\"]}", NULL, NULL},
	{"{\"list\":[\"a\",\"b\",\"c\"]}", "list", "an array of at most 2 strings"},
	{"{\"list\":[\"a\",1]}", "list", "an array of at most 2 strings"},
	{"{\"list\":\"a\"}", "list", "an array of at most 2 strings"},
	{"{\"many\":{}}", "many", "an array of at most 256 strings"},
	{"{\"args\":{\"x\":[1]}}", NULL, NULL},
	{"{\"args\":[]}", "args", "an object"},
	{"{\"any\":[1,\"x\"]}", NULL, NULL},
	{"{\"any\":false}", NULL, NULL},
	{"{\"flag\":null,\"count\":null,\"name\":null,\"args\":null,\"any\":null}", NULL, NULL},
	{"{\"Flag\":true}", "Flag", "unknown"},
	{"{\"\":1}", "", "unknown"},
	{"{\"typo\":null}", "typo", "unknown"},
	{"{\"count\":1,\"flag\":1,\"typo\":1}", "flag", "true or false"},
};

START_TEST(test_param_judges_every_row_in_words)
{
	struct values values = {0};
	char why[PARAM_WHY_SIZE] = "untouched";
	const char *name = NULL;
	auto_json json_t *json = json_of(rows[_i].text);

	int r = param_read(json, table, ARRAY_SIZE(table), &values, &name, why);
	if (!rows[_i].why) {
		ck_assert_msg(r == 0, "%s: %s", name, why);
		ck_assert_str_eq(why, "untouched");
		ck_assert_ptr_null(name);
		return;
	}
	ck_assert_int_eq(r, -EINVAL);
	ck_assert_str_eq(name, rows[_i].param);
	ck_assert_str_eq(why, rows[_i].why);
}
END_TEST

START_TEST(test_param_fills_every_field)
{
	struct values values = {.shift = 's'};
	char why[PARAM_WHY_SIZE];
	const char *name;
	auto_json json_t *json =
		json_of("{\"flag\":true,\"count\":7,\"name\":\"n\",\"mode\":\"now\","
			"\"list\":[\"l\"],\"args\":{\"a\":1},\"any\":2.5}");

	ck_assert_int_eq(param_read(json, table, ARRAY_SIZE(table), &values, &name, why), 0);
	ck_assert_int_eq(values.shift, 's');
	ck_assert(values.flag);
	ck_assert_int_eq(values.count, 7);
	ck_assert_str_eq(values.name, "n");
	ck_assert_str_eq(values.mode, "now");
	ck_assert_ptr_eq(values.list, json_object_get(json, "list"));
	ck_assert_ptr_eq(values.args, json_object_get(json, "args"));
	ck_assert_ptr_eq(values.any, json_object_get(json, "any"));
}
END_TEST

START_TEST(test_param_false_is_stored_too)
{
	struct values values = {.flag = true};
	char why[PARAM_WHY_SIZE];
	const char *name;
	auto_json json_t *json = json_of("{\"flag\":false}");

	ck_assert_int_eq(param_read(json, table, ARRAY_SIZE(table), &values, &name, why), 0);
	ck_assert(!values.flag);
}
END_TEST

START_TEST(test_param_not_given_or_null_keeps_the_default)
{
	static const char *const objects[] = {"{}", "{\"count\":null,\"name\":null,\"flag\":null}"};

	for (size_t i = 0; i < ARRAY_SIZE(objects) + 1; i++) {
		struct values values = {.flag = true, .count = 5, .name = "d"};
		char why[PARAM_WHY_SIZE];
		const char *name;
		auto_json json_t *json = i < ARRAY_SIZE(objects) ? json_of(objects[i]) : NULL;
		ck_assert_int_eq(
			param_read(json, table, ARRAY_SIZE(table), &values, &name, why), 0);
		ck_assert(values.flag);
		ck_assert_int_eq(values.count, 5);
		ck_assert_str_eq(values.name, "d");
	}
}
END_TEST

START_TEST(test_param_required_is_missed_in_table_order)
{
	static const struct param required[] = {
		{"a", PARAM_INT, PARAM_REQUIRED, PARAM_NO_FIELD, 0, 9, NULL, "t"},
		{"b", PARAM_ANY, PARAM_REQUIRED, PARAM_NO_FIELD, 0, 0, NULL, "t"},
	};
	static const struct {
		const char *text, *param, *why;
	} cases[] = {
		{"{}", "a", "required"},
		{"{\"b\":1}", "a", "required"},
		{"{\"a\":1}", "b", "required"},
		{"{\"a\":1,\"b\":null}", "b", "required"},
		{"{\"a\":10}", "a", "a number from 0 to 9"},
		{"{\"c\":1}", "c", "unknown"},
	};
	char why[PARAM_WHY_SIZE];
	const char *name;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		auto_json json_t *json = json_of(cases[i].text);
		ck_assert_int_eq(param_read(json, required, 2, NULL, &name, why), -EINVAL);
		ck_assert_str_eq(name, cases[i].param);
		ck_assert_str_eq(why, cases[i].why);
	}
	ck_assert_int_eq(param_read(NULL, required, 2, NULL, &name, why), -EINVAL);
	ck_assert_str_eq(name, "a");
	auto_json json_t *both = json_of("{\"b\":0,\"a\":0}");
	ck_assert_int_eq(param_read(both, required, 2, NULL, &name, why), 0);
}
END_TEST

START_TEST(test_param_string_without_max_takes_256_bytes)
{
	char why[PARAM_WHY_SIZE], text[258];
	const char *name;

	memset(text, 'x', sizeof(text));
	for (size_t len = 256; len <= 257; len++) {
		auto_json json_t *json = json_pack("{s:s#}", "free", text, len);
		ck_assert_ptr_nonnull(json);
		ck_assert_int_eq(param_read(json, table, ARRAY_SIZE(table), NULL, &name, why),
			len == 256 ? 0 : -EINVAL);
	}
}
END_TEST

START_TEST(test_param_empty_table_knows_nothing)
{
	char why[PARAM_WHY_SIZE];
	const char *name;
	auto_json json_t *empty = json_of("{}");
	auto_json json_t *one = json_of("{\"a\":1}");

	ck_assert_int_eq(param_read(empty, NULL, 0, NULL, &name, why), 0);
	ck_assert_int_eq(param_read(one, NULL, 0, NULL, &name, why), -EINVAL);
	ck_assert_str_eq(why, "unknown");
}
END_TEST

/*
 * A table that came from a host: a type of tomorrow, words without end, in the middle of which
 * a character is cut.
 */
START_TEST(test_param_strange_table_refuses_in_valid_text)
{
	char words[400], why[PARAM_WHY_SIZE];
	const char *name;
	auto_json json_t *json = json_of("{\"a\":\"x\"}");

	for (size_t shift = 0; shift < 3; shift++) {
		memset(words, 'w', shift);
		for (size_t i = shift; i < sizeof(words) - 4; i += 3)
			memcpy(words + i, "\xe2\x82\xac", 4);
		struct param param = {"a", PARAM_ENUM, 0, PARAM_NO_FIELD, 0, 0, words, "t"};
		ck_assert_int_eq(param_read(json, &param, 1, NULL, &name, why), -EINVAL);
		ck_assert(str_is_utf8(view_of(why)));
		ck_assert_uint_gt(strlen(why), 100);
	}
	struct param tomorrow = {"a", (enum param_type)99, 0, 0, 0, 0, NULL, "t"};
	ck_assert_int_eq(param_read(json, &tomorrow, 1, NULL, &name, why), -EINVAL);
	ck_assert_str_eq(why, "of a type that is not known here");
	struct param wordless = {"a", PARAM_ENUM, 0, PARAM_NO_FIELD, 0, 0, NULL, "t"};
	ck_assert_int_eq(param_read(json, &wordless, 1, NULL, &name, why), -EINVAL);
}
END_TEST

START_TEST(test_param_every_type_has_a_name)
{
	for (enum param_type type = PARAM_BOOL; type <= PARAM_ENUM; type++)
		ck_assert_ptr_nonnull(param_type_name(type));
	ck_assert_str_eq(param_type_name(PARAM_STRINGS), "[]string");
	ck_assert_str_eq(param_type_name((enum param_type)99), "object");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("param");
	TCase *tcase = tcase_create("param");

	tcase_add_loop_test(tcase, test_param_judges_every_row_in_words, 0, (int)ARRAY_SIZE(rows));
	tcase_add_test(tcase, test_param_fills_every_field);
	tcase_add_test(tcase, test_param_false_is_stored_too);
	tcase_add_test(tcase, test_param_not_given_or_null_keeps_the_default);
	tcase_add_test(tcase, test_param_required_is_missed_in_table_order);
	tcase_add_test(tcase, test_param_string_without_max_takes_256_bytes);
	tcase_add_test(tcase, test_param_empty_table_knows_nothing);
	tcase_add_test(tcase, test_param_strange_table_refuses_in_valid_text);
	tcase_add_test(tcase, test_param_every_type_has_a_name);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
