/* check_libworkpool: libworkpool's connections, and what calls look like to a daemon whose bytes the test reads itself. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "client_fixture.h"

START_TEST(test_socket_is_the_given_one_then_the_variable_then_the_users_then_the_systems)
{
	char folder[] = "/tmp/wp-XXXXXX";
	char path[64];
	struct workpool *wp = workpool_new("/given");

	ck_assert_str_eq(workpool_socket(wp), "/given");
	workpool_free(wp);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", folder, 1), 0);
	ck_assert_int_eq(setenv("WORKPOOL_SOCKET", "/named", 1), 0);
	wp = workpool_new(NULL);
	ck_assert_str_eq(workpool_socket(wp), "/named");
	workpool_free(wp);
	ck_assert_int_eq(setenv("WORKPOOL_SOCKET", "", 1), 0);
	wp = workpool_new(NULL);
	ck_assert_str_eq(workpool_socket(wp), "/run/workpoold/control.sock");
	workpool_free(wp);
	(void)snprintf(path, sizeof(path), "%s/workpoold", folder);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/workpoold/control.sock", folder);
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	wp = workpool_new(NULL);
	ck_assert_str_eq(workpool_socket(wp), path);
	workpool_free(wp);
	(void)unlink(path);
	*strrchr(path, '/') = '\0';
	(void)rmdir(path);
	(void)rmdir(folder);
}
END_TEST

START_TEST(test_open_says_why_it_cannot)
{
	char path[200];
	struct workpool *wp = client_new();

	ck_assert_int_eq(workpool_open(wp, 0), WORKPOOL_UNREACHABLE);
	ck_assert_int_eq(workpool_open(wp, 20), WORKPOOL_UNREACHABLE);
	ck_assert_int_eq(workpool_system_error(wp), ENOENT);
	ck_assert_ptr_nonnull(strstr(workpool_error_text(wp), "/no/such/socket"));
	ck_assert_int_eq(workpool_fd(wp), -1);
	ck_assert_int_eq(workpool_events(wp), 0);
	ck_assert_int_eq(workpool_send(wp, "Stats", NULL, 0, NULL), WORKPOOL_CLOSED);
	ck_assert_int_eq(workpool_process(wp), WORKPOOL_CLOSED);
	ck_assert_int_eq(workpool_flush(wp, -1), WORKPOOL_CLOSED);
	ck_assert_int_eq(workpool_finish(wp, -1), WORKPOOL_CLOSED);
	workpool_free(wp);
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	wp = workpool_new(path);
	ck_assert_int_eq(workpool_open(wp, -1), WORKPOOL_BAD_ARGUMENT);
	ck_assert_int_eq(workpool_open_fd(wp, -1), WORKPOOL_BAD_ARGUMENT);
	ck_assert_int_eq(workpool_system_error(wp), EBADF);
	workpool_free(wp);
	workpool_free(NULL);
}
END_TEST

static void *open_in_a_thread(void *arg)
{
	return (void *)(intptr_t)workpool_open(arg, LIMIT_MS);
}

START_TEST(test_open_waits_for_a_daemon_that_starts)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char folder[] = "/tmp/wp-XXXXXX";
	pthread_t thread;
	void *code;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/s", folder);
	struct workpool *wp = workpool_new(addr.sun_path);
	ck_assert_int_eq(workpool_open(wp, 0), WORKPOOL_UNREACHABLE);
	ck_assert_int_eq(pthread_create(&thread, NULL, open_in_a_thread, wp), 0);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(pthread_join(thread, &code), 0);
	ck_assert_int_eq((intptr_t)code, 0);
	int first = workpool_fd(wp);
	ck_assert_int_eq(workpool_open(wp, 0), 0);
	ck_assert_int_eq(workpool_fd(wp), first);
	ck_assert_int_eq(fcntl(workpool_fd(wp), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(fcntl(workpool_fd(wp), F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	/* It notices by itself that the daemon has closed, and connects again. */
	int peer = accept(fd, NULL, NULL);
	ck_assert_int_eq(workpool_send(wp, "Stats", NULL, 0, NULL), 0);
	(void)close(peer);
	ck_assert_int_eq(workpool_open(wp, 0), 0);
	ck_assert_uint_eq(workpool_pending(wp), 0);
	peer = accept(fd, NULL, NULL);
	ck_assert_int_eq(workpool_send(wp, "Stats", NULL, 0, NULL), 0);
	ck_assert_int_eq(workpool_flush(wp, LIMIT_MS), 0);
	peer_expect(peer, "{\"method\":\"org.workpool.Stats\",\"parameters\":{}}");
	(void)close(peer);
	workpool_free(wp);
	(void)close(fd);
	(void)unlink(addr.sun_path);
	(void)rmdir(folder);
}
END_TEST

START_TEST(test_open_fd_takes_stream_sockets_only_and_makes_them_ours)
{
	int fds[2], peer;
	struct workpool *wp = client_open(&peer);

	ck_assert_int_eq(fcntl(workpool_fd(wp), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(fcntl(workpool_fd(wp), F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(workpool_open_fd(wp, fds[0]), WORKPOOL_BAD_ARGUMENT);
	(void)close(fds[0]);
	(void)close(fds[1]);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	ck_assert_int_eq(workpool_open_fd(wp, fds[0]), WORKPOOL_BAD_ARGUMENT);
	(void)close(fds[0]);
	(void)close(fds[1]);
	/* What was open still is. */
	ck_assert_int_eq(workpool_send(wp, "Stats", NULL, 0, NULL), 0);
	ck_assert_int_eq(workpool_flush(wp, LIMIT_MS), 0);
	peer_expect(peer, "{\"method\":\"org.workpool.Stats\",\"parameters\":{}}");
	workpool_free(wp);
	(void)close(peer);
}
END_TEST

static const struct {
	const char *method;
	const char *params;
	unsigned flags;
	const char *line;
} call_rows[] = {
	{"Stats", NULL, 0, "{\"method\":\"org.workpool.Stats\",\"parameters\":{}}"},
	{"a.b.C-d_9", "{}", 0, "{\"method\":\"a.b.C-d_9\",\"parameters\":{}}"},
	{"Wait", " {\"ids\":[\"1\"]}\r\n", WORKPOOL_MORE,
		"{\"method\":\"org.workpool.Wait\",\"more\":true,\"parameters\":{\"ids\":[\"1\"]}"
		"}"},
	{"Post", "{\n\"handler\"\n:\n\"x\\n\"\n}", WORKPOOL_ONEWAY,
		"{\"method\":\"org.workpool.Post\",\"oneway\":true,\"parameters\":{ \"handler\" : "
		"\"x\\n\" }}"},
};

START_TEST(test_call_is_one_line)
{
	int peer;
	struct workpool *wp = client_open(&peer);

	ck_assert_int_eq(workpool_send(wp, call_rows[_i].method, call_rows[_i].params,
				 call_rows[_i].flags, NULL),
		0);
	ck_assert_int_eq(workpool_flush(wp, LIMIT_MS), 0);
	peer_expect(peer, call_rows[_i].line);
	ck_assert_uint_eq(workpool_pending(wp), call_rows[_i].flags != WORKPOOL_ONEWAY);
	workpool_free(wp);
	ck_assert(!peer_read_line(peer, (char[LINE_SIZE]){0}));
	(void)close(peer);
}
END_TEST

static const struct {
	const char *method;
	const char *params;
	unsigned flags;
} bad_rows[] = {
	{"", NULL, 0},
	{"a\"b", NULL, 0},
	{"a\nb", NULL, 0},
	{"St\xc3\xa4ts", NULL, 0},
	{"Stats", NULL, WORKPOOL_MORE | WORKPOOL_ONEWAY},
	{"Stats", NULL, 4},
	{"Stats", "", 0},
	{"Stats", "[]", 0},
	{"Stats", "{\"a\":1", 0},
	{"Stats", "{}{}", 0},
	{"Stats", "{},\"more\":true", 0},
	{"Stats", "{\"a\":\"\xff\"}", 0},
};

START_TEST(test_wrong_argument_is_told_and_nothing_is_sent)
{
	int peer;
	struct workpool *wp = client_open(&peer);
	struct workpool_reply *reply = (struct workpool_reply *)wp;

	ck_assert_int_eq(workpool_send(wp, bad_rows[_i].method, bad_rows[_i].params,
				 bad_rows[_i].flags, NULL),
		WORKPOOL_BAD_ARGUMENT);
	ck_assert_str_ne(workpool_error_text(wp), "");
	if (bad_rows[_i].flags == 0) {
		ck_assert_int_eq(workpool_call(wp, bad_rows[_i].method, bad_rows[_i].params,
					 LIMIT_MS, &reply),
			WORKPOOL_BAD_ARGUMENT);
		ck_assert_ptr_null(reply);
	}
	ck_assert_int_eq(workpool_flush(wp, 0), 0);
	ck_assert(!peer_is_readable(peer, 0));
	ck_assert_int_eq(workpool_receive(wp, -1, &reply), WORKPOOL_IDLE);
	workpool_free(wp);
	(void)close(peer);
}
END_TEST

START_TEST(test_post_says_what_its_options_say)
{
	int peer;
	struct workpool *wp = client_open(&peer);
	struct workpool_post_options options = WORKPOOL_POST_OPTIONS;

	ck_assert_int_eq(workpool_send_post(wp, "sleep", NULL, NULL, NULL), 0);
	ck_assert_int_eq(workpool_send_post(wp, "a\"b", "{\"ms\": 1}", &options, NULL), 0);
	options.pool = "mail";
	options.name = "\xc3\xa4\n";
	options.unique = "k";
	options.priority = 0;
	options.retries = 3;
	options.delay_ms = 0;
	options.expires_ms = INT64_C(31536000000);
	options.timeout_ms = -2;
	options.wait_room_ms = 1000;
	options.wait = 1;
	ck_assert_int_eq(workpool_send_post(wp, "h", "{}", &options, NULL), 0);
	ck_assert_int_eq(workpool_flush(wp, LIMIT_MS), 0);
	peer_expect(
		peer, "{\"method\":\"org.workpool.Post\",\"parameters\":{\"handler\":\"sleep\"}}");
	peer_expect(peer,
		"{\"method\":\"org.workpool.Post\",\"parameters\":{\"handler\":\"a\\\"b\","
		"\"args\":{\"ms\": 1}}}");
	peer_expect(peer, "{\"method\":\"org.workpool.Post\",\"parameters\":{\"handler\":\"h\","
			  "\"args\":{},\"pool\":\"mail\",\"name\":\"\xc3\xa4\\n\",\"unique\":\"k\","
			  "\"priority\":0,\"retries\":3,\"delay_ms\":0,\"expires_ms\":31536000000,"
			  "\"timeout_ms\":-2,\"wait_room_ms\":1000,\"wait\":true}}");
	options.unique = "\xff";
	ck_assert_int_eq(workpool_send_post(wp, "h", "{}", &options, NULL), WORKPOOL_BAD_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(workpool_error_text(wp), "unique"));
	options.unique = NULL;
	ck_assert_int_eq(workpool_send_post(wp, "h", "{}}", &options, NULL), WORKPOOL_BAD_ARGUMENT);
	options.size--;
	ck_assert_int_eq(workpool_send_post(wp, "h", "{}", &options, NULL), WORKPOOL_BAD_ARGUMENT);
	options.size += 2;
	ck_assert_int_eq(workpool_send_post(wp, "h", "{}", &options, NULL), WORKPOOL_BAD_ARGUMENT);
	ck_assert_uint_eq(workpool_pending(wp), 3);
	workpool_free(wp);
	(void)close(peer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("libworkpool");
	TCase *tcase = tcase_create("calls");

	tcase_add_test(tcase,
		test_socket_is_the_given_one_then_the_variable_then_the_users_then_the_systems);
	tcase_add_test(tcase, test_open_says_why_it_cannot);
	tcase_add_test(tcase, test_open_waits_for_a_daemon_that_starts);
	tcase_add_test(tcase, test_open_fd_takes_stream_sockets_only_and_makes_them_ours);
	tcase_add_loop_test(tcase, test_call_is_one_line, 0, (int)ARRAY_SIZE(call_rows));
	tcase_add_loop_test(tcase, test_wrong_argument_is_told_and_nothing_is_sent, 0,
		(int)ARRAY_SIZE(bad_rows));
	tcase_add_test(tcase, test_post_says_what_its_options_say);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
