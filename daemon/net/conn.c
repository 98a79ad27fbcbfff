/*
 * conn: see conn.h.
 *
 * What is read when: the read event is set while there is room in `in` and the client still writes. Calls are taken off
 * `in`, at most CALLS_PER_TURN a turn, while no call is held, nothing closes and fewer than max_output bytes wait.
 * What is left over puts the connection on daemon->ready, so that the next turn does not sleep.
 */
#include "net/conn.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "net/daemon.h"

#define CALLS_PER_TURN 64

static void conn_on_read(evutil_socket_t fd, short what, void *arg);
static void conn_on_write(evutil_socket_t fd, short what, void *arg);
static void conn_on_leave(evutil_socket_t fd, short what, void *arg);

static void conn_on_receive_timeout(struct deadline *receive, uint64_t now_us)
{
	struct conn *conn = container_of(receive, struct conn, receive);

	(void)now_us;
	conn->daemon->hooks.on_message(conn, (struct view){NULL, 0}, -ETIME);
	conn_finish(conn);
}

int conn_new(struct daemon *daemon, int fd)
{
	const struct settings_daemon *limits = &daemon->settings->daemon;
	struct conn *conn = calloc(1, sizeof *conn);
	int r = conn != NULL ? peer_read(fd, daemon->access, &conn->peer) : -ENOMEM;

	if (r < 0) {
		free(conn);
		fd_close(fd);
		return r;
	}
	conn->daemon = daemon;
	conn->fd = fd;
	frame_init(&conn->frame, limits->max_message_bytes);
	buf_init(&conn->in, limits->max_message_bytes + 1);
	/* One reply may pass max_output: it counts when the next call is to be taken. */
	buf_init(&conn->out, SIZE_MAX / 4);
	deadline_init(&conn->receive, conn_on_receive_timeout);
	TAILQ_INIT(&conn->calls);
	(void)event_assign(
		&conn->read_event, daemon->base, fd, EV_READ | EV_PERSIST, conn_on_read, conn);
	(void)event_assign(
		&conn->write_event, daemon->base, fd, EV_WRITE | EV_PERSIST, conn_on_write, conn);
	(void)event_assign(&conn->leave_event, daemon->base, fd, EV_CLOSED | EV_ET | EV_PERSIST,
		conn_on_leave, conn);
	TAILQ_INSERT_TAIL(&daemon->conns, conn, in_all);
	daemon->n_conns++;
	conn_touch(conn);
	return 0;
}

void conn_touch(struct conn *conn)
{
	if (conn->on_flush || conn->dead)
		return;
	conn->on_flush = true;
	TAILQ_INSERT_TAIL(&conn->daemon->flush, conn, in_flush);
}

void conn_close(struct conn *conn)
{
	struct daemon *daemon = conn->daemon;

	if (conn->dead)
		return;
	conn->dead = true;
	(void)event_del(&conn->read_event);
	(void)event_del(&conn->write_event);
	(void)event_del(&conn->leave_event);
	deadline_clear(&daemon->board->deadlines, &conn->receive);
	if (conn->on_flush)
		TAILQ_REMOVE(&daemon->flush, conn, in_flush);
	if (conn->on_ready)
		TAILQ_REMOVE(&daemon->ready, conn, in_ready);
	gate_leave(conn);
	TAILQ_REMOVE(&daemon->conns, conn, in_all);
	TAILQ_INSERT_TAIL(&daemon->gone, conn, in_all);
	daemon->n_conns--;
}

void conn_finish(struct conn *conn)
{
	conn->closing = true;
	buf_consume(&conn->in, buf_len(&conn->in));
	deadline_clear(&conn->daemon->board->deadlines, &conn->receive);
	conn_touch(conn);
}

void conn_fail(struct conn *conn)
{
	log_error("no_memory", "out of memory for a message: a connection is closed");
	conn_close(conn);
}

void conn_take_back(struct conn *conn)
{
	struct view all = buf_view(&conn->out);
	struct buf lost;

	buf_init(&lost, SIZE_MAX / 4);
	if (buf_append(&lost, all.data + conn->n_clear, all.len - conn->n_clear) == 0) {
		buf_truncate(&conn->out, conn->n_clear);
		conn->n_next = conn->n_clear;
		conn->daemon->hooks.on_take_back(conn, buf_view(&lost));
		conn_touch(conn);
	} else {
		conn_fail(conn);
	}
	buf_done(&lost);
}

static void conn_set_ready(struct conn *conn)
{
	if (conn->on_ready || conn->dead)
		return;
	conn->on_ready = true;
	TAILQ_INSERT_TAIL(&conn->daemon->ready, conn, in_ready);
}

void conn_resume(struct conn *conn)
{
	conn->held = false;
	/* Else the next turn would look for a call that is not there, instead of sleeping. */
	if (buf_len(&conn->in) > 0 || conn->eof)
		conn_set_ready(conn);
}

static bool conn_takes_calls(const struct conn *conn)
{
	return !conn->held && !conn->closing && !conn->dead &&
	       buf_len(&conn->out) < conn->daemon->settings->daemon.max_output_bytes;
}

/* A message that began has receive_timeout to end; `fresh`: others ended before it, so its own time begins now. */
static void conn_time_message(struct conn *conn, bool fresh)
{
	struct daemon *daemon = conn->daemon;
	struct deadlines *deadlines = &daemon->board->deadlines;
	uint64_t timeout_us = daemon->settings->daemon.receive_timeout_us;

	if (buf_len(&conn->in) == 0 || timeout_us == 0)
		deadline_clear(deadlines, &conn->receive);
	else if ((fresh || !deadline_is_set(&conn->receive)) &&
		 deadline_set(deadlines, &conn->receive, daemon->now_us + timeout_us) < 0)
		conn_fail(conn);
}

/* The client writes no more and what is in hand is no whole message. */
static void conn_end_of_input(struct conn *conn)
{
	if (buf_len(&conn->in) > 0)
		conn->daemon->hooks.on_message(conn, (struct view){NULL, 0}, -ENODATA);
	conn_finish(conn);
}

/* Takes calls off the input, as many as a turn may. */
static void conn_serve(struct conn *conn)
{
	unsigned n;

	for (n = 0; n < CALLS_PER_TURN && conn_takes_calls(conn); n++) {
		struct view message = {NULL, 0};
		int r = frame_next(&conn->frame, &conn->in, &message);

		if (r == -EAGAIN && conn->eof) {
			conn_end_of_input(conn);
			return;
		}
		if (r == -EAGAIN) {
			conn_time_message(conn, n > 0);
			return;
		}
		conn->daemon->hooks.on_message(conn, message, r);
		if (r == -EMSGSIZE) {
			conn_finish(conn);
			return;
		}
	}
	/* What is left is not the client's delay. */
	deadline_clear(&conn->daemon->board->deadlines, &conn->receive);
	conn->stalled = buf_len(&conn->in) > 0 || conn->eof;
}

/* Each once a turn: one that has more left is behind the others, and waits for the next. */
void conn_serve_ready(struct daemon *daemon)
{
	struct conn *conn;

	if (TAILQ_EMPTY(&daemon->ready))
		return;
	daemon->now_us = clock_now_us();
	while ((conn = TAILQ_FIRST(&daemon->ready)) != NULL && conn->served_turn != daemon->turn) {
		TAILQ_REMOVE(&daemon->ready, conn, in_ready);
		conn->on_ready = false;
		conn->served_turn = daemon->turn;
		conn_serve(conn);
		conn_touch(conn);
	}
}

/* After the end of input: has the client gone altogether, or does it still read? (unix(7): POLLHUP when both ways are shut) */
static bool conn_is_hung_up(const struct conn *conn)
{
	struct pollfd fd = {.fd = conn->fd};

	return poll(&fd, 1, 0) > 0 && (fd.revents & (POLLHUP | POLLERR)) != 0;
}

static void conn_on_read(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;
	ssize_t n;

	(void)what;
	if (conn->dead)
		return;
	conn_touch(conn);
	n = fd_receive(fd, &conn->in);
	/* -EMSGSIZE: full, conn_flush() takes the event away until there is room. */
	if (n == -EMSGSIZE || n == -EAGAIN || n == -EINTR)
		return;
	if (n == -ENOMEM) {
		conn_fail(conn);
		return;
	}
	conn->hung_up = n < 0 || (n == 0 && conn_is_hung_up(conn));
	conn->eof = n <= 0;
	conn_set_ready(conn);
}

static void conn_on_write(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conn_touch(arg);
}

/* The client had shut its writing side; now perhaps both. */
static void conn_on_leave(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;

	(void)fd;
	(void)what;
	conn->hung_up = conn_is_hung_up(conn);
	conn_touch(conn);
}

static void conn_want(struct event *event, bool *has, bool want)
{
	if (*has == want)
		return;
	*has = want;
	if (want)
		(void)event_add(event, NULL);
	else
		(void)event_del(event);
}

/*
 * Never both at once: the kernel knows one mode for a descriptor, and the level-triggered write would make the end of input,
 * which stays, wake every turn. A write finds by itself that the client has gone.
 */
static void conn_want_leave_or_write(struct conn *conn)
{
	bool writes = conn->n_clear > 0;

	if (writes)
		conn_want(&conn->leave_event, &conn->leaves, false);
	conn_want(&conn->write_event, &conn->writes, writes);
	if (!writes)
		conn_want(&conn->leave_event, &conn->leaves, conn->eof && !conn->hung_up);
}

/* For a client that has gone the words are thrown away. */
static void conn_drop_words(struct conn *conn)
{
	conn->hung_up = true;
	conn->n_clear = conn->n_next = 0;
	gate_leave(conn);
	buf_consume(&conn->out, buf_len(&conn->out));
}

/* One write. */
static void conn_write(struct conn *conn)
{
	size_t len = conn->hung_up ? 0 : gate_pass(conn);
	ssize_t n = 0;

	if (len > 0)
		n = send(conn->fd, buf_view(&conn->out).data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (conn->hung_up || (n < 0 && !fd_is_full(errno))) {
		conn_drop_words(conn);
	} else if (n > 0) {
		buf_consume(&conn->out, (size_t)n);
		conn->n_clear -= (size_t)n;
		conn->n_next -= (size_t)n;
	}
}

/* One write, then the events that fit what is left. */
static void conn_flush_one(struct conn *conn)
{
	conn_write(conn);
	/* What a client sent before it went is done; what it would have waited for is not waited for. */
	if (conn->hung_up && conn->held) {
		conn_close(conn);
		return;
	}
	if (conn->closing && buf_len(&conn->out) == 0 && TAILQ_EMPTY(&conn->calls)) {
		conn_close(conn);
		return;
	}
	if (conn->stalled && conn_takes_calls(conn)) {
		conn->stalled = false;
		conn_set_ready(conn);
	}
	conn_want(&conn->read_event, &conn->reads,
		!conn->eof && !conn->closing && buf_len(&conn->in) < conn->in.limit);
	conn_want_leave_or_write(conn);
	buf_release(&conn->in);
	buf_release(&conn->out);
}

void conn_flush(struct daemon *daemon)
{
	struct conn *conn;

	while ((conn = TAILQ_FIRST(&daemon->flush)) != NULL) {
		TAILQ_REMOVE(&daemon->flush, conn, in_flush);
		conn->on_flush = false;
		conn_flush_one(conn);
	}
}

void conn_sweep(struct daemon *daemon)
{
	struct conn *conn;

	while ((conn = TAILQ_FIRST(&daemon->gone)) != NULL) {
		TAILQ_REMOVE(&daemon->gone, conn, in_all);
		daemon->hooks.on_conn_gone(conn);
		peer_done(&conn->peer);
		buf_done(&conn->in);
		buf_done(&conn->out);
		fd_close(conn->fd);
		free(conn);
	}
}
