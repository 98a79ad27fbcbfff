/*
 * conn: one client's connection: bytes in, bytes out, and when to stop. Knows where a message ends (wire/frame) and nothing
 * of what it means: that is api/call.c's, which hangs its calls on `calls`.
 *
 *   callbacks mark, conn_sweep() frees: a conn lives until the end of the turn in which conn_close() was called.
 */
#ifndef WORKPOOL_NET_CONN_H
#define WORKPOOL_NET_CONN_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/tailq.h"
#include "core/deadline.h"
#include "net/peer.h"
#include "wire/frame.h"

struct call;
struct daemon;
TAILQ_HEAD(call_list, call);

struct conn {
	struct daemon *daemon; /* borrows: outlives us */
	int fd;
	struct peer peer;
	struct frame frame;
	struct buf in; /* at most max_message and a terminator */
	struct buf
		out; /* replies that wait; no new call is taken while there are max_output bytes or more */
	struct event read_event, write_event;
	struct event leave_event; /* after `eof`: tells when the client goes altogether */
	struct deadline receive;  /* set while a message is half there */
	struct call_list calls;   /* api's: calls without their last reply, in order */
	TAILQ_ENTRY(conn) in_all; /* in: daemon->conns, or daemon->gone when `dead` */
	TAILQ_ENTRY(conn) in_flush;
	TAILQ_ENTRY(conn) in_ready;
	TAILQ_ENTRY(conn) in_gate; /* in: daemon->gate.conns while `at_gate` */
	size_t n_clear, n_next;    /* gate's: of `out` */
	bool at_gate;
	uint64_t served_turn; /* daemon->turn when calls were last taken */
	bool on_flush, on_ready;
	bool reads, writes, leaves; /* the events that are set */
	bool held;                  /* a call waits: those behind it are not taken */
	bool stalled; /* input is left because no call was taken: goes on when one may be */
	bool hung_up; /* the client reads no more either: what it sent is still done */
	bool eof;     /* the client writes no more */
	bool closing; /* takes no more calls; closed when its replies have left */
	bool dead;    /* on daemon->gone */
};

/* Takes the descriptor whatever happens. -ENOMEM or what peer_read() says: it was closed. */
int conn_new(struct daemon *daemon, int fd) MUST_CHECK;
/* The turn's end frees it. */
void conn_close(struct conn *conn);
/* No more calls; closed when what waits has been written. */
void conn_finish(struct conn *conn);
/* The next call may be taken again. */
void conn_resume(struct conn *conn);
/* Something was appended to conn->out: it leaves with this turn. */
void conn_touch(struct conn *conn);
/* What waits at the gate never becomes true: it is taken back, and what is said instead leaves with the turn. */
void conn_take_back(struct conn *conn);
/* Out of memory for a call or a reply: the client cannot be told the truth any more, so it is told nothing. */
void conn_fail(struct conn *conn);

/* Steps of the turn. */
void conn_serve_ready(struct daemon *daemon);
void conn_flush(struct daemon *daemon);
void conn_sweep(struct daemon *daemon);

#endif
