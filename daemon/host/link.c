/*
 * link: see link.h. Called by setup.c while there is one thread, then by work.c.
 * Invariants: one read takes all that is there up to READ_BYTES, one write carries all that waits; memory that one large
 * message took is given back when it is done with.
 */
#include "host/link.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/fd.h"

#define READ_BYTES (64u * 1024)
#define KEEP_BYTES (256u * 1024) /* an empty buffer larger than this is given back */

void link_init(struct link *link, int fd)
{
	link->fd = fd;
	link->sends = 0;
	buf_init(&link->in, HOSTMSG_LIMIT + READ_BYTES);
	buf_init(&link->out,
		SIZE_MAX /
			4); /* bounded by the results of the tasks that the daemon has given us */
	buf_init(&link->sending, SIZE_MAX / 4);
}

void link_done(struct link *link)
{
	buf_done(&link->in);
	buf_done(&link->out);
	buf_done(&link->sending);
}

static void give_back(struct buf *buf)
{
	if (buf->cap > KEEP_BYTES)
		buf_release(buf);
}

int link_read(struct link *link)
{
	char *to;
	size_t room;

	give_back(&link->in);
	int r = buf_reserve(&link->in, READ_BYTES, &to, &room);
	if (r < 0)
		return r;
	ssize_t n;
	do
		n = recv(link->fd, to, room, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (n == 0)
		return -EPIPE;
	buf_commit(&link->in, (size_t)n);
	return 0;
}

int link_next(struct link *link, struct hostmsg *ret_msg)
{
	return hostmsg_unpack(&link->in, ret_msg);
}

int link_wait(struct link *link, struct hostmsg *ret_msg)
{
	for (;;) {
		int r = link_next(link, ret_msg);
		if (r != -EAGAIN)
			return r;
		r = link_read(link);
		if (r < 0)
			return r;
	}
}

int link_put(struct link *link, const struct hostmsg *msg)
{
	return hostmsg_pack(&link->out, msg);
}

bool link_has_output(const struct link *link)
{
	return buf_len(&link->out) > 0 || link_is_sending(link);
}

bool link_is_sending(const struct link *link)
{
	return buf_len(&link->sending) > 0;
}

void link_begin_send(struct link *link)
{
	struct buf empty = link->sending;

	link->sending = link->out;
	link->out = empty;
	link->sends++;
}

int link_send(struct link *link, bool wait)
{
	struct view rest;

	while ((rest = buf_view(&link->sending)).len > 0) {
		ssize_t n = send(
			link->fd, rest.data, rest.len, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
		if (n > 0)
			buf_consume(&link->sending, (size_t)n);
		else if (n < 0 && errno != EINTR)
			return errno == ECONNRESET ? -EPIPE : -errno;
	}
	give_back(&link->sending);
	return 0;
}
