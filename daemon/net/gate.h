/*
 * gate: answers wait here until the disk has what they tell. A turn whose answers are all that waits for a flush need not stand still
 * for it: the store flushes beside the loop, the next turns go on, and what they say leaves with the flush that has it.
 *
 *   turn 1   commit, starts leave      answers wait --+        flush 1 begins
 *   turn 2   commit, starts leave      answers wait --|--+        |
 *   turn 3   flush 1 has ended:        those of turn 1 leave   flush 2 begins, with all since
 *
 * So workers that are quick are not kept waiting by the disk, and the more they end the more a flush has. A turn that nothing is handed
 * over in waits as ever: nobody would use the time, and calls that come meanwhile share the next commit.
 */
#ifndef WORKPOOL_NET_GATE_H
#define WORKPOOL_NET_GATE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/tailq.h"

struct conn;
struct daemon;

struct gate {
	struct event *event; /* owns; NULL: the store flushes in the loop only */
	bool is_under_way;   /* a flush is */
	bool is_owed;        /* something was committed since it began that waits for the next */
	TAILQ_HEAD(, conn) conns; /* have answers that wait */
};

/* -ENOMEM. */
int gate_new(struct daemon *daemon) MUST_CHECK;
void gate_free(struct daemon *daemon);

/* After a commit, with its early starts handed over if there were some: the disk is waited for, now or later. -errno: it failed. */
int gate_flush(struct daemon *daemon, bool has_starts) MUST_CHECK;
/* Waits for the flush that is under way, if one is: what it has is true before anything else is found to be not. */
void gate_finish(struct daemon *daemon);
/* The next flush, if one is due and none is under way: the turn's last step with the store. */
void gate_begin(struct daemon *daemon);
/* How much of what the connection has to say may leave now; the rest, if any, waits with it. */
size_t gate_pass(struct conn *conn);
/* The connection closes. */
void gate_leave(struct conn *conn);

#endif
