/*
 * client_fixture: a connection of libworkpool whose other end the test plays: by hand, or as a thread that answers line by line.
 * Every wait has a limit, so that what is stuck fails its test instead of hanging it.
 */
#ifndef WORKPOOL_TESTS_CLIENT_FIXTURE_H
#define WORKPOOL_TESTS_CLIENT_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/lib/workpool.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define LIMIT_MS      20000 /* of a wait: a failure and not a measure */
#define LINE_SIZE     4096

static inline struct workpool *client_new(void)
{
	struct workpool *wp = workpool_new("/no/such/socket");

	ck_assert_ptr_nonnull(wp);
	return wp;
}

/* Connected; *ret_peer is the other end, which blocks. */
static inline struct workpool *client_open(int *ret_peer)
{
	struct workpool *wp = client_new();
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(workpool_open_fd(wp, fds[0]), 0);
	*ret_peer = fds[1];
	return wp;
}

static inline bool peer_is_readable(int peer, int timeout_ms)
{
	struct pollfd fd = {.fd = peer, .events = POLLIN};

	return poll(&fd, 1, timeout_ms) == 1;
}

static inline void peer_say_bytes(int peer, const char *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = send(peer, data + at, len - at, MSG_NOSIGNAL);
		ck_assert_msg(n > 0, "the client has gone: %s", strerror(errno));
		at += (size_t)n;
	}
}

static inline void peer_say(int peer, const char *text)
{
	peer_say_bytes(peer, text, strlen(text));
}

/* The next line without its newline. false: the client has closed. */
static inline bool peer_read_line(int peer, char line[LINE_SIZE])
{
	for (size_t len = 0; len < LINE_SIZE - 1; len++) {
		ck_assert_msg(peer_is_readable(peer, LIMIT_MS), "the client says nothing");
		if (recv(peer, line + len, 1, 0) <= 0)
			return false;
		if (line[len] == '\n') {
			line[len] = '\0';
			return true;
		}
	}
	ck_abort_msg("the line is too long");
}

static inline void peer_expect(int peer, const char *line)
{
	char got[LINE_SIZE];

	ck_assert(peer_read_line(peer, got));
	ck_assert_str_eq(got, line);
}

/* The next reply, which must be there within the limit. */
static inline struct workpool_reply *client_receive(struct workpool *wp)
{
	struct workpool_reply *reply;
	int code = workpool_receive(wp, LIMIT_MS, &reply);

	ck_assert_msg(code == 0, "%s", workpool_error_text(wp));
	return reply;
}

/* A thread that answers every line until the client closes. */
struct server {
	int fd;
	size_t step_bytes; /* read at most at once */
	size_t n_lines;
	/* Writes the answer to the n-th line; NULL: {"parameters":{"n":<n>}} */
	void (*answer)(struct server *server, const char *line, size_t n);
	pthread_t thread;
};

static inline void server_answer(struct server *server, const char *line)
{
	char text[64];

	if (server->answer) {
		server->answer(server, line, server->n_lines++);
		return;
	}
	if (!strstr(line, "\"oneway\":true")) {
		(void)snprintf(
			text, sizeof(text), "{\"parameters\":{\"n\":%zu}}\n", server->n_lines);
		peer_say(server->fd, text);
	}
	server->n_lines++;
}

static inline void *server_run(void *arg)
{
	struct server *server = arg;
	size_t len = 0, cap = 4u << 20;
	char *line = malloc(cap);

	ck_assert_ptr_nonnull(line);
	for (;;) {
		size_t room = cap - 1 - len;
		ssize_t n = recv(server->fd, line + len,
			room < server->step_bytes ? room : server->step_bytes, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
		char *end;
		while ((end = memchr(line, '\n', len)) != NULL) {
			*end = '\0';
			server_answer(server, line);
			len -= (size_t)(end + 1 - line);
			memmove(line, end + 1, len);
		}
		ck_assert_uint_lt(len, cap - 1);
	}
	free(line);
	(void)close(server->fd);
	return NULL;
}

static inline void server_begin(struct server *server)
{
	if (server->step_bytes == 0)
		server->step_bytes = 65536;
	ck_assert_int_eq(pthread_create(&server->thread, NULL, server_run, server), 0);
}

/* step_bytes and answer are set already. */
static inline struct workpool *server_start(struct server *server)
{
	struct workpool *wp = client_open(&server->fd);

	server_begin(server);
	return wp;
}

/* When the client has closed. */
static inline void server_join(struct server *server)
{
	ck_assert_int_eq(pthread_join(server->thread, NULL), 0);
}

#endif
