/*
 * hosts: see hosts.h.
 */
#include "net/hosts.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/daemon.h"
#include "net/hostlink.h"

#define IDLE_US (1 * US_PER_SEC) /* so that suspects that come one by one do not start one each */
/* What a condemned host's other tasks get at most: a time limit of their own is rarely longer, and a host that is half
 * dead is not to be kept for ever. */
#define CONDEMNED_US (60 * US_PER_SEC)

bool hosts_wants_alone(const struct pool *pool)
{
	if (pool->slots.alone_busy > 0)
		return true;
	return !pool->paused && pool->board->stop < STOP_FINISHING && pool_wants_alone(pool);
}

/* The one that runs the pool's suspects, or will; NULL: none. */
static struct hostlink *find_alone(const struct daemon *daemon, const struct pool *pool)
{
	struct hostlink *link;

	TAILQ_FOREACH (link, &daemon->links, link)
		if (link->pool == pool && link->part == HOSTLINK_ALONE && !link->quits &&
			!hostlink_is_over(link))
			return link;
	return NULL;
}

static void start_alone(struct daemon *daemon, struct pool *pool)
{
	struct hostlink *link;

	if (hostlink_new(daemon, pool, HOSTLINK_ALONE, &link) < 0)
		log_error("no_memory", "pool \"%s\": no memory for a host for suspects: they wait",
			pool->settings->name);
	else
		hostlink_start(link);
}

/* One that is wanted no more leaves after a while, or is not started again. */
static void check_alone(struct hostlink *link)
{
	bool is_wanted = hosts_wants_alone(link->pool), is_up = link->state == HOSTLINK_UP;

	if (link->quits || link->state == HOSTLINK_STARTING)
		return;
	if (is_up && !is_wanted)
		hostlink_arm(link, IDLE_US);
	else if (is_up == is_wanted)
		deadline_clear(&link->daemon->board->deadlines, &link->timer);
}

/* Tasks that are not stuck are in it. */
static bool has_others(const struct hostlink *link)
{
	const struct slots *slots = &link->pool->slots;

	for (uint32_t i = 0; i < slots->len; i++) {
		const struct slot *slot = slots->all[i];

		if (slot->state == SLOT_BUSY && slot->host == link && !slot->task->stuck)
			return true;
	}
	return false;
}

/* A fresh one takes its place. false: there is no memory for that. */
static bool condemn(struct hostlink *link)
{
	struct daemon *daemon = link->daemon;
	struct hostlink *fresh;

	if (hostlink_new(daemon, link->pool, HOSTLINK_SHARED, &fresh) < 0)
		return false;
	fresh->was_up = link->was_up;
	fresh->restarts = link->restarts + 1;
	link->part = HOSTLINK_CONDEMNED;
	slots_down(&link->pool->slots, link);
	hostlink_arm(link, CONDEMNED_US);
	if (daemon->board->stop < STOP_FINISHING) /* else nothing would run in it */
		hostlink_start(fresh);
	return true;
}

/* It did not end though it was asked, and nothing but the end of its host will end it. */
static void take_stuck(const struct task *task)
{
	struct hostlink *link = task->slot->host;

	log_warning("task_stuck",
		"pool \"%s\": task %llu (handler \"%s\") did not end when asked: %s (pid %d) is to "
		"go",
		link->pool->settings->name, (unsigned long long)task->id,
		task->handler->settings->name, hostlink_part_name(link), (int)link->last_pid);
	if (link->part == HOSTLINK_ALONE || (link->part == HOSTLINK_SHARED && !condemn(link)))
		hostlink_kill(link, "its task did not end");
}

/* The pool is in no file any more, and its last task has ended. */
static void check_shared(struct hostlink *link)
{
	if (link->pool->leaving && link->state == HOSTLINK_UP && !link->quits &&
		pool_unfinished(link->pool) == 0)
		hostlink_quit(link);
}

void hosts_come_back(struct daemon *daemon, struct pool *pool)
{
	struct hostlink *link = hostlink_of(daemon, pool);

	if (link == NULL && hostlink_new(daemon, pool, HOSTLINK_SHARED, &link) < 0) {
		log_error(
			"no_memory", "no memory for the host of pool \"%s\"", pool->settings->name);
		return;
	}
	link->quits = false; /* one that is about to leave is started again when it has left */
	if (link->state == HOSTLINK_DOWN && link->pid == 0 && !deadline_is_set(&link->timer))
		hostlink_start(link);
}

void hosts_check(struct daemon *daemon)
{
	struct hostlink *link;
	struct task *task;
	struct pool *pool;

	while ((task = board_take_stuck(daemon->board)) != NULL)
		take_stuck(task);
	TAILQ_FOREACH (link, &daemon->links, link) {
		if (link->part == HOSTLINK_CONDEMNED && link->fd >= 0 && !has_others(link))
			hostlink_kill(link, "only stuck tasks were left");
		else if (link->part == HOSTLINK_ALONE)
			check_alone(link);
		else if (link->part == HOSTLINK_SHARED)
			check_shared(link);
	}
	TAILQ_FOREACH (pool, &daemon->board->pools, link)
		if (hosts_wants_alone(pool) && find_alone(daemon, pool) == NULL)
			start_alone(daemon, pool);
}

void hosts_sweep(struct daemon *daemon)
{
	struct hostlink *link, *next;

	TAILQ_FOREACH_SAFE (link, &daemon->links, link, next)
		if (hostlink_is_over(link))
			hostlink_free(link);
}
