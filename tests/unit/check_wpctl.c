/* check_wpctl: the client's tables and texts: every verb's row, every flag kind, every error's sentence, escaping, values. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "client/cell.h"
#include "client/fault.h"
#include "client/outcome.h"
#include "client/print.h"
#include "client/sentence.h"
#include "client/text.h"
#include "client/verb.h"
#include "client/wait.h"

#define ARGS_MAX 8

static const char *const verb_names[] = {
#define VERB(name, min, max, flags, usage, text) #name,
#include "client/verbs.def"
#undef VERB
};

static const char *const error_names[] = {
#define FAULT(error, code, sentence) error,
#include "client/faults.def"
#undef FAULT
};

/* As the shell would hand it over: words parted by single blanks. *ctl is zero before. */
static int parse(struct ctl *ctl, const char *line, char **ret_copy)
{
	char *argv[ARGS_MAX + 1] = {(char[]){"wpctl"}};
	int argc = 1;
	char *rest = *ret_copy = strdup(line);

	ck_assert_ptr_nonnull(rest);
	for (char *word = strsep(&rest, " "); word && *line; word = strsep(&rest, " ")) {
		ck_assert_int_lt(argc, ARGS_MAX);
		argv[argc++] = word;
	}
	return verb_parse(ctl, argc, argv);
}

struct line_row {
	const char *line;
	int code;
	const char *verb;
	size_t n_names;
};

static const struct line_row line_rows[] = {
	{"", 0, "status", 0},
	{"-j", 0, "status", 0},
	{"status a b c", 0, "status", 3},
	{"post sleep", 0, "post", 1},
	{"post sleep -", 0, "post", 2},
	{"post sleep -p mail --wait --timeout=5s", 0, "post", 1},
	{"post -pmail sleep -jq", 0, "post", 1},
	{"post", CODE_USAGE, NULL, 0},
	{"post a b c", CODE_USAGE, NULL, 0},
	{"post a --wait=x", CODE_USAGE, NULL, 0},
	{"post a --timeout", CODE_USAGE, NULL, 0},
	{"post a --name=", CODE_USAGE, NULL, 0},
	{"post a --nam=x", CODE_USAGE, NULL, 0},
	{"post a -x", CODE_USAGE, NULL, 0},
	{"post a --json=1", CODE_USAGE, NULL, 0},
	{"resize mail -2", 0, "resize", 2},
	{"resize mail +2 --capacity 0", 0, "resize", 2},
	{"resize mail 2 --capacity 10000001", CODE_USAGE, NULL, 0},
	{"resize mail 2 --capacity -1", CODE_USAGE, NULL, 0},
	{"pause", CODE_USAGE, NULL, 0},
	{"pause --all", 0, "pause", 0},
	{"pause a b", 0, "pause", 2},
	{"drain --all a", CODE_USAGE, NULL, 0},
	{"resume", CODE_USAGE, NULL, 0},
	{"shutdown --drain", 0, "shutdown", 0},
	{"shutdown --now --now", 0, "shutdown", 0},
	{"shutdown --drain --now", CODE_USAGE, NULL, 0},
	{"shutdown mail", CODE_USAGE, NULL, 0},
	{"list --limit 0", CODE_USAGE, NULL, 0},
	{"tune mail --handler x --tolerance 0.5%", 0, "tune", 1},
	{"tune mail --tolerance=50", 0, "tune", 1},
	{"tune mail --tolerance 0", CODE_USAGE, NULL, 0},
	{"tune mail --tolerance 51%", CODE_USAGE, NULL, 0},
	{"tune mail --tolerance 5%%", CODE_USAGE, NULL, 0},
	{"tune mail --tolerance nan", CODE_USAGE, NULL, 0},
	{"tune mail --tolerance -1%", CODE_USAGE, NULL, 0},
	{"list --mine --state done", 0, "list", 0},
	{"show", CODE_USAGE, NULL, 0},
	{"show -- -j", 0, "show", 1},
	{"--color sometimes", CODE_USAGE, NULL, 0},
	{"--color never ping", 0, "ping", 0},
	{"frobnicate", CODE_USAGE, NULL, 0},
	{"wait --mine 1", CODE_USAGE, NULL, 0},
	{"post \xff", CODE_USAGE, NULL, 0},
	{"show --help", 0, "show", 0},
	{"show --name late", 0, "show", 0},
	{"show --name a,b 7 --name c", 0, "show", 1},
	{"show --name=", CODE_USAGE, NULL, 0},
	{"wait --name a --timeout 1s", 0, "wait", 0},
	{"wait --timeout 1s", CODE_USAGE, NULL, 0},
	{"post a --priority 9 --retries 0 -f", 0, "post", 1},
	{"post a --priority 10", CODE_USAGE, NULL, 0},
	{"post a --priority -1", CODE_USAGE, NULL, 0},
	{"post a --retries 1001", CODE_USAGE, NULL, 0},
	{"post a --unique=", CODE_USAGE, NULL, 0},
	{"post a --delay soon", CODE_USAGE, NULL, 0},
	{"log 1 -f --propagate", 0, "log", 1},
	{"log 1 2", CODE_USAGE, NULL, 0},
	{"cancel --handler h --mine", 0, "cancel", 0},
	{"cancel --name a", CODE_USAGE, NULL, 0},
	{"retry", CODE_USAGE, NULL, 0},
	{"explain", CODE_USAGE, NULL, 0},
	{"events --kind done,failed --kind lost", 0, "events", 0},
	{"events mail", CODE_USAGE, NULL, 0},
	{"reload --dry-run", 0, "reload", 0},
	{"reload mail", CODE_USAGE, NULL, 0},
	{"config pool mail", CODE_USAGE, NULL, 0},
};

START_TEST(test_verb_parse_judges_every_row)
{
	const struct line_row *row = &line_rows[_i];
	struct ctl ctl = {0};
	char *copy;

	ck_assert_msg(parse(&ctl, row->line, &copy) == row->code, "\"%s\"", row->line);
	if (row->code == 0) {
		ck_assert_str_eq(ctl.verb->name, row->verb);
		ck_assert_uint_eq(ctl.n_names, row->n_names);
	}
	free(ctl.names);
	free(copy);
}
END_TEST

START_TEST(test_verb_parse_fills_fields_and_leaves_the_rest_not_given)
{
	struct ctl ctl = {0};
	char *copy;

	ck_assert_int_eq(parse(&ctl, "--timeout 2s post sleep --timeout 1500ms --wait", &copy), 0);
	ck_assert_uint_eq(ctl.opts.timeout_us, 2000000);
	ck_assert_uint_eq(ctl.opts.task_us, 1500000);
	ck_assert_uint_eq(ctl.opts.wait_us, 0);
	ck_assert_uint_eq(ctl.opts.for_us, OPT_NOT_GIVEN);
	ck_assert_uint_eq(ctl.opts.limit, OPT_NOT_GIVEN);
	ck_assert_ptr_null(ctl.opts.pool);
	free(ctl.names);
	free(copy);
}
END_TEST

START_TEST(test_verb_parse_collects_a_flag_that_is_given_again)
{
	struct ctl ctl = {0};
	char *copy;

	ck_assert_int_eq(parse(&ctl, "events --kind a,b --kind=c", &copy), 0);
	ck_assert_uint_eq(ctl.opts.kinds.n, 2);
	ck_assert_str_eq(ctl.opts.kinds.texts[0], "a,b");
	ck_assert_str_eq(ctl.opts.kinds.texts[1], "c");
	ck_assert_uint_eq(ctl.opts.by_name.n, 0);
	free(ctl.names);
	free(copy);
}
END_TEST

START_TEST(test_verb_parse_refuses_a_flag_that_is_given_too_often)
{
	char *argv[2 * OPT_LIST_MAX + 5] = {"wpctl", "show"};
	struct ctl ctl = {0};
	int argc = 2;

	for (int i = 0; i < OPT_LIST_MAX; i++) {
		argv[argc++] = "--name";
		argv[argc++] = "x";
	}
	ck_assert_int_eq(verb_parse(&ctl, argc, argv), 0);
	ck_assert_uint_eq(ctl.opts.by_name.n, OPT_LIST_MAX);
	free(ctl.names);
	ctl = (struct ctl){0};
	argv[argc++] = "--name=x";
	ck_assert_int_eq(verb_parse(&ctl, argc, argv), CODE_USAGE);
	free(ctl.names);
}
END_TEST

/* Each row of verbs.def has help, and refuses a flag that it has not. */
START_TEST(test_verb_row_has_help_and_refuses_unknown_flags)
{
	char line[64];
	char *text = NULL;
	size_t len = 0;
	struct ctl ctl = {0};
	char *copy;

	(void)snprintf(line, sizeof(line), "%s --help", verb_names[_i]);
	ck_assert_int_eq(parse(&ctl, line, &copy), 0);
	FILE *to = open_memstream(&text, &len);
	ck_assert_ptr_nonnull(to);
	verb_write_help(ctl.verb, to);
	ck_assert_int_eq(fclose(to), 0);
	ck_assert_ptr_nonnull(strstr(text, verb_names[_i]));
	ck_assert_ptr_nonnull(strstr(text, ctl.verb->text));
	free(text);
	free(ctl.names);
	free(copy);

	(void)snprintf(line, sizeof(line), "%s --frobnicate", verb_names[_i]);
	ctl = (struct ctl){0};
	ck_assert_int_eq(parse(&ctl, line, &copy), CODE_USAGE);
	free(ctl.names);
	free(copy);
}
END_TEST

/* The column in which `text` begins. */
static size_t help_column(const char *line, const char *text)
{
	const char *help = strstr(line, text);

	ck_assert_ptr_nonnull(help);
	return text_width((struct view){line, (size_t)(help - line)});
}

START_TEST(test_verb_help_is_aligned_by_characters)
{
	struct ctl ctl = {0};
	char *copy, *text = NULL;
	size_t len = 0;

	ck_assert_int_eq(parse(&ctl, "bench --help", &copy), 0);
	FILE *to = open_memstream(&text, &len);
	ck_assert_ptr_nonnull(to);
	verb_write_help(ctl.verb, to);
	ck_assert_int_eq(fclose(to), 0);
	const char *runs = strstr(text, "      --runs");
	const char *workers = strstr(text, "      --workers");
	ck_assert(runs && workers);
	ck_assert_uint_eq(help_column(runs, "runs for each"), help_column(workers, "numbers of"));
	free(text);
	free(ctl.names);
	free(copy);
}
END_TEST

static char *sentence(const char *error, json_t *params)
{
	struct buf out;

	buf_init(&out, TEXT_LIMIT);
	ck_assert_int_eq(fault_append_sentence(&out, error, params), 0);
	char *text = mem_dup(buf_view(&out).data, buf_len(&out));
	ck_assert_ptr_nonnull(text);
	buf_done(&out);
	json_decref(params);
	return text;
}

START_TEST(test_fault_row_has_a_code_and_a_whole_sentence)
{
	char *text = sentence(error_names[_i], json_object());

	ck_assert_int_ne(fault_code(error_names[_i]), 0);
	ck_assert_ptr_nonnull(strstr(text, ": "));
	ck_assert_ptr_null(strpbrk(text, "{}|"));
	free(text);
}
END_TEST

START_TEST(test_fault_sentence_is_filled_with_the_parameters)
{
	char *text = sentence("org.workpool.AtCapacity",
		json_pack("{s:s, s:i, s:i}", "pool", "mail", "queued", 100, "capacity", 100));

	ck_assert_str_eq(text, "AtCapacity: pool \"mail\" has 100 of 100 queued");
	free(text);
	text = sentence("org.workpool.AtCapacity",
		json_pack("{s:s, s:i, s:i, s:i}", "pool", "mail", "queued", 100, "capacity", 100,
			"retry_after_ms", 1200));
	ck_assert_str_eq(
		text, "AtCapacity: pool \"mail\" has 100 of 100 queued; room in about 1200 ms");
	free(text);
	text = sentence("org.workpool.Duplicate", json_pack("{s:s}", "id", "7"));
	ck_assert_str_eq(text, "Duplicate: task 7 has this key and has not ended");
	free(text);
	text = sentence("org.example.Odd", json_pack("{s:i}", "n", 1));
	ck_assert_str_eq(text, "Odd: {\"n\":1}");
	free(text);
	text = sentence("org.example.Odd", json_object());
	ck_assert_str_eq(text, "Odd");
	free(text);
	ck_assert_int_eq(fault_code("org.example.Odd"), CODE_TASK);
}
END_TEST

static const struct {
	const char *text;
	const char *safe;
	size_t width;
} safe_rows[] = {
	{"", "", 0},
	{"plain text", "plain text", 10},
	{"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", 4},
	{"\xe2\x82\xac\xf0\x9f\x98\x80", "\xe2\x82\xac\xf0\x9f\x98\x80", 2},
	{"a\tb\nc\x7f", "a\\x09b\\x0ac\\x7f", 15},
	{"\x1b[31m", "\\x1b[31m", 8},
	{"\xc2\x9b"
	 "31m",
		"\\xc2\\x9b31m", 11},
	{"\xc2\xa0", "\xc2\xa0", 1},
	{"\xff\xc3", "\\xff\\xc3", 8},
	{"\xed\xa0\x80", "\\xed\\xa0\\x80", 12},
};

START_TEST(test_text_safe_keeps_characters_and_escapes_the_rest)
{
	struct buf out;

	buf_init(&out, TEXT_LIMIT);
	ck_assert_int_eq(text_append_safe(&out, view_of(safe_rows[_i].text)), 0);
	ck_assert(view_is_equal(buf_view(&out), view_of(safe_rows[_i].safe)));
	ck_assert_uint_eq(text_width(buf_view(&out)), safe_rows[_i].width);
	buf_done(&out);
}
END_TEST

static const struct {
	uint64_t us;
	const char *text;
} duration_rows[] = {
	{0, "0 us"},
	{999, "999 us"},
	{1000, "1.00 ms"},
	{9994, "9.99 ms"},
	{9996, "10.0 ms"},
	{123456, "123 ms"},
	{1000000, "1.00 s"},
	{59940000, "59.9 s"},
	{60000000, "1min 0s"},
	{3599000000, "59min 59s"},
	{3600000000, "1h 0min"},
	{90000000000, "1d 1h"},
	{UINT64_MAX, "213503982d 8h"},
};

START_TEST(test_text_duration_prints_every_row)
{
	struct buf out;

	buf_init(&out, TEXT_LIMIT);
	ck_assert_int_eq(text_append_duration(&out, duration_rows[_i].us), 0);
	ck_assert(view_is_equal(buf_view(&out), view_of(duration_rows[_i].text)));
	buf_done(&out);
}
END_TEST

static const struct {
	const char *pattern;
	const char *text;
	bool is_full;
} sentence_rows[] = {
	{"", "", true},
	{"plain", "plain", true},
	{"{a}", "7", true},
	{"x{t}y{a}z", "xwordy7z", true},
	{"{none}", "?", false},
	{"{none}|{a}", "7", false},
	{"{a}|{none}", "7", false},
	{"{none}|{no}", "?", false},
	{"all {none}|some", "some", false},
	{"open {", "open {", true},
	{"open {a", "open {a", true},
	{"close } {a}", "close } 7", true},
	{"{o}", "{\"k\":1}", true},
};

START_TEST(test_sentence_takes_the_first_alternative_that_is_full)
{
	json_t *params = json_pack("{s:i, s:s, s:{s:i}}", "a", 7, "t", "word", "o", "k", 1);
	struct buf out;

	buf_init(&out, TEXT_LIMIT);
	ck_assert_int_eq(sentence_append(&out, sentence_rows[_i].pattern, params), 0);
	ck_assert(view_is_equal(buf_view(&out), view_of(sentence_rows[_i].text)));
	ck_assert(sentence_is_full(sentence_rows[_i].pattern, params) == sentence_rows[_i].is_full);
	buf_done(&out);
	json_decref(params);
}
END_TEST

/* For a program and for a person; a time that depends on the zone is not among them. */
static const struct {
	enum print_kind kind;
	const char *json;
	const char *plain;
	const char *shown;
} cell_rows[] = {
	{PRINT_TEXT, "\"a\\u001bb\"", "a\\x1bb", "a\\x1bb"},
	{PRINT_STATE, "\"done\"", "done", "done"},
	{PRINT_NUMBER, "12", "12", "12"},
	{PRINT_NUMBER, "0.5", "0.500", "0.500"},
	{PRINT_US, "1500", "1.500", "1.50 ms"},
	{PRINT_US, "-1", "-0.001", "0 us"},
	{PRINT_MS, "1500", "1500", "1.50 s"},
	{PRINT_YES, "true", "yes", "yes"},
	{PRINT_YES, "false", "no", "no"},
	{PRINT_PERMILLE, "255", "255", "25.5 %"},
	{PRINT_PERMILLE, "1000", "1000", "100.0 %"},
	{PRINT_LIST, "[]", "-", "-"},
	{PRINT_LIST, "[\"a\", \"b\\t\"]", "a,b\\x09", "a,b\\x09"},
	{PRINT_JSON, "{\"a\": [1]}", "{\"a\":[1]}", "{\"a\":[1]}"},
};

START_TEST(test_cell_of_each_kind_for_programs_and_for_people)
{
	json_t *value = json_loads(cell_rows[_i].json, JSON_DECODE_ANY, NULL);
	struct buf out;

	ck_assert_ptr_nonnull(value);
	buf_init(&out, TEXT_LIMIT);
	ck_assert_int_eq(cell_append(cell_rows[_i].kind, false, value, &out), 0);
	ck_assert(view_is_equal(buf_view(&out), view_of(cell_rows[_i].plain)));
	buf_consume(&out, buf_len(&out));
	ck_assert_int_eq(cell_append(cell_rows[_i].kind, true, value, &out), 0);
	ck_assert(view_is_equal(buf_view(&out), view_of(cell_rows[_i].shown)));
	buf_done(&out);
	json_decref(value);
}
END_TEST

START_TEST(test_text_clock_tells_the_day_of_what_is_not_today)
{
	static const double now = 1767268800; /* 2026-01-01 12:00:00 UTC */
	struct buf out;

	ck_assert_int_eq(setenv("TZ", "UTC", 1), 0);
	buf_init(&out, TEXT_LIMIT);
	ck_assert_int_eq(text_append_clock(&out, now + 61, now), 0);
	ck_assert(view_is_equal(buf_view(&out), view_of("12:01:01")));
	buf_consume(&out, buf_len(&out));
	ck_assert_int_eq(text_append_clock(&out, now + 86400, now), 0);
	ck_assert(view_is_equal(buf_view(&out), view_of("01-02 12:00")));
	buf_consume(&out, buf_len(&out));
	ck_assert_int_eq(text_append_clock(&out, now - 365 * 86400.0, now), 0);
	ck_assert(view_is_equal(buf_view(&out), view_of("01-01 12:00")));
	buf_done(&out);
}
END_TEST

static const struct {
	const char *task;
	int code;
	int propagated;
} outcome_rows[] = {
	{"{\"state\": \"done\", \"result\": {\"exit\": 0}}", 0, 0},
	{"{\"state\": \"failed\", \"result\": {\"exit\": 3}}", CODE_TASK, 3},
	{"{\"state\": \"failed\", \"result\": {\"signal\": 9}}", CODE_TASK, 137},
	{"{\"state\": \"failed\", \"result\": {\"exit\": 256}}", CODE_TASK, CODE_TASK},
	{"{\"state\": \"expired\"}", CODE_TASK, CODE_TASK},
	{"{\"state\": \"lost\"}", CODE_TASK, CODE_TASK},
	{"{}", CODE_TASK, CODE_TASK},
};

START_TEST(test_outcome_code_is_that_of_the_task_or_of_its_program)
{
	json_t *task = json_loads(outcome_rows[_i].task, 0, NULL);

	ck_assert_ptr_nonnull(task);
	ck_assert_int_eq(outcome_code(task, false), outcome_rows[_i].code);
	ck_assert_int_eq(outcome_code(task, true), outcome_rows[_i].propagated);
	json_decref(task);
}
END_TEST

START_TEST(test_print_lookup_follows_dots)
{
	json_t *object = json_pack("{s:{s:{s:i}}, s:s}", "a", "b", "c", 7, "t", "x");

	ck_assert_int_eq(print_int(object, "a.b.c"), 7);
	ck_assert_int_eq(print_int(object, "a.b.d"), 0);
	ck_assert_int_eq(print_int(object, "a.x.c"), 0);
	ck_assert_int_eq(print_int(object, "t.b"), 0);
	ck_assert_str_eq(print_text(object, "t"), "x");
	ck_assert_str_eq(print_text(object, "a"), "");
	ck_assert_str_eq(print_text(NULL, "a.b"), "");
	json_decref(object);
}
END_TEST

START_TEST(test_wait_deadline_does_not_wrap)
{
	ck_assert_uint_eq(wait_deadline(WAIT_FOREVER), WAIT_FOREVER);
	ck_assert_uint_eq(wait_deadline(WAIT_FOREVER - 1), WAIT_FOREVER);
	ck_assert_uint_lt(wait_deadline(0), wait_deadline(1000000000));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wpctl");
	TCase *tcase = tcase_create("wpctl");

	tcase_add_loop_test(tcase, test_verb_parse_judges_every_row, 0, (int)ARRAY_SIZE(line_rows));
	tcase_add_test(tcase, test_verb_parse_fills_fields_and_leaves_the_rest_not_given);
	tcase_add_loop_test(tcase, test_verb_row_has_help_and_refuses_unknown_flags, 0,
		(int)ARRAY_SIZE(verb_names));
	tcase_add_test(tcase, test_verb_help_is_aligned_by_characters);
	tcase_add_loop_test(tcase, test_fault_row_has_a_code_and_a_whole_sentence, 0,
		(int)ARRAY_SIZE(error_names));
	tcase_add_test(tcase, test_fault_sentence_is_filled_with_the_parameters);
	tcase_add_loop_test(tcase, test_text_safe_keeps_characters_and_escapes_the_rest, 0,
		(int)ARRAY_SIZE(safe_rows));
	tcase_add_loop_test(
		tcase, test_text_duration_prints_every_row, 0, (int)ARRAY_SIZE(duration_rows));
	tcase_add_test(tcase, test_verb_parse_collects_a_flag_that_is_given_again);
	tcase_add_test(tcase, test_verb_parse_refuses_a_flag_that_is_given_too_often);
	tcase_add_loop_test(tcase, test_sentence_takes_the_first_alternative_that_is_full, 0,
		(int)ARRAY_SIZE(sentence_rows));
	tcase_add_loop_test(tcase, test_cell_of_each_kind_for_programs_and_for_people, 0,
		(int)ARRAY_SIZE(cell_rows));
	tcase_add_test(tcase, test_text_clock_tells_the_day_of_what_is_not_today);
	tcase_add_loop_test(tcase, test_outcome_code_is_that_of_the_task_or_of_its_program, 0,
		(int)ARRAY_SIZE(outcome_rows));
	tcase_add_test(tcase, test_print_lookup_follows_dots);
	tcase_add_test(tcase, test_wait_deadline_does_not_wrap);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
