/*
 * shim: LD_PRELOAD for workpoold alone, which lets calls fail when a test says so. The test and this share a file ($FAULT_CONTROL) in
 * memory, so that a fault begins and ends at a moment that the test knows of. System calls are made directly and memory is
 * taken by glibc's own names: nothing is looked up here, and nothing of it can fail by itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
	KIND_MALLOC = 1,
	KIND_WRITE = 2,  /* to sockets and the like */
	KIND_PWRITE = 4, /* to files */
	KIND_SYNC = 8,
	KIND_OPEN = 16,
	KIND_TRUNCATE = 32,
	KIND_SYNC_FOLDER = 64 /* of those the ones that are no file's */
};

/* As shim.py has it. */
struct control {
	_Atomic int32_t kinds;   /* which calls are counted; 0: none */
	_Atomic int32_t nth;     /* the call that fails: counted down to 0 */
	_Atomic int32_t error;   /* of files; memory says ENOMEM, a socket ENOBUFS */
	_Atomic int32_t forever; /* all later ones fail, too */
	_Atomic int32_t hits;
};

static struct control *control; /* NULL: nothing fails here */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FAULT_CONTROL");
	void *map;
	int fd;

	if (path == NULL || strcmp(program_invocation_short_name, "workpoold") != 0)
		return;
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	map = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		abort();
	(void)syscall(SYS_close, fd);
	control = map;
}

static int fails(enum kind kind, int error)
{
	int32_t left;

	if (control == NULL || !(control->kinds & kind))
		return 0;
	left = atomic_fetch_sub(&control->nth, 1);
	if (left != 1 && !(left < 1 && control->forever))
		return 0;
	control->hits++;
	errno = error != 0 ? error : control->error;
	return 1;
}

void *malloc(size_t size)
{
	return fails(KIND_MALLOC, ENOMEM) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails(KIND_MALLOC, ENOMEM) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	return fails(KIND_MALLOC, ENOMEM) ? NULL : __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t n, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(n, size, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return fails(KIND_MALLOC, ENOMEM) ? NULL : __libc_realloc(old, all);
}

ssize_t write(int fd, const void *data, size_t size)
{
	return fails(KIND_WRITE, ENOBUFS) ? -1 : syscall(SYS_write, fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
	return fails(KIND_WRITE, ENOBUFS) ? -1 : syscall(SYS_writev, fd, parts, n);
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
	return fails(KIND_WRITE, ENOBUFS) ? -1
					  : syscall(SYS_sendto, fd, data, size, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return fails(KIND_WRITE, ENOBUFS) ? -1 : syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
	return fails(KIND_PWRITE, 0) ? -1 : syscall(SYS_pwrite64, fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at)
{
	return fails(KIND_PWRITE, 0) ? -1 : syscall(SYS_pwrite64, fd, data, size, at);
}

static int sync_fails(int fd)
{
	struct stat is;

	return fails(KIND_SYNC, 0) ||
	       (fstat(fd, &is) == 0 && S_ISDIR(is.st_mode) && fails(KIND_SYNC_FOLDER, 0));
}

int fsync(int fd)
{
	return sync_fails(fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return sync_fails(fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t size)
{
	return fails(KIND_TRUNCATE, 0) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate64(int fd, off_t size)
{
	return fails(KIND_TRUNCATE, 0) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

static int open_at(int dir, const char *path, int flags, va_list args)
{
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;

	return fails(KIND_OPEN, 0) ? -1 : (int)syscall(SYS_openat, dir, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	va_list args;
	int fd;

	va_start(args, flags);
	fd = open_at(AT_FDCWD, path, flags, args);
	va_end(args);
	return fd;
}

int open64(const char *path, int flags, ...)
{
	va_list args;
	int fd;

	va_start(args, flags);
	fd = open_at(AT_FDCWD, path, flags, args);
	va_end(args);
	return fd;
}

int openat(int dir, const char *path, int flags, ...)
{
	va_list args;
	int fd;

	va_start(args, flags);
	fd = open_at(dir, path, flags, args);
	va_end(args);
	return fd;
}
