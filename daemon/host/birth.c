/*
 * birth: see birth.h. Called by reaper.c. Between vfork and execve only system calls and the stack: memory is the
 * parent's. That also tells a failure: the parent stands still until execve(2) or the end, and then finds it written.
 * What the program gets: descriptors 0 to 2, an own session and process group, no new privileges, no core, its limits,
 * default signals, an end with its parent; in a sandbox, less than that (confine.c, sandbox.c).
 */
#include "host/birth.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/landlock.h"

#define STACK_BYTES (64u * 1024) /* of the new process, until execve(2) */

/* What the two processes know of each other. */
struct newborn {
	const struct birth *birth;
	pid_t parent;
	enum spawn_step step; /* that failed; STEP_REQUEST: none */
	int error;
};

static const int limit_kinds[SPAWN_LIMITS] = {
	[SPAWN_MEMORY] = RLIMIT_AS,
	[SPAWN_CPU_SECONDS] = RLIMIT_CPU,
	[SPAWN_FILE_SIZE] = RLIMIT_FSIZE,
	[SPAWN_OPEN_FILES] = RLIMIT_NOFILE,
};

/* As the kernel takes it. The C library's signal(3) does not touch the two signals that it keeps for itself, and its
 * posix_spawn(3), of whoever started the daemon too, leaves these ignored. */
struct kernel_action {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

/* What execve(2) would hand on to a program: signals that this process ignores. */
static int ignored[NSIG];
static size_t n_ignored;

void birth_init(void)
{
	n_ignored = 0;
	for (int i = 1; i < NSIG; i++) {
		struct kernel_action action = {.handler = SIG_DFL};

		if (syscall(SYS_rt_sigaction, i, NULL, &action, sizeof(action.mask)) == 0 &&
			action.handler == SIG_IGN)
			ignored[n_ignored++] = i;
	}
}

static void reset_signals(void)
{
	const struct kernel_action by_default = {.handler = SIG_DFL};
	sigset_t none;

	for (size_t i = 0; i < n_ignored; i++)
		(void)syscall(
			SYS_rt_sigaction, ignored[i], &by_default, NULL, sizeof(by_default.mask));
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_limits(const uint64_t limits[SPAWN_LIMITS])
{
	const struct rlimit no_core = {0, 0};

	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		return -1;
	for (size_t i = 0; i < SPAWN_LIMITS; i++) {
		const struct rlimit limit = {limits[i], limits[i]};
		if (limits[i] > 0 && setrlimit((__rlimit_resource_t)limit_kinds[i], &limit) < 0)
			return -1;
	}
	return 0;
}

/* None of `fds` is 0, 1 or 2 (birth.h), so none is overwritten. */
static int set_descriptors(const int fds[SPAWN_FDS])
{
	for (int i = 0; i < SPAWN_STDIO; i++) {
		if (dup2(fds[i], i) < 0)
			return -1;
	}
	return 0;
}

/* All but 0 to 2 and the ruleset, which execve(2) closes. */
static int close_others(int rules_fd)
{
	unsigned from = SPAWN_STDIO;

	if (rules_fd > SPAWN_STDIO && close_range(from, (unsigned)rules_fd - 1, 0) < 0)
		return -1;
	if (rules_fd >= SPAWN_STDIO)
		from = (unsigned)rules_fd + 1;
	return close_range(from, ~0U, 0);
}

/* The steps in order; returns the one that failed, with errno. */
static enum spawn_step become(const struct birth *birth, pid_t parent)
{
	const struct spawn_head *head = birth->head;
	const struct confine *confine = head->is_confined ? birth->confine : NULL;
	int rules_fd = birth->fds[SPAWN_RULES];

	if (setsid() < 0)
		return STEP_SETSID;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return STEP_PRCTL;
	if (getppid() != parent)
		_exit(1); /* it died before prctl(2) was there to see it */
	if (set_descriptors(birth->fds) < 0)
		return STEP_DUP2;
	if (close_others(rules_fd) < 0)
		return STEP_CLOSE;
	if (head->nice != 0 && setpriority(PRIO_PROCESS, 0, head->nice) < 0)
		return STEP_NICE;
	(void)umask((mode_t)(head->umask & 0777));
	if (chdir(*birth->directory ? birth->directory : "/") < 0)
		return STEP_CHDIR;
	/* Late: with little memory or few descriptors even these steps could fail. */
	if (set_limits(head->limits) < 0)
		return STEP_SETRLIMIT;
	if (confine && confine_capabilities(confine) < 0)
		return STEP_CAPABILITIES;
	if (rules_fd >= 0 && landlock_restrict(rules_fd) < 0)
		return STEP_LANDLOCK;
	reset_signals();
	if (confine && confine_calls(confine) < 0)
		return STEP_SECCOMP;
	(void)execve(birth->argv[0], birth->argv, birth->env);
	return STEP_EXECVE;
}

static int live(void *arg)
{
	struct newborn *newborn = arg;

	newborn->step = become(newborn->birth, newborn->parent);
	newborn->error = errno;
	_exit(127);
}

int birth_start(const struct birth *birth, pid_t *ret_pid, enum spawn_step *ret_step)
{
	/* As vfork(2), which sanitizers make a fork(2) of; but with a stack of its own. One at a time lives on it. */
	static char stack[STACK_BYTES] __attribute__((aligned(16)));
	struct newborn newborn = {.birth = birth, .parent = getpid()};
	pid_t pid = clone(live, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &newborn);

	*ret_step = STEP_VFORK;
	if (pid < 0)
		return -errno;
	if (newborn.step == STEP_REQUEST) {
		*ret_pid = pid;
		return 0;
	}
	(void)waitpid(pid, NULL, 0);
	*ret_step = newborn.step;
	return -newborn.error;
}
