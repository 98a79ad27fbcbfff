/*
 * birth: see birth.h. Called by reaper.c. Between vfork and execve only system calls and the stack: memory is the
 * parent's. A failure is told through a close-on-exec pipe, so that success is its end of file.
 * What the program gets: descriptors 0 to 2, an own session and process group, no new privileges, no core, its limits,
 * default signals, an end with its parent.
 */
#include "host/birth.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

/* The pipe's end in the new process: behind 0 to 2, so that all others are closed in one go. */
#define TOLD_FD 3

struct failure {
	enum spawn_step step;
	int error;
};

static const int limit_kinds[SPAWN_LIMITS] = {
	[SPAWN_MEMORY] = RLIMIT_AS,
	[SPAWN_CPU_SECONDS] = RLIMIT_CPU,
	[SPAWN_FILE_SIZE] = RLIMIT_FSIZE,
	[SPAWN_OPEN_FILES] = RLIMIT_NOFILE,
};

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

static int set_descriptors(const int fds[SPAWN_FDS], int told_fd)
{
	/* All of these are above TOLD_FD or are it; none of them is 0, 1 or 2 (birth.h). */
	for (int i = 0; i < SPAWN_FDS; i++) {
		if (dup2(fds[i], i) < 0)
			return -1;
	}
	return told_fd == TOLD_FD || dup3(told_fd, TOLD_FD, O_CLOEXEC) >= 0 ? 0 : -1;
}

/*
 * All handlers and the mask as exec(2) after a login would find them. By the system call: signal(3) does not touch the two
 * signals that glibc keeps for itself, and posix_spawn(3), of whoever started the daemon too, leaves these ignored.
 */
static void reset_signals(void)
{
	const struct {
		void (*handler)(int);
		unsigned long flags;
		void (*restorer)(void);
		uint64_t mask;
	} by_default = {.handler = SIG_DFL};
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		(void)syscall(SYS_rt_sigaction, i, &by_default, NULL,
			sizeof(by_default.mask)); /* KILL and STOP refuse, as they may */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The steps in order; returns the one that failed, with errno. */
static enum spawn_step become(const struct spawn_head *head, char *const *argv, char *const *env,
	const char *directory, const int fds[SPAWN_FDS], int told_fd, pid_t parent)
{
	if (setsid() < 0)
		return STEP_SETSID;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return STEP_PRCTL;
	if (getppid() != parent)
		_exit(1); /* it died before prctl(2) was there to see it */
	if (set_descriptors(fds, told_fd) < 0)
		return STEP_DUP2;
	if (close_range(TOLD_FD + 1, ~0U, 0) < 0)
		return STEP_CLOSE;
	if (head->nice != 0 && setpriority(PRIO_PROCESS, 0, head->nice) < 0)
		return STEP_NICE;
	(void)umask((mode_t)(head->umask & 0777));
	if (chdir(*directory ? directory : "/") < 0)
		return STEP_CHDIR;
	/* Late: with little memory or few descriptors even these steps could fail. */
	if (set_limits(head->limits) < 0)
		return STEP_SETRLIMIT;
	reset_signals();
	(void)execve(argv[0], argv, env);
	return STEP_EXECVE;
}

static pid_t start(const struct spawn_head *head, char *const *argv, char *const *env,
	const char *directory, const int fds[SPAWN_FDS], int told_fd)
{
	pid_t parent = getpid();
	pid_t pid = vfork();

	if (pid == 0) {
		struct failure failure;

		failure.step = become(head, argv, env, directory, fds, told_fd, parent);
		failure.error = errno;
		/* Until STEP_DUP2 is done TOLD_FD may be somebody else's. If this cannot be told, the parent sees a
		 * program that ended with 127. */
		(void)!write(
			failure.step > STEP_DUP2 ? TOLD_FD : told_fd, &failure, sizeof(failure));
		_exit(127);
	}
	return pid;
}

int birth_start(const struct spawn_head *head, char *const *argv, char *const *env,
	const char *directory, const int fds[SPAWN_FDS], pid_t *ret_pid, enum spawn_step *ret_step)
{
	struct failure failure;
	int ends[2];

	*ret_step = STEP_VFORK;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	auto_fd int told = ends[0], tells = ends[1];
	pid_t pid = start(head, argv, env, directory, fds, tells);
	if (pid < 0)
		return -errno;
	tells = fd_close(tells);
	ssize_t n;
	do
		n = read(told, &failure, sizeof(failure));
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(failure)) {
		*ret_pid = pid;
		return 0;
	}
	(void)waitpid(pid, NULL, 0);
	*ret_step = failure.step;
	return -failure.error;
}
