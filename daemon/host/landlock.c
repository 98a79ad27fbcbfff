/*
 * landlock: see landlock.h. Called by sandbox.c, and landlock_restrict() by birth.c.
 */
#include "host/landlock.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same on all architectures. */
#define SYS_CREATE_RULESET 444
#define SYS_ADD_RULE       445
#define SYS_RESTRICT_SELF  446

#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH      1
#define SCOPE_ABSTRACT_SOCKETS 1u
#define SCOPE_SIGNALS          2u

struct ruleset_attr {
	uint64_t handled_fs;
	uint64_t handled_net; /* from ABI 4 on */
	uint64_t scoped;      /* from ABI 6 on */
};

struct path_beneath_attr {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

/* The rights that are there from this ABI on. */
static const struct {
	uint32_t abi;
	uint64_t rights;
} steps[] = {
	{1, LANDLOCK_REFER - 1},
	{2, LANDLOCK_REFER},
	{LANDLOCK_ABI_TRUNCATE, LANDLOCK_TRUNCATE},
	{LANDLOCK_ABI_DEVICES, LANDLOCK_IOCTL_DEV},
};

static uint64_t rights_of(uint32_t abi)
{
	uint64_t rights = 0;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		rights |= abi >= steps[i].abi ? steps[i].rights : 0;
	return rights;
}

uint32_t landlock_abi(void)
{
	long abi = syscall(SYS_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);

	return abi > 0 ? (uint32_t)abi : 0;
}

int landlock_ruleset(uint32_t abi)
{
	const struct ruleset_attr attr = {
		.handled_fs = rights_of(abi), .scoped = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS};
	/* What comes behind the end of the struct that an old kernel knows must be left out. */
	size_t size = abi >= LANDLOCK_ABI_SCOPES ? sizeof(attr) : sizeof(attr.handled_fs);
	int fd = (int)syscall(SYS_CREATE_RULESET, &attr, size, 0);

	return fd < 0 ? -errno : fd;
}

int landlock_allow(uint32_t abi, int ruleset_fd, int fd, uint64_t rights)
{
	struct path_beneath_attr attr = {.allowed = rights & rights_of(abi), .fd = fd};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		attr.allowed &= LANDLOCK_OF_FILES;
	if (syscall(SYS_ADD_RULE, ruleset_fd, RULE_PATH_BENEATH, &attr, 0) < 0)
		return -errno;
	return 0;
}

int landlock_restrict(int ruleset_fd)
{
	return (int)syscall(SYS_RESTRICT_SELF, ruleset_fd, 0);
}
