/*
 * fd: descriptors that close themselves, and the few calls that every room makes with them.
 */
#ifndef WORKPOOL_BASE_FD_H
#define WORKPOOL_BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/mem.h"

void fd_closep(int *fd);
#define auto_fd __attribute__((cleanup(fd_closep)))

/* Hands the descriptor on: its value, and the variable becomes -1. */
#define take_fd(fd)                                                                                \
	({                                                                                         \
		int take_fd_value = (fd);                                                          \
		(fd) = -1;                                                                         \
		take_fd_value;                                                                     \
	})

int fd_close(int fd); /* closes if >= 0, keeps errno, returns -1: fd = fd_close(fd) */
int fd_set_nonblock(int fd) MUST_CHECK; /* -errno */
/* A send that failed with this errno is only to be tried again: the other side may be slow, or the kernel out of memory, but not gone. */
bool fd_is_full(int error);
/* Blocking, whole: 0 or -errno (-EPIPE …); never raises SIGPIPE on a socket. */
int fd_write_all(int fd, const void *data, size_t len) MUST_CHECK;
/*
 * One recv(2) onto the end of `in`: how many bytes came; 0: the end of input. -EMSGSIZE: `in` is at its limit;
 * -ENOMEM: what came is lost; else recv(2)'s -errno.
 */
ssize_t fd_receive(int fd, struct buf *in) MUST_CHECK;
/* Flushes the folder that `path` names something in, so that its name survives a power cut, too; may block. 0, also on a file
 * system that cannot do that for a folder, or -errno. */
int fd_flush_folder_of(const char *path) MUST_CHECK;
/* Whole file up to limit bytes: the caller frees *ret_data, which has a NUL after it. -EFBIG: longer than that. */
int fd_read_all(int fd, size_t limit, char **ret_data, size_t *ret_len) MUST_CHECK;

#endif
