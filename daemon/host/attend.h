/*
 * attend: what the thread of a worker does while a program works for its task: feeds it, takes its output, tells it to whom
 * it may concern, and ends it when the task was cancelled: TERM to the process group, kill_after later KILL.
 */
#ifndef WORKPOOL_HOST_ATTEND_H
#define WORKPOOL_HOST_ATTEND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "host/program.h"
#include "host/stream.h"
#include "host/task.h"

#define ATTEND_PARTS 3

struct attend {
	struct work *task;              /* borrows */
	struct program *program;        /* borrows */
	struct view feed[ATTEND_PARTS]; /* borrow: what it still has to be written, in order */
	uint64_t fed_bytes;
	bool closes_in; /* when it has been fed */
	uint64_t
		due_us; /* a turn ends by then at the latest; UINT64_MAX: only when something happens */
	/* Its standard output can be read: closes out.fd at its end. NULL: it is captured. */
	void (*on_out)(struct attend *attend);
	struct stream streams[2];
	bool is_over;        /* the caller has what it wants: a cancel comes too late */
	uint64_t kill_at_us; /* 0: not asked to end */
	bool is_killed;
};

/* The rest of the fields are the caller's to set before attend_begin(); the program need not be there before that. */
void attend_init(struct attend *attend, struct work *task, struct program *program);
/* Writes what there is room for; also before the program has started. */
void attend_feed(struct attend *attend);
/* From here on cancels and news are heard. The caller then looks at the program and takes turns until it has what it wants. */
void attend_begin(struct attend *attend);
/* Tells what there is, waits for something to do and does it. -errno. */
int attend_turn(struct attend *attend) MUST_CHECK;
/* Nothing more will come, or is wanted: tells the rest, no faster than the daemon reads. */
void attend_end(struct attend *attend);
bool attend_is_fed(const struct attend *attend);
/* A handler's cancel() and follow(). Called by work.c and tell.c under the lock. */
void attend_wake(struct work *task);

#endif
