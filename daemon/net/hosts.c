/*
 * hosts: see hosts.h.
 */
#include "net/hosts.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "net/daemon.h"
#include "net/hostlink.h"
#include "net/linkmsg.h"

#define IDLE_US (1 * US_PER_SEC) /* so that suspects that come one by one do not start one each */
/* What a condemned host's other tasks get at most: a time limit of their own is rarely longer, and a host that is half
 * dead is not to be kept for ever. */
#define CONDEMNED_US (60 * US_PER_SEC)
/* 64 hosts on two processors are up after 61 ms; with 1 at a time after 104, with 16 after 66 (measured). */
#define STARTING_MAX 4
#define FAILURES     2 /* in a row, after which the daemon's start does not wait for the pool */
/* Before the second start in a row that failed; doubles up to PAUSE_MAX_US. */
#define PAUSE_MIN_US (100 * US_PER_MS)
#define PAUSE_MAX_US (5 * US_PER_SEC)

uint64_t hosts_pause_us(uint32_t failures)
{
	uint64_t pause_us;

	if (failures < 2)
		return 0;
	pause_us = PAUSE_MIN_US << (failures < 8 ? failures - 2 : 6);
	return pause_us < PAUSE_MAX_US ? pause_us : PAUSE_MAX_US;
}

/* A task would run in a host that is started now. */
static bool may_start(const struct daemon *daemon)
{
	return daemon->board->stop < STOP_FINISHING && !daemon->is_leaving;
}

/* --- for suspects --------------------------------------------------------------------------------- */

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

	if (hostlink_new(daemon, pool, HOSTLINK_ALONE, 0, &link) < 0)
		log_error("no_memory", "pool \"%s\": no memory for a host for suspects: they wait",
			pool->settings->name);
	else
		hostlink_start(link);
}

/* One that is wanted no more leaves after a while, or is not started again. */
static void check_alone(struct hostlink *link)
{
	struct daemon *daemon = link->daemon;
	bool is_wanted = hosts_wants_alone(link->pool), is_up = link->state == HOSTLINK_UP;

	if (link->quits || link->state == HOSTLINK_STARTING)
		return;
	if (is_up && !is_wanted)
		hostlink_arm(link, IDLE_US);
	else if (is_up || !is_wanted)
		deadline_clear(&daemon->board->deadlines, &link->timer);
	else if (link->pid == 0 && link->start_at_us <= daemon->now_us)
		hostlink_start(link);
	else if (link->pid == 0)
		hostlink_arm(link, link->start_at_us - daemon->now_us);
}

/* --- for workers ---------------------------------------------------------------------------------- */

/* What hosts_check() has in hand of one pool. */
struct check {
	struct daemon *daemon;
	struct pool *pool;
	struct hosts *hosts;
	bool has_started; /* one with this turn: others wait for the next */
	bool has_counted;
	uint32_t n_starting; /* if so */
};

/* Where a host of this part and worker belongs. NULL: it is not there any more. */
static struct hostlink **place_of(const struct hostlink *link)
{
	struct hosts *hosts = link->pool->hosts;
	struct hostlink **place = link->part == HOSTLINK_SHARED ? &hosts->shared
				  : link->part == HOSTLINK_OWN  ? &hosts->own[link->worker]
								: NULL;

	return place != NULL && *place == link ? place : NULL;
}

/* Its place is free for another one; the tasks in it, and its death, stay its own. */
static void take_out(struct hostlink *link, enum hostlink_part part)
{
	struct hostlink **place = place_of(link);

	if (place != NULL)
		*place = NULL;
	hostlink_set_part(link, part);
	slots_down(&link->pool->slots, link);
	deadline_clear(&link->daemon->board->deadlines, &link->timer);
}

static bool is_connected(const struct hostlink *link)
{
	const struct slots *slots = &link->pool->slots;

	return link->part == HOSTLINK_SHARED ? slots->host == link
					     : slots->all[link->worker]->runner == link;
}

static void connect_up(struct hostlink *link)
{
	struct slots *slots = &link->pool->slots;

	if (link->quits || is_connected(link))
		return;
	if (link->part == HOSTLINK_SHARED)
		slots_up(slots, link);
	else
		slot_up(slots, link->worker, link);
}

/* Wanted no more: it leaves when nothing is in it. One that starts is waited for. */
static void let_go(struct hostlink *link)
{
	bool is_gone = link->state == HOSTLINK_DOWN && link->pid == 0;

	if (link->state == HOSTLINK_UP && is_connected(link))
		slots_down(&link->pool->slots, link);
	if (is_gone ||
		(link->state == HOSTLINK_UP && slots_busy_of(&link->pool->slots, link) == NULL)) {
		take_out(link, HOSTLINK_LEAVING);
		if (!is_gone && !link->quits)
			hostlink_quit(link);
	}
}

static bool has_room_to_start(struct check *check)
{
	const struct hosts *hosts = check->hosts;

	if (!check->has_counted) {
		check->n_starting =
			hosts->shared != NULL && hosts->shared->state == HOSTLINK_STARTING;
		for (uint32_t i = 0; i < hosts->n_own; i++)
			check->n_starting +=
				hosts->own[i] != NULL && hosts->own[i]->state == HOSTLINK_STARTING;
		check->has_counted = true;
	}
	return check->n_starting < (hosts->failures > 0 ? 1 : STARTING_MAX);
}

static uint64_t start_at_us(const struct hosts *hosts, const struct hostlink *link)
{
	return link->start_at_us > hosts->start_at_us ? link->start_at_us : hosts->start_at_us;
}

/* It is down: starts it, if it is its time and turn. */
static void start_next(struct check *check, struct hostlink *link)
{
	struct hosts *hosts = check->hosts;
	uint64_t at_us = start_at_us(hosts, link), now_us = check->daemon->now_us;

	if (at_us > now_us) {
		hostlink_arm(link, at_us - now_us);
	} else if (!has_room_to_start(check)) {
		return; /* the next READY, or the next failure, is a turn of its own */
	} else if (check->has_started) {
		check->daemon->awake = true;
	} else {
		check->has_started = true;
		check->n_starting++;
		hosts->restarts += link->started_us != 0;
		hostlink_start(link);
	}
}

/* One that is to be there, or not. */
static void check_place(struct check *check, struct hostlink **place, enum hostlink_part part,
	uint32_t worker, bool is_wanted)
{
	struct hostlink *link = *place;

	if (!is_wanted) {
		if (link != NULL)
			let_go(link);
		return;
	}
	if (link == NULL && may_start(check->daemon)) {
		if (hostlink_new(check->daemon, check->pool, part, worker, &link) < 0) {
			log_error("no_memory", "pool \"%s\": no memory for a host",
				check->pool->settings->name);
			return;
		}
		*place = link;
	}
	if (link == NULL)
		return;
	if (part == HOSTLINK_SHARED)
		linkmsg_send_size(link);
	if (link->state == HOSTLINK_UP)
		connect_up(link);
	else if (link->state == HOSTLINK_DOWN && link->pid == 0 && may_start(check->daemon))
		start_next(check, link);
}

/* So many have a place. -ENOMEM. */
static int make_places(struct hosts *hosts, uint32_t n)
{
	struct hostlink **own;

	if (n <= hosts->n_own)
		return 0;
	own = realloc(hosts->own, n * sizeof(*own));
	if (own == NULL)
		return -ENOMEM;
	hosts->own = own;
	while (hosts->n_own < n)
		own[hosts->n_own++] = NULL;
	return 0;
}

/* false: it is in no file any more, and its last task has ended. */
static bool wants_hosts(const struct pool *pool)
{
	return !pool->leaving || pool_unfinished(pool) > 0;
}

static void check_pool(struct daemon *daemon, struct pool *pool)
{
	bool is_isolated = pool_is_isolated(pool), is_wanted = wants_hosts(pool);
	struct check check = {.daemon = daemon, .pool = pool};

	if (pool->hosts == NULL)
		pool->hosts = calloc(1, sizeof(struct hosts));
	check.hosts = pool->hosts;
	if (check.hosts == NULL ||
		(is_isolated && make_places(check.hosts, pool->slots.workers) < 0)) {
		log_error(
			"no_memory", "pool \"%s\": no memory for its hosts", pool->settings->name);
		return;
	}
	check_place(&check, &check.hosts->shared, HOSTLINK_SHARED, 0, is_wanted && !is_isolated);
	for (uint32_t i = 0; i < check.hosts->n_own; i++)
		check_place(&check, &check.hosts->own[i], HOSTLINK_OWN, i,
			is_wanted && is_isolated && i < pool->slots.workers);
}

/* --- stuck tasks ---------------------------------------------------------------------------------- */

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

/* A fresh one will have its place, also while this one, killed, does not die: a thread in the kernel may take its time. */
static void condemn(struct hostlink *link)
{
	struct hosts *hosts = link->pool->hosts;

	take_out(link, HOSTLINK_CONDEMNED);
	hosts->restarts += may_start(link->daemon);
	hostlink_arm(link, CONDEMNED_US);
}

/* It did not end though it was asked, and nothing but the end of its host will end it. */
static void take_stuck(const struct task *task)
{
	struct hostlink *link = task->slot->host;
	bool is_killed = link->part == HOSTLINK_ALONE || link->part == HOSTLINK_OWN;

	log_warning("task_stuck",
		"pool \"%s\": task %llu (handler \"%s\") did not end when asked: %s (pid %d) is to "
		"go",
		link->pool->settings->name, (unsigned long long)task->id,
		task->handler->settings->name, link->name, (int)link->last_pid);
	if (place_of(link) != NULL)
		condemn(link);
	if (is_killed)
		hostlink_kill(link, "its task did not end");
}

/* --- the turn ------------------------------------------------------------------------------------- */

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
	}
	TAILQ_FOREACH (pool, &daemon->board->pools, link) {
		check_pool(daemon, pool);
		if (hosts_wants_alone(pool) && find_alone(daemon, pool) == NULL)
			start_alone(daemon, pool);
	}
}

void hosts_sweep(struct daemon *daemon)
{
	struct hostlink *link, *next;

	TAILQ_FOREACH_SAFE (link, &daemon->links, link, next)
		if (hostlink_is_over(link))
			hostlink_free(link);
}

void hosts_free(struct pool *pool)
{
	struct hosts *hosts = pool->hosts;

	if (hosts != NULL)
		free(hosts->own);
	free(hosts);
	pool->hosts = NULL;
}

/* --- what hostlink tells -------------------------------------------------------------------------- */

/* One for suspects has its own failures only: the pool goes on without it. */
void hosts_on_failed(struct hostlink *link, const char *why)
{
	struct hosts *hosts = link->pool->hosts;

	if (place_of(link) == NULL)
		return;
	if (link->started_us >= hosts->failed_us) {
		hosts->failures++;
		hosts->failed_us = link->daemon->now_us;
		hosts->start_at_us = hosts->failed_us + hosts_pause_us(hosts->failures);
	}
	(void)snprintf(hosts->why, sizeof hosts->why, "%s", why);
}

void hosts_explain(struct hostlink *link, const char *why)
{
	struct hosts *hosts = link->pool->hosts;

	if (place_of(link) != NULL && hosts->why[0] != '\0')
		(void)snprintf(hosts->why, sizeof hosts->why, "%s", why);
}

void hosts_on_ready(struct hostlink *link)
{
	struct hosts *hosts = link->pool->hosts;

	if (place_of(link) == NULL)
		return;
	hosts->why[0] = '\0';
	if (hosts->failures > 0)
		hostlink_arm(link, HOSTS_LASTED_US);
}

void hosts_on_lasted(struct hostlink *link)
{
	struct hosts *hosts = link->pool->hosts;

	if (place_of(link) == NULL)
		return;
	hosts->failures = 0;
	hosts->start_at_us = hosts->failed_us = 0;
}

/* --- what there is -------------------------------------------------------------------------------- */

/* The n-th that is wanted; NULL: it is not there yet. */
static const struct hostlink *host_at(const struct pool *pool, uint32_t n)
{
	const struct hosts *hosts = pool->hosts;

	if (hosts == NULL)
		return NULL;
	if (!pool_is_isolated(pool))
		return hosts->shared;
	return n < hosts->n_own ? hosts->own[n] : NULL;
}

static uint32_t count_wanted(const struct pool *pool)
{
	return pool_is_isolated(pool) ? pool->slots.workers : 1;
}

bool hosts_are_settled(const struct pool *pool)
{
	const struct hosts *hosts = pool->hosts;

	if (hosts != NULL && hosts->failures >= FAILURES)
		return true;
	for (uint32_t i = 0; i < count_wanted(pool); i++) {
		const struct hostlink *link = host_at(pool, i);

		if (link == NULL || !link->was_up)
			return false;
	}
	return true;
}

void hosts_get_status(const struct pool *pool, struct hosts_status *ret_status)
{
	const struct hosts *hosts = pool->hosts;
	struct hosts_status status = {.n = count_wanted(pool), .next_at_us = UINT64_MAX, .why = ""};
	bool is_any_starting = false;

	for (uint32_t i = 0; i < status.n; i++) {
		const struct hostlink *link = host_at(pool, i);

		if (link == NULL)
			continue;
		status.n_up += link->state == HOSTLINK_UP;
		is_any_starting |= link->state == HOSTLINK_STARTING;
		if (link->state == HOSTLINK_DOWN && start_at_us(hosts, link) < status.next_at_us)
			status.next_at_us = start_at_us(hosts, link);
	}
	if (is_any_starting || status.next_at_us == UINT64_MAX)
		status.next_at_us = 0;
	if (hosts != NULL) {
		status.why = status.n_up < status.n ? hosts->why : "";
		status.restarts = hosts->restarts;
		if (hosts->shared != NULL && !pool_is_isolated(pool))
			status.pid = hosts->shared->pid;
	}
	status.state = status.n_up == status.n              ? "up"
		       : status.n_up > 0 || is_any_starting ? "starting"
							    : "down";
	*ret_status = status;
}
