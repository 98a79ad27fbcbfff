/*
 * check_gate: answers that wait for a flush beside the loop (net/gate.h), seen from outside of a whole daemon: none leaves before its
 * flush has ended, all leave then, and if it fails nobody is told what is not so.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon_fixture.h"

/* Two tasks run, `first` waits for one, `second` for the other, and a third is queued; all of it is on the disk. */
struct busy {
	int first, second, other;
	struct fx_host *host;
};

static struct busy busy_open(void)
{
	struct busy busy;

	fx_open_beside("[pool default]\nworkers = 2\n[handler noop]\ncrash_max = 1\n");
	busy.host = host_of("default");
	busy.first = client_open();
	busy.second = client_open();
	busy.other = client_open();
	client_say(busy.first, POST_WAIT);
	fx_turn();
	ck_assert_str_eq(fx.story, "CH"); /* new, so it waited as ever */
	client_say(busy.second, POST_WAIT);
	fx_turn();
	client_say(busy.other, POST);
	fx_turn();
	ck_assert_str_eq(fx.story, "CA"); /* nothing was handed over, so did this */
	ck_assert_ptr_nonnull(strstr(client_hear(busy.other), "\"queued\""));
	host_hear(busy.host);
	ck_assert_uint_eq(busy.host->n_runs, 2);
	return busy;
}

/* The first one ends, and the third is handed over: a flush begins. */
static void busy_begin(struct busy *busy)
{
	host_done(busy->host, 0, OUTCOME_OK, "{}");
	fx_turn();
	ck_assert_str_eq(fx.story, "CHF");
	host_hear(busy->host);
	ck_assert_uint_eq(busy->host->n_runs, 3);
	ck_assert_str_eq(client_hear(busy->first), "");
}

static void busy_close(struct busy *busy)
{
	(void)close(busy->first);
	(void)close(busy->second);
	(void)close(busy->other);
	fx_close();
}

START_TEST(test_gate_lets_an_answer_out_when_its_flush_has_ended)
{
	struct busy busy = busy_open();

	busy_begin(&busy);
	fx_turn();
	ck_assert_str_eq(fx.story, "");
	ck_assert(!fx_turn_wakes(20 * US_PER_MS)); /* it does not spin */
	ck_assert_str_eq(client_hear(busy.first), "");
	fx_end_flush(0);
	ck_assert(fx_turn_wakes(5 * US_PER_SEC));
	ck_assert_str_eq(fx.story, "A");
	ck_assert_ptr_nonnull(strstr(client_hear(busy.first), "\"done\""));
	busy_close(&busy);
}
END_TEST

START_TEST(test_gate_keeps_what_came_meanwhile_for_the_next_flush)
{
	struct busy busy = busy_open();

	busy_begin(&busy);
	host_done(busy.host, 1, OUTCOME_OK, "{}");
	client_say(busy.other, POST_WAIT); /* is handed over later: its post is not on the disk */
	fx_turn();
	ck_assert_str_eq(fx.story, "CHAA"); /* it waited for both, so all may leave */
	ck_assert_ptr_nonnull(strstr(client_hear(busy.first), "\"done\""));
	ck_assert_ptr_nonnull(strstr(client_hear(busy.second), "\"done\""));
	busy_close(&busy);
}
END_TEST

START_TEST(test_gate_has_two_flushes_in_order)
{
	struct busy busy = busy_open();

	busy_begin(&busy);
	host_done(busy.host, 1, OUTCOME_OK, "{}");
	fx_turn();
	ck_assert_str_eq(fx.story, "C");
	ck_assert_str_eq(client_hear(busy.second), "");
	fx_end_flush(0);
	fx_turn();
	ck_assert_str_eq(fx.story, "AF");
	ck_assert_ptr_nonnull(strstr(client_hear(busy.first), "\"done\""));
	ck_assert_str_eq(client_hear(busy.second), "");
	fx_end_flush(0);
	fx_turn();
	ck_assert_str_eq(fx.story, "A");
	ck_assert_ptr_nonnull(strstr(client_hear(busy.second), "\"done\""));
	fx_turn();
	ck_assert_str_eq(fx.story, "");
	busy_close(&busy);
}
END_TEST

/* Two answers to one client, of two turns: only the first may leave, and the second is whole later. */
START_TEST(test_gate_parts_one_client_s_answers)
{
	struct busy busy = busy_open();

	client_say(busy.other, CALL("Wait", "\"ids\":[\"1\"]"));
	fx_turn();
	busy_begin(&busy);
	client_say(busy.other, CALL("Stats", ""));
	fx_turn();
	ck_assert_str_eq(fx.story, "");
	host_done(busy.host, 1, OUTCOME_OK, "{}");
	client_say(busy.other, CALL("Stats", ""));
	fx_turn();
	ck_assert_str_eq(client_hear(busy.other), "");
	fx_end_flush(0);
	fx_turn();
	ck_assert_uint_eq(count_words(client_hear(busy.other), "\"parameters\""), 2);
	fx_end_flush(0);
	fx_turn();
	ck_assert_uint_eq(count_words(client_hear(busy.other), "\"parameters\""), 1);
	busy_close(&busy);
}
END_TEST

/* Nobody hears that something is done which is not; what was posted meanwhile is not there; what was refused stays refused. */
START_TEST(test_gate_that_fails_takes_back_what_nobody_has_heard)
{
	struct busy busy = busy_open();
	const char *heard, *refused, *failed;

	busy_begin(&busy);
	client_say(busy.other, CALL("Nothing", "") "\n" POST "\n" CALL("Stats", ""));
	fx_turn();
	ck_assert_str_eq(fx.story, "C");
	ck_assert_uint_eq(pool_of("default")->stats.counters.posted, 4);
	fx_end_flush(-EIO);
	fx_turn();
	fx_turn(); /* a read answers a turn later */
	heard = client_hear(busy.other);
	refused = strstr(heard, "MethodNotFound");
	failed = strstr(heard, "StorageFailed");
	ck_assert_ptr_nonnull(refused);
	ck_assert_ptr_nonnull(failed);
	ck_assert(refused < failed);
	ck_assert_uint_eq(count_words(heard, "\"id\""), 0);
	ck_assert_uint_eq(count_words(heard, "\n"), 3);
	heard = client_hear(busy.first);
	ck_assert_uint_eq(count_words(heard, "StorageFailed"), 1);
	ck_assert_uint_eq(count_words(heard, "\"id\":\"1\""), 1); /* its post is there */
	ck_assert_uint_eq(count_words(heard, "\n"), 1);
	ck_assert_uint_eq(
		count_words(client_hear(busy.second), "StorageFailed"), 1); /* waits in vain */
	ck_assert_uint_eq(pool_of("default")->stats.counters.posted, 3);
	ck_assert_uint_eq(count_of("default", TASK_QUEUED), 0);
	client_say(busy.other, POST);
	fx_turn();
	ck_assert_uint_eq(count_words(client_hear(busy.other), "StorageFailed"), 1);
	busy_close(&busy);
}
END_TEST

/* A stream's last words but one are lost with it; it ends once, with the error. */
START_TEST(test_gate_that_fails_ends_a_stream_once)
{
	struct busy busy = busy_open();
	const char *heard;

	client_say(busy.other, "{\"method\":\"org.workpool.Wait\",\"more\":true,\"parameters\":{"
			       "\"ids\":[\"1\",\"2\"]}}");
	fx_turn();
	busy_begin(&busy);
	fx_end_flush(-EIO);
	fx_turn();
	fx_turn();
	heard = client_hear(busy.other);
	ck_assert_uint_eq(count_words(heard, "StorageFailed"), 1);
	ck_assert_uint_eq(count_words(heard, "\n"), 1);
	busy_close(&busy);
}
END_TEST

/* One that would go on after a store has failed does not if it has missed something; and those that have not, do. */
START_TEST(test_gate_that_fails_ends_a_stream_that_has_missed_something)
{
	static const char events[] =
		"{\"method\":\"org.workpool.Events\",\"more\":true,\"parameters\":{}}";
	struct busy busy = busy_open();
	int late = client_open();
	const char *heard;

	client_say(busy.other, events);
	fx_turn();
	ck_assert_uint_eq(count_words(client_hear(busy.other), "\n"), 1);
	busy_begin(&busy);
	fx_end_flush(-EIO);
	client_say(late, events);
	fx_turn();
	fx_turn();
	heard = client_hear(busy.other);
	ck_assert_uint_eq(count_words(heard, "StorageFailed"), 1);
	ck_assert_uint_eq(count_words(heard, "\n"), 1);
	ck_assert_ptr_null(strstr(client_hear(late), "StorageFailed"));
	client_say(busy.other, CALL("Show", "\"id\":\"1\""));
	fx_turn();
	ck_assert_ptr_nonnull(
		strstr(client_hear(busy.other), "\"active\"")); /* as the disk has it */
	(void)close(late);
	busy_close(&busy);
}
END_TEST

/* An active task is asked to end when that is on the disk, so this turn waits for the flush that is under way, and its own. */
START_TEST(test_gate_opens_when_a_turn_has_to_wait)
{
	struct busy busy = busy_open();

	busy_begin(&busy);
	client_say(busy.other, CALL("Cancel", "\"ids\":[\"2\"]"));
	fx_turn();
	ck_assert_str_eq(fx.story, "CHAA");
	ck_assert_ptr_nonnull(strstr(client_hear(busy.first), "\"done\""));
	ck_assert_ptr_nonnull(strstr(client_hear(busy.other), "\"parameters\""));
	host_hear(busy.host);
	ck_assert_uint_eq(busy.host->n_cancels, 1);
	busy_close(&busy);
}
END_TEST

START_TEST(test_gate_whose_flush_fails_under_a_turn_that_waits_fails_that_too)
{
	struct busy busy = busy_open();

	busy_begin(&busy);
	fx.end_error = -EIO;
	fx.flush_error = -EIO;
	client_say(busy.other, CALL("Cancel", "\"ids\":[\"2\"]"));
	fx_turn();
	fx_turn();
	ck_assert_uint_eq(count_words(client_hear(busy.first), "StorageFailed"), 1);
	ck_assert_uint_eq(count_words(client_hear(busy.other), "StorageFailed"), 1);
	host_hear(busy.host);
	ck_assert_uint_eq(busy.host->n_cancels, 0);
	busy_close(&busy);
}
END_TEST

/* One flush has ended, those who wait for the next are still there, and a turn that cannot wait for that beside the loop fails. */
START_TEST(test_gate_that_fails_in_the_turn_of_a_flush_that_did_not)
{
	struct busy busy = busy_open();
	int admin = client_open();

	busy_begin(&busy);
	client_say(busy.other, POST);
	fx_turn();
	ck_assert_str_eq(client_hear(busy.other), "");
	fx_end_flush(0);
	fx.flush_error = fx.broken = -EIO;
	client_say(admin, CALL("Cancel", "\"ids\":[\"2\"]"));
	fx_turn();
	ck_assert_str_eq(fx.story, "CXAAAA");
	fx_turn();
	ck_assert_ptr_nonnull(strstr(client_hear(busy.first), "\"done\""));
	ck_assert_uint_eq(count_words(client_hear(busy.other), "StorageFailed"), 1);
	ck_assert_uint_eq(count_words(client_hear(admin), "StorageFailed"), 1);
	(void)close(admin);
	busy_close(&busy);
}
END_TEST

START_TEST(test_gate_outlives_a_client_whose_answer_waits)
{
	struct busy busy = busy_open();

	busy_begin(&busy);
	(void)close(busy.first);
	busy.first = -1;
	fx_turn();
	fx_turn();
	fx_end_flush(_i == 0 ? 0 : -EIO);
	fx_turn();
	fx_turn();
	ck_assert_uint_eq(count_of("default", TASK_DONE), 1);
	busy_close(&busy);
}
END_TEST

START_TEST(test_gate_answers_a_client_that_writes_no_more)
{
	struct busy busy = busy_open();
	const char *heard;

	busy_begin(&busy);
	ck_assert_int_eq(shutdown(busy.first, SHUT_WR), 0);
	fx_turn();
	fx_turn();
	ck_assert(!fx_turn_wakes(20 * US_PER_MS));
	ck_assert_str_eq(client_hear(busy.first), "");
	fx_end_flush(0);
	FX_UNTIL((heard = client_hear(busy.first))[0] != '\0');
	ck_assert_ptr_nonnull(strstr(heard, "\"done\""));
	busy_close(&busy);
}
END_TEST

START_TEST(test_gate_keeps_the_store_from_being_tended_meanwhile)
{
	struct busy busy = busy_open();
	unsigned n;

	busy_begin(&busy);
	n = fx.n_tends;
	fx_turn();
	ck_assert_uint_eq(fx.n_tends, n);
	host_done(busy.host, 1, OUTCOME_OK, "{}");
	fx_turn();
	fx_end_flush(0);
	fx_turn(); /* the next one begins, and before it there is time */
	ck_assert_str_eq(fx.story, "AF");
	ck_assert_uint_eq(fx.n_tends, n + 1);
	fx_end_flush(0);
	fx_turn();
	busy_close(&busy);
}
END_TEST

/* A checkpoint has brought all of it to the disk. */
START_TEST(test_gate_opens_when_tending_was_the_flush)
{
	struct busy busy = busy_open();

	fx.tending_flushes = true;
	host_done(busy.host, 0, OUTCOME_OK, "{}");
	fx_turn();
	ck_assert_str_eq(fx.story, "CH");
	ck_assert_str_eq(client_hear(busy.first), "");
	ck_assert(fx_turn_wakes(5 * US_PER_SEC));
	ck_assert_str_eq(fx.story, "A");
	ck_assert_ptr_nonnull(strstr(client_hear(busy.first), "\"done\""));
	ck_assert(!fx_turn_wakes(20 * US_PER_MS));
	fx.flush_error = fx.broken = fx.store_error = -EIO; /* of what comes later */
	client_say(busy.other, POST "\n" CALL("Show", "\"id\":\"1\""));
	fx_turn();
	ck_assert_ptr_nonnull(strstr(client_hear(busy.other), "\"done\""));
	busy_close(&busy);
}
END_TEST

/* A commit breaks the store, and the flush beside it has not: what that has is there, and is told to all. */
START_TEST(test_gate_hears_of_its_flush_before_the_board_breaks)
{
	struct busy busy = busy_open();

	busy_begin(&busy);
	fx.store_error = fx.broken = -EUCLEAN;
	client_say(busy.other, POST "\n" CALL("Show", "\"id\":\"1\""));
	fx_turn();
	ck_assert_ptr_nonnull(strstr(client_hear(busy.first), "\"done\""));
	ck_assert_ptr_nonnull(strstr(client_hear(busy.other), "\"done\""));
	busy_close(&busy);
}
END_TEST

/* However deep a result is, and whatever is in it. */
START_TEST(test_gate_takes_back_any_reply)
{
	static const char *const results[] = {
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", "true",
		"{\"continues\":true}", "{\"error\":\"x\"}"};
	struct busy busy = busy_open();
	const char *heard;

	host_done(busy.host, 0, OUTCOME_OK, results[_i]);
	fx_turn();
	ck_assert_str_eq(fx.story, "CHF");
	fx_end_flush(-EIO);
	fx_turn();
	fx_turn();
	heard = client_hear(busy.first);
	ck_assert_msg(count_words(heard, "StorageFailed") == 1, "%s", heard);
	ck_assert_uint_eq(count_words(heard, "\n"), 1);
	ck_assert_uint_eq(count_words(heard, "<end>"), 0);
	busy_close(&busy);
}
END_TEST

/* Stopping waits for the answers. */
START_TEST(test_gate_is_open_before_the_daemon_leaves)
{
	struct busy busy = busy_open();

	busy_begin(&busy);
	client_say(busy.other, CALL("Shutdown", "\"mode\":\"finish\""));
	fx_turn();
	host_done(busy.host, 1, OUTCOME_OK, "{}");
	host_done(busy.host, 2, OUTCOME_OK, "{}");
	fx_turn();
	ck_assert(!fx.daemon.done);
	while (!fx.daemon.done) {
		if (fx.daemon.gate.is_under_way)
			fx_end_flush(0);
		for (size_t i = 0; i < fx.n_hosts && fx.daemon.is_leaving; i++)
			if (fx.hosts[i].fd >= 0) {
				host_kill(&fx.hosts[i]);
				host_hang_up(&fx.hosts[i]);
			}
		(void)fx_turn_wakes(2 * US_PER_MS);
	}
	ck_assert_ptr_nonnull(strstr(client_hear(busy.first), "\"done\""));
	ck_assert_ptr_nonnull(strstr(client_hear(busy.second), "\"done\""));
	busy_close(&busy);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		test_gate_lets_an_answer_out_when_its_flush_has_ended,
		test_gate_keeps_what_came_meanwhile_for_the_next_flush,
		test_gate_has_two_flushes_in_order,
		test_gate_parts_one_client_s_answers,
		test_gate_that_fails_takes_back_what_nobody_has_heard,
		test_gate_that_fails_ends_a_stream_once,
		test_gate_that_fails_ends_a_stream_that_has_missed_something,
		test_gate_opens_when_a_turn_has_to_wait,
		test_gate_whose_flush_fails_under_a_turn_that_waits_fails_that_too,
		test_gate_that_fails_in_the_turn_of_a_flush_that_did_not,
		test_gate_answers_a_client_that_writes_no_more,
		test_gate_keeps_the_store_from_being_tended_meanwhile,
		test_gate_opens_when_tending_was_the_flush,
		test_gate_hears_of_its_flush_before_the_board_breaks,
		test_gate_is_open_before_the_daemon_leaves,
	};
	const struct fx_loop loops[] = {
		{test_gate_outlives_a_client_whose_answer_waits, 2},
		{test_gate_takes_back_any_reply, 4},
	};

	return fx_main("gate", tests, ARRAY_SIZE(tests), loops, ARRAY_SIZE(loops));
}
