/*
 * ready: see ready.h.
 */
#include "net/ready.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/daemon.h"
#include "net/hostlink.h"
#include "net/listen.h"

#define PATIENCE_US (3 * US_PER_SEC)
#define FAILURES    2 /* in a row, after which a host is not waited for */

static void ready_serve(struct daemon *daemon)
{
	if (daemon->is_serving || daemon->done)
		return;
	daemon->is_serving = true;
	deadline_clear(&daemon->board->deadlines, &daemon->patience);
	listen_start(daemon->listener);
	log_info("serving", "listening on %s%s", listen_path(daemon->listener),
		listen_is_activated(daemon->listener) ? " (from the service manager)" : "");
}

static void ready_on_impatient(struct deadline *patience, uint64_t now_us)
{
	struct daemon *daemon = container_of(patience, struct daemon, patience);

	(void)now_us;
	log_warning(
		"not_ready", "not every pool has a host yet: the socket is served all the same");
	ready_serve(daemon);
}

int ready_begin(struct daemon *daemon)
{
	struct hostlink *link;
	struct pool *pool;
	int r = 0;

	TAILQ_FOREACH (pool, &daemon->board->pools, link) {
		r = hostlink_new(daemon, pool, HOSTLINK_SHARED, &link);
		if (r < 0)
			return r;
	}
	TAILQ_FOREACH (link, &daemon->links, link)
		hostlink_start(link);
	daemon->awake = true; /* what the hosts are told first leaves with the first turn */
	deadline_init(&daemon->patience, ready_on_impatient);
	return deadline_set(
		&daemon->board->deadlines, &daemon->patience, daemon->now_us + PATIENCE_US);
}

void ready_check(struct daemon *daemon)
{
	const struct hostlink *link;
	bool is_any_up = false;

	if (daemon->is_ready)
		return;
	TAILQ_FOREACH (link, &daemon->links, link) {
		if (link->part != HOSTLINK_SHARED)
			continue;
		if (!link->was_up && link->failures < FAILURES)
			return;
		is_any_up |= link->was_up;
	}
	if (!is_any_up)
		return;
	daemon->is_ready = true;
	ready_serve(daemon);
}
