/*
 * turn: one round of the daemon's only loop, and the place to start reading. Bytes come up as calls, calls change the
 * board in memory, the turn writes the changes down once, and only then do answers and work leave.
 */
#include "net/turn.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/sched.h"
#include "net/conn.h"
#include "net/daemon.h"
#include "net/hostlink.h"
#include "net/hosts.h"
#include "net/notify.h"
#include "net/ready.h"
#include "net/stop.h"

#define WALL_JITTER_US US_PER_MS         /* between two readings of two clocks */
#define RETRY_US       US_PER_SEC        /* after a commit that failed */
#define TEND_US        (100 * US_PER_MS) /* between two looks at what the store wants to have done */
#define BUSY_COMMITS   10                /* in that time: nothing is done then that can wait */

/*
 * Arms the one timer for the next deadline. It is not moved to a later one, as most deadlines are time limits of tasks that
 * end before: when it fires for one that is gone, that turn arms it anew. Only if there is none at all nothing is to wake.
 */
static void turn_arm(struct daemon *daemon)
{
	uint64_t next_us = deadline_next(&daemon->board->deadlines), now_us, wait_us;
	struct timeval tv;

	if (next_us == daemon->timer_at_us ||
		(next_us > daemon->timer_at_us && next_us != UINT64_MAX))
		return;
	now_us = clock_now_us();
	wait_us = next_us > now_us ? next_us - now_us : 0;
	tv = (struct timeval){(time_t)(wait_us / US_PER_SEC), (suseconds_t)(wait_us % US_PER_SEC)};
	if (next_us == UINT64_MAX)
		(void)event_del(daemon->timer);
	else
		(void)event_add(daemon->timer, &tv);
	daemon->timer_at_us = next_us;
}

/* Sleeps until something arrives, or the next deadline; callbacks read, then calls change the board. */
static void turn_read(struct daemon *daemon)
{
	/* What the last turn's end left behind, a killed host's tasks for one, is not slept on; what a store refused is. */
	bool sleeps = TAILQ_EMPTY(&daemon->ready) && !daemon->awake &&
		      (TAILQ_EMPTY(&daemon->board->dirty) || daemon->store_error != 0);

	turn_arm(daemon);
	daemon->awake = false;
	daemon->turn++;
	(void)event_base_loop(daemon->base, EVLOOP_ONCE | (sleeps ? 0 : EVLOOP_NONBLOCK));
	conn_serve_ready(daemon);
}

static void turn_settle(struct daemon *daemon, bool has_written)
{
	daemon->n_commits += has_written;
	if (daemon->store_error != 0 && has_written) {
		daemon->store_error = 0;
		log_notice("store_works", "the store takes writes again");
	}
	board_settle(daemon->board, daemon->now_us);
}

static void turn_undo(struct daemon *daemon, int error)
{
	if (error != daemon->store_error) /* it is tried again every second */
		log_error("store_failed", "the store refused this turn's changes: %s",
			strerror(-error));
	daemon->store_error = error;
	if (store_broken(daemon->store) < 0 && daemon->board->broken == 0) {
		gate_finish(daemon);
		board_break(daemon->board, error);
	}
	board_undo(daemon->board, error);
}

/* Whether posts are refused before anything is done for them, until the store takes some. */
static void turn_check_store(struct daemon *daemon)
{
	struct board *board = daemon->board;
	int before = board->store_error;

	board->store_error = store_check(daemon->store);
	if (board->store_error < 0 && before == 0)
		log_warning("store_full", "no posts: %s", store_status(daemon->store).why);
	else if (board->store_error == 0 && before < 0)
		log_notice("store_has_room", "the store takes posts again");
	if ((board->store_error < 0 || daemon->store_error < 0) && board->broken == 0 &&
		!deadline_is_set(&daemon->retry) &&
		deadline_set(&board->deadlines, &daemon->retry, daemon->now_us + RETRY_US) < 0)
		log_error("no_memory",
			"no memory to wait for the store: the next message tries it again");
}

/* Into the store; what need not be on the disk is handed over while the rest gets there. */
static int turn_write(struct daemon *daemon)
{
	int r = daemon->board->broken;
	bool has_starts;

	if (r == 0)
		r = store_commit(daemon->store, daemon->board);
	if (r < 0)
		return r;
	if (daemon->store->ops->flush ==
		NULL) /* nothing to wait for: all leaves with one write a host */
		return 0;
	board_settle_starts(daemon->board);
	has_starts = !TAILQ_EMPTY(&daemon->board->starts);
	if (has_starts)
		hostlink_flush(daemon);
	return gate_flush(daemon, has_starts);
}

/* Everything of this turn in one transaction: the only place that may block before the turn's answers leave. */
static void turn_commit(struct daemon *daemon)
{
	struct board *board = daemon->board;
	/* With a store that is broken there are no other turns than those that failed. */
	bool is_clean = board_is_clean(board) && store_broken(daemon->store) == 0;
	uint64_t n_steps = board->n_steps;
	int r = is_clean ? 0 : turn_write(daemon);

	if (r < 0)
		turn_undo(daemon, r);
	else
		turn_settle(daemon, !is_clean);
	/* Without this turn's posts and starts there may be room for its ends, which nobody can take back. */
	if (r == -ENOSPC && board->n_steps != n_steps && !TAILQ_EMPTY(&board->dirty) &&
		turn_write(daemon) == 0) {
		turn_settle(daemon, true);
		daemon->awake = true; /* what was taken back is tried again, alone */
	}
	if (!is_clean || board->store_error < 0)
		turn_check_store(daemon);
}

/* Keeps the store in order, now that the turn's answers have left. */
static void turn_tend(struct daemon *daemon)
{
	struct board *board = daemon->board;
	bool is_idle =
		daemon->is_tend_due && daemon->n_commits - daemon->n_tended_commits < BUSY_COMMITS;
	bool wants_more;

	if (daemon->gate.is_under_way)
		return; /* the turn that it has ended in is the next that comes here */
	wants_more = store_tend(daemon->store, is_idle) ||
		     (daemon->store_error == 0 && !TAILQ_EMPTY(&board->forgotten));
	if (store_broken(daemon->store) < 0 && board->broken == 0)
		daemon->awake = true; /* just now: who waits is told at once */
	if (daemon->is_tend_due)
		daemon->n_tended_commits = daemon->n_commits;
	daemon->is_tend_due = false;
	if (wants_more && !deadline_is_set(&daemon->tend))
		IGNORE(deadline_set(&board->deadlines, &daemon->tend,
			daemon->now_us + TEND_US)); /* without memory: with a later turn */
}

/* Follows the calendar's steps, not its jitter. */
static void turn_set_wall(struct daemon *daemon)
{
	uint64_t offset_us = clock_wall_us() - daemon->now_us;

	if (offset_us - daemon->wall_offset_us + WALL_JITTER_US > 2 * WALL_JITTER_US)
		daemon->wall_offset_us = offset_us;
}

void turn_once(struct daemon *daemon)
{
	turn_read(daemon);
	daemon->now_us = clock_now_us();
	turn_set_wall(daemon);
	deadline_run(&daemon->board->deadlines, daemon->now_us);
	hosts_check(daemon);
	if (sched_run(daemon->board, daemon->now_us) < 0)
		log_error("no_memory", "no memory to start a task: it waits");
	turn_commit(daemon);
	hostlink_flush(daemon);
	conn_flush(daemon);
	turn_tend(daemon);
	gate_begin(daemon);
	ready_check(daemon);
	stop_check(daemon);
	notify_turn(daemon);
	conn_sweep(daemon);
	daemon->hooks.on_sweep(daemon);
	hosts_sweep(daemon);
	board_sweep(daemon->board);
}
