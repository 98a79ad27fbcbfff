/*
 * landlock: the kernel's three calls (landlock(7)), by number, and what each version of them can do: headers and C library
 * may be older than the kernel.
 */
#ifndef WORKPOOL_HOST_LANDLOCK_H
#define WORKPOOL_HOST_LANDLOCK_H

#include <stdint.h>

#include "base/mem.h"

/* Rights to files, as struct landlock_ruleset_attr has them. */
enum landlock_right {
	LANDLOCK_EXECUTE = 1 << 0,
	LANDLOCK_WRITE_FILE = 1 << 1,
	LANDLOCK_READ_FILE = 1 << 2,
	LANDLOCK_READ_DIR = 1 << 3,
	LANDLOCK_REMOVE_DIR = 1 << 4,
	LANDLOCK_REMOVE_FILE = 1 << 5,
	LANDLOCK_MAKE_CHAR = 1 << 6,
	LANDLOCK_MAKE_DIR = 1 << 7,
	LANDLOCK_MAKE_REG = 1 << 8,
	LANDLOCK_MAKE_SOCK = 1 << 9,
	LANDLOCK_MAKE_FIFO = 1 << 10,
	LANDLOCK_MAKE_BLOCK = 1 << 11,
	LANDLOCK_MAKE_SYM = 1 << 12,
	LANDLOCK_REFER = 1 << 13,    /* from ABI 2 on */
	LANDLOCK_TRUNCATE = 1 << 14, /* 3 */
	LANDLOCK_IOCTL_DEV = 1 << 15 /* 5 */
};

/* All that a rule for a file that is no directory may give. */
#define LANDLOCK_OF_FILES                                                                          \
	(LANDLOCK_EXECUTE | LANDLOCK_WRITE_FILE | LANDLOCK_READ_FILE | LANDLOCK_TRUNCATE |         \
		LANDLOCK_IOCTL_DEV)

#define LANDLOCK_ABI_TRUNCATE 3u
#define LANDLOCK_ABI_DEVICES  5u
#define LANDLOCK_ABI_SCOPES   6u /* signals, abstract sockets */

/* The kernel's ABI; 0: it has none, or it is off. */
uint32_t landlock_abi(void);
/* A ruleset that handles all that the ABI can, so that nothing is allowed: a descriptor, close-on-exec; -errno. */
int landlock_ruleset(uint32_t abi) MUST_CHECK;
/* Rights to what `fd` (O_PATH will do) is, and all that is below; those that the ABI or a file has not are left out. -errno. */
int landlock_allow(uint32_t abi, int ruleset_fd, int fd, uint64_t rights) MUST_CHECK;
/* This thread from now on, and its children; needs no_new_privs. A system call and nothing else. 0, or -1 with errno. */
int landlock_restrict(int ruleset_fd) MUST_CHECK;

#endif
