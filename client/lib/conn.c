/*
 * conn: opening a socket, and moving bytes. Called by call.c and by programs with a loop of their own (workpool_process()).
 *
 *     workpool_send() --> out --> the daemon --> in --> workpool_receive()
 *
 * Invariants: `fd` never blocks. Whenever bytes are read what waits in `out` is written first, so that a daemon that stops reading
 * until we read (workpoold-protocol(7), max_output) cannot hang us. `in` takes more than CONN_QUEUE_BYTES only for one message,
 * `out` too: so memory is bounded, and who sends is told FULL instead of waiting for what only he can do. A write that fails is
 * no end: what the daemon said before it closed is read. Calls end with newlines and not NUL: one that the daemon cannot read then
 * costs that call only, and not the connection and those behind it. Replies may end with either, since one to a call that is too
 * long leaves before the daemon has seen a newline.
 */
#include "client/lib/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/lib/fail.h"

#define SYSTEM_SOCKET  "/run/workpoold/control.sock"
#define USER_SOCKET    "workpoold/control.sock" /* under $XDG_RUNTIME_DIR */
#define READ_BYTES     ((size_t)64 * 1024)
#define KEEP_BYTES     ((size_t)256 * 1024)
#define RETRY_FIRST_US (5 * US_PER_MS)
#define RETRY_MAX_US   (200 * US_PER_MS)
#define CALLS_FIRST    16
#define CALLS_MAX      ((size_t)65536)

/* Of this user's own daemon, if it has a socket; else NULL. */
static char *find_user_socket(void)
{
	const char *folder = getenv("XDG_RUNTIME_DIR");
	auto_free char *path = NULL;

	if (!folder || *folder != '/')
		return NULL;
	if (asprintf(&path, "%s/%s", folder, USER_SOCKET) < 0) {
		path = NULL;
		return NULL;
	}
	return access(path, F_OK) == 0 ? take(path) : NULL;
}

static char *find_socket(const char *given)
{
	const char *named = getenv("WORKPOOL_SOCKET");

	if (given)
		return strdup(given);
	if (named && *named)
		return strdup(named);
	char *own = find_user_socket();
	return own ? own : strdup(SYSTEM_SOCKET);
}

struct workpool *workpool_new(const char *path)
{
	auto_free struct workpool *wp = calloc(1, sizeof(*wp));

	if (!wp)
		return NULL;
	wp->path = find_socket(path);
	wp->fd = -1;
	buf_init(&wp->in, CONN_LIMIT_BYTES + READ_BYTES);
	buf_init(&wp->out, CONN_LIMIT_BYTES);
	return wp->path ? take(wp) : NULL;
}

void workpool_free(struct workpool *wp)
{
	if (!wp)
		return;
	workpool_close(wp);
	free(wp->path);
	free(wp);
}

void workpool_close(struct workpool *wp)
{
	if (wp->fd >= 0)
		(void)close(wp->fd); /* Linux has let it go whatever it says */
	wp->fd = -1;
	wp->ended = 0;
	wp->is_deaf = wp->has_message = false;
	wp->scanned = 0;
	buf_done(&wp->in);
	buf_done(&wp->out);
	free(wp->calls);
	wp->calls = NULL;
	wp->cap = wp->head = wp->n = wp->n_dropped = 0;
}

const char *workpool_socket(const struct workpool *wp)
{
	return wp->path;
}

uint64_t conn_deadline(int timeout_ms)
{
	return timeout_ms < 0 ? CONN_FOREVER : clock_now_us() + (uint64_t)timeout_ms * US_PER_MS;
}

bool conn_is_usable(const struct workpool *wp)
{
	return wp->fd >= 0 && wp->ended == 0 && !wp->is_deaf;
}

/* poll(2) until then at the latest; what interrupts it only makes it shorter. */
static void wait_until(struct pollfd *fds, nfds_t n, uint64_t until_us)
{
	uint64_t now_us = clock_now_us();
	uint64_t us = until_us > now_us ? until_us - now_us : 0;
	struct timespec span = {
		.tv_sec = (time_t)(us / US_PER_SEC),
		.tv_nsec = (long)(us % US_PER_SEC) * 1000,
	};

	/* Interrupted is as good as too early: the caller looks at the clock. */
	if (ppoll(fds, n, until_us == CONN_FOREVER ? NULL : &span, NULL) < 0 && n > 0)
		fds[0].revents = 0;
}

/* 0, or an errno. */
static int connect_once(const char *path, int *ret_fd)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	if (len >= sizeof(addr.sun_path))
		return ENAMETOOLONG;
	memcpy(addr.sun_path, path, len);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;
	/* A Unix socket connects at once or not at all: EAGAIN is a full backlog, unix(7). */
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int error = errno;
		(void)close(fd);
		return error;
	}
	*ret_fd = fd;
	return 0;
}

static int fail_open(struct workpool *wp, int error)
{
	static const struct {
		int error;
		int code;
	} codes[] = {
		{EACCES, WORKPOOL_FORBIDDEN},
		{EPERM, WORKPOOL_FORBIDDEN},
		{ENAMETOOLONG, WORKPOOL_BAD_ARGUMENT},
		{ENOMEM, WORKPOOL_NO_MEMORY},
		{ENOBUFS, WORKPOOL_NO_MEMORY},
	};

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		if (codes[i].error == error)
			return fail_system(wp, codes[i].code, error);
	}
	return fail_system(wp, WORKPOOL_UNREACHABLE, error);
}

/* A daemon that starts again is not there for a moment, or has no room in its backlog. */
static bool is_passing(int error)
{
	return error == ENOENT || error == ECONNREFUSED || error == EAGAIN;
}

int workpool_open(struct workpool *wp, int timeout_ms)
{
	uint64_t until_us = conn_deadline(timeout_ms);
	uint64_t pause_us = RETRY_FIRST_US;

	fail_none(wp);
	/* Does it only look open? Whatever comes of it: then it is closed. */
	if (conn_is_usable(wp) && conn_turn(wp, 0) != WORKPOOL_NO_MEMORY && conn_is_usable(wp))
		return 0;
	workpool_close(wp);
	for (;;) {
		int error = connect_once(wp->path, &wp->fd);
		if (error == 0)
			return 0;
		uint64_t now_us = clock_now_us();
		if (!is_passing(error) || now_us >= until_us)
			return fail_open(wp, error);
		uint64_t left_us = until_us - now_us;
		wait_until(NULL, 0, now_us + (pause_us < left_us ? pause_us : left_us));
		pause_us = pause_us * 2 < RETRY_MAX_US ? pause_us * 2 : RETRY_MAX_US;
	}
}

int workpool_open_fd(struct workpool *wp, int fd)
{
	int flags = fcntl(fd, F_GETFL);
	int type = 0;
	socklen_t len = sizeof(type);

	fail_none(wp);
	if (flags < 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return fail_system(wp, WORKPOOL_BAD_ARGUMENT, errno);
	if (type != SOCK_STREAM)
		return fail_because(wp, WORKPOOL_BAD_ARGUMENT, "not a stream socket");
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return fail_system(wp, WORKPOOL_BAD_ARGUMENT, errno);
	workpool_close(wp);
	wp->fd = fd;
	return 0;
}

/* An empty buffer keeps the memory that is usual, and gives back what a large message took. */
static void give_back(struct buf *buf)
{
	if (buf->cap > KEEP_BYTES)
		buf_release(buf);
}

void conn_write(struct workpool *wp)
{
	while (buf_len(&wp->out) > 0) {
		struct view text = buf_view(&wp->out);
		ssize_t n = send(wp->fd, text.data, text.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		/* The latter two are the kernel's memory: it comes back. */
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM))
			return;
		wp->is_deaf = n < 0;
		buf_consume(&wp->out, n < 0 ? text.len : (size_t)n);
	}
	give_back(&wp->out);
}

/* Where the next terminator is, from `from` on; text.len: there is none. No reply has one inside. */
static size_t find_end(struct view text, size_t from)
{
	const char *newline = memchr(text.data + from, '\n', text.len - from);
	size_t len = newline ? (size_t)(newline - text.data) : text.len;
	const char *nul = memchr(text.data + from, '\0', len - from);

	return nul ? (size_t)(nul - text.data) : len;
}

/* Looks for the end of the next message in what has come. What is empty is none: some messages end with both terminators. */
static void find_message(struct workpool *wp)
{
	while (!wp->has_message && buf_len(&wp->in) > wp->scanned) {
		struct view text = buf_view(&wp->in);
		size_t end = find_end(text, wp->scanned);
		if (end == 0) {
			buf_consume(&wp->in, 1);
			continue;
		}
		wp->scanned = end;
		wp->has_message = end < text.len;
		if (end > CONN_LIMIT_BYTES) {
			wp->has_message = false;
			wp->ended = WORKPOOL_BAD_REPLY;
			return;
		}
	}
}

int conn_next(const struct workpool *wp, struct view *ret_message)
{
	if (wp->has_message) {
		*ret_message = (struct view){buf_view(&wp->in).data, wp->scanned};
		return 0;
	}
	if (wp->fd < 0)
		return WORKPOOL_CLOSED;
	return wp->ended ? wp->ended : WORKPOOL_TIMED_OUT;
}

void conn_take(struct workpool *wp)
{
	buf_consume(&wp->in, wp->scanned + 1);
	give_back(&wp->in);
	wp->scanned = 0;
	wp->has_message = false;
	find_message(wp);
}

void conn_pop(struct workpool *wp)
{
	wp->head = (wp->head + 1) % wp->cap;
	wp->n--;
	wp->n_dropped -= wp->n_dropped > 0;
}

int conn_reserve_call(struct workpool *wp)
{
	if (wp->n < wp->cap)
		return 0;
	if (wp->cap == CALLS_MAX)
		return WORKPOOL_FULL;
	size_t cap = wp->cap ? wp->cap * 2 : CALLS_FIRST;
	struct pending *calls = calloc(cap, sizeof(*calls));
	if (!calls)
		return WORKPOOL_NO_MEMORY;
	for (size_t i = 0; i < wp->n; i++)
		calls[i] = wp->calls[(wp->head + i) % wp->cap];
	free(wp->calls);
	wp->calls = calls;
	wp->cap = cap;
	wp->head = 0;
	return 0;
}

void conn_push(struct workpool *wp, void *data, bool is_more)
{
	wp->calls[(wp->head + wp->n) % wp->cap] = (struct pending){data, is_more};
	wp->n++;
}

/* Replies that nobody waits for any more. */
static void drop_replies(struct workpool *wp)
{
	while (wp->n_dropped > 0 && wp->has_message) {
		conn_take(wp);
		conn_pop(wp);
	}
}

void conn_drop(struct workpool *wp)
{
	wp->n_dropped = wp->n;
	drop_replies(wp);
}

static bool may_read(const struct workpool *wp)
{
	return wp->ended == 0 && !(wp->has_message && buf_len(&wp->in) >= CONN_QUEUE_BYTES);
}

/* One portion, so that one connection does not keep others waiting. */
static int read_in(struct workpool *wp)
{
	char *to;
	size_t room;

	/* Before the read: what came is never lost. */
	int r = buf_reserve(&wp->in, READ_BYTES, &to, &room);
	if (r < 0)
		return r == -ENOMEM ? WORKPOOL_NO_MEMORY : 0;
	ssize_t n = recv(wp->fd, to, READ_BYTES, 0);
	if (n > 0)
		buf_commit(&wp->in, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		wp->ended = WORKPOOL_CLOSED;
	find_message(wp);
	drop_replies(wp);
	return 0;
}

int workpool_fd(const struct workpool *wp)
{
	return wp->fd;
}

int workpool_events(const struct workpool *wp)
{
	if (wp->fd < 0)
		return 0;
	return (may_read(wp) ? POLLIN : 0) | (buf_len(&wp->out) > 0 ? POLLOUT : 0);
}

int workpool_process(struct workpool *wp)
{
	fail_none(wp);
	if (wp->fd < 0)
		return fail(wp, WORKPOOL_CLOSED);
	int code = conn_turn(wp, 0);
	if (code == 0 || code == WORKPOOL_FULL)
		code = wp->ended;
	return code ? fail(wp, code) : 0;
}

int conn_turn(struct workpool *wp, uint64_t until_us)
{
	conn_write(wp);
	struct pollfd fd = {.fd = wp->fd, .events = (short)workpool_events(wp), .revents = POLLIN};

	if (fd.events == 0)
		return WORKPOOL_FULL;
	if (until_us > 0)
		wait_until(&fd, 1, until_us);
	if (fd.revents & POLLOUT)
		conn_write(wp);
	return fd.revents && may_read(wp) ? read_in(wp) : 0;
}
