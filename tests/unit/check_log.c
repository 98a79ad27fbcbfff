/*
 * check_log: the line's form, levels, storms, a reader that sleeps. Standard error is a file or
 * a pipe here.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"

static int file = -1;
static int real_stderr = -1;
static char got[65536];
static uint64_t now_us;

static uint64_t test_clock(void)
{
	return now_us;
}

static void start(void)
{
	real_stderr = dup(STDERR_FILENO);
	file = memfd_create("check_log", MFD_CLOEXEC);
	ck_assert_int_ge(file, 0);
	ck_assert_int_ge(dup2(file, STDERR_FILENO), 0);
	ck_assert_int_eq(unsetenv("JOURNAL_STREAM"), 0);
	now_us = 1000 * LOG_WINDOW_US;
	log_set_clock(test_clock);
	log_set_level(LOG_L_INFO);
	log_open(LOG_STDERR, "prog");
}

static void stop(void)
{
	log_set_clock(NULL);
	ck_assert_int_ge(dup2(real_stderr, STDERR_FILENO), 0);
	real_stderr = fd_close(real_stderr);
	file = fd_close(file);
}

/* All that was logged since the last time. */
static const char *logged(void)
{
	ssize_t n = pread(file, got, sizeof(got) - 1, 0);

	ck_assert_int_ge(n, 0);
	got[n] = '\0';
	ck_assert_int_eq(ftruncate(file, 0), 0);
	ck_assert_int_eq(lseek(file, 0, SEEK_SET), 0);
	return got;
}

static size_t lines_in(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

START_TEST(test_log_line_has_program_level_kind_and_text)
{
	log_error("disk_full", "%d left", 3);
	log_warning("host_gone", "x");
	log_notice("ready", "x");
	log_info("conn_open", "x");
	ck_assert_str_eq(logged(), "prog: error: disk_full: 3 left\n"
				   "prog: warning: host_gone: x\n"
				   "prog: notice: ready: x\n"
				   "prog: info: conn_open: x\n");
}
END_TEST

START_TEST(test_log_level_holds_back_what_is_below)
{
	log_debug("k", "no");
	log_set_level(LOG_L_ERROR);
	log_warning("k", "no");
	log_error("k", "yes");
	log_set_level(LOG_L_DEBUG);
	log_debug("k", "yes");
	ck_assert_str_eq(logged(), "prog: error: k: yes\nprog: debug: k: yes\n");
}
END_TEST

START_TEST(test_log_one_event_is_one_line_whatever_the_text)
{
	log_info("k", "a\nprog: error: forged: b\r\t\x7f\x1b[31m");
	ck_assert_str_eq(logged(), "prog: info: k: a prog: error: forged: b    [31m\n");
}
END_TEST

START_TEST(test_log_cuts_a_long_text_and_keeps_its_newline)
{
	char text[5000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_info("k", "%s", text);
	const char *line = logged();
	ck_assert_uint_eq(lines_in(line), 1);
	ck_assert_uint_lt(strlen(line), 1200);
	ck_assert_str_eq(line + strlen(line) - 4, "...\n");
}
END_TEST

START_TEST(test_log_keeps_errno_and_formats_it)
{
	errno = ENOSPC;
	log_info("k", "%m");
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_str_eq(logged(), "prog: info: k: No space left on device\n");
}
END_TEST

START_TEST(test_log_storm_of_one_kind_is_a_burst_and_a_count)
{
	for (int i = 0; i < 1000; i++)
		log_warning("storm", "%d", i);
	const char *text = logged();
	ck_assert_uint_eq(lines_in(text), LOG_BURST);
	ck_assert_ptr_nonnull(strstr(text, "storm: 9\n"));

	/* The window passes: the kind that comes again tells first what it held. */
	now_us += LOG_WINDOW_US;
	log_warning("storm", "again");
	ck_assert_str_eq(
		logged(), "prog: warning: storm: 990 suppressed\nprog: warning: storm: again\n");
}
END_TEST

START_TEST(test_log_window_ends_to_the_microsecond)
{
	for (int i = 0; i <= LOG_BURST; i++)
		log_info("k", "x");
	(void)logged();
	now_us += LOG_WINDOW_US - 1;
	log_info("k", "x");
	ck_assert_str_eq(logged(), "");
	now_us += 1;
	log_info("k", "new");
	ck_assert_str_eq(logged(), "prog: info: k: 2 suppressed\nprog: info: k: new\n");
}
END_TEST

START_TEST(test_log_storm_of_one_kind_leaves_others_alone)
{
	for (int i = 0; i < 100; i++)
		log_info("storm", "x");
	(void)logged();
	log_info("calm", "x");
	ck_assert_str_eq(logged(), "prog: info: calm: x\n");
	/* Another kind's line is a chance to tell of the storm that is over. */
	now_us += LOG_WINDOW_US;
	log_info("calm", "y");
	ck_assert_str_eq(logged(), "prog: info: storm: 90 suppressed\nprog: info: calm: y\n");
}
END_TEST

START_TEST(test_log_flush_tells_at_once_and_only_once)
{
	for (int i = 0; i < 15; i++)
		log_info("storm", "x");
	log_error("storm", "x");
	(void)logged();
	log_flush();
	/* With the worst level of what was held back. */
	ck_assert_str_eq(logged(), "prog: error: storm: 6 suppressed\n");
	log_flush();
	ck_assert_str_eq(logged(), "");
}
END_TEST

START_TEST(test_log_many_kinds_lose_no_count)
{
	uint64_t told = 0;
	char kind[16];

	for (int k = 0; k < 100; k++) {
		(void)snprintf(kind, sizeof(kind), "kind%d", k);
		now_us++;
		for (int i = 0; i < LOG_BURST + 5; i++)
			log_info(kind, "x");
	}
	log_flush();
	for (const char *at = logged(); (at = strstr(at, ": 5 suppressed\n")); at++)
		told += 5;
	ck_assert_uint_eq(told, 500);
}
END_TEST

START_TEST(test_log_debug_lines_are_never_held_back)
{
	log_set_level(LOG_L_DEBUG);
	for (int i = 0; i < 50; i++)
		log_debug("k", "x");
	ck_assert_uint_eq(lines_in(logged()), 50);
}
END_TEST

START_TEST(test_log_reader_that_sleeps_costs_lines_not_time)
{
	static char all[1 << 20];
	int fds[2];
	ssize_t n;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_ge(dup2(fds[1], STDERR_FILENO), 0);
	log_set_level(LOG_L_DEBUG);
	/* A blocking pipe: without the look before the write, this loop would never end. */
	for (int i = 0; i < 20000; i++)
		log_debug("k", "line %d", i);
	n = read(fds[0], all, sizeof(all) - 1);
	ck_assert_int_gt(n, 0);
	all[n] = '\0';
	size_t kept = lines_in(all);
	ck_assert_uint_gt(kept, 100);
	ck_assert_uint_lt(kept, 20000);
	log_debug("k", "awake");
	n = read(fds[0], all, sizeof(all) - 1);
	ck_assert_int_gt(n, 0);
	all[n] = '\0';
	char expected[128];
	(void)snprintf(expected, sizeof(expected),
		"prog: warning: log_lost: %zu lines\nprog: debug: k: awake\n", 20000 - kept);
	ck_assert_str_eq(all, expected);
	fd_close(fds[0]);
	fd_close(fds[1]);
}
END_TEST

START_TEST(test_log_auto_is_stderr_unless_the_stream_is_the_journals)
{
	ck_assert_int_eq(setenv("JOURNAL_STREAM", "1:2", 1), 0);
	log_open(LOG_AUTO, "prog");
	log_info("k", "x");
	ck_assert_str_eq(logged(), "prog: info: k: x\n");

	struct stat st;
	char stream[64];
	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	(void)snprintf(
		stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
	log_set_journal("/nonexistent/journal");
	log_open(LOG_AUTO, "prog");
	log_debug("k", "below the level: no line anywhere");
	log_info("k", "no journal");
	ck_assert_str_eq(logged(), "prog: info: k: no journal\n");
}
END_TEST

/* A journal of our own, in a directory that goes with the test. */
static int open_journal(char *dir, struct sockaddr_un *ret_address)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "%s/journal", dir);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)ret_address, sizeof(*ret_address)), 0);
	log_set_journal(ret_address->sun_path);
	log_open(LOG_JOURNAL, "prog");
	return fd;
}

static void close_journal(int fd, const char *dir, const struct sockaddr_un *address)
{
	(void)fd_close(fd);
	ck_assert_int_eq(unlink(address->sun_path), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}

START_TEST(test_log_journal_gets_fields)
{
	char dir[] = "/tmp/check_log.XXXXXX", datagram[512];
	struct sockaddr_un address;
	int fd = open_journal(dir, &address);

	log_warning("host_gone", "a %s\nwith two lines", "text");
	ssize_t n = recv(fd, datagram, sizeof(datagram) - 1, 0);
	ck_assert_int_gt(n, 0);
	datagram[n] = '\0';
	ck_assert_str_eq(datagram, "MESSAGE=a text with two lines\nPRIORITY=4\n"
				   "SYSLOG_IDENTIFIER=prog\nWORKPOOL_EVENT=host_gone\n");
	ck_assert_str_eq(logged(), "");
	close_journal(fd, dir, &address);
}
END_TEST

/* As a reader of standard error that sleeps: the lines are lost, and counted. */
START_TEST(test_log_journal_that_sleeps_costs_lines_not_time)
{
	char dir[] = "/tmp/check_log.XXXXXX", datagram[512], expected[64];
	struct sockaddr_un address;
	int fd = open_journal(dir, &address);
	unsigned kept = 0;

	log_set_level(LOG_L_DEBUG);
	for (int i = 0; i < 5000; i++)
		log_debug("k", "line %d", i);
	while (recv(fd, datagram, sizeof(datagram), 0) > 0)
		kept++;
	ck_assert_uint_gt(kept, 0);
	ck_assert_uint_lt(kept, 5000);
	log_debug("k", "awake");
	ssize_t n = recv(fd, datagram, sizeof(datagram) - 1, 0);
	ck_assert_int_gt(n, 0);
	datagram[n] = '\0';
	(void)snprintf(expected, sizeof(expected), "MESSAGE=%u lines\n", 5000 - kept);
	ck_assert_msg(strncmp(datagram, expected, strlen(expected)) == 0, "%s", datagram);
	n = recv(fd, datagram, sizeof(datagram) - 1, 0);
	ck_assert_int_gt(n, 0);
	ck_assert_msg(strncmp(datagram, "MESSAGE=awake\n", 14) == 0, "%s", datagram);
	close_journal(fd, dir, &address);
}
END_TEST

static const struct {
	struct view text;
	const char *expected;
} quote_rows[] = {
	{{NULL, 0}, ""},
	{VIEW_LIT("plain ~"), "plain ~"},
	{VIEW_LIT("a\0b"), "a\\x00b"},
	{VIEW_LIT("\n\r\x1b\x7f"), "\\x0a\\x0d\\x1b\\x7f"},
	{VIEW_LIT("\xc3\xa9\xff"), "\\xc3\\xa9\\xff"},
	{VIEW_LIT("\\x41"), "\\\\x41"},
};

START_TEST(test_log_quote_makes_every_row_safe)
{
	char text[LOG_QUOTE_MAX + 1];

	ck_assert_ptr_eq(log_quote(quote_rows[_i].text.data, quote_rows[_i].text.len, text), text);
	ck_assert_str_eq(text, quote_rows[_i].expected);
}
END_TEST

/* Before the cut there are n plain bytes, so that it falls on every place inside of \xNN. */
START_TEST(test_log_quote_cuts_between_escapes_at_every_place)
{
	char data[600], text[LOG_QUOTE_MAX + 1];

	for (size_t n = 0; n <= LOG_QUOTE_MAX + 1; n++) {
		memset(data, '\n', sizeof(data));
		memset(data, 'a', n);
		(void)log_quote(data, sizeof(data), text);
		size_t len = strlen(text);
		ck_assert_uint_le(len, LOG_QUOTE_MAX);
		ck_assert_uint_ge(len, LOG_QUOTE_MAX - 3);
		ck_assert_str_eq(text + len - 3, "...");
		size_t plain = n < len - 3 ? n : len - 3;
		ck_assert_uint_eq((len - 3 - plain) % 4, 0);
	}
	memset(data, 'a', LOG_QUOTE_MAX);
	(void)log_quote(data, LOG_QUOTE_MAX, text);
	ck_assert_uint_eq(strlen(text), LOG_QUOTE_MAX);
	ck_assert_ptr_null(strstr(text, "..."));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tcase = tcase_create("log");

	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_test(tcase, test_log_line_has_program_level_kind_and_text);
	tcase_add_test(tcase, test_log_level_holds_back_what_is_below);
	tcase_add_test(tcase, test_log_one_event_is_one_line_whatever_the_text);
	tcase_add_test(tcase, test_log_cuts_a_long_text_and_keeps_its_newline);
	tcase_add_test(tcase, test_log_keeps_errno_and_formats_it);
	tcase_add_test(tcase, test_log_storm_of_one_kind_is_a_burst_and_a_count);
	tcase_add_test(tcase, test_log_window_ends_to_the_microsecond);
	tcase_add_test(tcase, test_log_storm_of_one_kind_leaves_others_alone);
	tcase_add_test(tcase, test_log_flush_tells_at_once_and_only_once);
	tcase_add_test(tcase, test_log_many_kinds_lose_no_count);
	tcase_add_test(tcase, test_log_debug_lines_are_never_held_back);
	tcase_add_test(tcase, test_log_reader_that_sleeps_costs_lines_not_time);
	tcase_add_test(tcase, test_log_auto_is_stderr_unless_the_stream_is_the_journals);
	tcase_add_test(tcase, test_log_journal_gets_fields);
	tcase_add_test(tcase, test_log_journal_that_sleeps_costs_lines_not_time);
	tcase_add_loop_test(
		tcase, test_log_quote_makes_every_row_safe, 0, (int)ARRAY_SIZE(quote_rows));
	tcase_add_test(tcase, test_log_quote_cuts_between_escapes_at_every_place);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
