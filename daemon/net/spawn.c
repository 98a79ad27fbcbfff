/*
 * spawn: see spawn.h. posix_spawn(3), because a fork of a daemon with a full board would copy its page tables.
 */
#include "net/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

extern char **environ;

const char *spawn_host_path(char *ret_path, size_t size)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

	if (len > 0) {
		self[len] = '\0';
		(void)snprintf(ret_path, size, "%s/workpool-host", dirname(self));
		if (access(ret_path, X_OK) == 0)
			return ret_path;
	}
	(void)snprintf(ret_path, size, "%s/workpool-host", PKGLIBEXECDIR);
	return ret_path;
}

/* What the service manager tells the daemon is not for its hosts: a word of theirs would be taken for the daemon's. */
static const char *const not_for_hosts[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
	"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "MAINPID"};

static bool is_for_hosts(const char *variable)
{
	for (size_t i = 0; i < ARRAY_SIZE(not_for_hosts); i++) {
		size_t len = strlen(not_for_hosts[i]);

		if (strncmp(variable, not_for_hosts[i], len) == 0 && variable[len] == '=')
			return false;
	}
	return true;
}

/* The caller frees the array; the strings stay the environment's. NULL: no memory. */
static char **spawn_environment(void)
{
	size_t n = 0, kept = 0;
	char **variables;

	while (environ[n] != NULL)
		n++;
	variables = calloc(n + 1, sizeof *variables);
	for (size_t i = 0; variables != NULL && i < n; i++)
		if (is_for_hosts(environ[i]))
			variables[kept++] = environ[i];
	return variables;
}

/* Own session (no terminal's signals), nothing blocked or ignored, standard input from /dev/null. */
static int spawn_prepare(posix_spawnattr_t *attr, posix_spawn_file_actions_t *actions, int fd)
{
	sigset_t none, all;
	int r;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	r = posix_spawnattr_setsigmask(attr, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attr, &all);
	if (r == 0)
		r = posix_spawnattr_setflags(
			attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(
			actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, fd, SPAWN_HOST_FD);
	return -r;
}

int spawn_host(const char *path, const char *pool, pid_t *ret_pid, int *ret_fd)
{
	char *argv[] = {"workpool-host", (char *)pool, NULL};
	auto_free char **variables = spawn_environment();
	auto_fd int ours = -1, theirs = -1;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int fds[2], r;

	if (variables == NULL)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	ours = fds[0];
	theirs = fds[1];
	r = fd_set_nonblock(ours);
	if (r < 0)
		return r;
	if (theirs == SPAWN_HOST_FD) {
		/* dup2(3, 3) would keep close-on-exec. */
		int other = fcntl(theirs, F_DUPFD_CLOEXEC, SPAWN_HOST_FD + 1);

		if (other < 0)
			return -errno;
		fd_close(theirs);
		theirs = other;
	}
	(void)posix_spawnattr_init(&attr);
	(void)posix_spawn_file_actions_init(&actions);
	r = spawn_prepare(&attr, &actions, theirs);
	if (r == 0)
		r = -posix_spawn(ret_pid, path, &actions, &attr, argv, variables);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attr);
	if (r == 0)
		*ret_fd = take_fd(ours);
	return r;
}
