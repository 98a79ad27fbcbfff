/*
 * ready: see ready.h.
 */
#include "net/ready.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/daemon.h"
#include "net/hostlink.h"
#include "net/hosts.h"
#include "net/listen.h"

#define PATIENCE_US (3 * US_PER_SEC)

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
	log_warning("not_ready", "not every host is up yet: the socket is served all the same");
	ready_serve(daemon);
}

int ready_begin(struct daemon *daemon)
{
	daemon->awake = true; /* the first turn starts the hosts */
	deadline_init(&daemon->patience, ready_on_impatient);
	return deadline_set(
		&daemon->board->deadlines, &daemon->patience, daemon->now_us + PATIENCE_US);
}

void ready_check(struct daemon *daemon)
{
	const struct hostlink *link;
	const struct pool *pool;
	bool is_any_up = false;

	if (daemon->is_ready)
		return;
	TAILQ_FOREACH (pool, &daemon->board->pools, link)
		if (!hosts_are_settled(pool))
			return;
	TAILQ_FOREACH (link, &daemon->links, link)
		is_any_up |= link->was_up;
	if (!is_any_up)
		return;
	daemon->is_ready = true;
	ready_serve(daemon);
}
