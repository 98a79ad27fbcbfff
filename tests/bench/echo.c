/*
 * echo SOCKET: the floor under every Unix-socket server with an event loop. It answers each message
 * (ended by a NUL byte) with one of 42 bytes, and does nothing else: for a wake-up one
 * epoll_wait(2), one read and one write, however many messages were in it. For measuring only: it
 * believes its clients, and ends with a signal.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER    "{\"parameters\":{\"id\":\"1234\",\"state\":\"ok\"}}"
#define ANSWERS   1024 /* in one write */
#define READ_SIZE 65536

static char answers[ANSWERS * sizeof ANSWER];

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(1, "socket");
	if (strlen(path) >= sizeof address.sun_path)
		errx(1, "%s: too long for a socket", path);
	memcpy(address.sun_path, path, strlen(path));
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 128) < 0)
		err(1, "%s", path);
	return fd;
}

static void watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		err(1, "epoll_ctl");
}

/* -1: the client has gone. A message may lie across two reads: only its end is looked at. */
static int serve(int fd)
{
	static char in[READ_SIZE];
	ssize_t n = recv(fd, in, sizeof in, 0);
	size_t messages = 0;

	if (n <= 0)
		return -1;
	for (const char *at = in; (at = memchr(at, '\0', (size_t)(in + n - at))) != NULL; at++)
		messages++;
	while (messages > 0) {
		size_t now = messages < ANSWERS ? messages : ANSWERS;

		if (send(fd, answers, now * sizeof ANSWER, MSG_NOSIGNAL) < 0)
			return -1;
		messages -= now;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct epoll_event events[16];
	int epoll = epoll_create1(EPOLL_CLOEXEC), listener;

	if (argc != 2)
		errx(64, "usage: echo SOCKET");
	if (epoll < 0)
		err(1, "epoll_create1");
	for (size_t i = 0; i < ANSWERS; i++)
		memcpy(answers + i * sizeof ANSWER, ANSWER, sizeof ANSWER);
	listener = listen_at(argv[1]);
	watch(epoll, listener);
	for (;;) {
		int n = epoll_wait(epoll, events, 16, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd != listener) {
				if (serve(fd) < 0)
					(void)close(fd);
				continue;
			}
			fd = accept(listener, NULL, NULL);
			if (fd < 0)
				err(1, "accept");
			watch(epoll, fd);
		}
	}
}
