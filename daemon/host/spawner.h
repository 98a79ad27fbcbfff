/*
 * spawner: the host's side of the process that starts all children. That process is small, has one thread, and is
 * forked before the host's first thread (reaper.c is its code); it alone starts, signals and reaps children.
 *
 *   worker thread -- spawner_start() --> socketpair --> spawner process -- vfork, execve --> child
 *   worker thread <-- child->event_fd -- dispatcher thread <-- started, failed, ended -- spawner process
 */
#ifndef WORKPOOL_HOST_SPAWNER_H
#define WORKPOOL_HOST_SPAWNER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/tailq.h"
#include "host/spawnmsg.h"

enum child_state { CHILD_STARTING, CHILD_RUNNING, CHILD_FAILED, CHILD_ENDED };

/* One child, from spawner_start() to spawner_forget(); lives in the caller's frame. */
struct child {
	uint64_t id;
	int event_fd;     /* borrows: an eventfd that is written to when it has failed or ended */
	bool hears_start; /* and when it runs */
	/* Guarded by spawner->lock; read by spawner_look(). */
	enum child_state state;
	pid_t pid;               /* from CHILD_RUNNING on */
	const char *step;        /* CHILD_FAILED: borrows a constant: "execve", "chdir" … */
	int error;               /* CHILD_FAILED: errno */
	int status;              /* CHILD_ENDED: as of wait(2) */
	bool left_none;          /* CHILD_ENDED: no process of its is left */
	struct rusage usage;     /* CHILD_ENDED: with all its descendants that were waited for */
	TAILQ_ENTRY(child) link; /* in: spawner->children */
};

struct spawner {
	int fd;     /* -1: none */
	pid_t pid;  /* of the spawner process */
	char *home; /* owns: where tasks' directories are; goes with the host. NULL: none was needed. Set before the threads */
	void (*on_gone)(
		void *arg); /* called by the dispatcher when the spawner process has ended by itself */
	void *arg;
	pthread_mutex_t send_lock; /* one packet at a time */
	pthread_mutex_t lock;      /* guards what follows */
	TAILQ_HEAD(, child) children;
	uint64_t last_id;
	bool closes;
};

/* Forks the spawner process. Only while this process has one thread; keep_out_fd is closed in it. */
int spawner_open(struct spawner *spawner, int keep_out_fd) MUST_CHECK;
/* Makes `home`, if there is none. */
int spawner_make_home(struct spawner *spawner) MUST_CHECK;
/* All programs will be in a sandbox: what is the same for all of them is done once. */
int spawner_confine(struct spawner *spawner) MUST_CHECK;
/* Starts the dispatcher thread. */
int spawner_listen(struct spawner *spawner, void (*on_gone)(void *arg), void *arg) MUST_CHECK;
/* Ends all children and the process; waits for it, but not long. Children that are still known stay CHILD_RUNNING. */
void spawner_close(struct spawner *spawner);
/* KILLs the groups of all children: for a host whose spawner has gone. */
void spawner_kill_all(struct spawner *spawner);

/* fds: the child's 0, 1, 2, and SPAWN_RULES; they stay the caller's. 0, or -errno and nothing was started. */
int spawner_start(struct spawner *spawner, struct child *child, const struct spawn_order *order,
	const int fds[SPAWN_FDS]) MUST_CHECK;
/* A copy of the child as it is now. */
struct child spawner_look(struct spawner *spawner, const struct child *child);
/* To the child's whole process group; nothing happens when it has ended. */
void spawner_signal(struct spawner *spawner, const struct child *child, int signal);
/* The child's struct may go; a child that still runs is KILLed. */
void spawner_forget(struct spawner *spawner, struct child *child);

#endif
