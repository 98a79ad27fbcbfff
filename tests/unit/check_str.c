/* check_str: every parser's whole table, UTF-8, words. */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define UNTOUCHED UINT64_C(77)

struct number_row {
	const char *text;
	int r;
	uint64_t value;
};

static const struct number_row u64_rows[] = {
	{"0", 0, 0},
	{"1", 0, 1},
	{"007", 0, 7},
	{"18446744073709551615", 0, UINT64_MAX},
	{"18446744073709551616", -ERANGE, 0},
	{"99999999999999999999999", -ERANGE, 0},
	{"", -EINVAL, 0},
	{" 1", -EINVAL, 0},
	{"1 ", -EINVAL, 0},
	{"1\n", -EINVAL, 0},
	{"+1", -EINVAL, 0},
	{"-1", -EINVAL, 0},
	{"0x10", -EINVAL, 0},
	{"1e3", -EINVAL, 0},
	{"1.0", -EINVAL, 0},
	{"a", -EINVAL, 0},
};

START_TEST(test_str_u64_reads_every_row)
{
	const struct number_row *row = &u64_rows[_i];
	uint64_t value = UNTOUCHED;

	ck_assert_int_eq(str_to_u64(row->text, &value), row->r);
	ck_assert_uint_eq(value, row->r == 0 ? row->value : UNTOUCHED);
}
END_TEST

START_TEST(test_str_u64_prints_what_it_reads)
{
	const struct number_row *row = &u64_rows[_i];
	char text[STR_U64_SIZE], expected[32];
	uint64_t value;

	if (row->r < 0)
		return;
	(void)snprintf(expected, sizeof(expected), "%" PRIu64, row->value);
	ck_assert_uint_eq(str_from_u64(row->value, text), strlen(expected));
	ck_assert_str_eq(text, expected);
	ck_assert_int_eq(str_to_u64(text, &value), 0);
	ck_assert_uint_eq(value, row->value);
}
END_TEST

static const struct {
	const char *text;
	int r;
	int64_t value;
} i64_rows[] = {
	{"0", 0, 0},
	{"-0", 0, 0},
	{"-1", 0, -1},
	{"9223372036854775807", 0, INT64_MAX},
	{"9223372036854775808", -ERANGE, 0},
	{"-9223372036854775808", 0, INT64_MIN},
	{"-9223372036854775809", -ERANGE, 0},
	{"", -EINVAL, 0},
	{"-", -EINVAL, 0},
	{"--1", -EINVAL, 0},
	{"+1", -EINVAL, 0},
	{"- 1", -EINVAL, 0},
	{"1-", -EINVAL, 0},
};

START_TEST(test_str_i64_reads_every_row)
{
	int64_t value = 77;

	ck_assert_int_eq(str_to_i64(i64_rows[_i].text, &value), i64_rows[_i].r);
	ck_assert_int_eq(value, i64_rows[_i].r == 0 ? i64_rows[_i].value : 77);
}
END_TEST

static const struct number_row bytes_rows[] = {
	{"0", 0, 0},
	{"65536", 0, 65536},
	{"64K", 0, 65536},
	{"1M", 0, 1048576},
	{"2G", 0, UINT64_C(2147483648)},
	{"1T", 0, UINT64_C(1099511627776)},
	{"16777215T", 0, UINT64_C(16777215) << 40},
	{"16777216T", -ERANGE, 0},
	{"18446744073709551616", -ERANGE, 0},
	{"", -EINVAL, 0},
	{"K", -EINVAL, 0},
	{"64KB", -EINVAL, 0},
	{"64 K", -EINVAL, 0},
	{"64k", -EINVAL, 0},
	{"1.5M", -EINVAL, 0},
	{"-1K", -EINVAL, 0},
};

START_TEST(test_str_bytes_reads_every_row)
{
	const struct number_row *row = &bytes_rows[_i];
	uint64_t value = UNTOUCHED;

	ck_assert_int_eq(str_to_bytes(row->text, &value), row->r);
	ck_assert_uint_eq(value, row->r == 0 ? row->value : UNTOUCHED);
}
END_TEST

static const struct number_row us_rows[] = {
	{"0", 0, 0},
	{"0s", 0, 0},
	{"10", 0, 10000000},
	{"1us", 0, 1},
	{"500ms", 0, 500000},
	{"10s", 0, 10000000},
	{"5min", 0, 300000000},
	{"2h", 0, UINT64_C(7200000000)},
	{"1d", 0, UINT64_C(86400000000)},
	{"1.5s", 0, 1500000},
	{"0.25", 0, 250000},
	{"1.050ms", 0, 1050},
	{"0.000001s", 0, 1},
	{"0.000001d", 0, 86400},
	{"0.0000001s", -EINVAL, 0},
	{"0.0001ms", -EINVAL, 0},
	{"0.5us", -EINVAL, 0},
	{"18446744073709551615us", 0, UINT64_MAX},
	{"18446744073709551616us", -ERANGE, 0},
	{"213503982d", 0, UINT64_C(213503982) * UINT64_C(86400000000)},
	{"213503983d", -ERANGE, 0},
	{"18446744073709.551615s", 0, UINT64_MAX},
	{"18446744073709.551616s", -ERANGE, 0},
	{"", -EINVAL, 0},
	{"s", -EINVAL, 0},
	{".5s", -EINVAL, 0},
	{"1.s", -EINVAL, 0},
	{"1.", -EINVAL, 0},
	{"1..5s", -EINVAL, 0},
	{"1m", -EINVAL, 0},
	{"1S", -EINVAL, 0},
	{"1 s", -EINVAL, 0},
	{"1s ", -EINVAL, 0},
	{"1h30min", -EINVAL, 0},
	{"-1s", -EINVAL, 0},
	{"infinity", -EINVAL, 0},
};

START_TEST(test_str_duration_reads_every_row)
{
	const struct number_row *row = &us_rows[_i];
	uint64_t value = UNTOUCHED;

	ck_assert_int_eq(str_to_us(row->text, &value), row->r);
	ck_assert_uint_eq(value, row->r == 0 ? row->value : UNTOUCHED);
}
END_TEST

static const struct number_row us_texts[] = {
	{"0s", 0, 0},
	{"1us", 0, 1},
	{"500ms", 0, 500000},
	{"1500ms", 0, 1500000},
	{"10s", 0, 10000000},
	{"90s", 0, 90000000},
	{"5min", 0, 300000000},
	{"2h", 0, UINT64_C(7200000000)},
	{"36h", 0, UINT64_C(129600000000)},
	{"1d", 0, UINT64_C(86400000000)},
	{"18446744073709551615us", 0, UINT64_MAX},
};

START_TEST(test_str_duration_prints_the_shortest_exact_form_and_reads_it_back)
{
	char text[STR_DURATION_MAX];
	uint64_t back;

	ck_assert_str_eq(str_from_us(us_texts[_i].value, text), us_texts[_i].text);
	ck_assert_int_eq(str_to_us(text, &back), 0);
	ck_assert_uint_eq(back, us_texts[_i].value);
}
END_TEST

static const struct number_row byte_texts[] = {
	{"0", 0, 0},
	{"1", 0, 1},
	{"1023", 0, 1023},
	{"1K", 0, 1024},
	{"1025", 0, 1025},
	{"64K", 0, 65536},
	{"1536K", 0, 1572864},
	{"2G", 0, UINT64_C(2147483648)},
	{"3T", 0, UINT64_C(3298534883328)},
	{"18446744073709551615", 0, UINT64_MAX},
};

START_TEST(test_str_bytes_prints_the_shortest_exact_form_and_reads_it_back)
{
	char text[STR_DURATION_MAX];
	uint64_t back;

	ck_assert_str_eq(str_from_bytes(byte_texts[_i].value, text), byte_texts[_i].text);
	ck_assert_int_eq(str_to_bytes(text, &back), 0);
	ck_assert_uint_eq(back, byte_texts[_i].value);
}
END_TEST

static const struct {
	const char *text;
	int r;
	bool value;
} bool_rows[] = {
	{"yes", 0, true},
	{"true", 0, true},
	{"on", 0, true},
	{"1", 0, true},
	{"YES", 0, true},
	{"no", 0, false},
	{"false", 0, false},
	{"off", 0, false},
	{"0", 0, false},
	{"False", 0, false},
	{"", -EINVAL, false},
	{"y", -EINVAL, false},
	{"2", -EINVAL, false},
	{"yes ", -EINVAL, false},
	{"truely", -EINVAL, false},
};

START_TEST(test_str_bool_reads_every_row)
{
	bool value = !bool_rows[_i].value;

	ck_assert_int_eq(str_to_bool(bool_rows[_i].text, &value), bool_rows[_i].r);
	ck_assert(value == (bool_rows[_i].r == 0 ? bool_rows[_i].value : !bool_rows[_i].value));
}
END_TEST

static const struct {
	struct view text;
	bool is_utf8;
} utf8_rows[] = {
	{{NULL, 0}, true},
	{{"a\0b", 3}, true},
	{{"\x7f", 1}, true},
	{{"\xc2\x80", 2}, true},
	{{"\xdf\xbf", 2}, true},
	{{"\xe0\xa0\x80", 3}, true},
	{{"\xed\x9f\xbf", 3}, true},
	{{"\xee\x80\x80", 3}, true},
	{{"\xef\xbf\xbf", 3}, true},
	{{"\xf0\x90\x80\x80", 4}, true},
	{{"\xf4\x8f\xbf\xbf", 4}, true},
	{{"\x80", 1}, false},
	{{"\xbf", 1}, false},
	{{"\xc0\x80", 2}, false},
	{{"\xc1\xbf", 2}, false},
	{{"\xc2", 1}, false},
	{{"\xc2\x7f", 2}, false},
	{{"\xc2\xc0", 2}, false},
	{{"\xe0\x9f\xbf", 3}, false},
	{{"\xe2\x82", 2}, false},
	{{"\xe2\x82\x28", 3}, false},
	{{"\xed\xa0\x80", 3}, false},
	{{"\xed\xbf\xbf", 3}, false},
	{{"\xf0\x8f\xbf\xbf", 4}, false},
	{{"\xf0\x9f\x98", 3}, false},
	{{"\xf4\x90\x80\x80", 4}, false},
	{{"\xf5\x80\x80\x80", 4}, false},
	{{"\xff", 1}, false},
};

START_TEST(test_str_utf8_judges_every_row)
{
	ck_assert(str_is_utf8(utf8_rows[_i].text) == utf8_rows[_i].is_utf8);
}
END_TEST

/* The look at many bytes at once must not overlook one of them, wherever it is. */
START_TEST(test_str_utf8_finds_a_bad_byte_at_every_place)
{
	for (size_t len = 1; len <= 80; len++) {
		for (size_t at = 0; at < len; at++) {
			char text[80];
			memset(text, 'a', len);
			ck_assert(str_is_utf8((struct view){text, len}));
			text[at] = '\xff';
			ck_assert(!str_is_utf8((struct view){text, len}));
		}
	}
}
END_TEST

START_TEST(test_str_make_safe_keeps_characters_and_replaces_the_rest)
{
	char text[] = "a\n\xe2\x82\xac\x01\xff\x7f\xe2\x82";

	str_make_safe(text);
	ck_assert_str_eq(text, "a?\xe2\x82\xac?????");
}
END_TEST

static const struct {
	const char *text;
	int r; /* of the last call */
	const char *words[4];
} word_rows[] = {
	{"", -ENOENT, {NULL}},
	{" \t\n", -ENOENT, {NULL}},
	{"one", -ENOENT, {"one"}},
	{"  /bin/echo  -n\tx ", -ENOENT, {"/bin/echo", "-n", "x"}},
	{"'a b' c", -ENOENT, {"a b", "c"}},
	{"\"a b\"c'd e'f", -ENOENT, {"a bcd ef"}},
	{"'' \"\"", -ENOENT, {"", ""}},
	{"a\\ b \\'c \\\\", -ENOENT, {"a b", "'c", "\\"}},
	{"\"a\\\"b\\\\c\\n\"", -ENOENT, {"a\"b\\c\\n"}},
	{"'a\\b'", -ENOENT, {"a\\b"}},
	{"'a\"b' \"c'd\"", -ENOENT, {"a\"b", "c'd"}},
	{"ok 'open", -EINVAL, {"ok"}},
	{"ok \"open", -EINVAL, {"ok"}},
	{"ok \"open\\\"", -EINVAL, {"ok"}},
	{"ok end\\", -EINVAL, {"ok"}},
	{"ok \"end\\", -EINVAL, {"ok"}},
};

START_TEST(test_str_words_are_parted_and_unquoted_in_every_row)
{
	const char *rest = word_rows[_i].text;

	for (size_t i = 0; word_rows[_i].words[i]; i++) {
		auto_free char *word = NULL;
		ck_assert_int_eq(str_next_word(&rest, &word), 0);
		ck_assert_str_eq(word, word_rows[_i].words[i]);
	}
	const char *before = rest;
	char *word = (char *)&before;
	ck_assert_int_eq(str_next_word(&rest, &word), word_rows[_i].r);
	ck_assert_ptr_eq(rest, before);
	ck_assert_ptr_eq(word, (char *)&before);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("str");
	TCase *tcase = tcase_create("str");

	tcase_add_loop_test(tcase, test_str_u64_reads_every_row, 0, (int)ARRAY_SIZE(u64_rows));
	tcase_add_loop_test(tcase, test_str_u64_prints_what_it_reads, 0, (int)ARRAY_SIZE(u64_rows));
	tcase_add_loop_test(tcase, test_str_i64_reads_every_row, 0, (int)ARRAY_SIZE(i64_rows));
	tcase_add_loop_test(tcase, test_str_bytes_reads_every_row, 0, (int)ARRAY_SIZE(bytes_rows));
	tcase_add_loop_test(tcase, test_str_duration_reads_every_row, 0, (int)ARRAY_SIZE(us_rows));
	tcase_add_loop_test(tcase,
		test_str_duration_prints_the_shortest_exact_form_and_reads_it_back, 0,
		(int)ARRAY_SIZE(us_texts));
	tcase_add_loop_test(tcase, test_str_bytes_prints_the_shortest_exact_form_and_reads_it_back,
		0, (int)ARRAY_SIZE(byte_texts));
	tcase_add_loop_test(tcase, test_str_bool_reads_every_row, 0, (int)ARRAY_SIZE(bool_rows));
	tcase_add_loop_test(tcase, test_str_utf8_judges_every_row, 0, (int)ARRAY_SIZE(utf8_rows));
	tcase_add_test(tcase, test_str_utf8_finds_a_bad_byte_at_every_place);
	tcase_add_test(tcase, test_str_make_safe_keeps_characters_and_replaces_the_rest);
	tcase_add_loop_test(tcase, test_str_words_are_parted_and_unquoted_in_every_row, 0,
		(int)ARRAY_SIZE(word_rows));
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
