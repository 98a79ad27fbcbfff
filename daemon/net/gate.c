/*
 * gate: see gate.h.
 *
 * Of what a connection has to say, conn->out, the first `n_clear` bytes may leave, those up to `n_next` when the flush that is under
 * way (or is the next one to begin) has ended, and the rest with the one after it.
 */
#include "net/gate.h"

#include <errno.h>

#include "core/board.h"
#include "net/conn.h"
#include "net/daemon.h"
#include "store/store.h"

/* All that waited for the flush that has ended. What waits for the next stays where it is: that may fail in this same turn. */
static void gate_release(struct daemon *daemon)
{
	struct conn *conn, *next;

	daemon->gate.is_under_way = false;
	TAILQ_FOREACH_SAFE (conn, &daemon->gate.conns, in_gate, next) {
		conn->n_clear = conn->n_next;
		conn_touch(conn);
		if (conn->n_clear == buf_len(&conn->out))
			gate_leave(conn);
	}
}

/* What was told is not so: whoever has not heard it yet hears that. */
static void gate_fail(struct daemon *daemon)
{
	struct gate *gate = &daemon->gate;
	struct conn *conn;

	gate->is_under_way = gate->is_owed = false;
	while ((conn = TAILQ_FIRST(&gate->conns)) != NULL) {
		gate_leave(conn);
		conn_take_back(conn);
	}
	daemon->awake =
		true; /* the store is broken: the next turn ends with all that comes of that */
}

static void gate_end(struct daemon *daemon)
{
	if (store_end_flush(daemon->store) < 0) {
		gate_fail(daemon);
		return;
	}
	board_flush_ended(daemon->board);
	gate_release(daemon);
}

static void gate_on_end(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	gate_finish(arg);
}

/* The store owes nothing any more. */
static void gate_open(struct daemon *daemon)
{
	struct conn *conn;

	board_flush_begins(daemon->board);
	board_flush_ended(daemon->board);
	daemon->gate.is_owed = false;
	TAILQ_FOREACH (conn, &daemon->gate.conns, in_gate)
		conn->n_next = buf_len(&conn->out);
	gate_release(daemon);
}

int gate_new(struct daemon *daemon)
{
	int fd = store_flush_fd(daemon->store);

	gate_open(daemon); /* what the store has is there */
	if (fd < 0)
		return 0;
	daemon->gate.event = event_new(daemon->base, fd, EV_READ | EV_PERSIST, gate_on_end, daemon);
	if (daemon->gate.event == NULL || event_add(daemon->gate.event, NULL) < 0)
		return -ENOMEM;
	return 0;
}

void gate_free(struct daemon *daemon)
{
	if (daemon->gate.event != NULL)
		event_free(daemon->gate.event);
	daemon->gate.event = NULL;
}

void gate_finish(struct daemon *daemon)
{
	if (daemon->gate.is_under_way)
		gate_end(daemon);
}

/* Now, with what is under way. */
static int gate_wait(struct daemon *daemon)
{
	int r;

	gate_finish(daemon);
	r = store_flush(daemon->store);
	if (r < 0)
		gate_fail(daemon);
	else
		gate_open(daemon);
	return r;
}

int gate_flush(struct daemon *daemon, bool has_starts)
{
	struct gate *gate = &daemon->gate;
	bool owes = store_owes_flush(daemon->store);

	if (!owes && !gate->is_under_way) {
		gate_open(daemon);
		return 0;
	}
	if (gate->event == NULL || !(has_starts || gate->is_under_way) ||
		!store_can_begin_flush(daemon->store) || !board_defer(daemon->board))
		return gate_wait(daemon);
	gate->is_owed |= owes;
	return 0;
}

void gate_begin(struct daemon *daemon)
{
	struct gate *gate = &daemon->gate;

	if (!gate->is_owed || gate->is_under_way)
		return;
	if (!store_owes_flush(daemon->store)) { /* as it was tended all of it got to the disk */
		gate_open(daemon);
		daemon->awake = true;
	} else if (store_broken(daemon->store) < 0) {
		gate_fail(daemon);
	} else {
		gate->is_owed = false;
		gate->is_under_way = true;
		board_flush_begins(daemon->board);
		store_begin_flush(daemon->store);
	}
}

size_t gate_pass(struct conn *conn)
{
	struct gate *gate = &conn->daemon->gate;
	size_t len = buf_len(&conn->out);

	if (!gate->is_under_way && !gate->is_owed)
		conn->n_clear = conn->n_next = len;
	else if (!gate->is_under_way || !gate->is_owed)
		conn->n_next = len;
	if (conn->n_clear == len) {
		gate_leave(conn);
	} else if (!conn->at_gate) {
		conn->at_gate = true;
		TAILQ_INSERT_TAIL(&gate->conns, conn, in_gate);
	}
	return conn->n_clear;
}

void gate_leave(struct conn *conn)
{
	if (!conn->at_gate)
		return;
	conn->at_gate = false;
	TAILQ_REMOVE(&conn->daemon->gate.conns, conn, in_gate);
}
