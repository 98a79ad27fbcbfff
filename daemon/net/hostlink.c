/*
 * hostlink: see hostlink.h. Here: life and death of the host, bytes in and out; linkmsg.c has what the messages mean.
 */
#include "net/hostlink.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "net/daemon.h"
#include "net/hosts.h"
#include "net/linkmsg.h"
#include "net/spawn.h"

#define LAST_READS       256 /* of a host that has ended: 16 MB, a child of it may write on */
#define START_LIMIT_US   (10 * US_PER_SEC) /* from its start until READY */
#define QUIT_LIMIT_US    (5 * US_PER_SEC) /* from QUIT of one that has nothing to do until its end */
#define STOPPED_AGAIN_US US_PER_SEC       /* twice in that time is no slip */

static bool hostlink_read(struct hostlink *link);
static void hostlink_on_read(evutil_socket_t fd, short what, void *arg);
static void hostlink_on_write(evutil_socket_t fd, short what, void *arg);

void hostlink_set_part(struct hostlink *link, enum hostlink_part part)
{
	static const char *const names[] = {[HOSTLINK_SHARED] = "its host",
		[HOSTLINK_ALONE] = "its host for suspects",
		[HOSTLINK_CONDEMNED] = "its condemned host",
		[HOSTLINK_LEAVING] = "its host that leaves"};

	link->part = part;
	if (part == HOSTLINK_OWN)
		(void)snprintf(
			link->name, sizeof link->name, "the host of worker %u", link->worker);
	else
		(void)snprintf(link->name, sizeof link->name, "%s", names[part]);
}

void hostlink_blame(struct hostlink *link, const char *format, ...)
{
	va_list args;

	free(link->blame);
	va_start(args, format);
	if (vasprintf(&link->blame, format, args) < 0)
		link->blame = NULL; /* the errno must do */
	va_end(args);
}

static void hostlink_drop(struct hostlink *link)
{
	if (link->fd < 0)
		return;
	(void)event_del(&link->read_event);
	(void)event_del(&link->write_event);
	link->daemon->hooks.on_host_gone(link);
	link->writes = false;
	link->fd = fd_close(link->fd);
	buf_done(&link->in);
	buf_done(&link->out);
	buf_init(&link->in, HOSTMSG_LIMIT + 8);
	buf_init(&link->out, SIZE_MAX / 4); /* bounded by what the workers may hold */
}

void hostlink_arm(struct hostlink *link, uint64_t after_us)
{
	struct daemon *daemon = link->daemon;

	if (!deadline_is_set(&link->timer) && deadline_set(&daemon->board->deadlines, &link->timer,
						      daemon->now_us + after_us) < 0)
		log_error("no_memory", "pool \"%s\": no memory to look after %s in time",
			link->pool->settings->name, link->name);
}

/* When the process and its descriptor are both gone: at once after a host that lasted or failed once, else after a pause
 * that doubles. */
static void hostlink_plan_restart(struct hostlink *link)
{
	if (link->pid > 0 || link->fd >= 0)
		return;
	link->start_at_us = link->daemon->now_us + hosts_pause_us(link->failures);
	link->daemon->awake = true; /* hosts_check() has the next word */
}

/* Of a worker's own one a start that failed by itself is the pool's trouble, whose pauses are for all; what is its own is
 * that its tasks crash. */
static void hostlink_count_failure(struct hostlink *link, bool lasted, uint32_t n_tasks)
{
	if (lasted)
		link->failures = 0;
	else if (link->part != HOSTLINK_OWN || n_tasks > 0)
		link->failures++;
}

/* What a host has started by itself, which a plugin may do, is in its process group. Its spawner is not: that has to end
 * the programs of tasks first. */
static void kill_group(pid_t pid)
{
	(void)kill(-pid, SIGKILL);
	(void)kill(pid, SIGKILL);
}

void hostlink_on_end(pid_t pid)
{
	kill_group(pid);
}

/* Why it did not last, with the handler that it was about to start. */
static void set_trouble(struct hostlink *link, const char *why)
{
	const struct settings *settings = link->daemon->settings;

	if (link->starting > 0 && link->starting <= settings->n_handlers)
		(void)snprintf(link->trouble, sizeof link->trouble,
			"%s while handler \"%s\" was starting", why,
			settings->handlers[link->starting - 1].name);
	else
		(void)snprintf(link->trouble, sizeof link->trouble, "%s", why);
}

/* How its process ended, behind that. */
static void add_trouble(struct hostlink *link, const char *how)
{
	size_t len = strlen(link->trouble);

	if (len > 0)
		(void)snprintf(link->trouble + len, sizeof link->trouble - len, " (%s)", how);
}

/* The host is gone, or given up: its tasks end, its process too. by_us: nobody in it is to blame. */
static void hostlink_on_gone(struct hostlink *link, const char *why, bool by_us)
{
	struct daemon *daemon = link->daemon;
	bool was_up = link->state == HOSTLINK_UP;
	bool lasted = was_up && (by_us || link->has_worked ||
					daemon->now_us - link->up_us >= HOSTS_LASTED_US);
	uint32_t n;

	hostlink_drop(link);
	if (link->pid > 0)
		kill_group(
			link->pid); /* it is our child and was not waited for: the pid is its own */
	link->state = HOSTLINK_DOWN;
	deadline_clear(&daemon->board->deadlines, &link->timer);
	n = board_host_gone(daemon->board, link->pool, link, by_us, daemon->now_us);
	if (was_up)
		board_notice(daemon->board, &(struct notice){.kind = NOTICE_HOST_GONE,
						    .pool = link->pool,
						    .number = (uint64_t)link->last_pid});
	if (link->quits)
		return;
	hostlink_count_failure(link, lasted, n);
	set_trouble(link, why);
	log_warning("host_gone", "pool \"%s\": %s (pid %d) is gone (%s) with %u tasks in it",
		link->pool->settings->name, link->name, (int)link->last_pid, link->trouble, n);
	if (lasted)
		hosts_on_lasted(link);
	else if (n == 0)
		hosts_on_failed(link, link->trouble);
	if (lasted || n > 0)
		link->trouble[0] = '\0';
	link->starting = 0;
	hostlink_plan_restart(link);
}

/* What it has said by now still counts. by_us: as for hostlink_on_gone(). */
static void hostlink_give_up(struct hostlink *link, const char *why, bool by_us)
{
	for (int i = 0; i < LAST_READS && link->fd >= 0 && hostlink_read(link); i++)
		;
	if (link->fd >= 0)
		hostlink_on_gone(link, why, by_us);
}

void hostlink_kill(struct hostlink *link, const char *why)
{
	hostlink_give_up(link, why, true);
}

void hostlink_quit(struct hostlink *link)
{
	link->quits = true;
	slots_down(&link->pool->slots, link);
	linkmsg_send_quit(link);
	deadline_clear(&link->daemon->board->deadlines, &link->timer);
	hostlink_arm(link, QUIT_LIMIT_US);
}

static void hostlink_on_timer(struct deadline *timer, uint64_t now_us)
{
	struct hostlink *link = container_of(timer, struct hostlink, timer);

	(void)now_us;
	if (link->state == HOSTLINK_STARTING)
		hostlink_on_gone(link, "it did not get ready in 10 s", false);
	else if (link->state == HOSTLINK_DOWN)
		; /* it is time that hosts_check() looks at it */
	else if (link->part == HOSTLINK_CONDEMNED)
		hostlink_kill(link, "its time is over");
	else if (link->quits)
		hostlink_kill(link, "it did not leave");
	else if (link->part != HOSTLINK_ALONE)
		hosts_on_lasted(link);
	else if (!hosts_wants_alone(link->pool))
		hostlink_quit(link);
}

bool hostlink_is_over(const struct hostlink *link)
{
	bool is_here = link->state != HOSTLINK_DOWN || link->pid > 0 || link->fd >= 0;
	bool comes_back =
		link->part == HOSTLINK_SHARED || link->part == HOSTLINK_OWN ||
		(link->part == HOSTLINK_ALONE && !link->quits && hosts_wants_alone(link->pool));

	return !is_here && !comes_back;
}

int hostlink_new(struct daemon *daemon, struct pool *pool, enum hostlink_part part, uint32_t worker,
	struct hostlink **ret_link)
{
	struct hostlink *link = calloc(1, sizeof *link);

	if (link == NULL)
		return -ENOMEM;
	link->daemon = daemon;
	link->pool = pool;
	link->worker = worker;
	hostlink_set_part(link, part);
	link->fd = -1;
	buf_init(&link->in, HOSTMSG_LIMIT + 8);
	buf_init(&link->out, SIZE_MAX / 4);
	deadline_init(&link->timer, hostlink_on_timer);
	TAILQ_INSERT_TAIL(&daemon->links, link, link);
	*ret_link = link;
	return 0;
}

void hostlink_touch(struct hostlink *link)
{
	if (link->touched)
		return;
	link->touched = true;
	TAILQ_INSERT_TAIL(&link->daemon->touched, link, in_touched);
}

void hostlink_free(struct hostlink *link)
{
	if (link == NULL)
		return;
	if (link->touched)
		TAILQ_REMOVE(&link->daemon->touched, link, in_touched);
	TAILQ_REMOVE(&link->daemon->links, link, link);
	deadline_clear(&link->daemon->board->deadlines, &link->timer);
	hostlink_drop(link);
	buf_done(&link->in);
	buf_done(&link->out);
	free(link->blame);
	free(link);
}

void hostlink_start(struct hostlink *link)
{
	struct daemon *daemon = link->daemon;
	char path[4096], quoted[LOG_QUOTE_MAX + 1];
	int r = spawn_host(spawn_host_path(path, sizeof path), link->pool->settings->name,
		&link->pid, &link->fd);

	link->started_us = daemon->now_us;
	link->stopped_us = 0;
	if (r == 0) {
		link->state = HOSTLINK_STARTING;
		link->last_pid = link->pid;
		(void)event_assign(&link->read_event, daemon->base, link->fd, EV_READ | EV_PERSIST,
			hostlink_on_read, link);
		(void)event_assign(&link->write_event, daemon->base, link->fd,
			EV_WRITE | EV_PERSIST, hostlink_on_write, link);
		(void)event_add(&link->read_event, NULL);
		r = linkmsg_setup(link);
		if (r == 0)
			r = deadline_set(&daemon->board->deadlines, &link->timer,
				daemon->now_us + START_LIMIT_US);
		if (r < 0)
			hostlink_on_gone(link, strerror(-r), false);
		return;
	}
	hostlink_count_failure(link, false, 0);
	(void)snprintf(link->trouble, sizeof link->trouble, "%s: %s",
		log_quote(path, strlen(path), quoted), strerror(-r));
	/* Without one for suspects the pool goes on: said once, not with every try. */
	if (link->part != HOSTLINK_ALONE || link->failures == 1)
		log_error("host_start", "pool \"%s\": %s cannot be started: %s",
			link->pool->settings->name, link->name, link->trouble);
	hosts_on_failed(link, link->trouble);
	hostlink_plan_restart(link);
}

static void hostlink_on_write(evutil_socket_t fd, short what, void *arg)
{
	struct hostlink *link = arg;

	(void)fd;
	(void)what;
	hostlink_touch(link);
}

/* All messages that are whole. false: the host was given up. */
static bool hostlink_take_all(struct hostlink *link)
{
	struct hostmsg msg = {0};
	const char *why;
	int r;

	while ((r = hostmsg_unpack(&link->in, &msg)) == 0) {
		r = linkmsg_take(link, &msg);
		if (r < 0)
			break;
	}
	if (r == -EAGAIN) {
		buf_release(&link->in);
		return true;
	}
	if (link->blame == NULL)
		hostlink_blame(link, "it sent what makes no sense (%s, %s)", hostmsg_name(msg.type),
			strerror(-r));
	why = link->blame != NULL ? link->blame : "it was given up";
	log_error("host_broken", "pool \"%s\": %s is ended: %s", link->pool->settings->name,
		link->name, why);
	hostlink_on_gone(link, why, false);
	free(link->blame);
	link->blame = NULL;
	return false;
}

/* One read. false: nothing came, or the host is gone. */
static bool hostlink_read(struct hostlink *link)
{
	ssize_t n = fd_receive(link->fd, &link->in);

	if (n == -EAGAIN || n == -EINTR)
		return false;
	if (n <= 0) {
		/* ECONNRESET: it had not read all that it was told. */
		hostlink_on_gone(
			link, n == 0 || n == -ECONNRESET ? "it died" : strerror((int)-n), false);
		return false;
	}
	return hostlink_take_all(link);
}

static void hostlink_on_read(evutil_socket_t fd, short what, void *arg)
{
	struct hostlink *link = arg;

	(void)fd;
	(void)what;
	link->daemon->now_us = clock_now_us();
	(void)hostlink_read(link);
}

/* SIGKILL is ours, or looks so. */
static void tell_exit(struct hostlink *link, pid_t pid, int status)
{
	char how[32];

	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
		(void)snprintf(how, sizeof how, "SIG%s", sigabbrev_np(WTERMSIG(status)));
		log_warning("host_signal", "pool \"%s\": %s (pid %d) was ended by %s",
			link->pool->settings->name, link->name, (int)pid, how);
		add_trouble(link, how);
	} else if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
		(void)snprintf(how, sizeof how, "status %d", WEXITSTATUS(status));
		log_warning("host_exit", "pool \"%s\": %s (pid %d) ended with %s",
			link->pool->settings->name, link->name, (int)pid, how);
		add_trouble(link, how);
	}
}

void hostlink_on_stop(struct daemon *daemon, pid_t pid)
{
	struct hostlink *link;

	TAILQ_FOREACH (link, &daemon->links, link) {
		bool is_again = link->stopped_us > 0 &&
				daemon->now_us - link->stopped_us < STOPPED_AGAIN_US;

		if (link->pid != pid || link->fd < 0) /* without a link it was killed, too */
			continue;
		link->stopped_us = daemon->now_us;
		log_warning("host_stopped", "pool \"%s\": %s (pid %d) was stopped by a signal%s",
			link->pool->settings->name, link->name, (int)pid,
			is_again ? " again" : ": it is told to go on");
		if (!is_again)
			(void)kill(pid, SIGCONT);
		else
			hostlink_give_up(link, "it was stopped again and again", false);
	}
}

bool hostlink_on_exit(struct daemon *daemon, pid_t pid, int status)
{
	struct hostlink *link;
	bool was_down;

	TAILQ_FOREACH (link, &daemon->links, link) {
		if (link->pid != pid)
			continue;
		was_down = link->fd < 0;
		link->pid = 0; /* it was waited for: the number may be somebody else's now */
		hostlink_give_up(link, "it ended", false);
		tell_exit(link, pid, status);
		if (link->trouble[0] != '\0')
			hosts_explain(link, link->trouble);
		if (was_down) /* else hostlink_on_gone() has planned it */
			hostlink_plan_restart(link);
		return true;
	}
	return false;
}

static void hostlink_flush_one(struct hostlink *link)
{
	struct view view = buf_view(&link->out);
	ssize_t n;

	if (link->fd < 0)
		return;
	if (view.len > 0) {
		n = send(link->fd, view.data, view.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			buf_consume(&link->out, (size_t)n);
		else if (n < 0 && !fd_is_full(errno))
			buf_consume(&link->out, view.len); /* it died: the next read says so */
	}
	buf_release(&link->out);
	if (link->writes == (buf_len(&link->out) > 0))
		return;
	link->writes = !link->writes;
	if (link->writes)
		(void)event_add(&link->write_event, NULL);
	else
		(void)event_del(&link->write_event);
}

void hostlink_flush(struct daemon *daemon)
{
	struct hostlink *link;

	linkmsg_send_tasks(daemon);
	while ((link = TAILQ_FIRST(&daemon->touched)) != NULL) {
		TAILQ_REMOVE(&daemon->touched, link, in_touched);
		link->touched = false;
		hostlink_flush_one(link);
	}
}

void hostlink_quit_all(struct daemon *daemon)
{
	struct hostlink *link;

	TAILQ_FOREACH (link, &daemon->links, link) {
		deadline_clear(&daemon->board->deadlines, &link->timer);
		if (link->fd >= 0 && !link->quits)
			linkmsg_send_quit(link);
		link->quits = true;
	}
}

void hostlink_kill_all(struct daemon *daemon)
{
	struct hostlink *link;

	TAILQ_FOREACH (link, &daemon->links, link) {
		link->quits = true;
		deadline_clear(&daemon->board->deadlines, &link->timer);
		if (link->fd >= 0)
			hostlink_on_gone(link, "the daemon stops", true);
	}
}

bool hostlink_is_all_gone(const struct daemon *daemon)
{
	const struct hostlink *link;

	TAILQ_FOREACH (link, &daemon->links, link)
		if (link->pid > 0)
			return false;
	return true;
}
