/*
 * check_libworkpool_json: what libworkpool takes for JSON, beside what jansson does; values inside of replies; and memory that runs
 * out at the Nth allocation, for every N. The linker puts us before malloc(3).
 */
#include <jansson.h>
#include <stdint.h>

#include "client_fixture.h"

static size_t n_allocations, fails_at;
static bool is_library; /* else it is Check that asks for memory */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);

static bool has_memory(void)
{
	return !is_library || ++n_allocations != fails_at;
}

void *__wrap_malloc(size_t size)
{
	return has_memory() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
	return has_memory() ? __real_calloc(n, size) : NULL;
}

static const char *const value_rows[] = {
	"0",
	"-0",
	"-",
	"01",
	"1.",
	"1.5",
	".5",
	"1e",
	"1e5",
	"1E-05",
	"1e+",
	"+1",
	"--1",
	"1 2",
	"\"\"",
	"\"a",
	"\"\\\"\"",
	"\"\\",
	"\"\\x\"",
	"\"\\/\\b\\f\\n\\r\\t\\\\\"",
	"\"\\u00e4\"",
	"\"\\u00E\"",
	"\"\\u00eg\"",
	"\"\\u0000\"",
	"\"\\ud83d\\ude00\"",
	"\"\\ud83d\"",
	"\"\\ud83dx\"",
	"\"\\ud83d\\u0041\"",
	"\"\\ude00\"",
	"\"\x01\"",
	"\"\x7f\"",
	"\"\t\"",
	"\"\xc3\xa4\"",
	"\"\xc3\"",
	"\"\xff\"",
	"\"\xed\xa0\x80\"",
	"\"\xf4\x90\x80\x80\"",
	"\"\xc0\x80\"",
	"\"\xf0\x9f\x98\x80\"",
	"true",
	"false",
	"null",
	"nul",
	"True",
	"nulls",
	"[]",
	"[ ]",
	"[1]",
	"[1,]",
	"[,1]",
	"[1 2]",
	"[1,2",
	"[",
	"]",
	"[1}",
	"[[[]]]",
	"[[],[{}]]",
	"{}",
	"{ }",
	"{\"a\":1}",
	"{\"a\":}",
	"{\"a\"}",
	"{a:1}",
	"{\"a\":1,}",
	"{,}",
	"{\"a\":1,\"b\":[{\"c\":{}},2]}",
	"{\"a\":1 \"b\":2}",
	"{\"a\":1]",
	"{\"a\":{\"a\":1}}",
	" \t\n\r1\r\n\t ",
	"\v1",
	"NaN",
	"Infinity",
	"'a'",
	"//",
	"",
	" ",
	"\xef\xbb\xbf 1",
};

START_TEST(test_value_is_json_where_jansson_says_so)
{
	char text[200];
	int peer;
	struct workpool *wp = client_open(&peer);

	(void)snprintf(text, sizeof(text), "{\"v\":%s}", value_rows[_i]);
	json_t *json = json_loads(text, 0, NULL);
	ck_assert_msg(workpool_send(wp, "X", text, 0, NULL) == (json ? 0 : WORKPOOL_BAD_ARGUMENT),
		"%s", text);
	json_decref(json);
	workpool_free(wp);
	(void)close(peer);
}
END_TEST

static char *nested(size_t depth)
{
	char *text = malloc(2 * depth + 20);

	ck_assert_ptr_nonnull(text);
	char *at = stpcpy(text, "{\"v\":");
	memset(at, '[', depth);
	memset(at + depth, ']', depth);
	(void)strcpy(at + 2 * depth, "}");
	return text;
}

START_TEST(test_depth_has_an_end)
{
	int peer;
	struct workpool *wp = client_open(&peer);
	char *good = nested(511), *bad = nested(512), *very_bad = nested(1000000);

	ck_assert_int_eq(workpool_send(wp, "X", good, 0, NULL), 0);
	ck_assert_int_eq(workpool_send(wp, "X", bad, 0, NULL), WORKPOOL_BAD_ARGUMENT);
	ck_assert_int_eq(workpool_send(wp, "X", very_bad, 0, NULL), WORKPOOL_BAD_ARGUMENT);
	free(good);
	free(bad);
	free(very_bad);
	workpool_free(wp);
	(void)close(peer);
}
END_TEST

START_TEST(test_wrong_byte_of_parameters_is_told)
{
	int peer;
	struct workpool *wp = client_open(&peer);

	ck_assert_int_eq(workpool_send(wp, "X", "{\"a\": x}", 0, NULL), WORKPOOL_BAD_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(workpool_error_text(wp), "byte 7:"));
	ck_assert_int_eq(workpool_post(wp, "echo", " 7", NULL, 0, NULL), WORKPOOL_BAD_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(workpool_error_text(wp), "args: byte 2:"));
	workpool_free(wp);
	(void)close(peer);
}
END_TEST

static const char inside[] =
	"{\"error\":null, \"parameters\" : "
	"{\"s\":\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\u20ac\\ud83d\\ude00z\","
	"\"o\":{\"a\":[10,-20,{\"x\":\"y\"},[]],\"\":7}, \"n\":1.9, \"big\":99999999999999999999,"
	"\"e\":1e3,\"t\":true,\"f\":false,\"z\":null, \"d.d\":1,\"s\":\"second\"} , "
	"\"other\":[1]}\n";

static const struct {
	const char *path;
	const char *text;
	int64_t number;
} inside_rows[] = {
	{"s", "a\"\\/\b\f\n\r\t\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z", -7},
	{"o", "{\"a\":[10,-20,{\"x\":\"y\"},[]],\"\":7}", -7},
	{"o.a", "[10,-20,{\"x\":\"y\"},[]]", -7},
	{"o.a.0", "10", 10},
	{"o.a.1", "-20", -20},
	{"o.a.2.x", "y", -7},
	{"o.a.3", "[]", -7},
	{"o.a.3.0", NULL, -7},
	{"o.a.4", NULL, -7},
	{"o.a.", NULL, -7},
	{"o.a.-1", NULL, -7},
	{"o.a.99999999999999999999", NULL, -7},
	{"o.", "7", 7},
	{"n", "1.9", 1},
	{"n.x", NULL, -7},
	{"big", "99999999999999999999", -7},
	{"e", "1e3", -7},
	{"t", "true", 1},
	{"f", "false", 0},
	{"z", "null", -7},
	{"d.d", NULL, -7},
	{"none", NULL, -7},
	{"", NULL, -7},
};

START_TEST(test_value_inside_of_a_reply_is_found)
{
	int peer;
	struct workpool *wp = client_open(&peer);
	struct workpool_reply *reply;

	peer_say(peer, inside);
	ck_assert_int_eq(workpool_call(wp, "X", NULL, LIMIT_MS, &reply), 0);
	workpool_free(wp);
	for (int i = 0; i < 2; i++) {
		const char *text = workpool_reply_text(reply, inside_rows[_i].path);
		if (inside_rows[_i].text)
			ck_assert_str_eq(text, inside_rows[_i].text);
		else
			ck_assert_ptr_null(text);
		ck_assert_int_eq(workpool_reply_int(reply, inside_rows[_i].path, -7),
			inside_rows[_i].number);
	}
	workpool_reply_free(reply);
	(void)close(peer);
}
END_TEST

/* A call of the library, in which memory may run out. */
#define IN_LIBRARY(result, call)                                                                   \
	do {                                                                                       \
		is_library = true;                                                                 \
		(result) = (call);                                                                 \
		is_library = false;                                                                \
	} while (0)

/* One post and its reply; each step is tried again when there was no memory for it. How often that was. */
static size_t post_once(struct workpool *wp)
{
	struct workpool_reply *reply;
	const char *text;
	size_t n_failures = 0;
	int code;

	IN_LIBRARY(code, workpool_send_post(wp, "echo", "{\"a\":1}", NULL, NULL));
	if (code == WORKPOOL_NO_MEMORY) {
		n_failures++;
		IN_LIBRARY(code, workpool_send_post(wp, "echo", "{\"a\":1}", NULL, NULL));
	}
	ck_assert_int_eq(code, 0);
	IN_LIBRARY(code, workpool_receive(wp, LIMIT_MS, &reply));
	if (code == WORKPOOL_NO_MEMORY) {
		n_failures++;
		IN_LIBRARY(code, workpool_receive(wp, LIMIT_MS, &reply));
	}
	ck_assert_int_eq(code, 0);
	IN_LIBRARY(text, workpool_reply_text(reply, "id"));
	if (!text) {
		n_failures++;
		IN_LIBRARY(text, workpool_reply_text(reply, "id"));
	}
	ck_assert_str_eq(text, "1");
	workpool_reply_free(reply);
	return n_failures;
}

START_TEST(test_memory_that_runs_out_is_told_and_loses_nothing)
{
	size_t n_failures = 1;
	struct workpool *wp;

	for (fails_at = 1; n_failures > 0; fails_at++) {
		int peer;
		wp = client_open(&peer);
		peer_say(
			peer, "{\"parameters\":{\"id\":\"1\"}}\n{\"parameters\":{\"id\":\"1\"}}\n");
		n_allocations = 0;
		n_failures = post_once(wp) + post_once(wp);
		/* Each allocation that failed was told once. */
		ck_assert_uint_eq(n_failures, n_allocations >= fails_at);
		workpool_free(wp);
		(void)close(peer);
	}
	ck_assert_uint_gt(fails_at, 6);
	fails_at = 1;
	n_allocations = 0;
	IN_LIBRARY(wp, workpool_new("/x"));
	ck_assert_ptr_null(wp);
}
END_TEST

/* The reply that a call had no memory for is not taken for that of the next one. */
START_TEST(test_memory_that_runs_out_in_a_call_mixes_no_replies)
{
	char line[LINE_SIZE];
	int code = WORKPOOL_NO_MEMORY;

	for (fails_at = 1; code != 0; fails_at++) {
		struct workpool_reply *reply;
		int peer, n_calls = 0;
		struct workpool *wp = client_open(&peer);
		peer_say(peer, "{\"parameters\":{\"n\":1}}\n{\"parameters\":{\"n\":2}}\n");
		n_allocations = 0;
		IN_LIBRARY(code, workpool_call(wp, "X", NULL, LIMIT_MS, NULL));
		ck_assert(code == 0 || code == WORKPOOL_NO_MEMORY);
		ck_assert_int_eq(workpool_call(wp, "X", NULL, LIMIT_MS, &reply), 0);
		ck_assert_int_eq(workpool_flush(wp, LIMIT_MS), 0);
		while (peer_is_readable(peer, 0) && peer_read_line(peer, line))
			n_calls++;
		ck_assert_int_eq(workpool_reply_int(reply, "n", -1), n_calls);
		workpool_reply_free(reply);
		workpool_free(wp);
		(void)close(peer);
	}
	ck_assert_uint_gt(fails_at, 4);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("libworkpool_json");
	TCase *tcase = tcase_create("json");

	tcase_add_loop_test(
		tcase, test_value_is_json_where_jansson_says_so, 0, (int)ARRAY_SIZE(value_rows));
	tcase_add_test(tcase, test_depth_has_an_end);
	tcase_add_test(tcase, test_wrong_byte_of_parameters_is_told);
	tcase_add_loop_test(
		tcase, test_value_inside_of_a_reply_is_found, 0, (int)ARRAY_SIZE(inside_rows));
	tcase_add_test(tcase, test_memory_that_runs_out_is_told_and_loses_nothing);
	tcase_add_test(tcase, test_memory_that_runs_out_in_a_call_mixes_no_replies);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
