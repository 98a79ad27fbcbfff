/*
 * capture: see capture.h. Called by the thread that runs the task (h_exec.c, attend.c, h_coprocess.c), or by keeper.c. When there is no memory to keep bytes
 * they are counted only: the program must not stop for that.
 */
#include "host/capture.h"

#include <errno.h>
#include <unistd.h>

#include "base/fd.h"

#define READ_BYTES 16384
#define PIPE_BYTES (1024u * 1024) /* the most that a pipe holds: /proc/sys/fs/pipe-max-size */

void capture_init(struct capture *capture, int fd, size_t limit)
{
	capture->fd = fd;
	capture->total_bytes = 0;
	buf_init(&capture->kept, limit);
}

void capture_done(struct capture *capture)
{
	capture->fd = fd_close(capture->fd);
	buf_done(&capture->kept);
}

void capture_reset(struct capture *capture)
{
	capture->total_bytes = 0;
	buf_truncate(&capture->kept, 0);
}

bool capture_read(struct capture *capture)
{
	char bytes[READ_BYTES];
	ssize_t n = read(capture->fd, bytes, sizeof(bytes));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		capture->fd = fd_close(capture->fd);
		return false;
	}
	capture->total_bytes += (uint64_t)n;
	size_t room = capture->kept.limit - buf_len(&capture->kept);
	IGNORE(buf_append(
		&capture->kept, bytes, (size_t)n < room ? (size_t)n : room)); /* see the head */
	return true;
}

void capture_catch_up(struct capture *capture)
{
	/* Somebody who still writes must not keep us here. */
	for (size_t i = 0; i < PIPE_BYTES / READ_BYTES && capture->fd >= 0; i++) {
		if (!capture_read(capture))
			break;
	}
}

void capture_drain(struct capture *capture)
{
	capture_catch_up(capture);
	capture->fd = fd_close(capture->fd);
}
