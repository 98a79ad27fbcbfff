/*
 * check_plugin: handlers of type plugin, as a host runs them: what is refused and how, what a module is told and what it
 * may say, how its tasks are cancelled, and what becomes of its mistakes. The module is tests/plugin/testplugin.c.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "host/module.h"
#include "host_fixture.h"

#define N_TASKS 2000

static const char *module_path(void)
{
	static char path[4096];
	const char *build = getenv("WORKPOOL_BUILD");
	char here[2048];

	(void)snprintf(
		path, sizeof(path), "%s/testplugin.so", build ? build : getcwd(here, sizeof(here)));
	return path;
}

/* A host with the handler x of this symbol, and these settings. */
static void start_with(struct fake *fake, const char *symbol, uint32_t workers, const char *lines)
{
	char settings[8192];

	(void)snprintf(settings, sizeof(settings), "module=%s\nsymbol=%s\n%s", module_path(),
		symbol, lines);
	fake_fork(fake);
	fake_setup(fake, workers);
	fake_handler(fake, "x", "plugin", settings);
	fake_go(fake, 1);
}

static void start_plugin(struct fake *fake, uint32_t workers)
{
	start_with(fake, "workpool_handler", workers, "");
}

static void gives(struct fake *fake, const char *args, enum hostmsg_outcome outcome,
	const char *reason, const char *expected)
{
	auto_json json_t *json = fake_one(fake, "x", args, outcome, reason);
	auto_free char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);

	ck_assert_msg(strcmp(text ? text : "", expected) == 0, "%s: %s", args, text);
}

/* Refusals. */

/* The sentence that the handler is refused with; the host starts all the same. */
static void refused_with(const char *type, const char *settings, const char *expected)
{
	struct hostmsg msg = {.type = HOSTMSG_GO, .go = {1}};
	struct fake fake;
	bool is_refused = false;

	fake_fork(&fake);
	fake_setup(&fake, 1);
	fake_handler(&fake, "x", type, settings);
	fake_put(&fake, &msg);
	fake_flush(&fake);
	for (;;) {
		ck_assert(fake_next(&fake, &msg));
		if (msg.type == HOSTMSG_READY)
			break;
		ck_assert(msg.type != HOSTMSG_OFFER ||
			  !view_is_equal(msg.offer.handler, VIEW_LIT("x")));
		if (msg.type != HOSTMSG_REFUSED)
			continue;
		ck_assert_msg(view_is_equal(msg.refused.why, view_of(expected)), "%.*s is not %s",
			(int)msg.refused.why.len, msg.refused.why.data, expected);
		is_refused = true;
	}
	ck_assert_msg(is_refused, "%s: was not refused", settings);
	json_decref(fake_one(&fake, "x", "", OUTCOME_FAILED, "refused"));
	fake_end(&fake);
}

START_TEST(test_module_is_refused_in_words)
{
	static const struct {
		const char *symbol;
		const char *why;
	} cases[] = {
		{"nobody", "has no symbol \"nobody\""},
		{"too_new", "made for ABI 2, this host has 1"},
		{"no_abi", "\"no_abi\" is no struct workpool_handler of ABI 0"},
		{"small", "\"small\" is no struct workpool_handler"},
		{"a_function", "\"a_function\" is no struct workpool_handler"},
		{"no_run", "has no run()"},
		{"no_name", "its name or text is missing, too long or no UTF-8"},
		{"long_text", "its name or text is missing, too long or no UTF-8"},
		{"strange_flag", "has a flag that is not known"},
		{"both_args", "has parameters, and a flag that says it has none"},
		{"no_table", "n_params without params"},
		{"too_many", "more than 64 parameters"},
		{"empty_range", "parameter 1 (n): needs min and max"},
		{"twice_named", "parameter 2 (n): is there twice"},
		{"strange_type", "parameter 1 (n): is of a type that is not known"},
		{"no_words", "parameter 1 (n): needs words"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct workpool_handler *handler = NULL;
		const char *path = module_path();
		char why[SETTING_WHY_SIZE], expected[SETTING_WHY_SIZE];
		size_t len = strlen(path);

		ck_assert_int_eq(module_open(path, cases[i].symbol, &handler, why), -EINVAL);
		ck_assert_ptr_null(handler);
		(void)snprintf(expected, sizeof(expected), "module \"%s%s\": %s",
			len > 100 ? "..." : "", len > 100 ? path + len - 100 : path, cases[i].why);
		ck_assert_str_eq(why, expected);
	}
}
END_TEST

START_TEST(test_module_settings_are_refused_in_words)
{
	char lines[8192];

	refused_with("plugin", "", "module: must be given");
	refused_with("plugin", "module=x.so\n", "module \"x.so\": needs an absolute path");
	(void)snprintf(lines, sizeof(lines), "module=%s\ngreting=hello\n", module_path());
	refused_with("plugin", lines, "plugin \"testplugin\" does not know the key \"greting\"");
	(void)snprintf(lines, sizeof(lines), "module=%s\nrefuse=no ink\t\n", module_path());
	refused_with("plugin", lines, "testplugin: no ink?");
	(void)snprintf(lines, sizeof(lines), "module=%s\nsymbol=starts_badly\n", module_path());
	refused_with("plugin", lines, "plugin \"bad\" did not start: -3");
}
END_TEST

static char folder[64];

static void folder_setup(void)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/check_plugin.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void folder_teardown(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	ck_assert_int_eq(system(command), 0);
}

/* The file of this name in the folder; why is what is wrong with it; NULL: it opens. */
static void file_is(const char *name, const char *expected)
{
	const struct workpool_handler *handler = NULL;
	char path[256], why[SETTING_WHY_SIZE], whole[SETTING_WHY_SIZE + 256];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	int r = module_open(path, "workpool_handler", &handler, why);
	if (!expected) {
		ck_assert_msg(r == 0, "%s", why);
		return;
	}
	ck_assert_int_eq(r, -EINVAL);
	(void)snprintf(whole, sizeof(whole), "module \"%s\": %s", path, expected);
	ck_assert_str_eq(why, whole);
}

static void copy_module(const char *name, mode_t mode)
{
	char command[8192], path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	(void)snprintf(command, sizeof(command), "cp '%s' '%s'", module_path(), path);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
}

static void write_file(const char *name, const char *text, size_t len)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fd_write_all(fd, text, len), 0);
}

START_TEST(test_module_file_must_be_safe)
{
	char path[256], other[256];

	copy_module("a.so", 0644);
	(void)snprintf(path, sizeof(path), "%s/a.so", folder);
	(void)snprintf(other, sizeof(other), "%s/link.so", folder);
	ck_assert_int_eq(symlink(path, other), 0);
	file_is("link.so", "is a symbolic link");
	file_is("none.so", "No such file or directory");
	file_is(".", "is not a regular file");
	(void)snprintf(other, sizeof(other), "%s/fifo", folder);
	ck_assert_int_eq(mkfifo(other, 0600), 0);
	file_is("fifo", "is not a regular file");
	ck_assert_int_eq(chmod(path, 0664), 0);
	file_is("a.so", "must not be writable by its group or by others");
	ck_assert_int_eq(chmod(path, 0646), 0);
	file_is("a.so", "must not be writable by its group or by others");
	ck_assert_int_eq(chmod(path, 0644), 0);
	ck_assert_int_eq(chmod(folder, 0770), 0);
	file_is("a.so", "its folder must not be writable by its group or by others");
	ck_assert_int_eq(chmod(folder, 01777), 0);
	file_is("a.so", NULL);
	ck_assert_int_eq(chmod(folder, 0700), 0);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(path, 65534, 65534), 0);
		file_is("a.so", "must belong to root or to the user that loads it");
		ck_assert_int_eq(chown(path, 0, 0), 0);
		ck_assert_int_eq(chown(folder, 65534, 65534), 0);
		file_is("a.so", "its folder must belong to root or to the user that loads it");
	}
}
END_TEST

START_TEST(test_module_must_be_a_shared_object)
{
	/* Its class would be " ". */
	char text[64] = "\177ELF this is none, though it begins like one, and is long enough";

	write_file("empty.so", "", 0);
	file_is("empty.so", "file too short");
	write_file("text.so",
		"#!/bin/sh\necho this is no shared object, but a program of the shell\n", 66);
	file_is("text.so", "invalid ELF header");
	write_file("begin.so", text, sizeof(text));
	file_is("begin.so", "wrong ELF class: ELFCLASS32");
}
END_TEST

/* What a user's compiler makes; without one there is nothing to be seen. */
START_TEST(test_module_must_be_whole)
{
	static const char source[] = "extern int nobody(void);\nint workpool_handler = 1;\n"
				     "int call(void) { return nobody(); }\n";
	char command[512];

	if (system("command -v cc >/dev/null") != 0)
		return;
	write_file("u.c", source, sizeof(source) - 1);
	(void)snprintf(command, sizeof(command), "cd '%s' && cc -shared -fPIC -o u.so u.c", folder);
	ck_assert_int_eq(system(command), 0);
	file_is("u.so", "undefined symbol: nobody");
	write_file("u.c", source, 24); /* the declaration alone */
	ck_assert_int_eq(system(command), 0);
	file_is("u.so", "has no symbol \"workpool_handler\"");
}
END_TEST

/* What the daemon is told. */

START_TEST(test_plugin_tells_of_itself)
{
	struct hostmsg msg = {.type = HOSTMSG_GO, .go = {1}};
	char lines[8192];
	struct fake fake;
	unsigned starting = 0, params = 0;
	bool is_x = false;

	(void)snprintf(lines, sizeof(lines), "module=%s\n", module_path());
	fake_fork(&fake);
	fake_setup(&fake, 1);
	fake_handler(&fake, "x", "plugin", lines);
	fake_flush(&fake);
	/* Before it is started, not when all are. */
	ck_assert(fake_next(&fake, &msg) && msg.type == HOSTMSG_HELLO);
	ck_assert(fake_next(&fake, &msg) && msg.type == HOSTMSG_STARTING);
	ck_assert(view_is_equal(msg.starting.handler, VIEW_LIT("x")));
	fake_put(&fake, &(struct hostmsg){.type = HOSTMSG_GO, .go = {1}});
	fake_flush(&fake);
	for (;;) {
		ck_assert(fake_next(&fake, &msg));
		if (msg.type == HOSTMSG_READY)
			break;
		if (msg.type == HOSTMSG_OFFER) {
			is_x = view_is_equal(msg.offer.handler, VIEW_LIT("x"));
			if (!is_x)
				continue;
			ck_assert(view_is_equal(
				msg.offer.text, VIEW_LIT("does what a test asks of it")));
			ck_assert(msg.offer.checked);
			starting++;
		}
		if (msg.type != HOSTMSG_PARAM || !is_x)
			continue;
		if (view_is_equal(msg.param.name, VIEW_LIT("number"))) {
			ck_assert_int_eq(msg.param.type, PARAM_INT);
			ck_assert_int_eq(msg.param.min, -5);
			ck_assert_int_eq(msg.param.max, 5);
		}
		params++;
	}
	ck_assert_uint_eq(starting, 1);
	ck_assert_uint_eq(params, 11);
	fake_end(&fake);
}
END_TEST

/* Args and results. */

START_TEST(test_plugin_reads_its_args)
{
	struct fake fake;

	start_plugin(&fake, 1);
	gives(&fake,
		"{\"do\":\"args\",\"flag\":true,\"number\":-3,\"word\":\"large\",\"string\":\"\xc3"
		"\xa4\","
		"\"list\":[\"a\",\"b\"],\"object\":{\"x\": [1]},\"any\":1.5}",
		OUTCOME_OK, "",
		"{\"args\":{\"any\":1.5,\"do\":\"args\",\"flag\":true,\"list\":[\"a\",\"b\"],"
		"\"number\":-3,\"object\":{\"x\":[1]},\"string\":\"\xc3\xa4\",\"word\":\"large\"},"
		"\"flag\":true,\"items\":2,\"list\":[\"a\",\"b\"],\"number\":-3,\"object\":{\"x\":["
		"1]},"
		"\"real\":1.5,\"string\":\"\xc3\xa4\",\"word\":\"large\"}");
	gives(&fake, "{\"do\":\"args\",\"number\":null}", OUTCOME_OK, "",
		"{\"args\":{\"do\":\"args\",\"number\":null},\"flag\":false,\"items\":0,\"list\":"
		"null,"
		"\"number\":-1,\"object\":null,\"real\":-1,\"string\":\"none\",\"word\":\"none\"}");
	gives(&fake, "", OUTCOME_OK, "", "{\"greeting\":\"\",\"settings\":0}");
	gives(&fake, "{\"number\":6}", OUTCOME_FAILED, "args",
		"{\"error\":\"number: a number from -5 to 5\"}");
	gives(&fake, "{\"string\":\"abcde\"}", OUTCOME_FAILED, "args",
		"{\"error\":\"string: a string of 2 to 4 bytes\"}");
	gives(&fake, "{\"foo\":1}", OUTCOME_FAILED, "args", "{\"error\":\"foo: unknown\"}");
	fake_end(&fake);
}
END_TEST

START_TEST(test_plugin_takes_any_args_or_none)
{
	struct fake fake;

	start_with(&fake, "any_args", 1, "one=1\nthree = 3\n\n");
	gives(&fake, "{\"x\":1}", OUTCOME_OK, "", "{\"x\":1}");
	gives(&fake, "[1]", OUTCOME_OK, "", "[1]");
	gives(&fake, "", OUTCOME_OK, "", "\"nothing\"");
	fake_end(&fake);
	start_with(&fake, "no_args", 1, "");
	gives(&fake, "{\"x\":1}", OUTCOME_FAILED, "args", "{\"error\":\"x: unknown\"}");
	gives(&fake, "{}", OUTCOME_OK, "", "{}");
	fake_end(&fake);
}
END_TEST

START_TEST(test_plugin_gets_its_settings)
{
	struct fake fake;

	start_with(&fake, "workpool_handler", 1, "greeting=a = b\ntell=\nmax_output=100\n");
	gives(&fake, "{}", OUTCOME_OK, "", "{\"greeting\":\"a = b\",\"settings\":2}");
	fake_end(&fake);
}
END_TEST

START_TEST(test_plugin_results_have_an_answer)
{
	static const struct {
		const char *args;
		enum hostmsg_outcome outcome;
		const char *reason;
		const char *result;
	} cases[] = {
		{"{\"do\":\"nothing\"}", OUTCOME_FAILED, "no_result",
			"{\"error\":\"the handler has ended without a result\"}"},
		{"{\"do\":\"empty\"}", OUTCOME_OK, "", ""},
		{"{\"do\":\"bad_json\"}", OUTCOME_FAILED, "bad_result",
			"{\"error\":\"the result is no JSON: byte 8: string or '}' expected near "
			"'}'\"}"},
		{"{\"do\":\"long\"}", OUTCOME_FAILED, "output_too_long",
			"{\"error\":\"the result has 70002 bytes, 65536 are allowed\"}"},
		{"{\"do\":\"long_json\"}", OUTCOME_FAILED, "output_too_long",
			"{\"error\":\"the result has 70000 bytes, 65536 are allowed\"}"},
		{"{\"do\":\"twice\"}", OUTCOME_OK, "", "{\"n\":2}"},
		{"{\"do\":\"fail_last\"}", OUTCOME_FAILED, "no_ink",
			"{\"error\":\"no \\\"ink\\\" \xef\xbf\xbd\"}"},
		{"{\"do\":\"fail_bare\"}", OUTCOME_FAILED, "failed", "{\"error\":\"\"}"},
		{"{\"do\":\"text\"}", OUTCOME_OK, "", "\"a \\\"b\\\"\\n\xef\xbf\xbd\""},
		{"{\"do\":\"log\"}", OUTCOME_OK, "", "true"},
		{"{\"do\":\"thread\"}", OUTCOME_OK, "", "[true,true]"},
		{"{\"do\":\"fork\"}", OUTCOME_OK, "", "7"},
		{"{\"do\":\"fork_back\"}", OUTCOME_OK, "", "0"},
	};
	struct fake fake;

	start_plugin(&fake, 2);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		gives(&fake, cases[i].args, cases[i].outcome, cases[i].reason, cases[i].result);
	fake_end(&fake);
}
END_TEST

START_TEST(test_plugin_knows_its_task_and_its_time)
{
	struct hostmsg run = {.type = HOSTMSG_RUN};
	struct fake fake;

	start_plugin(&fake, 4);
	gives(&fake, "{\"do\":\"self\"}", OUTCOME_OK, "",
		"{\"attempt\":1,\"cancelled\":false,\"id\":1,\"left_ms\":0,\"until_ms\":0,"
		"\"worker\":0}");
	run.run.task = 77;
	run.run.attempt = 3;
	run.run.worker = 2;
	run.run.deadline_us = clock_now_us() + 1000 * US_PER_SEC;
	run.run.handler = VIEW_LIT("x");
	run.run.args = VIEW_LIT("{\"do\":\"self\"}");
	fake_put(&fake, &run);
	struct hostmsg done = fake_done(&fake);
	auto_json json_t *json = fake_result(&done);
	ck_assert_int_eq(json_integer_value(json_object_get(json, "id")), 77);
	ck_assert_int_eq(json_integer_value(json_object_get(json, "attempt")), 3);
	ck_assert_int_eq(json_integer_value(json_object_get(json, "worker")), 2);
	json_int_t left_ms = json_integer_value(json_object_get(json, "left_ms"));
	json_int_t until_ms = json_integer_value(json_object_get(json, "until_ms"));
	ck_assert(left_ms > 900000 && left_ms <= 1000000);
	ck_assert(until_ms > 900000 && until_ms <= 1000000);
	fake_end(&fake);
}
END_TEST

START_TEST(test_plugin_tells_its_progress)
{
	struct hostmsg msg;
	struct fake fake;

	start_plugin(&fake, 1);
	fake_run(&fake, 1, 0, "x", "{\"do\":\"progress\"}");
	fake_flush(&fake);
	ck_assert(fake_next(&fake, &msg) && msg.type == HOSTMSG_PROGRESS);
	ck_assert_uint_eq(msg.progress.permille, 1000);
	ck_assert(view_is_equal(msg.progress.note, VIEW_LIT("more than \"all\" of it")));
	fake_say(&fake, HOSTMSG_CANCEL, 1);
	ck_assert_int_eq(fake_done(&fake).done.outcome, OUTCOME_OK);
	fake_end(&fake);
}
END_TEST

/* Cancels. */

/* Until the task has told that it runs. */
static void wait_progress(struct fake *fake)
{
	struct hostmsg msg;

	ck_assert(fake_next(fake, &msg));
	ck_assert_str_eq(hostmsg_name(msg.type), "PROGRESS");
}

START_TEST(test_plugin_task_is_cancelled)
{
	static const struct {
		const char *args;
		enum hostmsg_outcome outcome;
	} cases[] = {
		{"{\"sleep_ms\":86400000}", OUTCOME_CANCELLED},
		{"{\"do\":\"poll\"}", OUTCOME_CANCELLED},
		{"{\"do\":\"stubborn\"}", OUTCOME_OK},
	};
	struct fake fake;

	start_plugin(&fake, 1);
	for (size_t i = 0; i < 100 * ARRAY_SIZE(cases); i++) {
		fake_run(&fake, i + 1, 0, "x", cases[i % ARRAY_SIZE(cases)].args);
		fake_say(&fake, HOSTMSG_CANCEL, i + 1);
		struct hostmsg msg;
		do
			ck_assert(fake_next(&fake, &msg));
		while (msg.type == HOSTMSG_PROGRESS);
		/* One that it was asked before its run() ends without it. */
		ck_assert(msg.done.outcome == cases[i % ARRAY_SIZE(cases)].outcome ||
			  msg.done.outcome == OUTCOME_CANCELLED);
	}
	fake_end(&fake);
}
END_TEST

START_TEST(test_plugin_cancel_wakes_run)
{
	struct fake fake;
	char expected[32];

	start_with(&fake, "with_cancel", 4, "");
	for (uint64_t id = 1; id <= 200; id++) {
		fake_run(&fake, id, 0, "x", "");
		fake_flush(&fake);
		wait_progress(&fake);
		fake_say(&fake, HOSTMSG_CANCEL, id);
		struct hostmsg done = fake_done(&fake);
		(void)snprintf(expected, sizeof(expected), "%llu", (unsigned long long)id);
		ck_assert_int_eq(done.done.outcome, OUTCOME_OK);
		ck_assert(view_is_equal(done.done.result, view_of(expected)));
	}
	fake_end(&fake);
}
END_TEST

/* It holds its own task; all others go on, and can be cancelled. */
START_TEST(test_plugin_cancel_that_hangs_holds_nobody_else)
{
	struct fake fake;

	start_with(&fake, "hung_cancel", 4, "");
	fake_run(&fake, 100, 0, "x", "");
	fake_flush(&fake);
	wait_progress(&fake);
	fake_say(&fake, HOSTMSG_CANCEL, 100);
	for (int i = 0; i < 100; i++)
		ck_assert_ptr_null(fake_one(&fake, "noop", "", OUTCOME_OK, ""));
	fake_run(&fake, 101, 1, "sleep", "{\"ms\":86400000}");
	fake_say(&fake, HOSTMSG_CANCEL, 101);
	struct hostmsg done = fake_done(&fake);
	ck_assert_uint_eq(done.done.task, 101);
	ck_assert_int_eq(done.done.outcome, OUTCOME_CANCELLED);
	fake_end(&fake);
}
END_TEST

/* Crowds. */

static void pump(struct fake *fake, uint32_t n, uint32_t k, const char *args)
{
	uint32_t sent = 0;

	for (; sent < k; sent++)
		fake_run(fake, sent + 1, sent, "x", args);
	for (uint32_t i = 0; i < n; i++) {
		struct hostmsg done = fake_done(fake);
		ck_assert_int_eq(done.done.outcome, OUTCOME_OK);
		if (sent < n) {
			sent++;
			fake_run(fake, sent, done.done.worker, "x", args);
		}
	}
}

START_TEST(test_plugin_runs_many_tasks_at_once)
{
	struct fake fake;

	start_plugin(&fake, 8);
	pump(&fake, N_TASKS, 8, "{\"do\":\"args\",\"list\":[\"a\"],\"object\":{}}");
	pump(&fake, N_TASKS, 8, "{\"do\":\"twice\"}");
	fake_end(&fake);
}
END_TEST

START_TEST(test_plugin_that_keeps_a_task_is_told_no)
{
	struct fake fake;

	start_plugin(&fake, 4);
	for (int i = 0; i < 4; i++)
		gives(&fake, "{\"do\":\"late\"}", OUTCOME_OK, "", "true");
	pump(&fake, N_TASKS, 4, "{}");
	fake_end(&fake);
}
END_TEST

/* Ends. */

START_TEST(test_plugin_that_ends_the_host_s_thread_ends_the_host)
{
	struct fake fake;
	struct hostmsg msg;

	start_plugin(&fake, 2);
	fake_run(&fake, 1, 0, "x", "{\"do\":\"end_thread\"}");
	fake_flush(&fake);
	ck_assert(!fake_next(&fake, &msg));
	ck_assert_int_eq(fake_wait(&fake), WORK_EXIT_BROKEN);
}
END_TEST

static void stops(uint32_t quits, const char *expected)
{
	char path[128], lines[256];
	auto_free char *text = NULL;
	size_t len = 0;
	struct fake fake;

	(void)snprintf(path, sizeof(path), "%s/told", folder);
	(void)snprintf(lines, sizeof(lines), "tell=%s\n", path);
	start_with(&fake, "workpool_handler", 2, lines);
	gives(&fake, "{\"do\":\"twice\"}", OUTCOME_OK, "", "{\"n\":2}");
	if (quits) {
		fake_put(&fake, &(struct hostmsg){.type = HOSTMSG_QUIT});
		fake_flush(&fake);
		struct hostmsg msg;
		ck_assert(!fake_next(&fake, &msg));
	}
	fake_end(&fake);
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		ck_assert_int_eq(fd_read_all(fd, 100, &text, &len), 0);
	ck_assert_str_eq(text ? text : "", expected);
}

START_TEST(test_plugin_is_stopped_in_order_only)
{
	stops(0, ""); /* the daemon is gone: nothing is in order */
	stops(1, "stopped");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("plugin");
	TCase *files = tcase_create("files");
	TCase *tasks = tcase_create("tasks");

	tcase_add_checked_fixture(files, folder_setup, folder_teardown);
	tcase_add_test(files, test_module_is_refused_in_words);
	tcase_add_test(files, test_module_settings_are_refused_in_words);
	tcase_add_test(files, test_module_file_must_be_safe);
	tcase_add_test(files, test_module_must_be_a_shared_object);
	tcase_add_test(files, test_module_must_be_whole);
	tcase_add_test(files, test_plugin_is_stopped_in_order_only);
	suite_add_tcase(suite, files);
	tcase_add_test(tasks, test_plugin_tells_of_itself);
	tcase_add_test(tasks, test_plugin_reads_its_args);
	tcase_add_test(tasks, test_plugin_takes_any_args_or_none);
	tcase_add_test(tasks, test_plugin_gets_its_settings);
	tcase_add_test(tasks, test_plugin_results_have_an_answer);
	tcase_add_test(tasks, test_plugin_knows_its_task_and_its_time);
	tcase_add_test(tasks, test_plugin_tells_its_progress);
	tcase_add_test(tasks, test_plugin_task_is_cancelled);
	tcase_add_test(tasks, test_plugin_cancel_wakes_run);
	tcase_add_test(tasks, test_plugin_cancel_that_hangs_holds_nobody_else);
	tcase_add_test(tasks, test_plugin_runs_many_tasks_at_once);
	tcase_add_test(tasks, test_plugin_that_keeps_a_task_is_told_no);
	tcase_add_test(tasks, test_plugin_that_ends_the_host_s_thread_ends_the_host);
	suite_add_tcase(suite, tasks);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
