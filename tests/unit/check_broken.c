/*
 * check_broken: a store that takes nothing until a restart. Whoever waits for what it will never hold is told at once, nothing is
 * tried again, all that needs no store goes on, and a stop ends.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon_fixture.h"

#define ONE_WORKER   "[pool default]\nworkers = 1\ncapacity = 3\n[pool other]\nworkers = 1\n"
#define DELAYED      CALL("Post", "\"handler\":\"noop\",\"delay_ms\":3600000,\"unique\":\"k\"")
#define DELAYED_WAIT CALL("Post", "\"handler\":\"noop\",\"unique\":\"k\",\"wait\":true")
#define ROOM         CALL("Post", "\"handler\":\"noop\",\"wait_room_ms\":1000000")
#define MORE(method, params)                                                                       \
	"{\"method\":\"org.workpool." method "\",\"more\":true,\"parameters\":{" params "}}"
#define TASK_KINDS "\"kinds\":[\"done\",\"failed\"]"

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

/* Task 1 is active, 2 queued, 3 delayed with a unique key. */
static int three_open(void)
{
	int client;

	fx_open(ONE_WORKER);
	fx.daemon.board->keeps = true;
	client = client_open();
	ASK(client, POST, "\"id\":\"1\",\"state\":\"active\"");
	ASK(client, POST, "\"id\":\"2\",\"state\":\"queued\"");
	ASK(client, DELAYED, "\"id\":\"3\",\"state\":\"delayed\"");
	host_hear(host_of("default"));
	return client;
}

/* As after a flush that failed. */
static void break_store(void)
{
	fx.store_error = fx.flush_error = fx.post_error = fx.broken = -EIO;
}

static void end_task_1(void)
{
	host_done(host_of("default"), 0, OUTCOME_OK, "{\"x\":1}");
	fx_turn();
}

/* All that waits for an end of one of the three. */
static const struct {
	const char *call, *id; /* NULL: it waits for no task that the store has */
} waits[] = {
	{CALL("Wait", "\"ids\":[\"1\"]"), "\"id\":\"1\""},
	{CALL("Wait", "\"ids\":[\"2\",\"3\"],\"timeout_ms\":60000"), "\"id\":\"2\""},
	{MORE("Wait", "\"ids\":[\"1\",\"2\"]"), "\"id\":\"1\""},
	{DELAYED_WAIT, "\"id\":\"3\""},
	{MORE("Log", "\"id\":\"1\""), "\"id\":\"1\""},
	{MORE("Log", "\"id\":\"2\""), "\"id\":\"2\""},
	{CALL("Drain", ""), NULL},
	{MORE("Drain", "\"pool\":\"default\""), NULL},
	{MORE("Events", TASK_KINDS), NULL},
	{ROOM, NULL},
};

#define FOLLOWS 4 /* the one that follows a task that is active */
#define WAITS   ARRAY_SIZE(waits)

static void say_waits(int clients[WAITS])
{
	for (size_t i = 0; i < WAITS; i++)
		clients[i] = client_open();
	for (size_t i = 0; i < WAITS; i++) {
		client_say(clients[i], waits[i].call);
		fx_turn();
		ck_assert_uint_eq(count_words(client_hear(clients[i]), "\"error\""), 0);
	}
}

static void close_waits(const int clients[WAITS])
{
	for (size_t i = 0; i < WAITS; i++)
		(void)close(clients[i]);
}

/* Each was told, once, and its connection serves on. */
static void check_told(const int clients[WAITS])
{
	for (size_t i = 0; i < WAITS; i++) {
		const char *text = client_hear(clients[i]);

		ck_assert_msg(count_words(text, "org.workpool.StorageFailed") == 1, "%s: %s",
			waits[i].call, text);
		if (waits[i].id != NULL)
			must_have(text, waits[i].id);
		else
			ck_assert_uint_eq(count_words(text, "\"id\":"), 0);
		ASK(clients[i], CALL("Show", "\"id\":\"2\""), "\"state\":\"queued\"");
	}
}

/* Nothing spins, and nothing is tried. */
static void check_sleeps(void)
{
	unsigned before;

	(void)fx_turn_wakes(US_PER_MS);
	before = fx.commits;
	for (int i = 0; i < 3; i++)
		ck_assert(!fx_turn_wakes(20 * US_PER_MS));
	fx_pass(5 * US_PER_SEC);
	for (int i = 0; i < 3; i++)
		(void)fx_turn_wakes(20 * US_PER_MS);
	ck_assert_uint_eq(fx.commits, before);
}

START_TEST(test_broken_store_is_told_to_all_who_wait_in_that_turn)
{
	int client = three_open(), clients[WAITS];

	ASK(client, POST, "\"id\":\"4\",\"state\":\"queued\""); /* the queue is full */
	say_waits(clients);
	break_store();
	end_task_1(); /* as good as any change */
	check_told(clients);
	check_sleeps();
	(void)close(client);
	close_waits(clients);
	fx_close();
}
END_TEST

START_TEST(test_broken_store_that_is_found_as_it_is_tended_is_told_too)
{
	int client = three_open(), clients[WAITS];

	ASK(client, POST, "\"id\":\"4\",\"state\":\"queued\"");
	say_waits(clients);
	fx.tend_error = -EIO; /* in a turn in which nothing is written */
	fx_turn();
	ck_assert(fx_turn_wakes(5 * US_PER_SEC));
	/* All but who follows a task that is active: it still writes. */
	ck_assert_str_eq(client_hear(clients[FOLLOWS]), "");
	end_task_1();
	check_told(clients);
	(void)close(client);
	close_waits(clients);
	fx_close();
}
END_TEST

START_TEST(test_broken_store_lets_nobody_wait_who_comes_later)
{
	int client = three_open();

	break_store();
	end_task_1();
	for (size_t i = 0; i < WAITS; i++)
		ASK(client, waits[i].call, "org.workpool.StorageFailed");
	ASK(client, CALL("Wait", "\"names\":[\"none\"]"), "NoSuchTask");
	ASK(client, CALL("Cancel", "\"ids\":[\"2\"]"), "StorageFailed");
	ASK(client, CALL("Cancel", "\"state\":\"delayed\""), "StorageFailed");
	ASK(client, CALL("Log", "\"id\":\"1\""), "StorageFailed"); /* its end is not true */
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_broken_store_and_all_that_needs_none)
{
	int client = three_open(), other = client_open();
	struct fx_host *host = host_of("default");

	ASK(other, MORE("Events", ""), "\"missed\":0");
	break_store();
	end_task_1();
	must_have(client_hear(other), "\"kind\":\"store_failed\"");
	ASK(client, CALL("Show", "\"id\":\"1\""), "\"state\":\"active\"");
	ASK(client, CALL("Stats", ""), "\"error\":");
	ASK(client, CALL("Explain", "\"id\":\"2\""), "\"waits_for\":\"store\"");
	ASK(client, CALL("Explain", "\"id\":\"3\""), "\"waits_for\":\"store\"");
	ASK(client, CALL("Log", "\"id\":\"2\""), "\"state\":\"queued\"");
	ASK(client, DELAYED, "\"id\":\"3\",\"state\":\"delayed\",\"joined\":true");
	ASK(client, CALL("Drain", "\"pool\":\"other\""), "\"drained\":true");
	ASK(client, CALL("Pause", ""), "{\"parameters\":{}}");
	must_have(client_hear(other), "\"kind\":\"paused\"");
	ASK(client, CALL("Resume", ""), "{\"parameters\":{}}");
	host_hear(host);
	ck_assert_uint_eq(host->n_runs, 1); /* nothing starts */
	(void)close(client);
	(void)close(other);
	fx_close();
}
END_TEST

START_TEST(test_broken_store_and_the_output_of_a_task_that_runs)
{
	int client = three_open(), other = client_open();
	struct fx_host *host = host_of("default");

	break_store();
	fx_turn();
	fx_turn();
	ck_assert_str_eq(ask(other, MORE("Log", "\"id\":\"1\"")), "");
	host_say(host, &(struct hostmsg){.type = HOSTMSG_LOG,
			       .log = {1, 1, STREAM_OUT, 5, VIEW_LIT("hello")}});
	fx_turn();
	must_have(client_hear(other), "\"stdout\":\"hello\"");
	end_task_1();
	ck_assert_uint_eq(count_words(client_hear(other), "StorageFailed"), 1);
	ck_assert_uint_eq(count_of("default", TASK_ACTIVE), 0);
	(void)close(client);
	(void)close(other);
	fx_close();
}
END_TEST

static const struct {
	const char *mode, *answer;
	bool ends; /* task 1 does, after the store broke: its end cannot be written */
} stops[] = {
	{"drain", "StorageFailed", true},
	{"drain", "StorageFailed", false},
	{"finish", "StorageFailed", true},
	{"finish", "{\"parameters\":{\"queued\":2,\"active\":0,", false},
	{"now", "StorageFailed", true},
};

START_TEST(test_broken_store_does_not_hold_up_a_stop)
{
	int client = three_open();
	struct fx_host *host = host_of("default");
	char text[128];

	if (!stops[_i].ends)
		end_task_1();
	host_hear(host);
	if (!stops[_i].ends) { /* 2 has started meanwhile, and 4 waits */
		ASK(client, POST, "\"id\":\"4\",\"state\":\"queued\"");
		host_done(host, 1, OUTCOME_OK, "{}");
		pool_of("default")->paused = true;
		fx_turn();
	}
	break_store();
	fx_turn();
	fx_turn();
	(void)snprintf(text, sizeof text, CALL("Shutdown", "\"mode\":\"%s\""), stops[_i].mode);
	client_say(client, text);
	fx_turn();
	if (stops[_i].ends) { /* what runs is waited for */
		ck_assert(!fx.daemon.is_leaving);
		host_done(host, 0,
			strcmp(stops[_i].mode, "now") == 0 ? OUTCOME_CANCELLED : OUTCOME_OK, "{}");
	}
	FX_UNTIL(fx.daemon.is_leaving);
	fx_turn();
	must_have(client_hear(client), stops[_i].answer);
	host_hear(host);
	ck_assert_uint_eq(host->n_quits, 1);
	for (size_t i = 0; i < fx.n_hosts; i++) {
		host_kill(&fx.hosts[i]);
		host_hang_up(&fx.hosts[i]);
	}
	FX_UNTIL(fx.daemon.done);
	(void)close(client);
	fx_close();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		test_broken_store_is_told_to_all_who_wait_in_that_turn,
		test_broken_store_that_is_found_as_it_is_tended_is_told_too,
		test_broken_store_lets_nobody_wait_who_comes_later,
		test_broken_store_and_all_that_needs_none,
		test_broken_store_and_the_output_of_a_task_that_runs,
	};
	const struct fx_loop loops[] = {
		{test_broken_store_does_not_hold_up_a_stop, ARRAY_SIZE(stops)}};

	return fx_main("broken", tests, ARRAY_SIZE(tests), loops, ARRAY_SIZE(loops));
}
