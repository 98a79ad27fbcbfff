/*
 * link: descriptor 3, the daemon's end of everything: bytes in, messages out of them, messages to bytes, bytes out.
 *
 *   daemon -- read, many messages at once -->  in   -- link_next() --> setup.c, work.c
 *   daemon <-- one write, many messages ----- out  <-- link_put() --- setup.c, work.c
 *
 * Not for what messages mean. Locks: `in` belongs to the one thread that reads, `out` is guarded by the lock of work.c,
 * `sending` belongs to the one thread that writes.
 */
#ifndef WORKPOOL_HOST_LINK_H
#define WORKPOOL_HOST_LINK_H

#include <stdbool.h>

#include "base/buf.h"
#include "wire/hostmsg.h"

struct link {
	int fd; /* borrows: open as long as the process */
	struct buf in;
	struct buf out;     /* waits to be sent */
	struct buf sending; /* is being sent */
	uint64_t sends;     /* how often `out` became `sending` */
};

void link_init(struct link *link, int fd);
void link_done(struct link *link);

/* Waits for bytes and takes what is there: 0; -EPIPE: the daemon is gone; -errno. */
int link_read(struct link *link) MUST_CHECK;
/* The next message of `in`; -EAGAIN: no whole one is there; -EBADMSG. */
int link_next(struct link *link, struct hostmsg *ret_msg) MUST_CHECK;
/* The next message, waiting for it: 0, -EPIPE, -EBADMSG, -errno. */
int link_wait(struct link *link, struct hostmsg *ret_msg) MUST_CHECK;

/* Onto `out`: -ENOMEM, -EMSGSIZE (then nothing was added). */
int link_put(struct link *link, const struct hostmsg *msg) MUST_CHECK;
bool link_has_output(const struct link *link); /* in `out` or `sending` */
bool link_is_sending(const struct link *link);
/* What waits becomes what is being sent; only while link_is_sending() is not true. */
void link_begin_send(struct link *link);
/* 0: all is sent. -EAGAIN: the daemon does not read, and wait is false: to be called again. -EPIPE, -errno. */
int link_send(struct link *link, bool wait) MUST_CHECK;

#endif
