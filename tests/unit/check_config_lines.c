/*
 * check_config_lines: what a text may look like, which sections and keys there are, and the rules over several keys; what is
 * wrong is refused with the line that says so.
 */
#include "base/clock.h"
#include "config/build.h"
#include "config/lines.h"
#include "config_fixture.h"

/* Lines. */

START_TEST(test_config_lines_are_taken_as_meant)
{
	struct settings *settings = load("\xef\xbb\xbf# BOM and CRLF\r\n"
					 "; another comment ; # with = and [x]\r\n"
					 "  [ pool \t mail ]  \r\n"
					 "\t workers=5 \r\n"
					 "\r\n"
					 "   capacity   =  0\r\n"
					 "[handler x]\n"
					 "type = exec\n"
					 "command = /bin/sh -c 'a=b;c: d#e [f]'\n"
					 "[access]");
	const struct settings_pool *mail = settings_find_pool(settings, "mail");

	ck_assert_ptr_nonnull(mail);
	ck_assert_uint_eq(mail->workers.number, 5);
	ck_assert_uint_eq(mail->capacity, 0);
	ck_assert_str_eq(
		settings_find_handler(settings, "x")->command, "/bin/sh -c 'a=b;c: d#e [f]'");
	ck_assert(settings->access.given);
	settings_free(settings);
}
END_TEST

START_TEST(test_config_lines_that_mean_nothing_are_refused)
{
	static const char pair[] = "neither [section], nor key = value, nor a comment";
	static const char comment[] =
		"a \";\" or \"#\" behind a blank: a comment needs a line of its own";
	static const char section[] = "a section is a line of its own: [name] or [name NAME]";
	static const struct {
		const char *text;
		unsigned line;
		const char *reason;
	} cases[] = {
		{"[daemon]\nfoo\n", 2, pair},
		{"[daemon]\n= x\n", 2, pair},
		{"[daemon]\nlog: stderr\n", 2, pair},
		{"[access]\nadmin = a,\n  b\n", 3, pair},
		{"[daemon]\nlog = stderr ; why\n", 2, comment},
		{"[daemon]\nlog = stderr\t# why\n", 2, comment},
		{"[daemon]\nsocket = ;\n", 2, comment},
		{"[daemon\n", 1, section},
		{"[daemon] log = stderr\n", 1, section},
		{"[pool a]b]\n", 1, section},
		{"[\n", 1, section},
		{"\n[daemon]\nlog = std\x01err\n", 3, "a NUL or another control character"},
		{"# a\rb = c\n", 1, "a NUL or another control character"},
		{"# \x7f\n", 1, "a NUL or another control character"},
		{"[daemon]\nsocket = /\xff\n", 2, "the line is not UTF-8"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char expected[CONFIG_WHY_SIZE];

		(void)snprintf(
			expected, sizeof(expected), "f:%u: %s", cases[i].line, cases[i].reason);
		refused(cases[i].text, expected);
	}
	load_fails(VIEW_LIT("[daemon]\nlog = std\0err\n"), -EINVAL,
		"f:2: a NUL or another control character");
	load_fails(VIEW_LIT("[daemon]\n\0"), -EINVAL, "f:2: a NUL or another control character");
}
END_TEST

START_TEST(test_config_lines_have_a_length)
{
	static char text[LINES_MAX + 64];
	struct settings *settings;
	size_t head = strlen("[handler x]\ntype = exec\n");

	memset(text, 'a', sizeof(text));
	memcpy(text, "[handler x]\ntype = exec\n", head);
	memcpy(text + head, "command = /", 11);
	memcpy(text + head + LINES_MAX, "\n", 2);
	settings = load(text); /* the longest line comes back whole */
	ck_assert_uint_eq(strlen(settings_find_handler(settings, "x")->command), LINES_MAX - 10);
	settings_free(settings);
	memcpy(text + head + LINES_MAX, "a\n", 3);
	refused(text, "f:3: the line is longer than 4096 bytes");
	text[head] = '#';
	refused(text, "f:3: the line is longer than 4096 bytes");
}
END_TEST

START_TEST(test_config_sections_and_keys_must_be_known)
{
	static const struct {
		const char *text;
		const char *expected;
	} cases[] = {
		{"x = y\n", "f:1: x: a key before the first [section]"},
		{"[foo]\n", "f:1: [foo]: unknown section"},
		{"[plugin db]\n", "f:1: [plugin db]: unknown section"},
		{"[resource]\n", "f:1: [resource]: a name of 1 to 64 letters, digits, \"-\", "
				 "\"_\" and \".\" belongs here"},
		{"[]\n", "f:1: []: unknown section"},
		{"[Pool x]\n", "f:1: [Pool x]: unknown section"},
		{"[daemon x]\n", "f:1: [daemon x]: this section takes no name"},
		{"[pool]\n", "f:1: [pool]: a name of 1 to 64 letters, digits, \"-\", \"_\" and "
			     "\".\" belongs here"},
		{"[pool a b]\n", "f:1: [pool a b]: a name of 1 to 64 letters, digits, \"-\", \"_\" "
				 "and \".\" belongs here"},
		{"[daemon]\nworkers = 1\n", "f:2: [daemon] workers: unknown key"},
		{"[pool mail]\nwrokers = 1\n", "f:2: [pool mail] wrokers: unknown key"},
		{"[pool mail]\n# unbuilt\nworkers_min = 1\n",
			"f:3: [pool mail] workers_min: unknown key"},
		{"[daemon]\nname = x\n", "f:2: [daemon] name: unknown key"},
		{"[pool mail]\nname = x\n", "f:2: [pool mail] name: unknown key"},
		{"[access]\ngiven = yes\n", "f:2: [access] given: unknown key"},
		{"[pool mail]\nworkers = x\n",
			"f:2: [pool mail] workers: \"x\": a number from 1 to 1024 or \"3/core\""},
		{"[pool a]\n[pool b]\n[pool a]\n", "f:3: [pool a]: stands in line 1 already"},
		{"[daemon]\n[daemon]\n", "f:2: [daemon]: stands in line 1 already"},
		{"[pool a]\nworkers = 1\nworkers = 1\n",
			"f:3: [pool a] workers: stands in line 2 already"},
		{"[store]\ntype = file\n", "f:2: [store] type: \"file\": memory or sqlite"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		refused(cases[i].text, cases[i].expected);
}
END_TEST

START_TEST(test_config_names_are_not_cut)
{
	static const char a[] =
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; /* 64 */
	char text[256];
	struct settings *settings;

	(void)snprintf(text, sizeof(text), "[pool %s]\n[pool %.63s]\n", a, a);
	settings = load(text);
	ck_assert_uint_eq(settings->n_pools, 3);
	ck_assert_ptr_nonnull(settings_find_pool(settings, a));
	settings_free(settings);
	(void)snprintf(text, sizeof(text), "[pool %sb]\n", a);
	ck_assert_int_eq(config_load_text(view_of(text), "f", &settings, why), -EINVAL);
	(void)snprintf(
		text, sizeof(text), "[resource %s]\n[handler echo]\nresources = %sb\n", a, a);
	ck_assert_int_eq(config_load_text(view_of(text), "f", &settings, why), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "...\": names, parted by commas or blanks"));
}
END_TEST

START_TEST(test_config_sections_have_a_limit)
{
	struct buf text;

	buf_init(&text, 1 << 20);
	for (int i = 1; i < SETTINGS_POOLS_MAX; i++)
		ck_assert_int_eq(buf_printf(&text, "[pool p%d]\n", i), 0);
	settings_free(load("[pool p1]"));
	ck_assert_int_eq(buf_append(&text, "[pool one-more]\n", 17), 0);
	refused(buf_view(&text).data, "f:256: [pool one-more]: too many sections of this kind");
	buf_done(&text);
	buf_init(&text, 1 << 20);
	for (int i = 0; i < SETTINGS_RESOURCES_MAX; i++)
		ck_assert_int_eq(buf_printf(&text, "[resource r%d]\n", i), 0);
	ck_assert_int_eq(buf_append(&text, "[resource one-more]\n", 21), 0);
	refused(buf_view(&text).data, "f:65: [resource one-more]: too many sections of this kind");
	buf_done(&text);
	buf_init(&text, 1 << 20);
	for (int i = BUILD_BUILTINS; i < SETTINGS_HANDLERS_MAX; i++)
		ck_assert_int_eq(buf_printf(&text, "[handler h%d]\n", i), 0);
	ck_assert_int_eq(buf_append(&text, "[handler one-more]\n", 20), 0);
	refused(buf_view(&text).data, "f:1021: [handler one-more]: too many sections of this kind");
	buf_done(&text);
}
END_TEST

START_TEST(test_config_errors_quote_safely)
{
	static const char secret[] = "hunter2:@";
	struct settings *settings = NULL;
	char text[4000];

	refused("[daemon]\nlog = \xc3\xa4\n",
		"f:2: [daemon] log: \"\\xc3\\xa4\": auto, stderr or journal");
	memset(text, 'x', sizeof(text));
	memcpy(text, "[daemon]\nlog = ", 15);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(config_load_text(view_of(text), "f", &settings, why), -EINVAL);
	ck_assert_uint_lt(strlen(why), 200);
	ck_assert_ptr_nonnull(strstr(why, "xxx...\": auto, stderr or journal"));
	(void)snprintf(text, sizeof(text), "[mongodb]\nuri = http://%s\n", secret);
	ck_assert_int_eq(config_load_text(view_of(text), "f", &settings, why), -EINVAL);
	ck_assert_ptr_null(strstr(why, "hunter2"));
}
END_TEST

/* Rules. */

START_TEST(test_config_rules_bind_keys_together)
{
	static const struct {
		const char *text;
		const char *expected;
	} cases[] = {
		{"[handler x]\n", "f:1: [handler x]: the key \"type\" is missing: exec, coprocess, "
				  "mongodb or plugin"},
		{"[handler x]\ntype =\n", "f:1: [handler x]: the key \"type\" is missing: exec, "
					  "coprocess, mongodb or plugin"},
		{"[handler x]\ntype = builtin\n", "f:2: [handler x] type: \"builtin\": only noop, "
						  "echo, sleep and fail are built in: "
						  "exec, coprocess, mongodb or plugin"},
		{"[handler sleep]\ntype = exec\ncommand = /x\n",
			"f:2: [handler sleep] type: \"exec\": this handler is built in: its type "
			"cannot be "
			"changed"},
		{"[handler sleep]\ncommand = /x\n", "f:2: [handler sleep] command: a handler of "
						    "type builtin does not have this key"},
		{"[handler x]\ndatabase = d\ntype = exec\ncommand = /x\n",
			"f:2: [handler x] database: a handler of type exec does not have this key"},
		{SOME_URI "[handler x]\ntype = mongodb\n" SOME_MONGO "nice = 1\n",
			"f:8: [handler x] nice: a handler of type mongodb does not have this key"},
		{"[handler x]\ntype = coprocess\ncommand = /x\nstdin = none\n",
			"f:4: [handler x] stdin: a handler of type coprocess does not have this "
			"key"},
		{"[handler x]\ntype = exec\ncommand = /x\nrecycle_tasks = 3\n",
			"f:4: [handler x] recycle_tasks: a handler of type exec does not have this "
			"key"},
		{"[handler x]\ntype = coprocess\n",
			"f:1: [handler x]: type coprocess needs the key \"command\""},
		{"[handler x]\ntype = coprocess\ncommand = /x\noperation = find\n",
			"f:4: [handler x] operation: a handler of type coprocess does not have "
			"this "
			"key"},
		{"[handler x]\ntype = coprocess\ncommand = /x\nrecycle_rss = 4K\n",
			"f:4: [handler x] recycle_rss: \"4K\": a size from 1M to 1T, or 0 (none)"},
		{"[handler x]\ntype = exec\n",
			"f:1: [handler x]: type exec needs the key \"command\""},
		{"[handler x]\ntype = exec\ncommand =\n",
			"f:3: [handler x]: type exec needs the key \"command\""},
		{SOME_URI "[handler x]\ntype = mongodb\ndatabase = d\ncollection = c\n",
			"f:3: [handler x]: type mongodb needs the key \"operation\""},
		{SOME_URI "[handler x]\ntype = mongodb\noperation = find\ncollection = c\n",
			"f:3: [handler x]: type mongodb needs the key \"database\""},
		{SOME_URI "[handler x]\ntype = mongodb\noperation = find\ndatabase = d\n",
			"f:3: [handler x]: type mongodb needs the key \"collection\""},
		{SOME_URI "[handler x]\ntype = mongodb\noperation = aggregate\ndatabase = d\n"
			  "collection = c\n",
			"f:5: [handler x] operation: \"aggregate\": needs a \"pipeline\", or "
			"\"operators = "
			"yes\" to take those of tasks"},
		{"[handler x]\ntype = mongodb\n" SOME_MONGO,
			"f:1: [handler x]: type mongodb needs a server: the credential "
			"mongodb-uri, or uri in "
			"[mongodb]"},
		{"[handler x]\ntype = exec\ncommand = /x\npool = mail\n",
			"f:4: [handler x] pool: \"mail\": there is no section [pool mail]"},
		{"[handler echo]\npool = mail\n",
			"f:2: [handler echo] pool: \"mail\": there is no section [pool mail]"},
		{"[handler echo]\nmax_output = 2M\n",
			"f:2: [handler echo] max_output: more than [daemon] max_output allows"},
		{"[handler echo]\nmax_args = 2M\n",
			"f:2: [handler echo] max_args: more than [daemon] max_message allows"},
		{"[handler echo]\nbackoff_min = 2s\nbackoff_max = 1500ms\n",
			"f:2: [handler echo] backoff_min: \"2s\": more than backoff_max, which is "
			"1500ms"},
		{"[handler echo]\n\nbackoff_min = 11min\n",
			"f:3: [handler echo] backoff_min: \"11min\": more than backoff_max, which "
			"is 10min"},
		{"[handler echo]\nbackoff_max = 10ms\n",
			"f:2: [handler echo] backoff_max: \"10ms\": less than backoff_min, which "
			"is 1s"},
		{"[handler echo]\nresources = db, disk\n[resource db]\n",
			"f:2: [handler echo] resources: \"disk\": there is no section [resource "
			"disk]"},
		{"[handler echo]\nresources = db db\n[resource db]\n",
			"f:2: [handler echo] resources: \"db\": stands there twice"},
		{"[handler echo]\nresources = db\nweight = 3\n[resource db]\nmax_active = 2\n",
			"f:3: [handler echo] weight: \"3\": more than max_active of [resource db], "
			"which is 2"},
		{"[resource a]\n[resource b]\n[resource c]\n[resource d]\n[resource e]\n"
		 "[resource f]\n[resource g]\n[resource h]\n[resource i]\n"
		 "[handler echo]\nresources = a b c d e f g h i\n",
			"f:11: [handler echo] resources: \"i\": one more than 8 resources"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		refused(cases[i].text, cases[i].expected);
}
END_TEST

START_TEST(test_config_keys_of_a_handler_depend_on_its_type)
{
	static const struct {
		const char *text;
		const char *expected;
	} cases[] = {
		{"[handler x]\nfoo = 1\ntype = exec\ncommand = /x\n",
			"f:2: [handler x] foo: unknown key"},
		{"[handler x]\ntipe = exec\n", "f:2: [handler x] tipe: unknown key"},
		{"[handler x]\nnice = 99\ntype = exec\ncommand = /x\n",
			"f:2: [handler x] nice: \"99\": a number from -20 to 19"},
		{"[handler x]\nnice = 1\ntype = exec\ncommand = /x\nnice = 2\n",
			"f:5: [handler x] nice: stands in line 2 already"},
		{"[handler x]\ntype = plugin\n",
			"f:1: [handler x]: type plugin needs the key \"module\""},
		{"[handler x]\ntype = plugin\nmodule = x.so\n",
			"f:3: [handler x] module: \"x.so\": an absolute path of at most 4095 "
			"bytes"},
		{"[handler x]\ntype = plugin\nmodule = /x.so\nsymbol = a b\n",
			"f:4: [handler x] symbol: \"a b\": at most 255 bytes without $ blank "
			"\"/\\"},
		{"[handler x]\ntype = plugin\nmodule = /x.so\nfoo = 1\nfoo = 2\n",
			"f:5: [handler x] foo: stands in line 4 already"},
		{"[handler x]\nfoo bar = 1\ntype = plugin\nmodule = /x.so\n",
			"f:2: [handler x] foo bar: a plugin's key has 1 to 64 letters, digits, "
			"\"-\", \"_\" and \".\""},
	};
	struct settings *settings = NULL;
	struct buf text;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		refused(cases[i].text, cases[i].expected);
	buf_init(&text, 1 << 16);
	ck_assert_int_eq(buf_printf(&text, "[handler x]\ntype = plugin\nmodule = /x.so\n"), 0);
	for (int i = 0; i < 63; i++) /* and module */
		ck_assert_int_eq(buf_printf(&text, "key%d = %d\n", i, i), 0);
	ck_assert_int_eq(config_load_text(buf_view(&text), "f", &settings, why), 0);
	settings_free(settings);
	ck_assert_int_eq(buf_printf(&text, "one = more\n"), 0);
	load_fails(buf_view(&text), -EINVAL,
		"f:67: [handler x] one: one more than the 64 keys that a handler can have of its "
		"own");
	buf_done(&text);
}
END_TEST

START_TEST(test_config_rules_lower_defaults_to_their_bounds)
{
	struct settings *settings = load("[daemon]\nmax_message = 64K\nmax_output = 32K\n"
					 "[handler x]\ntype = exec\n" SOME_COMMAND);

	for (size_t i = 0; i < settings->n_handlers; i++) {
		ck_assert_uint_eq(settings->handlers[i].max_args_bytes, 64 * 1024);
		ck_assert_uint_eq(settings->handlers[i].max_output_bytes, 32 * 1024);
	}
	settings_free(settings);
}
END_TEST

START_TEST(test_config_resources_of_a_handler_become_places)
{
	struct settings *settings =
		load("[resource a]\n[handler echo]\nresources = c ,\ta\nweight = 7\n"
		     "[resource b]\n[resource c]\nmax_active = 7\n[handler noop]\nresources = ,\n");
	const struct settings_handler *echo = settings_find_handler(settings, "echo");

	ck_assert_uint_eq(settings->n_resources, 3);
	ck_assert_uint_eq(echo->n_resources, 2);
	ck_assert_str_eq(settings->resources[echo->resource_at[0]].name, "c");
	ck_assert_str_eq(settings->resources[echo->resource_at[1]].name, "a");
	ck_assert_uint_eq(settings_find_handler(settings, "noop")->n_resources, 0);
	ck_assert_ptr_null(settings_find_resource(settings, "d"));
	settings_free(settings);
}
END_TEST

START_TEST(test_config_builtin_handlers_can_be_changed)
{
	struct settings *settings = load(
		"[handler sleep]\ntimeout = 1min\npool = mail\n[pool mail]\n[handler noop]\ntype = "
		"builtin\n");

	ck_assert_uint_eq(settings->n_handlers, 4);
	ck_assert_uint_eq(settings_find_handler(settings, "sleep")->timeout_us, 60 * US_PER_SEC);
	ck_assert_str_eq(settings_find_handler(settings, "sleep")->pool, "mail");
	ck_assert_uint_eq(settings_find_handler(settings, "echo")->timeout_us, 1800 * US_PER_SEC);
	settings_free(settings);
}
END_TEST

static Suite *config_suite(void)
{
	Suite *suite = suite_create("config_lines");
	TCase *lines = tcase_create("lines");

	tcase_add_test(lines, test_config_lines_are_taken_as_meant);
	tcase_add_test(lines, test_config_lines_that_mean_nothing_are_refused);
	tcase_add_test(lines, test_config_lines_have_a_length);
	tcase_add_test(lines, test_config_sections_and_keys_must_be_known);
	tcase_add_test(lines, test_config_names_are_not_cut);
	tcase_add_test(lines, test_config_sections_have_a_limit);
	tcase_add_test(lines, test_config_errors_quote_safely);
	tcase_add_test(lines, test_config_rules_bind_keys_together);
	tcase_add_test(lines, test_config_keys_of_a_handler_depend_on_its_type);
	tcase_add_test(lines, test_config_rules_lower_defaults_to_their_bounds);
	tcase_add_test(lines, test_config_resources_of_a_handler_become_places);
	tcase_add_test(lines, test_config_builtin_handlers_can_be_changed);
	suite_add_tcase(suite, lines);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(config_suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
