/*
 * check_hosts: several hosts a pool. A host that dies with several tasks in it: each runs alone next, in a host of its own.
 * A task that is stuck: its host is condemned, a fresh one takes over, and the others get their time. Each way in which
 * one of these hosts can start, die, linger or be stopped, with hosts that the test plays.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon_fixture.h"
#include "net/hosts.h"

#define FOUR "[pool default]\nworkers = 4\n[handler noop]\nkill_after = 100ms\nbackoff_min = 10ms\n"
/* With a time limit that ends while the others have none. */
#define POST_SHORT CALL("Post", "\"handler\":\"noop\",\"timeout_ms\":1000")
#define STUCK_US   (2200 * US_PER_MS) /* kill_after and what comes after */

static int client;

static struct hostlink *find_link(enum hostlink_part part)
{
	struct hostlink *link;

	TAILQ_FOREACH (link, &fx.daemon.links, link)
		if (link->part == part && link->pool == pool_of("default"))
			return link;
	return NULL;
}

static unsigned count_links(void)
{
	struct hostlink *link;
	unsigned n = 0;

	TAILQ_FOREACH (link, &fx.daemon.links, link)
		n++;
	return n;
}

/* The process behind a link. */
static struct fx_host *host_behind(const struct hostlink *link)
{
	ck_assert_ptr_nonnull(link);
	for (size_t i = 0; i < fx.n_hosts; i++)
		if (fx.hosts[i].pid == link->last_pid)
			return &fx.hosts[i];
	ck_abort_msg("no host behind the link");
}

static struct fx_host *host_in(enum hostlink_part part)
{
	struct fx_host *host = host_behind(find_link(part));

	host_hear(host);
	return host;
}

/* Waits until one that plays this part has been started; it is not READY yet. */
static struct fx_host *started(enum hostlink_part part)
{
	FX_UNTIL(find_link(part) != NULL && find_link(part)->state == HOSTLINK_STARTING);
	return host_in(part);
}

static struct fx_host *up(enum hostlink_part part)
{
	struct fx_host *host = started(part);

	host_up(host);
	FX_UNTIL(find_link(part)->state == HOSTLINK_UP);
	host_hear(host);
	return host;
}

static const struct task *task_of(uint64_t id)
{
	const struct task *task = board_find_task(fx.daemon.board, id);

	ck_assert_ptr_nonnull(task);
	return task;
}

static const struct hosts_status *status(void)
{
	static struct hosts_status status;

	hosts_get_status(pool_of("default"), &status);
	return &status;
}

static const struct counters *counters(void)
{
	return &pool_of("default")->stats.counters;
}

static void post(unsigned n, const char *call)
{
	while (n-- > 0) {
		client_say(client, call);
		fx_turn();
	}
	(void)client_hear(client);
}

static void open_with(const char *config)
{
	fx_open(config);
	client = client_open();
}

/* So many tasks in a host that has lasted. */
static struct fx_host *open_with_tasks(unsigned n)
{
	open_with(FOUR);
	fx_pass(2 * US_PER_SEC);
	post(n, POST);
	ck_assert_uint_eq(host_in(HOSTLINK_SHARED)->n_runs, n);
	return host_in(HOSTLINK_SHARED);
}

/* The shared host dies with so many tasks in it: they are suspects. */
static void open_with_suspects(unsigned n)
{
	struct fx_host *host = open_with_tasks(n);

	host_hang_up(host);
	FX_UNTIL(find_link(HOSTLINK_ALONE) != NULL);
	(void)started(HOSTLINK_SHARED);
	ck_assert_uint_eq(count_of("default", TASK_QUEUED), n);
}

static void done(struct fx_host *host, size_t run)
{
	host_hear(host);
	host_done(host, run, OUTCOME_OK, "{}");
	fx_turn();
}

static void later(uint64_t us)
{
	fx_pass(us);
	fx_turn();
}

static void close_all(void)
{
	(void)close(client);
	fx_close();
}

/* After IDLE_US the one for suspects leaves, and nothing of it stays. */
static void see_alone_leave(void)
{
	struct fx_host *alone = host_in(HOSTLINK_ALONE);

	ck_assert_uint_eq(alone->n_quits, 0);
	fx_turn();
	later(1100 * US_PER_MS);
	fx_turn();
	host_hear(alone);
	ck_assert_uint_eq(alone->n_quits, 1);
	host_kill(alone); /* a real one ends with status 0 */
	host_hang_up(alone);
	FX_UNTIL(find_link(HOSTLINK_ALONE) == NULL);
	ck_assert_uint_eq(count_links(), 1);
}

/* --- suspects ------------------------------------------------------------------------------------- */

START_TEST(test_tasks_of_a_host_that_died_run_alone_one_by_one_and_nothing_counts_against_them)
{
	struct fx_host *alone, *shared;

	open_with_suspects(4);
	ck_assert_uint_eq(status()->restarts, 1);
	shared = up(HOSTLINK_SHARED);
	alone = up(HOSTLINK_ALONE);
	ck_assert_uint_eq(alone->workers, 1);
	ck_assert_uint_eq(shared->workers, 4);
	for (size_t i = 0; i < 4; i++) {
		fx_turn();
		host_hear(alone);
		ck_assert_uint_eq(alone->n_runs, i + 1);
		ck_assert_uint_eq(alone->runs[i].task, i + 1);
		ck_assert_uint_eq(alone->runs[i].attempt, 2);
		/* Meanwhile the pool goes on. */
		post(1, POST);
		host_hear(shared);
		ck_assert_uint_eq(shared->n_runs, i + 1);
		ck_assert_uint_eq(shared->runs[i].task, 5 + i);
		done(shared, i);
		done(alone, i);
	}
	ck_assert_uint_eq(count_of("default", TASK_DONE), 8);
	ck_assert_uint_eq(counters()->returned, 4);
	ck_assert_uint_eq(counters()->crashed, 4);
	ck_assert_uint_eq(counters()->retried, 0);
	see_alone_leave();
	ck_assert_uint_eq(fx.n_hosts, 3);
	close_all();
}
END_TEST

START_TEST(test_task_that_kills_its_host_alone_ends_as_crashed_and_the_others_as_done)
{
	struct fx_host *alone;

	open_with_suspects(3);
	(void)up(HOSTLINK_SHARED);
	for (unsigned i = 0; i < 2; i++) { /* crash_max */
		alone = up(HOSTLINK_ALONE);
		fx_turn();
		host_hear(alone);
		ck_assert_uint_eq(alone->n_runs, 1);
		ck_assert_uint_eq(alone->runs[0].task, 1);
		ck_assert_uint_eq(alone->runs[0].attempt, 2 + i);
		host_hang_up(alone);
		FX_UNTIL(find_link(HOSTLINK_ALONE)->state != HOSTLINK_UP);
	}
	ck_assert_uint_eq(task_of(1)->state, TASK_FAILED);
	ck_assert_str_eq(task_reason(task_of(1)), "crashed");
	alone = up(HOSTLINK_ALONE);
	fx_turn();
	done(alone, 0);
	done(alone, 1);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 2);
	ck_assert_uint_eq(counters()->returned, 3);
	ck_assert_uint_eq(counters()->retried, 1);
	ck_assert_uint_eq(counters()->crashed, 5);
	see_alone_leave();
	close_all();
}
END_TEST

START_TEST(test_task_that_was_the_only_one_in_its_host_has_a_crash_and_runs_again_alone)
{
	open_with_suspects(1);
	ck_assert_uint_eq(task_of(1)->crashes, 1);
	(void)up(HOSTLINK_SHARED);
	(void)up(HOSTLINK_ALONE);
	fx_turn();
	done(host_in(HOSTLINK_ALONE), 0);
	ck_assert_uint_eq(task_of(1)->state, TASK_DONE);
	ck_assert_uint_eq(task_of(1)->attempt, 2);
	ck_assert_uint_eq(counters()->retried, 1);
	ck_assert_uint_eq(counters()->returned, 0);
	see_alone_leave();
	close_all();
}
END_TEST

START_TEST(test_host_for_suspects_that_dies_at_its_start_comes_again_after_ever_longer_pauses)
{
	uint64_t waited_us = 0;

	open_with_suspects(2);
	(void)up(HOSTLINK_SHARED);
	for (unsigned n = 1; n < 6; n++) {
		size_t before = fx.n_hosts;
		uint64_t pause_us = 0;

		host_hang_up(host_in(HOSTLINK_ALONE));
		FX_UNTIL(find_link(HOSTLINK_ALONE)->pid == 0 || fx.n_hosts > before);
		for (; fx.n_hosts == before; pause_us += 20 * US_PER_MS)
			later(20 * US_PER_MS);
		ck_assert_uint_ge(pause_us + 20 * US_PER_MS, waited_us);
		waited_us = pause_us;
		post(1, POST); /* the pool goes on */
		done(host_in(HOSTLINK_SHARED), n - 1);
	}
	ck_assert_uint_ge(waited_us, 500 * US_PER_MS);
	ck_assert_uint_eq(count_of("default", TASK_QUEUED), 2);
	(void)up(HOSTLINK_ALONE);
	fx_turn();
	done(host_in(HOSTLINK_ALONE), 0);
	done(host_in(HOSTLINK_ALONE), 1);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 7);
	see_alone_leave();
	close_all();
}
END_TEST

START_TEST(test_host_for_suspects_that_does_not_get_ready_is_replaced)
{
	struct fx_host *first;

	open_with_suspects(2);
	(void)up(HOSTLINK_SHARED);
	first = started(HOSTLINK_ALONE);
	later(11 * US_PER_SEC);
	FX_UNTIL(find_link(HOSTLINK_ALONE)->last_pid != first->pid);
	(void)up(HOSTLINK_ALONE);
	fx_turn();
	ck_assert_uint_eq(host_in(HOSTLINK_ALONE)->n_runs, 1);
	close_all();
}
END_TEST

START_TEST(test_suspects_wait_while_no_host_can_be_started_for_them_and_the_pool_goes_on)
{
	struct fx_host *host = open_with_tasks(3);

	fx.spawn_error = -EAGAIN;
	host_hang_up(host);
	FX_UNTIL(find_link(HOSTLINK_ALONE) != NULL);
	for (unsigned i = 0; i < 20; i++)
		later(US_PER_SEC);
	ck_assert_uint_eq(count_of("default", TASK_QUEUED), 3);
	ck_assert_uint_gt(find_link(HOSTLINK_ALONE)->failures, 3);
	fx.spawn_error = 0;
	(void)up(HOSTLINK_SHARED);
	post(1, POST);
	ck_assert_uint_eq(host_in(HOSTLINK_SHARED)->runs[0].task, 4);
	later(6 * US_PER_SEC);
	(void)up(HOSTLINK_ALONE);
	for (size_t i = 0; i < 3; i++) {
		fx_turn();
		done(host_in(HOSTLINK_ALONE), i);
	}
	ck_assert_uint_eq(count_of("default", TASK_DONE), 3);
	see_alone_leave();
	close_all();
}
END_TEST

START_TEST(test_suspects_wait_for_the_shared_host_though_theirs_is_up)
{
	struct fx_host *alone;

	open_with_suspects(2);
	alone = up(HOSTLINK_ALONE);
	ck_assert_int_eq(find_link(HOSTLINK_SHARED)->state, HOSTLINK_STARTING);
	fx_turn();
	host_hear(alone);
	ck_assert_uint_eq(alone->n_runs, 0); /* no worker's place is there yet */
	/* It dies at its start, again and again: nobody is handed anything. */
	for (unsigned n = 0; n < 3; n++) {
		host_hang_up(started(HOSTLINK_SHARED));
		FX_UNTIL(find_link(HOSTLINK_SHARED)->state == HOSTLINK_DOWN);
		later(5 * US_PER_SEC);
	}
	ck_assert_uint_eq(count_of("default", TASK_ACTIVE), 0);
	ck_assert_int_eq(find_link(HOSTLINK_ALONE)->state, HOSTLINK_UP);
	(void)up(HOSTLINK_SHARED);
	fx_turn();
	done(alone, 0);
	done(alone, 1);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 2);
	close_all();
}
END_TEST

START_TEST(test_suspect_outlives_the_shared_host_that_dies_beside_it)
{
	open_with_suspects(2);
	(void)up(HOSTLINK_SHARED);
	(void)up(HOSTLINK_ALONE);
	fx_turn();
	ck_assert_uint_eq(host_in(HOSTLINK_ALONE)->n_runs, 1);
	host_hang_up(host_in(HOSTLINK_SHARED));
	(void)started(HOSTLINK_SHARED);
	done(host_in(HOSTLINK_ALONE), 0);
	ck_assert_uint_eq(task_of(1)->state, TASK_DONE);
	ck_assert_uint_eq(count_of("default", TASK_QUEUED), 1);
	(void)up(HOSTLINK_SHARED);
	fx_turn();
	done(host_in(HOSTLINK_ALONE), 1);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 2);
	close_all();
}
END_TEST

START_TEST(test_host_for_suspects_that_is_idle_takes_the_next_suspect)
{
	struct fx_host *alone;

	open_with_suspects(1);
	(void)up(HOSTLINK_SHARED);
	alone = up(HOSTLINK_ALONE);
	fx_turn();
	done(alone, 0);
	post(1, POST);
	fx_turn();
	host_hang_up(host_in(HOSTLINK_SHARED));
	later(1100 * US_PER_MS); /* its idle time ends with the turn in which it is wanted again */
	(void)up(HOSTLINK_SHARED);
	fx_turn();
	later(1100 * US_PER_MS);
	host_hear(alone);
	ck_assert_uint_eq(alone->n_runs, 2);
	ck_assert_uint_eq(alone->n_quits, 0);
	done(alone, 1);
	see_alone_leave();
	close_all();
}
END_TEST

START_TEST(test_suspect_that_comes_while_the_host_for_suspects_leaves_gets_another)
{
	struct fx_host *alone, *other;

	open_with_suspects(1);
	(void)up(HOSTLINK_SHARED);
	alone = up(HOSTLINK_ALONE);
	fx_turn();
	done(alone, 0);
	later(1100 * US_PER_MS);
	host_hear(alone);
	ck_assert_uint_eq(alone->n_quits, 1);
	post(2, POST);
	host_hang_up(host_in(HOSTLINK_SHARED));
	(void)up(HOSTLINK_SHARED);
	FX_UNTIL(count_links() == 3);
	other = host_behind(TAILQ_LAST(&fx.daemon.links, hostlink_list));
	ck_assert_ptr_ne(other, alone);
	host_up(other);
	FX_UNTIL((host_hear(other), other->n_runs == 1));
	/* The one that leaves does not: it is ended, and takes nothing with it. */
	later(6 * US_PER_SEC);
	FX_UNTIL(count_links() == 2);
	ck_assert_int_eq(kill(alone->pid, 0), -1);
	done(other, 0);
	done(other, 1);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 3);
	see_alone_leave();
	close_all();
}
END_TEST

START_TEST(test_host_for_suspects_leaves_when_the_suspects_were_cancelled_while_it_started)
{
	open_with_suspects(2);
	(void)up(HOSTLINK_SHARED);
	post(1, CALL("Pause", ""));
	for (uint64_t id = 1; id <= 2; id++)
		ck_assert_int_eq(board_cancel(fx.daemon.board, board_find_task(fx.daemon.board, id),
					 fx.daemon.now_us),
			0);
	(void)up(HOSTLINK_ALONE);
	see_alone_leave();
	close_all();
}
END_TEST

START_TEST(test_host_for_suspects_that_nobody_needs_any_more_is_not_started_again)
{
	size_t n_hosts;

	open_with_suspects(1);
	(void)up(HOSTLINK_SHARED);
	(void)up(HOSTLINK_ALONE);
	fx_turn();
	n_hosts = fx.n_hosts;
	host_hang_up(host_in(HOSTLINK_ALONE));
	FX_UNTIL(find_link(HOSTLINK_ALONE) == NULL); /* crash_max is reached */
	later(10 * US_PER_SEC);
	ck_assert_uint_eq(fx.n_hosts, n_hosts);
	ck_assert_uint_eq(count_of("default", TASK_FAILED), 1);
	ck_assert_uint_eq(count_links(), 1);
	close_all();
}
END_TEST

START_TEST(test_paused_pool_keeps_no_host_for_its_suspects)
{
	open_with_suspects(2);
	(void)up(HOSTLINK_SHARED);
	(void)up(HOSTLINK_ALONE);
	fx_turn();
	post(1, CALL("Pause", ""));
	done(host_in(HOSTLINK_ALONE), 0);
	see_alone_leave();
	ck_assert_uint_eq(count_of("default", TASK_QUEUED), 1);
	post(1, CALL("Resume", ""));
	(void)up(HOSTLINK_ALONE);
	fx_turn();
	done(host_in(HOSTLINK_ALONE), 0);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 2);
	close_all();
}
END_TEST

START_TEST(test_start_of_a_suspect_that_is_not_written_is_taken_back)
{
	struct fx_host *alone;

	open_with_suspects(2);
	(void)up(HOSTLINK_SHARED);
	alone = started(HOSTLINK_ALONE);
	host_up(alone);
	fx.store_error = -EIO;
	FX_UNTIL(find_link(HOSTLINK_ALONE)->state == HOSTLINK_UP);
	fx_turn();
	host_hear(alone);
	ck_assert_uint_eq(alone->n_runs, 0);
	ck_assert_uint_eq(count_of("default", TASK_ACTIVE), 0);
	host_hang_up(alone); /* with nothing in it: nobody is guilty */
	FX_UNTIL(find_link(HOSTLINK_ALONE)->state != HOSTLINK_UP);
	fx.store_error = 0;
	(void)up(HOSTLINK_ALONE);
	FX_UNTIL(host_in(HOSTLINK_ALONE)->n_runs == 1);
	ck_assert_uint_eq(host_in(HOSTLINK_ALONE)->runs[0].attempt, 2);
	ck_assert_uint_eq(counters()->crashed, 2);
	done(host_in(HOSTLINK_ALONE), 0);
	done(host_in(HOSTLINK_ALONE), 1);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 2);
	close_all();
}
END_TEST

START_TEST(test_host_for_suspects_has_a_word_in_its_own_task_only)
{
	struct fx_host *shared, *alone;

	open_with_suspects(1);
	shared = up(HOSTLINK_SHARED);
	alone = up(HOSTLINK_ALONE);
	post(1, POST);
	host_hear(shared);
	ck_assert_uint_eq(shared->n_runs, 1);
	host_say(alone,
		&(struct hostmsg){.type = HOSTMSG_DONE,
			.done = {shared->runs[0].task, shared->runs[0].attempt,
				shared->runs[0].worker, OUTCOME_OK, VIEW_LIT(""), VIEW_LIT("{}")}});
	FX_UNTIL(count_of("default", TASK_FAILED) == 1); /* the suspect: its second crash */
	ck_assert_uint_eq(count_of("default", TASK_ACTIVE), 1);
	done(shared, 0);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 1);
	close_all();
}
END_TEST

/* --- stops with suspects ------------------------------------------------------------------------------ */

static void see_all_leave(void)
{
	struct hostlink *link;

	fx_turn();
	fx_turn();
	TAILQ_FOREACH (link, &fx.daemon.links, link) {
		struct fx_host *host;

		if (link->fd < 0)
			continue;
		host = host_behind(link);
		host_hear(host);
		ck_assert_uint_eq(host->n_quits, 1);
		host_kill(host);
	}
	FX_UNTIL(fx.daemon.done);
	ck_assert_int_eq(fx.daemon.exit_code, 0);
}

START_TEST(test_stop_while_the_host_for_suspects_starts)
{
	open_with_suspects(2);
	(void)up(HOSTLINK_SHARED);
	(void)started(HOSTLINK_ALONE);
	client_say(client, CALL("Shutdown", "\"mode\":\"finish\""));
	fx_turn();
	ck_assert_uint_eq(count_of("default", TASK_CANCELLED), 2);
	see_all_leave();
	ck_assert_uint_eq(fx.n_hosts, 3);
	close_all();
}
END_TEST

START_TEST(test_stop_while_the_host_for_suspects_waits_for_its_next_start)
{
	open_with_suspects(2);
	(void)up(HOSTLINK_SHARED);
	host_hang_up(host_in(HOSTLINK_ALONE));
	FX_UNTIL(fx.n_hosts == 4);
	host_hang_up(host_in(HOSTLINK_ALONE));
	FX_UNTIL(find_link(HOSTLINK_ALONE)->pid == 0);
	client_say(client, CALL("Shutdown", "\"mode\":\"finish\""));
	fx_turn();
	see_all_leave();
	ck_assert_uint_eq(fx.n_hosts, 4);
	close_all();
}
END_TEST

START_TEST(test_stop_while_the_host_for_suspects_leaves)
{
	open_with_suspects(1);
	(void)up(HOSTLINK_SHARED);
	(void)up(HOSTLINK_ALONE);
	fx_turn();
	done(host_in(HOSTLINK_ALONE), 0);
	later(1100 * US_PER_MS);
	ck_assert_uint_eq(host_in(HOSTLINK_ALONE)->n_quits, 1);
	client_say(client, CALL("Shutdown", "\"mode\":\"finish\""));
	fx_turn();
	see_all_leave();
	close_all();
}
END_TEST

START_TEST(test_stop_that_keeps_suspects_for_the_next_start_keeps_no_host_for_them)
{
	open_with_suspects(2);
	fx.daemon.board->keeps = true;
	(void)up(HOSTLINK_SHARED);
	post(1, POST);
	client_say(client, CALL("Shutdown", "\"mode\":\"finish\""));
	fx_turn();
	host_hang_up(host_in(HOSTLINK_ALONE));
	FX_UNTIL(find_link(HOSTLINK_ALONE) == NULL);
	later(10 * US_PER_SEC);
	ck_assert_uint_eq(fx.n_hosts, 3);
	ck_assert_uint_eq(count_of("default", TASK_QUEUED), 2);
	done(host_in(HOSTLINK_SHARED), 0);
	see_all_leave();
	close_all();
}
END_TEST

START_TEST(test_drain_waits_for_suspects_and_their_host_may_start)
{
	open_with_suspects(2);
	client_say(client, CALL("Shutdown", "\"mode\":\"drain\""));
	fx_turn();
	ck_assert_uint_eq(count_of("default", TASK_QUEUED), 2);
	(void)up(HOSTLINK_SHARED);
	(void)up(HOSTLINK_ALONE);
	fx_turn();
	done(host_in(HOSTLINK_ALONE), 0);
	done(host_in(HOSTLINK_ALONE), 1);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 2);
	see_all_leave();
	close_all();
}
END_TEST

START_TEST(test_stop_waits_for_the_suspect_that_runs_and_starts_no_host_for_another)
{
	open_with_suspects(2);
	(void)up(HOSTLINK_SHARED);
	(void)up(HOSTLINK_ALONE);
	fx_turn();
	client_say(client, CALL("Shutdown", "\"mode\":\"finish\""));
	fx_turn();
	ck_assert_uint_eq(count_of("default", TASK_ACTIVE), 1);
	ck_assert_uint_eq(count_of("default", TASK_CANCELLED), 1);
	ck_assert(!fx.daemon.is_leaving);
	if (_i == 0) {
		done(host_in(HOSTLINK_ALONE), 0);
		ck_assert_uint_eq(count_of("default", TASK_DONE), 1);
	} else {
		host_hang_up(host_in(HOSTLINK_ALONE));
		FX_UNTIL(count_of("default", TASK_FAILED) == 1);
	}
	see_all_leave();
	ck_assert_uint_eq(fx.n_hosts, 3);
	close_all();
}
END_TEST

/* --- stuck tasks --------------------------------------------------------------------------------------- */

/* So many that will be stuck, and others beside them, all in one host; and those are past their limit and were asked. */
static struct fx_host *open_with_stuck(unsigned n_stuck, unsigned n_others)
{
	struct fx_host *host;

	open_with(FOUR);
	post(n_stuck, POST_SHORT);
	post(n_others, POST);
	host = host_in(HOSTLINK_SHARED);
	ck_assert_uint_eq(host->n_runs, n_stuck + n_others);
	later(1100 * US_PER_MS);
	host_hear(host);
	ck_assert_uint_eq(host->n_cancels, n_stuck);
	ck_assert_ptr_null(find_link(HOSTLINK_CONDEMNED));
	later(STUCK_US);
	return host;
}

static void see_timeout(uint64_t id)
{
	ck_assert_uint_eq(task_of(id)->state, TASK_FAILED);
	ck_assert_str_eq(task_reason(task_of(id)), "timeout");
}

START_TEST(test_host_with_a_stuck_task_is_condemned_and_a_fresh_one_takes_over_at_once)
{
	struct fx_host *old = open_with_stuck(1, 1), *fresh;

	ck_assert_ptr_eq(host_in(HOSTLINK_CONDEMNED), old);
	fresh = up(HOSTLINK_SHARED);
	ck_assert_uint_eq(status()->restarts, 1);
	ck_assert_str_eq(status()->state, "up");
	post(3, POST); /* two workers are free, the others are busy in the old one */
	host_hear(fresh);
	ck_assert_uint_eq(fresh->n_runs, 2);
	host_hear(old);
	ck_assert_uint_eq(old->n_runs, 2);
	host_say(old, &(struct hostmsg){
			      .type = HOSTMSG_PROGRESS, .progress = {2, 1, 500, VIEW_LIT("half")}});
	fx_turn();
	ck_assert_ptr_nonnull(task_of(2)->slot->progress);
	ck_assert_uint_eq(task_of(2)->slot->progress->permille, 500);
	done(old, 1); /* taken as before, and then only the stuck one is left */
	FX_UNTIL(count_links() == 1);
	ck_assert_int_eq(kill(old->pid, 0), -1);
	ck_assert_uint_eq(task_of(2)->state, TASK_DONE);
	see_timeout(1);
	fx_turn();
	host_hear(fresh);
	ck_assert_uint_eq(fresh->n_runs, 3); /* with the place of one of them */
	ck_assert_uint_eq(pool_of("default")->slots.n_free, 1);
	for (size_t i = 0; i < 3; i++)
		done(fresh, i);
	ck_assert_uint_eq(pool_of("default")->slots.n_free, 4);
	ck_assert_uint_eq(counters()->timed_out, 1);
	ck_assert_uint_eq(counters()->returned, 0);
	ck_assert_uint_eq(fx.n_hosts, 2);
	close_all();
}
END_TEST

START_TEST(test_host_with_nothing_but_stuck_tasks_is_killed_at_once)
{
	struct fx_host *old = open_with_stuck((unsigned)_i + 1, 0);

	FX_UNTIL(count_links() == 1);
	ck_assert_int_eq(kill(old->pid, 0), -1);
	for (uint64_t id = 1; id <= (uint64_t)_i + 1; id++)
		see_timeout(id);
	post(1, POST);
	ck_assert_uint_eq(count_of("default", TASK_QUEUED), 1);
	(void)up(HOSTLINK_SHARED);
	fx_turn();
	done(host_in(HOSTLINK_SHARED), 0);
	ck_assert_uint_eq(pool_of("default")->slots.n_free, 4);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 1);
	close_all();
}
END_TEST

START_TEST(test_condemned_host_s_others_get_a_minute_and_then_go_back_without_blame)
{
	struct fx_host *old = open_with_stuck(1, 2), *fresh = up(HOSTLINK_SHARED);

	later(50 * US_PER_SEC);
	ck_assert_ptr_nonnull(find_link(HOSTLINK_CONDEMNED));
	host_hear(old);
	/* Said in time, and heard though it is killed with the turn that reads its first part. */
	host_done_long(old, 1, 100000);
	later(11 * US_PER_SEC);
	FX_UNTIL(count_links() == 1);
	see_timeout(1);
	ck_assert_uint_eq(task_of(2)->state, TASK_DONE);
	ck_assert_uint_eq(task_of(3)->state, TASK_ACTIVE);
	ck_assert(!task_of(3)->suspect);
	ck_assert_uint_eq(task_of(3)->crashes, 0);
	ck_assert_uint_eq(counters()->returned, 1);
	host_hear(fresh);
	ck_assert_uint_eq(fresh->n_runs, 1);
	ck_assert_uint_eq(fresh->runs[0].attempt, 2);
	done(fresh, 0);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 2);
	ck_assert_uint_eq(fx.n_hosts, 2);
	close_all();
}
END_TEST

START_TEST(test_condemned_host_that_dies_by_itself_makes_its_others_suspects)
{
	struct fx_host *old = open_with_stuck(1, 2);

	(void)up(HOSTLINK_SHARED);
	host_hang_up(old);
	FX_UNTIL(find_link(HOSTLINK_CONDEMNED) == NULL);
	see_timeout(1);
	ck_assert(task_of(2)->suspect && task_of(3)->suspect);
	(void)up(HOSTLINK_ALONE);
	fx_turn();
	done(host_in(HOSTLINK_ALONE), 0);
	done(host_in(HOSTLINK_ALONE), 1);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 2);
	see_alone_leave();
	close_all();
}
END_TEST

START_TEST(test_fresh_host_that_dies_while_it_starts_beside_a_condemned_one_comes_again)
{
	struct fx_host *old = open_with_stuck(1, 1);

	post(1, POST);
	for (unsigned n = 0; n < 3; n++) {
		host_hang_up(started(HOSTLINK_SHARED));
		FX_UNTIL(find_link(HOSTLINK_SHARED)->state == HOSTLINK_DOWN);
		later(5 * US_PER_SEC);
		ck_assert_ptr_eq(host_in(HOSTLINK_CONDEMNED), old);
	}
	host_hear(old);
	ck_assert_uint_eq(old->n_runs, 2); /* nothing new for it meanwhile */
	(void)up(HOSTLINK_SHARED);
	fx_turn();
	done(host_in(HOSTLINK_SHARED), 0);
	done(old, 1);
	FX_UNTIL(count_links() == 1);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 2);
	see_timeout(1);
	close_all();
}
END_TEST

START_TEST(test_stuck_task_that_ends_after_all_ends_once_and_its_host_goes)
{
	struct fx_host *old = open_with_stuck(1, 1);

	(void)up(HOSTLINK_SHARED);
	host_done(old, 0, OUTCOME_CANCELLED, "{}");
	fx_turn();
	see_timeout(1);
	ck_assert_ptr_nonnull(find_link(HOSTLINK_CONDEMNED)); /* the other one gets its time */
	done(old, 1);
	FX_UNTIL(count_links() == 1);
	ck_assert_uint_eq(task_of(2)->state, TASK_DONE);
	ck_assert_uint_eq(counters()->crashed, 0);
	close_all();
}
END_TEST

START_TEST(test_second_stuck_task_of_a_condemned_host_is_not_waited_for)
{
	struct fx_host *old;

	open_with(FOUR);
	post(1, POST_SHORT);
	later(500 * US_PER_MS);
	post(1, POST_SHORT);
	post(1, POST);
	old = host_in(HOSTLINK_SHARED);
	later(600 * US_PER_MS);
	later(500 * US_PER_MS);
	later(STUCK_US - 500 * US_PER_MS);
	ck_assert_ptr_nonnull(find_link(HOSTLINK_CONDEMNED));
	later(500 * US_PER_MS);
	ck_assert(task_of(1)->stuck && task_of(2)->stuck);
	ck_assert_uint_eq(count_links(), 2);
	done(old, 2);
	FX_UNTIL(count_links() == 1);
	see_timeout(1);
	see_timeout(2);
	ck_assert_uint_eq(fx.n_hosts, 2);
	close_all();
}
END_TEST

START_TEST(test_fresh_host_may_be_condemned_too)
{
	struct fx_host *first = open_with_stuck(1, 1), *second = up(HOSTLINK_SHARED);

	post(1, POST_SHORT);
	post(1, POST);
	later(1100 * US_PER_MS);
	later(STUCK_US);
	ck_assert_uint_eq(count_links(), 3);
	ck_assert_uint_eq(status()->restarts, 2);
	(void)up(HOSTLINK_SHARED);
	done(second, 1);
	FX_UNTIL(count_links() == 2);
	ck_assert_ptr_eq(host_in(HOSTLINK_CONDEMNED), first);
	done(first, 1);
	FX_UNTIL(count_links() == 1);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 2);
	ck_assert_uint_eq(count_of("default", TASK_FAILED), 2);
	ck_assert_uint_eq(pool_of("default")->slots.n_free, 4);
	close_all();
}
END_TEST

START_TEST(test_host_with_a_stuck_suspect_is_killed_at_once)
{
	struct fx_host *alone, *host;

	open_with(FOUR "timeout = 1s\n");
	fx_pass(2 * US_PER_SEC);
	post(2, POST);
	host = host_in(HOSTLINK_SHARED);
	host_hang_up(host);
	(void)up(HOSTLINK_SHARED);
	alone = up(HOSTLINK_ALONE);
	fx_turn();
	later(1100 * US_PER_MS);
	host_hear(alone);
	ck_assert_uint_eq(alone->n_cancels, 1);
	later(STUCK_US);
	FX_UNTIL(kill(alone->pid, 0) == -1);
	see_timeout(1);
	ck_assert_uint_eq(count_of("default", TASK_QUEUED), 1);
	(void)up(HOSTLINK_ALONE); /* for the other one */
	fx_turn();
	done(host_in(HOSTLINK_ALONE), 0);
	ck_assert_uint_eq(task_of(2)->state, TASK_DONE);
	ck_assert_ptr_null(find_link(HOSTLINK_CONDEMNED));
	see_alone_leave();
	close_all();
}
END_TEST

START_TEST(test_cancelled_task_that_does_not_end_is_cancelled_with_its_host)
{
	open_with_tasks(1);
	ck_assert_int_eq(board_cancel(fx.daemon.board, board_find_task(fx.daemon.board, 1),
				 fx.daemon.now_us),
		0);
	fx_turn();
	later(STUCK_US);
	FX_UNTIL(count_links() == 1);
	ck_assert_uint_eq(task_of(1)->state, TASK_CANCELLED);
	ck_assert_str_eq(task_reason(task_of(1)), "cancelled");
	close_all();
}
END_TEST

START_TEST(test_stop_waits_for_the_others_of_a_condemned_host)
{
	struct fx_host *old = open_with_stuck(1, 1);

	(void)up(HOSTLINK_SHARED);
	client_say(client, CALL("Shutdown", "\"mode\":\"finish\""));
	fx_turn();
	ck_assert(!fx.daemon.is_leaving);
	done(old, 1);
	FX_UNTIL(fx.daemon.is_leaving);
	see_timeout(1);
	ck_assert_uint_eq(task_of(2)->state, TASK_DONE);
	see_all_leave();
	close_all();
}
END_TEST

START_TEST(test_stop_kills_a_condemned_host_and_the_one_that_starts_beside_it)
{
	struct fx_host *old = open_with_stuck(1, 1);

	(void)started(HOSTLINK_SHARED);
	client_say(client, CALL("Shutdown", "\"mode\":\"now\""));
	fx_turn();
	host_hear(old);
	ck_assert_uint_eq(old->n_cancels, 2);
	later(10 * US_PER_SEC);
	fx_turn();
	see_timeout(1);
	ck_assert_uint_eq(task_of(2)->state, TASK_CANCELLED);
	ck_assert_str_eq(task_reason(task_of(2)), "shutdown");
	FX_UNTIL(fx.daemon.done);
	close_all();
}
END_TEST

START_TEST(test_host_that_is_condemned_while_the_daemon_stops_is_not_replaced)
{
	struct fx_host *old;

	open_with(FOUR);
	post(1, POST_SHORT);
	post(1, POST);
	old = host_in(HOSTLINK_SHARED);
	client_say(client, CALL("Shutdown", "\"mode\":\"finish\""));
	fx_turn();
	later(1100 * US_PER_MS);
	later(STUCK_US);
	ck_assert_ptr_eq(host_in(HOSTLINK_CONDEMNED), old);
	ck_assert_str_eq(status()->state, "down");
	ck_assert_uint_eq(fx.n_hosts, 1);
	done(old, 1);
	FX_UNTIL(fx.daemon.done);
	see_timeout(1);
	ck_assert_uint_eq(task_of(2)->state, TASK_DONE);
	close_all();
}
END_TEST

/* --- a pool that leaves, and comes back ------------------------------------------------------------------ */

START_TEST(test_pool_that_comes_back_while_its_host_leaves_gets_another)
{
	struct pool *pool;
	struct fx_host *old;

	open_with(FOUR);
	pool = pool_of("default");
	old = host_in(HOSTLINK_SHARED);
	pool->leaving = true;
	fx_turn();
	host_hear(old);
	ck_assert_uint_eq(old->n_quits, 1);
	pool->leaving = false;
	fx_turn();
	post(1, POST);
	host_hear(old);
	ck_assert_uint_eq(old->n_runs, 0);
	if (_i == 0) {
		host_kill(old);
		host_hang_up(old);
	} else {
		later(6 * US_PER_SEC); /* it does not leave */
	}
	(void)up(HOSTLINK_SHARED);
	fx_turn();
	done(host_in(HOSTLINK_SHARED), 0);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 1);
	FX_UNTIL(kill(old->pid, 0) == -1 && count_links() == 1);
	close_all();
}
END_TEST

/* --- what all of them are told, and what is told of them -------------------------------------------------- */

START_TEST(test_resize_is_told_to_the_shared_host_only)
{
	struct fx_host *old, *alone, *fresh;

	open_with_suspects(2);
	old = up(HOSTLINK_SHARED);
	alone = up(HOSTLINK_ALONE);
	post(1, POST_SHORT);
	post(1, POST);
	later(1100 * US_PER_MS);
	later(STUCK_US);
	fresh = up(HOSTLINK_SHARED);
	ck_assert_ptr_eq(host_in(HOSTLINK_CONDEMNED), old);
	ck_assert_uint_eq(count_links(), 3);
	post(1, CALL("Resize", "\"workers\":7"));
	host_hear(old);
	host_hear(alone);
	host_hear(fresh);
	ck_assert_uint_eq(old->n_resizes, 0);
	ck_assert_uint_eq(alone->n_resizes, 0);
	ck_assert_uint_eq(fresh->n_resizes, 1);
	ck_assert_uint_eq(fresh->workers, 7);
	ck_assert_uint_eq(alone->workers, 1);
	close_all();
}
END_TEST

/* Notices, in order: + a host that started, - one that is gone. */
static struct {
	char text[256];
	size_t len;
} story;

static void on_settled(struct watch *watch, struct task *task, int error)
{
	const struct board *board = fx.daemon.board;

	(void)watch;
	(void)task;
	(void)error;
	for (size_t i = 0; i < board->n_notices; i++) {
		const struct notice *notice = &board->notices[i];
		size_t n = 0;

		if (notice->kind != NOTICE_HOST_STARTED && notice->kind != NOTICE_HOST_GONE)
			continue;
		ck_assert_ptr_eq(notice->pool, pool_of("default"));
		while (n < fx.n_hosts && (uint64_t)fx.hosts[n].pid != notice->number)
			n++;
		ck_assert_uint_lt(n, fx.n_hosts);
		story.len += (size_t)snprintf(story.text + story.len, sizeof story.text - story.len,
			"%s%zu", notice->kind == NOTICE_HOST_STARTED ? "+" : "-", n);
	}
}

static void on_changed(struct watch *watch, struct task *task, int error)
{
	(void)watch;
	(void)task;
	(void)error;
}

START_TEST(test_every_start_and_end_of_a_host_is_noticed)
{
	struct watch settled = {.fire = on_settled}, changed = {.fire = on_changed};
	struct fx_host *host = open_with_tasks(2);

	watch_add(&fx.daemon.board->settled, &settled);
	watch_add(&fx.daemon.board->changed, &changed);
	host_kill(host); /* its end as a process is seen, that of its descriptor not yet */
	(void)up(HOSTLINK_SHARED);
	(void)up(HOSTLINK_ALONE);
	fx_turn();
	done(host_in(HOSTLINK_ALONE), 0);
	done(host_in(HOSTLINK_ALONE), 1);
	see_alone_leave();
	fx_turn();
	ck_assert_int_eq(story.text[0], '-');
	ck_assert_int_eq(story.text[1], '0');
	ck_assert_uint_eq(count_words(story.text, "+1"), 1);
	ck_assert_uint_eq(count_words(story.text, "+2"), 1);
	ck_assert_uint_eq(count_words(story.text, "-"), 2);
	watch_remove(&settled);
	watch_remove(&changed);
	close_all();
}
END_TEST

/* --- signals ------------------------------------------------------------------------------------------ */

START_TEST(test_host_that_is_stopped_is_told_to_go_on_and_given_up_when_it_is_stopped_again_soon)
{
	struct fx_host *host = open_with_tasks(2);
	const struct hostlink *link = find_link(HOSTLINK_SHARED);

	for (unsigned n = 0; n < 3; n++) {
		uint64_t before_us = link->stopped_us;

		later(2 * US_PER_SEC);
		ck_assert_int_eq(kill(host->pid, SIGSTOP), 0);
		FX_UNTIL(link->stopped_us > before_us); /* it has gone on since the last time */
		ck_assert_int_eq(link->state, HOSTLINK_UP);
	}
	ck_assert_int_eq(kill(host->pid, SIGSTOP), 0);
	FX_UNTIL(find_link(HOSTLINK_ALONE) != NULL);
	ck_assert_uint_eq(counters()->crashed, 2);
	ck_assert_int_eq(started(HOSTLINK_SHARED)->pid != host->pid, true);
	FX_UNTIL(kill(host->pid, 0) == -1);
	close_all();
}
END_TEST

/* --- plugins ------------------------------------------------------------------------------------------ */

#define PLUGIN                                                                                     \
	"[pool default]\nworkers = 2\n[pool other]\nworkers = 2\n"                                 \
	"[handler p]\ntype = plugin\nmodule = /p.so\npool = other\n"
#define STATS CALL("Stats", "\"pool\":\"other\"")

static const char *answer(const char *call)
{
	client_say(client, call);
	fx_turn();
	return client_hear(client);
}

static void say_starting(struct fx_host *host, const char *handler)
{
	host_say(host, &(struct hostmsg){.type = HOSTMSG_HELLO,
			       .hello = {HOSTMSG_VERSION, (uint32_t)host->pid}});
	host_say(host, &(struct hostmsg){.type = HOSTMSG_STARTING, .starting = {view_of(handler)}});
}

/* It could bring them down. */
START_TEST(test_plugin_is_told_to_the_hosts_of_its_own_pool_only)
{
	open_with(PLUGIN);
	ck_assert_uint_eq(host_of("default")->n_handlers, 4);
	ck_assert_uint_eq(host_of("other")->n_handlers, 5);
	close_all();
}
END_TEST

START_TEST(test_host_that_does_not_come_up_is_told_with_what_it_was_about_to_start)
{
	struct fx_host *host;

	fx_start(PLUGIN);
	host_up(host_of("default"));
	host = host_of("other");
	say_starting(host, "p");
	FX_UNTIL(link_of("other")->starting > 0);
	later(4 * US_PER_SEC); /* the daemon's patience */
	FX_UNTIL(fx.daemon.is_serving);
	client = client_open();
	ck_assert_uint_eq(count_words(answer(STATS), "host_error"), 0);
	host_hang_up(host);
	FX_UNTIL(link_of("other")->trouble[0] != '\0');
	ck_assert_str_eq(link_of("other")->trouble, "it died while handler \"p\" was starting");
	ck_assert_uint_eq(
		count_words(answer(STATS),
			"\"host_error\":\"it died while handler \\\"p\\\" was starting\""),
		1);
	ck_assert_uint_eq(count_words(answer(CALL("Post", "\"handler\":\"p\"")), "NotReady"), 1);
	ck_assert(!fx.daemon.is_ready);
	/* The next one hangs in it, and the one after that before it. */
	FX_UNTIL(fx.n_hosts == 3);
	say_starting(host_of("other"), "p");
	FX_UNTIL(link_of("other")->starting > 0);
	later(11 * US_PER_SEC);
	FX_UNTIL(link_of("other")->state == HOSTLINK_DOWN || fx.n_hosts == 4);
	fx_turn();
	ck_assert(
		fx.daemon.is_ready); /* the other pool works; this one is not waited for any more */
	ck_assert_str_eq(link_of("other")->trouble,
		"it did not get ready in 10 s while handler \"p\" was starting");
	later(6 * US_PER_SEC);
	FX_UNTIL(fx.n_hosts == 4);
	host_kill(host_of("other"));
	FX_UNTIL(strcmp(link_of("other")->trouble, "it ended") == 0);
	later(6 * US_PER_SEC);
	FX_UNTIL(fx.n_hosts == 5);
	host_up(host_of("other"));
	FX_UNTIL(link_of("other")->state == HOSTLINK_UP);
	ck_assert_uint_eq(count_words(answer(STATS), "host_error"), 0);
	close_all();
}
END_TEST

/* What no host says: a handler that is not configured, and one that starts when all have. */
START_TEST(test_host_that_starts_what_it_has_not_is_given_up)
{
	fx_start(PLUGIN);
	say_starting(host_of("default"), "nobody");
	FX_UNTIL(fx.n_hosts == 3);
	host_up(host_of("other"));
	FX_UNTIL(link_of("other")->state == HOSTLINK_UP);
	host_say(host_of("other"),
		&(struct hostmsg){.type = HOSTMSG_STARTING, .starting = {VIEW_LIT("p")}});
	FX_UNTIL(link_of("other")->state != HOSTLINK_UP);
	fx_close();
}
END_TEST

static void say_up(struct fx_host *host, const char *why)
{
	say_starting(host, "p");
	if (why != NULL)
		host_say(host, &(struct hostmsg){.type = HOSTMSG_REFUSED,
				       .refused = {VIEW_LIT("p"), view_of(why)}});
	else
		host_say(host, &(struct hostmsg){.type = HOSTMSG_OFFER,
				       .offer = {VIEW_LIT("p"), VIEW_LIT("a plugin"), 0}});
	host_say(host, &(struct hostmsg){.type = HOSTMSG_READY, .ready = {2}});
	FX_UNTIL(link_of("other")->state == HOSTLINK_UP);
}

static void restart(void)
{
	size_t n = fx.n_hosts;

	fx_pass(2 * US_PER_SEC);
	host_hang_up(host_of("other"));
	FX_UNTIL(fx.n_hosts > n);
}

/* It was there, is not, and comes back: posts are refused while its host would fail them. */
START_TEST(test_plugin_that_a_later_host_refuses_takes_no_posts)
{
	const char *post_p = CALL("Post", "\"handler\":\"p\"");
	const char *text;

	fx_start(PLUGIN);
	host_up(host_of("default"));
	say_up(host_of("other"), NULL);
	FX_UNTIL(fx.daemon.is_ready);
	client = client_open();
	ck_assert_uint_eq(count_words(answer(post_p), "\"id\""), 1);
	done(host_of("other"), 0);
	ck_assert_uint_eq(
		count_words(answer(CALL("Post", "\"handler\":\"p\",\"pool\":\"default\"")),
			"runs in its own pool only"),
		1);
	restart();
	say_up(host_of("other"), "module \"/p.so\": gone");
	text = answer(post_p);
	ck_assert_msg(count_words(text, "NotReady") == 1 &&
			      count_words(text, "\"reason\":\"module \\\"/p.so\\\": gone\"") == 1,
		"%s", text);
	text = answer(STATS);
	ck_assert_msg(
		count_words(text, "\"host_error\":\"handler \\\"p\\\": module") == 1, "%s", text);
	ck_assert_uint_eq(count_words(answer(CALL("Handlers", "")), "\"refused\":\"module"), 1);
	restart();
	say_up(host_of("other"), NULL);
	ck_assert_uint_eq(count_words(answer(post_p), "\"id\""), 1);
	done(host_of("other"), 0);
	ck_assert_uint_eq(count_words(answer(STATS), "host_error"), 0);
	ck_assert(!fx.daemon.done);
	close_all();
}
END_TEST

/* Before the socket is served it is a mistake in the configuration. */
START_TEST(test_plugin_that_the_first_host_refuses_ends_the_daemon)
{
	fx_start(PLUGIN);
	say_starting(host_of("other"), "p");
	host_say(host_of("other"), &(struct hostmsg){.type = HOSTMSG_REFUSED,
					   .refused = {VIEW_LIT("p"), VIEW_LIT("no")}});
	FX_UNTIL(fx.daemon.done);
	ck_assert_int_eq(fx.daemon.exit_code, 78);
	fx_close();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		test_tasks_of_a_host_that_died_run_alone_one_by_one_and_nothing_counts_against_them,
		test_task_that_kills_its_host_alone_ends_as_crashed_and_the_others_as_done,
		test_task_that_was_the_only_one_in_its_host_has_a_crash_and_runs_again_alone,
		test_host_for_suspects_that_dies_at_its_start_comes_again_after_ever_longer_pauses,
		test_host_for_suspects_that_does_not_get_ready_is_replaced,
		test_suspects_wait_while_no_host_can_be_started_for_them_and_the_pool_goes_on,
		test_suspects_wait_for_the_shared_host_though_theirs_is_up,
		test_suspect_outlives_the_shared_host_that_dies_beside_it,
		test_host_for_suspects_that_is_idle_takes_the_next_suspect,
		test_suspect_that_comes_while_the_host_for_suspects_leaves_gets_another,
		test_host_for_suspects_leaves_when_the_suspects_were_cancelled_while_it_started,
		test_host_for_suspects_that_nobody_needs_any_more_is_not_started_again,
		test_paused_pool_keeps_no_host_for_its_suspects,
		test_start_of_a_suspect_that_is_not_written_is_taken_back,
		test_host_for_suspects_has_a_word_in_its_own_task_only,
		test_stop_while_the_host_for_suspects_starts,
		test_stop_while_the_host_for_suspects_waits_for_its_next_start,
		test_stop_while_the_host_for_suspects_leaves,
		test_stop_that_keeps_suspects_for_the_next_start_keeps_no_host_for_them,
		test_drain_waits_for_suspects_and_their_host_may_start,
		test_host_with_a_stuck_task_is_condemned_and_a_fresh_one_takes_over_at_once,
		test_condemned_host_s_others_get_a_minute_and_then_go_back_without_blame,
		test_condemned_host_that_dies_by_itself_makes_its_others_suspects,
		test_fresh_host_that_dies_while_it_starts_beside_a_condemned_one_comes_again,
		test_stuck_task_that_ends_after_all_ends_once_and_its_host_goes,
		test_second_stuck_task_of_a_condemned_host_is_not_waited_for,
		test_fresh_host_may_be_condemned_too,
		test_host_with_a_stuck_suspect_is_killed_at_once,
		test_cancelled_task_that_does_not_end_is_cancelled_with_its_host,
		test_stop_waits_for_the_others_of_a_condemned_host,
		test_stop_kills_a_condemned_host_and_the_one_that_starts_beside_it,
		test_host_that_is_condemned_while_the_daemon_stops_is_not_replaced,
		test_resize_is_told_to_the_shared_host_only,
		test_every_start_and_end_of_a_host_is_noticed,
		test_host_that_is_stopped_is_told_to_go_on_and_given_up_when_it_is_stopped_again_soon,
		test_plugin_is_told_to_the_hosts_of_its_own_pool_only,
		test_host_that_does_not_come_up_is_told_with_what_it_was_about_to_start,
		test_host_that_starts_what_it_has_not_is_given_up,
		test_plugin_that_a_later_host_refuses_takes_no_posts,
		test_plugin_that_the_first_host_refuses_ends_the_daemon,
	};
	const struct fx_loop loops[] = {
		{test_stop_waits_for_the_suspect_that_runs_and_starts_no_host_for_another, 2},
		{test_pool_that_comes_back_while_its_host_leaves_gets_another, 2},
		{test_host_with_nothing_but_stuck_tasks_is_killed_at_once, 4},
	};

	return fx_main("hosts", tests, ARRAY_SIZE(tests), loops, ARRAY_SIZE(loops));
}
