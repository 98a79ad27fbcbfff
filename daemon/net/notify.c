/*
 * notify: see notify.h. The watchdog is fed from the loop's own deadlines: a loop that does not turn does not feed it.
 * Not by sd_notify(3): that waits as long as the manager does not read and its queue is full (net.unix.max_dgram_qlen, 10
 * words by default), and everybody would wait with it. Here a word without room is owed until there is some.
 */
#include "net/notify.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "net/daemon.h"

#define STATUS_US US_PER_SEC

/* In the order in which they leave when several are owed. */
enum word { WORD_RELOADING, WORD_READY, WORD_STOPPING, WORD_WATCHDOG, WORD_STATUS, WORDS };

static const char *const words[WORDS] = {
	[WORD_READY] = "READY=1", [WORD_STOPPING] = "STOPPING=1", [WORD_WATCHDOG] = "WATCHDOG=1"};

struct notify {
	struct daemon *daemon; /* borrows: owns us */
	struct sockaddr_un manager;
	socklen_t manager_len; /* 0: nobody listens */
	int fd;                /* connected to the manager; -1: not yet, or not any more */
	struct event room;     /* set while `waits` */
	bool waits;            /* for room in the manager's queue */
	bool owes[WORDS];
	bool said_ready, said_stopping;
	uint64_t watchdog_us; /* 0: none */
	uint64_t n_steps;     /* board->n_steps when the status was last told */
	struct deadline watchdog, status;
	char text[160]; /* the latest status, told or owed */
	char reloading[64];
};

/* $NOTIFY_SOCKET of sd_notify(3): a path, or "@" and an abstract name. Anything else: nobody listens. */
static void notify_find_manager(struct notify *notify)
{
	const char *name = getenv("NOTIFY_SOCKET");
	size_t len = name != NULL ? strlen(name) : 0;

	if (len < 2 || len >= sizeof notify->manager.sun_path || (name[0] != '/' && name[0] != '@'))
		return;
	notify->manager.sun_family = AF_UNIX;
	memcpy(notify->manager.sun_path, name, len);
	if (name[0] == '@')
		notify->manager.sun_path[0] = '\0';
	notify->manager_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static void notify_on_room(evutil_socket_t fd, short what, void *arg)
{
	struct notify *notify = arg;

	(void)fd;
	(void)what;
	notify->waits = false; /* this turn's notify_turn() does the rest */
}

static void notify_disconnect(struct notify *notify)
{
	if (notify->fd < 0)
		return;
	if (notify->waits)
		(void)event_del(&notify->room);
	notify->waits = false;
	notify->fd = fd_close(notify->fd);
}

static int notify_connect(struct notify *notify)
{
	auto_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 ||
		connect(fd, (const struct sockaddr *)&notify->manager, notify->manager_len) < 0)
		return -errno;
	notify->fd = take_fd(fd);
	(void)event_assign(
		&notify->room, notify->daemon->base, notify->fd, EV_WRITE, notify_on_room, notify);
	return 0;
}

/* 0 or -errno; -EAGAIN: there is no room. A manager that came anew has another socket of the same name. */
static int notify_send(struct notify *notify, const char *text)
{
	size_t len = strlen(text);
	int r;

	if (notify->fd >= 0) {
		if (send(notify->fd, text, len, MSG_NOSIGNAL) >= 0)
			return 0;
		if (fd_is_full(errno))
			return -EAGAIN;
		notify_disconnect(notify);
	}
	r = notify_connect(notify);
	if (r < 0)
		return r;
	if (send(notify->fd, text, len, MSG_NOSIGNAL) >= 0)
		return 0;
	return fd_is_full(errno) ? -EAGAIN : -errno;
}

/* Says what is owed, as far as there is room. A manager that cannot be told is no reason to do anything else. */
static void notify_flush(struct notify *notify)
{
	const char *text;

	for (size_t i = 0; i < WORDS && !notify->waits; i++) {
		if (!notify->owes[i])
			continue;
		text = i == WORD_STATUS      ? notify->text
		       : i == WORD_RELOADING ? notify->reloading
					     : words[i];
		if (notify_send(notify, text) == -EAGAIN) {
			/* Without memory for the event every turn tries. */
			notify->waits = event_add(&notify->room, NULL) == 0;
			return;
		}
		notify->owes[i] = false;
	}
}

static void notify_feed(struct deadline *watchdog, uint64_t now_us)
{
	struct notify *notify = container_of(watchdog, struct notify, watchdog);

	notify->owes[WORD_WATCHDOG] = true;
	if (deadline_set(&notify->daemon->board->deadlines, watchdog,
		    now_us + notify->watchdog_us / 2) < 0)
		log_error("no_memory", "no memory for the watchdog's timer");
}

static void notify_say_status(struct deadline *status, uint64_t now_us)
{
	struct notify *notify = container_of(status, struct notify, status);
	uint64_t pools = 0, queued = 0, active = 0;
	const struct pool *pool;
	char text[sizeof notify->text];

	(void)now_us;
	notify->n_steps = notify->daemon->board->n_steps;
	TAILQ_FOREACH (pool, &notify->daemon->board->pools, link) {
		pools++;
		queued += pool->count[TASK_QUEUED] + pool->count[TASK_DELAYED];
		active += pool->count[TASK_ACTIVE];
	}
	(void)snprintf(text, sizeof text, "STATUS=%llu %s, %llu queued, %llu active",
		(unsigned long long)pools, pools == 1 ? "pool" : "pools",
		(unsigned long long)queued, (unsigned long long)active);
	if (strcmp(text, notify->text) == 0)
		return;
	memcpy(notify->text, text, sizeof text);
	notify->owes[WORD_STATUS] = true;
}

int notify_new(struct daemon *daemon, struct notify **ret_notify)
{
	struct notify *notify = calloc(1, sizeof *notify);

	if (notify == NULL)
		return -ENOMEM;
	notify->daemon = daemon;
	notify->fd = -1;
	notify_find_manager(notify);
	deadline_init(&notify->watchdog, notify_feed);
	deadline_init(&notify->status, notify_say_status);
	if (sd_watchdog_enabled(0, &notify->watchdog_us) > 0)
		notify_feed(&notify->watchdog, clock_now_us());
	*ret_notify = notify;
	return 0;
}

void notify_free(struct notify *notify)
{
	if (notify == NULL)
		return;
	deadline_clear(&notify->daemon->board->deadlines, &notify->watchdog);
	deadline_clear(&notify->daemon->board->deadlines, &notify->status);
	notify_disconnect(notify);
	free(notify);
}

void notify_turn(struct daemon *daemon)
{
	struct notify *notify = daemon->notify;
	struct deadlines *deadlines = &daemon->board->deadlines;

	if (notify->manager_len == 0)
		return;
	if (daemon->is_ready && !notify->said_ready) {
		notify->said_ready = notify->owes[WORD_READY] = true;
		notify_say_status(&notify->status, daemon->now_us);
	}
	if (daemon->board->stop != STOP_RUNNING && !notify->said_stopping)
		notify->said_stopping = notify->owes[WORD_STOPPING] = true;
	/* Something moved: say so in a second, once. */
	if (daemon->board->n_steps != notify->n_steps && !deadline_is_set(&notify->status) &&
		deadline_set(deadlines, &notify->status, daemon->now_us + STATUS_US) < 0)
		log_error("no_memory", "no memory for the status' timer");
	notify_flush(notify);
}

void notify_reloading(struct notify *notify)
{
	if (notify->manager_len == 0)
		return;
	(void)snprintf(notify->reloading, sizeof notify->reloading,
		"RELOADING=1\nMONOTONIC_USEC=%llu",
		(unsigned long long)(clock_now_us() - CLOCK_AHEAD_US));
	notify->owes[WORD_RELOADING] = true;
	notify_flush(notify);
}

void notify_reloaded(struct notify *notify)
{
	if (notify->said_ready) /* else it is said when it is true */
		notify->owes[WORD_READY] = true;
}
