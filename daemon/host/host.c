/*
 * host: see host.h. The spawner is forked first: before any thread, and before this process has read a secret.
 * The process ends by _exit(2) only, in end(): threads may sit in a handler or in a library for as long as they like.
 */
#include "host/host.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "host/keeper.h"
#include "host/plugin.h"
#include "host/scratch.h"
#include "host/setup.h"

static void leave(struct host *host, int status) __attribute__((noreturn));

static void leave(struct host *host, int status)
{
	spawner_close(&host->spawner);
	log_flush();
	_exit(status);
}

/* Called by a worker thread with the lock of work.c held. */
static void on_end(struct work_pool *pool, int status)
{
	struct host *host = pool->end_arg;

	if (pool->quits && host->registry.keeper)
		keeper_wait(host->registry.keeper);
	if (pool->quits && TAILQ_EMPTY(&pool->all))
		handler_stop_foreign(&host->registry);
	leave(host, status);
}

static void on_spawner_gone(void *arg)
{
	struct host *host = arg;

	log_error("spawner_gone", "the process that starts programs has ended: this host gives up");
	spawner_kill_all(&host->spawner);
	scratch_remove(host->spawner.home); /* what the spawner would have done */
	log_flush();
	_exit(WORK_EXIT_BROKEN);
}

/* The daemon decides when this process ends, and says so on the link. */
static void ignore_signals(void)
{
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
}

static int start(struct host *host)
{
	int r = setup_take(host);

	if (r < 0)
		return r;
	if (!host->registry.needs_spawner)
		spawner_close(&host->spawner);
	else if (!host->registry.has_free_programs)
		r = spawner_confine(&host->spawner);
	if (r == 0 && host->registry.needs_spawner)
		r = spawner_listen(&host->spawner, on_spawner_gone, host);
	if (r < 0)
		return r;
	if (host->registry.keeper && (r = keeper_listen(host->registry.keeper)) < 0)
		return r;
	r = work_pool_init(&host->workers, &host->link, &host->registry);
	if (r < 0)
		return r;
	host->workers.end = on_end;
	host->workers.end_arg = host;
	/* Before the threads, which have the link to themselves; what it says leaves when they are all there. */
	r = setup_finish(host);
	return r < 0 ? r : work_pool_start(&host->workers, host->n_workers);
}

void host_run(int fd)
{
	static struct host host; /* static: threads use it until the very end */

	ignore_signals();
	/* A second string to the bow: the end of the link is what counts. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	link_init(&host.link, fd);
	int r = spawner_open(&host.spawner, fd);
	plugin_guard_forks(fd);
	if (r == 0)
		r = start(&host);
	if (r == -EPIPE)
		leave(&host, 0); /* the daemon went while we started */
	if (r < 0) {
		log_error("host_start", "the host cannot start: %s", strerror(-r));
		leave(&host, WORK_EXIT_BROKEN);
	}
	work_pool_run(&host.workers);
}
