/* check_frame: where messages end, at every split, in both modes, at the limit. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/frame.h"

#define LIMIT 16

static struct frame frame;
static struct buf in;

static void start(void)
{
	frame_init(&frame, LIMIT);
	buf_init(&in, 1000);
}

static void stop(void)
{
	buf_done(&in);
}

static void feed(struct view text)
{
	ck_assert_int_eq(buf_append(&in, text.data, text.len), 0);
}

static void check_next(struct view expected)
{
	struct view message;

	ck_assert_int_eq(frame_next(&frame, &in, &message), 0);
	ck_assert_uint_eq(message.len, expected.len);
	ck_assert(view_is_equal(message, expected));
}

static void check_next_is(int expected)
{
	struct view untouched = VIEW_LIT("untouched"), message = untouched;

	ck_assert_int_eq(frame_next(&frame, &in, &message), expected);
	ck_assert_ptr_eq(message.data, untouched.data);
}

START_TEST(test_frame_nothing_is_not_a_message_yet)
{
	check_next_is(-EAGAIN);
	ck_assert_int_eq(frame.mode, FRAME_OPEN);
	ck_assert_int_eq(frame_terminator(&frame), '\0');
}
END_TEST

START_TEST(test_frame_nul_decides_and_newline_is_inside)
{
	feed(VIEW_LIT("{}\0{\n}\0\n\0"));
	check_next(VIEW_LIT("{}"));
	ck_assert_int_eq(frame_terminator(&frame), '\0');
	check_next(VIEW_LIT("{\n}"));
	check_next(VIEW_LIT("\n"));
	check_next_is(-EAGAIN);
}
END_TEST

START_TEST(test_frame_newline_decides_and_nul_is_malformed)
{
	feed(VIEW_LIT("{}\na\0b\n\0\nok\n"));
	check_next(VIEW_LIT("{}"));
	ck_assert_int_eq(frame_terminator(&frame), '\n');
	check_next_is(-EBADMSG);
	check_next_is(-EBADMSG);
	check_next(VIEW_LIT("ok"));
	check_next_is(-EAGAIN);
}
END_TEST

START_TEST(test_frame_nul_in_a_line_waits_for_the_lines_end)
{
	feed(VIEW_LIT("x\na\0b"));
	check_next(VIEW_LIT("x"));
	check_next_is(-EAGAIN);
	feed(VIEW_LIT("c\n"));
	check_next_is(-EBADMSG);
	check_next_is(-EAGAIN);
	ck_assert_uint_eq(buf_len(&in), 0);
}
END_TEST

START_TEST(test_frame_empty_lines_are_skipped_and_decide)
{
	feed(VIEW_LIT("\n\r\n\n{}\r\n\n"));
	check_next(VIEW_LIT("{}\r"));
	check_next_is(-EAGAIN);
	ck_assert_int_eq(frame.mode, FRAME_LINE);
	ck_assert_uint_eq(buf_len(&in), 0);
}
END_TEST

START_TEST(test_frame_empty_message_in_nul_mode_is_one)
{
	feed(VIEW_LIT("\0\0"));
	check_next(VIEW_LIT(""));
	check_next(VIEW_LIT(""));
	check_next_is(-EAGAIN);
	ck_assert_int_eq(frame.mode, FRAME_NUL);
}
END_TEST

START_TEST(test_frame_takes_a_message_of_exactly_the_limit)
{
	feed(VIEW_LIT("0123456789abcdef"));
	check_next_is(-EAGAIN);
	feed(VIEW_LIT("\0"));
	check_next(VIEW_LIT("0123456789abcdef"));
	feed(VIEW_LIT("0123456789abcdef\0"));
	check_next(VIEW_LIT("0123456789abcdef"));
}
END_TEST

START_TEST(test_frame_refuses_one_byte_more_without_a_terminator)
{
	feed(VIEW_LIT("0123456789abcdefg"));
	check_next_is(-EMSGSIZE);
	check_next_is(-EMSGSIZE);
	feed(VIEW_LIT("\0"));
	check_next_is(-EMSGSIZE);
}
END_TEST

START_TEST(test_frame_refuses_one_byte_more_with_a_terminator)
{
	feed(VIEW_LIT("{}\n0123456789abcdefg\n{}\n"));
	check_next(VIEW_LIT("{}"));
	check_next_is(-EMSGSIZE);
	check_next_is(-EMSGSIZE);
}
END_TEST

START_TEST(test_frame_does_not_look_twice_at_what_it_scanned)
{
	feed(VIEW_LIT("abc"));
	check_next_is(-EAGAIN);
	ck_assert_uint_eq(frame.scanned, 3);
	feed(VIEW_LIT("de"));
	check_next_is(-EAGAIN);
	ck_assert_uint_eq(frame.scanned, 5);
	feed(VIEW_LIT("\0fg"));
	check_next(VIEW_LIT("abcde"));
	ck_assert_uint_eq(frame.scanned, 0);
	check_next_is(-EAGAIN);
	ck_assert_uint_eq(frame.scanned, 2);
}
END_TEST

/* Writes what frame_next() says until it says -EAGAIN or the connection is lost: -1, else 0. */
static int drain(struct buf *out)
{
	struct view message;
	int r;

	while ((r = frame_next(&frame, &in, &message)) != -EAGAIN) {
		if (r == 0)
			ck_assert_int_eq(
				buf_printf(out, "<%.*s>", (int)message.len, message.data), 0);
		else
			ck_assert_int_eq(buf_printf(out, "<%d>", r), 0);
		if (r == -EMSGSIZE)
			return -1;
	}
	return 0;
}

static const struct {
	struct view input;
	const char *expected; /* BAD, LONG: the errors */
} streams[] = {
	{VIEW_LIT("a\0bc\0\ndef\n\0g"), "<a><bc><\ndef\n>"},
	{VIEW_LIT("a\n\r\n\nbc\r\n\0x\ndef\ng"), "<a><bc\r><BAD><def>"},
	{VIEW_LIT("\n\n\nabc\n"), "<abc>"},
	{VIEW_LIT("\0\0abc\0\n\0"), "<><><abc><\n>"},
	{VIEW_LIT("ab\0"
		  "0123456789abcdefg\0"
		  "cd\0"),
		"<ab><LONG>"},
	{VIEW_LIT("ab\n"
		  "0123456789abcdef\0\ncd\n"),
		"<ab><LONG>"},
	{VIEW_LIT("ab\n"
		  "0123456789abcde\0\ncd\n"),
		"<ab><BAD><cd>"},
	{VIEW_LIT("0123456789abcdef\n0123456789abcde\r\n"),
		"<0123456789abcdef><0123456789abcde\r>"},
};

/* What is expected, with the names of errors as their numbers. */
static void expand(const char *text, struct buf *out)
{
	while (*text) {
		size_t n = strcspn(text, "BL");
		ck_assert_int_eq(buf_append(out, text, n), 0);
		text += n;
		if (*text)
			ck_assert_int_eq(
				buf_printf(out, "%d", *text == 'B' ? -EBADMSG : -EMSGSIZE), 0);
		text += *text == 'B' ? 3 : *text == 'L' ? 4 : 0;
	}
}

static void check_pieces(struct view input, const size_t *lens, size_t n, struct view expected)
{
	size_t at = 0;
	struct buf out;

	buf_init(&out, 1000);
	stop();
	start();
	for (size_t i = 0; i < n; i++) {
		feed((struct view){input.data + at, lens[i]});
		at += lens[i];
		if (drain(&out) < 0)
			break;
	}
	ck_assert_msg(view_is_equal(buf_view(&out), expected), "first piece %zu: %.*s", lens[0],
		(int)buf_len(&out), buf_view(&out).data);
	buf_done(&out);
}

/* In two pieces, cut at every place, and byte by byte: always the same messages. */
START_TEST(test_frame_result_does_not_depend_on_any_split)
{
	struct view input = streams[_i].input;
	struct buf expected;

	buf_init(&expected, 1000);
	expand(streams[_i].expected, &expected);
	for (size_t cut = 0; cut <= input.len; cut++) {
		check_pieces(input, (size_t[]){cut, input.len - cut}, 2, buf_view(&expected));
	}
	size_t ones[64];
	ck_assert_uint_le(input.len, ARRAY_SIZE(ones));
	for (size_t i = 0; i < input.len; i++)
		ones[i] = 1;
	check_pieces(input, ones, input.len, buf_view(&expected));
	buf_done(&expected);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("frame");
	TCase *tcase = tcase_create("frame");

	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_test(tcase, test_frame_nothing_is_not_a_message_yet);
	tcase_add_test(tcase, test_frame_nul_decides_and_newline_is_inside);
	tcase_add_test(tcase, test_frame_newline_decides_and_nul_is_malformed);
	tcase_add_test(tcase, test_frame_nul_in_a_line_waits_for_the_lines_end);
	tcase_add_test(tcase, test_frame_empty_lines_are_skipped_and_decide);
	tcase_add_test(tcase, test_frame_empty_message_in_nul_mode_is_one);
	tcase_add_test(tcase, test_frame_takes_a_message_of_exactly_the_limit);
	tcase_add_test(tcase, test_frame_refuses_one_byte_more_without_a_terminator);
	tcase_add_test(tcase, test_frame_refuses_one_byte_more_with_a_terminator);
	tcase_add_test(tcase, test_frame_does_not_look_twice_at_what_it_scanned);
	tcase_add_loop_test(
		tcase, test_frame_result_does_not_depend_on_any_split, 0, (int)ARRAY_SIZE(streams));
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
