/*
 * line: see line.h.
 */
#include "line.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cpu.h"

union address {
	struct sockaddr any;
	struct sockaddr_un unix_;
	struct sockaddr_in tcp;
};

static socklen_t read_address(const char *text, union address *ret_address)
{
	*ret_address = (union address){.any = {0}};
	if (text[0] != '/') {
		ret_address->tcp.sin_family = AF_INET;
		ret_address->tcp.sin_port = htons((uint16_t)strtoul(text, NULL, 10));
		ret_address->tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof ret_address->tcp;
	}
	if (strlen(text) >= sizeof ret_address->unix_.sun_path)
		errx(1, "%s: too long for a socket", text);
	ret_address->unix_.sun_family = AF_UNIX;
	memcpy(ret_address->unix_.sun_path, text, strlen(text));
	return sizeof ret_address->unix_;
}

static int open_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		err(1, "socket");
	if (family == AF_INET && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
		err(1, "TCP_NODELAY");
	return fd;
}

int line_connect(const char *address)
{
	union address to;
	socklen_t size = read_address(address, &to);
	uint64_t until_ns = cpu_now_ns() + PATIENCE_S * NS_PER_S;
	int fd = open_socket(to.any.sa_family);

	while (connect(fd, &to.any, size) < 0) {
		if (cpu_now_ns() > until_ns)
			err(1, "%s", address);
		(void)usleep(POLL_US);
	}
	return fd;
}

void line_open(struct line *line, const struct proto *proto, const char *address)
{
	struct timeval patience = {.tv_sec = PATIENCE_S};

	line->fd = line_connect(address);
	line->proto = proto;
	line->at = line->len = 0;
	if (setsockopt(line->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
		setsockopt(line->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
		err(1, "setsockopt");
}

void line_write(const struct line *line, const char *data, size_t len)
{
	ssize_t n;

	for (; len > 0; data += n, len -= (size_t)n) {
		n = send(line->fd, data, len, MSG_NOSIGNAL);
		if (n < 0)
			err(1, "%s: send", line->proto->name);
	}
}

void line_read(struct line *line)
{
	ssize_t n;

	if (line->at > 0) {
		memmove(line->in, line->in + line->at, line->len - line->at);
		line->len -= line->at;
		line->at = 0;
	}
	if (line->len == sizeof line->in)
		errx(1, "%s: an answer without an end", line->proto->name);
	n = recv(line->fd, line->in + line->len, sizeof line->in - line->len, 0);
	if (n == 0)
		errx(1, "%s closed the connection", line->proto->name);
	if (n < 0)
		err(1, "%s: recv", line->proto->name);
	line->len += (size_t)n;
}

bool line_hear(struct line *line, struct said *ret_said)
{
	const char *in = line->in + line->at;

	*ret_said = line->proto->hear(in, line->len - line->at);
	if (ret_said->kind == SAID_NO)
		errx(1, "%s refused: %.*s", line->proto->name, (int)ret_said->len, in);
	line->at += ret_said->len;
	return ret_said->kind != SAID_PART;
}

struct said line_wait(struct line *line)
{
	struct said said;

	while (!line_hear(line, &said))
		line_read(line);
	return said;
}

unsigned line_count(struct line *line)
{
	struct said said;
	unsigned n = 0;

	line_read(line);
	while (line_hear(line, &said))
		n += said.kind != SAID_NOTE;
	return n;
}

unsigned line_free_port(void)
{
	union address address;
	socklen_t size = read_address("0", &address);
	int fd = open_socket(AF_INET);

	if (bind(fd, &address.any, size) < 0 || getsockname(fd, &address.any, &size) < 0)
		err(1, "a free port");
	(void)close(fd);
	return ntohs(address.tcp.sin_port);
}
