/*
 * check_utf8: output as text: every character and every broken piece of one, cut everywhere.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "host/utf8.h"

#define BAD "\xef\xbf\xbd"

static struct buf text;

static void start(void)
{
	buf_init(&text, 64);
}

static void stop(void)
{
	buf_done(&text);
}

/* One that begins with each kind of first byte, at the bounds of the second. */
static const char *const characters[] = {"a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
	"\xe1\x80\x80", "\xed\x80\x80", "\xed\x9f\xbf", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
	"\xf1\x80\x80\x80", "\xf4\x80\x80\x80", "\xf4\x8f\xbf\xbf"};

START_TEST(test_utf8_whole_leaves_out_what_has_only_begun)
{
	for (size_t i = 0; i < ARRAY_SIZE(characters); i++) {
		size_t len = strlen(characters[i]);
		char bytes[16] = "xy";
		memcpy(bytes + 2, characters[i], len);
		for (size_t cut = 1; cut < len; cut++)
			ck_assert_uint_eq(utf8_whole((struct view){bytes, 2 + cut}), 2);
		ck_assert_uint_eq(utf8_whole((struct view){bytes, 2 + len}), 2 + len);
	}
	ck_assert_uint_eq(utf8_whole((struct view){NULL, 0}), 0);
}
END_TEST

START_TEST(test_utf8_whole_keeps_what_can_never_be_a_character)
{
	static const char *const rows[] = {"\x80", "\xff", "\xc0", "\xc1\x80", "\xf5\x80",
		"\xe0\x80", "\xe0\x9f", "\xed\xa0", "\xf0\x80", "\xf0\x8f\x80", "\xf4\x90",
		"\xf4\x90\x80", "\xc3\xa9\xa9", "\xf0\x90\x80\x80\x80"};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ck_assert_msg(utf8_whole(view_of(rows[i])) == strlen(rows[i]), "row %zu", i);
}
END_TEST

START_TEST(test_utf8_clean_replaces_each_byte_that_is_none)
{
	static const struct {
		struct view bytes;
		const char *text;
	} rows[] = {
		{VIEW_LIT(""), ""},
		{VIEW_LIT("plain \n\t\x01"), "plain \n\t\x01"},
		{VIEW_LIT("a\0b"), "a" BAD "b"},
		{VIEW_LIT("a\xff\xc3\xa9"), "a" BAD "\xc3\xa9"},
		{VIEW_LIT("\xc0\x80"), BAD BAD},
		{VIEW_LIT("\xe2\x82x"), BAD BAD "x"},
		{VIEW_LIT("\xf0\x9f\x98\x80\xf0\x9f"), "\xf0\x9f\x98\x80" BAD BAD},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		buf_truncate(&text, 0);
		ck_assert_uint_eq(utf8_clean(rows[i].bytes, &text), rows[i].bytes.len);
		ck_assert_msg(view_is_equal(buf_view(&text), view_of(rows[i].text)), "row %zu", i);
	}
}
END_TEST

/* With less room than text: whole characters, and the rest is taken the next time. */
START_TEST(test_utf8_clean_goes_on_where_the_room_ended)
{
	static const char bytes[] = "ab\xc3\xa9\xff\xf0\x9f\x98\x80z\x80\xe2\x82\xac";
	static const char whole[] = "ab\xc3\xa9" BAD "\xf0\x9f\x98\x80z" BAD "\xe2\x82\xac";

	for (size_t limit = 4; limit < sizeof(whole); limit++) {
		char got[64] = "";
		for (size_t at = 0; at < sizeof(bytes) - 1;) {
			struct buf part;
			buf_init(&part, limit);
			size_t n = utf8_clean(
				(struct view){bytes + at, sizeof(bytes) - 1 - at}, &part);
			ck_assert_uint_gt(n, 0);
			ck_assert(str_is_utf8(buf_view(&part)));
			strncat(got, buf_view(&part).data, buf_len(&part));
			at += n;
			buf_done(&part);
		}
		ck_assert_str_eq(got, whole);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("utf8");
	TCase *tcase = tcase_create("utf8");

	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_test(tcase, test_utf8_whole_leaves_out_what_has_only_begun);
	tcase_add_test(tcase, test_utf8_whole_keeps_what_can_never_be_a_character);
	tcase_add_test(tcase, test_utf8_clean_replaces_each_byte_that_is_none);
	tcase_add_test(tcase, test_utf8_clean_goes_on_where_the_room_ended);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
