/* check_buf: the byte queue: limit, compaction, whole-or-nothing, JSON strings. */
#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/*
 * One test asks for more memory than there is; the sanitizer shall answer NULL as malloc(3)
 * does.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void check_text(const struct buf *buf, const char *expected)
{
	struct view view = buf_view(buf);

	ck_assert_uint_eq(view.len, strlen(expected));
	if (view.len > 0)
		ck_assert_mem_eq(view.data, expected, view.len);
	ck_assert_uint_le(buf->head, buf->tail);
	ck_assert_uint_le(buf->tail, buf->cap);
	ck_assert_uint_le(buf->cap, buf->limit);
}

START_TEST(test_view_of_null_is_empty)
{
	ck_assert_uint_eq(view_of(NULL).len, 0);
	ck_assert_uint_eq(view_of("abc").len, 3);
}
END_TEST

START_TEST(test_view_equal_compares_length_and_bytes)
{
	ck_assert(view_is_equal(VIEW_LIT("a\0b"), VIEW_LIT("a\0b")));
	ck_assert(!view_is_equal(VIEW_LIT("a\0b"), VIEW_LIT("a\0c")));
	ck_assert(!view_is_equal(VIEW_LIT("a"), VIEW_LIT("ab")));
	ck_assert(view_is_equal(view_of(NULL), VIEW_LIT("")));
}
END_TEST

START_TEST(test_buf_empty_holds_no_memory)
{
	struct buf buf;

	buf_init(&buf, 100);
	ck_assert_uint_eq(buf_len(&buf), 0);
	ck_assert_ptr_null(buf_view(&buf).data);
	ck_assert_int_eq(buf_append(&buf, NULL, 0), 0);
	ck_assert_ptr_null(buf.data);
	buf_done(&buf);
}
END_TEST

START_TEST(test_buf_takes_exactly_its_limit)
{
	struct buf buf;

	buf_init(&buf, 5);
	ck_assert_int_eq(buf_append(&buf, "abc", 3), 0);
	ck_assert_int_eq(buf_append(&buf, "def", 3), -EMSGSIZE);
	check_text(&buf, "abc");
	ck_assert_int_eq(buf_append(&buf, "de", 2), 0);
	ck_assert_int_eq(buf_append(&buf, "f", 1), -EMSGSIZE);
	check_text(&buf, "abcde");
	buf_done(&buf);
}
END_TEST

START_TEST(test_buf_uses_the_room_of_consumed_bytes_at_the_limit)
{
	struct buf buf;

	buf_init(&buf, 6);
	ck_assert_int_eq(buf_append(&buf, "abcdef", 6), 0);
	buf_consume(&buf, 2);
	ck_assert_int_eq(buf_append(&buf, "gh", 2), 0);
	check_text(&buf, "cdefgh");
	ck_assert_int_eq(buf_append(&buf, "i", 1), -EMSGSIZE);
	buf_done(&buf);
}
END_TEST

START_TEST(test_buf_moves_instead_of_growing_when_half_is_used_up)
{
	char block[256];
	struct buf buf;

	memset(block, 'x', sizeof(block));
	buf_init(&buf, 1 << 20);
	/* Never more than 100 wait: a queue through which megabytes pass stays small. */
	for (int i = 0; i < 10000; i++) {
		ck_assert_int_eq(buf_append(&buf, block, 100), 0);
		buf_consume(&buf, i == 0 ? 50 : 100);
	}
	ck_assert_uint_eq(buf_len(&buf), 50);
	ck_assert_uint_le(buf.cap, 512);
	buf_done(&buf);
}
END_TEST

START_TEST(test_buf_reserve_shows_all_room_up_to_the_limit)
{
	struct buf buf;
	char *data;
	size_t room;

	buf_init(&buf, 300);
	ck_assert_int_eq(buf_reserve(&buf, 299, &data, &room), 0);
	ck_assert_uint_ge(room, 299);
	ck_assert_uint_le(room, 300);
	memset(data, 'a', room);
	buf_commit(&buf, room);
	ck_assert_int_eq(buf_reserve(&buf, 301 - room, &data, &room), -EMSGSIZE);
	buf_done(&buf);
}
END_TEST

START_TEST(test_buf_reserve_refusal_leaves_outputs_alone)
{
	struct buf buf;
	char *data = (char *)&buf;
	size_t room = 77;

	buf_init(&buf, 10);
	ck_assert_int_eq(buf_reserve(&buf, 11, &data, &room), -EMSGSIZE);
	ck_assert_int_eq(buf_reserve(&buf, SIZE_MAX, &data, &room), -EMSGSIZE);
	ck_assert_ptr_eq(data, (char *)&buf);
	ck_assert_uint_eq(room, 77);
	buf_done(&buf);
}
END_TEST

START_TEST(test_buf_no_memory_changes_nothing)
{
	struct buf buf;
	char *data;
	size_t room;

	buf_init(&buf, SIZE_MAX);
	ck_assert_int_eq(buf_append(&buf, "abc", 3), 0);
	ck_assert_int_eq(buf_reserve(&buf, SIZE_MAX / 2, &data, &room), -ENOMEM);
	ck_assert_int_eq(buf_reserve(&buf, SIZE_MAX - 3, &data, &room), -ENOMEM);
	check_text(&buf, "abc");
	ck_assert_int_eq(buf_append(&buf, "d", 1), 0);
	check_text(&buf, "abcd");
	buf_done(&buf);
}
END_TEST

START_TEST(test_buf_truncate_takes_back_only_what_is_behind)
{
	struct buf buf;

	buf_init(&buf, 100);
	ck_assert_int_eq(buf_append(&buf, "abcdef", 6), 0);
	buf_consume(&buf, 2);
	buf_truncate(&buf, 9);
	check_text(&buf, "cdef");
	buf_truncate(&buf, 1);
	check_text(&buf, "c");
	buf_truncate(&buf, 0);
	check_text(&buf, "");
	buf_done(&buf);
}
END_TEST

START_TEST(test_buf_release_keeps_what_waits)
{
	struct buf buf;

	buf_init(&buf, 100);
	ck_assert_int_eq(buf_append(&buf, "ab", 2), 0);
	buf_release(&buf);
	check_text(&buf, "ab");
	buf_consume(&buf, 2);
	buf_release(&buf);
	ck_assert_ptr_null(buf.data);
	ck_assert_uint_eq(buf.limit, 100);
	ck_assert_int_eq(buf_append(&buf, "cd", 2), 0);
	check_text(&buf, "cd");
	buf_done(&buf);
}
END_TEST

START_TEST(test_buf_i64_is_decimal_up_to_both_ends)
{
	struct buf buf;

	buf_init(&buf, 52);
	ck_assert_int_eq(buf_append_i64(&buf, 0), 0);
	ck_assert_int_eq(buf_append_i64(&buf, -1), 0);
	ck_assert_int_eq(buf_append_i64(&buf, 1999), 0);
	ck_assert_int_eq(buf_append_i64(&buf, INT64_MAX), 0);
	ck_assert_int_eq(buf_append_i64(&buf, INT64_MIN), 0);
	check_text(&buf, "0-119999223372036854775807-9223372036854775808");
	ck_assert_int_eq(buf_append_i64(&buf, -1234567), -EMSGSIZE);
	check_text(&buf, "0-119999223372036854775807-9223372036854775808");
	buf_done(&buf);
}
END_TEST

START_TEST(test_buf_printf_fills_the_limit_to_the_last_byte)
{
	struct buf buf;

	buf_init(&buf, 8);
	ck_assert_int_eq(buf_printf(&buf, "%s", ""), 0);
	ck_assert_int_eq(buf_printf(&buf, "%d:%s", 42, "abcde"), 0);
	check_text(&buf, "42:abcde");
	ck_assert_int_eq(buf_printf(&buf, "%c", 'x'), -EMSGSIZE);
	ck_assert_int_eq(buf_printf(&buf, "%s", ""), 0);
	check_text(&buf, "42:abcde");
	buf_done(&buf);
}
END_TEST

START_TEST(test_buf_printf_grows_for_long_text)
{
	char text[2000];
	struct buf buf;

	memset(text, 'y', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	buf_init(&buf, 10000);
	ck_assert_int_eq(buf_printf(&buf, "<"), 0);
	ck_assert_int_eq(buf_printf(&buf, "%s>", text), 0);
	ck_assert_uint_eq(buf_len(&buf), sizeof(text) + 1);
	ck_assert_mem_eq(buf_view(&buf).data, "<yyy", 4);
	ck_assert_mem_eq(buf_view(&buf).data + sizeof(text) - 1, "y>", 2);
	buf_done(&buf);
}
END_TEST

static const struct {
	const char *data;
	size_t len;
	const char *expected;
} json_strings[] = {
#define ROW(in, out)                                                                               \
	{                                                                                          \
		in, sizeof(in) - 1, out                                                            \
	}
	ROW("", "\"\""),
	ROW("plain text", "\"plain text\""),
	ROW("\"\\/", "\"\\\"\\\\/\""),
	ROW("\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""),
	ROW("\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\""),
	ROW("a\0b", "\"a\xef\xbf\xbd"
		    "b\""),
	ROW("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""),
	ROW("\xff", "\"\xef\xbf\xbd\""),
	ROW("\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""),
	ROW("x\xe2\x82", "\"x\xef\xbf\xbd\xef\xbf\xbd\""),
	ROW("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""),
	ROW("\xf4\x90\x80\x80y", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdy\""),
#undef ROW
};

START_TEST(test_buf_json_string_escapes_every_row)
{
	struct buf buf;

	buf_init(&buf, 1000);
	ck_assert_int_eq(
		buf_append_json_string(&buf, json_strings[_i].data, json_strings[_i].len), 0);
	check_text(&buf, json_strings[_i].expected);
	buf_done(&buf);
}
END_TEST

/* At every limit that is too small nothing is appended; at the first that is enough, all. */
/* Several bytes are looked at together: none may hide another one, wherever it stands. */
START_TEST(test_buf_json_string_escapes_every_byte_at_every_place)
{
	const char plain[] = " !#[]~\x7f"
			     "azAZ09/:;<=";
	const size_t len = sizeof(plain) - 1;
	struct buf alone, whole, expected;

	buf_init(&alone, 1000);
	buf_init(&whole, 1000);
	buf_init(&expected, 1000);
	for (unsigned byte = 0; byte < 256; byte++) {
		const char c = (char)byte;

		buf_truncate(&alone, 0);
		ck_assert_int_eq(buf_append_json_string(&alone, &c, 1), 0);
		for (size_t at = 0; at < len; at++) {
			char text[sizeof(plain)];

			memcpy(text, plain, sizeof(plain));
			text[at] = c;
			buf_truncate(&whole, 0);
			ck_assert_int_eq(buf_append_json_string(&whole, text, len), 0);
			buf_truncate(&expected, 0);
			ck_assert_int_eq(buf_printf(&expected, "\"%.*s%.*s%.*s\"", (int)at, plain,
						 (int)buf_len(&alone) - 2, alone.data + 1,
						 (int)(len - at - 1), plain + at + 1),
				0);
			ck_assert_msg(view_is_equal(buf_view(&whole), buf_view(&expected)),
				"byte %u at %zu: %.*s", byte, at, (int)buf_len(&whole), whole.data);
		}
	}
	buf_done(&alone);
	buf_done(&whole);
	buf_done(&expected);
}
END_TEST

START_TEST(test_buf_json_string_is_whole_or_nothing_at_every_limit)
{
	static const char text[] = "a\n\xff\x01z";
	static const char expected[] = ">\"a\\n\xef\xbf\xbd\\u0001z\"";

	for (size_t limit = 1; limit < sizeof(expected); limit++) {
		bool is_enough = limit >= sizeof(expected) - 1;
		struct buf buf;
		buf_init(&buf, limit);
		ck_assert_int_eq(buf_append(&buf, ">", 1), 0);
		ck_assert_int_eq(buf_append_json_string(&buf, text, sizeof(text) - 1),
			is_enough ? 0 : -EMSGSIZE);
		check_text(&buf, is_enough ? expected : ">");
		buf_done(&buf);
	}
}
END_TEST

/* Random appends and consumes against one long array. */
START_TEST(test_buf_agrees_with_a_plain_array_for_random_commands)
{
	static char model[1 << 20];
	size_t head = 0, tail = 0;
	uint32_t state = 99;
	struct buf buf;

	buf_init(&buf, 3000);
	while (tail < sizeof(model) - 1000) {
		state = state * 1664525u + 1013904223u;
		size_t n = (state >> 8) % 1000;
		if (state >> 31) {
			for (size_t i = 0; i < n; i++)
				model[tail + i] = (char)(tail + i + n);
			int r = buf_append(&buf, model + tail, n);
			ck_assert_int_eq(r, tail - head + n > 3000 ? -EMSGSIZE : 0);
			tail += r == 0 ? n : 0;
		} else {
			n = n > tail - head ? tail - head : n;
			buf_consume(&buf, n);
			head += n;
		}
		ck_assert_uint_eq(buf_len(&buf), tail - head);
		if (tail > head)
			ck_assert_mem_eq(buf_view(&buf).data, model + head, tail - head);
		ck_assert_uint_le(buf.cap, buf.limit);
	}
	buf_done(&buf);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("buf");
	TCase *tcase = tcase_create("buf");

	tcase_add_test(tcase, test_view_of_null_is_empty);
	tcase_add_test(tcase, test_view_equal_compares_length_and_bytes);
	tcase_add_test(tcase, test_buf_empty_holds_no_memory);
	tcase_add_test(tcase, test_buf_takes_exactly_its_limit);
	tcase_add_test(tcase, test_buf_uses_the_room_of_consumed_bytes_at_the_limit);
	tcase_add_test(tcase, test_buf_moves_instead_of_growing_when_half_is_used_up);
	tcase_add_test(tcase, test_buf_reserve_shows_all_room_up_to_the_limit);
	tcase_add_test(tcase, test_buf_reserve_refusal_leaves_outputs_alone);
	tcase_add_test(tcase, test_buf_no_memory_changes_nothing);
	tcase_add_test(tcase, test_buf_truncate_takes_back_only_what_is_behind);
	tcase_add_test(tcase, test_buf_release_keeps_what_waits);
	tcase_add_test(tcase, test_buf_i64_is_decimal_up_to_both_ends);
	tcase_add_test(tcase, test_buf_printf_fills_the_limit_to_the_last_byte);
	tcase_add_test(tcase, test_buf_printf_grows_for_long_text);
	tcase_add_loop_test(
		tcase, test_buf_json_string_escapes_every_row, 0, (int)ARRAY_SIZE(json_strings));
	tcase_add_test(tcase, test_buf_json_string_escapes_every_byte_at_every_place);
	tcase_add_test(tcase, test_buf_json_string_is_whole_or_nothing_at_every_limit);
	tcase_add_test(tcase, test_buf_agrees_with_a_plain_array_for_random_commands);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
