/*
 * sandbox: what programs may read and write. There is one sandbox a host, a policy a handler, and a pass a task: a
 * directory of its own and, by Landlock, a ruleset that its program is put under (birth.c).
 *
 *   hidden paths --> sandbox --> policy: what a handler may write --> pass: the task's own directory in addition
 *
 * Without Landlock in the kernel, or with a policy that is off, passes have no ruleset.
 */
#ifndef WORKPOOL_HOST_SANDBOX_H
#define WORKPOOL_HOST_SANDBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/tailq.h"
#include "host/hidden.h"
#include "host/setting.h"

struct sandbox_pass;

struct sandbox {
	uint32_t abi; /* Landlock's; 0: the kernel has none */
	struct hidden hidden;
	pthread_mutex_t lock; /* guards what follows, and all policies' idle passes */
	int mounts_fd;        /* owns: tells when something is mounted; -1: nobody does */
	uint64_t n_mounts;    /* how often it told */
	unsigned n_idle;      /* passes of all policies that no task has */
};

/* What one handler's programs may do. */
struct sandbox_policy {
	struct sandbox *sandbox; /* borrows: lives as long as the host */
	bool is_on;              /* there are rulesets */
	char **writable;         /* owns, and the paths */
	size_t n_writable;
	char *command;                   /* owns: may be read and run wherever it is */
	TAILQ_HEAD(, sandbox_pass) idle; /* owns */
};

/* These five before the first thread, and after the last. -errno. */
int sandbox_init(struct sandbox *sandbox) MUST_CHECK;
void sandbox_done(struct sandbox *sandbox);
/* Before the first policy: a path that no program may see; it need not be there. -ENOMEM; -EINVAL: not absolute. */
int sandbox_hide(struct sandbox *sandbox, struct view path) MUST_CHECK;
/*
 * writable: n absolute paths; they need not be there yet. command: absolute. NULL: no sandbox, only directories. -EINVAL:
 * one of them holds what is hidden, ret_why names both; -ENOMEM.
 */
int sandbox_policy_new(struct sandbox *sandbox, char *const *writable, size_t n,
	const char *command, struct sandbox_policy **ret_policy,
	char ret_why[SETTING_WHY_SIZE]) MUST_CHECK;
/* policy: may be NULL. Its idle passes' directories go with their home. */
void sandbox_policy_free(struct sandbox_policy *policy);

/*
 * For one task, by any thread. home: where its directory is to be; the same for all tasks of the policy; NULL: none. The
 * pass is the task's until sandbox_leave(). -errno: ret_why, of SETTING_WHY_SIZE bytes, says what could not be opened.
 */
int sandbox_enter(struct sandbox_policy *policy, const char *home, struct sandbox_pass **ret_pass,
	char *ret_why) MUST_CHECK;
/* pass: may be NULL. is_clean: nothing that ran with it is left; then the next task may get it, if it is as it was. */
void sandbox_leave(struct sandbox_policy *policy, struct sandbox_pass *pass, bool is_clean);
/* Both stay the pass's, which may be NULL. -1: no ruleset; NULL: no directory of its own. */
int sandbox_fd(const struct sandbox_pass *pass);
const char *sandbox_directory(const struct sandbox_pass *pass);

/* Names of what programs are kept from, or cannot be, on this kernel; parted by ", ". -ENOMEM. */
int sandbox_features(const struct sandbox *sandbox, bool is_on, struct buf *out) MUST_CHECK;

#endif
