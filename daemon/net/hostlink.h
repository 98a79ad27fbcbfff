/*
 * hostlink: the daemon's end of one pool's host process: starts it, tells it what it must know, hands tasks over, takes
 * their ends, and replaces it when it dies. Distrusts all that it says: a wrong word costs the host, never the daemon.
 *
 *   hostlink_start -> STARTING -> HELLO, OFFERs … -> READY -> UP -> gone -> DOWN -> (at once, or after a pause) STARTING
 */
#ifndef WORKPOOL_NET_HOSTLINK_H
#define WORKPOOL_NET_HOSTLINK_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/tailq.h"
#include "core/deadline.h"

struct daemon;
struct pool;

enum hostlink_state { HOSTLINK_DOWN, HOSTLINK_STARTING, HOSTLINK_UP };

struct hostlink {
	struct daemon *daemon; /* borrows: owns us */
	struct pool *pool;     /* borrows: lives as long as the board */
	enum hostlink_state state;
	int fd;    /* -1: none */
	pid_t pid; /* 0: none, or its end was seen */
	struct buf in, out;
	struct event read_event, write_event;
	bool writes;           /* write_event is set */
	bool touched;          /* on daemon's flush of this turn */
	bool was_up;           /* since the daemon started */
	bool quits;            /* was told to leave */
	uint32_t told_workers; /* what the host believes */
	uint32_t restarts;
	uint32_t failures; /* starts in a row that did not last */
	uint64_t up_us;    /* when it last came up */
	struct deadline restart;
	void *offers; /* api's: what the host has told of its handlers, until it is READY */
	TAILQ_ENTRY(hostlink) link; /* in: daemon->links */
};

/* One for the pool; its host is started with hostlink_start(). -ENOMEM. */
int hostlink_new(struct daemon *daemon, struct pool *pool) MUST_CHECK;
void hostlink_free(struct hostlink *link);
void hostlink_start(struct hostlink *link);
/* The process with this pid ended (wait(2)); false: it is none of ours. */
bool hostlink_on_exit(struct daemon *daemon, pid_t pid, int status);
/* No more tasks for any host: they leave when their workers are through. */
void hostlink_quit_all(struct daemon *daemon);
/* Ends every host at once: their tasks count as crashed. */
void hostlink_kill_all(struct daemon *daemon);
/* No host process is left. */
bool hostlink_is_all_gone(const struct daemon *daemon);
struct hostlink *hostlink_of(const struct daemon *daemon, const struct pool *pool);
const char *hostlink_state_name(const struct hostlink *link); /* "up", "starting", "down" */

/* Step of the turn: what was started, asked or resized leaves, one write a host. */
void hostlink_flush(struct daemon *daemon);

#endif
