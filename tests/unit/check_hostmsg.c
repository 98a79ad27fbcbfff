/*
 * check_hostmsg: every message of hostmsg.def there and back, cut at every byte, too long, in
 * foreign hands.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/hostmsg.h"

/*
 * A value for each field that no other field has; strings of different lengths, some empty,
 * with NUL.
 */
static uint64_t next_value;

static uint64_t next(void)
{
	return next_value += UINT64_C(0x9b97939f8b87838f);
}

static struct view next_str(void)
{
	static const char text[] = "ab\0c\xff{}efghijkl";

	return (struct view){text, next() >> 8 & 0xf};
}

static void fill(struct hostmsg *msg, enum hostmsg_type type)
{
	*msg = (struct hostmsg){.type = type};
	switch (type) {
#define U8(f)  m->f = (uint8_t)next();
#define U32(f) m->f = (uint32_t)next();
#define U64(f) m->f = next();
#define I64(f) m->f = (int64_t)next();
#define STR(f) m->f = next_str();
#define HOSTMSG(NAME, name, FIELDS)                                                                \
	case HOSTMSG_##NAME: {                                                                     \
		__auto_type m = &msg->name;                                                        \
		FIELDS break;                                                                      \
	}
#include "wire/hostmsg.def"
#undef HOSTMSG
#undef U8
#undef U32
#undef U64
#undef I64
#undef STR
	case HOSTMSG_NONE:
	case HOSTMSG_TYPES:
		break;
	}
}

static bool is_equal(const struct hostmsg *a, const struct hostmsg *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type) {
#define U8(f)  &&x->f == y->f
#define U32(f) &&x->f == y->f
#define U64(f) &&x->f == y->f
#define I64(f) &&x->f == y->f
#define STR(f) &&view_is_equal(x->f, y->f)
#define HOSTMSG(NAME, name, FIELDS)                                                                \
	case HOSTMSG_##NAME: {                                                                     \
		__auto_type x = &a->name;                                                          \
		__auto_type y = &b->name;                                                          \
		return true FIELDS;                                                                \
	}
#include "wire/hostmsg.def"
#undef HOSTMSG
#undef U8
#undef U32
#undef U64
#undef I64
#undef STR
	case HOSTMSG_NONE:
	case HOSTMSG_TYPES:
		break;
	}
	return false;
}

static struct buf buf;

static void start(void)
{
	buf_init(&buf, 2 * HOSTMSG_LIMIT);
}

static void stop(void)
{
	buf_done(&buf);
}

static void check_refused(const void *data, size_t len, int expected)
{
	struct hostmsg msg = {.type = HOSTMSG_TYPES};

	buf_truncate(&buf, 0);
	ck_assert_int_eq(buf_append(&buf, data, len), 0);
	ck_assert_int_eq(hostmsg_unpack(&buf, &msg), expected);
	ck_assert_int_eq(msg.type, HOSTMSG_TYPES);
	ck_assert_uint_eq(buf_len(&buf), len);
}

START_TEST(test_hostmsg_every_type_comes_back_as_it_was)
{
	for (int round = 0; round < 50; round++) {
		struct hostmsg sent, got;
		fill(&sent, (enum hostmsg_type)(_i + 1));
		ck_assert_int_eq(hostmsg_pack(&buf, &sent), 0);
		ck_assert_int_eq(hostmsg_unpack(&buf, &got), 0);
		ck_assert(is_equal(&sent, &got));
		ck_assert_uint_eq(buf_len(&buf), 0);
	}
}
END_TEST

START_TEST(test_hostmsg_every_type_waits_for_its_last_byte)
{
	struct hostmsg sent;

	fill(&sent, (enum hostmsg_type)(_i + 1));
	ck_assert_int_eq(hostmsg_pack(&buf, &sent), 0);
	size_t len = buf_len(&buf);
	auto_free char *bytes = mem_dup(buf_view(&buf).data, len);
	ck_assert_ptr_nonnull(bytes);
	for (size_t cut = 0; cut < len; cut++)
		check_refused(bytes, cut, -EAGAIN);
}
END_TEST

static void set_length(char *bytes, size_t length)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (char)(length >> 8 * i);
}

/* The length says less than the fields need, or more: at every difference. */
START_TEST(test_hostmsg_every_type_refuses_every_wrong_length)
{
	struct hostmsg sent;

	fill(&sent, (enum hostmsg_type)(_i + 1));
	ck_assert_int_eq(hostmsg_pack(&buf, &sent), 0);
	size_t len = buf_len(&buf);
	auto_free char *bytes = calloc(1, len + 20);
	ck_assert_ptr_nonnull(bytes);
	memcpy(bytes, buf_view(&buf).data, len);
	for (size_t length = 0; length <= len - 4 + 20; length++) {
		if (length == len - 4)
			continue;
		set_length(bytes, length);
		check_refused(bytes, 4 + length, -EBADMSG);
	}
}
END_TEST

START_TEST(test_hostmsg_several_in_one_buffer_leave_in_order)
{
	struct hostmsg sent, got;

	for (int round = 0; round < 2; round++) {
		next_value = 1;
		for (int type = 1; type < HOSTMSG_TYPES; type++) {
			fill(&sent, (enum hostmsg_type)type);
			if (round == 0)
				ck_assert_int_eq(hostmsg_pack(&buf, &sent), 0);
			else
				ck_assert(hostmsg_unpack(&buf, &got) == 0 && is_equal(&sent, &got));
		}
	}
	ck_assert_int_eq(hostmsg_unpack(&buf, &got), -EAGAIN);
}
END_TEST

START_TEST(test_hostmsg_bytes_are_as_the_header_says)
{
	static const char fields[] = "\x08\x07\x06\x05\x04\x03\x02\x01\x0d\x0c\x0b\x0a";
	char expected[17] = {13, 0, 0, 0, HOSTMSG_CANCEL};
	struct hostmsg msg = {.type = HOSTMSG_CANCEL,
		.cancel = {.task = UINT64_C(0x0102030405060708), .attempt = 0x0a0b0c0du}};

	memcpy(expected + 5, fields, 12);
	ck_assert_int_eq(hostmsg_pack(&buf, &msg), 0);
	ck_assert(view_is_equal(buf_view(&buf), (struct view){expected, sizeof(expected)}));
}
END_TEST

START_TEST(test_hostmsg_unknown_type_is_refused_at_its_first_byte)
{
	for (int type = 0; type < 256; type++) {
		char bytes[5] = {9, 0, 0, 0, (char)type};
		check_refused(bytes, 5, type > 0 && type < HOSTMSG_TYPES ? -EAGAIN : -EBADMSG);
	}
}
END_TEST

START_TEST(test_hostmsg_length_beyond_the_limit_is_refused_at_once)
{
	char bytes[4];

	set_length(bytes, HOSTMSG_LIMIT - 4);
	check_refused(bytes, 4, -EAGAIN);
	set_length(bytes, HOSTMSG_LIMIT - 3);
	check_refused(bytes, 4, -EBADMSG);
	check_refused("\xff\xff\xff\xff", 4, -EBADMSG);
	check_refused("\0\0\0\0", 4, -EBADMSG);
}
END_TEST

/* A string that says it is longer than its message, by one and by all that 32 bits can say. */
START_TEST(test_hostmsg_string_cannot_reach_out_of_its_message)
{
	struct hostmsg msg = {.type = HOSTMSG_REFUSED,
		.refused = {.handler = VIEW_LIT("a"), .why = VIEW_LIT("bcd")}};
	char bytes[25] = {0};

	ck_assert_int_eq(hostmsg_pack(&buf, &msg), 0);
	size_t len = buf_len(&buf);
	memcpy(bytes, buf_view(&buf).data, len);
	set_length(bytes + 10, 4);
	check_refused(bytes, sizeof(bytes) - 1, -EBADMSG);
	set_length(bytes + 10, UINT32_MAX);
	check_refused(bytes, sizeof(bytes) - 1, -EBADMSG);
	set_length(bytes + 5, UINT32_MAX - 3);
	check_refused(bytes, sizeof(bytes) - 1, -EBADMSG);
}
END_TEST

START_TEST(test_hostmsg_message_of_exactly_the_limit_passes_and_one_byte_more_does_not)
{
	size_t most = HOSTMSG_LIMIT - 4 - 1 - 4 - 4;
	auto_free char *text = calloc(1, most + 1);
	struct hostmsg msg = {.type = HOSTMSG_REFUSED}, got;

	ck_assert_ptr_nonnull(text);
	msg.refused.why = (struct view){text, most + 1};
	ck_assert_int_eq(hostmsg_pack(&buf, &msg), -EMSGSIZE);
	ck_assert_uint_eq(buf_len(&buf), 0);
	msg.refused.why.len = most;
	ck_assert_int_eq(hostmsg_pack(&buf, &msg), 0);
	ck_assert_uint_eq(buf_len(&buf), HOSTMSG_LIMIT);
	ck_assert_int_eq(hostmsg_unpack(&buf, &got), 0);
	ck_assert_uint_eq(got.refused.why.len, most);
}
END_TEST

START_TEST(test_hostmsg_lengths_that_overflow_their_sum_are_refused)
{
	struct hostmsg msg = {.type = HOSTMSG_REFUSED};

	msg.refused.handler = (struct view){"", SIZE_MAX - 2};
	msg.refused.why = (struct view){"", SIZE_MAX - 2};
	ck_assert_int_eq(hostmsg_pack(&buf, &msg), -EMSGSIZE);
}
END_TEST

START_TEST(test_hostmsg_pack_is_whole_or_nothing_at_every_limit)
{
	struct hostmsg msg = {.type = HOSTMSG_REFUSED};

	msg.refused.why = VIEW_LIT("why");
	for (size_t limit = 1; limit <= 17; limit++) {
		struct buf small;
		buf_init(&small, limit);
		ck_assert_int_eq(buf_append(&small, ">", 1), 0);
		ck_assert_int_eq(hostmsg_pack(&small, &msg), limit == 17 ? 0 : -EMSGSIZE);
		ck_assert_uint_eq(buf_len(&small), limit == 17 ? 17 : 1);
		buf_done(&small);
	}
}
END_TEST

START_TEST(test_hostmsg_every_type_has_its_name)
{
#define HOSTMSG(NAME, name, FIELDS) ck_assert_str_eq(hostmsg_name(HOSTMSG_##NAME), #NAME);
#include "wire/hostmsg.def"
#undef HOSTMSG
	ck_assert_str_eq(hostmsg_name(HOSTMSG_NONE), "?");
	ck_assert_str_eq(hostmsg_name(HOSTMSG_TYPES), "?");
	ck_assert_str_eq(hostmsg_name((enum hostmsg_type) - 1), "?");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hostmsg");
	TCase *tcase = tcase_create("hostmsg");

	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_loop_test(
		tcase, test_hostmsg_every_type_comes_back_as_it_was, 0, HOSTMSG_TYPES - 1);
	tcase_add_loop_test(
		tcase, test_hostmsg_every_type_waits_for_its_last_byte, 0, HOSTMSG_TYPES - 1);
	tcase_add_loop_test(
		tcase, test_hostmsg_every_type_refuses_every_wrong_length, 0, HOSTMSG_TYPES - 1);
	tcase_add_test(tcase, test_hostmsg_several_in_one_buffer_leave_in_order);
	tcase_add_test(tcase, test_hostmsg_bytes_are_as_the_header_says);
	tcase_add_test(tcase, test_hostmsg_unknown_type_is_refused_at_its_first_byte);
	tcase_add_test(tcase, test_hostmsg_length_beyond_the_limit_is_refused_at_once);
	tcase_add_test(tcase, test_hostmsg_string_cannot_reach_out_of_its_message);
	tcase_add_test(
		tcase, test_hostmsg_message_of_exactly_the_limit_passes_and_one_byte_more_does_not);
	tcase_add_test(tcase, test_hostmsg_lengths_that_overflow_their_sum_are_refused);
	tcase_add_test(tcase, test_hostmsg_pack_is_whole_or_nothing_at_every_limit);
	tcase_add_test(tcase, test_hostmsg_every_type_has_its_name);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
