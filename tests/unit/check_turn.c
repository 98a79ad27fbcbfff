/*
 * check_turn: laws (b) and (c), seen from outside of a whole daemon: nothing leaves before the commit, what a failed commit
 * took back was never there, and whatever dies in a turn dies once. Peers that misbehave are check_conn's.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon_fixture.h"

START_TEST(test_turn_sends_run_and_reply_only_after_the_commit)
{
	int client;

	fx_open(ONE_POOL);
	client = client_open();
	client_say(client, POST);
	fx_turn();
	ck_assert_str_eq(fx.story, "CHA");
	ck_assert_str_eq(
		client_hear(client), "{\"parameters\":{\"id\":\"1\",\"state\":\"active\"}}\n");
	host_hear(host_of("default"));
	ck_assert_uint_eq(host_of("default")->n_runs, 1);
	host_done(host_of("default"), 0, OUTCOME_OK, "{}");
	fx_turn();
	ck_assert_str_eq(fx.story, "C");
	ck_assert_uint_eq(count_of("default", TASK_DONE), 1);
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_turn_writes_all_that_changed_in_one_commit)
{
	int client;
	unsigned before;

	fx_open(ONE_POOL);
	client = client_open();
	client_say(client, POST "\n" POST "\n" POST);
	before = fx.commits;
	fx_turn();
	ck_assert_uint_eq(fx.commits, before + 1);
	ck_assert_uint_eq(fx.n_committed, 3);
	/* Order of the last change: the third was posted and nothing more, then two were started. */
	ck_assert_uint_eq(fx.committed[0], 3);
	ck_assert_uint_eq(fx.committed[1], 1);
	ck_assert_uint_eq(fx.committed[2], 2);
	fx_turn();
	ck_assert_uint_eq(fx.commits, before + 1);
	(void)close(client);
	fx_close();
}
END_TEST

static const struct {
	int error;
	const char *reply;
} refusals[] = {
	{-ENOSPC, "{\"error\":\"org.workpool.StorageFull\",\"parameters\":{\"size\":7,\"max_size\":"
		  "11,"
		  "\"reason\":\"No space left on device\"}}\n"},
	{-EIO, "{\"error\":\"org.workpool.StorageFailed\",\"parameters\":{\"reason\":\"Input/"
	       "output "
	       "error\"}}\n"},
};

START_TEST(test_turn_that_is_not_written_tells_the_poster_and_nobody_else)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		struct fx_host *host;
		int client;

		fx_open(ONE_POOL);
		host = host_of("default");
		client = client_open();
		fx.store_error = refusals[i].error;
		client_say(client, POST);
		fx_turn();
		ck_assert_str_eq(fx.story, "XA");
		ck_assert_str_eq(client_hear(client), refusals[i].reply);
		ck_assert_uint_eq(pool_of("default")->stats.counters.posted, 0);
		ck_assert_uint_eq(pool_of("default")->stats.counters.refused, 1);
		client_say(client, POST_WAIT);
		fx_turn();
		ck_assert_str_eq(client_hear(client), refusals[i].reply);
		fx.store_error = 0;
		client_say(client, POST);
		fx_turn();
		ck_assert_str_eq(fx.story, "CHA");
		ck_assert_uint_eq(count_words(client_hear(client), "\"state\":\"active\""), 1);
		host_hear(host);
		ck_assert_uint_eq(host->n_runs, 1);
		ck_assert_uint_eq(pool_of("default")->stats.counters.posted, 1);
		(void)close(client);
		fx_close();
	}
}
END_TEST

START_TEST(test_turn_takes_a_start_back_and_tries_it_again_by_itself)
{
	struct fx_host *host;
	int client;

	fx_open("[pool default]\nworkers = 2\npaused = yes\n");
	host = host_of("default");
	client = client_open();
	client_say(client, POST "\n" POST);
	fx_turn();
	(void)client_hear(client);
	fx.store_error = -EIO;
	client_say(client, CALL("Resume", ""));
	fx_turn();
	ck_assert_uint_eq(count_of("default", TASK_QUEUED), 2);
	host_hear(host);
	ck_assert_uint_eq(host->n_runs, 0);
	fx.store_error = 0;
	FX_UNTIL((host_hear(host), host->n_runs == 2)); /* nobody says anything */
	ck_assert_uint_eq(host->runs[0].task, 1);
	ck_assert_uint_eq(host->runs[0].attempt, 1);
	ck_assert_uint_eq(host->runs[1].task, 2);
	(void)close(client);
	fx_close();
}
END_TEST

/* What was written before and may run twice is handed over while the disk is waited for; all else is not. */
START_TEST(test_turn_hands_a_start_over_before_the_flush_unless_it_may_not_run_twice)
{
	struct fx_host *host;
	int client;

	fx_open(_i == 0 ? "[pool default]\nworkers = 2\npaused = yes\n"
			: "[pool default]\nworkers = 2\npaused = yes\n[handler noop]\non_crash = "
			  "lost\n");
	host = host_of("default");
	client = client_open();
	client_say(client, POST);
	fx_turn();
	(void)client_hear(client);
	fx.flush_error = -EIO;
	client_say(client, CALL("Resume", "") "\n" POST);
	fx_turn();
	ck_assert_str_eq(fx.story, _i == 0 ? "CHXA" : "CXA");
	ck_assert_uint_eq(count_words(client_hear(client), "StorageFailed"),
		1); /* the post, which was not before */
	ck_assert_uint_eq(count_of("default", TASK_ACTIVE), _i == 0 ? 1 : 0);
	ck_assert_uint_eq(pool_of("default")->stats.counters.posted, 1);
	host_hear(host);
	ck_assert_uint_eq(host->n_runs, _i == 0 ? 1 : 0);
	fx.flush_error = 0;
	FX_UNTIL((host_hear(host), host->n_runs == 1));
	host_done(host, 0, OUTCOME_OK, "{}");
	FX_UNTIL(count_of("default", TASK_DONE) == 1);
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_turn_refuses_posts_while_the_store_has_no_room)
{
	int client;

	fx_open(ONE_POOL);
	client = client_open();
	fx.post_error = -ENOSPC;
	client_say(client, POST);
	fx_turn();
	ck_assert_uint_eq(
		count_words(client_hear(client), "\"id\""), 1); /* the last one that went in */
	client_say(client, POST);
	fx_turn();
	ck_assert_str_eq(fx.story, "A"); /* nothing was tried */
	ck_assert_uint_eq(count_words(client_hear(client), "StorageFull"), 1);
	client_say(client, CALL("Cancel", "\"ids\":[\"1\"]") "\n" CALL("Show", "\"id\":\"1\""));
	FX_UNTIL(count_words(client_hear(client), "\"task\"") == 1);
	fx.post_error = 0;
	ck_assert(fx_turn_wakes(5 * US_PER_SEC)); /* by itself */
	client_say(client, POST);
	fx_turn();
	ck_assert_uint_eq(count_words(client_hear(client), "\"id\""), 1);
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_turn_tends_the_store_when_little_happens)
{
	int client;

	fx_open(ONE_POOL);
	client = client_open();
	fx.wants_tending = true;
	client_say(client, POST);
	fx_turn();
	ck_assert_uint_eq(
		fx.n_idle_tends, 0); /* its answer leaves first, and then the next may come */
	ck_assert(fx_turn_wakes(5 * US_PER_SEC));
	fx_pass(US_PER_SEC);
	FX_UNTIL(fx.n_idle_tends > 0);
	fx.wants_tending = false;
	(void)close(client);
	fx_close();
}
END_TEST

START_TEST(test_turn_answers_an_end_once_and_only_when_it_is_written)
{
	struct scene scene = scene_open();
	unsigned before;

	fx.store_error = -ENOSPC;
	host_done(scene.host, 0, OUTCOME_OK, "{}");
	fx_turn();
	ck_assert_str_eq(fx.story, "X");
	before = fx.commits;
	ck_assert(!fx_turn_wakes(50 * US_PER_MS)); /* it does not spin until the store works */
	ck_assert_uint_le(fx.commits, before + 1);
	fx_pass(2 * US_PER_SEC);
	fx_turn();
	ck_assert_str_eq(fx.story, "X");
	ck_assert_str_eq(client_hear(scene.here), "");
	fx.store_error = 0;
	ck_assert(fx_turn_wakes(5 * US_PER_SEC)); /* by itself */
	ck_assert_str_eq(fx.story, "CA");
	ck_assert_uint_eq(count_words(client_hear(scene.here), "\"state\":\"done\""), 2);
	fx_turn();
	ck_assert_str_eq(client_hear(scene.here), "");
	scene_close(&scene);
}
END_TEST

START_TEST(test_wait_tells_no_end_that_is_not_written)
{
	struct scene scene = scene_open();
	int client = client_open();

	fx.store_error = -EIO;
	host_done(scene.host, 0, OUTCOME_OK, "{}");
	fx_turn();
	client_say(client, CALL("Wait", "\"ids\":[\"1\"]"));
	fx_turn();
	ck_assert_str_eq(client_hear(client), "");
	fx.store_error = 0;
	FX_UNTIL(count_of("default", TASK_DONE) == 1 && TAILQ_EMPTY(&fx.daemon.board->dirty));
	ck_assert_uint_eq(count_words(client_hear(client), "\"state\":\"done\""), 1);
	(void)close(client);
	scene_close(&scene);
}
END_TEST

START_TEST(test_turn_is_woken_by_a_deadline_that_passes_while_the_timer_is_set)
{
	fx_open(ONE_POOL);
	(void)fx_turn_wakes(US_PER_MS);
	for (unsigned looks = 0; looks < 2; looks++) {
		struct deadline soon;

		deadline_init(&soon, fx.daemon.retry.fire);
		ck_assert_int_eq(deadline_set(&fx.daemon.board->deadlines, &soon,
					 clock_now_us() + 30 * US_PER_MS),
			0);
		fx.leap_us = 30 * US_PER_MS;
		fx.leap_in = looks;
		ck_assert_msg(fx_turn_wakes(US_PER_SEC), "look %u", looks);
		ck_assert(!deadline_is_set(&soon));
		ck_assert_uint_eq(fx.leap_us, 0);
	}
	fx_close();
}
END_TEST

/* The timer may still be armed for the one that is gone. */
START_TEST(test_turn_is_woken_by_a_deadline_behind_one_that_is_gone)
{
	struct deadlines *all;
	struct deadline soon, later;
	uint64_t now_us;

	fx_open(ONE_POOL);
	all = &fx.daemon.board->deadlines;
	now_us = clock_now_us();
	deadline_init(&soon, fx.daemon.retry.fire);
	deadline_init(&later, fx.daemon.retry.fire);
	ck_assert_int_eq(deadline_set(all, &soon, now_us + 50 * US_PER_MS), 0);
	ck_assert_int_eq(deadline_set(all, &later, now_us + 60 * US_PER_MS), 0);
	fx_turn();
	deadline_clear(all, &soon);
	while (deadline_is_set(&later))
		ck_assert(fx_turn_wakes(10 * US_PER_SEC));
	fx_close();
}
END_TEST

START_TEST(test_turn_with_nothing_to_do_sleeps)
{
	struct scene scene = scene_open();

	fx_turn();
	for (int i = 0; i < 5; i++)
		ck_assert(!fx_turn_wakes(20 * US_PER_MS));
	scene_close(&scene);
}
END_TEST

/* --- law (c): what dies in a turn ----------------------------------------------------------- */

START_TEST(test_turn_outlives_a_client_that_goes_as_its_task_ends)
{
	struct scene scene = scene_open();

	host_done(scene.host, 0, OUTCOME_OK, "{\"a\":1}");
	client_say(scene.here, CALL("Stats", "") "\n" POST_WAIT);
	(void)close(scene.here);
	fx_turn();
	FX_UNTIL(fx.daemon.n_conns == 1);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 1);
	scene.here = client_open();
	scene_close(&scene);
}
END_TEST

START_TEST(test_turn_outlives_a_client_that_waits_for_many)
{
	struct fx_host *host;
	int poster, waiter;
	struct buf ids;

	fx_open("[pool default]\nworkers = 100\n");
	host = host_of("default");
	poster = client_open();
	waiter = client_open();
	buf_init(&ids, 4096);
	ck_assert_int_eq(buf_printf(&ids, "{\"method\":\"org.workpool.Wait\",\"more\":true,"
					  "\"parameters\":{\"ids\":[\"1\""),
		0);
	client_say(poster, POST);
	for (int i = 2; i <= 100; i++) {
		client_say(poster, POST);
		ck_assert_int_eq(buf_printf(&ids, ",\"%d\"", i), 0);
	}
	ck_assert_int_eq(buf_printf(&ids, "]}}\n"), 0);
	FX_UNTIL(count_of("default", TASK_ACTIVE) == 100);
	host_hear(host);
	client_write(waiter, buf_view(&ids).data, buf_len(&ids));
	buf_done(&ids);
	fx_turn();
	host_done(host, 0, OUTCOME_OK, "{}");
	fx_turn();
	ck_assert_uint_eq(count_words(client_hear(waiter), "\"continues\":true"), 1);
	for (size_t i = 1; i < 50; i++)
		host_done(host, i, OUTCOME_OK, "{}");
	(void)close(waiter); /* in the turn in which 49 of its tasks end */
	fx_turn();
	for (size_t i = 50; i < 100; i++)
		host_done(host, i, OUTCOME_OK, "{}");
	FX_UNTIL(count_of("default", TASK_DONE) == 100);
	ck_assert_uint_eq(fx.daemon.n_conns, 1);
	(void)close(poster);
	fx_close();
}
END_TEST

START_TEST(test_turn_keeps_what_a_host_said_before_it_died)
{
	struct scene scene = scene_open();
	struct buf result; /* more than one read takes */

	client_say(scene.here, POST); /* behind the one that waits */
	(void)close(scene.here);
	scene.here = client_open();
	client_say(scene.here, POST_WAIT);
	fx_turn();
	host_hear(scene.host);
	ck_assert_uint_eq(scene.host->n_runs, 2);
	buf_init(&result, 256u << 10);
	for (int i = 0; i < 20000; i++)
		ck_assert_int_eq(buf_append(&result, i > 0 ? ",1234" : "[1234", 5), 0);
	ck_assert_int_eq(buf_append(&result, "]", 2), 0);
	host_done(scene.host, 0, OUTCOME_OK, buf_view(&result).data);
	host_done(scene.host, 1, OUTCOME_OK, "{}");
	buf_done(&result);
	host_kill(scene.host);
	host_hang_up(scene.host);
	FX_UNTIL(count_of("default", TASK_ACTIVE) == 0);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 2);
	ck_assert_uint_eq(count_words(client_hear(scene.here), "\"state\":\"done\""), 2);
	scene_close(&scene);
}
END_TEST

START_TEST(test_host_that_dies_is_replaced_once)
{
	struct scene scene = scene_open();

	fx_pass(2 * US_PER_SEC);  /* it has lasted */
	host_hang_up(scene.host); /* its end is killed, and is seen to be dead a little later */
	FX_UNTIL(fx.n_hosts == 3);
	ck_assert_uint_eq(((struct hosts *)pool_of("default")->hosts)->restarts, 1);
	ck_assert_uint_eq(link_of("default")->failures, 0);
	ck_assert_uint_eq(count_words(client_hear(scene.here), "\"reason\":\"crashed\""), 1);
	host_up(host_of("default"));
	FX_UNTIL(link_of("default")->state == HOSTLINK_UP);
	client_say(scene.here, POST);
	fx_turn();
	ck_assert_uint_eq(count_words(client_hear(scene.here), "\"state\":\"active\""), 1);
	scene_close(&scene);
}
END_TEST

START_TEST(test_host_that_dies_at_every_start_is_started_ever_more_rarely)
{
	uint64_t waited_us = 0;

	fx_start(ONE_POOL);
	for (size_t n = 1; n < 8; n++) {
		uint64_t pause_us = 0;

		host_hang_up(&fx.hosts[n - 1]);
		FX_UNTIL(fx.n_hosts > n || (link_of("default")->state == HOSTLINK_DOWN &&
						   link_of("default")->pid == 0));
		for (; fx.n_hosts == n; pause_us += 20 * US_PER_MS) {
			ck_assert_uint_lt(pause_us, 6 * US_PER_SEC);
			fx_pass(20 * US_PER_MS);
			fx_turn();
		}
		ck_assert_uint_ge(pause_us + 20 * US_PER_MS, waited_us);
		waited_us = pause_us;
	}
	ck_assert_uint_ge(waited_us, US_PER_SEC);
	fx_close();
}
END_TEST

/* --- hosts that lie as they start; those that lie later are check_conn's ------------------------ */

static void say_hello(struct fx_host *host, uint32_t version)
{
	host_say(host, &(struct hostmsg){.type = HOSTMSG_HELLO, .hello = {version, 1}});
}

static void say_offer(struct fx_host *host, const char *handler, const char *text)
{
	host_say(host, &(struct hostmsg){.type = HOSTMSG_OFFER,
			       .offer = {view_of(handler), view_of(text), 1}});
}

static void say_params(struct fx_host *host, uint8_t type, unsigned n, struct view text)
{
	while (n-- > 0 && link_of("default")->fd == host->daemon_fd)
		host_say(
			host, &(struct hostmsg){.type = HOSTMSG_PARAM,
				      .param = {VIEW_LIT("p"), type, 0, 0, 1, VIEW_LIT(""), text}});
}

static void start_old_version(struct fx_host *host)
{
	say_hello(host, HOSTMSG_VERSION + 1);
}

static void start_unknown_handler(struct fx_host *host)
{
	say_hello(host, HOSTMSG_VERSION);
	say_offer(host, "rm", "");
}

static void start_offer_twice(struct fx_host *host)
{
	say_hello(host, HOSTMSG_VERSION);
	say_offer(host, "noop", "");
	say_offer(host, "noop", "");
}

static void start_without_hello(struct fx_host *host)
{
	say_offer(host, "noop", "");
}

static void start_ready_at_once(struct fx_host *host)
{
	host_say(host, &(struct hostmsg){.type = HOSTMSG_READY, .ready = {1}});
}

static void start_param_of_nothing(struct fx_host *host)
{
	say_hello(host, HOSTMSG_VERSION);
	say_params(host, 0, 1, VIEW_LIT(""));
}

static void start_1000_params(struct fx_host *host)
{
	say_hello(host, HOSTMSG_VERSION);
	say_offer(host, "noop", "");
	say_params(host, 0, 1000, VIEW_LIT(""));
}

static void start_param_of_no_type(struct fx_host *host)
{
	say_hello(host, HOSTMSG_VERSION);
	say_offer(host, "noop", "");
	say_params(host, 99, 1, VIEW_LIT(""));
}

static void start_no_utf8(struct fx_host *host)
{
	say_hello(host, HOSTMSG_VERSION);
	say_offer(host, "noop", "caf\xe9");
}

static void start_long_text(struct fx_host *host)
{
	static char text[1u << 20];

	say_hello(host, HOSTMSG_VERSION);
	say_offer(host, "noop", "");
	memset(text, 'x', sizeof text);
	say_params(host, 0, 1, (struct view){text, sizeof text});
}

static void start_done(struct fx_host *host)
{
	say_hello(host, HOSTMSG_VERSION);
	host_say(host, &(struct hostmsg){.type = HOSTMSG_DONE,
			       .done = {1, 1, 0, OUTCOME_OK, VIEW_LIT(""), VIEW_LIT("{}")}});
}

static void (*const starts[])(struct fx_host *host) = {start_old_version, start_unknown_handler,
	start_offer_twice, start_without_hello, start_ready_at_once, start_param_of_nothing,
	start_1000_params, start_param_of_no_type, start_no_utf8, start_long_text, start_done};

START_TEST(test_host_that_starts_with_a_lie_is_replaced_and_runs_nothing)
{
	int client;

	fx_start(TWO_POOLS);
	host_up(host_of("other"));
	starts[_i](host_of("default"));
	FX_UNTIL(fx.n_hosts == 3);
	ck_assert_uint_eq(pool_of("default")->slots.n_free, 0);
	host_up(host_of("default"));
	FX_UNTIL(fx.daemon.is_ready);
	client = client_open();
	client_say(client, POST);
	fx_turn();
	ck_assert_uint_eq(count_words(client_hear(client), "\"state\":\"active\""), 1);
	(void)close(client);
	fx_close();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		test_turn_sends_run_and_reply_only_after_the_commit,
		test_turn_writes_all_that_changed_in_one_commit,
		test_turn_that_is_not_written_tells_the_poster_and_nobody_else,
		test_turn_takes_a_start_back_and_tries_it_again_by_itself,
		test_turn_refuses_posts_while_the_store_has_no_room,
		test_turn_tends_the_store_when_little_happens,
		test_turn_answers_an_end_once_and_only_when_it_is_written,
		test_wait_tells_no_end_that_is_not_written,
		test_turn_is_woken_by_a_deadline_that_passes_while_the_timer_is_set,
		test_turn_is_woken_by_a_deadline_behind_one_that_is_gone,
		test_turn_with_nothing_to_do_sleeps,
		test_turn_outlives_a_client_that_goes_as_its_task_ends,
		test_turn_outlives_a_client_that_waits_for_many,
		test_turn_keeps_what_a_host_said_before_it_died,
		test_host_that_dies_is_replaced_once,
		test_host_that_dies_at_every_start_is_started_ever_more_rarely,
	};

	const struct fx_loop loops[] = {
		{test_turn_hands_a_start_over_before_the_flush_unless_it_may_not_run_twice, 2},
		{test_host_that_starts_with_a_lie_is_replaced_and_runs_nothing, ARRAY_SIZE(starts)},
	};

	return fx_main("turn", tests, ARRAY_SIZE(tests), loops, ARRAY_SIZE(loops));
}
