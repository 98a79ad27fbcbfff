/*
 * hosts: which hosts a pool has beside its shared one: one for suspects, which run alone, and those that are condemned
 * because a task in them is stuck. Starts them, condemns them, and lets them go; hostlink.c has the life of each.
 *
 *   SHARED --a task in it is stuck--> CONDEMNED --only stuck tasks left, or CONDEMNED_US--> killed
 *      +----- a fresh one takes its place at once
 *   ALONE: started when a suspect waits, told to leave when none has waited or run for IDLE_US
 */
#ifndef WORKPOOL_NET_HOSTS_H
#define WORKPOOL_NET_HOSTS_H

#include <stdbool.h>

struct daemon;
struct pool;

/* A host for suspects has something to do, or soon will. */
bool hosts_wants_alone(const struct pool *pool);
/* A pool that is new, or left and is wanted again, gets its shared host, if it has none. */
void hosts_come_back(struct daemon *daemon, struct pool *pool);
/* Step of the turn, ahead of sched_run(): what starts after it starts in a host that is to stay. */
void hosts_check(struct daemon *daemon);
/* Step of the turn, its last part: hosts that are gone for good. */
void hosts_sweep(struct daemon *daemon);

#endif
