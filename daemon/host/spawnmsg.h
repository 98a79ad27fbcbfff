/*
 * spawnmsg: what host and spawner process say to each other, one message a packet (SOCK_SEQPACKET).
 *
 *   host -> spawner   START   struct spawn_head, then argv, environment, directory as NUL-terminated strings;
 *                             with it (SCM_RIGHTS) the child's descriptors 0, 1, 2 and, in a sandbox, a ruleset
 *                     SIGNAL  struct spawn_head alone
 *                     HOME    struct spawn_head and a directory that the spawner removes when the host is gone
 *                     CONFINE struct spawn_head alone: all children are to be confined, so the spawner may be itself
 *   spawner -> host   struct spawn_reply
 *
 * Both ends are one program on one machine, so the structs travel as they are. Pure but for the two calls that
 * receive and send.
 */
#ifndef WORKPOOL_HOST_SPAWNMSG_H
#define WORKPOOL_HOST_SPAWNMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/mem.h"

#define SPAWNMSG_LIMIT (64u * 1024) /* bytes of one message */
#define SPAWNMSG_WORDS 1024u        /* argv and environment together, at most */
#define SPAWN_STDIO    3            /* descriptors that a child gets: 0, 1, 2 */
#define SPAWN_RULES                                                                                \
	3 /* what comes after them: a Landlock ruleset, which the child is put under; -1: none */
#define SPAWN_FDS 4
#define SPAWN_MARKS                                                                                \
	2 /* words of an environment that no other running child has: they tell whose descendant has it */

enum spawn_limit {
	SPAWN_MEMORY,
	SPAWN_CPU_SECONDS,
	SPAWN_FILE_SIZE,
	SPAWN_OPEN_FILES,
	SPAWN_LIMITS
};

/* What is to be started. */
struct spawn_order {
	const char *const *argv; /* borrows: NULL-terminated; argv[0] is the absolute path */
	const char *const *env;  /* borrows: NULL-terminated; begins with the SPAWN_MARKS */
	const char *directory;   /* borrows: "" means "/" */
	uint32_t umask;
	int32_t nice;
	uint64_t limits[SPAWN_LIMITS]; /* 0: none */
	bool is_confined;              /* see confine.h */
};

enum spawnmsg_type { SPAWNMSG_START = 1, SPAWNMSG_SIGNAL, SPAWNMSG_HOME, SPAWNMSG_CONFINE };

struct spawn_head {
	uint32_t type; /* enum spawnmsg_type */
	uint32_t n_argv;
	uint32_t n_env;
	uint32_t signal; /* SPAWNMSG_SIGNAL */
	uint64_t id;
	uint32_t umask;
	int32_t nice;
	uint64_t limits[SPAWN_LIMITS];
	uint32_t is_confined;
};

enum spawn_what { SPAWN_STARTED = 1, SPAWN_FAILED, SPAWN_ENDED };

/* Where a start can fail; the names are spawnmsg_step()'s. */
enum spawn_step {
	STEP_REQUEST,
	STEP_VFORK,
	STEP_SETSID,
	STEP_PRCTL,
	STEP_DUP2,
	STEP_CLOSE,
	STEP_SETRLIMIT,
	STEP_NICE,
	STEP_CHDIR,
	STEP_CAPABILITIES,
	STEP_LANDLOCK,
	STEP_SECCOMP,
	STEP_EXECVE,
	STEPS
};

struct spawn_reply {
	uint64_t id;
	uint32_t what;      /* enum spawn_what */
	int32_t pid;        /* SPAWN_STARTED */
	uint32_t step;      /* SPAWN_FAILED: enum spawn_step */
	int32_t error;      /* SPAWN_FAILED: errno */
	int32_t status;     /* SPAWN_ENDED */
	uint32_t left_none; /* SPAWN_ENDED: no process was left of it; 0: one may be for a moment */
	struct rusage usage;
};

const char *spawnmsg_step(uint32_t step); /* "execve"; "?" for what is none */

/* The bytes of a START in ret_data (SPAWNMSG_LIMIT bytes): -E2BIG. */
int spawnmsg_pack_start(
	uint64_t id, const struct spawn_order *order, char *ret_data, size_t *ret_len) MUST_CHECK;
/* The same for a HOME. */
int spawnmsg_pack_home(const char *directory, char *ret_data, size_t *ret_len) MUST_CHECK;
/*
 * A packet's parts, which point into `data`; ret_words has room for SPAWNMSG_WORDS + 2 pointers: argv, NULL, environment,
 * NULL. -EBADMSG.
 */
int spawnmsg_unpack(char *data, size_t len, struct spawn_head *ret_head, char **ret_words,
	char ***ret_argv, char ***ret_env, char **ret_directory) MUST_CHECK;

/* One packet, waiting for room. fds: those before the first -1 go with it; may be NULL. -errno. */
int spawnmsg_send(int fd, const void *data, size_t len, const int fds[SPAWN_FDS]) MUST_CHECK;
/*
 * One packet, waiting for it. ret_fds: close-on-exec, -1 where none came; they are the caller's also when the packet
 * is bad. The length; 0: the other side is gone; -EBADMSG: too long; -errno.
 */
ssize_t spawnmsg_receive(int fd, void *ret_data, size_t size, int ret_fds[SPAWN_FDS]) MUST_CHECK;

#endif
