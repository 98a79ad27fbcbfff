/* check_scan: calls of the common shape are taken without a tree, and mean what the parser says; all others are left to it. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scan_judge.h"

#include "wire/json.h"
#include "wire/jsonout.h"

#define POST(args)                                                                                 \
	"{\"method\":\"org.workpool.Post\",\"parameters\":{\"handler\":\"echo\",\"args\":" args "}}"
#define DEEP8 "[[[[[[[["
#define FLAT8 "]]]]]]]]"

static const struct {
	const char *text;
	bool is_taken;
} calls[] = {
	/* What clients send. */
	{POST("{}"), true},
	{POST("{\"ms\":100}"), true},
	{POST("{\"to\":\"a@b.c\",\"n\":[1,-2,0,true,false,null],\"deep\":{\"a\":{\"b\":[]}}}"),
		true},
	{"{\"method\": \"a.B\", \"parameters\": {\"handler\": \"x\", \"args\": {\"a\": [1, 2], "
	 "\"b\": {}}}}",
		true},
	{" {\t\"parameters\" : { \"wait\" : true , \"n\" : -5 } , \"method\" : \"a.B\" } \r", true},
	{POST("{ \"a b\" : \" \\\\\" , \"c\\\"\" :\t[ \"\\\" \" , { } ]\n}"), true},
	{POST("{\"text\":\"line\\nquote\\\" back\\\\slash\\t\\r\\b\\f\"}"), true},
	{POST("{\"name\":\"Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"}"), true},
	{POST("{\"n\":999999999999999,\"m\":-999999999999999}"), true},
	{POST("{\"\":\"\"}"), true},
	{"{\"method\":\"a.B\",\"parameters\":{}}", true},
	{POST("{\"a\":{\"a\":1},\"b\":{\"a\":1}}"), true},
	/* What only the parser reads. */
	{POST("{\"x\":1.5}"), false},
	{POST("{\"x\":1e3}"), false},
	{POST("{\"x\":-0}"), false},
	{POST("{\"x\":9007199254740991}"), false},
	{POST("{\"x\":\"\\u00e4\"}"), false},
	{POST("{\"x\":\"a\\/b\"}"), false},
	{POST("{\"x\":\"\x7f\"}"), false},
	{POST("null"), false},
	{POST("[]"), false},
	{POST("{\"x\":" DEEP8 DEEP8 FLAT8 FLAT8 "}"), false},
	{"{\"method\":\"a.B\"}", false},
	{"{\"method\":\"a.B\",\"parameters\":null}", false},
	{"{\"method\":\"a.B\",\"parameters\":{},\"oneway\":true}", false},
	{"{\"method\":\"a.B\",\"parameters\":{\"handler\":\"a\\nb\"}}", false},
	/* What is none. */
	{"", false},
	{"{", false},
	{"{}", false},
	{"{}{}", false},
	{POST("{}") "{}", false},
	{POST("{}") "x", false},
	{"{\"method\":\"\",\"parameters\":{}}", false},
	{"{\"method\":\"\",\"method\":\"a.B\",\"parameters\":{}}", false},
	{"{\"method\":\"a.B\",\"method\":\"a.B\",\"parameters\":{}}", false},
	{"{\"method\":\"a.B\",\"parameters\":{},\"parameters\":{}}", false},
	{"{\"method\":\"a.B\",\"parameters\":{\"a\":1,\"a\":1}}", false},
	{POST("{\"a\":1,\"a\":2}"), false},
	{POST("{\"a\\n\":1,\"a\\n\":2}"), false},
	{POST("{\"a\":1,}"), false},
	{POST("{\"a\" 1}"), false},
	{POST("{\"a\":}"), false},
	{POST("{a:1}"), false},
	{POST("{\"a\":01}"), false},
	{POST("{\"a\":-}"), false},
	{POST("{\"a\":--1}"), false},
	{POST("{\"a\":+1}"), false},
	{POST("{\"a\":truex}"), false},
	{POST("{\"a\":tru}"), false},
	{POST("{\"a\":[1 2]}"), false},
	{POST("{\"a\":[1,]}"), false},
	{POST("{\"a\":[}"), false},
	{POST("{\"a\":\"\xc3\"}"), false},
	{POST("{\"a\":\"\xed\xa0\x80\"}"), false},
	{POST("{\"a\":\"\n\"}"), false},
	{POST("{\"a\":\"\\x\"}"), false},
	{POST("{\"a\":\"\\"), false},
	{POST("{\"a\":\"b"), false},
	{"{\"method\":\"a.B\",\"parameters\":{\"a\":1", false},
	{"{\"method\":\"a.B\",\"parameters\":{\"a\":-", false},
};

START_TEST(test_scan_takes_what_it_is_sure_of)
{
	struct scan scan;
	/* Of its very size, so that the sanitizer sees a step too far. */
	size_t len = strlen(calls[_i].text);
	char *text = malloc(len + (len == 0));

	ck_assert_ptr_nonnull(text);
	memcpy(text, calls[_i].text, len);
	struct view message = {text, len};
	scan_init(&scan);
	int r = scan_call(&scan, message);
	ck_assert_msg(r == (calls[_i].is_taken ? 0 : -ENOTSUP), "%s: %d", calls[_i].text, r);
	if (r == 0)
		ck_assert_ptr_null(scan_judge(&scan, message));
	scan_done(&scan);
	free(text);
}
END_TEST

/* Every cut and every changed byte of the calls above: taken or not, the judge agrees. */
START_TEST(test_scan_agrees_on_what_is_nearly_a_call)
{
	static const char bytes[] = "\0\t\n \"\\,:{}[]01-+.eEtfn\x7f\x80\xc3\xed\xff";
	size_t n_taken = 0;
	struct scan scan;

	scan_init(&scan);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		size_t len = strlen(calls[i].text);
		char *text = malloc(len + 1);

		ck_assert_ptr_nonnull(text);
		for (size_t at = 0; at < len; at++) {
			for (size_t k = 0; k < sizeof(bytes) - 1; k++) {
				struct view message = {text, len};
				memcpy(text, calls[i].text, len);
				text[at] = bytes[k];
				if (scan_call(&scan, message) == 0) {
					n_taken++;
					ck_assert_msg(!scan_judge(&scan, message), "%.*s", (int)len,
						text);
				}
			}
			struct view cut = {calls[i].text, at};
			if (scan_call(&scan, cut) == 0)
				ck_assert_msg(
					!scan_judge(&scan, cut), "%.*s", (int)at, calls[i].text);
		}
		free(text);
	}
	ck_assert_uint_gt(n_taken, 1000);
	scan_done(&scan);
}
END_TEST

/* Values of every kind, sure and unsure: what is taken is what the parser makes of it. */
START_TEST(test_scan_value_is_what_the_parser_writes)
{
	static const struct {
		const char *text;
		bool is_taken;
	} rows[] = {{"{}", true}, {"[1,-2,{\"a\":null}]", true},
		{" { \"a\" : [ true , false ] } ", true}, {"\"\\n\xc3\xa9\"", true},
		{"\"a\"", true}, {"", false}, {"5", false}, {"1.5", false},
		{"{\"a\":1,\"a\":2}", false}, {"{} {}", false}, {"{", false}, {"[1,]", false},
		{"\"\\u0041\"", false}, {"\"\xff\"", false}, {"\"a\nb\"", false}, {"nul", false}};
	char why[JSON_WHY_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf ours, theirs;
		json_t *tree = NULL;

		buf_init(&ours, SIZE_MAX);
		buf_init(&theirs, SIZE_MAX);
		ck_assert_int_eq(buf_append(&ours, "x", 1), 0);
		int r = scan_value(view_of(rows[i].text), &ours);
		ck_assert_msg(r == (rows[i].is_taken ? 0 : -ENOTSUP), "%s: %d", rows[i].text, r);
		if (r < 0) {
			ck_assert_uint_eq(buf_len(&ours), 1);
		} else {
			ck_assert_int_eq(json_parse(view_of(rows[i].text), &tree, why), 0);
			ck_assert_int_eq(buf_append(&theirs, "x", 1), 0);
			ck_assert_int_eq(json_write(tree, &theirs), 0);
			ck_assert(view_is_equal(buf_view(&ours), buf_view(&theirs)));
		}
		json_decref(tree);
		buf_done(&ours);
		buf_done(&theirs);
	}
}
END_TEST

START_TEST(test_jsonout_writes_what_the_parser_reads)
{
	static const char expected[] =
		"{\"s\":\"a\\\"b\",\"n\":-5,\"yes\":true,\"at\":12.000345,"
		"\"list\":[{},1,[],\"x:\",{\"u\":\"A\"},\"no json\",{\"k\":0.5}],"
		"\"last\":false}";
	struct buf out;
	struct jsonout json = {.out = &out};
	json_t *tree = json_pack("{s:f}", "k", 0.5);

	buf_init(&out, sizeof expected - 1);
	jsonout_open(&json, NULL, '{');
	jsonout_string(&json, "s", "a\"b");
	jsonout_int(&json, "n", -5);
	jsonout_bool(&json, "yes", true);
	jsonout_seconds(&json, "at", 12000345);
	jsonout_open(&json, "list", '[');
	jsonout_open(&json, NULL, '{');
	jsonout_close(&json, '}');
	jsonout_int(&json, NULL, 1);
	jsonout_text(&json, NULL, VIEW_LIT(" [ ] "));
	jsonout_string(&json, NULL, "x:");
	jsonout_text(&json, NULL, VIEW_LIT("{\"u\":\"\\u0041\"}")); /* the parser's to read */
	jsonout_text(&json, NULL, VIEW_LIT("no json"));
	jsonout_tree(&json, NULL, tree);
	jsonout_close(&json, ']');
	jsonout_bool(&json, "last", false);
	jsonout_close(&json, '}');
	ck_assert_int_eq(json.error, 0);
	ck_assert_msg(view_is_equal(buf_view(&out), VIEW_LIT(expected)), "%.*s", (int)buf_len(&out),
		out.data);
	jsonout_int(&json, "more", 1); /* full: it stays as it is, and says so */
	ck_assert_int_eq(json.error, -EMSGSIZE);
	json_decref(tree);
	buf_done(&out);
}
END_TEST

START_TEST(test_scan_has_bounds)
{
	char text[8192];
	struct scan scan;
	size_t n = 0;

	scan_init(&scan);
	/* One parameter more than there is room for. */
	for (unsigned params = SCAN_MEMBERS; params <= SCAN_MEMBERS + 1; params++) {
		n = (size_t)sprintf(text, "{\"method\":\"a.B\",\"parameters\":{");
		for (unsigned i = 0; i < params; i++)
			n += (size_t)sprintf(text + n, "%s\"p%u\":%u", i > 0 ? "," : "", i, i);
		n += (size_t)sprintf(text + n, "}}");
		int r = scan_call(&scan, (struct view){text, n});
		ck_assert_int_eq(r, params == SCAN_MEMBERS ? 0 : -ENOTSUP);
	}
	/* A key that is as long as one may be, and one that is not. */
	for (int len = JSON_KEY_LIMIT; len <= JSON_KEY_LIMIT + 1; len++) {
		n = (size_t)sprintf(text, POST("{\"%0*d\":1}"), len, 0);
		int r = scan_call(&scan, (struct view){text, n});
		ck_assert_int_eq(r, len == JSON_KEY_LIMIT ? 0 : -ENOTSUP);
		n = (size_t)sprintf(
			text, "{\"method\":\"a.B\",\"parameters\":{\"%0*d\":1}}", len, 0);
		r = scan_call(&scan, (struct view){text, n});
		ck_assert_int_eq(r, len == JSON_KEY_LIMIT ? 0 : -ENOTSUP);
	}
	/* Keys of objects that are closed do not count. */
	n = (size_t)sprintf(
		text, "{\"method\":\"a.B\",\"parameters\":{\"args\":{\"all\":[{\"a\":1}");
	for (int i = 0; i < 200; i++)
		n += (size_t)sprintf(text + n, ",{\"a\":%d}", i);
	n += (size_t)sprintf(text + n, "]}}}");
	ck_assert_int_eq(scan_call(&scan, (struct view){text, n}), 0);
	ck_assert_ptr_null(scan_judge(&scan, (struct view){text, n}));
	scan_done(&scan);
}
END_TEST

struct values {
	const char *handler;
	int64_t priority;
	bool wait;
	struct param_json args;
};

static const struct param params[] = {
	{"handler", PARAM_STRING, PARAM_REQUIRED, offsetof(struct values, handler), 1, 4, NULL, ""},
	{"priority", PARAM_INT, 0, offsetof(struct values, priority), 0, 9, NULL, ""},
	{"wait", PARAM_BOOL, 0, offsetof(struct values, wait), 0, 0, NULL, ""},
	{"args", PARAM_JSON, 0, offsetof(struct values, args), 0, 0, NULL, ""},
	{"words", PARAM_STRINGS, 0, PARAM_NO_FIELD, 0, 0, NULL, ""},
};

static const struct {
	const char *params;
	bool is_read;
} tables[] = {
	{"\"handler\":\"echo\"", true},
	{"\"handler\":\"echo\",\"priority\":9,\"wait\":true,\"args\":{\"a\":1}", true},
	{"\"wait\":true", false},
	{"\"handler\":\"\"", false},
	{"\"handler\":\"echos\"", false},
	{"\"handler\":1", false},
	{"\"handler\":\"echo\",\"priority\":10", false},
	{"\"handler\":\"echo\",\"priority\":-1", false},
	{"\"handler\":\"echo\",\"priority\":\"5\"", false},
	{"\"handler\":\"echo\",\"wait\":1", false},
	{"\"handler\":\"echo\",\"args\":\"{}\"", false},
	{"\"handler\":\"echo\",\"words\":{}", false},
	{"\"handler\":\"echo\",\"unknown\":1", false},
};

START_TEST(test_scan_reads_params_by_a_table)
{
	struct values values = {.priority = 5};
	struct scan scan;
	char text[256];

	scan_init(&scan);
	int n = snprintf(
		text, sizeof(text), "{\"method\":\"a.B\",\"parameters\":{%s}}", tables[_i].params);
	ck_assert_int_eq(scan_call(&scan, (struct view){text, (size_t)n}), 0);
	int r = scan_read_params(&scan, params, ARRAY_SIZE(params), &values);
	ck_assert_msg(r == (tables[_i].is_read ? 0 : -ENOTSUP), "%s", text);
	if (r == 0) {
		ck_assert_str_eq(values.handler, "echo");
		ck_assert_int_eq(values.priority, scan.n_params > 1 ? 9 : 5);
		ck_assert_int_eq(values.wait, scan.n_params > 1);
		ck_assert_ptr_null(values.args.tree);
		ck_assert(scan.n_params == 1 ||
			  view_is_equal(values.args.text, VIEW_LIT("{\"a\":1}")));
	}
	scan_done(&scan);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scan");
	TCase *tcase = tcase_create("scan");

	tcase_add_loop_test(tcase, test_scan_takes_what_it_is_sure_of, 0, (int)ARRAY_SIZE(calls));
	tcase_add_test(tcase, test_scan_agrees_on_what_is_nearly_a_call);
	tcase_add_test(tcase, test_scan_value_is_what_the_parser_writes);
	tcase_add_test(tcase, test_jsonout_writes_what_the_parser_reads);
	tcase_add_test(tcase, test_scan_has_bounds);
	tcase_add_loop_test(tcase, test_scan_reads_params_by_a_table, 0, (int)ARRAY_SIZE(tables));
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
