/*
 * keeper: the programs of type coprocess that no task is in: those that wait for the next task of their worker, and those
 * that are on their way out. One thread of the host watches them all.
 */
#ifndef WORKPOOL_HOST_KEEPER_H
#define WORKPOOL_HOST_KEEPER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/tailq.h"
#include "host/handler.h"
#include "host/program.h"

/* A program that is kept. A task's thread has it, or the keeper; never both. */
struct coprocess {
	struct program program;
	const struct offer *offer; /* borrows: as long as the host */
	uint32_t worker;           /* the daemon's number of the one that it is for */
	uint64_t number;           /* of no other program of this host */
	uint64_t n_tasks;          /* that it has answered */
	/* While it is idle: */
	uint64_t since_us;
	bool is_watched;
	struct buf lines; /* from its standard output, not read yet */
	/* On its way out: */
	uint64_t term_at_us; /* 0: done, or not to be */
	uint64_t kill_at_us; /* the same */
	bool is_closing; /* it closed its output while it had no task: to die, or to live on without us */
	TAILQ_ENTRY(coprocess) link; /* in: one of the keeper's lists */
};

TAILQ_HEAD(coprocess_list, coprocess);

struct keeper {
	int epoll_fd; /* owns: the descriptors of idle programs, and of those that leave; data: the program's number */
	int timer_fd;         /* owns: the thread has something to do at wake_at_us */
	pthread_mutex_t lock; /* guards what follows */
	uint64_t wake_at_us;  /* UINT64_MAX: not before something happens */
	pthread_cond_t empty;
	struct coprocess_list idle;    /* owns; the one that had a task last is first */
	struct coprocess_list retired; /* owns: until the thread sees them */
	uint32_t n_leaving;            /* retired, or with the thread */
	uint32_t workers; /* programs of higher numbers are not kept; UINT32_MAX: of any are */
	uint64_t last_number;
	bool quits;                    /* none is kept any more */
	struct coprocess_list leaving; /* owns; the thread's own, as lock is not needed for it */
};

/* How a program is asked to leave. */
enum retire {
	RETIRE_KINDLY, /* its standard input ends; TERM a second later, if it has not ended by then */
	RETIRE_NOW,    /* TERM at once, and all its pipes are closed */
};

/* Before the first thread; *ret_keeper lives as long as the host. -errno. */
int keeper_open(struct keeper **ret_keeper) MUST_CHECK;
/* Starts the thread. -errno. */
int keeper_listen(struct keeper *keeper) MUST_CHECK;

/* What follows may be called by any thread, also with the lock of work.c held; none of it waits. */

/* The worker's program of this offer, which is the caller's then; NULL: it has none that is fit for a task. */
struct coprocess *keeper_take(
	struct keeper *keeper, const struct offer *offer, uint32_t worker) MUST_CHECK;
/* A new one, not started. NULL: no memory. */
struct coprocess *keeper_new(
	struct keeper *keeper, const struct offer *offer, uint32_t worker) MUST_CHECK;
/* Takes it back after a task: it waits for the next one, if its worker is still there. */
void keeper_put(struct keeper *keeper, struct coprocess *coprocess);
/* Takes it back: it is not to have another task. kill_after of its handler behind the TERM it is KILLed. */
void keeper_retire(struct keeper *keeper, struct coprocess *coprocess, enum retire how);
/* From now on there are so many workers. Until it is said nobody knows: a host of one worker may have any number. */
void keeper_resize(struct keeper *keeper, uint32_t workers);
/* The host is about to leave: all programs are asked to, kindly. */
void keeper_quit(struct keeper *keeper);
/* Waits until none is left, but not long; for the end of a host that was told to leave. */
void keeper_wait(struct keeper *keeper);

#endif
