/*
 * check_conn: bytes of clients and hosts. One read and one write a peer and turn, 64 calls at most, nobody held up by somebody
 * else; every way in which a client leaves or misbehaves; and hosts that lie: the host pays, nobody else.
 */
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon_fixture.h"
#include "net/conn.h"

#define ONEWAY_POST                                                                                \
	"{\"method\":\"org.workpool.Post\",\"oneway\":true,\"parameters\":{\"handler\":\"noop\"}}"

static void say_many(int client, const char *call, unsigned n)
{
	struct buf text;

	buf_init(&text, 1u << 20);
	while (n-- > 0)
		ck_assert_int_eq(buf_printf(&text, "%s\n", call), 0);
	client_write(client, buf_view(&text).data, buf_len(&text));
	buf_done(&text);
}

/* The daemon's side of the connection that was opened last. */
static struct conn *last_conn(void)
{
	return TAILQ_LAST(&fx.daemon.conns, conn_list);
}

START_TEST(test_conn_takes_64_posts_with_one_read_and_answers_with_one_write)
{
	struct fx_host *host;
	int client, fd;

	fx_open("[pool default]\nworkers = 100\n");
	host = host_of("default");
	client = client_open();
	fd = last_conn()->fd;
	say_many(client, POST, 64);
	fx_turn();
	ck_assert_uint_eq(fx.recvs[fd], 1);
	ck_assert_uint_eq(fx.sends[fd], 1);
	ck_assert_uint_eq(fx.sends[host->daemon_fd], 1);
	ck_assert_str_eq(fx.story, "CHA");
	ck_assert_uint_eq(count_words(client_hear(client), "\"id\""), 64);
	host_hear(host);
	ck_assert_uint_eq(host->n_runs, 64);
	for (size_t i = 0; i < 64; i++) {
		ck_assert_uint_eq(host->runs[i].task, i + 1);
		host_done(host, i, OUTCOME_OK, "{}");
	}
	fx_turn();
	ck_assert_uint_eq(fx.recvs[host->daemon_fd], 1);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 64);
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_conn_takes_64_calls_a_turn_and_the_next_turn_does_not_sleep)
{
	int client;

	fx_open(ONE_POOL);
	client = client_open();
	say_many(client, POST, 200); /* some are refused: that is an answer too */
	for (unsigned left = 200; left > 0;) {
		unsigned n = left < 64 ? left : 64;

		ck_assert(fx_turn_wakes(US_PER_SEC));
		ck_assert_uint_eq(count_words(client_hear(client), "\n"), n);
		left -= n;
	}
	(void)fx_turn_wakes(US_PER_MS); /* it may look once more */
	ck_assert(!fx_turn_wakes(20 * US_PER_MS));
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_conn_with_much_to_say_lets_others_have_their_turn)
{
	int busy, other;

	fx_open(ONE_POOL);
	busy = client_open();
	other = client_open();
	say_many(busy, POST, 1000);
	fx_turn();
	for (int i = 0; i < 3; i++) {
		client_say(other, POST);
		fx_turn();
		ck_assert_uint_eq(count_words(client_hear(other), "\n"), 1);
	}
	FX_UNTIL(pool_of("default")->stats.counters.posted == 102); /* 2 workers, capacity 100 */
	FX_UNTIL(TAILQ_EMPTY(&fx.daemon.ready));
	ck_assert_uint_eq(count_words(client_hear(busy), "\n"), 1000);
	(void)close(busy);
	(void)close(other);
	fx_close();
}
END_TEST

START_TEST(test_conn_that_is_half_closed_gets_its_replies_and_then_the_end)
{
	struct scene scene = scene_open();
	int client;

	client = client_open();
	client_say(client, POST "\n" POST_WAIT);
	ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
	ck_assert_int_eq(shutdown(scene.here, SHUT_WR), 0);
	fx_turn();
	fx_turn();
	ck_assert_uint_eq(count_words(client_hear(client), "\n"), 1);
	ck_assert_str_eq(client_hear(scene.here), "");
	host_hear(scene.host);
	host_done(scene.host, 0, OUTCOME_OK, "{}");
	host_done(scene.host, 1, OUTCOME_OK, "{}");
	FX_UNTIL((host_hear(scene.host), scene.host->n_runs == 3));
	host_done(scene.host, 2, OUTCOME_OK, "{}");
	FX_UNTIL(fx.daemon.n_conns == 1);
	ck_assert_ptr_nonnull(strstr(client_hear(client), "\"state\":\"done\""));
	ck_assert_ptr_nonnull(strstr(client_hear(scene.here), "<end>"));
	(void)close(client);
	scene_close(&scene);
}
END_TEST

START_TEST(test_conn_that_is_half_closed_and_slow_gets_all_and_keeps_nobody_awake)
{
	struct scene scene = scene_open();
	int client = client_open();
	size_t heard = 0;

	client_say(client, "{\"method\":\"org.workpool.Wait\",\"more\":true,"
			   "\"parameters\":{\"ids\":[\"1\",\"2\"]}}");
	ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
	fx_turn();
	fx_turn();
	host_done_long(scene.host, 0, 900000); /* more than the socket takes */
	FX_UNTIL(count_of("default", TASK_DONE) == 1);
	for (int i = 0; i < 3; i++) /* the edge may wake once */
		(void)fx_turn_wakes(US_PER_MS);
	ck_assert(!fx_turn_wakes(20 * US_PER_MS));
	while ((heard += strlen(client_hear(client))) < 900000)
		ck_assert_msg(fx_turn_wakes(2 * US_PER_SEC), "stuck after %zu bytes", heard);
	for (int i = 0; i < 3; i++)
		(void)fx_turn_wakes(US_PER_MS);
	ck_assert(!fx_turn_wakes(20 * US_PER_MS));
	host_done(scene.other, 0, OUTCOME_OK, "{}");
	FX_UNTIL(fx.daemon.n_conns == 2);
	ck_assert_ptr_nonnull(strstr(client_hear(client), "\"id\":\"2\""));
	(void)close(client);
	scene_close(&scene);
}
END_TEST

START_TEST(test_conn_runs_all_that_came_whole_before_the_client_left)
{
	int client;

	fx_open("[pool default]\ncapacity = 1000\n");
	client = client_open();
	say_many(client, ONEWAY_POST, 300);
	(void)close(client);
	FX_UNTIL(fx.daemon.n_conns == 0);
	ck_assert_uint_eq(pool_of("default")->stats.counters.posted, 300);
	fx_close();
}
END_TEST

START_TEST(test_conn_of_a_client_that_died_while_it_waited_half_closed_goes)
{
	struct scene scene = scene_open();

	ck_assert_int_eq(shutdown(scene.here, SHUT_WR), 0);
	fx_turn();
	ck_assert_uint_eq(fx.daemon.n_conns, 2);
	(void)close(scene.here);
	fx_turn();
	fx_pass(10 * US_PER_SEC);
	fx_turn();
	fx_turn();
	ck_assert_uint_eq(fx.daemon.n_conns, 1);
	scene.here = client_open();
	scene_close(&scene);
}
END_TEST

START_TEST(test_conn_that_ends_in_the_middle_of_a_message_is_told)
{
	int client;

	fx_open(ONE_POOL);
	client = client_open();
	client_write(client, POST, strlen(POST) - 5);
	ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
	FX_UNTIL(fx.daemon.n_conns == 0);
	ck_assert_str_eq(client_hear(client), "{\"error\":\"org.workpool.MalformedMessage\","
					      "\"parameters\":{\"reason\":\"the input "
					      "ended before the message's terminator\"}}|<end>");
	ck_assert_uint_eq(pool_of("default")->stats.counters.posted, 0);
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_conn_with_an_endless_message_is_closed_at_the_limit)
{
	char chunk[4096];
	struct conn *conn;
	int client;

	fx_open("[daemon]\nmax_message = 64K\n");
	client = client_open();
	conn = last_conn();
	memset(chunk, 'x', sizeof chunk);
	for (int i = 0; i < 17; i++) {
		ck_assert_uint_le(conn->in.cap, 65537);
		client_write(client, chunk, sizeof chunk);
		fx_turn();
	}
	FX_UNTIL(fx.daemon.n_conns == 0);
	ck_assert_ptr_nonnull(strstr(client_hear(client),
		"{\"error\":\"org.workpool.MessageTooLong\",\"parameters\":{\"limit\":65536}}|"));
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_conn_that_trickles_is_closed_when_its_message_is_late)
{
	int client;

	fx_open(ONE_POOL);
	client = client_open();
	client_say(client, CALL("Stats", ""));
	fx_turn();
	(void)client_hear(client);
	fx_pass(60 * US_PER_SEC); /* between messages there is no limit */
	fx_turn();
	ck_assert_uint_eq(fx.daemon.n_conns, 1);
	for (int i = 0; i < 9; i++) {
		client_write(client, "{", 1);
		fx_turn();
		ck_assert_uint_eq(fx.daemon.n_conns, 1);
		fx_pass(US_PER_SEC);
	}
	fx_pass(2 * US_PER_SEC);
	fx_turn();
	ck_assert_uint_eq(fx.daemon.n_conns, 0);
	ck_assert_str_eq(client_hear(client), "{\"error\":\"org.workpool.ReceiveTimeout\","
					      "\"parameters\":{\"timeout_ms\":10000}}\n<end>");
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_conn_that_does_not_read_is_not_read_and_loses_nothing)
{
	struct conn *conn;
	unsigned said = 0;
	int client;

	fx_open("[daemon]\nmax_output = 64K\n");
	client = client_open();
	conn = last_conn();
	for (int i = 0; i < 40; i++) {
		say_many(client, CALL("Stats", ""), 40);
		fx_turn();
		fx_turn();
		/* One reply may pass the limit, not 64. */
		ck_assert_uint_le(buf_len(&conn->out), (64u << 10) + 8192);
	}
	for (;;) {
		said += count_words(client_hear(client), "\n");
		if (said >= 1600)
			break;
		ck_assert_msg(fx_turn_wakes(5 * US_PER_SEC), "stuck after %u replies", said);
	}
	ck_assert_uint_eq(said, 1600);
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_conn_above_the_limit_is_told_busy)
{
	int clients[3];

	fx_open("[daemon]\nmax_connections = 2\n");
	for (int i = 0; i < 3; i++)
		clients[i] = client_open();
	ck_assert_str_eq(client_hear(clients[0]), "");
	ck_assert_ptr_nonnull(strstr(client_hear(clients[2]),
		"{\"error\":\"org.workpool.Busy\",\"parameters\":{\"limit\":2}}"));
	ck_assert_uint_eq(fx.daemon.n_refused_conns, 1);
	for (int i = 0; i < 3; i++)
		(void)close(clients[i]);
	fx_close();
}
END_TEST

START_TEST(test_conn_goes_on_after_a_bad_line_and_ends_after_a_bad_message)
{
	int lines, nul;

	fx_open(ONE_POOL);
	lines = client_open();
	nul = client_open();
	client_say(lines, "{\n" POST);
	client_write(nul, "{\0" POST, strlen(POST) + 3);
	fx_turn();
	ck_assert_uint_eq(count_words(client_hear(lines), "MalformedMessage"), 1);
	client_say(lines, POST);
	fx_turn();
	ck_assert_uint_eq(count_words(client_hear(lines), "\"id\":\"2\""), 1);
	ck_assert_ptr_nonnull(strstr(client_hear(nul), "|<end>"));
	ck_assert_uint_eq(pool_of("default")->stats.counters.posted, 2);
	(void)close(lines);
	(void)close(nul);
	fx_close();
}
END_TEST

/* --- hosts that lie --------------------------------------------------------------------------- */

static void say_done(struct fx_host *host, uint64_t task, uint32_t attempt, uint32_t worker,
	uint8_t outcome, struct view result)
{
	host_say(host, &(struct hostmsg){.type = HOSTMSG_DONE,
			       .done = {task, attempt, worker, outcome, VIEW_LIT(""), result}});
}

static void lie_unknown_task(struct fx_host *host)
{
	say_done(host, 99, 1, host->runs[0].worker, OUTCOME_OK, VIEW_LIT("{}"));
}

static void lie_task_of_another_pool(struct fx_host *host)
{
	say_done(host, 2, 1, host->runs[0].worker, OUTCOME_OK, VIEW_LIT("{}"));
}

static void lie_wrong_worker(struct fx_host *host)
{
	say_done(host, 1, 1, host->runs[0].worker + 1, OUTCOME_OK, VIEW_LIT("{}"));
}

static void lie_wrong_attempt(struct fx_host *host)
{
	say_done(host, 1, 2, host->runs[0].worker, OUTCOME_OK, VIEW_LIT("{}"));
}

static void lie_outcome(struct fx_host *host)
{
	say_done(host, 1, 1, host->runs[0].worker, 200, VIEW_LIT("{}"));
}

static void lie_no_utf8(struct fx_host *host)
{
	say_done(host, 1, 1, host->runs[0].worker, OUTCOME_OK, VIEW_LIT("\"caf\xe9\""));
}

static void say_log(
	struct fx_host *host, uint64_t task, uint32_t attempt, uint8_t stream, struct view text)
{
	host_say(host, &(struct hostmsg){.type = HOSTMSG_LOG,
			       .log = {task, attempt, stream, text.len, text}});
}

static void lie_log_of_another_attempt(struct fx_host *host)
{
	say_log(host, 1, 2, STREAM_OUT, VIEW_LIT("a"));
}

static void lie_log_of_another_pool(struct fx_host *host)
{
	say_log(host, 2, 1, STREAM_OUT, VIEW_LIT("a"));
}

static void lie_log_of_no_stream(struct fx_host *host)
{
	say_log(host, 1, 1, STREAMS_END, VIEW_LIT("a"));
}

static void lie_log_no_utf8(struct fx_host *host)
{
	say_log(host, 1, 1, STREAM_OUT, VIEW_LIT("caf\xe9"));
}

static void say_progress(struct fx_host *host, uint64_t task, uint32_t permille, struct view note)
{
	host_say(host,
		&(struct hostmsg){.type = HOSTMSG_PROGRESS, .progress = {task, 1, permille, note}});
}

static void lie_progress_of_nobody(struct fx_host *host)
{
	say_progress(host, 99, 1, VIEW_LIT(""));
}

static void lie_progress_beyond_the_end(struct fx_host *host)
{
	say_progress(host, 1, HOSTMSG_PERMILLE_MAX + 1, VIEW_LIT(""));
}

static void lie_note_too_long(struct fx_host *host)
{
	static const char note[HOSTMSG_NOTE_MAX + 1];

	say_progress(host, 1, 1, (struct view){note, sizeof(note)});
}

static void lie_note_no_utf8(struct fx_host *host)
{
	say_progress(host, 1, 1, VIEW_LIT("\xff"));
}

static void lie_echo(struct fx_host *host)
{
	host_say(host, &(struct hostmsg){.type = HOSTMSG_RUN,
			       .run = {1, 1, 0, 0, VIEW_LIT("noop"), VIEW_LIT("{}")}});
}

static void lie_hello_again(struct fx_host *host)
{
	host_say(host, &(struct hostmsg){.type = HOSTMSG_HELLO, .hello = {HOSTMSG_VERSION, 1}});
}

static void lie_ready_again(struct fx_host *host)
{
	host_say(host, &(struct hostmsg){.type = HOSTMSG_READY, .ready = {1000000}});
}

static void lie_garbage(struct fx_host *host)
{
	host_write(host, "GET / HTTP/1.1\r\n\r\n", 18);
}

static void lie_no_type(struct fx_host *host)
{
	host_write(host, "\1\0\0\0\377", 5);
}

static void lie_half_a_message(struct fx_host *host)
{
	host_write(host, "\100\0\0\0\15half", 9);
	host_hang_up(host);
}

/* The largest that a message can be, about a task that it has not: it is read whole, and costs the host. */
static void lie_8_mb(struct fx_host *host)
{
	size_t len = HOSTMSG_LIMIT - 64;
	char *text = malloc(len);

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', len);
	say_done(host, 99, 1, 0, OUTCOME_OK, (struct view){text, len});
	free(text);
}

static void lie_too_long(struct fx_host *host)
{
	host_write(host, "\1\0\200\0\15", 5); /* 8 MB and one */
}

typedef void lie(struct fx_host *host);
static lie *const lies[] = {lie_unknown_task, lie_task_of_another_pool, lie_wrong_worker,
	lie_wrong_attempt, lie_outcome, lie_no_utf8, lie_log_of_another_attempt,
	lie_log_of_another_pool, lie_log_of_no_stream, lie_log_no_utf8, lie_progress_of_nobody,
	lie_progress_beyond_the_end, lie_note_too_long, lie_note_no_utf8, lie_echo, lie_hello_again,
	lie_ready_again, lie_garbage, lie_no_type, lie_half_a_message, lie_8_mb, lie_too_long};

START_TEST(test_host_may_tell_output_and_progress_and_that_its_program_crashed)
{
	struct scene scene = scene_open();

	say_log(scene.host, 1, 1, STREAM_ERR, VIEW_LIT("caf\xc3\xa9"));
	say_log(scene.host, 1, 1, STREAM_OUT, VIEW_LIT(""));
	say_progress(scene.host, 1, HOSTMSG_PERMILLE_MAX, VIEW_LIT("note"));
	host_done(scene.host, 0, OUTCOME_CRASHED, "{\"error\":\"SEGV\"}");
	FX_UNTIL(pool_of("default")->stats.counters.crashed == 1);
	ck_assert_int_eq(link_of("default")->state, HOSTLINK_UP);
	scene_close(&scene);
}
END_TEST

START_TEST(test_host_that_lies_is_replaced_and_nobody_else_notices)
{
	struct scene scene = scene_open();

	lies[_i](scene.host);
	FX_UNTIL(fx.n_hosts == 3);
	ck_assert_uint_eq(count_words(client_hear(scene.here), "\"reason\":\"crashed\""), 1);
	ck_assert_uint_eq(count_of("default", TASK_FAILED), 1);
	ck_assert_uint_eq(count_of("other", TASK_ACTIVE), 1);
	ck_assert_str_eq(client_hear(scene.there), "");
	host_up(host_of("default"));
	FX_UNTIL(link_of("default")->state == HOSTLINK_UP);
	client_say(scene.here, POST_WAIT);
	fx_turn();
	host_hear(host_of("default"));
	host_done(host_of("default"), 0, OUTCOME_OK, "{}");
	host_done(scene.other, 0, OUTCOME_OK, "{}");
	fx_turn();
	ck_assert_uint_eq(count_words(client_hear(scene.here), "\"state\":\"done\""), 2);
	ck_assert_uint_eq(count_words(client_hear(scene.there), "\"state\":\"done\""), 2);
	ck_assert_int_eq(kill(scene.host->pid, 0), -1); /* it was ended, and waited for */
	scene_close(&scene);
}
END_TEST

START_TEST(test_host_that_says_done_twice_is_replaced)
{
	struct scene scene = scene_open();

	host_done(scene.host, 0, OUTCOME_OK, "{}");
	host_done(scene.host, 0, OUTCOME_FAILED, "{}");
	FX_UNTIL(fx.n_hosts == 3);
	ck_assert_uint_eq(count_words(client_hear(scene.here), "\"state\":\"done\""), 2);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 1);
	ck_assert_uint_eq(count_of("default", TASK_FAILED), 0);
	scene_close(&scene);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		test_conn_takes_64_posts_with_one_read_and_answers_with_one_write,
		test_conn_takes_64_calls_a_turn_and_the_next_turn_does_not_sleep,
		test_conn_with_much_to_say_lets_others_have_their_turn,
		test_conn_that_is_half_closed_gets_its_replies_and_then_the_end,
		test_conn_that_is_half_closed_and_slow_gets_all_and_keeps_nobody_awake,
		test_conn_runs_all_that_came_whole_before_the_client_left,
		test_conn_of_a_client_that_died_while_it_waited_half_closed_goes,
		test_conn_that_ends_in_the_middle_of_a_message_is_told,
		test_conn_with_an_endless_message_is_closed_at_the_limit,
		test_conn_that_trickles_is_closed_when_its_message_is_late,
		test_conn_that_does_not_read_is_not_read_and_loses_nothing,
		test_conn_above_the_limit_is_told_busy,
		test_conn_goes_on_after_a_bad_line_and_ends_after_a_bad_message,
		test_host_that_says_done_twice_is_replaced,
		test_host_may_tell_output_and_progress_and_that_its_program_crashed,
	};
	const struct fx_loop loops[] = {
		{test_host_that_lies_is_replaced_and_nobody_else_notices, ARRAY_SIZE(lies)},
	};

	return fx_main("conn", tests, ARRAY_SIZE(tests), loops, ARRAY_SIZE(loops));
}
