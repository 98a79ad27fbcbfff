/*
 * conn: a connection: bytes that wait in both directions, and which calls are outstanding.
 */
#ifndef WORKPOOL_CLIENT_LIB_CONN_H
#define WORKPOOL_CLIENT_LIB_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "client/lib/workpool.h"

#define CONN_QUEUE_BYTES ((size_t)1024 * 1024) /* that wait in one direction before it is FULL */
#define CONN_LIMIT_BYTES ((size_t)64 * 1024 * 1024) /* of one message in one direction */
#define CONN_FOREVER     UINT64_MAX
#define CONN_ERROR_SIZE  512

/* A call whose last reply is outstanding. */
struct pending {
	void *data; /* the caller's */
	bool is_more;
};

struct workpool {
	char *path;   /* owns */
	int fd;       /* owns; -1: not open */
	int ended;    /* 0, or why no more bytes come: WORKPOOL_CLOSED, WORKPOOL_BAD_REPLY */
	bool is_deaf; /* the daemon reads no more: what is sent is thrown away */
	struct buf in;
	size_t scanned;   /* bytes of `in` that hold no newline */
	bool has_message; /* a newline is behind them: a whole message waits */
	struct buf out;
	struct pending *calls; /* owns: a ring of `cap` */
	size_t cap, head, n;
	size_t n_dropped; /* of the oldest calls: nobody wants their replies; none of them has MORE */
	int system_error;
	char error_text[CONN_ERROR_SIZE];
};

uint64_t conn_deadline(int timeout_ms); /* -1: CONN_FOREVER */
/* Calls can be sent. */
bool conn_is_usable(const struct workpool *wp);
/* What of `out` the socket takes without waiting. */
void conn_write(struct workpool *wp);
/* Writes, waits until something can be read or written, or until the deadline, and does it once. until_us 0: without waiting.
 * 0, WORKPOOL_NO_MEMORY; WORKPOOL_FULL: nothing can move before replies are taken. No text is noted. */
int conn_turn(struct workpool *wp, uint64_t until_us) MUST_CHECK;
/* The next message, valid until `in` is touched: 0, and buf_consume(&wp->in, len + 1) through conn_take() when used;
 * WORKPOOL_TIMED_OUT: none is here; what `ended` says: none, and none comes. No text is noted. */
int conn_next(const struct workpool *wp, struct view *ret_message) MUST_CHECK;
void conn_take(struct workpool *wp);
/* The oldest call has had its last reply. */
void conn_pop(struct workpool *wp);
/* Nobody wants the replies that are outstanding. */
void conn_drop(struct workpool *wp);
/* Room for one more call: 0, WORKPOOL_NO_MEMORY, WORKPOOL_FULL. */
int conn_reserve_call(struct workpool *wp) MUST_CHECK;
void conn_push(struct workpool *wp, void *data, bool is_more); /* into that room */

#endif
