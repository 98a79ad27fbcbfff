/* check_json: sixty evil texts, the limits, where and why, no memory, writing. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "wire/json.h"

/* why: a part of the reason; NULL: the text is taken. */
static const struct {
	struct view text;
	const char *why;
} texts[] = {
#define ROW(text, why)                                                                             \
	{                                                                                          \
		{(text), sizeof(text) - 1}, (why)                                                  \
	}
	/* What is JSON. */
	ROW("{}", NULL),
	ROW("[]", NULL),
	ROW("null", NULL),
	ROW("\"\"", NULL),
	ROW(" \t\r\n{ } \t\r\n", NULL),
	ROW("-0", NULL),
	ROW("1.5e-7", NULL),
	ROW("1e308", NULL),
	ROW("\"\\ud83d\\ude00\\/\\b\\f\\n\\r\\t\\\"\\\\\"", NULL),
	ROW("\"\xf4\x8f\xbf\xbf\xef\xbf\xbf\"", NULL),
	ROW("{\"\":{\"\":{}}}", NULL),
	ROW("{\"a\":1,\"A\":1}", NULL),
	ROW("9007199254740991", NULL),
	ROW("-9007199254740991", NULL),
	ROW("9007199254740993.0", NULL),
	ROW("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"", NULL),
	ROW("\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"", NULL),
	/* Numbers. */
	ROW("9007199254740992", "outside of"),
	ROW("-9007199254740992", "outside of"),
	ROW("{\"big\":[9223372036854775807]}", "member 'big'"),
	ROW("9223372036854775808", "too big"),
	ROW("1e999", "overflow"),
	ROW("-1e999", "overflow"),
	ROW("NaN", "byte 3"),
	ROW("Infinity", "byte 8"),
	ROW("-Infinity", "byte 1"),
	ROW("01", "byte"),
	ROW("+1", "byte"),
	ROW(".5", "byte"),
	ROW("1.", "byte"),
	ROW("1e", "byte"),
	ROW("0x10", "byte"),
	ROW("1_000", "byte"),
	/* Strings. */
	ROW("\"\\u0000\"", "\\u0000 is not allowed near"),
	ROW("{\"\\u0000\":1}", "byte"),
	ROW("\"a\0b\"", "byte"),
	ROW("\"a\nb\"", "byte"),
	ROW("\"\x1f\"", "byte"),
	ROW("\"\\ud800\"", "byte"),
	ROW("\"\\udc00\"", "byte"),
	ROW("\"\\ud800\\ud800\"", "byte"),
	ROW("\"\\ud83d\\n\"", "byte"),
	ROW("\"\\u12g4\"", "byte"),
	ROW("\"\\x41\"", "byte"),
	ROW("\"\\", "byte"),
	ROW("\"abc", "byte"),
	ROW("\"\xc0\xaf\"", "byte"),
	ROW("\"\xe0\x80\xaf\"", "byte"),
	ROW("\"\xed\xa0\x80\"", "byte"),
	ROW("\"\xf4\x90\x80\x80\"", "byte"),
	ROW("\"\x80\"", "byte"),
	ROW("\"\xff\"", "byte"),
	ROW("\"\xe2\x82", "byte"),
	ROW("'a'", "byte"),
	/* Objects and arrays. */
	ROW("{\"a\":1,\"a\":2}", "byte 10: duplicate"),
	ROW("{\"a\":1,\"\\u0061\":2}", "duplicate"),
	ROW("{\"x\":{\"a\":1,\"b\":2,\"a\":1}}", "duplicate"),
	ROW("{\"a\":1,}", "byte"),
	ROW("[1,]", "byte"),
	ROW("[,1]", "byte"),
	ROW("[1 2]", "byte"),
	ROW("{\"a\"}", "byte"),
	ROW("{\"a\":}", "byte"),
	ROW("{a:1}", "byte"),
	ROW("{1:1}", "byte"),
	ROW("{'a':1}", "byte"),
	ROW("{", "byte"),
	ROW("[", "byte"),
	ROW("]", "byte"),
	ROW("{]", "byte"),
	ROW("[}", "byte"),
	/* Around the value. */
	ROW("", "byte 0"),
	ROW("  ", "byte"),
	ROW("{}{}", "byte 3"),
	ROW("{} x", "byte"),
	ROW("{}\0", "byte"),
	ROW("\0", "byte"),
	ROW("\0{}", "byte"),
	ROW("\xef\xbb\xbf{}", "byte"),
	ROW("/* c */{}", "byte"),
	ROW("{}// c", "byte"),
	ROW("# c\n{}", "byte"),
	ROW("True", "byte"),
	ROW("nul", "byte"),
	ROW("undefined", "byte"),
	ROW("\xc2\xa0{}", "byte"),
	ROW("\f{}", "byte"),
	ROW("\xff\xfe{\0}\0", "byte"),
#undef ROW
};

static void check_refused(struct view text, const char *why)
{
	char ret_why[JSON_WHY_SIZE];
	json_t *untouched = json_null(), *json = untouched;

	memset(ret_why, 'x', sizeof(ret_why));
	ck_assert_int_eq(json_parse(text, &json, ret_why), -EBADMSG);
	ck_assert_ptr_eq(json, untouched);
	ck_assert_uint_lt(strnlen(ret_why, sizeof(ret_why)), sizeof(ret_why));
	ck_assert_msg(strstr(ret_why, why), "\"%s\" is not in: %s", why, ret_why);
	ck_assert(str_is_utf8(view_of(ret_why)));
}

static void check_taken(struct view text)
{
	char why[JSON_WHY_SIZE] = "";
	auto_json json_t *json = NULL;

	ck_assert_msg(json_parse(text, &json, why) == 0, "%s", why);
	ck_assert_ptr_nonnull(json);
}

START_TEST(test_json_judges_every_text)
{
	if (texts[_i].why)
		check_refused(texts[_i].text, texts[_i].why);
	else
		check_taken(texts[_i].text);
}
END_TEST

START_TEST(test_json_takes_no_bytes_at_all_for_empty_text)
{
	check_refused((struct view){NULL, 0}, "byte 0");
}
END_TEST

START_TEST(test_json_reads_no_byte_behind_its_view)
{
	check_taken((struct view){"[1]]", 3});
	check_refused((struct view){"[1]", 2}, "byte");
	/* Its own block of memory, so that a sanitizer sees the first byte too much. */
	auto_free char *exact = malloc(2);
	ck_assert_ptr_nonnull(exact);
	memcpy(exact, "12", 2);
	check_taken((struct view){exact, 2});
}
END_TEST

/* n times `open`, then the rest, then n times `close`. */
static void fill_nested(struct buf *buf, const char *open, const char *close, size_t n)
{
	buf_init(buf, 1 << 20);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(buf_printf(buf, "%s", open), 0);
	ck_assert_int_eq(buf_printf(buf, "{}"), 0);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(buf_printf(buf, "%s", close), 0);
}

START_TEST(test_json_takes_32_levels_and_refuses_33)
{
	static const char *const pairs[][2] = {{"[", "]"}, {"{\"a\":", "}"}, {"[1,[],", "]"}};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct buf buf;
		fill_nested(&buf, pairs[i][0], pairs[i][1], JSON_DEPTH_LIMIT - 1);
		check_taken(buf_view(&buf));
		buf_done(&buf);
		fill_nested(&buf, pairs[i][0], pairs[i][1], JSON_DEPTH_LIMIT);
		check_refused(buf_view(&buf), "more than 32 levels");
		buf_done(&buf);
	}
}
END_TEST

START_TEST(test_json_megabyte_of_brackets_is_refused_at_the_33rd)
{
	size_t len = 1 << 20;
	auto_free char *text = malloc(len);

	ck_assert_ptr_nonnull(text);
	memset(text, '[', len);
	check_refused((struct view){text, len}, "byte 33: more than 32 levels");
	memset(text, '{', len);
	check_refused((struct view){text, len}, "byte 33: more than 32 levels");
}
END_TEST

START_TEST(test_json_takes_a_key_of_256_bytes_and_refuses_257)
{
	char key[JSON_KEY_LIMIT + 2];
	struct buf buf;

	memset(key, 'k', sizeof(key));
	buf_init(&buf, 1000);
	ck_assert_int_eq(buf_printf(&buf, "[{\"%.*s\":1}]", JSON_KEY_LIMIT, key), 0);
	check_taken(buf_view(&buf));
	buf_truncate(&buf, 0);
	ck_assert_int_eq(buf_printf(&buf, "[{\"%.*s\":1}]", JSON_KEY_LIMIT + 1, key), 0);
	check_refused(buf_view(&buf), "key of more than 256 bytes: 'kkk");
	buf_done(&buf);
}
END_TEST

/* 47 bytes and then a character of three: the reason cuts it, and stays UTF-8. */
START_TEST(test_json_reason_is_utf8_also_where_it_cuts_a_key)
{
	struct buf buf;

	buf_init(&buf, 2000);
	ck_assert_int_eq(buf_printf(&buf, "{\"%0*d", 47, 0), 0);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(buf_printf(&buf, "\xe2\x82\xac"), 0);
	ck_assert_int_eq(buf_printf(&buf, "\":1}"), 0);
	check_refused(buf_view(&buf), "0?...'");
	buf_done(&buf);
}
END_TEST

/* jansson's allocations from the nth on fail, or that one alone. */
static int allocations_left;
static bool is_one_failing;

static void *failing_malloc(size_t size)
{
	int left = allocations_left--;

	return left > 0 || (left < 0 && is_one_failing) ? malloc(size) : NULL;
}

START_TEST(test_json_no_memory_at_any_allocation_refuses_and_leaks_nothing)
{
	/* Tokens of 15, 16 and 17 bytes: whoever collects them in doubled pieces must not lose one. */
	static const char text[] =
		"{\"a\":[1,2.5,\"s\",true,{\"b\":null}],\"key\":\"\\u00e9\",\"b12345678901234\":"
		"\"c123456789012\",\"d\":[\"e1234567890123\",123456789012345,\"f12345678901234\"]}";
	auto_json json_t *whole = NULL;
	int n = 0, r;

	ck_assert_int_eq(json_parse(VIEW_LIT(text), &whole, (char[JSON_WHY_SIZE]){""}), 0);
	json_set_alloc_funcs(failing_malloc, free);
	do {
		char why[JSON_WHY_SIZE] = "";
		json_t *json = NULL;
		is_one_failing = _i == 1;
		allocations_left = n++;
		r = json_parse(VIEW_LIT(text), &json, why);
		ck_assert_msg(r == 0 || r == -ENOMEM, "allocation %d: %d: %s", n, r, why);
		ck_assert((r == 0) == (json != NULL));
		ck_assert(r < 0 || json_equal(json, whole));
		json_decref(json);
	} while (r < 0);
	ck_assert_int_gt(n, 20);
	json_set_alloc_funcs(malloc, free);
}
END_TEST

START_TEST(test_json_write_no_memory_appends_nothing)
{
	auto_json json_t *json = json_pack("{s:[i,s,{}]}", "a", 1, "b");
	int n = 0, r;

	ck_assert_ptr_nonnull(json);
	json_set_alloc_funcs(failing_malloc, free);
	do {
		struct buf buf;
		buf_init(&buf, 100);
		allocations_left = n++;
		r = json_write(json, &buf);
		ck_assert(r == 0 || r == -ENOMEM);
		ck_assert_uint_eq(buf_len(&buf), r == 0 ? strlen("{\"a\":[1,\"b\",{}]}") : 0);
		buf_done(&buf);
	} while (r < 0);
	json_set_alloc_funcs(malloc, free);
}
END_TEST

static const char *const round_trips[] = {
	"{\"a\":[1,-2,true,false,null,\"x\"],\"b\":{\"c\":\"d\"}}",
	"[]",
	"null",
	"-9007199254740991",
	"0.5",
	"\"\\u0001\\b\\f\\n\\r\\t\\\"\\\\\xe2\x82\xac\xf0\x9f\x98\x80\"",
};

START_TEST(test_json_write_gives_back_what_was_parsed)
{
	char why[JSON_WHY_SIZE];
	auto_json json_t *json = NULL;
	struct buf buf;

	buf_init(&buf, 1000);
	ck_assert_int_eq(json_parse(view_of(round_trips[_i]), &json, why), 0);
	ck_assert_int_eq(json_write(json, &buf), 0);
	ck_assert_msg(view_is_equal(buf_view(&buf), view_of(round_trips[_i])), "%.*s",
		(int)buf_len(&buf), buf_view(&buf).data);
	buf_done(&buf);
}
END_TEST

START_TEST(test_json_write_is_whole_or_nothing_at_every_limit)
{
	static const char expected[] = ">{\"a\":[1,\"b\"]}";
	auto_json json_t *json = json_pack("{s:[i,s]}", "a", 1, "b");

	ck_assert_ptr_nonnull(json);
	for (size_t limit = 1; limit < sizeof(expected); limit++) {
		bool is_enough = limit == sizeof(expected) - 1;
		struct buf buf;
		buf_init(&buf, limit);
		ck_assert_int_eq(buf_append(&buf, ">", 1), 0);
		ck_assert_int_eq(json_write(json, &buf), is_enough ? 0 : -EMSGSIZE);
		ck_assert(view_is_equal(buf_view(&buf), view_of(is_enough ? expected : ">")));
		buf_done(&buf);
	}
}
END_TEST

/* Whatever bytes are written as a JSON string, our own reader takes them. */
START_TEST(test_json_reads_every_string_that_buf_writes)
{
	for (unsigned first = 0; first < 256; first++) {
		char data[] = {'a', (char)first, '\x80', 'b'};
		struct buf buf;
		buf_init(&buf, 100);
		ck_assert_int_eq(buf_append_json_string(&buf, data, sizeof(data)), 0);
		check_taken(buf_view(&buf));
		buf_done(&buf);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("json");
	TCase *tcase = tcase_create("json");

	tcase_add_loop_test(tcase, test_json_judges_every_text, 0, (int)ARRAY_SIZE(texts));
	tcase_add_test(tcase, test_json_takes_no_bytes_at_all_for_empty_text);
	tcase_add_test(tcase, test_json_reads_no_byte_behind_its_view);
	tcase_add_test(tcase, test_json_takes_32_levels_and_refuses_33);
	tcase_add_test(tcase, test_json_megabyte_of_brackets_is_refused_at_the_33rd);
	tcase_add_test(tcase, test_json_takes_a_key_of_256_bytes_and_refuses_257);
	tcase_add_test(tcase, test_json_reason_is_utf8_also_where_it_cuts_a_key);
	tcase_add_loop_test(
		tcase, test_json_no_memory_at_any_allocation_refuses_and_leaks_nothing, 0, 2);
	tcase_add_test(tcase, test_json_write_no_memory_appends_nothing);
	tcase_add_loop_test(
		tcase, test_json_write_gives_back_what_was_parsed, 0, (int)ARRAY_SIZE(round_trips));
	tcase_add_test(tcase, test_json_write_is_whole_or_nothing_at_every_limit);
	tcase_add_test(tcase, test_json_reads_every_string_that_buf_writes);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
