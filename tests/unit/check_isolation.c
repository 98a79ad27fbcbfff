/*
 * check_isolation: a pool with isolation = task, whose workers have a host each. Which are started, when, and how many at
 * once; that one that dies takes its own task only; that starts which fail are tried by one for all; and what becomes of
 * them when the pool is resized, left, stopped, or gets the other isolation. With hosts that the test plays.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon_fixture.h"

#define HANDLER  "[handler noop]\nkill_after = 100ms\nbackoff_min = 5s\n"
#define FOUR     "[pool default]\nworkers = 4\nisolation = task\n" HANDLER
#define TEN      "[pool default]\nworkers = 10\nisolation = task\n" HANDLER
#define SHARED   "[pool default]\nworkers = 4\n" HANDLER
#define STUCK_US (2200 * US_PER_MS) /* kill_after and what comes after */
#define MAX      4                  /* hosts that start at once */
/* With a time limit that ends while the others have none. */
#define POST_SHORT CALL("Post", "\"handler\":\"noop\",\"timeout_ms\":1000")

static int client;

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

static struct hostlink *link_at(uint32_t worker)
{
	struct hosts *hosts = pool_of("default")->hosts;

	return worker < hosts->n_own ? hosts->own[worker] : NULL;
}

/* The process behind a worker. */
static struct fx_host *host_at(uint32_t worker)
{
	const struct hostlink *link = link_at(worker);

	ck_assert_ptr_nonnull(link);
	for (size_t i = 0; i < fx.n_hosts; i++)
		if (fx.hosts[i].pid == link->last_pid) {
			host_hear(&fx.hosts[i]);
			return &fx.hosts[i];
		}
	ck_abort_msg("no host behind worker %u", worker);
}

static unsigned count_links(void)
{
	struct hostlink *link;
	unsigned n = 0;

	TAILQ_FOREACH (link, &fx.daemon.links, link)
		n++;
	return n;
}

static uint32_t count_starting(void)
{
	struct hostlink *link;
	uint32_t n = 0;

	TAILQ_FOREACH (link, &fx.daemon.links, link)
		n += link->state == HOSTLINK_STARTING;
	return n;
}

/* Whoever starts is READY at once, until all of them are. */
static void all_up(void)
{
	static size_t said[FX_HOSTS];

	memset(said, 0, sizeof said);
	for (uint64_t since_us = fx_real_us(); status()->n_up < status()->n;) {
		struct hostlink *link;

		ck_assert_uint_lt(fx_real_us() - since_us, FX_WAIT_US);
		TAILQ_FOREACH (link, &fx.daemon.links, link)
			for (size_t i = 0; i < fx.n_hosts; i++)
				if (fx.hosts[i].pid == link->last_pid && said[i]++ == 0 &&
					link->state == HOSTLINK_STARTING)
					host_up(&fx.hosts[i]);
		(void)fx_turn_wakes(2 * US_PER_MS);
	}
}

static void open_with(const char *config)
{
	fx_start(config);
	all_up();
	FX_UNTIL(fx.daemon.is_ready);
	client = client_open();
}

static void post(unsigned n, const char *call)
{
	while (n-- > 0) {
		client_say(client, call);
		fx_turn();
	}
	(void)client_hear(client);
}

static void done(struct fx_host *host)
{
	host_hear(host);
	host_done(host, host->n_runs - 1, OUTCOME_OK, "{}");
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

static const struct task *task_of(uint64_t id)
{
	const struct task *task = board_find_task(fx.daemon.board, id);

	ck_assert_ptr_nonnull(task);
	return task;
}

static uint32_t worker_of(uint64_t id)
{
	ck_assert_ptr_nonnull(task_of(id)->slot);
	return task_of(id)->slot->id;
}

static void up(uint32_t worker)
{
	FX_UNTIL(link_at(worker) != NULL && link_at(worker)->state == HOSTLINK_STARTING);
	host_up(host_at(worker));
	FX_UNTIL(link_at(worker)->state == HOSTLINK_UP);
}

/* Its process is gone, and has been waited for. */
static void die(uint32_t worker)
{
	struct fx_host *host = host_at(worker);

	host_hang_up(host);
	FX_UNTIL(kill(host->pid, 0) == -1);
}

/* --- starts --------------------------------------------------------------------------------------- */

START_TEST(test_each_worker_has_a_host_and_some_start_at_a_time)
{
	fx_start(TEN);
	for (uint32_t n_up = 0; n_up <= 10; n_up++) {
		uint32_t n_started = n_up + MAX < 10 ? n_up + MAX : 10;

		FX_UNTIL(fx.n_hosts == n_started && status()->n_up == n_up);
		for (unsigned i = 0; i < 5; i++)
			fx_turn();
		ck_assert_uint_eq(fx.n_hosts, n_started);
		ck_assert_uint_eq(fx.daemon.is_ready, n_up == 10);
		ck_assert_str_eq(status()->state, n_up < 10 ? "starting" : "up");
		ck_assert_uint_eq(pool_of("default")->slots.n_free, n_up);
		if (n_up < 10)
			host_up(&fx.hosts[n_up]);
	}
	for (size_t i = 0; i < 10; i++) {
		host_hear(&fx.hosts[i]);
		ck_assert_uint_eq(fx.hosts[i].workers, 1);
		ck_assert_ptr_eq(host_at((uint32_t)i), &fx.hosts[i]);
	}
	ck_assert_uint_eq(status()->restarts, 0);
	fx_close();
}
END_TEST

START_TEST(test_one_start_a_turn)
{
	fx_start(TEN); /* with one turn */
	for (size_t n = 1; n <= MAX; n++) {
		ck_assert_uint_eq(fx.n_hosts, n);
		ck_assert_uint_eq(fx.daemon.awake, n < MAX);
		fx_turn();
	}
	ck_assert_uint_eq(fx.n_hosts, MAX);
	fx_close();
}
END_TEST

START_TEST(test_workers_whose_host_is_up_work_while_others_start)
{
	fx_start(FOUR);
	FX_UNTIL(fx.n_hosts == 4);
	later(4 * US_PER_SEC); /* the socket is served all the same */
	client = client_open();
	host_up(&fx.hosts[2]);
	FX_UNTIL(status()->n_up == 1);
	ck_assert(!fx.daemon.is_ready);
	post(2, POST);
	ck_assert_uint_eq(worker_of(1), 2);
	ck_assert_uint_eq(count_of("default", TASK_QUEUED), 1);
	host_up(&fx.hosts[0]);
	FX_UNTIL(count_of("default", TASK_QUEUED) == 0);
	ck_assert_uint_eq(worker_of(2), 0);
	host_hear(&fx.hosts[0]);
	ck_assert_uint_eq(fx.hosts[0].runs[0].worker, 0);
	done(&fx.hosts[0]);
	done(&fx.hosts[2]);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 2);
	close_all();
}
END_TEST

/* --- deaths --------------------------------------------------------------------------------------- */

START_TEST(test_host_that_dies_takes_its_own_task_only)
{
	open_with(FOUR);
	fx_pass(2 * US_PER_SEC);
	post(4, POST);
	ck_assert_uint_eq(count_of("default", TASK_ACTIVE), 4);
	die(worker_of(2));
	ck_assert_uint_eq(task_of(2)->crashes, 1);
	ck_assert(!task_of(2)->suspect);
	ck_assert_uint_eq(task_of(2)->state, TASK_DELAYED); /* backoff_min */
	for (uint64_t id = 1; id <= 4; id++)
		ck_assert(id == 2 ||
			  (task_of(id)->state == TASK_ACTIVE && task_of(id)->attempt == 1));
	up(1);
	later(6 * US_PER_SEC);
	ck_assert_uint_eq(task_of(2)->attempt, 2);
	ck_assert_uint_eq(worker_of(2), 1);
	for (uint32_t worker = 0; worker < 4; worker++)
		done(host_at(worker));
	ck_assert_uint_eq(count_of("default", TASK_DONE), 4);
	ck_assert_uint_eq(counters()->crashed, 1);
	ck_assert_uint_eq(counters()->retried, 1);
	ck_assert_uint_eq(counters()->returned, 0);
	ck_assert_uint_eq(status()->restarts, 1);
	ck_assert_uint_eq(fx.n_hosts, 5); /* and none for suspects */
	close_all();
}
END_TEST

START_TEST(test_task_that_crashes_crash_max_times_has_failed)
{
	open_with(FOUR);
	post(1, POST);
	die(worker_of(1));
	later(6 * US_PER_SEC);
	ck_assert_uint_ne(worker_of(1), 0); /* whose host is not there yet */
	die(worker_of(1));
	ck_assert_uint_eq(task_of(1)->state, TASK_FAILED);
	ck_assert_str_eq(task_reason(task_of(1)), "crashed");
	all_up();
	ck_assert_uint_eq(pool_of("default")->slots.n_free, 4);
	close_all();
}
END_TEST

START_TEST(test_tasks_that_crash_hold_up_no_other_worker_s_host)
{
	open_with(TEN);
	post(10, POST);
	for (uint32_t worker = 0; worker < 6; worker++)
		die(worker);
	/* They have not lasted, but it is their tasks that are to blame: all come at once. */
	FX_UNTIL(count_starting() == MAX);
	ck_assert_str_eq(status()->why, "");
	all_up();
	ck_assert_uint_eq(status()->restarts, 6);
	close_all();
}
END_TEST

START_TEST(test_worker_whose_host_dies_with_each_task_gets_its_next_one_ever_later)
{
	uint64_t waited_us = 0;

	open_with("[pool default]\nworkers = 1\nisolation = task\n[handler noop]\ncrash_max = 1\n");
	for (unsigned n = 1; n < 8; n++) {
		uint64_t pause_us = 0;

		post(1, POST);
		ck_assert_uint_eq(count_of("default", TASK_ACTIVE), 1);
		die(0);
		for (; link_at(0)->state == HOSTLINK_DOWN; pause_us += 20 * US_PER_MS)
			later(20 * US_PER_MS);
		ck_assert_uint_ge(pause_us + 20 * US_PER_MS, waited_us);
		waited_us = pause_us;
		up(0);
	}
	ck_assert_uint_ge(waited_us, US_PER_SEC);
	close_all();
}
END_TEST

START_TEST(test_worker_whose_host_has_ended_a_task_gets_its_next_one_at_once)
{
	open_with("[pool default]\nworkers = 1\nisolation = task\n[handler noop]\ncrash_max = 1\n");
	for (unsigned n = 1; n < 8; n++) {
		post(2, POST);
		done(host_at(0));
		ck_assert_uint_eq(count_of("default", TASK_ACTIVE), 1);
		die(0);
		up(0); /* no time has passed */
	}
	ck_assert_uint_eq(count_of("default", TASK_DONE), 7);
	ck_assert_uint_eq(count_of("default", TASK_FAILED), 7);
	close_all();
}
END_TEST

START_TEST(test_stuck_task_s_host_is_killed_and_replaced_at_once)
{
	struct fx_host *old;
	size_t n;

	open_with(FOUR);
	post(1, POST_SHORT);
	post(3, POST);
	old = host_at(worker_of(1));
	later(1100 * US_PER_MS);
	host_hear(old);
	ck_assert_uint_eq(old->n_cancels, 1);
	n = fx.n_hosts;
	later(STUCK_US);
	ck_assert_uint_eq(
		fx.n_hosts, n + 1); /* though the end of the old one has not been seen yet */
	FX_UNTIL(kill(old->pid, 0) == -1 && count_links() == 4);
	ck_assert_uint_eq(task_of(1)->state, TASK_FAILED);
	ck_assert_str_eq(task_reason(task_of(1)), "timeout");
	ck_assert_uint_eq(count_of("default", TASK_ACTIVE), 3);
	ck_assert_uint_eq(counters()->returned, 0);
	ck_assert_uint_eq(status()->restarts, 1);
	all_up();
	ck_assert_uint_eq(pool_of("default")->slots.n_free, 1);
	close_all();
}
END_TEST

START_TEST(test_start_that_is_not_written_is_taken_back)
{
	struct fx_host *host;

	open_with(FOUR);
	fx.store_error = -EIO;
	post(1, POST);
	ck_assert_uint_eq(count_of("default", TASK_ACTIVE), 0);
	fx.store_error = 0;
	later(2 * US_PER_SEC);
	post(1, POST);
	ck_assert_uint_eq(count_of("default", TASK_ACTIVE), 1);
	host = host_at(pool_of("default")->slots.all[0]->state == SLOT_BUSY ? 0 : worker_of(2));
	ck_assert_uint_eq(host->n_runs, 1);
	done(host);
	ck_assert_uint_eq(count_of("default", TASK_DONE), 1);
	close_all();
}
END_TEST

START_TEST(test_host_has_a_word_in_its_own_task_only)
{
	struct fx_host *first, *second;

	open_with(FOUR);
	post(2, POST);
	first = host_at(worker_of(1));
	second = host_at(worker_of(2));
	host_say(second, &(struct hostmsg){.type = HOSTMSG_DONE,
				 .done = {1, 1, first->runs[0].worker, OUTCOME_OK, VIEW_LIT(""),
					 VIEW_LIT("{}")}});
	FX_UNTIL(counters()->crashed == 1); /* its own */
	ck_assert_uint_eq(task_of(1)->state, TASK_ACTIVE);
	done(first);
	ck_assert_uint_eq(task_of(1)->state, TASK_DONE);
	close_all();
}
END_TEST

/* --- starts that fail ------------------------------------------------------------------------------- */

START_TEST(test_when_all_hosts_die_at_their_start_one_tries_for_all_ever_more_rarely)
{
	size_t n_first, n;

	fx_start(TEN);
	FX_UNTIL(fx.n_hosts == MAX);
	for (size_t i = 0; i < fx.n_hosts && fx.n_hosts < 30; i++) {
		host_hang_up(&fx.hosts[i]);
		FX_UNTIL(kill(fx.hosts[i].pid, 0) == -1);
		if (i >= MAX)
			ck_assert_uint_le(count_starting(), 1);
	}
	FX_UNTIL(count_starting() == 0);
	n_first = fx.n_hosts;
	ck_assert_uint_le(n_first, MAX + 3);
	ck_assert_str_eq(status()->why, "it died");
	/* A minute of starts that fail at once: one every five seconds in the end. */
	for (unsigned i = 0; i < 600; i++) {
		later(100 * US_PER_MS);
		ck_assert_uint_le(count_starting(), 1);
		for (n = fx.n_hosts; n > 0 && fx.hosts[n - 1].fd >= 0; n--)
			host_hang_up(&fx.hosts[n - 1]);
		FX_UNTIL(count_starting() == 0);
	}
	ck_assert_uint_ge(fx.n_hosts - n_first, 10);
	ck_assert_uint_le(fx.n_hosts - n_first, 20);
	ck_assert_uint_gt(status()->next_at_us, fx.daemon.now_us);
	ck_assert_uint_le(status()->next_at_us, fx.daemon.now_us + 5 * US_PER_SEC);
	fx_close();
}
END_TEST

START_TEST(test_hosts_that_die_together_are_one_failure)
{
	open_with(TEN);
	for (size_t i = 0; i < 10; i++)
		host_hang_up(&fx.hosts[i]);
	FX_UNTIL(status()->n_up == 0);
	ck_assert_uint_eq(((struct hosts *)pool_of("default")->hosts)->failures, 1);
	FX_UNTIL(count_starting() == 1); /* at once */
	all_up();
	close_all();
}
END_TEST

START_TEST(test_when_a_host_has_lasted_after_failures_the_others_follow)
{
	fx_start(TEN);
	fx.spawn_error = -ENOENT;
	FX_UNTIL(fx.n_hosts > 0);
	host_hang_up(&fx.hosts[0]);
	for (unsigned i = 0; i < 100; i++)
		later(100 * US_PER_MS);
	while (fx.n_hosts > 1 && fx.hosts[fx.n_hosts - 1].fd >= 0)
		host_hang_up(&fx.hosts[--fx.n_hosts]);
	ck_assert_str_eq(status()->state, "down");
	ck_assert_str_eq(status()->why, "(a host of the test's own): No such file or directory");
	ck_assert_uint_gt(((struct hosts *)pool_of("default")->hosts)->failures, 5);
	fx.spawn_error = 0;
	later(6 * US_PER_SEC);
	FX_UNTIL(count_starting() == 1);
	host_up(&fx.hosts[fx.n_hosts - 1]);
	FX_UNTIL(status()->n_up == 1);
	ck_assert_str_eq(status()->why, "");
	later(900 * US_PER_MS);
	FX_UNTIL(count_starting() <= 1);
	later(200 * US_PER_MS);
	FX_UNTIL(count_starting() == MAX);
	for (uint32_t worker = 0; worker < 10; worker++)
		ck_assert_uint_eq(link_at(worker)->failures, 0); /* nobody waits for more */
	all_up();
	FX_UNTIL(fx.daemon.is_ready);
	fx_close();
}
END_TEST

static void see_failure(const char *why, const char *retried)
{
	const char *text;

	FX_UNTIL(status()->n_up < status()->n && *status()->why != '\0');
	client_say(client, CALL("Stats", ""));
	fx_turn();
	text = client_hear(client);
	ck_assert_msg(strstr(text, why) != NULL, "%s", text);
	ck_assert_msg(strstr(text, retried) != NULL, "%s", text);
	ck_assert_uint_eq(count_of("default", TASK_QUEUED), 3);
}

/* The pool keeps its queue, says why, goes on trying, and works again. isolation shared, and task. */
static void open_for_failure(int isolated)
{
	if (isolated)
		open_with("[pool default]\nworkers = 1\nisolation = task\n");
	else
		open_with("[pool default]\nworkers = 1\n");
	later(2 * US_PER_SEC);
	post(1, CALL("Pause", ""));
	post(3, POST);
}

static struct fx_host *last_host(void)
{
	return &fx.hosts[fx.n_hosts - 1];
}

static void see_recovery(void)
{
	FX_UNTIL((fx_pass(100 * US_PER_MS), count_starting() == 1));
	host_up(last_host());
	FX_UNTIL(status()->n_up == 1);
	ck_assert_str_eq(status()->why, "");
	for (unsigned i = 0; i < 3; i++)
		done(last_host());
	ck_assert_uint_eq(count_of("default", TASK_DONE), 3);
	close_all();
}

/* It dies, and the next start has begun. */
static void restart(void)
{
	host_hang_up(last_host());
	post(1, CALL("Resume", ""));
	FX_UNTIL(count_starting() == 1);
}

START_TEST(test_host_program_that_is_missing)
{
	open_for_failure(_i);
	fx.spawn_error = -ENOENT;
	host_hang_up(last_host());
	post(1, CALL("Resume", ""));
	for (unsigned i = 0; i < 40; i++)
		later(US_PER_SEC);
	see_failure("\"host\":\"down\"",
		"\"host_error\":\"(a host of the test's own): No such file or directory\"");
	ck_assert_uint_le(status()->restarts, 20);
	fx.spawn_error = 0;
	see_recovery();
}
END_TEST

START_TEST(test_host_of_another_version)
{
	open_for_failure(_i);
	restart();
	host_say(last_host(),
		&(struct hostmsg){.type = HOSTMSG_HELLO, .hello = {HOSTMSG_VERSION + 1, 1}});
	see_failure("\"host_retry_ms\":", "workpool-host speaks version ");
	see_recovery();
}
END_TEST

START_TEST(test_host_that_makes_no_sense_as_it_starts)
{
	open_for_failure(_i);
	restart();
	host_say(last_host(),
		&(struct hostmsg){.type = HOSTMSG_READY, .ready = {1}}); /* without a HELLO */
	see_failure("\"host_retry_ms\":", "it sent what makes no sense (READY, Protocol error)");
	see_recovery();
}
END_TEST

START_TEST(test_host_that_is_not_ready_in_time)
{
	open_for_failure(_i);
	restart();
	later(11 * US_PER_SEC);
	see_failure("\"host_retry_ms\":", "it did not get ready in 10 s");
	see_recovery();
}
END_TEST

/* --- sizes ----------------------------------------------------------------------------------------- */

START_TEST(test_pool_that_grows_starts_hosts_and_one_that_shrinks_lets_them_leave)
{
	struct fx_host *idle, *busy;

	open_with(FOUR);
	post(1, CALL("Resize", "\"workers\":6"));
	ck_assert_uint_eq(status()->n, 6);
	ck_assert_str_eq(status()->state, "starting");
	all_up();
	ck_assert_uint_eq(pool_of("default")->slots.n_free, 6);
	post(6, POST);
	busy = host_at(4);
	idle = host_at(5);
	done(idle);
	post(1, CALL("Resize", "\"workers\":2"));
	host_hear(idle);
	host_hear(busy);
	ck_assert_uint_eq(idle->n_quits, 1); /* at once */
	ck_assert_uint_eq(busy->n_quits, 0); /* after its task */
	ck_assert_uint_eq(pool_of("default")->slots.n_leaving, 3);
	ck_assert_str_eq(status()->state, "up");
	ck_assert_uint_eq(status()->n, 2);
	done(busy);
	host_hear(busy);
	ck_assert_uint_eq(busy->n_quits, 1);
	host_kill(idle); /* a real one ends with status 0 */
	FX_UNTIL(kill(idle->pid, 0) == -1);
	later(6 * US_PER_SEC); /* this one does not leave */
	FX_UNTIL(kill(busy->pid, 0) == -1);
	done(host_at(2));
	done(host_at(3));
	later(6 * US_PER_SEC);
	FX_UNTIL(count_links() == 2);
	ck_assert_uint_eq(count_of("default", TASK_ACTIVE), 2);
	ck_assert_uint_eq(counters()->crashed, 0);
	ck_assert_uint_eq(status()->restarts, 0);
	ck_assert_uint_eq(fx.n_hosts, 6);
	close_all();
}
END_TEST

START_TEST(test_pool_that_grows_again_keeps_the_hosts_that_were_still_busy)
{
	struct fx_host *host;

	open_with(FOUR);
	post(4, POST);
	host = host_at(3);
	post(1, CALL("Resize", "\"workers\":1"));
	ck_assert_uint_eq(pool_of("default")->slots.n_leaving, 3);
	post(1, CALL("Resize", "\"workers\":4"));
	post(1, POST);
	done(host);
	ck_assert_uint_eq(worker_of(5), 3);
	ck_assert_ptr_eq(host_at(3), host);
	ck_assert_uint_eq(host->n_runs, 2);
	ck_assert_uint_eq(host->n_quits, 0);
	ck_assert_uint_eq(fx.n_hosts, 4);
	close_all();
}
END_TEST

START_TEST(test_worker_that_comes_back_while_its_host_leaves_gets_another_at_once)
{
	struct fx_host *old;

	open_with(FOUR);
	old = host_at(3);
	post(1, CALL("Resize", "\"workers\":3"));
	host_hear(old);
	ck_assert_uint_eq(old->n_quits, 1);
	post(1, CALL("Resize", "\"workers\":4"));
	up(3);
	ck_assert_ptr_ne(host_at(3), old);
	post(4, POST);
	ck_assert_uint_eq(count_of("default", TASK_ACTIVE), 4);
	host_hear(old);
	ck_assert_uint_eq(old->n_runs, 0);
	ck_assert_uint_eq(status()->restarts, 0);
	close_all();
}
END_TEST

START_TEST(test_host_that_starts_while_its_worker_goes_is_told_to_leave_when_it_is_up)
{
	struct fx_host *host;

	open_with(FOUR);
	post(1, CALL("Resize", "\"workers\":5"));
	FX_UNTIL(link_at(4) != NULL && link_at(4)->state == HOSTLINK_STARTING);
	host = host_at(4);
	post(1, CALL("Resize", "\"workers\":4"));
	ck_assert_uint_eq(pool_of("default")->slots.n_free, 4);
	host_up(host);
	FX_UNTIL((host_hear(host), host->n_quits == 1));
	ck_assert_uint_eq(pool_of("default")->slots.n_free, 4);
	host_kill(host);
	FX_UNTIL(count_links() == 4);
	close_all();
}
END_TEST

START_TEST(test_host_that_died_while_its_worker_goes_is_not_replaced)
{
	open_with(FOUR);
	post(4, POST);
	post(1, CALL("Resize", "\"workers\":3"));
	die(3);
	FX_UNTIL(count_links() == 3);
	ck_assert_uint_eq(fx.n_hosts, 4);
	ck_assert_str_eq(status()->state, "up");
	close_all();
}
END_TEST

START_TEST(test_resize_is_told_to_no_host)
{
	open_with(FOUR);
	post(1, CALL("Resize", "\"workers\":7"));
	all_up();
	for (uint32_t worker = 0; worker < 7; worker++) {
		ck_assert_uint_eq(host_at(worker)->n_resizes, 0);
		ck_assert_uint_eq(host_at(worker)->workers, 1);
	}
	close_all();
}
END_TEST

START_TEST(test_pool_that_leaves_lets_its_hosts_go_with_its_last_task)
{
	struct fx_host *hosts[4];

	open_with(FOUR);
	for (uint32_t worker = 0; worker < 4; worker++)
		hosts[worker] = host_at(worker);
	post(2, POST);
	pool_of("default")->leaving = true;
	fx_turn();
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq((host_hear(hosts[i]), hosts[i]->n_quits), 0);
	done(host_at(worker_of(1)));
	done(host_at(worker_of(2)));
	fx_turn();
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_uint_eq((host_hear(hosts[i]), hosts[i]->n_quits), 1);
		host_kill(hosts[i]);
	}
	FX_UNTIL(count_links() == 0);
	/* It comes back. */
	pool_of("default")->leaving = false;
	all_up();
	ck_assert_uint_eq(pool_of("default")->slots.n_free, 4);
	ck_assert_uint_eq(fx.n_hosts, 8);
	close_all();
}
END_TEST

/* --- stops ----------------------------------------------------------------------------------------- */

static void see_all_leave(void)
{
	struct hostlink *link;

	FX_UNTIL(fx.daemon.is_leaving);
	fx_turn();
	TAILQ_FOREACH (link, &fx.daemon.links, link)
		for (size_t i = 0; i < fx.n_hosts; i++)
			if (fx.hosts[i].pid == link->pid) {
				host_hear(&fx.hosts[i]);
				ck_assert_uint_eq(fx.hosts[i].n_quits, 1);
				host_kill(&fx.hosts[i]);
			}
	FX_UNTIL(fx.daemon.done);
	ck_assert_int_eq(fx.daemon.exit_code, 0);
}

START_TEST(test_stop_waits_for_all_tasks_and_starts_no_host)
{
	size_t n;

	open_with(FOUR);
	post(3, POST);
	client_say(client, CALL("Shutdown", "\"mode\":\"finish\""));
	fx_turn();
	n = fx.n_hosts;
	die(worker_of(2)); /* no second attempt while the daemon stops */
	ck_assert_uint_eq(count_of("default", TASK_FAILED), 1);
	for (unsigned i = 0; i < 5; i++)
		later(10 * US_PER_MS);
	ck_assert_uint_eq(fx.n_hosts, n);
	ck_assert(!fx.daemon.is_leaving);
	done(host_at(worker_of(1)));
	done(host_at(worker_of(3)));
	see_all_leave();
	ck_assert_uint_eq(count_of("default", TASK_DONE), 2);
	ck_assert_uint_eq(fx.n_hosts, n);
	close_all();
}
END_TEST

START_TEST(test_drain_starts_hosts_that_are_needed)
{
	open_with("[pool default]\nworkers = 1\nisolation = task\n[handler noop]\ncrash_max = 1\n");
	later(2 * US_PER_SEC);
	post(2, POST);
	client_say(client, CALL("Shutdown", "\"mode\":\"drain\""));
	fx_turn();
	die(0);
	up(0);
	fx_turn();
	done(host_at(0));
	ck_assert_uint_eq(count_of("default", TASK_DONE), 1);
	see_all_leave();
	close_all();
}
END_TEST

START_TEST(test_stop_while_hosts_start)
{
	fx_start(TEN);
	FX_UNTIL(fx.n_hosts == MAX);
	later(4 * US_PER_SEC);
	client = client_open();
	client_say(client, CALL("Shutdown", "\"mode\":\"finish\""));
	fx_turn();
	see_all_leave();
	ck_assert_uint_eq(fx.n_hosts, MAX);
	close_all();
}
END_TEST

START_TEST(test_stop_kills_hosts_whose_tasks_do_not_end)
{
	open_with(FOUR);
	post(4, POST);
	client_say(client, CALL("Shutdown", "\"mode\":\"now\""));
	fx_turn();
	for (uint32_t worker = 0; worker < 4; worker++)
		ck_assert_uint_eq(host_at(worker)->n_cancels, 1);
	later(10 * US_PER_SEC);
	FX_UNTIL(fx.daemon.done);
	ck_assert_uint_eq(count_of("default", TASK_CANCELLED), 4);
	close_all();
}
END_TEST

/* --- the other isolation ------------------------------------------------------------------------------ */

static void reload(const char *config)
{
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/conf", fx.dir);
	fx.daemon.config_path = path;
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(config, file), 0);
	ck_assert_int_eq(fclose(file), 0);
	client_say(client, CALL("Reload", ""));
	fx_turn();
	ck_assert_ptr_nonnull(strstr(client_hear(client), "\"effect\":\"live\""));
	ck_assert_int_eq(unlink(path), 0);
	fx.daemon.config_path = NULL;
}

START_TEST(test_reload_changes_the_isolation_and_what_runs_ends_where_it_is)
{
	struct fx_host *shared, *own;
	uint32_t worker;

	open_with(SHARED);
	shared = last_host();
	post(2, POST);
	reload(FOUR);
	ck_assert_uint_eq(status()->n, 4);
	post(3, POST);
	ck_assert_uint_eq(count_of("default", TASK_QUEUED), 3);
	all_up();
	/* Two in their own, two still in the shared one. */
	FX_UNTIL(count_of("default", TASK_ACTIVE) == 4);
	host_hear(shared);
	ck_assert_uint_eq(shared->n_runs, 2);
	ck_assert_uint_eq(shared->n_quits, 0);
	host_done(shared, 0, OUTCOME_OK, "{}");
	FX_UNTIL(count_of("default", TASK_DONE) == 1);
	fx_turn();
	ck_assert_uint_eq(
		count_of("default", TASK_QUEUED), 0); /* that worker goes on, in its own */
	host_done(shared, 1, OUTCOME_OK, "{}");
	FX_UNTIL((host_hear(shared), shared->n_quits == 1));
	host_kill(shared);
	FX_UNTIL(count_links() == 4);
	/* And back. */
	worker = worker_of(3);
	own = host_at(worker);
	reload(SHARED);
	ck_assert_uint_eq(status()->n, 1);
	FX_UNTIL(count_starting() == 1);
	host_up(last_host());
	FX_UNTIL(status()->n_up == 1);
	done(own);
	ck_assert_uint_eq(task_of(3)->state, TASK_DONE);
	host_hear(own);
	ck_assert_uint_eq(own->n_quits, 1);
	post(1, POST);
	host_hear(last_host());
	ck_assert_uint_eq(last_host()->n_runs, 1);
	ck_assert_uint_eq(counters()->crashed, 0);
	close_all();
}
END_TEST

START_TEST(test_suspects_of_a_shared_host_run_in_any_worker_s_own)
{
	open_with(SHARED);
	later(2 * US_PER_SEC);
	post(3, POST);
	host_hang_up(last_host());
	FX_UNTIL(count_of("default", TASK_QUEUED) == 3);
	ck_assert(task_of(1)->suspect);
	reload(FOUR);
	all_up();
	FX_UNTIL(count_of("default", TASK_ACTIVE) ==
		 3); /* at the same time: nobody is beside anybody */
	fx_turn();
	die(worker_of(2)); /* it was alone */
	ck_assert_uint_eq(task_of(2)->crashes, 1);
	ck_assert(!task_of(2)->suspect);
	done(host_at(worker_of(1)));
	done(host_at(worker_of(3)));
	all_up();
	later(6 * US_PER_SEC);
	done(host_at(worker_of(2)));
	ck_assert_uint_eq(count_of("default", TASK_DONE), 3);
	close_all();
}
END_TEST

START_TEST(test_isolation_that_changes_twice_before_a_task_ends_keeps_its_host)
{
	struct fx_host *shared, *own;

	open_with(FOUR);
	post(1, POST);
	own = host_at(worker_of(1));
	reload(SHARED);
	FX_UNTIL(count_starting() == 1);
	shared = last_host();
	host_up(shared);
	FX_UNTIL(status()->n_up == 1);
	reload(FOUR);
	FX_UNTIL((host_hear(shared), shared->n_quits == 1));
	ck_assert_ptr_eq(host_at(worker_of(1)), own);
	done(own);
	ck_assert_uint_eq(own->n_quits, 0);
	all_up();
	ck_assert_uint_eq(pool_of("default")->slots.n_free, 4);
	close_all();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		test_each_worker_has_a_host_and_some_start_at_a_time,
		test_one_start_a_turn,
		test_workers_whose_host_is_up_work_while_others_start,
		test_host_that_dies_takes_its_own_task_only,
		test_task_that_crashes_crash_max_times_has_failed,
		test_tasks_that_crash_hold_up_no_other_worker_s_host,
		test_worker_whose_host_dies_with_each_task_gets_its_next_one_ever_later,
		test_worker_whose_host_has_ended_a_task_gets_its_next_one_at_once,
		test_stuck_task_s_host_is_killed_and_replaced_at_once,
		test_start_that_is_not_written_is_taken_back,
		test_host_has_a_word_in_its_own_task_only,
		test_when_all_hosts_die_at_their_start_one_tries_for_all_ever_more_rarely,
		test_hosts_that_die_together_are_one_failure,
		test_when_a_host_has_lasted_after_failures_the_others_follow,
		test_pool_that_grows_starts_hosts_and_one_that_shrinks_lets_them_leave,
		test_pool_that_grows_again_keeps_the_hosts_that_were_still_busy,
		test_worker_that_comes_back_while_its_host_leaves_gets_another_at_once,
		test_host_that_starts_while_its_worker_goes_is_told_to_leave_when_it_is_up,
		test_host_that_died_while_its_worker_goes_is_not_replaced,
		test_resize_is_told_to_no_host,
		test_pool_that_leaves_lets_its_hosts_go_with_its_last_task,
		test_stop_waits_for_all_tasks_and_starts_no_host,
		test_drain_starts_hosts_that_are_needed,
		test_stop_while_hosts_start,
		test_stop_kills_hosts_whose_tasks_do_not_end,
		test_reload_changes_the_isolation_and_what_runs_ends_where_it_is,
		test_suspects_of_a_shared_host_run_in_any_worker_s_own,
		test_isolation_that_changes_twice_before_a_task_ends_keeps_its_host,
	};
	const struct fx_loop loops[] = {
		{test_host_program_that_is_missing, 2},
		{test_host_of_another_version, 2},
		{test_host_that_makes_no_sense_as_it_starts, 2},
		{test_host_that_is_not_ready_in_time, 2},
	};

	return fx_main("isolation", tests, ARRAY_SIZE(tests), loops, ARRAY_SIZE(loops));
}
