/*
 * hosts: which hosts a pool has, and when each is started, told to leave, or condemned; hostlink.c has the life of each.
 *
 *   isolation = shared   one for all workers (SHARED), and beside it one for suspects, which run alone (ALONE)
 *   isolation = task     one for each worker (OWN): nobody is ever beside anybody
 *
 *   SHARED --a task in it is stuck--> CONDEMNED --only stuck tasks left, or CONDEMNED_US--> killed
 *      +----- a fresh one takes its place at once
 *   OWN    --a task in it is stuck--> CONDEMNED --at once--> killed; a fresh one takes its place
 *   SHARED, OWN: wanted no more (fewer workers, the other isolation, a pool that left) --idle--> LEAVING
 *   ALONE: started when a suspect waits, told to leave when none has waited or run for IDLE_US
 *
 * hosts_check() compares each turn what there is with what is wanted; nothing else starts a host. At most STARTING_MAX
 * hosts of a pool start at the same time, one of them a turn. Those that fail at their start are the pool's trouble:
 * then one tries for all, after pauses that grow, until one has lasted (HOSTS_LASTED_US).
 */
#ifndef WORKPOOL_NET_HOSTS_H
#define WORKPOOL_NET_HOSTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"

struct daemon;
struct hostlink;
struct pool;

#define HOSTS_LASTED_US                                                                            \
	US_PER_SEC /* a host that was up so long, or ended a task, did not fail at its start */
#define HOSTS_WHY_SIZE 512

/* pool->hosts: made by hosts_check(). */
struct hosts {
	struct hostlink *shared; /* borrows, as the others: in daemon->links; NULL: none */
	struct hostlink **own;   /* owns the array; by worker, NULL: none */
	uint32_t n_own;
	uint32_t restarts; /* so far, those of hosts for suspects left aside */
	uint32_t
		failures; /* in a row, of starts that failed by themselves; those that began before the last of them left aside */
	uint64_t failed_us;   /* the last of them; 0: none */
	uint64_t start_at_us; /* none is started before */
	char why[HOSTS_WHY_SIZE]; /* of the last start, if it failed; "": it did not, or is not known yet */
};

/* For people and programs. */
struct hosts_status {
	const char *state;   /* "up": all are; "starting": some are, or start; "down" */
	uint32_t n, n_up;    /* that are wanted; that are up */
	uint32_t restarts;   /* as above */
	pid_t pid;           /* of the shared one; 0: none */
	const char *why;     /* "": no start fails */
	uint64_t next_at_us; /* the next start, if why is not ""; at most now: it is under way */
};

/* A host for suspects has something to do, or soon will. */
bool hosts_wants_alone(const struct pool *pool);
/* All that are wanted were up once, or their starts have failed so often that nobody waits for them. */
bool hosts_are_settled(const struct pool *pool);
void hosts_get_status(const struct pool *pool, struct hosts_status *ret_status);
/* Step of the turn, ahead of sched_run(): what starts after it starts in a host that is to stay. */
void hosts_check(struct daemon *daemon);
/* Step of the turn, its last part: hosts that are gone for good. */
void hosts_sweep(struct daemon *daemon);
void hosts_free(struct pool *pool);

/* For hostlink.c and linkmsg.c, of hosts in any part. */

/* Before the start that follows so many in a row that did not last. */
uint64_t hosts_pause_us(uint32_t failures);
/* A start failed by itself: no task is to blame. why: one line for people. */
void hosts_on_failed(struct hostlink *link, const char *why);
/* Better words for the same: its process has ended now. */
void hosts_explain(struct hostlink *link, const char *why);
/* It is READY. */
void hosts_on_ready(struct hostlink *link);
void hosts_on_lasted(struct hostlink *link);

#endif
