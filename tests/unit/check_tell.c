/*
 * check_tell: what a host tells of tasks on their way: output of those that are followed, progress; and that neither a
 * program nor another task ever waits for a daemon that does not read.
 */
#include "host_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/str.h"
#include "host/tell.h"

#define TEXT_MAX (64u * 1024)
#define SLEEP    "{\"ms\":86400000}"

/* All that was said of one task until its DONE. */
struct heard {
	struct buf text[STREAMS_END];
	uint64_t total[STREAMS_END];
	unsigned logs, progresses;
	uint32_t permille;
	struct hostmsg done; /* type NONE: not yet. Its views live until the next message */
};

static void heard_init(struct heard *heard)
{
	*heard = (struct heard){.done = {.type = HOSTMSG_NONE}};
	for (int i = 0; i < STREAMS_END; i++)
		buf_init(&heard->text[i], 64u << 20);
}

static void heard_done(struct heard *heard)
{
	for (int i = 0; i < STREAMS_END; i++)
		buf_done(&heard->text[i]);
}

static void take_log(struct heard *heard, const struct hostmsg *msg)
{
	uint8_t stream = msg->log.stream;

	ck_assert(stream == STREAM_OUT || stream == STREAM_ERR);
	ck_assert_uint_eq(msg->log.attempt, 1);
	ck_assert(str_is_utf8(msg->log.text));
	ck_assert_uint_le(msg->log.text.len, TEXT_MAX);
	ck_assert_uint_ge(msg->log.total, heard->total[stream]);
	heard->total[stream] = msg->log.total;
	heard->logs++;
	ck_assert_int_eq(
		buf_append(&heard->text[stream], msg->log.text.data, msg->log.text.len), 0);
}

/* The next message into the row of its task, 1 to n; its type. */
static enum hostmsg_type hear_any(struct fake *fake, struct heard *heards, size_t n)
{
	struct hostmsg msg;

	fake_flush(fake);
	ck_assert(fake_next(fake, &msg));
	uint64_t task = msg.type == HOSTMSG_LOG        ? msg.log.task
			: msg.type == HOSTMSG_PROGRESS ? msg.progress.task
						       : msg.done.task;
	ck_assert(task >= 1 && task <= n);
	struct heard *heard = &heards[task - 1];
	ck_assert_msg(
		heard->done.type == HOSTMSG_NONE, "%s behind the end", hostmsg_name(msg.type));
	if (msg.type == HOSTMSG_LOG) {
		take_log(heard, &msg);
	} else if (msg.type == HOSTMSG_PROGRESS) {
		ck_assert_uint_ge(msg.progress.permille, heard->permille);
		heard->permille = msg.progress.permille;
		heard->progresses++;
	} else {
		ck_assert_str_eq(hostmsg_name(msg.type), "DONE");
		heard->done = msg;
	}
	return msg.type;
}

static void hear_end(struct fake *fake, struct heard *heard)
{
	while (heard->done.type == HOSTMSG_NONE)
		(void)hear_any(fake, heard, 1);
}

static void expect_text(const struct heard *heard, enum hostmsg_stream stream, const char *text)
{
	struct view got = buf_view(&heard->text[stream]);

	ck_assert_msg(
		view_is_equal(got, view_of(text)), "%.*s", (int)got.len, got.data ? got.data : "");
}

static void hear_until(
	struct fake *fake, struct heard *heard, enum hostmsg_stream stream, const char *text)
{
	while (buf_len(&heard->text[stream]) < strlen(text))
		ck_assert_int_eq(hear_any(fake, heard, 1), HOSTMSG_LOG);
	expect_text(heard, stream, text);
}

/* The LOGs together are what the report says. */
static void expect_report(const struct heard *heard)
{
	static const char *const keys[] = {[STREAM_OUT] = "stdout", [STREAM_ERR] = "stderr"};
	static const char *const totals[] = {
		[STREAM_OUT] = "stdout_bytes", [STREAM_ERR] = "stderr_bytes"};
	auto_json json_t *json = fake_result(&heard->done);

	for (int i = STREAM_OUT; i < STREAMS_END; i++) {
		const json_t *text = json_object_get(json, keys[i]);
		struct view told = {json_string_value(text), json_string_length(text)};
		ck_assert_ptr_nonnull(told.data);
		ck_assert_msg(view_is_equal(told, buf_view(&heard->text[i])),
			"%s: %zu and %zu bytes", keys[i], told.len, buf_len(&heard->text[i]));
		ck_assert_int_eq(json_integer_value(json_object_get(json, totals[i])),
			(json_int_t)heard->total[i]);
	}
}

/* A gate: the program says `read x <$G`, and goes on when the test opens it. $T: where it tells something. With two gates
 * it keeps its end open, `exec 3<>$G`: else it may pass the second one by the end of who opened the first. */
static char gate_path[64], told_path[64];
static int told_fd = -1;

static const char *gate_settings(
	char *ret_text, size_t size, const char *settings, const char *script)
{
	(void)snprintf(gate_path, sizeof(gate_path), "/tmp/check_tell.%d.gate", (int)getpid());
	(void)snprintf(told_path, sizeof(told_path), "/tmp/check_tell.%d.told", (int)getpid());
	(void)unlink(gate_path);
	(void)unlink(told_path);
	ck_assert_int_eq(mkfifo(gate_path, 0600), 0);
	ck_assert_int_eq(mkfifo(told_path, 0600), 0);
	told_fd = open(told_path, O_RDWR | O_CLOEXEC); /* both: nobody ever waits to open it */
	ck_assert_int_ge(told_fd, 0);
	(void)snprintf(ret_text, size,
		"%senvironment=G=%s T=%s\nworking_directory=/\nstdin=none\ncommand=/bin/sh -c "
		"'%s'\n",
		settings, gate_path, told_path, script);
	return ret_text;
}

/* Returns as soon as the program reads. */
static void open_gate(void)
{
	auto_fd int fd = open(gate_path, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fd_write_all(fd, "go\n", 3), 0);
}

/* Returns when a program has told something. */
static void wait_told(void)
{
	struct pollfd p = {.fd = told_fd, .events = POLLIN};
	char c;

	ck_assert_msg(poll(&p, 1, FAKE_WAIT_MS) == 1, "no program tells anything");
	ck_assert_int_eq(read(told_fd, &c, 1), 1);
}

static void gate_done(void)
{
	(void)unlink(gate_path);
	(void)unlink(told_path);
	told_fd = fd_close(told_fd);
}

START_TEST(test_tell_output_comes_while_the_program_runs)
{
	char text[1024];
	struct heard heard;
	struct fake fake;

	heard_init(&heard);
	fake_start_exec(&fake, 1,
		gate_settings(text, sizeof(text), "",
			"exec 3<>$G; echo one; read x <&3; echo two >&2; read x <&3; echo three"));
	fake_run(&fake, 1, 0, "x", "");
	fake_say(&fake, HOSTMSG_FOLLOW, 1);
	hear_until(&fake, &heard, STREAM_OUT, "one\n");
	open_gate();
	hear_until(&fake, &heard, STREAM_ERR, "two\n");
	open_gate();
	hear_end(&fake, &heard);
	expect_text(&heard, STREAM_OUT, "one\nthree\n");
	expect_text(&heard, STREAM_ERR, "two\n");
	ck_assert_uint_eq(heard.total[STREAM_OUT], 10);
	ck_assert_uint_eq(heard.total[STREAM_ERR], 4);
	expect_report(&heard);
	fake_end(&fake);
	heard_done(&heard);
	gate_done();
}
END_TEST

START_TEST(test_tell_output_begins_at_the_beginning_and_only_when_it_is_followed)
{
	char text[1024];
	struct heard heard;
	struct fake fake;

	heard_init(&heard);
	fake_start_exec(&fake, 1,
		gate_settings(text, sizeof(text), "", "echo one; echo >$T; read x <$G; echo two"));
	fake_run(&fake, 1, 0, "x", "");
	fake_flush(&fake);
	wait_told();
	/* Nothing has come: the answer to a no-op is the first thing to hear. */
	fake_run(&fake, 2, 0, "noop", "");
	ck_assert_uint_eq(fake_done(&fake).done.task, 2);
	fake_say(&fake, HOSTMSG_FOLLOW, 1);
	hear_until(&fake, &heard, STREAM_OUT, "one\n");
	fake_say(&fake, HOSTMSG_FOLLOW, 1); /* a second one changes nothing */
	open_gate();
	hear_end(&fake, &heard);
	expect_report(&heard);
	fake_end(&fake);
	heard_done(&heard);
	gate_done();
}
END_TEST

START_TEST(test_tell_output_cuts_no_character_in_two)
{
	char text[1024];
	struct heard heard;
	struct fake fake;

	heard_init(&heard);
	fake_start_exec(&fake, 1,
		gate_settings(text, sizeof(text), "",
			"exec 3<>$G; printf \"a\\303\"; read x <&3; "
			"printf \"\\251\\377b\\342\\202\"; read x <&3"));
	fake_run(&fake, 1, 0, "x", "");
	fake_say(&fake, HOSTMSG_FOLLOW, 1);
	hear_until(&fake, &heard, STREAM_OUT, "a");
	open_gate();
	hear_until(&fake, &heard, STREAM_OUT,
		"a\xc3\xa9\xef\xbf\xbd"
		"b");
	open_gate();
	hear_end(&fake, &heard);
	/* The stream has ended: what has begun will not come. */
	expect_text(&heard, STREAM_OUT,
		"a\xc3\xa9\xef\xbf\xbd"
		"b\xef\xbf\xbd\xef\xbf\xbd");
	expect_report(&heard);
	fake_end(&fake);
	heard_done(&heard);
	gate_done();
}
END_TEST

/* All kinds of bytes, in pieces of all sizes, kept up to every kind of bound: told is what is reported. */
START_TEST(test_tell_output_is_what_the_report_says)
{
	static const char *const pieces[] = {"a", "line\n", "\xc3\xa9", "\xe2\x82\xac",
		"\xf0\x9f\x98\x80", "\xff", "\x80", "\xe2\x82", "\xf0\x9f", "\x01\x02", "\"\\",
		"\xc0"};
	char path[64], settings[256];
	unsigned random = 1;

	(void)snprintf(path, sizeof(path), "/tmp/check_tell.%d.bytes", (int)getpid());
	for (unsigned round = 0; round < 30; round++) {
		size_t max = round < 18 ? round : round < 26 ? 65532 + round - 18 : 1 << 20;
		size_t most = round < 18 ? 60 : 200000;
		struct heard heard;
		struct fake fake;
		FILE *file = fopen(path, "we");

		ck_assert_ptr_nonnull(file);
		for (size_t n = 0; n < most;) {
			random = random * 1103515245 + 12345;
			const char *piece = pieces[(random >> 16) % ARRAY_SIZE(pieces)];
			(void)fputs(piece, file);
			n += strlen(piece);
		}
		ck_assert(!ferror(file));
		ck_assert_int_eq(fclose(file), 0);
		(void)snprintf(settings, sizeof(settings),
			"max_output=%zu\nstdin=none\ncommand=/bin/cat %s\n", max, path);
		heard_init(&heard);
		fake_start_exec(&fake, 1, settings);
		fake_run(&fake, 1, 0, "x", "");
		fake_say(&fake, HOSTMSG_FOLLOW, 1);
		hear_end(&fake, &heard);
		expect_report(&heard);
		fake_end(&fake);
		heard_done(&heard);
	}
	(void)unlink(path);
}
END_TEST

START_TEST(test_tell_counts_what_is_not_kept)
{
	char text[1024];
	struct heard heard;
	struct fake fake;

	heard_init(&heard);
	fake_start_exec(&fake, 1,
		gate_settings(text, sizeof(text), "max_output=1000\n",
			"head -c 3000000 /dev/zero | tr \"\\0\" a; read x <$G"));
	fake_run(&fake, 1, 0, "x", "");
	fake_say(&fake, HOSTMSG_FOLLOW, 1);
	/* While it runs and says nothing more. */
	while (heard.total[STREAM_OUT] < 3000000)
		ck_assert_int_eq(hear_any(&fake, &heard, 1), HOSTMSG_LOG);
	ck_assert_uint_eq(buf_len(&heard.text[STREAM_OUT]), 1000);
	ck_assert_uint_lt(heard.logs, 50);
	open_gate();
	hear_end(&fake, &heard);
	expect_report(&heard);
	fake_end(&fake);
	heard_done(&heard);
	gate_done();
}
END_TEST

/* With what was put before, in one write. */
static void follow(struct fake *fake, uint64_t task)
{
	fake_put(fake, &(struct hostmsg){.type = HOSTMSG_FOLLOW, .follow = {task, 1}});
}

START_TEST(test_tell_answers_a_follow_of_what_has_no_output)
{
	static const char *const handlers[] = {"noop", "echo", "fail", "sleep", "nobody", "y"};
	struct fake fake;

	fake_fork(&fake);
	fake_setup(&fake, 1);
	fake_handler(&fake, "y", "exec", "command=/nonexistent/y\n");
	fake_go(&fake, 1);
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
		bool sleeps = strcmp(handlers[i], "sleep") == 0;
		struct heard heard;

		heard_init(&heard);
		fake_run(&fake, 1, 0, handlers[i], sleeps ? SLEEP : "{}");
		follow(&fake, 2); /* nobody: nothing is said to it */
		follow(&fake, 1);
		ck_assert_int_eq(hear_any(&fake, &heard, 1), HOSTMSG_LOG);
		if (sleeps)
			fake_say(&fake, HOSTMSG_CANCEL, 1);
		hear_end(&fake, &heard);
		/* A program has two outputs, which both answer if the word comes before it is known not to start. */
		ck_assert(heard.logs == 1 || (strcmp(handlers[i], "y") == 0 && heard.logs == 2));
		expect_text(&heard, STREAM_OUT, "");
		fake_say(&fake, HOSTMSG_FOLLOW, 1); /* it has ended */
		heard_done(&heard);
	}
	fake_end(&fake);
}
END_TEST

/* What comes in one read is followed and cancelled before it begins. */
START_TEST(test_tell_answers_a_follow_of_what_never_began)
{
	enum { TASKS = 9 };
	char text[1024];
	struct heard heards[TASKS];
	struct fake fake;
	size_t n = 0;

	fake_start_exec(&fake, TASKS, gate_settings(text, sizeof(text), "", "sleep 1000"));
	for (uint32_t i = 0; i < TASKS; i++) {
		heard_init(&heards[i]);
		fake_run(&fake, i + 1, i, "x", "");
		follow(&fake, i + 1);
		fake_put(&fake, &(struct hostmsg){.type = HOSTMSG_CANCEL, .cancel = {i + 1, 1}});
	}
	while (n < TASKS)
		n += hear_any(&fake, heards, TASKS) == HOSTMSG_DONE;
	for (uint32_t i = 0; i < TASKS; i++) {
		ck_assert_int_eq(heards[i].done.done.outcome, OUTCOME_CANCELLED);
		ck_assert_uint_ge(heards[i].logs, 1);
		heard_done(&heards[i]);
	}
	fake_end(&fake);
	gate_done();
}
END_TEST

/*
 * Programs write more than sockets and buffers hold, and end, while nobody reads; a task in front is cancelled and others
 * are run meanwhile. Then all that was kept is there, in order.
 */
START_TEST(test_tell_a_daemon_that_does_not_read_holds_up_no_program)
{
	enum { TASKS = 4 };
	char text[1024];
	struct heard heards[TASKS + 2];
	struct fake fake;
	size_t n = 0;

	fake_start_exec(&fake, TASKS + 2,
		gate_settings(text, sizeof(text), "max_output=1048576\n",
			"head -c 5000000 /dev/zero | tr \"\\0\" a; "
			"head -c 5000000 /dev/zero | tr \"\\0\" b >&2; echo >$T"));
	for (uint32_t i = 0; i < TASKS + 2; i++)
		heard_init(&heards[i]);
	fake_run(&fake, TASKS + 1, TASKS, "sleep", SLEEP);
	for (uint32_t i = 0; i < TASKS; i++) {
		fake_run(&fake, i + 1, i, "x", "");
		fake_say(&fake, HOSTMSG_FOLLOW, i + 1);
	}
	for (uint32_t i = 0; i < TASKS; i++)
		wait_told();
	/* Somebody still reads, and somebody still runs. */
	fake_say(&fake, HOSTMSG_CANCEL, TASKS + 1);
	fake_run(&fake, TASKS + 2, TASKS + 1, "x", "");
	fake_flush(&fake);
	wait_told();
	while (n < TASKS + 2)
		n += hear_any(&fake, heards, TASKS + 2) == HOSTMSG_DONE;
	for (uint32_t i = 0; i < TASKS; i++) {
		ck_assert_int_eq(heards[i].done.done.outcome, OUTCOME_OK);
		for (int k = STREAM_OUT; k < STREAMS_END; k++) {
			struct view all = buf_view(&heards[i].text[k]);
			ck_assert_uint_eq(heards[i].total[k], 5000000);
			ck_assert_uint_eq(all.len, 1048576);
			ck_assert_int_eq(all.data[0], k == STREAM_OUT ? 'a' : 'b');
			ck_assert_int_eq(memcmp(all.data, all.data + 1, all.len - 1), 0);
		}
	}
	ck_assert_int_eq(heards[TASKS].done.done.outcome, OUTCOME_CANCELLED);
	ck_assert_uint_eq(heards[TASKS + 1].logs, 0); /* not followed */
	for (uint32_t i = 0; i < TASKS + 2; i++)
		heard_done(&heards[i]);
	fake_end(&fake);
	gate_done();
}
END_TEST

/* Many that are followed, many that are not, all at once, some cancelled: each is heard of as it should be. */
START_TEST(test_tell_output_of_many_at_once)
{
	enum { TASKS = 48, ROUNDS = 4 };
	struct fake fake;

	fake_start_exec(&fake, TASKS,
		"stdin=none\nmax_output=100000\ncommand=/bin/sh -c "
		"'head -c 70000 /dev/zero | tr \"\\0\" a; echo $WORKPOOL_TASK_ID >&2'\n");
	for (int round = 0; round < ROUNDS; round++) {
		struct heard heards[TASKS];
		size_t n = 0;

		for (uint32_t i = 0; i < TASKS; i++) {
			heard_init(&heards[i]);
			fake_run(&fake, i + 1, i, i % 6 == 5 ? "sleep" : "x",
				i % 6 == 5 ? "{\"ms\":0}" : "");
			if (i % 3 != 0)
				fake_say(&fake, HOSTMSG_FOLLOW, i + 1);
		}
		while (n < TASKS)
			n += hear_any(&fake, heards, TASKS) == HOSTMSG_DONE;
		for (uint32_t i = 0; i < TASKS; i++) {
			ck_assert_int_eq(heards[i].done.done.outcome, OUTCOME_OK);
			if (i % 6 == 5)
				ck_assert_uint_le(heards[i].logs, 1);
			else if (i % 3 == 0)
				ck_assert_uint_eq(heards[i].logs, 0);
			else if (heards[i].logs > 0)
				ck_assert_uint_eq(buf_len(&heards[i].text[STREAM_OUT]), 70000);
			heard_done(&heards[i]);
		}
	}
	fake_end(&fake);
}
END_TEST

START_TEST(test_tell_sleep_tells_its_progress)
{
	struct heard heard;
	struct fake fake;

	heard_init(&heard);
	fake_start(&fake, 1);
	uint64_t begun_us = clock_now_us();
	fake_run(&fake, 1, 0, "sleep", "{\"ms\":1000}");
	hear_end(&fake, &heard);
	ck_assert_uint_ge(clock_now_us() - begun_us, US_PER_SEC);
	ck_assert_int_eq(heard.done.done.outcome, OUTCOME_OK);
	ck_assert_uint_ge(heard.progresses, 1); /* on a busy machine some fall together */
	ck_assert_uint_le(heard.progresses, 9);
	ck_assert_uint_eq(heard.permille % 100, 0);
	ck_assert_uint_eq(heard.logs, 0);
	/* A short one tells nothing. */
	ck_assert_ptr_null(fake_one(&fake, "sleep", "{\"ms\":999}", OUTCOME_OK, ""));
	fake_end(&fake);
	heard_done(&heard);
}
END_TEST

START_TEST(test_tell_sleep_is_cancelled_between_two_steps)
{
	struct heard heard;
	struct fake fake;

	heard_init(&heard);
	fake_start(&fake, 1);
	fake_run(&fake, 1, 0, "sleep", "{\"ms\":1000000}"); /* a step is 100 s */
	fake_say(&fake, HOSTMSG_CANCEL, 1);
	hear_end(&fake, &heard);
	ck_assert_int_eq(heard.done.done.outcome, OUTCOME_CANCELLED);
	heard_done(&heard);
	heard_init(&heard);
	fake_run(&fake, 1, 0, "sleep", "{\"ms\":3000}");
	fake_flush(&fake);
	ck_assert_int_eq(hear_any(&fake, &heard, 1), HOSTMSG_PROGRESS);
	uint64_t asked_us = clock_now_us();
	fake_say(&fake, HOSTMSG_CANCEL, 1);
	hear_end(&fake, &heard);
	ck_assert_int_eq(heard.done.done.outcome, OUTCOME_CANCELLED);
	ck_assert_uint_lt(clock_now_us() - asked_us, 2 * US_PER_SEC);
	fake_end(&fake);
	heard_done(&heard);
}
END_TEST

/* From inside: a pool without threads, and a socket that takes nothing more. */
struct inside {
	struct fake fake; /* the daemon's end */
	struct link link;
	struct registry registry;
	struct work_pool pool;
	struct work *work;
};

static void on_end(struct work_pool *pool, int status)
{
	(void)pool;
	ck_abort_msg("the host ends with %d", status);
}

static void inside_open(struct inside *inside)
{
	int ends[2];

	*inside = (struct inside){0};
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	inside->fake.fd = ends[0];
	buf_init(&inside->fake.in, 64u << 20);
	link_init(&inside->link, ends[1]);
	ck_assert_int_eq(work_pool_init(&inside->pool, &inside->link, &inside->registry), 0);
	inside->pool.end = on_end;
	inside->work = calloc(1, sizeof(*inside->work) + 1);
	ck_assert_ptr_nonnull(inside->work);
	inside->work->id = 7;
	inside->work->attempt = 1;
	inside->work->pool = &inside->pool;
}

static void inside_fill(struct inside *inside)
{
	char bytes[4096] = {0};

	while (send(inside->link.fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	ck_assert_int_eq(errno, EAGAIN);
}

/* What filled the socket leaves, and what waits comes. */
static void inside_drain(struct inside *inside)
{
	char bytes[4096];

	while (recv(inside->fake.fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	(void)pthread_mutex_lock(&inside->pool.lock);
	while (tell_is_due(&inside->pool))
		tell_send(&inside->pool);
	(void)pthread_mutex_unlock(&inside->pool.lock);
}

static void inside_close(struct inside *inside)
{
	struct hostmsg msg;

	(void)close(inside->link.fd);
	ck_assert(!fake_next(&inside->fake, &msg));
	ck_assert_uint_eq(buf_len(&inside->fake.in), 0);
	(void)close(inside->fake.fd);
	buf_done(&inside->fake.in);
	link_done(&inside->link);
	free(inside->work->note);
	free(inside->work);
}

/* Some thousand words of which none is sent: the newest is left, and only that. */
START_TEST(test_tell_progress_that_waits_is_one_and_the_newest)
{
	struct inside inside;
	struct hostmsg msg;

	inside_open(&inside);
	inside_fill(&inside);
	for (unsigned i = 0; i <= 2000; i++) {
		char note[16];
		(void)snprintf(note, sizeof(note), "step %u", i);
		inside.work->tell_at_us = 0;
		task_progress(inside.work, i, note);
		ck_assert_uint_le(buf_len(&inside.link.out) + buf_len(&inside.link.sending), 100);
	}
	inside_drain(&inside);
	/* The first was on its way when the socket was found to be full. */
	ck_assert(fake_next(&inside.fake, &msg));
	ck_assert_str_eq(hostmsg_name(msg.type), "PROGRESS");
	ck_assert_uint_eq(msg.progress.permille, 0);
	ck_assert(fake_next(&inside.fake, &msg));
	ck_assert_uint_eq(msg.progress.task, 7);
	ck_assert_uint_eq(msg.progress.permille, 1000);
	ck_assert(view_is_equal(msg.progress.note, VIEW_LIT("step 2000")));
	inside_close(&inside);
}
END_TEST

START_TEST(test_tell_progress_is_told_some_ten_times_a_second)
{
	struct inside inside;
	struct hostmsg msg;
	unsigned n = 1;

	inside_open(&inside);
	uint64_t begun_us = clock_now_us(), spent_us;
	task_progress(inside.work, 0, NULL);
	while ((spent_us = clock_now_us() - begun_us) < 300 * US_PER_MS)
		task_progress(inside.work, (unsigned)(spent_us / US_PER_MS), NULL);
	while (recv(inside.fake.fd, &(char){0}, 1, MSG_DONTWAIT | MSG_PEEK) > 0 ||
		buf_len(&inside.fake.in) > 0) {
		ck_assert(fake_next(&inside.fake, &msg));
		n++;
	}
	ck_assert_uint_ge(n - 1, 2);
	ck_assert_uint_le(n - 1, 4);
	inside_close(&inside);
}
END_TEST

START_TEST(test_tell_notes_are_short_whole_and_fit_for_people)
{
	static char longest[HOSTMSG_NOTE_MAX + 3];
	struct inside inside;
	struct hostmsg msg;

	memset(longest, 'x', HOSTMSG_NOTE_MAX - 1);
	memcpy(longest + HOSTMSG_NOTE_MAX - 1, "\xc3\xa9z", 4);
	inside_open(&inside);
	task_progress(inside.work, 1, longest);
	ck_assert(fake_next(&inside.fake, &msg));
	ck_assert_uint_eq(msg.progress.note.len, HOSTMSG_NOTE_MAX - 1);
	inside.work->tell_at_us = 0;
	task_progress(inside.work, 2, "a\nb\xff\xc3\xa9");
	ck_assert(fake_next(&inside.fake, &msg));
	ck_assert(view_is_equal(msg.progress.note, VIEW_LIT("a?b?\xc3\xa9")));
	inside.work->tell_at_us = 0;
	task_progress(inside.work, 3, NULL);
	ck_assert(fake_next(&inside.fake, &msg));
	ck_assert_uint_eq(msg.progress.note.len, 0);
	inside_close(&inside);
}
END_TEST

static void count_room(struct work *work)
{
	(*(unsigned *)work->state)++;
}

/* One LOG a stream is on its way, one more waits: then there is no room until that has left, and then it is said so. */
START_TEST(test_tell_log_waits_once_a_stream)
{
	const struct handler handler = {.follow = count_room};
	const struct offer offer = {.handler = &handler};
	unsigned n = 0;
	struct inside inside;
	struct hostmsg msg;

	inside_open(&inside);
	inside_fill(&inside);
	inside.work->offer = &offer;
	inside.work->state = &n;
	ck_assert(tell_has_room(inside.work, STREAM_OUT));
	ck_assert_int_eq(tell_log(inside.work, STREAM_OUT, 1, VIEW_LIT("1")), 0);
	ck_assert(tell_has_room(inside.work, STREAM_OUT)); /* the first is being sent */
	ck_assert_int_eq(tell_log(inside.work, STREAM_OUT, 2, VIEW_LIT("2")), 0);
	ck_assert(!tell_has_room(inside.work, STREAM_OUT));
	ck_assert(tell_has_room(inside.work, STREAM_ERR));
	ck_assert_int_eq(tell_log(inside.work, STREAM_ERR, 3, VIEW_LIT("3")), 0);
	ck_assert(!tell_has_room(inside.work, STREAM_ERR));
	ck_assert_uint_eq(n, 0);
	inside_drain(&inside);
	ck_assert_uint_eq(n, 1);
	ck_assert(tell_has_room(inside.work, STREAM_OUT));
	ck_assert(tell_has_room(inside.work, STREAM_ERR));
	for (uint64_t i = 1; i <= 3; i++) {
		ck_assert(fake_next(&inside.fake, &msg));
		ck_assert_str_eq(hostmsg_name(msg.type), "LOG");
		ck_assert_uint_eq(msg.log.total, i);
	}
	inside_close(&inside);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tell");
	TCase *tcase = tcase_create("tell");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_tell_output_comes_while_the_program_runs);
	tcase_add_test(
		tcase, test_tell_output_begins_at_the_beginning_and_only_when_it_is_followed);
	tcase_add_test(tcase, test_tell_output_cuts_no_character_in_two);
	tcase_add_test(tcase, test_tell_output_is_what_the_report_says);
	tcase_add_test(tcase, test_tell_counts_what_is_not_kept);
	tcase_add_test(tcase, test_tell_answers_a_follow_of_what_has_no_output);
	tcase_add_test(tcase, test_tell_answers_a_follow_of_what_never_began);
	tcase_add_test(tcase, test_tell_a_daemon_that_does_not_read_holds_up_no_program);
	tcase_add_test(tcase, test_tell_output_of_many_at_once);
	tcase_add_test(tcase, test_tell_sleep_tells_its_progress);
	tcase_add_test(tcase, test_tell_sleep_is_cancelled_between_two_steps);
	tcase_add_test(tcase, test_tell_progress_that_waits_is_one_and_the_newest);
	tcase_add_test(tcase, test_tell_progress_is_told_some_ten_times_a_second);
	tcase_add_test(tcase, test_tell_notes_are_short_whole_and_fit_for_people);
	tcase_add_test(tcase, test_tell_log_waits_once_a_stream);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
