/* check_libworkpool_reply: replies, errors and ends of a connection, with a daemon whose bytes the test writes itself. */
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/time.h>

#include "client_fixture.h"

#define DONE "{\"parameters\":{}}\n"

static const char *const daemon_errors[] = {
#define ERROR(Name, ...) "org.workpool." #Name,
#include "api/errors.def"
#undef ERROR
	"org.varlink.service.InterfaceNotFound",
	"org.varlink.service.MethodNotFound",
	"org.varlink.service.MethodNotImplemented",
	"org.varlink.service.InvalidParameter",
	"org.varlink.service.PermissionDenied",
	"org.varlink.service.ExpectedMore",
};

START_TEST(test_replies_come_in_order_with_the_data_of_their_calls)
{
	int peer;
	struct workpool *wp = client_open(&peer);
	int data[3];

	for (size_t i = 0; i < ARRAY_SIZE(data); i++)
		ck_assert_int_eq(
			workpool_send(wp, "Log", NULL, i == 1 ? WORKPOOL_MORE : 0, &data[i]), 0);
	peer_say(peer, "{\"parameters\":{\"n\":0}}\n{\"parameters\":{\"n\":1},\"continues\":true}\n"
		       "{\"continues\":false,\"parameters\":{\"n\":2}}\n"
		       "{\"error\":\"org.workpool.NoSuchTask\",\"parameters\":{\"id\":\"9\"}}\n");
	static const size_t calls[] = {0, 1, 1, 2};
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		struct workpool_reply *reply = client_receive(wp);
		ck_assert_ptr_eq(workpool_reply_data(reply), &data[calls[i]]);
		ck_assert_int_eq(workpool_reply_continues(reply), i == 1);
		if (i < 3) {
			ck_assert_int_eq(workpool_reply_int(reply, "n", -1), (int64_t)i);
			ck_assert_int_eq(workpool_reply_code(reply), 0);
			ck_assert_ptr_null(workpool_reply_error(reply));
		} else {
			ck_assert_int_eq(workpool_reply_code(reply), WORKPOOL_NO_SUCH_TASK);
			ck_assert_str_eq(workpool_reply_error(reply), "org.workpool.NoSuchTask");
			ck_assert_str_eq(workpool_reply_params(reply), "{\"id\":\"9\"}");
		}
		workpool_reply_free(reply);
	}
	ck_assert_uint_eq(workpool_pending(wp), 0);
	workpool_free(wp);
	(void)close(peer);
}
END_TEST

START_TEST(test_order_is_kept_however_many_calls_are_outstanding)
{
	int peer;
	struct workpool *wp = client_open(&peer);
	size_t n_sent = 0, n_received = 0;

	/* More and more are outstanding, and some are always answered meanwhile. */
	for (size_t round = 1; round < 200; round++) {
		for (size_t i = 0; i < 3; i++, n_sent++)
			ck_assert_int_eq(workpool_send(wp, "X", NULL, 0, (void *)n_sent), 0);
		peer_say(peer, DONE DONE);
		for (size_t i = 0; i < 2; i++, n_received++) {
			struct workpool_reply *reply = client_receive(wp);
			ck_assert_ptr_eq(workpool_reply_data(reply), (void *)n_received);
			workpool_reply_free(reply);
		}
		ck_assert_uint_eq(workpool_pending(wp), round);
	}
	workpool_free(wp);
	(void)close(peer);
}
END_TEST

/* The daemon that has not seen our newline yet ends with NUL, one that knows nothing of us with both. */
START_TEST(test_reply_may_end_with_either_terminator_or_both)
{
	static const char text[] = "\0{\"parameters\":{\"n\":0}}\0{\"parameters\":{\"n\":1}}\n\0"
				   "{\"parameters\":{\"n\":2}}\n\n{\"parameters\":{\"n\":3}}\0\n";
	int peer;
	struct workpool *wp = client_open(&peer);

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(workpool_send(wp, "Stats", NULL, 0, NULL), 0);
	peer_say_bytes(peer, text, sizeof(text) - 1);
	for (int i = 0; i < 4; i++) {
		struct workpool_reply *reply = client_receive(wp);
		ck_assert_int_eq(workpool_reply_int(reply, "n", -1), i);
		workpool_reply_free(reply);
	}
	ck_assert_int_eq(workpool_process(wp), 0);
	workpool_free(wp);
	(void)close(peer);
}
END_TEST

START_TEST(test_reply_in_single_bytes_is_one_when_it_is_whole)
{
	static const char text[] = "{\"parameters\":{\"a\":\"\\u00e4\xc3\xa4\"}}\n";
	int peer;
	struct workpool *wp = client_open(&peer);
	struct workpool_reply *reply;

	ck_assert_int_eq(workpool_send(wp, "Stats", NULL, 0, NULL), 0);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		ck_assert_int_eq(workpool_receive(wp, 0, &reply), WORKPOOL_TIMED_OUT);
		ck_assert_ptr_null(reply);
		peer_say_bytes(peer, text + i, 1);
	}
	reply = client_receive(wp);
	ck_assert_str_eq(workpool_reply_text(reply, "a"), "\xc3\xa4\xc3\xa4");
	workpool_reply_free(reply);
	workpool_free(wp);
	(void)close(peer);
}
END_TEST

START_TEST(test_error_has_a_code_of_its_own_and_words)
{
	const char *name = daemon_errors[_i];
	char line[200];
	int peer;
	struct workpool *wp = client_open(&peer);
	struct workpool_reply *reply;

	(void)snprintf(line, sizeof(line), "{\"error\":\"%s\",\"parameters\":{\"x\":7}}\n", name);
	peer_say(peer, line);
	int code = workpool_call(wp, "Post", NULL, LIMIT_MS, &reply);
	ck_assert_int_lt(code, WORKPOOL_OTHER_ERROR);
	ck_assert_int_eq(workpool_reply_code(reply), code);
	ck_assert_str_eq(workpool_reply_error(reply), name);
	ck_assert_ptr_nonnull(strstr(workpool_error_text(wp), name));
	ck_assert_ptr_nonnull(strstr(workpool_error_text(wp), workpool_code_text(code)));
	ck_assert_ptr_nonnull(strstr(workpool_error_text(wp), "{\"x\":7}"));
	workpool_reply_free(reply);
	workpool_free(wp);
	(void)close(peer);
}
END_TEST

START_TEST(test_error_that_is_not_known_keeps_its_name)
{
	int peer;
	struct workpool *wp = client_open(&peer);
	struct workpool_reply *reply;

	peer_say(peer, "{\"error\":\"com.example.\\u00c4\\nb\"}\n");
	ck_assert_int_eq(workpool_call(wp, "X", NULL, LIMIT_MS, &reply), WORKPOOL_OTHER_ERROR);
	ck_assert_str_eq(workpool_reply_error(reply), "com.example.\xc3\x84\nb");
	ck_assert_str_eq(workpool_reply_params(reply), "{}");
	ck_assert_ptr_null(strchr(workpool_error_text(wp), '\n'));
	ck_assert_str_ne(workpool_code_text(-1000), "");
	workpool_reply_free(reply);
	workpool_free(wp);
	(void)close(peer);
}
END_TEST

static const char *const garbage_rows[] = {
	"nonsense\n",
	" \n",
	"[1]\n",
	"7\n",
	"{\"parameters\":{}}trailing\n",
	"{\"parameters\":{}\n",
	"{\"parameters\":{} \"error\":\"x\"}\n",
	"{,\"parameters\":{}}\n",
	"{\"parameters\":{},}\n",
	"{\"parameters\":[]}\n",
	"{\"error\":7}\n",
	"{\"continues\":1}\n",
	"{\"parameters\":{},\"continues\":true}\n",
	"{\"parameters\":{\"a\":\"\xff\"}}\n",
	"{\"parameters\":{\"a\":\"\\ud800\"}}\n",
};

START_TEST(test_garbage_ends_the_connection_and_open_makes_a_new_one)
{
	int peer, other;
	struct workpool *wp = client_open(&peer);
	struct workpool_reply *reply;

	ck_assert_int_eq(workpool_send(wp, "Stats", NULL, 0, NULL), 0);
	peer_say(peer, garbage_rows[_i]);
	ck_assert_int_eq(workpool_receive(wp, LIMIT_MS, &reply), WORKPOOL_BAD_REPLY);
	ck_assert_ptr_null(reply);
	ck_assert_int_eq(workpool_receive(wp, LIMIT_MS, &reply), WORKPOOL_BAD_REPLY);
	ck_assert_int_eq(workpool_send(wp, "Stats", NULL, 0, NULL), WORKPOOL_CLOSED);
	ck_assert_int_eq(workpool_process(wp), WORKPOOL_BAD_REPLY);
	(void)close(peer);
	int fds[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(workpool_open_fd(wp, fds[0]), 0);
	other = fds[1];
	ck_assert_uint_eq(workpool_pending(wp), 0);
	peer_say(other, DONE);
	ck_assert_int_eq(workpool_call(wp, "Stats", NULL, LIMIT_MS, NULL), 0);
	workpool_free(wp);
	(void)close(other);
}
END_TEST

START_TEST(test_daemon_that_goes_leaves_the_replies_that_came)
{
	int peer;
	struct workpool *wp = client_open(&peer);
	struct workpool_reply *reply;

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(workpool_send(wp, "Stats", NULL, 0, NULL), 0);
	peer_say(peer, DONE "{\"parameters\":");
	(void)close(peer);
	/* The writes fail by now: that is no reason not to read. */
	reply = client_receive(wp);
	workpool_reply_free(reply);
	ck_assert_int_eq(workpool_receive(wp, LIMIT_MS, &reply), WORKPOOL_CLOSED);
	ck_assert_int_eq(workpool_receive(wp, -1, &reply), WORKPOOL_CLOSED);
	ck_assert_uint_eq(workpool_pending(wp), 2);
	ck_assert_int_eq(workpool_process(wp), WORKPOOL_CLOSED);
	ck_assert_int_eq(workpool_send(wp, "Stats", NULL, 0, NULL), WORKPOOL_CLOSED);
	workpool_free(wp);
}
END_TEST

/* A program that has left SIGPIPE as it is goes on. */
START_TEST(test_write_to_a_daemon_that_has_gone_raises_no_signal)
{
	int peer;
	struct workpool *wp = client_open(&peer);

	(void)signal(SIGPIPE, SIG_DFL);
	(void)close(peer);
	ck_assert_int_eq(workpool_send(wp, "Stats", NULL, WORKPOOL_ONEWAY, NULL), 0);
	ck_assert_int_eq(workpool_flush(wp, LIMIT_MS), WORKPOOL_CLOSED);
	ck_assert_int_eq(workpool_finish(wp, LIMIT_MS), WORKPOOL_CLOSED);
	workpool_free(wp);
}
END_TEST

/* As with Busy: the daemon says why and closes before it has read anything. */
START_TEST(test_refusal_before_the_call_is_the_answer_to_it)
{
	int peer;
	struct workpool *wp = client_open(&peer);
	struct workpool_reply *reply;

	peer_say(peer, "{\"error\":\"org.workpool.Busy\",\"parameters\":{\"limit\":3}}\n");
	peer_say_bytes(peer, "\0", 1);
	(void)close(peer);
	ck_assert_int_eq(workpool_call(wp, "Stats", NULL, LIMIT_MS, &reply), WORKPOOL_BUSY);
	ck_assert_int_eq(workpool_reply_int(reply, "limit", 0), 3);
	workpool_reply_free(reply);
	ck_assert_int_eq(workpool_call(wp, "Stats", NULL, LIMIT_MS, &reply), WORKPOOL_CLOSED);
	workpool_free(wp);
}
END_TEST

START_TEST(test_late_reply_of_a_call_is_not_taken_for_the_next_ones)
{
	int peer;
	struct workpool *wp = client_open(&peer);
	struct workpool_reply *reply;

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(
			workpool_call(wp, "Wait", NULL, i * 5, &reply), WORKPOOL_TIMED_OUT);
		ck_assert_ptr_null(reply);
		ck_assert_uint_eq(workpool_pending(wp), 0);
	}
	ck_assert_int_eq(workpool_receive(wp, -1, &reply), WORKPOOL_IDLE);
	peer_say(peer, "{\"parameters\":{\"n\":1}}\n{\"parameters\":{\"n\":2}}\n"
		       "{\"parameters\":{\"n\":3}}\n");
	ck_assert_int_eq(workpool_call(wp, "Stats", NULL, LIMIT_MS, &reply), 0);
	ck_assert_int_eq(workpool_reply_int(reply, "n", 0), 3);
	workpool_reply_free(reply);
	workpool_free(wp);
	(void)close(peer);
}
END_TEST

START_TEST(test_call_does_not_go_between_calls_that_were_sent)
{
	int peer;
	struct workpool *wp = client_open(&peer);
	struct workpool_reply *reply;

	ck_assert_int_eq(workpool_send(wp, "Stats", NULL, 0, NULL), 0);
	ck_assert_int_eq(workpool_call(wp, "Stats", NULL, 0, &reply), WORKPOOL_BAD_ARGUMENT);
	peer_say(peer, DONE);
	workpool_reply_free(client_receive(wp));
	peer_say(peer, DONE);
	ck_assert_int_eq(workpool_call(wp, "Stats", NULL, LIMIT_MS, NULL), 0);
	workpool_free(wp);
	(void)close(peer);
}
END_TEST

START_TEST(test_wait_has_the_task_or_says_that_it_goes_on)
{
	int peer;
	char line[LINE_SIZE];
	struct workpool *wp = client_open(&peer);
	struct workpool_reply *reply;

	peer_say(peer, "{\"parameters\":{\"tasks\":[{\"id\":\"7\",\"result\":{\"a\":1}}]}}\n");
	ck_assert_int_eq(workpool_wait(wp, "7", -1, &reply), 0);
	ck_assert_str_eq(workpool_reply_text(reply, "tasks.0.result"), "{\"a\":1}");
	workpool_reply_free(reply);
	peer_expect(peer, "{\"method\":\"org.workpool.Wait\",\"parameters\":{\"ids\":[\"7\"]}}");
	peer_say(peer, "{\"parameters\":{\"tasks\":[],\"timed_out\":true}}\n");
	ck_assert_int_eq(workpool_wait(wp, "7", 0, &reply), WORKPOOL_TIMED_OUT);
	ck_assert_ptr_null(reply);
	peer_expect(peer, "{\"method\":\"org.workpool.Wait\",\"parameters\":{\"ids\":[\"7\"],"
			  "\"timeout_ms\":0}}");
	peer_say(peer, "{\"error\":\"org.workpool.NoSuchTask\",\"parameters\":{\"id\":\"8\"}}\n");
	ck_assert_int_eq(workpool_wait(wp, "8", 1000, NULL), WORKPOOL_NO_SUCH_TASK);
	ck_assert(peer_read_line(peer, line));
	ck_assert_int_eq(workpool_wait(wp, "\xff", 1000, NULL), WORKPOOL_BAD_ARGUMENT);
	workpool_free(wp);
	(void)close(peer);
}
END_TEST

static atomic_int n_alarms;

static void on_alarm(int number)
{
	(void)number;
	n_alarms++;
}

static void *answer_after_alarms(void *arg)
{
	while (n_alarms < 5)
		(void)poll(NULL, 0, 1);
	peer_say(*(int *)arg, DONE);
	return NULL;
}

START_TEST(test_signals_do_not_end_a_wait)
{
	struct sigaction action = {.sa_handler = on_alarm}; /* without SA_RESTART */
	struct itimerval often = {{0, 2000}, {0, 2000}};
	struct itimerval never = {{0, 0}, {0, 0}};
	sigset_t set;
	pthread_t thread;
	int peer;
	struct workpool *wp = client_open(&peer);

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGALRM);
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	/* So that it is we whom the signals meet. */
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, answer_after_alarms, &peer), 0);
	ck_assert_int_eq(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	ck_assert_int_eq(workpool_call(wp, "Stats", NULL, LIMIT_MS, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
	ck_assert_int_ge(n_alarms, 5);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	workpool_free(wp);
	(void)close(peer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("libworkpool_reply");
	TCase *tcase = tcase_create("replies");

	tcase_add_test(tcase, test_replies_come_in_order_with_the_data_of_their_calls);
	tcase_add_test(tcase, test_order_is_kept_however_many_calls_are_outstanding);
	tcase_add_test(tcase, test_reply_may_end_with_either_terminator_or_both);
	tcase_add_test(tcase, test_reply_in_single_bytes_is_one_when_it_is_whole);
	tcase_add_loop_test(tcase, test_error_has_a_code_of_its_own_and_words, 0,
		(int)ARRAY_SIZE(daemon_errors));
	tcase_add_test(tcase, test_error_that_is_not_known_keeps_its_name);
	tcase_add_loop_test(tcase, test_garbage_ends_the_connection_and_open_makes_a_new_one, 0,
		(int)ARRAY_SIZE(garbage_rows));
	tcase_add_test(tcase, test_daemon_that_goes_leaves_the_replies_that_came);
	tcase_add_test(tcase, test_write_to_a_daemon_that_has_gone_raises_no_signal);
	tcase_add_test(tcase, test_refusal_before_the_call_is_the_answer_to_it);
	tcase_add_test(tcase, test_late_reply_of_a_call_is_not_taken_for_the_next_ones);
	tcase_add_test(tcase, test_call_does_not_go_between_calls_that_were_sent);
	tcase_add_test(tcase, test_wait_has_the_task_or_says_that_it_goes_on);
	tcase_add_test(tcase, test_signals_do_not_end_a_wait);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
