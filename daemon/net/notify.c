/*
 * notify: see notify.h. The watchdog is fed from the loop's own deadlines: a loop that does not turn does not feed it.
 */
#include "net/notify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/daemon.h"

#define STATUS_US US_PER_SEC

struct notify {
	struct daemon *daemon; /* borrows: owns us */
	bool is_there;         /* somebody listens */
	bool said_ready, said_stopping;
	uint64_t watchdog_us; /* 0: none */
	uint64_t n_steps;     /* board->n_steps when the status was last told */
	struct deadline watchdog, status;
	char text[160];
};

static void notify_feed(struct deadline *watchdog, uint64_t now_us)
{
	struct notify *notify = container_of(watchdog, struct notify, watchdog);

	(void)sd_notify(0, "WATCHDOG=1");
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
	(void)sd_notify(0, text);
}

int notify_new(struct daemon *daemon, struct notify **ret_notify)
{
	struct notify *notify = calloc(1, sizeof *notify);

	if (notify == NULL)
		return -ENOMEM;
	notify->daemon = daemon;
	notify->is_there = getenv("NOTIFY_SOCKET") != NULL;
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
	free(notify);
}

void notify_turn(struct daemon *daemon)
{
	struct notify *notify = daemon->notify;
	struct deadlines *deadlines = &daemon->board->deadlines;

	if (!notify->is_there)
		return;
	if (daemon->is_ready && !notify->said_ready) {
		notify->said_ready = true;
		(void)sd_notify(0, "READY=1");
		notify_say_status(&notify->status, daemon->now_us);
	}
	if (daemon->board->stop != STOP_RUNNING && !notify->said_stopping) {
		notify->said_stopping = true;
		(void)sd_notify(0, "STOPPING=1");
	}
	/* Something moved: say so in a second, once. */
	if (daemon->board->n_steps != notify->n_steps && !deadline_is_set(&notify->status) &&
		deadline_set(deadlines, &notify->status, daemon->now_us + STATUS_US) < 0)
		log_error("no_memory", "no memory for the status' timer");
}
