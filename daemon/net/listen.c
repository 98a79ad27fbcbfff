/*
 * listen: see listen.h.
 */
#include "net/listen.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/daemon.h"

#define BACKLOG          4096
#define ACCEPTS_PER_TURN 64
#define SOCKET_MODE      0660
#define DIRECTORY_MODE   0750
#define REST_US          (100 * US_PER_MS) /* no accepting after descriptors ran out */

struct listener {
	struct daemon *daemon; /* borrows: owns us */
	int fd;
	int lock_fd;         /* held as long as the path is ours; -1: systemd's socket */
	int spare_fd;        /* closed to make room for one accept when there is no other */
	struct event *event; /* owns */
	struct deadline rest;
	char path[PATH_MAX];
};

static const char *listen_default_path(char *ret_path, size_t size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	bool has_own = runtime != NULL && runtime[0] == '/';

	(void)snprintf(ret_path, size, "%s/workpoold/control.sock", has_own ? runtime : "/run");
	return ret_path;
}

/* One message and good-bye. The terminator is not known yet: a newline makes it a line, and is white space before NUL. */
static void listen_refuse(int fd, uint64_t limit)
{
	char text[128];
	int len = snprintf(text, sizeof text,
		"{\"error\":\"org.workpool.Busy\",\"parameters\":{\"limit\":%llu}}\n",
		(unsigned long long)limit);

	(void)!send(fd, text, (size_t)len + 1,
		MSG_NOSIGNAL | MSG_DONTWAIT); /* who cannot read it is refused all the same */
	fd_close(fd);
}

static uint64_t listen_count_uid(const struct daemon *daemon, uid_t uid)
{
	const struct conn *conn;
	uint64_t n = 0;

	TAILQ_FOREACH (conn, &daemon->conns, in_all)
		n += conn->peer.uid == uid;
	return n;
}

/* The limit that one more connection would pass, 0: none. */
static uint64_t listen_limit(const struct daemon *daemon, int fd)
{
	const struct settings_daemon *limits = &daemon->settings->daemon;
	struct ucred cred = {.uid = (uid_t)-1};
	socklen_t size = sizeof cred;

	if (daemon->n_conns >= limits->max_connections)
		return limits->max_connections;
	if (limits->max_connections_per_uid == 0 ||
		daemon->n_conns < limits->max_connections_per_uid)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0 &&
		listen_count_uid(daemon, cred.uid) >= limits->max_connections_per_uid)
		return limits->max_connections_per_uid;
	return 0;
}

static void listen_on_rested(struct deadline *rest, uint64_t now_us)
{
	struct listener *listener = container_of(rest, struct listener, rest);

	(void)now_us;
	(void)event_add(listener->event, NULL);
}

/* No descriptor left: the spare one lets the first in line know; then the listener rests, so that nothing spins. */
static void listen_out_of_descriptors(struct listener *listener)
{
	struct daemon *daemon = listener->daemon;
	int fd;

	log_warning("no_descriptors", "no file descriptor is left: new connections wait");
	listener->spare_fd = fd_close(listener->spare_fd);
	fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		daemon->n_refused_conns++;
		listen_refuse(fd, daemon->n_conns);
	}
	listener->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (deadline_set(&daemon->board->deadlines, &listener->rest, clock_now_us() + REST_US) == 0)
		(void)event_del(listener->event);
}

static void listen_on_accept(evutil_socket_t listen_fd, short what, void *arg)
{
	struct listener *listener = arg;
	struct daemon *daemon = listener->daemon;

	(void)what;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		uint64_t limit;
		int r;

		if (fd < 0 &&
			(errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
			listen_out_of_descriptors(listener);
		if (fd < 0)
			return;
		limit = listen_limit(daemon, fd);
		if (limit > 0) {
			daemon->n_refused_conns++;
			listen_refuse(fd, limit);
			continue;
		}
		r = conn_new(daemon, fd);
		if (r < 0)
			log_error("accept_failed", "a connection could not be taken: %s",
				strerror(-r));
	}
}

/* The socket that systemd opened for us: 0, or -ENOENT: there is none. */
static int listen_take_activated(struct listener *listener, char *ret_why, size_t why_size)
{
	struct sockaddr_un address = {0};
	socklen_t size = sizeof address;
	int n = sd_listen_fds(1);

	if (n == 0)
		return -ENOENT;
	if (n != 1 || sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0) <= 0) {
		(void)snprintf(ret_why, why_size,
			"the service manager passed %d sockets: one listening Unix stream socket "
			"is expected",
			n);
		return -EINVAL;
	}
	listener->fd = SD_LISTEN_FDS_START;
	if (getsockname(listener->fd, (struct sockaddr *)&address, &size) < 0 ||
		address.sun_path[0] != '/')
		address.sun_path[0] = '\0';
	(void)snprintf(listener->path, sizeof listener->path, "%.*s", (int)sizeof address.sun_path,
		address.sun_path);
	return fd_set_nonblock(listener->fd);
}

/* Locks PATH.lock: whoever holds it may remove and make PATH. */
static int listen_lock(struct listener *listener)
{
	char path[PATH_MAX + 8];
	auto_fd int fd = -1;

	(void)snprintf(path, sizeof path, "%s.lock", listener->path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
	listener->lock_fd = take_fd(fd);
	return 0;
}

/* The directory of the path, if it is not there; its parent must be. */
static int listen_make_directory(const char *path)
{
	char dir[PATH_MAX];
	char *slash;

	(void)snprintf(dir, sizeof dir, "%s", path);
	slash = strrchr(dir, '/');
	if (slash == NULL || slash == dir)
		return 0;
	*slash = '\0';
	return mkdir(dir, DIRECTORY_MODE) < 0 && errno != EEXIST ? -errno : 0;
}

static int listen_bind(struct listener *listener)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;
	mode_t mask;
	int r;

	if (fd < 0)
		return -errno;
	memcpy(address.sun_path, listener->path, strlen(listener->path) + 1);
	if (lstat(listener->path, &st) == 0) {
		/* What a daemon left that was killed; anything else is not ours to remove. */
		if (!S_ISSOCK(st.st_mode))
			return -EEXIST;
		if (unlink(listener->path) < 0)
			return -errno;
	}
	mask = umask((mode_t)~SOCKET_MODE & 0777);
	r = bind(fd, (struct sockaddr *)&address, sizeof address);
	(void)umask(mask);
	if (r < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	listener->fd = take_fd(fd);
	return 0;
}

static int listen_open_own(
	struct listener *listener, const char *path, char *ret_why, size_t why_size)
{
	struct sockaddr_un address;
	int r;

	if (path == NULL || path[0] == '\0')
		listen_default_path(listener->path, sizeof listener->path);
	else
		(void)snprintf(listener->path, sizeof listener->path, "%s", path);
	if (strlen(listener->path) >= sizeof address.sun_path) {
		(void)snprintf(ret_why, why_size, "%s: a socket's path has at most %zu bytes",
			listener->path, sizeof address.sun_path - 1);
		return -ENAMETOOLONG;
	}
	r = listen_make_directory(listener->path);
	if (r == 0)
		r = listen_lock(listener);
	if (r == 0)
		r = listen_bind(listener);
	if (r == -EEXIST)
		(void)snprintf(ret_why, why_size,
			"%s: is there and is no socket: it is left as it is", listener->path);
	else if (r == -EADDRINUSE)
		(void)snprintf(
			ret_why, why_size, "%s: another daemon listens there", listener->path);
	else if (r < 0)
		(void)snprintf(ret_why, why_size, "%s: %s", listener->path, strerror(-r));
	return r;
}

int listen_new(struct daemon *daemon, const char *path, struct listener **ret_listener,
	char *ret_why, size_t why_size)
{
	struct listener *listener = calloc(1, sizeof *listener);
	int r;

	(void)snprintf(ret_why, why_size, "out of memory");
	if (listener == NULL)
		return -ENOMEM;
	listener->daemon = daemon;
	listener->fd = listener->lock_fd = -1;
	listener->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	deadline_init(&listener->rest, listen_on_rested);
	r = listen_take_activated(listener, ret_why, why_size);
	if (r == -ENOENT)
		r = listen_open_own(listener, path, ret_why, why_size);
	if (r == 0) {
		listener->event = event_new(daemon->base, listener->fd, EV_READ | EV_PERSIST,
			listen_on_accept, listener);
		r = listener->event != NULL ? 0 : -ENOMEM;
	}
	if (r < 0)
		listen_free(listener);
	else
		*ret_listener = listener;
	return r;
}

void listen_start(struct listener *listener)
{
	(void)event_add(listener->event, NULL);
}

void listen_free(struct listener *listener)
{
	if (listener == NULL)
		return;
	if (listener->event != NULL)
		event_free(listener->event);
	deadline_clear(&listener->daemon->board->deadlines, &listener->rest);
	if (listener->lock_fd >= 0 && listener->fd >= 0)
		(void)unlink(listener->path);
	fd_close(listener->fd);
	fd_close(listener->spare_fd);
	fd_close(
		listener->lock_fd); /* the lock file stays: removing it would let two daemons lock two files */
	free(listener);
}

const char *listen_path(const struct listener *listener)
{
	return listener->path;
}

bool listen_is_activated(const struct listener *listener)
{
	return listener->lock_fd < 0;
}
