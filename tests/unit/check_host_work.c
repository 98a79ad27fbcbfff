/*
 * check_host_work: built-in handlers, many tasks at once, threads that come and go, cancels.
 */
#include "host_fixture.h"

#define MANY 20000

START_TEST(test_builtin_noop_and_echo)
{
	struct fake fake;

	fake_start(&fake, 1);
	ck_assert_ptr_null(fake_one(&fake, "noop", "{\"any\":1}", OUTCOME_OK, ""));
	auto_json json_t *json = fake_one(&fake, "echo", "{\"a\":[1,2]}", OUTCOME_OK, "");
	ck_assert_uint_eq(json_array_size(json_object_get(json, "a")), 2);
	ck_assert_ptr_null(fake_one(&fake, "echo", "", OUTCOME_OK, ""));
	fake_end(&fake);
}
END_TEST

START_TEST(test_builtin_fail_says_the_sentence)
{
	struct fake fake;

	fake_start(&fake, 1);
	auto_json json_t *json =
		fake_one(&fake, "fail", "{\"error\":\"no \\\"ink\\\"\"}", OUTCOME_FAILED, "failed");
	ck_assert_str_eq(json_string_value(json_object_get(json, "error")), "no \"ink\"");
	auto_json json_t *bare = fake_one(&fake, "fail", "", OUTCOME_FAILED, "failed");
	ck_assert_ptr_nonnull(json_object_get(bare, "error"));
	fake_end(&fake);
}
END_TEST

START_TEST(test_builtin_sleep_checks_its_args)
{
	static const char *const wrong[] = {"", "{}", "{\"ms\":-1}", "{\"ms\":86400001}",
		"{\"ms\":1.5}", "[1]", "{\"ms\":1,\"x\":2}", "{\"ms\":1,\"ms\":2}", "nonsense"};
	struct fake fake;

	fake_start(&fake, 1);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		auto_json json_t *json = fake_one(&fake, "sleep", wrong[i], OUTCOME_FAILED, "args");
		ck_assert_ptr_nonnull(json_object_get(json, "error"));
	}
	ck_assert_ptr_null(fake_one(&fake, "sleep", "{\"ms\":0}", OUTCOME_OK, ""));
	fake_end(&fake);
}
END_TEST

START_TEST(test_work_refuses_an_unknown_handler)
{
	struct fake fake;

	fake_start(&fake, 1);
	json_decref(fake_one(&fake, "nobody", "{}", OUTCOME_FAILED, "refused"));
	fake_end(&fake);
}
END_TEST

START_TEST(test_work_fails_output_that_is_too_long)
{
	struct fake fake;
	auto_free char *args = malloc(70003);

	ck_assert_ptr_nonnull(args);
	memset(args, 'x', 70002);
	args[0] = args[70001] = '"';
	args[70002] = '\0';
	fake_start(&fake, 1);
	json_decref(fake_one(&fake, "echo", args, OUTCOME_FAILED, "output_too_long"));
	fake_end(&fake);
	fake_fork(&fake);
	fake_setup(&fake, 1);
	fake_handler(&fake, "echo", "builtin", "max_output=100000\nkill_after=0\n");
	fake_go(&fake, 1);
	json_decref(fake_one(&fake, "echo", args, OUTCOME_OK, ""));
	fake_end(&fake);
}
END_TEST

START_TEST(test_work_cancels_a_sleep_and_nothing_else)
{
	struct fake fake;

	fake_start(&fake, 2);
	fake_run(&fake, 7, 0, "sleep", "{\"ms\":86400000}");
	fake_say(&fake, HOSTMSG_CANCEL, 6); /* not there */
	fake_say(&fake, HOSTMSG_CANCEL, 7);
	struct hostmsg done = fake_done(&fake);
	ck_assert_uint_eq(done.done.task, 7);
	ck_assert_int_eq(done.done.outcome, OUTCOME_CANCELLED);
	fake_say(&fake, HOSTMSG_CANCEL, 7); /* not there any more */
	ck_assert_ptr_null(fake_one(&fake, "noop", "", OUTCOME_OK, ""));
	fake_end(&fake);
}
END_TEST

START_TEST(test_work_cancels_while_all_workers_are_busy)
{
	struct fake fake;
	bool seen[9] = {false};

	fake_start(&fake, 8);
	for (uint32_t i = 0; i < 8; i++)
		fake_run(&fake, i + 1, i, "sleep", "{\"ms\":86400000}");
	for (uint32_t i = 0; i < 8; i++)
		fake_say(&fake, HOSTMSG_CANCEL, i + 1);
	for (uint32_t i = 0; i < 8; i++) {
		struct hostmsg done = fake_done(&fake);
		ck_assert_int_eq(done.done.outcome, OUTCOME_CANCELLED);
		ck_assert_uint_eq(done.done.worker + 1, done.done.task);
		ck_assert(!seen[done.done.task]);
		seen[done.done.task] = true;
	}
	fake_end(&fake);
}
END_TEST

/* A long task in front delays none of those that came with it, and their results do not wait for its end. */
START_TEST(test_work_a_long_task_delays_nobody)
{
	struct fake fake;

	for (int round = 0; round < 50; round++) {
		fake_start(&fake, 4);
		fake_run(&fake, 1, 0, "sleep", "{\"ms\":86400000}");
		fake_run(&fake, 2, 1, "noop", "");
		fake_run(&fake, 3, 2, "sleep", "{\"ms\":0}");
		fake_run(&fake, 4, 3, "sleep", "{\"ms\":86400000}");
		for (int i = 0; i < 2; i++) {
			struct hostmsg done = fake_done(&fake);
			ck_assert(done.done.task == 2 || done.done.task == 3);
		}
		fake_end(&fake);
	}
}
END_TEST

/* Keeps `k` tasks under way until n are done; every id comes back once, with its worker. */
static void pump(
	struct fake *fake, uint32_t n, uint32_t k, void (*between)(struct fake *, uint32_t))
{
	auto_free bool *seen = calloc(n + 1, sizeof(*seen));
	auto_free uint32_t *worker_of = calloc(n + 1, sizeof(*worker_of));
	static const char *const handlers[] = {"noop", "echo", "sleep", "noop", "echo"};
	uint32_t sent = 0;

	ck_assert(seen && worker_of);
	for (; sent < k && sent < n; sent++) {
		worker_of[sent + 1] = sent;
		fake_run(fake, sent + 1, sent, "noop", "");
	}
	for (uint32_t done_n = 0; done_n < n; done_n++) {
		struct hostmsg done = fake_done(fake);
		uint64_t task = done.done.task;
		ck_assert(task >= 1 && task <= n && !seen[task]);
		ck_assert_uint_eq(done.done.worker, worker_of[task]);
		ck_assert_int_eq(done.done.outcome, OUTCOME_OK);
		seen[task] = true;
		if (between)
			between(fake, done_n);
		if (sent < n) {
			worker_of[++sent] = done.done.worker;
			fake_run(fake, sent, done.done.worker,
				handlers[sent % ARRAY_SIZE(handlers)], "{\"ms\":0}");
		}
	}
}

START_TEST(test_work_runs_many_tasks)
{
	static const uint32_t workers[] = {1, 2, 6, 64};
	struct fake fake;

	for (size_t i = 0; i < ARRAY_SIZE(workers); i++) {
		fake_start(&fake, workers[i]);
		pump(&fake, MANY, workers[i], NULL);
		fake_end(&fake);
	}
}
END_TEST

static void resize_now_and_then(struct fake *fake, uint32_t n)
{
	if (n % 50 == 0)
		fake_say(fake, HOSTMSG_RESIZE, n % 100 == 0 ? 64 : 1);
}

START_TEST(test_work_resizes_under_load)
{
	struct fake fake;

	fake_start(&fake, 1);
	pump(&fake, MANY, 1, resize_now_and_then);
	fake_say(&fake, HOSTMSG_RESIZE, 64);
	pump(&fake, MANY, 64, resize_now_and_then);
	fake_end(&fake);
}
END_TEST

static long threads_of(pid_t pid)
{
	char path[64], line[256];
	long n = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Threads: %ld", &n) == 1)
			break;
	}
	if (file)
		(void)fclose(file);
	return n;
}

START_TEST(test_work_surplus_threads_leave)
{
	struct fake fake;

	fake_start(&fake, 64);
	long many = threads_of(fake.pid);
	ck_assert_int_ge(many, 64);
	fake_say(&fake, HOSTMSG_RESIZE, 2);
	/* They end one after the other, while tasks go on. */
	for (int i = 0; i < 100000 && threads_of(fake.pid) > many - 62; i++)
		ck_assert_ptr_null(fake_one(&fake, "noop", "", OUTCOME_OK, ""));
	ck_assert_int_eq(threads_of(fake.pid), many - 62);
	fake_end(&fake);
}
END_TEST

/* The daemon does not read for a while: results wait, nothing is lost. */
START_TEST(test_work_survives_a_daemon_that_does_not_read)
{
	auto_free char *args = malloc(60003);
	struct fake fake;

	ck_assert_ptr_nonnull(args);
	memset(args, 'x', 60002);
	args[0] = args[60001] = '"';
	args[60002] = '\0';
	fake_start(&fake, 64);
	for (uint32_t i = 0; i < 64; i++)
		fake_run(&fake, i + 1, i, "echo", args);
	fake_flush(&fake);
	for (uint32_t i = 0; i < 64; i++)
		ck_assert_uint_eq(fake_done(&fake).done.result.len, 60002);
	fake_end(&fake);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("host_work");
	TCase *tcase = tcase_create("work");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_builtin_noop_and_echo);
	tcase_add_test(tcase, test_builtin_fail_says_the_sentence);
	tcase_add_test(tcase, test_builtin_sleep_checks_its_args);
	tcase_add_test(tcase, test_work_refuses_an_unknown_handler);
	tcase_add_test(tcase, test_work_fails_output_that_is_too_long);
	tcase_add_test(tcase, test_work_cancels_a_sleep_and_nothing_else);
	tcase_add_test(tcase, test_work_cancels_while_all_workers_are_busy);
	tcase_add_test(tcase, test_work_a_long_task_delays_nobody);
	tcase_add_test(tcase, test_work_runs_many_tasks);
	tcase_add_test(tcase, test_work_resizes_under_load);
	tcase_add_test(tcase, test_work_surplus_threads_leave);
	tcase_add_test(tcase, test_work_survives_a_daemon_that_does_not_read);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
