/*
 * spawner: see spawner.h. Called by host.c (open, listen, close) and h_exec.c (the rest).
 * `lock` guards the table of children and their fields, `send_lock` is held while a packet is sent; nobody takes another
 * lock under either. They are two, because the dispatcher must take answers also while a sender waits for room: the
 * spawner process may be waiting for room itself. An answer for an id that is not in the table is for a child that was forgotten: dropped.
 */
#include "host/spawner.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "host/reaper.h"
#include "host/scratch.h"

#define CLOSE_WAIT_MS 3000

int spawner_open(struct spawner *spawner, int keep_out_fd)
{
	int ends[2];

	*spawner = (struct spawner){.fd = -1};
	TAILQ_INIT(&spawner->children);
	int error = pthread_mutex_init(&spawner->lock, NULL);
	if (error == 0)
		error = pthread_mutex_init(&spawner->send_lock, NULL);
	if (error != 0)
		return -error;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	auto_fd int ours = ends[0], theirs = ends[1];
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		(void)fd_close(ours);
		(void)fd_close(keep_out_fd);
		reaper_run(theirs);
	}
	spawner->pid = pid;
	spawner->fd = take_fd(ours);
	return 0;
}

int spawner_make_home(struct spawner *spawner)
{
	auto_free char *home = NULL;
	auto_free char *packet = malloc(SPAWNMSG_LIMIT);
	size_t len;

	if (spawner->home)
		return 0;
	if (!packet)
		return -ENOMEM;
	int r = scratch_make(scratch_parent(), &home);
	if (r < 0)
		return r;
	r = spawnmsg_pack_home(home, packet, &len);
	if (r == 0)
		r = spawnmsg_send(spawner->fd, packet, len, NULL);
	if (r < 0)
		(void)rmdir(home);
	else
		spawner->home = take(home);
	return r;
}

int spawner_confine(struct spawner *spawner)
{
	struct spawn_head head;

	memset(&head, 0, sizeof(head));
	head.type = SPAWNMSG_CONFINE;
	return spawnmsg_send(spawner->fd, &head, sizeof(head), NULL);
}

static void wake(const struct child *child)
{
	const uint64_t one = 1;

	/* Fails only when the counter is full: then it is awake already. */
	(void)!write(child->event_fd, &one, sizeof(one));
}

static struct child *find(const struct spawner *spawner, uint64_t id)
{
	struct child *child;

	TAILQ_FOREACH (child, &spawner->children, link) {
		if (child->id == id)
			return child;
	}
	return NULL;
}

static void on_started(struct child *child, const struct spawn_reply *reply)
{
	child->state = CHILD_RUNNING;
	child->pid = reply->pid;
}

static void on_failed(struct child *child, const struct spawn_reply *reply)
{
	child->state = CHILD_FAILED;
	child->step = spawnmsg_step(reply->step);
	child->error = reply->error;
}

static void on_ended(struct child *child, const struct spawn_reply *reply)
{
	child->state = CHILD_ENDED;
	child->status = reply->status;
	child->left_none = reply->left_none;
	child->usage = reply->usage;
}

static void (*const takers[])(struct child *, const struct spawn_reply *) = {
	[SPAWN_STARTED] = on_started,
	[SPAWN_FAILED] = on_failed,
	[SPAWN_ENDED] = on_ended,
};

static void take_reply(struct spawner *spawner, const struct spawn_reply *reply)
{
	(void)pthread_mutex_lock(&spawner->lock);
	struct child *child = find(spawner, reply->id);
	if (child && reply->what < ARRAY_SIZE(takers) && takers[reply->what]) {
		takers[reply->what](child, reply);
		if (child->state != CHILD_RUNNING || child->hears_start)
			wake(child);
	}
	(void)pthread_mutex_unlock(&spawner->lock);
}

static void *dispatch(void *arg)
{
	struct spawner *spawner = arg;
	struct spawn_reply reply;
	int fds[SPAWN_FDS];
	ssize_t n;

	while ((n = spawnmsg_receive(spawner->fd, &reply, sizeof(reply), fds)) > 0) {
		if (n == (ssize_t)sizeof(reply))
			take_reply(spawner, &reply);
	}
	(void)pthread_mutex_lock(&spawner->lock);
	bool is_wanted = spawner->closes;
	(void)pthread_mutex_unlock(&spawner->lock);
	if (!is_wanted)
		spawner->on_gone(spawner->arg);
	return NULL;
}

int spawner_listen(struct spawner *spawner, void (*on_gone)(void *arg), void *arg)
{
	pthread_t thread;

	spawner->on_gone = on_gone;
	spawner->arg = arg;
	int error = pthread_create(&thread, NULL, dispatch, spawner);
	if (error == 0)
		(void)pthread_detach(thread);
	return -error;
}

void spawner_close(struct spawner *spawner)
{
	if (spawner->pid <= 0)
		return;
	(void)pthread_mutex_lock(&spawner->lock);
	spawner->closes = true;
	/* Not close(2): the dispatcher may sit in the descriptor. */
	(void)shutdown(spawner->fd, SHUT_RDWR);
	(void)pthread_mutex_unlock(&spawner->lock);
	auto_fd int pidfd = (int)syscall(SYS_pidfd_open, spawner->pid, 0);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	if (pidfd >= 0 && poll(&p, 1, CLOSE_WAIT_MS) > 0)
		(void)waitpid(spawner->pid, NULL, 0);
	spawner->pid = 0;
	if (!spawner->on_gone) /* no dispatcher: it was never needed */
		spawner->fd = fd_close(spawner->fd);
}

void spawner_kill_all(struct spawner *spawner)
{
	struct child *child;

	(void)pthread_mutex_lock(&spawner->lock);
	TAILQ_FOREACH (child, &spawner->children, link) {
		if (child->state == CHILD_RUNNING)
			(void)kill(-child->pid, SIGKILL);
	}
	(void)pthread_mutex_unlock(&spawner->lock);
}

static int send_packet(struct spawner *spawner, const void *data, size_t len, const int *fds)
{
	(void)pthread_mutex_lock(&spawner->send_lock);
	int r = spawnmsg_send(spawner->fd, data, len, fds);
	(void)pthread_mutex_unlock(&spawner->send_lock);
	return r;
}

int spawner_start(struct spawner *spawner, struct child *child, const struct spawn_order *order,
	const int fds[SPAWN_FDS])
{
	size_t len;
	auto_free char *packet = malloc(SPAWNMSG_LIMIT);

	if (!packet)
		return -ENOMEM;
	(void)pthread_mutex_lock(&spawner->lock);
	child->id = ++spawner->last_id;
	child->state = CHILD_STARTING;
	TAILQ_INSERT_TAIL(&spawner->children, child, link);
	(void)pthread_mutex_unlock(&spawner->lock);
	int r = spawnmsg_pack_start(child->id, order, packet, &len);
	if (r == 0)
		r = send_packet(spawner, packet, len, fds);
	if (r == 0)
		return 0;
	(void)pthread_mutex_lock(&spawner->lock);
	TAILQ_REMOVE(&spawner->children, child, link);
	(void)pthread_mutex_unlock(&spawner->lock);
	return r;
}

struct child spawner_look(struct spawner *spawner, const struct child *child)
{
	(void)pthread_mutex_lock(&spawner->lock);
	struct child copy = *child;
	(void)pthread_mutex_unlock(&spawner->lock);
	return copy;
}

void spawner_signal(struct spawner *spawner, const struct child *child, int signal)
{
	struct spawn_head head;

	memset(&head, 0, sizeof(head));
	head.type = SPAWNMSG_SIGNAL;
	head.id = child->id;
	head.signal = (uint32_t)signal;
	/* When the spawner is gone the dispatcher sees it too, and ends the host. */
	IGNORE(send_packet(spawner, &head, sizeof(head), NULL));
}

void spawner_forget(struct spawner *spawner, struct child *child)
{
	(void)pthread_mutex_lock(&spawner->lock);
	enum child_state state = child->state;
	TAILQ_REMOVE(&spawner->children, child, link);
	(void)pthread_mutex_unlock(&spawner->lock);
	if (state == CHILD_STARTING || state == CHILD_RUNNING)
		spawner_signal(spawner, child, SIGKILL);
}
