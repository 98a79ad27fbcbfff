/*
 * stop: see stop.h.
 *
 *   DRAINING or FINISHING --stop_timeout--> ENDING --grace--> hosts killed
 *        |                                    |                   |
 *        +------- all tasks have ended -------+-------------------+--> answers written, hosts told to quit --> done
 */
#include "net/stop.h"

#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/daemon.h"
#include "net/hostlink.h"

/* From ENDING until hosts are killed: more than kill_after's default. */
#define GRACE_US   (6 * US_PER_SEC)
#define GOODBYE_US (2 * US_PER_SEC) /* for hosts to leave and clients to read their last answers */

static const enum stop_state states[] = {
	[STOP_DRAIN] = STOP_DRAINING, [STOP_FINISH] = STOP_FINISHING, [STOP_NOW] = STOP_ENDING};

static void stop_arm(struct daemon *daemon, uint64_t after_us)
{
	if (deadline_set(&daemon->board->deadlines, &daemon->stop_limit,
		    daemon->now_us + after_us) < 0) {
		log_error("no_memory", "no memory to wait for tasks to end: stopping at once");
		hostlink_kill_all(daemon);
		daemon->done = true;
	}
}

/* The stage that was waited for did not end in time. */
static void stop_on_limit(struct deadline *limit, uint64_t now_us)
{
	struct daemon *daemon = container_of(limit, struct daemon, stop_limit);

	daemon->now_us = now_us;
	if (daemon->is_leaving) {
		log_warning("stop_left",
			"hosts or clients did not leave in time: stopping without them");
		daemon->done = true;
	} else if (daemon->board->stop != STOP_ENDING) {
		log_warning("stop_timeout", "running tasks did not finish in time: they are ended");
		board_stop(daemon->board, STOP_ENDING, now_us);
		stop_arm(daemon, GRACE_US);
	} else if (!daemon->is_killed) {
		log_warning("stop_killed",
			"running tasks did not end when asked: their hosts are killed");
		daemon->is_killed = true;
		hostlink_kill_all(daemon);
		stop_arm(daemon, GOODBYE_US);
	} else {
		log_error("stop_unwritten",
			"the store does not take what has ended: stopping all the same");
		daemon->done = true;
	}
}

void stop_begin(struct daemon *daemon, enum stop_mode mode, uint64_t timeout_us)
{
	static const char *const words[] = {
		"all queued tasks run first", "running tasks finish", "running tasks are ended"};

	if (states[mode] <= daemon->board->stop)
		return;
	log_notice("stop", "stopping: %s", words[mode]);
	if (daemon->board->stop == STOP_RUNNING)
		deadline_init(&daemon->stop_limit, stop_on_limit);
	board_stop(daemon->board, states[mode], daemon->now_us);
	if (mode == STOP_NOW)
		stop_arm(daemon, GRACE_US);
	else if (timeout_us > 0 || daemon->settings->daemon.stop_timeout_us > 0)
		stop_arm(daemon,
			timeout_us > 0 ? timeout_us : daemon->settings->daemon.stop_timeout_us);
}

void stop_by_signal(struct daemon *daemon, int signal)
{
	bool again = daemon->board->stop != STOP_RUNNING;

	daemon->now_us = clock_now_us();
	log_notice("signal", "SIG%s", sigabbrev_np(signal));
	stop_begin(
		daemon, again ? STOP_NOW : (enum stop_mode)daemon->settings->daemon.stop_mode, 0);
}

static bool stop_is_all_said(const struct daemon *daemon)
{
	const struct conn *conn;

	TAILQ_FOREACH (conn, &daemon->conns, in_all)
		if (buf_len(&conn->out) > 0)
			return false;
	return true;
}

void stop_check(struct daemon *daemon)
{
	if (!board_is_stopped(daemon->board))
		return;
	if (!daemon->is_leaving) {
		daemon->is_leaving = true;
		if (!TAILQ_EMPTY(&daemon->board->dirty))
			log_error("stop_unwritten",
				"the store has not taken all that has ended: it runs again after "
				"the next start");
		stop_arm(daemon, GOODBYE_US);
		hostlink_quit_all(daemon);
		daemon->awake = true; /* once more, so that whoever waits for the end is told */
		return;
	}
	if (hostlink_is_all_gone(daemon) && stop_is_all_said(daemon))
		daemon->done = true;
}
