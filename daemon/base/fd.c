/*
 * fd: descriptors: closing, the non-blocking flag, whole reads and writes.
 * Whole reads and writes wait: they are for start-up, for children and for clients, never for
 * the daemon's turn. fd_receive() is for it.
 */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_STEP     4096
#define RECEIVE_BYTES (64u * 1024) /* a third of what a socket holds for a writer that is ahead */

int fd_close(int fd)
{
	if (fd >= 0) {
		int saved = errno;
		/* Never again after EINTR: close(2), Linux has let the descriptor go already. */
		(void)close(fd);
		errno = saved;
	}
	return -1;
}

void fd_closep(int *fd)
{
	*fd = fd_close(*fd);
}

int fd_flush_folder_of(const char *path)
{
	auto_free char *copy = strdup(path);
	auto_fd int fd = -1;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* EINVAL: it has no such thing (fsync(2)), and a refusal would help nobody. */
	return fsync(fd) == 0 || errno == EINVAL ? 0 : -errno;
}

int fd_set_nonblock(int fd)
{
	/* The flag belongs to the open file: whoever shares it sees it too. */
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

bool fd_is_full(int error)
{
	return error == EAGAIN || error == EINTR || error == ENOBUFS || error == ENOMEM;
}

/* For descriptors that somebody else made non-blocking. */
static int wait_until_writable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	if (poll(&p, 1, -1) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

int fd_write_all(int fd, const void *data, size_t len)
{
	const char *from = data;
	bool is_socket = true;

	/* send(2) first: only it can be told not to raise SIGPIPE. A pipe says ENOTSOCK. */
	while (len > 0) {
		ssize_t n = is_socket ? send(fd, from, len, MSG_NOSIGNAL) : write(fd, from, len);
		if (n > 0) {
			from += n;
			len -= (size_t)n;
		} else if (n == 0) {
			return -EIO;
		} else if (errno == ENOTSOCK && is_socket) {
			is_socket = false;
		} else if (errno == EAGAIN) {
			int r = wait_until_writable(fd);
			if (r < 0)
				return r;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* Reads until the end or until `cap` bytes are there: how many, or -errno. */
static ssize_t read_up_to(int fd, char *data, size_t cap)
{
	size_t len = 0;

	while (len < cap) {
		ssize_t n = read(fd, data + len, cap - len);
		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
	return (ssize_t)len;
}

int fd_read_all(int fd, size_t limit, char **ret_data, size_t *ret_len)
{
	auto_free char *data = NULL;
	size_t len = 0;

	/* So that limit + 1 is a size that exists. */
	if (limit > SSIZE_MAX - 1)
		limit = SSIZE_MAX - 1;
	for (size_t cap = READ_STEP;; cap *= 2) {
		/*
		 * One byte more than may be there: it shows that the file goes on; later it is
		 * the NUL's.
		 */
		if (cap > limit + 1)
			cap = limit + 1;
		/* fstat(2) is not asked: files of /proc say 0, pipes have no size. */
		char *larger = realloc(data, cap);
		if (!larger)
			return -ENOMEM;
		data = larger;
		ssize_t n = read_up_to(fd, data + len, cap - len);
		if (n < 0)
			return (int)n;
		len += (size_t)n;
		if (len < cap)
			break;
		if (cap == limit + 1)
			return -EFBIG;
	}
	data[len] = '\0';
	*ret_data = take(data);
	*ret_len = len;
	return 0;
}

/*
 * By way of the stack, so that `in` takes memory for what came and not for what may come: a large
 * block taken and given back with every small message costs malloc(3) more than the copy.
 */
ssize_t fd_receive(int fd, struct buf *in)
{
	char data[RECEIVE_BYTES];
	size_t room = in->limit - buf_len(in);
	ssize_t n;
	int r;

	if (room == 0)
		return -EMSGSIZE;
	n = recv(fd, data, room < sizeof data ? room : sizeof data, 0);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	r = buf_append(in, data, (size_t)n);
	return r < 0 ? r : n;
}
