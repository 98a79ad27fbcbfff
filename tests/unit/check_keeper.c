/*
 * check_keeper: programs of type coprocess in a host: who gets which, that the host's thread beside them hears of all of them,
 * and when they leave. What they may say is check_coproc's.
 */
#include "host_fixture.h"

#include <fcntl.h>
#include <inttypes.h>

#include "base/clock.h"

#define SH(script) "command=/bin/sh -c '" script "'\n"
/* The protocol: the id is what stands behind the first colon. Answers with the shell's own number. */
#define TAKE   "while read -r l; do i=${l#*:}; i=${i%%,*}; "
#define ANSWER "echo \"{\\\"id\\\":$i,\\\"result\\\":$$}\"; "

static void start_host(struct fake *fake, uint32_t workers, const char *settings)
{
	fake_fork(fake);
	fake_setup(fake, workers);
	fake_handler(fake, "x", "coprocess", settings);
	fake_go(fake, 1);
}

static bool is_alive(pid_t pid)
{
	char path[64], state = 'X';

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 'X';
	(void)fclose(file);
	return state != 'X' && state != 'Z';
}

/* Its end is on the way: until it has come. */
static void expect_gone(pid_t pid)
{
	uint64_t until_us = clock_now_us() + FAKE_WAIT_MS * US_PER_MS;

	ck_assert_int_gt(pid, 0);
	while (is_alive(pid))
		ck_assert_msg(clock_now_us() < until_us, "process %d lives on", (int)pid);
}

static pid_t pid_of(const struct hostmsg *done)
{
	auto_json json_t *json = fake_result(done);

	ck_assert_msg(done->done.outcome == OUTCOME_OK, "%.*s", (int)done->done.result.len,
		done->done.result.data);
	return (pid_t)json_integer_value(json);
}

/* Runs a task there; the number of its program. */
static pid_t run_one(struct fake *fake, uint64_t task, uint32_t worker)
{
	fake_run(fake, task, worker, "x", "{}");
	struct hostmsg done = fake_done(fake);

	ck_assert_uint_eq(done.done.task, task);
	ck_assert_uint_eq(done.done.worker, worker);
	return pid_of(&done);
}

static void run_badly(
	struct fake *fake, uint64_t task, enum hostmsg_outcome outcome, const char *reason)
{
	fake_run(fake, task, 0, "x", "{}");
	struct hostmsg done = fake_done(fake);

	ck_assert_msg(
		done.done.outcome == outcome && view_is_equal(done.done.reason, view_of(reason)),
		"%d %.*s: %.*s", done.done.outcome, (int)done.done.reason.len,
		done.done.reason.data, (int)done.done.result.len, done.done.result.data);
}

START_TEST(test_keeper_gives_each_worker_its_own_program_again)
{
	struct fake fake;
	pid_t pids[3];

	start_host(&fake, 3, SH(TAKE ANSWER "done"));
	for (uint64_t task = 1; task <= 3; task++)
		pids[task - 1] = run_one(&fake, task, (uint32_t)task - 1);
	ck_assert(pids[0] != pids[1] && pids[1] != pids[2] && pids[0] != pids[2]);
	for (uint64_t task = 4; task <= 30; task++)
		ck_assert_int_eq(run_one(&fake, task, (uint32_t)(task % 3)), pids[task % 3]);
	fake_end(&fake);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		expect_gone(pids[i]);
}
END_TEST

START_TEST(test_keeper_keeps_programs_of_two_handlers_apart)
{
	struct fake fake;
	struct hostmsg done;
	pid_t x, y;

	fake_fork(&fake);
	fake_setup(&fake, 1);
	fake_handler(&fake, "x", "coprocess", SH(TAKE ANSWER "done"));
	fake_handler(&fake, "y", "coprocess", SH(TAKE ANSWER "done"));
	fake_go(&fake, 2);
	x = run_one(&fake, 1, 0);
	fake_run(&fake, 2, 0, "y", "{}");
	done = fake_done(&fake);
	y = pid_of(&done);
	ck_assert_int_ne(x, y);
	ck_assert_int_eq(run_one(&fake, 3, 0), x);
	fake_end(&fake);
}
END_TEST

/* All workers at once, each with a task behind its task. */
START_TEST(test_keeper_serves_many_workers_at_once)
{
	enum { WORKERS = 8, ROUNDS = 40 };
	struct fake fake;
	pid_t pids[WORKERS] = {0};

	start_host(&fake, WORKERS, SH(TAKE ANSWER "done"));
	for (uint32_t worker = 0; worker < WORKERS; worker++)
		fake_run(&fake, worker + 1, worker, "x", "{}");
	for (int i = 0; i < WORKERS * ROUNDS; i++) {
		struct hostmsg done = fake_done(&fake);
		uint32_t worker = done.done.worker;
		uint64_t task = done.done.task;
		pid_t pid = pid_of(&done);

		ck_assert_uint_eq(task % WORKERS, (worker + 1) % WORKERS);
		ck_assert(pids[worker] == 0 || pids[worker] == pid);
		pids[worker] = pid;
		if (i < WORKERS * (ROUNDS - 1))
			fake_run(&fake, task + WORKERS, worker, "x", "{}");
	}
	fake_end(&fake);
}
END_TEST

/* As only a broken daemon does. */
START_TEST(test_keeper_two_tasks_of_one_worker_do_not_share_a_program)
{
	struct fake fake;

	start_host(&fake, 2, SH(TAKE ANSWER "done"));
	for (uint64_t task = 1; task <= 50; task++)
		fake_run(&fake, task, 0, "x", "{}");
	for (int i = 0; i < 50; i++) {
		struct hostmsg done = fake_done(&fake);

		ck_assert_int_gt(pid_of(&done), 0);
	}
	fake_end(&fake);
}
END_TEST

START_TEST(test_keeper_cancel_ends_the_program)
{
	struct fake fake;

	start_host(
		&fake, 1, SH(TAKE "echo \"{\\\"id\\\":$i,\\\"permille\\\":5}\"; sleep 600; done"));
	for (uint64_t task = 1; task <= 3; task++) {
		struct hostmsg msg;

		fake_run(&fake, task, 0, "x", "{}");
		fake_flush(&fake);
		ck_assert(fake_next(&fake, &msg));
		ck_assert_str_eq(hostmsg_name(msg.type), "PROGRESS");
		ck_assert_uint_eq(msg.progress.permille, 5);
		fake_say(&fake, HOSTMSG_CANCEL, task);
		msg = fake_done(&fake);
		ck_assert_int_eq(msg.done.outcome, OUTCOME_CANCELLED);
		auto_json json_t *json = fake_result(&msg);
		ck_assert_int_eq(json_integer_value(json_object_get(
					 json_object_get(json, "result"), "signal")),
			SIGTERM);
	}
	fake_end(&fake);
}
END_TEST

START_TEST(test_keeper_replaces_what_died_without_a_task)
{
	struct fake fake;

	start_host(&fake, 1, SH(TAKE ANSWER "done"));
	for (uint64_t task = 1; task <= 10; task++) {
		pid_t pid = run_one(&fake, task, 0);

		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		expect_gone(pid);
	}
	fake_end(&fake);
}
END_TEST

START_TEST(test_keeper_replaces_what_says_too_much)
{
	struct fake fake;
	pid_t last = 0;

	start_host(&fake, 1, SH(TAKE ANSWER "echo more; done"));
	for (uint64_t task = 1; task <= 5; task++) {
		fake_run(&fake, task, 0, "x", "{}");
		struct hostmsg done = fake_done(&fake);
		/* When it comes too late to be seen with the answer, the keeper sees it; or the next task does. */
		if (done.done.outcome == OUTCOME_OK) {
			pid_t pid = pid_of(&done);
			ck_assert_int_ne(pid, last);
			last = pid;
			expect_gone(pid);
		} else {
			ck_assert(view_is_equal(done.done.reason, VIEW_LIT("protocol")));
		}
	}
	fake_end(&fake);
}
END_TEST

START_TEST(test_keeper_tells_how_a_program_went_wrong)
{
	static const struct {
		const char *settings;
		enum hostmsg_outcome outcome;
		const char *reason;
	} rows[] = {
		{SH(TAKE "echo no; done"), OUTCOME_FAILED, "protocol"},
		{SH(TAKE "echo \"{\\\"id\\\":9,\\\"result\\\":1}\"; done"), OUTCOME_FAILED,
			"protocol"},
		{SH(TAKE "exec >&-; sleep 600; done"), OUTCOME_FAILED, "protocol"},
		{SH("yes | tr -d \"\\\\n\""), OUTCOME_FAILED, "output_too_long"},
		{SH(TAKE "exit 0; done"), OUTCOME_FAILED, "exit"},
		{SH("exit 7"), OUTCOME_FAILED, "exit"},
		{SH(TAKE "kill -SEGV $$; done"), OUTCOME_CRASHED, "crashed"},
		{"command=/nonexistent/x\n", OUTCOME_FAILED, "start"},
		{"command=/bin/cat\nworking_directory=/nonexistent\n", OUTCOME_FAILED, "start"},
	};
	struct fake fake;

	start_host(&fake, 1, rows[_i].settings);
	for (uint64_t task = 1; task <= 2; task++)
		run_badly(&fake, task, rows[_i].outcome, rows[_i].reason);
	fake_end(&fake);
}
END_TEST

START_TEST(test_keeper_recycles_after_so_many_tasks)
{
	struct fake fake;
	pid_t pids[9];

	start_host(&fake, 1, SH(TAKE ANSWER "done") "recycle_tasks=3\n");
	for (uint64_t task = 1; task <= 9; task++)
		pids[task - 1] = run_one(&fake, task, 0);
	for (size_t i = 0; i < 9; i++)
		ck_assert_int_eq(pids[i], pids[i - i % 3]);
	ck_assert(pids[0] != pids[3] && pids[3] != pids[6]);
	expect_gone(pids[0]);
	expect_gone(pids[3]);
	fake_end(&fake);
}
END_TEST

START_TEST(test_keeper_ends_programs_of_workers_that_are_gone)
{
	struct fake fake;
	pid_t pids[4];

	start_host(&fake, 4, SH(TAKE ANSWER "done"));
	for (uint64_t task = 1; task <= 4; task++)
		pids[task - 1] = run_one(&fake, task, (uint32_t)task - 1);
	fake_say(&fake, HOSTMSG_RESIZE, 2);
	expect_gone(pids[2]);
	expect_gone(pids[3]);
	ck_assert_int_eq(run_one(&fake, 5, 0), pids[0]);
	ck_assert_int_eq(run_one(&fake, 6, 1), pids[1]);
	/* One that still works for a worker that is gone. */
	expect_gone(run_one(&fake, 7, 3));
	fake_end(&fake);
}
END_TEST

/* Its input ends, and it is waited for: what it says then comes before the host has ended. */
START_TEST(test_keeper_asks_programs_to_leave_with_the_host)
{
	char path[] = "/tmp/check_keeper-XXXXXX", settings[512];
	auto_fd int file = mkstemp(path);
	struct hostmsg quit = {.type = HOSTMSG_QUIT};
	struct fake fake;
	char text[8] = "";

	ck_assert_int_ge(file, 0);
	(void)snprintf(settings, sizeof(settings), "%s%s'\nsandbox=no\n",
		"command=/bin/sh -c '" TAKE ANSWER "done; echo bye >", path);
	start_host(&fake, 1, settings);
	pid_t pid = run_one(&fake, 1, 0);
	fake_put(&fake, &quit);
	fake_flush(&fake);
	ck_assert(!fake_read(&fake));
	ck_assert_int_eq(fake_wait(&fake), 0);
	ck_assert_int_eq(read(file, text, sizeof(text) - 1), 4);
	ck_assert_str_eq(text, "bye\n");
	ck_assert(!is_alive(pid));
	(void)unlink(path);
}
END_TEST

START_TEST(test_keeper_waits_for_no_program_for_long)
{
	struct hostmsg quit = {.type = HOSTMSG_QUIT};
	struct fake fake;

	start_host(&fake, 1,
		SH("trap : TERM; " TAKE ANSWER
		   "done; while :; do sleep 600; done") "kill_after=600000000\n");
	pid_t pid = run_one(&fake, 1, 0);
	fake_put(&fake, &quit);
	fake_flush(&fake);
	ck_assert(!fake_read(&fake));
	ck_assert_int_eq(fake_wait(&fake), 0);
	expect_gone(pid);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("keeper");
	TCase *tcase = tcase_create("keeper");

	(void)signal(SIGPIPE, SIG_IGN);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_keeper_gives_each_worker_its_own_program_again);
	tcase_add_test(tcase, test_keeper_keeps_programs_of_two_handlers_apart);
	tcase_add_test(tcase, test_keeper_serves_many_workers_at_once);
	tcase_add_test(tcase, test_keeper_two_tasks_of_one_worker_do_not_share_a_program);
	tcase_add_test(tcase, test_keeper_cancel_ends_the_program);
	tcase_add_test(tcase, test_keeper_replaces_what_died_without_a_task);
	tcase_add_test(tcase, test_keeper_replaces_what_says_too_much);
	tcase_add_loop_test(tcase, test_keeper_tells_how_a_program_went_wrong, 0, 9);
	tcase_add_test(tcase, test_keeper_recycles_after_so_many_tasks);
	tcase_add_test(tcase, test_keeper_ends_programs_of_workers_that_are_gone);
	tcase_add_test(tcase, test_keeper_asks_programs_to_leave_with_the_host);
	tcase_add_test(tcase, test_keeper_waits_for_no_program_for_long);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
