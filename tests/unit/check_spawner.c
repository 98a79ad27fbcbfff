/*
 * check_spawner: programs that a host starts: what they get, how they end, and that nothing outlives them.
 */
#include "host_fixture.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"

#define SH(script) "command=/bin/sh -c '" script "'\n"

static json_t *run_exec(
	const char *settings, const char *args, enum hostmsg_outcome outcome, const char *reason)
{
	struct fake fake;

	fake_start_exec(&fake, 1, settings);
	json_t *json = fake_one(&fake, "x", args, outcome, reason);
	fake_end(&fake);
	return json;
}

static const char *text_of(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text ? text : "(none)";
}

static json_int_t number_of(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

/* As ps(1) shows it; X: there is none. */
static char state_of(pid_t pid)
{
	char path[64], state = 'X';

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return 'X';
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 'X';
	(void)fclose(file);
	return state;
}

static bool is_alive(pid_t pid)
{
	char state = state_of(pid);

	return state != 'Z' && state != 'X';
}

/* Its KILL is on the way: until it has arrived. */
static void expect_gone(pid_t pid)
{
	uint64_t until_us = clock_now_us() + FAKE_WAIT_MS * US_PER_MS;

	ck_assert_int_gt(pid, 0);
	while (is_alive(pid))
		ck_assert_msg(clock_now_us() < until_us, "process %d lives on", (int)pid);
}

START_TEST(test_exec_gives_args_and_takes_output)
{
	auto_json json_t *json = run_exec(SH("cat; echo err >&2"), "{\"a\":1}", OUTCOME_OK, "");

	ck_assert_int_eq(number_of(json, "exit"), 0);
	ck_assert_str_eq(text_of(json, "stdout"), "{\"a\":1}\n");
	ck_assert_str_eq(text_of(json, "stderr"), "err\n");
	ck_assert_int_eq(number_of(json, "stdout_bytes"), 8);
	ck_assert_int_eq(number_of(json, "stderr_bytes"), 4);
	ck_assert_int_gt(number_of(json, "max_rss_bytes"), 0);
	ck_assert_ptr_nonnull(json_object_get(json, "user_us"));
	ck_assert_ptr_nonnull(json_object_get(json, "system_us"));
}
END_TEST

START_TEST(test_exec_without_stdin_reads_nothing)
{
	auto_json json_t *json = run_exec("stdin=none\n" SH("cat"), "{\"a\":1}", OUTCOME_OK, "");

	ck_assert_str_eq(text_of(json, "stdout"), "");
}
END_TEST

START_TEST(test_exec_tells_status_and_signal)
{
	auto_json json_t *status = run_exec(SH("echo out; exit 3"), "{}", OUTCOME_FAILED, "exit");
	auto_json json_t *killed =
		run_exec(SH("echo last; kill -SEGV $$"), "{}", OUTCOME_CRASHED, "crashed");

	ck_assert_int_eq(number_of(json_object_get(status, "result"), "exit"), 3);
	ck_assert_str_eq(text_of(json_object_get(status, "result"), "stdout"), "out\n");
	ck_assert_str_eq(text_of(status, "error"), "the program ended with status 3");
	ck_assert_int_eq(number_of(json_object_get(killed, "result"), "signal"), SIGSEGV);
	ck_assert_str_eq(text_of(json_object_get(killed, "result"), "stdout"), "last\n");
	ck_assert_int_gt(number_of(json_object_get(killed, "result"), "max_rss_bytes"), 0);
	ck_assert_str_eq(text_of(killed, "error"), "the program was ended by signal 11 (SEGV)");
}
END_TEST

START_TEST(test_exec_tells_what_could_not_be_started)
{
	static const struct {
		const char *settings, *sentence;
	} rows[] = {
		{"command=/nonexistent/x\n",
			"the program cannot be started: execve: No such file or directory"},
		{"command=/etc/passwd\n",
			"the program cannot be started: execve: Permission denied"},
		{"command=/bin/true\nworking_directory=/nonexistent\n",
			"the program cannot be started: chdir: No such file or directory"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_json json_t *json = run_exec(rows[i].settings, "{}", OUTCOME_FAILED, "start");
		ck_assert_str_eq(text_of(json, "error"), rows[i].sentence);
	}
}
END_TEST

START_TEST(test_exec_keeps_output_up_to_its_bound)
{
	auto_json json_t *json =
		run_exec("max_output=1000\n" SH(
				 "head -c 3000000 /dev/zero | tr \"\\0\" a; printf \"ok\" >&2"),
			"{}", OUTCOME_OK, "");

	ck_assert_uint_eq(strlen(text_of(json, "stdout")), 1000);
	ck_assert_int_eq(number_of(json, "stdout_bytes"), 3000000);
	ck_assert_str_eq(text_of(json, "stderr"), "ok");
}
END_TEST

START_TEST(test_exec_makes_output_valid_text)
{
	auto_json json_t *json =
		run_exec(SH("printf \"a\\377b\\303\\251\\1\""), "{}", OUTCOME_OK, "");

	ck_assert_str_eq(text_of(json, "stdout"), "a\xef\xbf\xbd"
						  "b\xc3\xa9\x01");
}
END_TEST

/* A megabyte of control characters is six as JSON. */
START_TEST(test_exec_output_always_fits_a_message)
{
	auto_json json_t *json = run_exec(
		"max_output=1048576\n" SH("head -c 1048576 /dev/zero | tr \"\\0\" \"\\1\" | "
					  "tee /dev/stderr"),
		"{}", OUTCOME_OK, "");

	ck_assert_int_eq(number_of(json, "stdout_bytes"), 1048576);
	ck_assert_uint_gt(strlen(text_of(json, "stdout")), 0);
}
END_TEST

START_TEST(test_exec_program_that_does_not_read_does_not_block)
{
	auto_free char *args = malloc(500003);

	ck_assert_ptr_nonnull(args);
	memset(args, 'x', 500002);
	args[0] = args[500001] = '"';
	args[500002] = '\0';
	auto_json json_t *json = run_exec("command=/bin/true\n", args, OUTCOME_OK, "");
	ck_assert_int_eq(number_of(json, "exit"), 0);
	json_t *read = run_exec(SH("wc -c"), args, OUTCOME_OK, "");
	ck_assert_int_eq(atoi(text_of(read, "stdout")), 500003);
	json_decref(read);
}
END_TEST

/* The shell reads its signals itself: while it starts another program it may have blocked them all. */
START_TEST(test_exec_child_has_three_descriptors_and_an_own_session)
{
	auto_json json_t *json = run_exec(
		"stdin=none\n" SH(
			"ls -m /proc/$$/fd; cut -d\" \" -f1,5,6 /proc/$$/stat; "
			"grep core /proc/$$/limits; while read -r key value; do "
			"case $key in SigBlk:|SigIgn:|NoNewPrivs:) echo $key $value;; esac; "
			"done </proc/$$/status"),
		"{}", OUTCOME_OK, "");
	int pid, group, session, core_soft;
	char fds[256], privs[32], ign[32], blk[32];

	ck_assert_msg(sscanf(text_of(json, "stdout"),
			      "%255[^\n] %d %d %d Max core file size %d %*[^\n] SigBlk: %31s "
			      "SigIgn: %31s NoNewPrivs: %31s",
			      fds, &pid, &group, &session, &core_soft, blk, ign, privs) == 8,
		"%s", text_of(json, "stdout"));
	ck_assert_str_eq(fds, "0, 1, 2");
	ck_assert_int_eq(group, pid);
	ck_assert_int_eq(session, pid);
	ck_assert_str_eq(privs, "1");
	ck_assert_str_eq(ign, "0000000000000000");
	ck_assert_str_eq(blk, "0000000000000000");
	ck_assert_int_eq(core_soft, 0);
}
END_TEST

START_TEST(test_exec_environment_is_what_is_listed)
{
	struct fake fake;
	struct hostmsg run = {.type = HOSTMSG_RUN};

	ck_assert_int_eq(setenv("SECRET_OF_THE_HOST", "1", 1), 0);
	fake_start_exec(&fake, 1,
		"command=/usr/bin/env\nstdin=none\nenvironment=A=1 B='two words' LANG=C\n");
	run.run.task = 17;
	run.run.attempt = 2;
	run.run.worker = 5;
	run.run.deadline_us = clock_now_us() + 3600 * US_PER_SEC;
	run.run.handler = view_of("x");
	fake_put(&fake, &run);
	struct hostmsg done = fake_done(&fake);
	auto_json json_t *json = fake_result(&done);
	unsigned long long seconds, us;
	char directory[256];
	int end = 0;
	ck_assert_msg(sscanf(text_of(json, "stdout"),
			      "WORKPOOL_TASK_ID=17\nWORKPOOL_ATTEMPT=2\nWORKPOOL_WORKER="
			      "5\nWORKPOOL_DEADLINE=%llu.%6llu\n"
			      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/"
			      "bin\nTMPDIR=%255[^\n]\nA=1\nB=two words\nLANG=C\n%n",
			      &seconds, &us, directory, &end) == 3 &&
			      strstr(directory, "/workpool-") != NULL &&
			      (size_t)end == strlen(text_of(json, "stdout")),
		"%s", text_of(json, "stdout"));
	ck_assert_int_lt(llabs((long long)(seconds * US_PER_SEC + us) -
				 (long long)(clock_wall_us() + 3600 * US_PER_SEC)),
		60 * (long long)US_PER_SEC);
	fake_end(&fake);
}
END_TEST

/* When the deadline is, as the program is told it; an attempt of task 1. */
static uint64_t told_deadline_us(struct fake *fake, uint32_t attempt, uint64_t deadline_us)
{
	struct hostmsg run = {
		.type = HOSTMSG_RUN, .run = {1, attempt, 0, deadline_us, VIEW_LIT("x"), {NULL, 0}}};
	unsigned long long told_attempt, seconds, us;

	fake_put(fake, &run);
	struct hostmsg done = fake_done(fake);
	ck_assert_uint_eq(done.done.attempt, attempt);
	auto_json json_t *json = fake_result(&done);
	ck_assert_msg(sscanf(text_of(json, "stdout"), "%llu %llu.%6llu\n", &told_attempt, &seconds,
			      &us) == 3,
		"%s", text_of(json, "stdout"));
	ck_assert_uint_eq(told_attempt, attempt);
	return seconds * US_PER_SEC + us;
}

/* Each attempt has its own, also one that is over already, as a time of the calendar. */
START_TEST(test_exec_deadline_is_that_of_the_attempt)
{
	static const int64_t seconds[] = {3600, 7200, 10, -5};
	struct fake fake;

	fake_start_exec(&fake, 1, SH("echo $WORKPOOL_ATTEMPT $WORKPOOL_DEADLINE"));
	for (uint32_t i = 0; i < ARRAY_SIZE(seconds); i++) {
		int64_t ahead_us = seconds[i] * (int64_t)US_PER_SEC;
		int64_t wall_us = (int64_t)clock_wall_us();
		uint64_t told_us = told_deadline_us(
			&fake, i + 1, (uint64_t)((int64_t)clock_now_us() + ahead_us));
		/* The calendar may be set while we look: not by much. */
		ck_assert_int_lt(
			llabs((int64_t)told_us - wall_us - ahead_us), 2 * (int64_t)US_PER_SEC);
	}
	fake_end(&fake);
}
END_TEST

/* Not nicer than we are: that would need a privilege. */
START_TEST(test_exec_limits_are_set)
{
	int own = getpriority(PRIO_PROCESS, 0), nice = own > 3 ? own : 3;
	char text[512], expected[64];

	(void)snprintf(text, sizeof(text),
		"umask=23\nnice=%d\nmemory_max=1073741824\ncpu_time=1500000\nfile_size_max=4096\n"
		"open_files_max=64\nworking_directory=/usr\n" SH(
			"umask; nice; ulimit -v -S; ulimit -t; ulimit -f; ulimit -n; ulimit -c; "
			"pwd"),
		nice);
	(void)snprintf(expected, sizeof(expected), "0027\n%d\n1048576\n2\n8\n64\n0\n/usr\n", nice);
	auto_json json_t *json = run_exec(text, "{}", OUTCOME_OK, "");
	ck_assert_str_eq(text_of(json, "stdout"), expected);
}
END_TEST

START_TEST(test_exec_scratch_directory_goes_with_the_task)
{
	struct stat st;
	auto_json json_t *json = run_exec(
		SH("pwd; mkdir -p a/b; touch a/b/c; ln -s /etc/passwd l; chmod 0 a/b; umask"), "{}",
		OUTCOME_OK, "");
	char path[256] = "";

	ck_assert_int_eq(sscanf(text_of(json, "stdout"), "%255s 0077", path), 1);
	ck_assert(strstr(path, "/workpool-") != NULL);
	ck_assert_int_eq(stat(path, &st), -1);
	ck_assert_int_eq(stat("/etc/passwd", &st), 0);
}
END_TEST

static char pid_file[64];

/* Waits until the program has written `n` numbers into pid_file; it makes the file whole and then renames it. */
static void read_pids(pid_t *ret_pids, int n)
{
	uint64_t until_us = clock_now_us() + FAKE_WAIT_MS * US_PER_MS;
	FILE *file;

	while (!(file = fopen(pid_file, "re")))
		ck_assert_msg(clock_now_us() < until_us, "no %s", pid_file);
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(fscanf(file, "%d", &ret_pids[i]), 1);
	(void)fclose(file);
	(void)unlink(pid_file);
}

static const char *script_settings(
	char *ret_text, size_t size, const char *settings, const char *script)
{
	(void)snprintf(pid_file, sizeof(pid_file), "/tmp/check_spawner.%d", (int)getpid());
	(void)unlink(pid_file);
	(void)snprintf(ret_text, size,
		"%ssandbox=no\nenvironment=F=%s\nworking_directory=/\nstdin=none\ncommand=/bin/sh "
		"-c '%s'\n",
		settings, pid_file, script);
	return ret_text;
}

#define TELL(pids) "echo " pids " >$F.new; mv $F.new $F; "
/* An orphan with a session of its own; its number goes into the variable. Nothing is left for a later command to remove: the
 * test goes on, and runs the next script, as soon as it was told. */
#define ORPHAN(variable, command)                                                                  \
	"(setsid " command " & echo $! >$F.$$); " variable "=$(cat $F.$$); rm $F.$$; "

START_TEST(test_exec_cancel_asks_the_group_and_then_kills_it)
{
	static const struct {
		const char *settings, *script;
	} rows[] = {
		{"kill_after=20000000\n",
			"sleep 1000 & " TELL("$$ $!") "wait"}, /* TERM is enough */
		{"kill_after=50000\n", "trap \"\" TERM; sleep 1000 & " TELL(
					       "$$ $!") "wait; wait; sleep 1000"}, /* KILL */
		{"kill_after=0\n",
			"trap \"\" TERM; sleep 1000 & " TELL("$$ $!") "wait; sleep 1000"},
	};
	char text[1024];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fake fake;
		pid_t pids[2];

		fake_start_exec(&fake, 1,
			script_settings(text, sizeof(text), rows[i].settings, rows[i].script));
		fake_run(&fake, 1, 0, "x", "");
		fake_flush(&fake);
		read_pids(pids, 2);
		uint64_t before_us = clock_now_us();
		fake_say(&fake, HOSTMSG_CANCEL, 1);
		struct hostmsg done = fake_done(&fake);
		ck_assert_int_eq(done.done.outcome, OUTCOME_CANCELLED);
		ck_assert(view_is_equal(done.done.reason, VIEW_LIT("cancelled")));
		ck_assert_uint_lt(clock_now_us() - before_us, 15 * US_PER_SEC);
		expect_gone(pids[0]);
		expect_gone(pids[1]);
		fake_end(&fake);
	}
}
END_TEST

/* The program ends, others of it stay: in its group, in a session of their own, and deaf to TERM; some hold its output. */
START_TEST(test_exec_nothing_outlives_the_program)
{
	char text[1024];
	struct fake fake;
	pid_t pids[3];

	fake_start_exec(&fake, 1,
		script_settings(text, sizeof(text), "",
			"trap \"\" TERM; sleep 1000 & A=$!; " ORPHAN("B", "sleep 1001")
				ORPHAN("C", "sh -c \"sleep 1002; true\"") TELL("$A $B $C")));
	fake_run(&fake, 1, 0, "x", "");
	struct hostmsg done = fake_done(&fake);
	ck_assert_int_eq(done.done.outcome, OUTCOME_OK);
	read_pids(pids, 3);
	for (int i = 0; i < 3; i++)
		expect_gone(pids[i]);
	fake_end(&fake);
}
END_TEST

/* An orphan of a program that still runs stays. */
START_TEST(test_exec_orphans_live_as_long_as_their_program)
{
	char text[1024];
	struct fake fake;
	pid_t pids[2];

	fake_start_exec(&fake, 2,
		script_settings(text, sizeof(text), "",
			ORPHAN("B", "sleep 1000") TELL("$$ $B") "sleep 1000"));
	fake_run(&fake, 1, 0, "x", "");
	fake_flush(&fake);
	read_pids(pids, 2);
	/* Another one of the same host comes and goes: its end looks for orphans. */
	ck_assert(is_alive(pids[1]));
	fake_run(&fake, 2, 1, "x", "");
	fake_flush(&fake);
	pid_t others[2];
	read_pids(others, 2);
	fake_say(&fake, HOSTMSG_CANCEL, 2);
	(void)fake_done(&fake);
	expect_gone(others[1]);
	ck_assert(is_alive(pids[1]));
	fake_say(&fake, HOSTMSG_CANCEL, 1);
	(void)fake_done(&fake);
	expect_gone(pids[0]);
	expect_gone(pids[1]);
	fake_end(&fake);
}
END_TEST

/* In the middle of execve(2) a process has no environment by which it could be known. */
START_TEST(test_exec_orphan_that_becomes_another_program_lives)
{
	char text[1024];
	struct fake fake;
	pid_t pids[2];

	fake_fork(&fake);
	fake_setup(&fake, 2);
	fake_handler(&fake, "x", "exec",
		script_settings(text, sizeof(text), "",
			"export S=\"exec /bin/sh -c \\\"\\$S\\\"\"; " ORPHAN(
				"B", "/bin/sh -c \"$S\"") TELL("$$ $B") "sleep 1000"));
	fake_handler(&fake, "y", "exec", "command=/bin/true\n");
	fake_go(&fake, 2);
	fake_run(&fake, 2, 1, "x", "");
	fake_flush(&fake);
	read_pids(pids, 2);
	for (int i = 0; i < 300; i++)
		json_decref(fake_one(&fake, "y", "{}", OUTCOME_OK, ""));
	ck_assert(is_alive(pids[1]));
	fake_say(&fake, HOSTMSG_CANCEL, 2);
	(void)fake_done(&fake);
	expect_gone(pids[0]);
	expect_gone(pids[1]);
	fake_end(&fake);
}
END_TEST

/* The next attempt of its task may run already: that is no reason for an orphan of this one to stay. */
START_TEST(test_exec_orphans_of_an_attempt_go_with_it)
{
	struct hostmsg run = {.type = HOSTMSG_RUN, .run = {1, 1, 0, 0, VIEW_LIT("x"), {NULL, 0}}};
	char text[1024];
	struct fake fake;
	pid_t pids[2], next[2];

	fake_start_exec(&fake, 2,
		script_settings(text, sizeof(text), "",
			ORPHAN("B", "sleep 1000") TELL("$$ $B") "sleep 1000"));
	fake_put(&fake, &run);
	fake_flush(&fake);
	read_pids(pids, 2);
	run.run.attempt = 2;
	run.run.worker = 1;
	fake_put(&fake, &run);
	fake_flush(&fake);
	read_pids(next, 2);
	fake_say(&fake, HOSTMSG_CANCEL, 1); /* the first attempt */
	ck_assert_uint_eq(fake_done(&fake).done.attempt, 1);
	expect_gone(pids[0]);
	expect_gone(pids[1]);
	ck_assert(is_alive(next[0]));
	ck_assert(is_alive(next[1]));
	fake_end(&fake);
}
END_TEST

static void expect_all_gone_after(void (*end)(struct fake *), int status)
{
	char text[1024];
	struct fake fake;
	pid_t pids[3];

	fake_fork(&fake);
	fake_setup(&fake, 2);
	fake_handler(&fake, "x", "exec",
		script_settings(text, sizeof(text), "",
			"trap \"\" TERM; sleep 1000 & A=$!; " ORPHAN("B", "sleep 1001")
				TELL("$$ $A $B") "sleep 1000"));
	fake_handler(&fake, "y", "exec", "command=/bin/true\n");
	fake_go(&fake, 2);
	fake_run(&fake, 1, 0, "x", "");
	fake_flush(&fake);
	read_pids(pids, 3);
	/* The spawner's answers come in order: after this one the host knows that the script runs. */
	fake_run(&fake, 2, 1, "y", "");
	ck_assert_uint_eq(fake_done(&fake).done.task, 2);
	end(&fake);
	ck_assert_int_eq(fake_wait(&fake), status);
	expect_gone(pids[0]);
	expect_gone(pids[1]);
	if (status !=
		70) /* who kills the spawner itself loses the hold on those that left the group */
		expect_gone(pids[2]);
	else
		(void)kill(pids[2], SIGKILL);
}

static void end_by_kill(struct fake *fake)
{
	ck_assert_int_eq(kill(fake->pid, SIGKILL), 0);
}

static void end_by_closing(struct fake *fake)
{
	fake->fd = fd_close(fake->fd);
}

static pid_t child_of(pid_t pid)
{
	char path[64];
	pid_t child = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	FILE *file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%d", &child), 1);
	(void)fclose(file);
	return child;
}

/* The host goes while the program runs: its directory goes too. */
START_TEST(test_exec_scratch_directory_goes_with_the_host)
{
	static void (*const ends[])(struct fake *) = {end_by_kill, end_by_closing};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		char text[1024], path[64], directory[256] = "";
		struct fake fake;
		struct stat st;
		pid_t pid;

		(void)script_settings(
			text, sizeof(text), "", "touch file; " TELL("$$") "sleep 1000");
		char *line = strstr(text, "working_directory=/\n");
		ck_assert_ptr_nonnull(line);
		memmove(line, line + 20, strlen(line + 20) + 1);
		fake_start_exec(&fake, 1, text);
		fake_run(&fake, 1, 0, "x", "");
		fake_flush(&fake);
		read_pids(&pid, 1);
		(void)snprintf(path, sizeof(path), "/proc/%d/cwd", (int)pid);
		ck_assert_int_gt(readlink(path, directory, sizeof(directory) - 1), 0);
		ck_assert_int_eq(stat(directory, &st), 0);
		ends[i](&fake);
		(void)fake_wait(&fake);
		expect_gone(pid);
		uint64_t until_us = clock_now_us() + FAKE_WAIT_MS * US_PER_MS;
		while (stat(directory, &st) == 0)
			ck_assert_msg(clock_now_us() < until_us, "%s is left", directory);
	}
}
END_TEST

static void end_by_killing_the_spawner(struct fake *fake)
{
	ck_assert_int_eq(kill(child_of(fake->pid), SIGKILL), 0);
}

START_TEST(test_exec_all_ends_with_the_host)
{
	expect_all_gone_after(end_by_kill, -SIGKILL);
	expect_all_gone_after(end_by_closing, 0);
	expect_all_gone_after(end_by_killing_the_spawner, 70);
}
END_TEST

START_TEST(test_exec_spawner_ignores_term)
{
	struct fake fake;

	fake_start_exec(&fake, 1, "command=/bin/true\n");
	ck_assert_int_eq(kill(child_of(fake.pid), SIGTERM), 0);
	ck_assert_int_eq(kill(child_of(fake.pid), SIGINT), 0);
	json_decref(fake_one(&fake, "x", "{}", OUTCOME_OK, ""));
	fake_end(&fake);
}
END_TEST

static int count_fds(pid_t pid)
{
	int n = 0;

	for (int i = 0; i < 1024; i++) {
		char path[64], to[8];
		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, i);
		n += readlink(path, to, sizeof(to)) >= 0;
	}
	return n;
}

START_TEST(test_exec_many_at_once_leak_nothing)
{
	struct fake fake;
	int host_fds = 0, spawner_fds = 0;

	fake_start_exec(&fake, 32, SH("cat"));
	for (int round = 0; round < 6; round++) {
		for (uint32_t i = 0; i < 32; i++)
			fake_run(&fake, i + 1, i, "x", "{\"a\":1}");
		for (uint32_t i = 0; i < 32; i++)
			ck_assert_int_eq(fake_done(&fake).done.outcome, OUTCOME_OK);
		if (round == 0) {
			host_fds = count_fds(fake.pid);
			spawner_fds = count_fds(child_of(fake.pid));
		}
	}
	ck_assert_int_eq(count_fds(fake.pid), host_fds);
	ck_assert_int_eq(count_fds(child_of(fake.pid)), spawner_fds);
	fake_end(&fake);
}
END_TEST

/* What a program does when it is asked to end. Each says which process is to be there, or to have stopped, before it is. */
static const struct {
	const char *script;
	bool stops;
	int signal; /* that ends it; 0: either */
} stubborn[] = {
	{"echo $$; exec sleep 1000", false, SIGTERM},
	{"echo $$; kill -STOP $$; sleep 1000", true, SIGTERM},
	{"trap \"\" TERM; echo $$; while :; do sleep 1000; done", false, SIGKILL},
	{"trap \"\" TERM; echo $$; kill -STOP $$; while :; do sleep 1000; done", true, SIGKILL},
	/* stops itself again whenever it is asked */
	{"trap \"kill -STOP $$\" TERM CONT; echo $$; while :; do sleep 1000 & wait; done", false,
		SIGKILL},
	/* a child that does not end, and its parent waits for it */
	{"trap : TERM; sh -c \"trap \\\"\\\" TERM; echo \\$\\$; sleep 1000; :\" & wait; wait; "
	 "sleep "
	 "1000",
		false, SIGKILL},
	/* out of the group: an own session, with and without a parent, deaf, stopped, unmarked */
	{"setsid sh -c \"echo \\$\\$; kill -STOP \\$\\$; :\" & wait; sleep 1000", true, 0},
	{"sh -c \"setsid sh -c \\\"trap : TERM; echo \\\\\\$\\\\\\$; while :; do sleep 1000; "
	 "done\\\" &\"; sleep 1000",
		false, 0},
	{"sh -c \"env -i setsid sh -c \\\"echo \\\\\\$\\\\\\$; sleep 1000; :\\\" &\"; sleep 1000",
		false, 0},
	{"trap \"\" TERM; setsid sh -c \"setsid sh -c \\\"setsid sleep 1000 & echo "
	 "\\\\\\$\\\\\\$; wait\\\" & wait\" & wait; sleep 1000",
		false, SIGKILL},
};

#define STUBBORN      100
#define STUBBORN_KIND (i % ARRAY_SIZE(stubborn))
#define KILL_AFTER_US (500 * US_PER_MS)
#define GONE_AFTER_US (KILL_AFTER_US + 1 * US_PER_SEC)
#define BUSY_US                                                                                    \
	(3 * US_PER_SEC) /* more: a sanitizer's slowness, other things that the machine does */

static void stubborn_start(struct fake *fake)
{
	char name[8], text[512];

	fake_fork(fake);
	fake_setup(fake, STUBBORN);
	for (size_t i = 0; i < ARRAY_SIZE(stubborn); i++) {
		(void)snprintf(name, sizeof(name), "k%zu", i);
		(void)snprintf(text, sizeof(text),
			"kill_after=500000\nstdin=none\nworking_directory=/\n"
			"command=/bin/sh -c '%s'\n",
			stubborn[i].script);
		fake_handler(fake, name, "exec", text);
	}
	fake_go(fake, ARRAY_SIZE(stubborn));
	for (uint32_t i = 0; i < STUBBORN; i++) {
		(void)snprintf(name, sizeof(name), "k%zu", STUBBORN_KIND);
		fake_run(fake, i + 1, i, name, "");
		fake_say(fake, HOSTMSG_FOLLOW, i + 1);
	}
}

/* Until each has said its number, and those have stopped that do. */
static void stubborn_wait(struct fake *fake)
{
	uint64_t until_us = clock_now_us() + FAKE_WAIT_MS * US_PER_MS;
	pid_t pids[STUBBORN] = {0};
	struct hostmsg msg;

	for (size_t n = 0; n < STUBBORN;) {
		ck_assert(fake_next(fake, &msg));
		ck_assert_str_eq(hostmsg_name(msg.type), "LOG");
		if (msg.log.text.len == 0)
			continue;
		ck_assert(msg.log.stream == STREAM_OUT && pids[msg.log.task - 1] == 0);
		pids[msg.log.task - 1] = (pid_t)strtol(msg.log.text.data, NULL, 10);
		ck_assert_int_gt(pids[msg.log.task - 1], 1);
		n++;
	}
	for (size_t i = 0; i < STUBBORN; i++) {
		while (stubborn[STUBBORN_KIND].stops && state_of(pids[i]) != 'T')
			ck_assert_msg(clock_now_us() < until_us, "kind %zu", STUBBORN_KIND);
	}
}

static void expect_stubborn_end(const struct hostmsg *done)
{
	size_t i = done->done.task - 1;
	auto_json json_t *json = fake_result(done);
	json_int_t signal = number_of(json_object_get(json, "result"), "signal");

	ck_assert_int_eq(done->done.outcome, OUTCOME_CANCELLED);
	ck_assert_msg(stubborn[STUBBORN_KIND].signal == 0 ||
			      signal == (json_int_t)stubborn[STUBBORN_KIND].signal,
		"kind %zu: signal %d", STUBBORN_KIND, (int)signal);
}

/* Whoever left the group too: as orphans they are all the spawner's. */
static bool has_children(pid_t pid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	FILE *file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	bool has_some = fgetc(file) != EOF;
	(void)fclose(file);
	return has_some;
}

START_TEST(test_exec_a_hundred_stubborn_programs_leave_nothing)
{
	struct hostmsg msg;
	struct fake fake;
	size_t n = 0;

	stubborn_start(&fake);
	stubborn_wait(&fake);
	pid_t spawner = child_of(fake.pid);
	ck_assert(has_children(spawner));
	for (uint32_t i = 0; i < STUBBORN; i++)
		fake_put(&fake, &(struct hostmsg){.type = HOSTMSG_CANCEL, .cancel = {i + 1, 1}});
	uint64_t asked_us = clock_now_us();
	fake_flush(&fake);
	while (n < STUBBORN) {
		ck_assert(fake_next(&fake, &msg));
		if (msg.type == HOSTMSG_DONE) {
			expect_stubborn_end(&msg);
			n++;
		}
	}
	while (has_children(spawner))
		ck_assert_uint_lt(clock_now_us() - asked_us, GONE_AFTER_US + BUSY_US);
	fake_end(&fake);
}
END_TEST

/* The spawner itself, without a host: what is no message changes nothing. */
START_TEST(test_spawner_survives_what_is_no_message)
{
	static char data[SPAWNMSG_LIMIT + 100];
	struct spawner spawner;
	const int fds[SPAWN_FDS] = {0, 1, 2, [SPAWN_RULES] = -1};
	static const char *const argv[] = {"/bin/true", NULL}, *const env[] = {"ID=1", NULL};
	const struct spawn_order order = {.argv = argv, .env = env, .directory = ""};
	struct spawn_reply reply;
	int got[SPAWN_FDS];
	size_t len;

	ck_assert_int_eq(spawner_open(&spawner, -1), 0);
	ck_assert_int_eq(spawnmsg_pack_start(1, &order, data, &len), 0);
	for (size_t n = 1; n < len; n++)
		ck_assert_int_eq(spawnmsg_send(spawner.fd, data, n, n % 2 ? fds : NULL), 0);
	memset(data, 0xff, sizeof(data));
	ck_assert_int_eq(spawnmsg_send(spawner.fd, data, sizeof(data), fds), 0);
	ck_assert_int_eq(spawnmsg_pack_start(2, &order, data, &len), 0);
	ck_assert_int_eq(spawnmsg_send(spawner.fd, data, len, NULL), 0); /* no descriptors */
	ck_assert_int_gt(spawnmsg_receive(spawner.fd, &reply, sizeof(reply), got), 0);
	ck_assert_uint_eq(reply.id, 2);
	ck_assert_uint_eq(reply.what, SPAWN_FAILED);
	ck_assert_int_eq(spawnmsg_send(spawner.fd, data, len, fds), 0);
	ck_assert_int_gt(spawnmsg_receive(spawner.fd, &reply, sizeof(reply), got), 0);
	ck_assert_uint_eq(reply.what, SPAWN_STARTED);
	ck_assert_int_gt(spawnmsg_receive(spawner.fd, &reply, sizeof(reply), got), 0);
	ck_assert_uint_eq(reply.what, SPAWN_ENDED);
	ck_assert_int_eq(reply.status, 0);
	spawner_close(&spawner);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spawner");
	TCase *tcase = tcase_create("spawner");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_exec_gives_args_and_takes_output);
	tcase_add_test(tcase, test_exec_without_stdin_reads_nothing);
	tcase_add_test(tcase, test_exec_tells_status_and_signal);
	tcase_add_test(tcase, test_exec_tells_what_could_not_be_started);
	tcase_add_test(tcase, test_exec_keeps_output_up_to_its_bound);
	tcase_add_test(tcase, test_exec_makes_output_valid_text);
	tcase_add_test(tcase, test_exec_output_always_fits_a_message);
	tcase_add_test(tcase, test_exec_program_that_does_not_read_does_not_block);
	tcase_add_test(tcase, test_exec_child_has_three_descriptors_and_an_own_session);
	tcase_add_test(tcase, test_exec_environment_is_what_is_listed);
	tcase_add_test(tcase, test_exec_deadline_is_that_of_the_attempt);
	tcase_add_test(tcase, test_exec_limits_are_set);
	tcase_add_test(tcase, test_exec_scratch_directory_goes_with_the_task);
	tcase_add_test(tcase, test_exec_scratch_directory_goes_with_the_host);
	tcase_add_test(tcase, test_exec_cancel_asks_the_group_and_then_kills_it);
	tcase_add_test(tcase, test_exec_nothing_outlives_the_program);
	tcase_add_test(tcase, test_exec_orphans_live_as_long_as_their_program);
	tcase_add_test(tcase, test_exec_orphan_that_becomes_another_program_lives);
	tcase_add_test(tcase, test_exec_orphans_of_an_attempt_go_with_it);
	tcase_add_test(tcase, test_exec_a_hundred_stubborn_programs_leave_nothing);
	tcase_add_test(tcase, test_exec_all_ends_with_the_host);
	tcase_add_test(tcase, test_exec_spawner_ignores_term);
	tcase_add_test(tcase, test_exec_many_at_once_leak_nothing);
	tcase_add_test(tcase, test_spawner_survives_what_is_no_message);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
