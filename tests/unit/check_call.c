/*
 * check_call: calls from their message to their last reply: order, holding, streaming, what is refused, and what a call may
 * cost; and Shutdown, the call that ends the daemon.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "api/call.h"
#include "daemon_fixture.h"

#define GET_INFO "{\"method\":\"org.varlink.service.GetInfo\"}"
#define MORE(m, params)                                                                            \
	"{\"method\":\"org.workpool." m "\",\"more\":true,\"parameters\":{" params "}}"

static struct conn *last_conn(void)
{
	return TAILQ_LAST(&fx.daemon.conns, conn_list);
}

static unsigned count_calls(const struct conn *conn)
{
	const struct call *call;
	unsigned n = 0;

	TAILQ_FOREACH (call, &conn->calls, link)
		n++;
	return n;
}

/* Where the word is in the text; fails the test if it is not there. */
static const char *find(const char *text, const char *word)
{
	const char *at = strstr(text, word);

	ck_assert_msg(at != NULL, "no %s in %s", word, text);
	return at;
}

START_TEST(test_call_replies_leave_in_the_order_of_the_calls)
{
	const char *text;
	int client;

	fx_open(ONE_POOL);
	client = client_open();
	client_say(client, GET_INFO
		"\n" POST "\n" CALL("Nothing", "") "\n" POST "\n" CALL("Stats", "") "\n" GET_INFO);
	fx_turn();
	ck_assert_str_eq(fx.story, "CHA"); /* the last one is behind a call that reads */
	text = client_hear(client);
	ck_assert_uint_eq(count_words(text, "\n"), 5);
	ck_assert(find(text, "\"vendor\"") < find(text, "\"id\":\"1\""));
	ck_assert(find(text, "\"id\":\"1\"") < find(text, "MethodNotFound"));
	ck_assert(find(text, "MethodNotFound") < find(text, "\"id\":\"2\""));
	ck_assert(find(text, "\"id\":\"2\"") < find(text, "\"pools\""));
	ck_assert_uint_eq(count_words(text, "\"posted\":2"), 1);
	ck_assert(fx_turn_wakes(US_PER_SEC));
	ck_assert_uint_eq(count_words(client_hear(client), "\"vendor\""), 1);
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_call_that_waits_holds_back_its_own_connection_only)
{
	struct scene scene = scene_open();
	int other = client_open();

	client_say(scene.here, POST);
	client_say(other, POST);
	fx_turn();
	ck_assert_str_eq(client_hear(scene.here), "");
	ck_assert_uint_eq(count_words(client_hear(other), "\"id\":\"3\""), 1);
	host_done(scene.host, 0, OUTCOME_OK, "{}");
	fx_turn();
	ck_assert(fx_turn_wakes(US_PER_SEC));
	ck_assert_uint_eq(count_words(client_hear(scene.here), "\n"), 2);
	(void)close(other);
	scene_close(&scene);
}
END_TEST

/* Its connection is free for the next call, of which there is none: a turn for that would find nothing. */
START_TEST(test_call_that_waited_leaves_a_daemon_that_sleeps)
{
	struct scene scene = scene_open();

	host_done(scene.host, 0, OUTCOME_OK, "{}");
	fx_turn();
	ck_assert_uint_eq(count_words(client_hear(scene.here), "\n"), 1);
	ck_assert(!fx_turn_wakes(20 * US_PER_MS));
	client_say(scene.here, POST);
	fx_turn();
	ck_assert_uint_eq(count_words(client_hear(scene.here), "\"id\":\"3\""), 1);
	scene_close(&scene);
}
END_TEST

/* Each is refused, or wants no answer: nothing of it may stay. */
static const char *const silent[] = {
	"{\"method\":\"org.workpool.Stats\",\"oneway\":true,\"more\":true,\"parameters\":{"
	"\"interval_ms\":10}}",
	"{\"method\":\"org.workpool.Wait\",\"oneway\":true,\"parameters\":{\"ids\":[\"1\"]}}",
	"{\"method\":\"org.workpool.Drain\",\"oneway\":true}",
	"{\"method\":\"org.workpool.Show\",\"oneway\":true,\"parameters\":{\"id\":\"1\"}}",
	"{\"method\":\"org.workpool.Nothing\",\"oneway\":true}",
	"{\"method\":\"org.workpool.Post\",\"oneway\":true,\"parameters\":{\"handler\":\"noop\","
	"\"wait\":true}}",
	"{\"method\":\"org.workpool.Post\",\"oneway\":true,\"parameters\":{\"handler\":\"none\"}}",
};

START_TEST(test_call_that_is_oneway_gets_no_reply_and_is_not_kept)
{
	struct scene scene = scene_open();
	int client = client_open();
	const char *text;

	for (int i = 0; i < 20; i++)
		client_say(client, silent[_i]);
	fx_turn();
	fx_turn();
	ck_assert_uint_eq(count_calls(last_conn()), 0);
	fx_pass(US_PER_SEC);
	fx_turn();
	client_say(client, GET_INFO);
	fx_turn();
	text = client_hear(client);
	ck_assert_ptr_eq(find(text, "{\"parameters\":{\"vendor\""), text); /* nothing before it */
	(void)close(client);
	scene_close(&scene);
}
END_TEST

START_TEST(test_call_with_more_answers_again_every_interval_until_the_client_goes)
{
	int client;

	fx_open(ONE_POOL);
	client = client_open();
	client_say(client, MORE("Stats", "\"interval_ms\":500"));
	fx_turn();
	ck_assert_uint_eq(count_words(client_hear(client), "\"continues\":true"), 1);
	for (int i = 0; i < 5; i++) {
		fx_turn();
		ck_assert_str_eq(client_hear(client), "");
		fx_pass(500 * US_PER_MS);
		fx_turn();
		ck_assert_uint_eq(count_words(client_hear(client), "\"continues\":true"), 1);
	}
	(void)close(client);
	FX_UNTIL(fx.daemon.n_conns == 0);
	fx_pass(US_PER_SEC);
	fx_turn();
	fx_close();
}
END_TEST

START_TEST(test_call_for_an_interface_that_is_none_of_ours_is_answered_in_utf8)
{
	struct buf text;
	int client;

	fx_open(ONE_POOL);
	client = client_open();
	for (int shift = 0; shift < 2; shift++) { /* a character of two bytes is cut, or not */
		buf_init(&text, 4096);
		ck_assert_int_eq(buf_printf(&text, "{\"method\":\"%s", shift ? "x" : ""), 0);
		for (int i = 0; i < 200; i++)
			ck_assert_int_eq(buf_printf(&text, "\xc3\xa9"), 0);
		ck_assert_int_eq(buf_printf(&text, ".Call\"}\n"), 0);
		client_write(client, buf_view(&text).data, buf_len(&text));
		buf_done(&text);
		fx_turn();
		ck_assert_uint_eq(count_words(client_hear(client), "InterfaceNotFound"), 1);
	}
	(void)close(client);
	fx_close();
}
END_TEST

static const struct {
	const char *call, *word;
} refusals[] = {
	{"{\"method\":\"org.workpool.Post\",\"upgrade\":true}", "\"parameter\":\"upgrade\""},
	{CALL("Nothing", ""), "service.MethodNotFound"},
	{"{\"method\":\"Post\"}", "service.MethodNotFound"},
	{CALL("Post", ""), "\"parameter\":\"handler\",\"reason\":\"required\""},
	{CALL("Post", "\"handler\":\"noop\",\"x\":1"),
		"\"parameter\":\"x\",\"reason\":\"unknown\""},
	{CALL("Post", "\"handler\":\"none\""), "workpool.NoSuchHandler"},
	{CALL("Post", "\"handler\":\"echo\""), "workpool.NotReady"}, /* our hosts offer noop only */
	{CALL("Post", "\"handler\":\"noop\",\"pool\":\"x\""), "workpool.NoSuchPool"},
	{CALL("Post", "\"handler\":\"noop\",\"priority\":10"),
		"\"parameter\":\"priority\",\"reason\":\"a number from 0 to 9\""},
	{CALL("Post", "\"handler\":\"noop\",\"delay_ms\":2592000001"),
		"\"parameter\":\"delay_ms\""},
	{CALL("Post", "\"handler\":\"noop\",\"retries\":1001"), "\"parameter\":\"retries\""},
	{CALL("Post", "\"handler\":\"noop\",\"unique\":\"\""),
		"\"parameter\":\"unique\",\"reason\":\"a string of 1 to 256 bytes\""},
	{CALL("Post", "\"handler\":\"noop\",\"wait_room_ms\":86400001"),
		"\"parameter\":\"wait_room_ms\""},
	{CALL("Post", "\"handler\":\"noop\",\"delay_ms\":5,\"expires_ms\":5"),
		"\"parameter\":\"expires_ms\",\"reason\":\"0, or more than delay_ms\""},
	{CALL("Resize", ""), "\"parameter\":\"workers\""},
	{CALL("Resize", "\"workers\":0"), "\"parameter\":\"workers\""},
	{CALL("Pause", "\"pool\":\"x\""), "workpool.NoSuchPool"},
	{CALL("Drain", "\"pool\":\"x\""), "workpool.NoSuchPool"},
	{CALL("Stats", "\"pool\":\"x\""), "workpool.NoSuchPool"},
	{CALL("Show", "\"id\":\"77\""), "workpool.NoSuchTask"},
	{CALL("Show", "\"name\":\"x\""), "workpool.NoSuchTask"},
	{CALL("Show", ""), "\"parameter\":\"id\",\"reason\":\"required, or name is\""},
	{CALL("Show", "\"id\":\"1\",\"name\":\"x\""),
		"\"parameter\":\"name\",\"reason\":\"not together with id\""},
	{CALL("Explain", ""), "\"parameter\":\"id\",\"reason\":\"required\""},
	{CALL("Explain", "\"id\":\"77\""), "workpool.NoSuchTask"},
	{CALL("Wait", "\"ids\":[]"), "\"parameter\":\"ids\""},
	{CALL("Wait", "\"ids\":[\"77\"]"), "workpool.NoSuchTask"},
	{CALL("Wait", "\"names\":[]"), "\"parameter\":\"ids\""},
	{CALL("Wait", "\"names\":[\"x\"]"), "\"id\":\"x\""},
	{CALL("Cancel", ""),
		"\"parameter\":\"ids\",\"reason\":\"required, or handler, pool or state is\""},
	{CALL("Cancel", "\"ids\":[\"1\"],\"state\":\"queued\""),
		"\"reason\":\"not together with handler, pool or state\""},
	{CALL("Cancel", "\"ids\":[]"),
		"\"parameter\":\"ids\",\"reason\":\"an array of 1 to 1000 strings\""},
	{CALL("Cancel", "\"state\":\"done\""), "\"reason\":\"one of queued, delayed, active\""},
	{CALL("Cancel", "\"handler\":\"x\""), "workpool.NoSuchHandler"},
	{CALL("Cancel", "\"pool\":\"x\""), "workpool.NoSuchPool"},
	{CALL("Retry", ""), "\"parameter\":\"ids\",\"reason\":\"required\""},
	{CALL("Retry", "\"ids\":[]"), "\"reason\":\"an array of 1 to 1000 strings\""},
};

START_TEST(test_call_that_is_refused_says_why_and_holds_nothing)
{
	int client;

	fx_open(ONE_POOL);
	client = client_open();
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		const char *text;

		client_say(client, refusals[i].call);
		fx_turn();
		text = client_hear(client);
		ck_assert_uint_eq(count_words(text, "\n"), 1);
		ck_assert_uint_eq(count_words(text, "\"error\""), 1);
		(void)find(text, refusals[i].word);
		ck_assert_uint_eq(count_calls(last_conn()), 0);
		ck_assert(!last_conn()->held);
	}
	(void)close(client);
	fx_close();
}
END_TEST

static int allocations_left; /* of jansson's, until one fails */

static void *fail_one(size_t size)
{
	return allocations_left-- == 0 ? NULL : malloc(size);
}

/* Whichever allocation of a message fails, it is not the message that was wrong; and what came before is still answered. */
START_TEST(test_call_without_memory_to_read_it_is_told_so)
{
	static const char text[] =
		CALL("Post", "\"handler\":\"noop\",\"retries\":null,\"name\":\"n12345678901234\"");
	int n = 0, client, waiter;
	const char *heard;

	fx_open(ONE_POOL);
	waiter = client_open();
	client_say(waiter, POST_WAIT);
	fx_turn();
	do {
		client = client_open();
		json_set_alloc_funcs(fail_one, free);
		allocations_left = n++;
		client_write(client, text, sizeof text); /* with its NUL */
		fx_turn();
		json_set_alloc_funcs(malloc, free);
		heard = client_hear(client);
		if (strstr(heard, "\"id\"") == NULL)
			ck_assert_str_eq(heard,
				"{\"error\":\"org.workpool.Internal\",\"parameters\":{"
				"\"reason\":\"out of memory\"}}|<end>");
		(void)close(client);
	} while (strstr(heard, "\"id\"") == NULL);
	ck_assert_int_gt(n, 8);
	ck_assert_uint_eq(pool_of("default")->stats.counters.posted, 2);
	/* In a line, where a person types, the connection goes on, and the call before it is answered first. */
	client_say(waiter, text);
	host_hear(host_of("default"));
	host_done(host_of("default"), 0, OUTCOME_OK, "{}");
	fx_turn();
	json_set_alloc_funcs(fail_one, free);
	allocations_left = 0;
	fx_turn();
	json_set_alloc_funcs(malloc, free);
	heard = client_hear(waiter);
	(void)find(heard, "\"state\":\"done\"");
	(void)find(heard, "out of memory");
	ck_assert_uint_eq(count_words(heard, "<end>"), 0);
	(void)close(waiter);
	fx_close();
}
END_TEST

START_TEST(test_wait_tells_each_end_and_the_last_one_last)
{
	struct scene scene = scene_open();
	int each = client_open(), all = client_open(), late = client_open();
	const char *text;

	client_say(each, MORE("Wait", "\"ids\":[\"1\",\"2\"]"));
	client_say(all, CALL("Wait", "\"ids\":[\"1\",\"2\"]"));
	client_say(late, CALL("Wait", "\"ids\":[\"1\",\"2\"],\"timeout_ms\":1000"));
	fx_turn();
	host_done(scene.other, 0, OUTCOME_FAILED, "{\"error\":\"no\"}");
	fx_turn();
	text = client_hear(each);
	ck_assert_uint_eq(count_words(text, "\"id\":\"2\""), 1);
	ck_assert_uint_eq(count_words(text, "\"continues\":true"), 1);
	ck_assert_str_eq(client_hear(all), "");
	fx_pass(2 * US_PER_SEC);
	fx_turn();
	text = client_hear(late);
	ck_assert_uint_eq(count_words(text, "\"timed_out\":true"), 1);
	ck_assert_uint_eq(count_words(text, "\"id\":"), 1);
	host_done(scene.host, 0, OUTCOME_OK, "{}");
	fx_turn();
	text = client_hear(each);
	ck_assert_uint_eq(count_words(text, "\"id\":\"1\""), 1);
	ck_assert_uint_eq(count_words(text, "continues"), 0);
	ck_assert_uint_eq(count_words(client_hear(all), "\"id\":"), 2);
	(void)close(each);
	(void)close(all);
	(void)close(late);
	scene_close(&scene);
}
END_TEST

/* A task whose result is long, and a client of whose replies 64K may wait. */
static int open_with_long_result(size_t len)
{
	struct fx_host *host;
	int client;

	fx_open("[daemon]\nmax_output = 64K\n");
	host = host_of("default");
	client = client_open();
	client_say(client, POST);
	fx_turn();
	(void)client_hear(client);
	host_hear(host);
	host_done_long(host, 0, len);
	FX_UNTIL(count_of("default", TASK_DONE) == 1);
	return client;
}

START_TEST(test_call_that_asks_for_the_same_again_and_again_costs_one_answer)
{
	int client = open_with_long_result(60000);
	size_t most = 0;
	struct buf text;

	buf_init(&text, 1u << 16);
	ck_assert_int_eq(
		buf_printf(
			&text, "{\"method\":\"org.workpool.Wait\",\"parameters\":{\"ids\":[\"1\""),
		0);
	for (int i = 1; i < 1000; i++)
		ck_assert_int_eq(buf_printf(&text, ",\"1\""), 0);
	ck_assert_int_eq(buf_printf(&text, "]}}\n"), 0);
	client_write(client, buf_view(&text).data, buf_len(&text));
	buf_done(&text);
	for (int i = 0; i < 20; i++) {
		fx_turn();
		if (buf_len(&last_conn()->out) > most)
			most = buf_len(&last_conn()->out);
		(void)client_hear(client);
	}
	ck_assert_uint_lt(most, 1u << 20);
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_calls_that_read_much_neither_pile_up_nor_get_stuck)
{
	int client = open_with_long_result(60000);
	unsigned said = 0, heard = 0;

	for (; said < 2000; said += 20) {
		for (int i = 0; i < 20; i++)
			client_say(client, CALL("Show", "\"id\":\"1\""));
		fx_turn();
		heard += count_words(client_hear(client), "\n");
		ck_assert_uint_le(count_calls(last_conn()), 64);
		ck_assert_uint_le(buf_len(&last_conn()->out), 3u << 16);
	}
	for (;;) {
		heard += count_words(client_hear(client), "\n");
		if (heard >= said)
			break;
		ck_assert_msg(fx_turn_wakes(5 * US_PER_SEC), "stuck after %u replies", heard);
	}
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_call_behind_a_full_output_is_answered_when_there_is_room)
{
	int client;

	fx_open("[daemon]\nmax_output = 1K\n[pool default]\nworkers = 2\ncapacity = 50\n");
	client = client_open();
	for (int i = 0; i < 4; i++)
		client_write(client, GET_INFO "\n", strlen(GET_INFO) + 1);
	for (int i = 0; i < 30; i++)
		client_say(client,
			POST); /* answered before Stats is, so that there is no room for it */
	client_say(client, CALL("Stats", ""));
	for (unsigned heard = 0; heard < 35;) {
		ck_assert_msg(fx_turn_wakes(2 * US_PER_SEC), "stuck after %u replies", heard);
		heard += count_words(client_hear(client), "\n");
	}
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_drain_tells_what_is_left_and_then_that_nothing_is)
{
	struct scene scene = scene_open();
	int client = client_open(), late = client_open();

	client_say(client, MORE("Drain", ""));
	client_say(late, CALL("Drain", "\"timeout_ms\":1000"));
	fx_turn();
	ck_assert_str_eq(client_hear(client), "{\"parameters\":{\"drained\":false,\"queued\":0,"
					      "\"active\":2},\"continues\":true}\n");
	host_done(scene.host, 0, OUTCOME_OK, "{}");
	fx_turn();
	(void)find(client_hear(client), "\"active\":1},\"continues\":true}");
	fx_pass(2 * US_PER_SEC);
	fx_turn();
	ck_assert_str_eq(client_hear(late),
		"{\"parameters\":{\"drained\":false,\"queued\":0,\"active\":1}}\n");
	/* An end that is not written is none yet. */
	fx.store_error = -EIO;
	host_done(scene.other, 0, OUTCOME_OK, "{}");
	fx_turn();
	ck_assert_str_eq(client_hear(client), "");
	fx.store_error = 0;
	fx_pass(2 * US_PER_SEC);
	fx_turn();
	ck_assert_str_eq(client_hear(client),
		"{\"parameters\":{\"drained\":true,\"queued\":0,\"active\":0}}\n");
	(void)close(client);
	(void)close(late);
	scene_close(&scene);
}
END_TEST

/* --- the end -------------------------------------------------------------------------------- */

static void hosts_leave(void)
{
	for (size_t i = 0; i < fx.n_hosts; i++) {
		if (fx.hosts[i].fd < 0)
			continue;
		host_hear(&fx.hosts[i]);
		ck_assert_uint_eq(fx.hosts[i].n_quits, 1);
		host_kill(&fx.hosts[i]);
		host_hang_up(&fx.hosts[i]);
	}
}

START_TEST(test_shutdown_answers_all_who_wait_and_then_ends)
{
	struct scene scene = scene_open();
	int admin = client_open(), queued = client_open();

	client_say(queued, POST "\n" POST "\n" POST_WAIT);
	client_say(admin, CALL("Shutdown", "\"mode\":\"finish\""));
	fx_turn();
	fx_turn();
	/* One more got a worker, two were still in the queue. */
	ck_assert_uint_eq(
		count_of("default", TASK_ACTIVE) + count_of("default", TASK_CANCELLED), 4);
	host_hear(scene.host);
	for (size_t i = 0; i < scene.host->n_runs; i++)
		host_done(scene.host, i, OUTCOME_OK, "{}");
	fx_turn();
	ck_assert_str_eq(client_hear(admin), "");
	host_done(scene.other, 0, OUTCOME_OK, "{}");
	fx_turn();
	ck_assert_uint_eq(count_words(client_hear(admin), "\"queued\":0,\"active\":0"), 1);
	ck_assert_uint_eq(count_words(client_hear(scene.there), "\"state\":\"done\""), 2);
	ck_assert_uint_ge(count_words(client_hear(queued), "\"id\":"), 3);
	fx_turn();
	ck_assert(!fx.daemon.done);
	hosts_leave();
	FX_UNTIL(fx.daemon.done);
	(void)close(admin);
	(void)close(queued);
	scene_close(&scene);
}
END_TEST

START_TEST(test_shutdown_ends_with_a_store_that_is_broken)
{
	struct scene scene = scene_open();
	int admin = client_open();

	fx.store_error = -EIO;
	client_say(admin, CALL("Shutdown", "\"mode\":\"now\""));
	for (int i = 0; i < 20 && !fx.daemon.done; i++) {
		fx_turn();
		(void)fx_turn_wakes(10 * US_PER_MS);
		fx_pass(2 * US_PER_SEC);
	}
	ck_assert(fx.daemon.done);
	(void)close(admin);
	scene_close(&scene);
}
END_TEST

START_TEST(test_shutdown_kills_hosts_that_do_not_leave)
{
	struct scene scene = scene_open();
	int admin = client_open();

	client_say(admin, CALL("Shutdown", "\"mode\":\"now\""));
	fx_turn();
	host_hear(scene.host);
	ck_assert_uint_eq(scene.host->n_cancels, 1);
	fx_pass(10 * US_PER_SEC); /* they do not listen */
	fx_turn();
	fx_turn();
	ck_assert_uint_eq(count_words(client_hear(scene.here), "\"reason\":\"shutdown\""), 1);
	ck_assert_uint_eq(count_words(client_hear(admin), "\"cancelled\":2"), 1);
	FX_UNTIL(fx.daemon.done);
	(void)close(admin);
	scene_close(&scene);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		test_call_replies_leave_in_the_order_of_the_calls,
		test_call_that_waits_holds_back_its_own_connection_only,
		test_call_that_waited_leaves_a_daemon_that_sleeps,
		test_call_with_more_answers_again_every_interval_until_the_client_goes,
		test_call_for_an_interface_that_is_none_of_ours_is_answered_in_utf8,
		test_call_that_is_refused_says_why_and_holds_nothing,
		test_call_without_memory_to_read_it_is_told_so,
		test_wait_tells_each_end_and_the_last_one_last,
		test_call_that_asks_for_the_same_again_and_again_costs_one_answer,
		test_calls_that_read_much_neither_pile_up_nor_get_stuck,
		test_call_behind_a_full_output_is_answered_when_there_is_room,
		test_drain_tells_what_is_left_and_then_that_nothing_is,
		test_shutdown_answers_all_who_wait_and_then_ends,
		test_shutdown_ends_with_a_store_that_is_broken,
		test_shutdown_kills_hosts_that_do_not_leave,
	};
	const struct fx_loop loops[] = {
		{test_call_that_is_oneway_gets_no_reply_and_is_not_kept, ARRAY_SIZE(silent)},
	};

	return fx_main("call", tests, ARRAY_SIZE(tests), loops, ARRAY_SIZE(loops));
}
