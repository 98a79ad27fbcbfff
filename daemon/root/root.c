/*
 * root: see root.h.
 */
#include "root/root.h"

#include <errno.h>
#include <event2/event.h>
#include <sched.h>
#include <stdio.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/daemon.h"
#include "net/hostlink.h"
#include "net/hosts.h"
#include "net/listen.h"
#include "net/notify.h"
#include "net/ready.h"
#include "net/signals.h"

/* Cores that this process may run on: what "3/core" is multiplied with. */
static uint32_t count_cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
		return (uint32_t)CPU_COUNT(&set);
	return 1;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *daemon = arg;

	(void)fd;
	(void)what;
	daemon->timer_at_us = UINT64_MAX; /* it has fired: deadline_run() does the rest */
}

/* A second commit attempt needs only the turn that this wakes. */
static void on_retry(struct deadline *retry, uint64_t now_us)
{
	(void)retry;
	(void)now_us;
}

static void on_tend(struct deadline *tend, uint64_t now_us)
{
	(void)now_us;
	container_of(tend, struct daemon, tend)->is_tend_due = true;
}

/* The board as the store held it. */
static int root_load(struct daemon *daemon, char *ret_why, size_t why_size)
{
	char why[STORE_WHY_SIZE] = "out of memory";
	int r;

	daemon->board->keeps = daemon->store->ops->keeps;
	r = store_load(daemon->store, daemon->board, daemon->now_us,
		daemon->now_us + daemon->wall_offset_us, why);
	if (r == 0)
		daemon->board->store_error = store_check(daemon->store);
	else
		(void)snprintf(ret_why, why_size, "%s", why);
	daemon->is_loaded = r == 0;
	return r;
}

static int root_open_loop(struct daemon *daemon)
{
	struct event_config *config = event_config_new();

	if (config == NULL)
		return -ENOMEM;
	/* No precise timer: it would cost a system call a turn, and nothing here is due to the millisecond. */
	(void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	daemon->base = event_base_new_with_config(config);
	event_config_free(config);
	if (daemon->base == NULL)
		return -ENOMEM;
	daemon->timer = evtimer_new(daemon->base, on_timer, daemon);
	return daemon->timer != NULL ? 0 : -ENOMEM;
}

/* Everything that the turn needs, in the order in which it leans on each other. */
static int root_open_all(struct daemon *daemon, const char *socket, char *ret_why, size_t why_size)
{
	const char *path = socket != NULL ? socket : daemon->settings->daemon.socket;
	int r;

	daemon->cores = count_cores();
	r = board_new(daemon->settings, daemon->cores, &daemon->board);

	(void)snprintf(ret_why, why_size, "out of memory");
	if (r == 0)
		r = root_load(daemon, ret_why, why_size);
	if (r == 0)
		r = root_open_loop(daemon);
	if (r == 0)
		r = gate_new(daemon);
	if (r == 0)
		r = access_new(daemon->settings, &daemon->access, ret_why, why_size);
	if (r == 0)
		r = listen_new(daemon, path, &daemon->listener, ret_why, why_size);
	if (r == 0)
		r = signals_new(daemon, &daemon->signals);
	if (r == 0)
		r = notify_new(daemon, &daemon->notify);
	if (r == 0)
		r = api_open(daemon);
	return r == 0 ? ready_begin(daemon) : r;
}

void root_close(struct daemon *daemon)
{
	struct hostlink *link;
	struct conn *conn;

	if (daemon->api != NULL) {
		hostlink_kill_all(daemon);
		while ((conn = TAILQ_FIRST(&daemon->conns)) != NULL)
			conn_close(conn);
		conn_sweep(daemon);
	}
	while ((link = TAILQ_FIRST(&daemon->links)) != NULL)
		hostlink_free(link);
	for (struct pool *pool = daemon->board != NULL ? TAILQ_FIRST(&daemon->board->pools) : NULL;
		pool != NULL; pool = TAILQ_NEXT(pool, link))
		hosts_free(pool);
	api_close(daemon);
	log_flush();
	notify_free(daemon->notify);
	signals_free(daemon->signals);
	listen_free(daemon->listener);
	access_free(daemon->access);
	gate_free(daemon);
	if (daemon->timer != NULL)
		event_free(daemon->timer);
	if (daemon->base != NULL)
		event_base_free(daemon->base);
	store_close(daemon->store, daemon->is_loaded ? daemon->board : NULL);
	board_free(daemon->board);
	settings_free((struct settings *)daemon->settings);
}

int root_open(struct daemon *daemon, const struct settings *settings, struct store *store,
	const char *socket, char *ret_why, size_t why_size)
{
	*daemon = (struct daemon){.settings = settings, .store = store};
	TAILQ_INIT(&daemon->conns);
	TAILQ_INIT(&daemon->flush);
	TAILQ_INIT(&daemon->ready);
	TAILQ_INIT(&daemon->gone);
	TAILQ_INIT(&daemon->links);
	TAILQ_INIT(&daemon->touched);
	TAILQ_INIT(&daemon->gate.conns);
	deadline_init(&daemon->retry, on_retry);
	deadline_init(&daemon->tend, on_tend);
	daemon->timer_at_us = UINT64_MAX;
	daemon->now_us = daemon->started_us = clock_now_us();
	daemon->started_wall_us = clock_wall_us();
	daemon->wall_offset_us = daemon->started_wall_us - daemon->started_us;
	return root_open_all(daemon, socket, ret_why, why_size);
}
