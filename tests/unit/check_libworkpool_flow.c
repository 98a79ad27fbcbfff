/*
 * check_libworkpool_flow: libworkpool with more calls and bytes than fit anywhere: a daemon that reads slowly or not at all, huge
 * replies, foreign event loops, several connections at a time.
 */
#include "client_fixture.h"

#define MANY 10000

#define QUEUE_BYTES (1u << 20)

START_TEST(test_ten_thousand_posts_to_a_daemon_that_reads_slowly_are_all_answered_in_order)
{
	/* It reads little at a time, and nothing as long as an answer is not taken. */
	struct server server = {.step_bytes = 1000};
	struct workpool *wp = server_start(&server);
	size_t n_received = 0;
	int small = 4096;

	ck_assert_int_eq(setsockopt(server.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	for (size_t i = 0; i < MANY;) {
		int code = workpool_send_post(
			wp, "echo", "{\"text\":\"some text, for the length\"}", NULL, (void *)i);
		if (code == 0) {
			i++;
			continue;
		}
		ck_assert_int_eq(code, WORKPOOL_FULL);
		struct workpool_reply *reply = client_receive(wp);
		ck_assert_ptr_eq(workpool_reply_data(reply), (void *)n_received);
		ck_assert_int_eq(workpool_reply_int(reply, "n", -1), (int64_t)n_received);
		n_received++;
		workpool_reply_free(reply);
	}
	ck_assert_uint_eq(workpool_pending(wp), MANY - n_received);
	for (; n_received < MANY; n_received++) {
		struct workpool_reply *reply = client_receive(wp);
		ck_assert_ptr_eq(workpool_reply_data(reply), (void *)n_received);
		ck_assert_int_eq(workpool_reply_int(reply, "n", -1), (int64_t)n_received);
		workpool_reply_free(reply);
	}
	ck_assert_uint_eq(workpool_pending(wp), 0);
	workpool_free(wp);
	server_join(&server);
	ck_assert_uint_eq(server.n_lines, MANY);
}
END_TEST

START_TEST(test_daemon_that_reads_nothing_costs_bounded_memory)
{
	static char params[100 * 1024];
	int peer;
	struct workpool *wp = client_open(&peer);
	size_t n = 0;
	int code;

	(void)snprintf(params, sizeof(params), "{\"a\":\"%*s\"}", (int)sizeof(params) - 10, "");
	while ((code = workpool_send(wp, "Post", params, 0, NULL)) == 0)
		ck_assert_uint_lt(++n, 100);
	ck_assert_int_eq(code, WORKPOOL_FULL);
	ck_assert_uint_ge(n, QUEUE_BYTES / sizeof(params));
	ck_assert_uint_eq(workpool_pending(wp), n);
	ck_assert_int_eq(workpool_flush(wp, 0), WORKPOOL_TIMED_OUT);
	ck_assert_int_eq(workpool_flush(wp, 5), WORKPOOL_TIMED_OUT);
	workpool_free(wp);
	(void)close(peer);
}
END_TEST

START_TEST(test_replies_that_nobody_takes_cost_bounded_memory)
{
	static char line[64 * 1024];
	struct workpool_reply *reply;
	int peer;
	struct workpool *wp = client_open(&peer);
	size_t n_sent = 0;

	(void)snprintf(line, sizeof(line), "{\"parameters\":{\"a\":\"%*s\"}}\n", 60000, "");
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(workpool_send(wp, "Stats", NULL, 0, NULL), 0);
	ck_assert_int_eq(workpool_flush(wp, LIMIT_MS), 0);
	/* As long as it asks for more, it gets more. */
	while (workpool_events(wp) & POLLIN) {
		struct pollfd fd = {.fd = peer, .events = POLLOUT};
		if (poll(&fd, 1, 0) == 1 && fd.revents == POLLOUT &&
			send(peer, line, strlen(line), MSG_DONTWAIT) == (ssize_t)strlen(line))
			n_sent++;
		ck_assert_int_eq(workpool_process(wp), 0);
		ck_assert_uint_lt(n_sent, 100);
	}
	ck_assert_uint_ge(n_sent, QUEUE_BYTES / strlen(line));
	/* Nothing is waited for that only we can do. */
	while (_i == 1 && workpool_send(wp, "Stats", NULL, 0, NULL) == 0)
		;
	ck_assert_int_eq(_i == 1 ? workpool_flush(wp, -1) : workpool_finish(wp, -1), WORKPOOL_FULL);
	reply = client_receive(wp);
	ck_assert_uint_eq(strlen(workpool_reply_text(reply, "a")), 60000);
	workpool_reply_free(reply);
	workpool_free(wp);
	(void)close(peer);
}
END_TEST

START_TEST(test_oneway_calls_between_others_are_done_when_it_is_finished)
{
	struct server server = {.step_bytes = 4096};
	struct workpool *wp = server_start(&server);

	for (size_t i = 0; i < 1000; i++) {
		ck_assert_int_eq(workpool_send(wp, "Post", NULL, WORKPOOL_ONEWAY, NULL), 0);
		ck_assert_int_eq(workpool_send(wp, "Stats", NULL, 0, NULL), 0);
		ck_assert_int_eq(workpool_send(wp, "Post", NULL, WORKPOOL_ONEWAY, NULL), 0);
		struct workpool_reply *reply = client_receive(wp);
		ck_assert_int_eq(workpool_reply_int(reply, "n", -1), (int64_t)(3 * i + 1));
		workpool_reply_free(reply);
	}
	ck_assert_uint_eq(workpool_pending(wp), 0);
	ck_assert_int_eq(workpool_finish(wp, LIMIT_MS), 0);
	ck_assert_int_eq(workpool_send(wp, "Post", NULL, 0, NULL), WORKPOOL_CLOSED);
	workpool_free(wp);
	server_join(&server);
	ck_assert_uint_eq(server.n_lines, 3000);
}
END_TEST

START_TEST(test_oneway_calls_only_are_flushed_when_it_is_full)
{
	static char params[10000];
	struct server server = {.step_bytes = 1000};
	struct workpool *wp = client_open(&server.fd);
	size_t n_full = 0;

	(void)snprintf(params, sizeof(params), "{\"a\":\"%*s\"}", 9000, "");
	for (int i = 0; i < 1000;) {
		int code = workpool_send(wp, "Post", params, WORKPOOL_ONEWAY, NULL);
		if (code == 0) {
			i++;
			continue;
		}
		ck_assert_int_eq(code, WORKPOOL_FULL);
		/* Only now somebody reads. */
		if (n_full++ == 0)
			server_begin(&server);
		ck_assert_int_eq(workpool_flush(wp, LIMIT_MS), 0);
	}
	ck_assert_uint_gt(n_full, 0);
	ck_assert_int_eq(workpool_finish(wp, LIMIT_MS), 0);
	workpool_free(wp);
	server_join(&server);
	ck_assert_uint_eq(server.n_lines, 1000);
}
END_TEST

#define HUGE_BYTES (8u << 20)

static void answer_huge(struct server *server, const char *line, size_t n)
{
	char *text = malloc(HUGE_BYTES + 100);

	(void)line;
	ck_assert_ptr_nonnull(text);
	int head = sprintf(text, "{\"parameters\":{\"n\":%zu,\"a\":\"", n);
	memset(text + head, 'x', HUGE_BYTES);
	(void)strcpy(text + head + HUGE_BYTES, "\"}}\n");
	peer_say_bytes(server->fd, text, strlen(text));
	free(text);
}

START_TEST(test_huge_reply_is_a_reply)
{
	struct server server = {.answer = answer_huge};
	struct workpool *wp = server_start(&server);

	for (int i = 0; i < 2; i++) {
		struct workpool_reply *reply;
		ck_assert_int_eq(workpool_call(wp, "List", NULL, LIMIT_MS, &reply), 0);
		ck_assert_int_eq(workpool_reply_int(reply, "n", -1), i);
		ck_assert_uint_eq(strlen(workpool_reply_text(reply, "a")), HUGE_BYTES);
		workpool_reply_free(reply);
	}
	workpool_free(wp);
	server_join(&server);
}
END_TEST

static void answer_without_end(struct server *server, const char *line, size_t n)
{
	static char text[65536];

	(void)line;
	(void)n;
	memset(text, 'x', sizeof(text));
	while (send(server->fd, text, sizeof(text), MSG_NOSIGNAL) > 0)
		;
}

START_TEST(test_reply_without_end_is_none)
{
	struct server server = {.answer = answer_without_end};
	struct workpool *wp = server_start(&server);

	ck_assert_int_eq(workpool_call(wp, "List", NULL, -1, NULL), WORKPOOL_BAD_REPLY);
	workpool_free(wp);
	server_join(&server);
}
END_TEST

START_TEST(test_long_call_is_one_call)
{
	struct server server = {0};
	struct workpool *wp = server_start(&server);
	size_t len = 3u << 20;
	char *params = malloc(len + 100);
	struct workpool_reply *reply;

	ck_assert_ptr_nonnull(params);
	(void)snprintf(params, len + 100, "{\"a\":\"%*s\"}", (int)len, "");
	ck_assert_int_eq(workpool_call(wp, "Post", params, LIMIT_MS, &reply), 0);
	ck_assert_int_eq(workpool_reply_int(reply, "n", -1), 0);
	workpool_reply_free(reply);
	free(params);
	workpool_free(wp);
	server_join(&server);
}
END_TEST

/* What a program with poll(2) of its own does. */
struct loop_client {
	struct workpool *wp;
	size_t n_sent, n_received;
};

static void serve(struct loop_client *client)
{
	struct workpool_reply *reply;
	int code;

	while (client->n_sent < MANY &&
		workpool_send(client->wp, "Stats", NULL, 0, (void *)client->n_sent) == 0)
		client->n_sent++;
	while ((code = workpool_receive(client->wp, 0, &reply)) == 0) {
		ck_assert_ptr_eq(workpool_reply_data(reply), (void *)client->n_received);
		client->n_received++;
		workpool_reply_free(reply);
	}
	ck_assert(code == WORKPOOL_TIMED_OUT || code == WORKPOOL_IDLE);
}

START_TEST(test_event_loop_of_ones_own_serves_two_connections)
{
	struct server servers[2] = {{.step_bytes = 4000}, {0}};
	struct loop_client clients[2] = {{0}, {0}};

	for (size_t i = 0; i < 2; i++)
		clients[i].wp = server_start(&servers[i]);
	while (clients[0].n_received < MANY || clients[1].n_received < MANY) {
		struct pollfd fds[2];
		for (size_t i = 0; i < 2; i++) {
			serve(&clients[i]);
			fds[i].fd = workpool_fd(clients[i].wp);
			fds[i].events = (short)workpool_events(clients[i].wp);
		}
		if (clients[0].n_received == MANY && clients[1].n_received == MANY)
			break;
		ck_assert_int_gt(poll(fds, 2, LIMIT_MS), 0);
		for (size_t i = 0; i < 2; i++) {
			if (fds[i].revents)
				ck_assert_int_eq(workpool_process(clients[i].wp), 0);
		}
	}
	for (size_t i = 0; i < 2; i++) {
		workpool_free(clients[i].wp);
		server_join(&servers[i]);
		ck_assert_uint_eq(servers[i].n_lines, MANY);
	}
}
END_TEST

START_TEST(test_event_loop_is_told_that_the_daemon_has_gone)
{
	int peer;
	struct workpool *wp = client_open(&peer);
	struct workpool_reply *reply;
	struct pollfd fd = {.fd = workpool_fd(wp), .events = (short)workpool_events(wp)};

	ck_assert_int_eq(fd.events, POLLIN);
	ck_assert_int_eq(workpool_send(wp, "Stats", NULL, 0, NULL), 0);
	ck_assert_int_eq(workpool_events(wp), POLLIN | POLLOUT);
	ck_assert_int_eq(workpool_process(wp), 0);
	ck_assert_int_eq(workpool_events(wp), POLLIN);
	peer_say(peer, "{\"parameters\":{}}\n");
	(void)close(peer);
	int code;
	do
		ck_assert_int_eq(poll(&fd, 1, LIMIT_MS), 1);
	while ((code = workpool_process(wp)) == 0);
	ck_assert_int_eq(code, WORKPOOL_CLOSED);
	ck_assert_int_eq(workpool_events(wp), 0);
	ck_assert_int_eq(workpool_receive(wp, 0, &reply), 0);
	workpool_reply_free(reply);
	workpool_close(wp);
	ck_assert_int_eq(workpool_fd(wp), -1);
	workpool_free(wp);
}
END_TEST

static void *call_many(void *arg)
{
	struct workpool *wp = arg;

	for (int i = 0; i < 2000; i++) {
		struct workpool_reply *reply;
		if (workpool_post(wp, "echo", "{\"n\":1}", NULL, LIMIT_MS, &reply) != 0 ||
			workpool_reply_int(reply, "n", -1) != i ||
			workpool_call(wp, "a b", NULL, LIMIT_MS, NULL) != WORKPOOL_BAD_ARGUMENT)
			return arg;
		workpool_reply_free(reply);
	}
	return NULL;
}

START_TEST(test_threads_with_a_connection_each_do_not_meet)
{
	struct server servers[2] = {{0}, {0}};
	struct workpool *wps[2];
	pthread_t threads[2];
	void *failed;

	for (size_t i = 0; i < 2; i++) {
		wps[i] = server_start(&servers[i]);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, call_many, wps[i]), 0);
	}
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
		ck_assert_ptr_null(failed);
		workpool_free(wps[i]);
		server_join(&servers[i]);
		ck_assert_uint_eq(servers[i].n_lines, 2000);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("libworkpool_flow");
	TCase *tcase = tcase_create("flow");

	tcase_add_test(tcase,
		test_ten_thousand_posts_to_a_daemon_that_reads_slowly_are_all_answered_in_order);
	tcase_add_test(tcase, test_daemon_that_reads_nothing_costs_bounded_memory);
	tcase_add_loop_test(tcase, test_replies_that_nobody_takes_cost_bounded_memory, 0, 2);
	tcase_add_test(tcase, test_oneway_calls_between_others_are_done_when_it_is_finished);
	tcase_add_test(tcase, test_oneway_calls_only_are_flushed_when_it_is_full);
	tcase_add_test(tcase, test_huge_reply_is_a_reply);
	tcase_add_test(tcase, test_reply_without_end_is_none);
	tcase_add_test(tcase, test_long_call_is_one_call);
	tcase_add_test(tcase, test_event_loop_of_ones_own_serves_two_connections);
	tcase_add_test(tcase, test_event_loop_is_told_that_the_daemon_has_gone);
	tcase_add_test(tcase, test_threads_with_a_connection_each_do_not_meet);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
