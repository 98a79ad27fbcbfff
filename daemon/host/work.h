/*
 * work: the tasks that this host has in hand, the queue of those that no worker runs yet, and the worker threads.
 * `struct work` is one task in hand; handlers see it through host/task.h.
 */
#ifndef WORKPOOL_HOST_WORK_H
#define WORKPOOL_HOST_WORK_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/tailq.h"
#include "host/handler.h"
#include "host/link.h"
#include "host/result.h"
#include "host/task.h"

#define WORK_THREADS_MAX   4096
#define WORK_SPARE_THREADS 2  /* beside workers: one can always read, and one write */
#define WORK_EXIT_BROKEN   70 /* EX_SOFTWARE of sysexits.h: the daemon starts another host */

struct worker;

struct work {
	uint64_t id;
	uint32_t attempt;
	uint32_t worker;        /* the daemon's number of the worker that it is for */
	uint64_t deadline_us;   /* 0: none */
	struct work_pool *pool; /* borrows: owns us */
	const struct offer *
		offer; /* borrows: as long as the host; NULL: the daemon named one that is not offered */
	atomic_bool cancelled;
	atomic_bool followed; /* set under pool->lock */
	bool answered; /* a LOG was put, or none is owed any more; this and what follows: guarded by pool->lock */
	bool waits, tells;               /* in pool->waiting, in pool->tells */
	uint64_t log_sends[STREAMS_END]; /* which of link->sends takes a stream's last LOG along */
	uint64_t tell_at_us;             /* the next progress may be told */
	uint32_t permille;
	char *note; /* owns: of the progress; NULL: none */
	pthread_cond_t *
		sleeper; /* borrows: while its thread waits in task_sleep_until(); guarded by pool->lock */
	void *state;  /* the handler's, for cancel() and follow(); guarded by pool->lock */
	json_t *args; /* owns: parsed by task_read_json(), by the thread that runs it */
	TAILQ_ENTRY(work) in_queue;   /* in: pool->queue until a thread takes it */
	TAILQ_ENTRY(work) in_all;     /* in: pool->all until its DONE is packed */
	TAILQ_ENTRY(work) in_waiting; /* in: pool->waiting while it has output and no room for it */
	TAILQ_ENTRY(work) in_tells;   /* in: pool->tells while its progress is to be told */
	size_t args_len;
	char args_text[]; /* JSON and a NUL */
};

TAILQ_HEAD(work_list, work);

struct work_pool {
	struct link *link;               /* borrows: lives as long as the host */
	const struct registry *registry; /* borrows: the same */
	/* Ends the process; called from any thread with the lock held; does not return. */
	void (*end)(struct work_pool *pool, int status);
	void *end_arg; /* borrows: end()'s own */
	pthread_attr_t attr;

	pthread_mutex_t lock; /* guards everything below, and link->out */
	struct work_list queue, all;
	struct work_list waiting, tells; /* tell.c's */
	TAILQ_HEAD(, worker) idle;       /* the one that slept last is woken first */
	uint32_t threads;                /* running, with the main thread */
	uint32_t wanted;                 /* workers + WORK_SPARE_THREADS */
	uint32_t roused;                 /* threads that were woken and do not run yet: 0 or 1 */
	bool reading, writing;           /* some thread does it, or waits in it */
	bool quits;                      /* QUIT came */
};

int work_pool_init(
	struct work_pool *pool, struct link *link, const struct registry *registry) MUST_CHECK;
/* Starts threads for `workers` workers (two more than these, the calling one among them). -errno: not even one. */
int work_pool_start(struct work_pool *pool, uint32_t workers) MUST_CHECK;
/* The calling thread works too, until the process ends. */
void work_pool_run(struct work_pool *pool) __attribute__((noreturn));

/* For tell.c, with the lock held. */
void work_rouse(struct work_pool *pool); /* wakes one sleeper, unless one is under way already */
/* Ends the host: the daemon sees it and starts another. */
void work_broken(struct work_pool *pool, const char *what, int error);

#endif
