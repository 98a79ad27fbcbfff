/*
 * hostlink: the daemon's end of one host process: starts it, tells it what it must know, hands tasks over, takes their
 * ends. Distrusts all that it says: a wrong word costs the host, never the daemon. Which hosts a pool has, and when they
 * are started, is hosts.c's part.
 *
 *   hostlink_start -> STARTING -> HELLO, OFFERs … -> READY -> UP -> gone -> DOWN -> (hosts_check: at start_at_us) STARTING
 *                                                                          |
 *                                                      one that is to come no more: freed by hosts_sweep()
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

/* The part that a host plays in its pool. */
enum hostlink_part {
	HOSTLINK_SHARED, /* runs all workers */
	HOSTLINK_OWN,    /* runs one worker */
	HOSTLINK_ALONE,  /* runs suspects, one at a time; there while some wait or one runs */
	HOSTLINK_CONDEMNED, /* was SHARED or OWN: gets no new task, is killed when only stuck ones are left in it */
	HOSTLINK_LEAVING, /* was SHARED or OWN: is wanted no more, and was told to leave */
};

#define HOSTLINK_TROUBLE_SIZE 512
#define HOSTLINK_NAME_SIZE    32

struct hostlink {
	struct daemon *daemon; /* borrows: owns us */
	struct pool *pool;     /* borrows: lives as long as the board */
	enum hostlink_part part;
	uint32_t worker; /* of one that is OWN */
	enum hostlink_state state;
	int fd;         /* -1: none */
	pid_t pid;      /* 0: none, or its end was seen */
	pid_t last_pid; /* the same, but stays: for the log and events */
	struct buf in, out;
	struct event read_event, write_event;
	bool writes;           /* write_event is set */
	bool touched;          /* on daemon->touched */
	bool was_up;           /* since the daemon started */
	bool has_worked;       /* since it last came up a task has ended in it */
	bool quits;            /* was told to leave */
	uint32_t told_workers; /* what the host believes */
	uint32_t failures;     /* starts in a row that did not last */
	uint64_t start_at_us;  /* DOWN: not before */
	uint64_t started_us;   /* the last time; 0: never */
	uint64_t up_us;        /* when it last came up */
	uint64_t stopped_us;   /* when this one was last stopped; 0: never */
	size_t starting; /* 1 …: the place in settings of the handler that it starts; 0: none that it told of */
	char trouble
		[HOSTLINK_TROUBLE_SIZE]; /* why the last start did not last; "": it did, or its task is to blame */
	/* DOWN: hosts_check() looks again; STARTING: it took too long; UP: it has lasted; CONDEMNED or told to leave: it is
	 * killed; ALONE and idle: told to leave. */
	struct deadline timer;
	char name[HOSTLINK_NAME_SIZE]; /* "its host": for the log */
	char *blame;                   /* owns; NULL: none. See hostlink_blame() */
	void *offers; /* api's: what the host has told of its handlers, until it is READY */
	TAILQ_ENTRY(hostlink) link;       /* in: daemon->links */
	TAILQ_ENTRY(hostlink) in_touched; /* in: daemon->touched */
};

/* One more for the pool, worker: if it is OWN; its host is started with hostlink_start(). -ENOMEM. */
int hostlink_new(struct daemon *daemon, struct pool *pool, enum hostlink_part part, uint32_t worker,
	struct hostlink **ret_link) MUST_CHECK;
void hostlink_set_part(struct hostlink *link, enum hostlink_part part);
void hostlink_free(struct hostlink *link);
void hostlink_start(struct hostlink *link);
/* A host that is UP: no more tasks for it; it leaves when its workers are through, at the latest when it is killed for that. */
void hostlink_quit(struct hostlink *link);
/* Ends it for what `why` says; nobody in it is to blame. What it has said by now still counts. */
void hostlink_kill(struct hostlink *link, const char *why);
/* It has something to say, or room to be told more: the turn's flush looks at it. */
void hostlink_touch(struct hostlink *link);
/* Its timer fires so much later, unless it is set: see there. Without memory it fires never. */
void hostlink_arm(struct hostlink *link, uint64_t after_us);
/* Gone for good: nobody will start it again. */
bool hostlink_is_over(const struct hostlink *link);
/* The process with this pid has ended, and was not waited for yet: what it has left behind ends too. */
void hostlink_on_end(pid_t pid);
/* The process with this pid is stopped, by a signal: a host goes on, one that is stopped again soon is given up. */
void hostlink_on_stop(struct daemon *daemon, pid_t pid);
/* The process with this pid ended (wait(2)); false: it is none of ours. */
bool hostlink_on_exit(struct daemon *daemon, pid_t pid, int status);
/* No more tasks for any host: they leave when their workers are through. */
void hostlink_quit_all(struct daemon *daemon);
/* Ends every host at once: nobody in them is to blame. */
void hostlink_kill_all(struct daemon *daemon);
/* No host process is left. */
bool hostlink_is_all_gone(const struct daemon *daemon);
/* It makes no sense, or cannot be used: why it is given up with the -errno that the caller returns; one line. */
void hostlink_blame(struct hostlink *link, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Step of the turn: what was started, asked or resized leaves, one write a host. */
void hostlink_flush(struct daemon *daemon);

#endif
