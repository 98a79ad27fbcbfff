/*
 * check_life: what a post may ask for and what is done to tasks later, from the call to its answer: unique keys, waiting
 * for room, Cancel, Retry, Show and Explain; and that nothing is told that a failed commit has taken back.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/explain.h"
#include "daemon_fixture.h"

#define ONE_WORKER   "[pool default]\nworkers = 1\ncapacity = 2\n"
#define UNIQUE       CALL("Post", "\"handler\":\"noop\",\"unique\":\"k\"")
#define UNIQUE_WAIT  CALL("Post", "\"handler\":\"noop\",\"unique\":\"k\",\"wait\":true")
#define ROOM(params) CALL("Post", "\"handler\":\"noop\",\"wait_room_ms\":1000" params)

/* Says it, runs a turn, hears the answer. */
static const char *ask(int client, const char *text)
{
	client_say(client, text);
	fx_turn();
	return client_hear(client);
}

static void must_have(const char *text, const char *word)
{
	ck_assert_msg(strstr(text, word) != NULL, "no %s in %s", word, text);
}

#define ASK(client, text, word) must_have(ask(client, text), word)

/* A pool with one worker, which is busy with task 1, and the client that has posted it. */
static int busy_open(const char *config)
{
	int client;

	fx_open(config);
	client = client_open();
	ASK(client, POST, "\"id\":\"1\",\"state\":\"active\"");
	host_hear(host_of("default"));
	return client;
}

/* The worker is through with what it was given last. */
static void end_run(uint8_t outcome)
{
	struct fx_host *host = host_of("default");

	host_hear(host);
	ck_assert_uint_gt(host->n_runs, 0);
	host_done(host, host->n_runs - 1, outcome,
		outcome == OUTCOME_OK ? "{\"x\":1}" : "{\"error\":\"no\"}");
	fx_turn();
	host_hear(host);
}

/* --- unique keys --------------------------------------------------------------------------- */

START_TEST(test_post_with_a_taken_key_joins_the_task)
{
	int client = busy_open(ONE_WORKER), other = client_open();

	client_say(client, UNIQUE);
	client_say(other, UNIQUE); /* in the same turn: neither is written down yet */
	fx_turn();
	ck_assert_str_eq(
		client_hear(client), "{\"parameters\":{\"id\":\"2\",\"state\":\"queued\"}}\n");
	ck_assert_str_eq(client_hear(other),
		"{\"parameters\":{\"id\":\"2\",\"state\":\"queued\",\"joined\":true}}\n");
	ck_assert_str_eq(ask(other, UNIQUE),
		"{\"parameters\":{\"id\":\"2\",\"state\":\"queued\",\"joined\":true}}\n");
	ck_assert_uint_eq(pool_of("default")->stats.counters.joined, 2);
	ck_assert_uint_eq(count_of("default", TASK_QUEUED), 1);
	(void)close(client);
	(void)close(other);
	fx_close();
}
END_TEST

START_TEST(test_posts_that_joined_and_wait_get_the_same_end)
{
	int client = busy_open(ONE_WORKER), other = client_open(), plain = client_open();

	ck_assert_str_eq(ask(client, UNIQUE_WAIT), "");
	ck_assert_str_eq(ask(other, UNIQUE_WAIT), "");
	ASK(plain, UNIQUE, "\"joined\":true");
	end_run(OUTCOME_OK);
	ck_assert_str_eq(client_hear(client), "");
	end_run(OUTCOME_OK);
	must_have(client_hear(client), "\"id\":\"2\",\"state\":\"done\",\"task\":");
	must_have(client_hear(other), "\"id\":\"2\",\"state\":\"done\",\"joined\":true,\"task\":");
	/* The key is free again. */
	ASK(client, UNIQUE, "{\"id\":\"3\",\"state\":\"active\"}");
	(void)close(client);
	(void)close(other);
	(void)close(plain);
	fx_close();
}
END_TEST

START_TEST(test_post_that_joined_what_is_not_written_down_is_refused_with_it)
{
	int client = busy_open(ONE_WORKER), other = client_open(), third = client_open();

	fx.store_error = -ENOSPC;
	client_say(client, UNIQUE);
	client_say(other, UNIQUE);
	client_say(third, UNIQUE_WAIT);
	fx_turn();
	must_have(client_hear(client), "StorageFull");
	must_have(client_hear(other), "StorageFull");
	must_have(client_hear(third), "StorageFull");
	fx.store_error = 0;
	ASK(client, UNIQUE, "\"id\":\"3\"");
	/* What was written down before is told whatever the store says of the rest of the turn. */
	fx.store_error = -EIO;
	client_say(other, UNIQUE);
	client_say(third, POST);
	fx_turn();
	must_have(client_hear(other), "\"id\":\"3\",\"state\":\"queued\",\"joined\":true");
	must_have(client_hear(third), "StorageFailed");
	/* Nor is an end told that is not written down. */
	must_have(ask(other, UNIQUE "\n" CALL("Cancel", "\"ids\":[\"3\"]")),
		"\"id\":\"3\",\"state\":\"queued\",\"joined\":true");
	ck_assert_uint_eq(count_of("default", TASK_CANCELLED), 1);
	fx.store_error = 0;
	(void)close(client);
	(void)close(other);
	(void)close(third);
	fx_close();
}
END_TEST

START_TEST(test_post_with_a_taken_key_is_refused_where_the_handler_says_so)
{
	int client = busy_open(ONE_WORKER "[handler noop]\nunique = refuse\n"),
	    other = client_open();

	client_say(client, UNIQUE);
	client_say(other, UNIQUE);
	fx_turn();
	must_have(client_hear(client), "\"id\":\"2\"");
	ck_assert_str_eq(client_hear(other),
		"{\"error\":\"org.workpool.Duplicate\",\"parameters\":{\"id\":\"2\"}}\n");
	ASK(client, CALL("Cancel", "\"ids\":[\"2\"]"), "\"cancelled\":1");
	fx.store_error = -EIO;
	client_say(client, UNIQUE);
	client_say(other, UNIQUE);
	fx_turn();
	must_have(client_hear(client), "StorageFailed");
	must_have(client_hear(other), "StorageFailed"); /* there is no such task */
	fx.store_error = 0;
	(void)close(client);
	(void)close(other);
	fx_close();
}
END_TEST

/* --- room ---------------------------------------------------------------------------------- */

/* As busy_open(), and the queue is full. */
static int full_open(const char *config)
{
	int client = busy_open(config);

	ASK(client, POST, "\"state\":\"queued\"");
	ASK(client, POST, "\"state\":\"queued\"");
	return client;
}

START_TEST(test_posts_wait_for_room_in_their_order)
{
	int client = full_open(ONE_WORKER), clients[3];

	must_have(ask(client, POST), "\"queued\":2,\"capacity\":2,\"retry_after_ms\":1000}");
	for (int i = 0; i < 3; i++) {
		clients[i] = client_open();
		ck_assert_str_eq(ask(clients[i], i == 1 ? ROOM(",\"wait\":true") : ROOM("")), "");
	}
	ck_assert_uint_eq(pool_of("default")->n_room, 3);
	ASK(client, CALL("Stats", ""), "\"room\":3");
	/* Nobody overtakes them, and who does not want to wait is told at once. */
	ASK(client, POST, "AtCapacity");
	for (int i = 0; i < 3; i++) {
		ck_assert_str_eq(client_hear(clients[i]), "");
		end_run(OUTCOME_OK);
		if (i != 1)
			must_have(
				client_hear(clients[i]), i == 0 ? "\"id\":\"4\"" : "\"id\":\"6\"");
	}
	ck_assert_uint_eq(pool_of("default")->n_room, 0);
	ck_assert_str_eq(client_hear(clients[1]), "");
	end_run(OUTCOME_OK);
	end_run(OUTCOME_OK);
	must_have(client_hear(clients[1]), "\"id\":\"5\",\"state\":\"done\"");
	for (int i = 0; i < 3; i++)
		(void)close(clients[i]);
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_post_that_waits_for_room_holds_back_its_connection_and_gives_up_in_time)
{
	int client = full_open(ONE_WORKER);
	const char *text;

	ck_assert_str_eq(ask(client, ROOM("") "\n" POST), "");
	fx_pass(900 * US_PER_MS);
	fx_turn();
	ck_assert_str_eq(client_hear(client), "");
	fx_pass(200 * US_PER_MS);
	fx_turn();
	fx_turn();
	text = client_hear(client);
	ck_assert_uint_eq(count_words(text, "AtCapacity"), 2);
	ck_assert_uint_eq(pool_of("default")->n_room, 0);
	/* What would expire before gives up then. */
	ck_assert_str_eq(ask(client, ROOM(",\"expires_ms\":100")), "");
	fx_pass(200 * US_PER_MS);
	fx_turn();
	must_have(client_hear(client), "AtCapacity");
	ck_assert_uint_eq(count_of("default", TASK_EXPIRED), 0);
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_pool_that_waits_when_full_lets_posts_wait_that_say_nothing)
{
	int client = full_open(ONE_WORKER "on_full = wait\nwait_max = 500ms\n"),
	    other = client_open();

	ASK(other, CALL("Post", "\"handler\":\"noop\",\"wait_room_ms\":0"), "AtCapacity");
	ck_assert_str_eq(ask(other, POST), "");
	fx_pass(600 * US_PER_MS);
	fx_turn();
	must_have(client_hear(other), "AtCapacity");
	/* Nobody would hear of it. */
	client_say(other, "{\"method\":\"org.workpool.Post\",\"oneway\":true,\"parameters\":{"
			  "\"handler\":\"noop\",\"wait_room_ms\":1000}}");
	fx_turn();
	ck_assert_uint_eq(pool_of("default")->n_room, 0);
	(void)close(client);
	(void)close(other);
	fx_close();
}
END_TEST

START_TEST(test_post_that_waits_for_room_is_taken_back_when_its_last_client_goes)
{
	int client = full_open(ONE_WORKER), first = client_open(), second = client_open();

	ck_assert_str_eq(ask(first, ROOM(",\"unique\":\"k\"")), "");
	ck_assert_str_eq(ask(second, ROOM(",\"unique\":\"k\"")), "");
	ASK(client, UNIQUE, "AtCapacity"); /* it does not want to wait, for whomever */
	ck_assert_uint_eq(pool_of("default")->n_room, 1);
	(void)close(first);
	FX_UNTIL(fx.daemon.n_conns == 2);
	ck_assert_uint_eq(pool_of("default")->n_room, 1);
	end_run(OUTCOME_OK);
	must_have(client_hear(second), "\"id\":\"4\",\"state\":\"queued\",\"joined\":true");
	ck_assert_str_eq(ask(second, ROOM(",\"unique\":\"other\"")), "");
	(void)close(second);
	FX_UNTIL(fx.daemon.n_conns == 1);
	ck_assert_uint_eq(pool_of("default")->n_room, 0);
	ck_assert_uint_eq(pool_of("default")->stats.counters.posted, 4);
	/* Its key is free. */
	end_run(OUTCOME_OK);
	ASK(client, CALL("Post", "\"handler\":\"noop\",\"unique\":\"other\""),
		"{\"id\":\"5\",\"state\":\"queued\"}");
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_key_of_a_post_that_waits_for_room_is_taken)
{
	int client = full_open(ONE_WORKER "[handler noop]\nunique = refuse\n"),
	    first = client_open();

	ck_assert_str_eq(ask(first, ROOM(",\"unique\":\"k\"")), "");
	ck_assert_str_eq(
		ask(client, UNIQUE), "{\"error\":\"org.workpool.Duplicate\",\"parameters\":{}}\n");
	(void)close(first);
	FX_UNTIL(fx.daemon.n_conns == 1);
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_posts_that_wait_for_room_hear_of_a_stop_and_of_a_store_that_fails)
{
	int client = full_open(ONE_WORKER), first = client_open(), second = client_open();

	ck_assert_str_eq(ask(first, ROOM("")), "");
	ck_assert_str_eq(ask(second, ROOM("")), "");
	fx.store_error = -ENOSPC;
	end_run(OUTCOME_OK);
	must_have(client_hear(first), "StorageFull");
	ck_assert_str_eq(client_hear(second), "");
	fx.store_error = 0;
	client_say(client, CALL("Shutdown", "\"mode\":\"drain\""));
	fx_turn();
	must_have(client_hear(second),
		"\"error\":\"org.workpool.ShuttingDown\",\"parameters\":{\"mode\":\"drain\"}");
	ck_assert_uint_eq(pool_of("default")->n_room, 0);
	(void)close(client);
	(void)close(first);
	(void)close(second);
	fx_close();
}
END_TEST

/* --- Cancel -------------------------------------------------------------------------------- */

START_TEST(test_cancel_tells_what_became_of_each_id)
{
	int client = busy_open(ONE_WORKER);

	ASK(client, CALL("Post", "\"handler\":\"noop\",\"delay_ms\":60000"),
		"\"state\":\"delayed\"");
	ASK(client, POST, "\"id\":\"3\"");
	ck_assert_str_eq(
		ask(client, CALL("Cancel", "\"ids\":[\"3\",\"1\",\"77\",\"2\",\"3\",\"x\"]")),
		"{\"parameters\":{\"cancelled\":2,\"asked\":1,\"tasks\":["
		"{\"id\":\"3\",\"was\":\"queued\",\"result\":\"cancelled\"},"
		"{\"id\":\"1\",\"was\":\"active\",\"result\":\"asked\"},"
		"{\"id\":\"77\",\"result\":\"unknown\"},"
		"{\"id\":\"2\",\"was\":\"delayed\",\"result\":\"cancelled\"},"
		"{\"id\":\"3\",\"was\":\"cancelled\",\"result\":\"ended\"},"
		"{\"id\":\"x\",\"result\":\"unknown\"}]}}\n");
	host_hear(host_of("default"));
	ck_assert_uint_eq(host_of("default")->n_cancels, 1);
	ASK(client, CALL("Show", "\"id\":\"1\""), "\"asked\":\"cancel\"");
	/* Once asked is asked. */
	ASK(client, CALL("Cancel", "\"ids\":[\"1\"]"), "\"asked\":1");
	end_run(OUTCOME_CANCELLED);
	ck_assert_uint_eq(host_of("default")->n_cancels, 1);
	ck_assert_uint_eq(count_of("default", TASK_CANCELLED), 3);
	ASK(client, CALL("Show", "\"id\":\"1\""), "\"reason\":\"cancelled\"");
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_cancel_is_not_told_before_it_is_written_down)
{
	int client = busy_open(ONE_WORKER), other = client_open();

	ASK(client, POST, "\"id\":\"2\"");
	fx.store_error = -EIO;
	client_say(client, CALL("Cancel", "\"ids\":[\"2\"]"));
	client_say(other, CALL("Cancel", "\"ids\":[\"2\"]"));
	fx_turn();
	must_have(client_hear(client), "StorageFailed");
	must_have(client_hear(other), "StorageFailed");
	/* Nor is an active one asked: it would run again after a restart. */
	ASK(client, CALL("Cancel", "\"ids\":[\"1\"]"), "StorageFailed");
	ASK(client, CALL("Cancel", "\"state\":\"active\""), "StorageFailed");
	host_hear(host_of("default"));
	ck_assert_uint_eq(host_of("default")->n_cancels, 0);
	fx.store_error = 0;
	fx_pass(2 * US_PER_SEC);
	fx_turn();
	ASK(client, CALL("Cancel", "\"ids\":[\"2\"]"),
		"\"was\":\"cancelled\",\"result\":\"ended\"");
	ASK(client, CALL("Cancel", "\"ids\":[\"1\"]"), "\"result\":\"asked\"");
	host_hear(host_of("default"));
	ck_assert_uint_eq(host_of("default")->n_cancels, 1);
	(void)close(client);
	(void)close(other);
	fx_close();
}
END_TEST

#define MANY       5000
#define MANY_ROOMS "[pool default]\nworkers = 1\ncapacity = 10000\n[pool other]\nworkers = 1\n"

static const char *const histories[] = {MANY_ROOMS, MANY_ROOMS "[daemon]\nhistory_max = 0\n"};

START_TEST(test_cancel_by_a_filter_takes_all_that_fit_in_slices)
{
	int client = busy_open(histories[_i]);
	unsigned turns = 0;
	const char *text;

	ASK(client, CALL("Post", "\"handler\":\"noop\",\"pool\":\"other\""), "\"id\":\"2\"");
	ASK(client, CALL("Post", "\"handler\":\"noop\",\"delay_ms\":60000"), "\"id\":\"3\"");
	for (int i = 0; i < MANY; i++) {
		client_say(client, "{\"method\":\"org.workpool.Post\",\"oneway\":true,"
				   "\"parameters\":{\"handler\":\"noop\"}}");
		if (i % 50 == 0)
			fx_turn();
	}
	FX_UNTIL(count_of("default", TASK_QUEUED) == MANY);
	ASK(client, CALL("Post", "\"handler\":\"noop\",\"delay_ms\":60000"), "\"id\":\"5004\"");
	client_say(client, CALL("Cancel", "\"pool\":\"default\",\"state\":\"queued\"") "\n" POST);
	do {
		fx_turn();
		text = client_hear(client);
		ck_assert_uint_lt(++turns, 10);
	} while (*text == '\0');
	ck_assert_uint_ge(turns, 3);
	must_have(text, "{\"parameters\":{\"cancelled\":5000,\"asked\":0}}");
	ck_assert_uint_eq(count_of("default", TASK_CANCELLED), MANY);
	fx_turn(); /* the post behind it */
	must_have(client_hear(client), "\"id\":\"5005\"");
	ASK(client, CALL("Cancel", "\"handler\":\"noop\""), "{\"cancelled\":3,\"asked\":2}");
	ASK(client, CALL("Cancel", "\"state\":\"delayed\""), "{\"cancelled\":0,\"asked\":0}");
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_cancel_by_a_filter_stops_where_the_store_does)
{
	int client = busy_open("[pool default]\nworkers = 1\ncapacity = 10000\n");
	const char *text;

	for (int i = 0; i < MANY; i++) {
		client_say(client, "{\"method\":\"org.workpool.Post\",\"oneway\":true,"
				   "\"parameters\":{\"handler\":\"noop\"}}");
		if (i % 50 == 0)
			fx_turn();
	}
	FX_UNTIL(count_of("default", TASK_QUEUED) == MANY);
	client_say(client, CALL("Cancel", "\"state\":\"queued\""));
	fx_turn();
	ck_assert_str_eq(client_hear(client), "");
	fx.store_error = -ENOSPC;
	fx_turn();
	text = client_hear(client);
	must_have(text, "StorageFull");
	fx.store_error = 0;
	fx_pass(2 * US_PER_SEC);
	fx_turn();
	ck_assert_uint_gt(count_of("default", TASK_QUEUED), 0);
	(void)close(client);
	fx_close();
}
END_TEST

/* --- Retry --------------------------------------------------------------------------------- */

START_TEST(test_retry_queues_what_has_ended_again)
{
	int client = busy_open(ONE_WORKER);

	end_run(OUTCOME_FAILED);
	ASK(client, POST, "\"id\":\"2\"");
	end_run(OUTCOME_OK);
	ASK(client, UNIQUE, "\"id\":\"3\"");
	end_run(OUTCOME_FAILED);
	ASK(client, UNIQUE, "\"id\":\"4\"");
	ck_assert_str_eq(
		ask(client, CALL("Retry", "\"ids\":[\"1\",\"2\",\"3\",\"4\",\"1\",\"9\"]")),
		"{\"parameters\":{\"tasks\":["
		"{\"id\":\"1\",\"was\":\"failed\",\"result\":\"queued\"},"
		"{\"id\":\"2\",\"was\":\"done\",\"result\":\"done\"},"
		"{\"id\":\"3\",\"was\":\"failed\",\"result\":\"duplicate\"},"
		"{\"id\":\"4\",\"was\":\"active\",\"result\":\"not_ended\"},"
		"{\"id\":\"1\",\"was\":\"queued\",\"result\":\"not_ended\"},"
		"{\"id\":\"9\",\"result\":\"unknown\"}]}}\n");
	ASK(client, CALL("Show", "\"id\":\"1\""),
		"\"state\":\"queued\",\"priority\":5,\"attempt\":1");
	end_run(OUTCOME_OK); /* 4 */
	end_run(OUTCOME_OK); /* 1 */
	ASK(client, CALL("Show", "\"id\":\"1\""), "\"state\":\"done\"");
	ck_assert_uint_eq(count_of("default", TASK_DONE), 3);
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_retry_that_is_not_written_down_is_taken_back_with_who_joined_it)
{
	int client = busy_open(ONE_WORKER), other = client_open(), third = client_open();

	ASK(other, UNIQUE, "\"id\":\"2\"");
	end_run(OUTCOME_OK);
	end_run(OUTCOME_FAILED);
	fx.store_error = -ENOSPC;
	client_say(client, CALL("Retry", "\"ids\":[\"2\"]"));
	fx_turn();
	must_have(client_hear(client), "StorageFull");
	/* The same with two who join it in that turn. */
	client_say(client, CALL("Retry", "\"ids\":[\"2\"]"));
	client_say(other, UNIQUE);
	client_say(third, UNIQUE_WAIT);
	fx_turn();
	must_have(client_hear(client), "StorageFull");
	must_have(client_hear(other), "StorageFull");
	must_have(client_hear(third), "StorageFull");
	fx.store_error = 0;
	ASK(client, CALL("Show", "\"id\":\"2\""), "\"state\":\"failed\"");
	ASK(client, CALL("Retry", "\"ids\":[\"2\"]"), "\"result\":\"queued\"");
	(void)close(client);
	(void)close(other);
	(void)close(third);
	fx_close();
}
END_TEST

START_TEST(test_retry_finds_no_room_and_a_stop)
{
	int client = full_open(ONE_WORKER), admin = client_open();

	ASK(client, CALL("Cancel", "\"ids\":[\"3\"]"), "\"cancelled\":1");
	ASK(client, POST, "\"id\":\"4\"");
	ASK(client, CALL("Retry", "\"ids\":[\"3\"]"), "\"result\":\"at_capacity\"");
	ASK(client, CALL("Cancel", "\"ids\":[\"4\"]"), "\"cancelled\":1");
	ck_assert_str_eq(ask(admin, CALL("Shutdown", "\"mode\":\"drain\"")), "");
	ASK(client, CALL("Retry", "\"ids\":[\"3\"]"), "\"result\":\"shutting_down\"");
	(void)close(client);
	(void)close(admin);
	fx_close();
}
END_TEST

/* --- looking ------------------------------------------------------------------------------- */

START_TEST(test_task_tells_its_life)
{
	int client;
	const char *text;

	fx_open("[pool default]\nworkers = 1\n[handler noop]\nbackoff_min = 10s\nbackoff_max = "
		"10s\n");
	client = client_open();
	ASK(client,
		CALL("Post", "\"handler\":\"noop\",\"retries\":3,\"priority\":2,\"unique\":\"k\","
			     "\"expires_ms\":60000,\"timeout_ms\":1000,\"name\":\"n\""),
		"\"id\":\"1\"");
	host_hear(host_of("default"));
	text = ask(client, CALL("Show", "\"name\":\"n\""));
	must_have(text, "\"priority\":2,\"attempt\":1,\"retries\":3,\"failures\":0,\"crashes\":0,"
			"\"suspect\":false");
	must_have(text, "\"unique\":\"k\"");
	must_have(text, "\"expires_at\":");
	ck_assert_uint_eq(count_words(text, "\"due_at\"") + count_words(text, "\"asked\""), 0);
	/* The progress that its handler tells. */
	ck_assert_int_eq(board_progress(fx.daemon.board, 1, 1, 250, VIEW_LIT("a quarter")), 0);
	ASK(client, CALL("Show", "\"id\":\"1\""),
		"\"progress\":{\"permille\":250,\"note\":\"a quarter\"}");
	fx_pass(2 * US_PER_SEC);
	fx_turn();
	ASK(client, CALL("Show", "\"id\":\"1\""), "\"asked\":\"timeout\"");
	end_run(OUTCOME_CANCELLED);
	text = ask(client, CALL("Show", "\"id\":\"1\""));
	must_have(text, "\"state\":\"delayed\"");
	must_have(text, "\"failures\":1");
	must_have(text, "\"due_at\":");
	must_have(text, "\"wait_us\":0");
	must_have(text, "\"reason\":\"timeout\",\"error\":\"its time limit passed\"");
	ck_assert_uint_eq(count_words(text, "progress"), 0);
	ASK(client, CALL("Explain", "\"id\":\"1\""), "\"waits_for\":\"delay\",\"until\":");
	fx_pass(11 * US_PER_SEC);
	fx_turn();
	ASK(client, CALL("Show", "\"id\":\"1\""), "\"state\":\"active\"");
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_wait_by_name_means_the_newest)
{
	static const char *const posts[] = {CALL("Post", "\"handler\":\"noop\",\"name\":\"m\""),
		CALL("Post", "\"handler\":\"noop\",\"name\":\"n\""),
		CALL("Post", "\"handler\":\"noop\",\"name\":\"n\"")};
	int client = busy_open("[pool default]\nworkers = 1\n");
	const char *text;

	for (size_t i = 0; i < ARRAY_SIZE(posts); i++)
		ASK(client, posts[i], "\"state\":\"queued\"");
	client_say(client, CALL("Wait", "\"names\":[\"n\",\"m\",\"n\"],\"ids\":[\"1\"]"));
	fx_turn();
	for (int i = 0; i < 3; i++) {
		end_run(OUTCOME_OK);
		ck_assert_str_eq(client_hear(client), "");
	}
	end_run(OUTCOME_OK);
	text = client_hear(client);
	ck_assert_uint_eq(count_words(text, "\"id\":\"4\""), 2);
	ck_assert_uint_eq(count_words(text, "\"id\":\"2\""), 1);
	ck_assert_uint_eq(count_words(text, "\"id\":\"3\""), 0);
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_explain_tells_position_and_cause)
{
	int client = busy_open("[pool default]\nworkers = 1\n[resource r]\nmax_active = 1\n"
			       "[handler noop]\nresources = r\n");

	ASK(client, POST, "\"state\":\"queued\"");
	ASK(client, POST, "\"state\":\"queued\"");
	ASK(client, CALL("Explain", "\"id\":\"1\""),
		"{\"id\":\"1\",\"state\":\"active\",\"pool\":\"default\",\"handler\":\"noop\","
		"\"waits_for\":\"nothing\"}");
	ASK(client, CALL("Explain", "\"id\":\"3\""),
		"\"waits_for\":\"resource\",\"resource\":\"r\",\"position\":2}");
	ASK(client, CALL("Pause", ""), "{}");
	ASK(client, CALL("Explain", "\"id\":\"2\""), "\"waits_for\":\"paused\",\"position\":1}");
	ASK(client, CALL("Stats", ""),
		"\"resources\":[{\"name\":\"r\",\"max_active\":1,\"active\":1,\"rate\":0,");
	ASK(client, CALL("Handlers", ""), "\"unique\":\"join\",\"resources\":[\"r\"]");
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_reset_marks_clears_the_times_of_handlers)
{
	int client = busy_open(ONE_WORKER);

	end_run(OUTCOME_OK);
	ck_assert_uint_eq(
		count_words(ask(client, CALL("Handlers", "")), "\"total_us\":{\"count\":1"), 1);
	ASK(client, CALL("ResetMarks", "\"pool\":\"default\""), "{}");
	ck_assert_uint_eq(count_words(ask(client, CALL("Handlers", "")), "\"count\":1"), 0);
	(void)close(client);
	fx_close();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		test_post_with_a_taken_key_joins_the_task,
		test_posts_that_joined_and_wait_get_the_same_end,
		test_post_that_joined_what_is_not_written_down_is_refused_with_it,
		test_post_with_a_taken_key_is_refused_where_the_handler_says_so,
		test_posts_wait_for_room_in_their_order,
		test_post_that_waits_for_room_holds_back_its_connection_and_gives_up_in_time,
		test_pool_that_waits_when_full_lets_posts_wait_that_say_nothing,
		test_post_that_waits_for_room_is_taken_back_when_its_last_client_goes,
		test_key_of_a_post_that_waits_for_room_is_taken,
		test_posts_that_wait_for_room_hear_of_a_stop_and_of_a_store_that_fails,
		test_cancel_tells_what_became_of_each_id,
		test_cancel_is_not_told_before_it_is_written_down,
		test_cancel_by_a_filter_stops_where_the_store_does,
		test_retry_queues_what_has_ended_again,
		test_retry_that_is_not_written_down_is_taken_back_with_who_joined_it,
		test_retry_finds_no_room_and_a_stop,
		test_task_tells_its_life,
		test_wait_by_name_means_the_newest,
		test_explain_tells_position_and_cause,
		test_reset_marks_clears_the_times_of_handlers,
	};

	const struct fx_loop loops[] = {
		{test_cancel_by_a_filter_takes_all_that_fit_in_slices, ARRAY_SIZE(histories)},
	};

	return fx_main("life", tests, ARRAY_SIZE(tests), loops, ARRAY_SIZE(loops));
}
