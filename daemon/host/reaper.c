/*
 * reaper: see reaper.h. Called by spawner_open() in the forked process; shares no memory with the host.
 * A child is a direct child of this process with a session of its own; what it leaves behind is a member of its process
 * group, or has left that and comes to this process as an orphan (subreaper). The first are KILLed with the group while
 * the dead child still holds the group's number; an orphan is KILLed unless its environment names a child that still
 * runs; one whose environment is not there yet is looked at again for a while. Signals go to children that were not
 * reaped yet, so a number never means somebody else.
 * Invariants: every START gets STARTED and then ENDED, or FAILED; descriptors that came with a message are closed in the
 * same turn; a message that is none changes nothing.
 */
#include "host/reaper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/idmap.h"
#include "base/log.h"
#include "base/tailq.h"
#include "host/birth.h"
#include "host/confine.h"
#include "host/landlock.h"
#include "host/scratch.h"
#include "host/spawnmsg.h"

#define ENVIRON_BYTES (256u * 1024) /* of an orphan, that are looked at */
#define LIST_BYTES    4096          /* of the list of children, at first */
#define END_TRIES     200           /* of END_STEP_MS, for the end of all children */
#define END_STEP_MS   10
#define LOOK_MS       10 /* until orphans that do not tell whose they are are looked at again */
#define UNKNOWN_US    (US_PER_SEC / 2) /* so long some may not tell; then they are nobody's */

enum claim { CLAIM_NONE, CLAIM_VALID, CLAIM_UNKNOWN };

/* One child that runs. */
struct kid {
	uint64_t id;
	pid_t pid;
	TAILQ_ENTRY(kid) link; /* in: reaper->kids */
	size_t mark_len;
	char mark[]; /* "NAME=value" and a NUL, SPAWN_MARKS of them: the first of its environment */
};

struct reaper {
	int fd;
	int signal_fd;
	int children_fd;  /* /proc/…/children; -1: this kernel has none */
	char *list;       /* owns: what was last read from there */
	size_t list_size; /* bytes that there is room for */
	uint64_t
		unknown_since_us; /* at every look since then some orphan did not tell; 0: all do */
	char *home;               /* owns: a directory to remove at the end; NULL: none */
	TAILQ_HEAD(, kid) kids;   /* owns */
	struct idmap by_id, by_pid; /* borrow */
	const struct confine
		*confine; /* borrows: a constant; NULL: this process is confined itself */
	char packet[SPAWNMSG_LIMIT];
	char *words[SPAWNMSG_WORDS + 2];
};

static void answer(struct reaper *reaper, const struct spawn_reply *reply)
{
	/* The host is gone: the next receive says so. */
	IGNORE(spawnmsg_send(reaper->fd, reply, sizeof(*reply), NULL));
}

static void answer_failed(struct reaper *reaper, uint64_t id, enum spawn_step step, int error)
{
	struct spawn_reply reply;

	memset(&reply, 0, sizeof(reply));
	reply.id = id;
	reply.what = SPAWN_FAILED;
	reply.step = step;
	reply.error = error;
	answer(reaper, &reply);
}

/* Both maps, or none. */
static int add_kid(struct reaper *reaper, struct kid *kid)
{
	int r = idmap_add(&reaper->by_id, kid->id, kid);

	if (r < 0)
		return r;
	r = idmap_add(&reaper->by_pid, (uint64_t)kid->pid, kid);
	if (r < 0)
		(void)idmap_remove(&reaper->by_id, kid->id);
	else
		TAILQ_INSERT_TAIL(&reaper->kids, kid, link);
	return r;
}

/* Marked by its environment, as it is told apart. NULL: no memory. */
static struct kid *new_kid(uint64_t id, char *const *env)
{
	size_t len = 0;

	/* They lie one behind the other in the packet. */
	for (size_t i = 0; i < SPAWN_MARKS && env[i]; i++)
		len += strlen(env[i]) + 1;
	struct kid *kid = malloc(sizeof(*kid) + len);
	if (!kid)
		return NULL;
	kid->id = id;
	kid->mark_len = len;
	memcpy(kid->mark, env[0], len);
	return kid;
}

static int start_kid(
	struct reaper *reaper, const struct birth *birth, pid_t *ret_pid, enum spawn_step *ret_step)
{
	const struct spawn_head *head = birth->head;

	*ret_step = STEP_REQUEST;
	if (birth->fds[SPAWN_STDIO - 1] < 0 || head->id == 0)
		return -EBADF;
	if (idmap_find(&reaper->by_id, head->id))
		return -EEXIST;
	if (reaper->by_id.len >= REAPER_CHILDREN_MAX)
		return -EAGAIN;
	auto_free struct kid *kid = new_kid(head->id, birth->env);
	if (!kid)
		return -ENOMEM;
	int r = birth_start(birth, &kid->pid, ret_step);
	if (r < 0)
		return r;
	r = add_kid(reaper, kid);
	if (r < 0) {
		(void)kill(-kid->pid, SIGKILL); /* not reaped yet: the number is its own */
		(void)waitpid(kid->pid, NULL, 0);
		return r;
	}
	*ret_pid = take(kid)->pid;
	return 0;
}

/* TERM asks to end, and who is stopped could not: it goes on, and finds the TERM waiting. */
static void signal_kid(const struct kid *kid, int signal)
{
	(void)kill(-kid->pid, signal);
	if (signal == SIGTERM)
		(void)kill(-kid->pid, SIGCONT);
}

static void close_all(int fds[SPAWN_FDS])
{
	for (size_t i = 0; i < SPAWN_FDS; i++)
		fds[i] = fd_close(fds[i]);
}

/* For all children that are to come. Where this fails each is confined itself, or says what it cannot. */
static void confine(struct reaper *reaper)
{
	if (reaper->confine && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
		confine_capabilities(reaper->confine) == 0 && confine_calls(reaper->confine) == 0)
		reaper->confine = NULL;
}

static void take_message(struct reaper *reaper, size_t len, int fds[SPAWN_FDS])
{
	struct spawn_head head;
	char **argv, **env, *directory;
	enum spawn_step step;
	pid_t pid = 0;

	if (spawnmsg_unpack(reaper->packet, len, &head, reaper->words, &argv, &env, &directory) <
		0) {
		log_error("spawner_message", "a message of %zu bytes that is none", len);
		return;
	}
	if (head.type == SPAWNMSG_SIGNAL) {
		const struct kid *kid = idmap_find(&reaper->by_id, head.id);
		if (kid && head.signal < NSIG)
			signal_kid(kid, (int)head.signal);
		return;
	}
	if (head.type == SPAWNMSG_HOME) {
		if (!reaper->home)
			reaper->home = strdup(directory);
		return;
	}
	if (head.type == SPAWNMSG_CONFINE) {
		confine(reaper);
		return;
	}
	const struct birth birth = {&head, argv, env, directory, fds, reaper->confine};
	int r = start_kid(reaper, &birth, &pid, &step);
	/* Before the word of the start: who has that can count on it that the child's ends of its pipes are only the child's. */
	close_all(fds);
	if (r < 0) {
		answer_failed(reaper, head.id, step, -r);
		return;
	}
	struct spawn_reply reply;
	memset(&reply, 0, sizeof(reply));
	reply.id = head.id;
	reply.what = SPAWN_STARTED;
	reply.pid = pid;
	answer(reaper, &reply);
}

/* false: the host is gone. */
static bool receive(struct reaper *reaper)
{
	int fds[SPAWN_FDS];
	ssize_t n = spawnmsg_receive(reaper->fd, reaper->packet, sizeof(reaper->packet), fds);

	if (n > 0)
		take_message(reaper, (size_t)n, fds);
	else if (n < 0)
		log_error(
			"spawner_message", "a message that cannot be taken: %s", strerror((int)-n));
	close_all(fds);
	return n > 0 || n == -EBADMSG || n == -ENOBUFS || n == -ENOMEM;
}

/* Whole text of a file in /proc, with a NUL; NULL: cannot be read. The caller frees it. */
static char *read_proc(const char *path, size_t limit, size_t *ret_len)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text;

	return fd >= 0 && fd_read_all(fd, limit, &text, ret_len) == 0 ? text : NULL;
}

/* Whether all of the mark stands in the environment, line by line. */
static bool has_mark(const char *env, size_t len, const struct kid *kid)
{
	for (const char *line = kid->mark; line < kid->mark + kid->mark_len;
		line += strlen(line) + 1) {
		const char *at = env;
		while (at < env + len && strcmp(at, line) != 0)
			at += strlen(at) + 1;
		if (at >= env + len)
			return false;
	}
	return true;
}

/*
 * Of an orphan: does it belong to a child that still runs? In the middle of execve(2) its environment is empty, or may not
 * be read for a moment; who keeps it so belongs to nobody.
 */
static enum claim claim_of(const struct reaper *reaper, pid_t pid)
{
	char path[64];
	size_t len;

	if (TAILQ_EMPTY(&reaper->kids))
		return CLAIM_NONE;
	(void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	auto_free char *env = read_proc(path, ENVIRON_BYTES, &len);
	if (!env || len == 0)
		return CLAIM_UNKNOWN;
	const struct kid *kid;
	TAILQ_FOREACH (kid, &reaper->kids, link) {
		if (has_mark(env, len, kid))
			return CLAIM_VALID;
	}
	return CLAIM_NONE;
}

/* The numbers of all children, up to a NUL. NULL: without CONFIG_PROC_CHILDREN in the kernel, or when there is no memory
 * for them, nobody knows. */
static const char *list_children(struct reaper *reaper)
{
	size_t len = 0;
	ssize_t n;

	do {
		if (len + 1 >= reaper->list_size) {
			size_t size = reaper->list_size > 0 ? reaper->list_size * 2 : LIST_BYTES;
			char *list = realloc(reaper->list, size);
			if (!list)
				return NULL;
			reaper->list = list;
			reaper->list_size = size;
		}
		n = pread(reaper->children_fd, reaper->list + len, reaper->list_size - len - 1,
			(off_t)len);
		len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	reaper->list[len] = '\0';
	return n == 0 ? reaper->list : NULL;
}

/* KILLs orphans that no running child can lay claim to. true: there is none, claimed or not. */
static bool kill_orphans(struct reaper *reaper)
{
	uint64_t now_us = clock_now_us(), since_us = reaper->unknown_since_us;
	const char *list = list_children(reaper);
	bool is_none = list != NULL;
	char *end;

	reaper->unknown_since_us = 0;
	for (const char *at = list; at && *at; at = end) {
		pid_t pid = (pid_t)strtol(at, &end, 10);
		if (end == at || pid <= 0)
			break;
		end += strspn(end, " \n");
		if (idmap_find(&reaper->by_pid, (uint64_t)pid))
			continue;
		is_none = false;
		enum claim claim = claim_of(reaper, pid);
		if (claim == CLAIM_UNKNOWN)
			reaper->unknown_since_us = since_us > 0 ? since_us : now_us;
		if (claim == CLAIM_NONE ||
			(claim == CLAIM_UNKNOWN && now_us - reaper->unknown_since_us > UNKNOWN_US))
			(void)kill(pid, SIGKILL);
	}
	return is_none;
}

static void reap(struct reaper *reaper, pid_t pid)
{
	struct kid *kid = idmap_remove(&reaper->by_pid, (uint64_t)pid);
	struct spawn_reply reply;
	int status;

	memset(&reply, 0, sizeof(reply));
	if (kid)
		(void)kill(-pid,
			SIGKILL); /* what is left of its group, while it still holds the number */
	(void)wait4(pid, &status, 0, &reply.usage);
	if (!kid)
		return;
	(void)idmap_remove(&reaper->by_id, kid->id);
	TAILQ_REMOVE(&reaper->kids, kid, link);
	reply.left_none = kill_orphans(reaper);
	reply.id = kid->id;
	reply.what = SPAWN_ENDED;
	reply.status = status;
	answer(reaper, &reply);
	free(kid);
}

/* All that have ended; false: there are no children at all. */
static bool reap_all(struct reaper *reaper)
{
	bool was_orphan = false;

	for (;;) {
		siginfo_t info = {0};
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
			return false;
		if (info.si_pid == 0)
			break;
		was_orphan |= !idmap_find(&reaper->by_pid, (uint64_t)info.si_pid);
		reap(reaper, info.si_pid);
	}
	if (was_orphan) /* its own children are ours now */
		(void)kill_orphans(reaper);
	return true;
}

/* The host is gone: so is everything that it started. */
static void end_all(struct reaper *reaper)
{
	const struct kid *kid;

	TAILQ_FOREACH (kid, &reaper->kids, link)
		(void)kill(-kid->pid, SIGKILL);
	for (int i = 0; i < END_TRIES && reap_all(reaper); i++) {
		struct pollfd p = {.fd = reaper->signal_fd, .events = POLLIN};
		struct signalfd_siginfo info;

		(void)kill_orphans(reaper);
		if (poll(&p, 1, END_STEP_MS) > 0)
			(void)!read(reaper->signal_fd, &info, sizeof(info));
	}
}

/* Nothing of the host's but its log, and 0 to 2 open, so that no descriptor that comes later is one of them. */
static int prepare(struct reaper *reaper)
{
	sigset_t chld;
	char path[64];

	for (int i = 0; i < 3; i++) {
		if (fcntl(i, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			return -errno;
	}
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return -errno;
	(void)prctl(PR_SET_NAME, "workpool-spawn");
	/* The host's group is ended with the host; we have to end the children first. */
	(void)setpgid(0, 0);
	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	reaper->children_fd = open(path, O_RDONLY | O_CLOEXEC);
	reaper->confine = confine_new(landlock_abi());
	birth_init();
	(void)sigemptyset(&chld);
	(void)sigaddset(&chld, SIGCHLD);
	if (sigprocmask(SIG_SETMASK, &chld, NULL) < 0)
		return -errno;
	reaper->signal_fd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	return reaper->signal_fd < 0 ? -errno : 0;
}

void reaper_run(int fd)
{
	static struct reaper reaper; /* static: large for a stack */

	reaper.fd = fd;
	TAILQ_INIT(&reaper.kids);
	idmap_init(&reaper.by_id);
	idmap_init(&reaper.by_pid);
	int r = prepare(&reaper);
	if (r < 0) {
		log_error("spawner_start", "the spawner cannot start: %s", strerror(-r));
		_exit(1);
	}
	struct pollfd fds[] = {
		{.fd = fd, .events = POLLIN}, {.fd = reaper.signal_fd, .events = POLLIN}};
	for (bool is_up = true; is_up;) {
		struct signalfd_siginfo info;

		if (poll(fds, ARRAY_SIZE(fds), reaper.unknown_since_us > 0 ? LOOK_MS : -1) < 0 &&
			errno != EINTR)
			break;
		if (reaper.unknown_since_us > 0)
			(void)kill_orphans(&reaper);
		if (fds[1].revents != 0) {
			(void)!read(reaper.signal_fd, &info, sizeof(info));
			(void)reap_all(&reaper);
		}
		if (fds[0].revents != 0)
			is_up = receive(&reaper);
	}
	end_all(&reaper);
	scratch_remove(reaper.home);
	log_flush();
	_exit(0);
}
