/*
 * birth: one vfork(2) and what the new process does to itself before execve(2).
 */
#ifndef WORKPOOL_HOST_BIRTH_H
#define WORKPOOL_HOST_BIRTH_H

#include <sys/types.h>

#include "host/confine.h"
#include "host/spawnmsg.h"

/* What is to be born; borrows all that it points to. */
struct birth {
	const struct spawn_head *head;
	char *const *argv;
	char *const *env;
	const char *directory; /* "": "/" */
	const int *fds;        /* SPAWN_FDS of them, none below SPAWN_STDIO */
	const struct confine
		*confine; /* for those that are to be confined; NULL: this process is */
};

/* Once, before the first birth: notes what this process ignores. */
void birth_init(void);
/*
 * 0: *ret_pid runs the program. -errno: *ret_step says what failed; nothing is left of the process.
 * Only from a process with one thread that has descriptors 0 to 2 open and SIGCHLD blocked.
 */
int birth_start(const struct birth *birth, pid_t *ret_pid, enum spawn_step *ret_step) MUST_CHECK;

#endif
