/* check_msg: calls from bytes, replies to bytes. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/msg.h"

#define AB46 "ababababababababababababababababababababababab" /* 46 bytes */

/* why: a part of the reason; NULL: a call with this method and these flags. */
static const struct {
	const char *text;
	const char *why;
	const char *method;
	bool has_params, more, oneway, upgrade;
} calls[] = {
	{"{\"method\":\"a.B\"}", NULL, "a.B", 0, 0, 0, 0},
	{"{\"method\":\"a.B\",\"parameters\":{}}", NULL, "a.B", 1, 0, 0, 0},
	{"{\"parameters\":{\"x\":1},\"more\":true,\"method\":\"a.B\"}", NULL, "a.B", 1, 1, 0, 0},
	{"{\"method\":\"a.B\",\"oneway\":true,\"more\":false}", NULL, "a.B", 0, 0, 1, 0},
	{"{\"method\":\"a.B\",\"upgrade\":true}", NULL, "a.B", 0, 0, 0, 1},
	{"{\"method\":\"a.B\",\"parameters\":null,\"more\":null,\"oneway\":null,\"upgrade\":null}",
		NULL, "a.B", 0, 0, 0, 0},
	{" {\"method\":\"x\"}\r", NULL, "x", 0, 0, 0, 0},
	{"", "byte 0", NULL, 0, 0, 0, 0},
	{"{", "byte 1", NULL, 0, 0, 0, 0},
	{"[]", "not an object", NULL, 0, 0, 0, 0},
	{"\"a.B\"", "not an object", NULL, 0, 0, 0, 0},
	{"null", "not an object", NULL, 0, 0, 0, 0},
	{"{}", "method: required", NULL, 0, 0, 0, 0},
	{"{\"more\":true}", "method: required", NULL, 0, 0, 0, 0},
	{"{\"method\":\"\"}", "method: ", NULL, 0, 0, 0, 0},
	{"{\"method\":null}", "method: ", NULL, 0, 0, 0, 0},
	{"{\"method\":1}", "method: ", NULL, 0, 0, 0, 0},
	{"{\"method\":\"a.B\",\"parameters\":[]}", "parameters: not an object", NULL, 0, 0, 0, 0},
	{"{\"method\":\"a.B\",\"parameters\":\"\"}", "parameters: not an object", NULL, 0, 0, 0, 0},
	{"{\"method\":\"a.B\",\"more\":1}", "more: not true or false", NULL, 0, 0, 0, 0},
	{"{\"method\":\"a.B\",\"oneway\":\"true\"}", "oneway: not true", NULL, 0, 0, 0, 0},
	{"{\"method\":\"a.B\",\"upgrade\":{}}", "upgrade: not true", NULL, 0, 0, 0, 0},
	{"{\"method\":\"a.B\",\"id\":1}", "unknown member 'id'", NULL, 0, 0, 0, 0},
	{"{\"method\":\"a.B\",\"\":1}", "unknown member ''", NULL, 0, 0, 0, 0},
	{"{\"method\":\"a.B\",\"a\\u001b\\nb\":1}", "unknown member 'a??b'", NULL, 0, 0, 0, 0},
	/* At most 48 bytes of it, no half character. */
	{"{\"" AB46 "\xc3\xa4\xc3\xa4\":1}", "unknown member '" AB46 "\xc3\xa4'", NULL, 0, 0, 0, 0},
	{"{\"" AB46 "_\xc3\xa4\":1}", "unknown member '" AB46 "_?'", NULL, 0, 0, 0, 0},
	{"{\"method\":\"a.B\",\"method\":\"a.C\"}", "duplicate", NULL, 0, 0, 0, 0},
	{"{\"method\":\"a.B\"}{}", "byte", NULL, 0, 0, 0, 0},
	{"{\"method\":\"a.B\",\"parameters\":{\"n\":9007199254740992}}", "member 'n'", NULL, 0, 0,
		0, 0},
};

START_TEST(test_msg_judges_every_call)
{
	char why[JSON_WHY_SIZE] = "";
	struct msg msg = {.method = "untouched"};

	int r = msg_parse(view_of(calls[_i].text), &msg, why);
	if (calls[_i].why) {
		ck_assert_int_eq(r, -EBADMSG);
		ck_assert_msg(strstr(why, calls[_i].why), "%s", why);
		ck_assert_str_eq(msg.method, "untouched");
		return;
	}
	ck_assert_msg(r == 0, "%s", why);
	ck_assert_str_eq(msg.method, calls[_i].method);
	ck_assert(json_is_object(msg.params) == calls[_i].has_params);
	ck_assert(msg.more == calls[_i].more);
	ck_assert(msg.oneway == calls[_i].oneway);
	ck_assert(msg.upgrade == calls[_i].upgrade);
	msg_done(&msg);
	ck_assert_ptr_null(msg.json);
	msg_done(&msg);
}
END_TEST

static const struct {
	const char *method, *interface, *name;
} methods[] = {
	{"org.workpool.Post", "org.workpool", "Post"},
	{"a.B", "a", "B"},
	{"..x", ".", "x"},
	{"Post", NULL, NULL},
	{".Post", NULL, NULL},
	{"org.", NULL, NULL},
	{".", NULL, NULL},
	{"", NULL, NULL},
};

START_TEST(test_msg_splits_every_method_at_its_last_dot)
{
	struct view interface;
	const char *name;

	int r = msg_split_method(methods[_i].method, &interface, &name);
	ck_assert_int_eq(r, methods[_i].name ? 0 : -EINVAL);
	if (r == 0) {
		ck_assert(view_is_equal(interface, view_of(methods[_i].interface)));
		ck_assert_str_eq(name, methods[_i].name);
	}
}
END_TEST

static json_t *params;
static struct buf out;

static void start(void)
{
	params = json_pack("{s:s,s:i}", "id", "1", "n", 2);
	buf_init(&out, 1000);
}

static void stop(void)
{
	json_decref(params);
	buf_done(&out);
}

#define PARAMS "{\"id\":\"1\",\"n\":2}"

static int write_reply(struct buf *to)
{
	return msg_write_reply(to, params, false, '\0');
}

static int write_continues(struct buf *to)
{
	return msg_write_reply(to, params, true, '\n');
}

static int write_empty_reply(struct buf *to)
{
	return msg_write_reply(to, NULL, false, '\n');
}

static int write_text(struct buf *to)
{
	return msg_write_reply_text(to, VIEW_LIT(PARAMS), false, '\0');
}

static int write_text_continues(struct buf *to)
{
	return msg_write_reply_text(to, VIEW_LIT(PARAMS), true, '\n');
}

static int write_empty_text(struct buf *to)
{
	return msg_write_reply_text(to, (struct view){NULL, 0}, false, '\n');
}

static int write_error(struct buf *to)
{
	return msg_write_error(to, "org.workpool.NotReady", params, '\n');
}

static int write_empty_error(struct buf *to)
{
	return msg_write_error(to, "a.\"B", NULL, '\0');
}

static int write_call(struct buf *to)
{
	return msg_write_call(to, "a.B", params, false, false, '\0');
}

static int write_call_more(struct buf *to)
{
	return msg_write_call(to, "a.B", NULL, true, true, '\n');
}

static const struct {
	int (*write)(struct buf *to);
	struct view expected;
} writers[] = {
	{write_reply, VIEW_LIT("{\"parameters\":" PARAMS "}\0")},
	{write_continues, VIEW_LIT("{\"parameters\":" PARAMS ",\"continues\":true}\n")},
	{write_empty_reply, VIEW_LIT("{\"parameters\":{}}\n")},
	{write_text, VIEW_LIT("{\"parameters\":" PARAMS "}\0")},
	{write_text_continues, VIEW_LIT("{\"parameters\":" PARAMS ",\"continues\":true}\n")},
	{write_empty_text, VIEW_LIT("{\"parameters\":{}}\n")},
	{write_error,
		VIEW_LIT("{\"error\":\"org.workpool.NotReady\",\"parameters\":" PARAMS "}\n")},
	{write_empty_error, VIEW_LIT("{\"error\":\"a.\\\"B\",\"parameters\":{}}\0")},
	{write_call, VIEW_LIT("{\"method\":\"a.B\",\"parameters\":" PARAMS "}\0")},
	{write_call_more,
		VIEW_LIT("{\"method\":\"a.B\",\"more\":true,\"oneway\":true,\"parameters\":{}}\n")},
};

START_TEST(test_msg_writes_every_shape)
{
	ck_assert_int_eq(writers[_i].write(&out), 0);
	ck_assert_msg(view_is_equal(buf_view(&out), writers[_i].expected), "%.*s",
		(int)buf_len(&out), buf_view(&out).data);
}
END_TEST

/* Behind another message, which must stay as it is: nothing at every limit that is too small. */
START_TEST(test_msg_writers_are_whole_or_nothing_at_every_limit)
{
	size_t enough = 2 + writers[_i].expected.len;

	for (size_t limit = 2; limit <= enough; limit++) {
		struct buf small;
		buf_init(&small, limit);
		ck_assert_int_eq(buf_append(&small, "{}", 2), 0);
		ck_assert_int_eq(writers[_i].write(&small), limit == enough ? 0 : -EMSGSIZE);
		ck_assert_uint_eq(buf_len(&small), limit == enough ? enough : 2);
		ck_assert_mem_eq(buf_view(&small).data, "{}", 2);
		buf_done(&small);
	}
}
END_TEST

START_TEST(test_msg_reply_text_longer_than_the_limit_is_refused)
{
	struct view huge = {"", SIZE_MAX};

	ck_assert_int_eq(msg_write_reply_text(&out, huge, false, '\0'), -EMSGSIZE);
	ck_assert_uint_eq(buf_len(&out), 0);
}
END_TEST

START_TEST(test_msg_call_that_was_written_is_parsed_again)
{
	char why[JSON_WHY_SIZE];
	struct msg msg;

	ck_assert_int_eq(msg_write_call(&out, "a.B", params, true, false, '\0'), 0);
	struct view text = buf_view(&out);
	text.len--;
	ck_assert_int_eq(msg_parse(text, &msg, why), 0);
	ck_assert_str_eq(msg.method, "a.B");
	ck_assert(msg.more && !msg.oneway && !msg.upgrade);
	ck_assert(json_equal(msg.params, params));
	msg_done(&msg);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("msg");
	TCase *tcase = tcase_create("msg");

	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_loop_test(tcase, test_msg_judges_every_call, 0, (int)ARRAY_SIZE(calls));
	tcase_add_loop_test(
		tcase, test_msg_splits_every_method_at_its_last_dot, 0, (int)ARRAY_SIZE(methods));
	tcase_add_loop_test(tcase, test_msg_writes_every_shape, 0, (int)ARRAY_SIZE(writers));
	tcase_add_loop_test(tcase, test_msg_writers_are_whole_or_nothing_at_every_limit, 0,
		(int)ARRAY_SIZE(writers));
	tcase_add_test(tcase, test_msg_reply_text_longer_than_the_limit_is_refused);
	tcase_add_test(tcase, test_msg_call_that_was_written_is_parsed_again);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
