/*
 * tell: see tell.h. Called by work.c, and by handlers through task.c and stream.c.
 *
 * A thread that has nothing to run sends what waits and stays until the daemon has taken it. A thread that runs a task
 * must not be held up by a daemon that does not read: it sends what is taken at once, and for the rest it rouses
 * another, which there always is: work.c has two threads more than workers, one to read and one for this. What is half
 * sent stays in link->sending, and whoever sends next goes on there.
 *
 * What waits is bounded without a queue of its own. Output: one LOG a stream of a task in link->out; when that leaves,
 * which is when link->sends grows, follow() has the task's thread bring the next. Progress: a task stands on pool->tells
 * with its newest word, and the message is made when it leaves.
 *
 * Lock: pool->lock for all of it, as work.c says.
 * Invariants: nothing of a task is told behind its DONE; a task that is followed is told at least one LOG of, unless it
 * has shown all it had before the FOLLOW came.
 */
#include "host/tell.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "host/utf8.h"
#include "host/work.h"

#define PROGRESS_STEP_US (90 * US_PER_MS) /* ten a second, and a timer may fire late */

static bool has_output(const struct work_pool *pool)
{
	return link_has_output(pool->link) || !TAILQ_EMPTY(&pool->tells);
}

bool tell_is_due(const struct work_pool *pool)
{
	return !pool->writing && has_output(pool);
}

/* Sending. */

static void stop_telling(struct work_pool *pool, struct work *work)
{
	if (work->tells)
		TAILQ_REMOVE(&pool->tells, work, in_tells);
	work->tells = false;
}

static void stop_waiting(struct work_pool *pool, struct work *work)
{
	if (work->waits)
		TAILQ_REMOVE(&pool->waiting, work, in_waiting);
	work->waits = false;
}

static void put_progress(struct work_pool *pool, const struct work *work)
{
	struct hostmsg msg = {.type = HOSTMSG_PROGRESS,
		.progress = {work->id, work->attempt, work->permille, view_of(work->note)}};

	/* Without memory this word is lost; the next one says more. */
	IGNORE(link_put(pool->link, &msg));
}

/* What waits becomes what is being sent, so that there is room for those who wait for it. */
static void begin_send(struct work_pool *pool)
{
	struct work *work;

	while ((work = TAILQ_FIRST(&pool->tells))) {
		put_progress(pool, work);
		stop_telling(pool, work);
	}
	link_begin_send(pool->link);
	while ((work = TAILQ_FIRST(&pool->waiting))) {
		stop_waiting(pool, work);
		if (work->state)
			work->offer->handler->follow(work);
	}
}

/* 0; -EAGAIN: the daemon does not read, and wait is false. */
static int send_some(struct work_pool *pool, bool wait)
{
	pool->writing = true;
	if (!link_is_sending(pool->link))
		begin_send(pool);
	(void)pthread_mutex_unlock(&pool->lock);
	int r = link_send(pool->link, wait);
	(void)pthread_mutex_lock(&pool->lock);
	pool->writing = false;
	if (r == -EPIPE)
		pool->end(pool, 0);
	if (r < 0 && r != -EAGAIN)
		work_broken(pool, "writing to the daemon", -r);
	return r;
}

void tell_send(struct work_pool *pool)
{
	if (send_some(pool, false) < 0) {
		work_rouse(pool); /* others go on with the queue meanwhile */
		(void)send_some(pool, true);
	}
}

/* For a thread that runs a task. */
static void send_at_once(struct work_pool *pool)
{
	if (tell_is_due(pool))
		(void)send_some(pool, false);
	/* The rest, or what others have added meanwhile. */
	if (tell_is_due(pool))
		work_rouse(pool);
}

/* Output. */

static int put_log(struct work_pool *pool, struct work *work, enum hostmsg_stream stream,
	uint64_t total, struct view text)
{
	struct hostmsg msg = {.type = HOSTMSG_LOG,
		.log = {work->id, work->attempt, (uint8_t)stream, total, text}};

	int r = link_put(pool->link, &msg);
	if (r == 0) {
		work->log_sends[stream] = pool->link->sends + 1;
		work->answered = true;
	}
	return r;
}

int tell_nothing(struct work_pool *pool, struct work *work)
{
	return put_log(pool, work, STREAM_OUT, 0, (struct view){NULL, 0});
}

bool tell_has_room(struct work *work, enum hostmsg_stream stream)
{
	struct work_pool *pool = work->pool;

	(void)pthread_mutex_lock(&pool->lock);
	bool has_room = work->log_sends[stream] <= pool->link->sends;
	if (!has_room && !work->waits) {
		TAILQ_INSERT_TAIL(&pool->waiting, work, in_waiting);
		work->waits = true;
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return has_room;
}

int tell_log(struct work *work, enum hostmsg_stream stream, uint64_t total, struct view text)
{
	struct work_pool *pool = work->pool;

	(void)pthread_mutex_lock(&pool->lock);
	int r = put_log(pool, work, stream, total, text);
	send_at_once(pool);
	(void)pthread_mutex_unlock(&pool->lock);
	return r;
}

/* Progress. */

/* A copy that may travel: whole characters, none of them a control character. NULL: none, or no memory. */
static char *copy_note(const char *note)
{
	size_t len = note ? strlen(note) : 0;

	if (len == 0)
		return NULL;
	if (len > HOSTMSG_NOTE_MAX)
		len = utf8_whole((struct view){note, HOSTMSG_NOTE_MAX});
	char *copy = mem_dup(note, len);
	if (copy)
		str_make_safe(copy);
	return copy;
}

void tell_progress(struct work *work, uint32_t permille, const char *note)
{
	struct work_pool *pool = work->pool;
	char *copy = copy_note(note);
	uint64_t now_us = clock_now_us();

	(void)pthread_mutex_lock(&pool->lock);
	free(work->note);
	work->note = copy;
	work->permille = permille < HOSTMSG_PERMILLE_MAX ? permille : HOSTMSG_PERMILLE_MAX;
	if (!work->tells && now_us >= work->tell_at_us) {
		TAILQ_INSERT_TAIL(&pool->tells, work, in_tells);
		work->tells = true;
		work->tell_at_us = now_us + PROGRESS_STEP_US;
		send_at_once(pool);
	}
	(void)pthread_mutex_unlock(&pool->lock);
}

/* Ends. */

static int put_done(struct work_pool *pool, const struct work *work, const struct result *result)
{
	struct hostmsg msg = {.type = HOSTMSG_DONE};

	msg.done.task = work->id;
	msg.done.attempt = work->attempt;
	msg.done.worker = work->worker;
	msg.done.outcome = (uint8_t)result->outcome;
	msg.done.reason = view_of(result->reason);
	msg.done.result = result->json;
	return link_put(pool->link, &msg);
}

void tell_end(struct work_pool *pool, struct work *work, const struct result *result)
{
	int r = 0;

	stop_telling(pool, work);
	stop_waiting(pool, work);
	if (atomic_load(&work->followed) && !work->answered)
		r = tell_nothing(pool, work);
	if (r == 0)
		r = put_done(pool, work, result);
	if (r < 0) {
		/* An end without text is better than none. */
		struct result bare = {.outcome = result->outcome, .reason = result->reason};
		if (bare.outcome == OUTCOME_OK) {
			bare.outcome = OUTCOME_FAILED;
			bare.reason = "failed";
		}
		r = put_done(pool, work, &bare);
	}
	if (r < 0)
		work_broken(pool, "no room for the end of a task", -r);
}
