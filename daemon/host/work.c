/*
 * work: takes RUNs off the link, runs them in threads; tell.c puts their ends back.
 *
 * Leader and followers, no thread of its own for input and output. A thread that has nothing to run writes what results
 * wait; then it reads, if nobody does; then it sleeps. With two threads more than workers one is always left to read
 * CANCEL and to see the daemon's end, and one to write for those that run a task (tell.c). Before a thread runs a task
 * that may take long it makes sure that somebody else goes on: if tasks or results wait, or nobody reads, it rouses ONE
 * sleeper, which does the same before its own task. So tasks behind a long one never wait, and a burst does not wake
 * everybody. A handler that is `quick` never waits itself, so it is run where it was read: six no-ops that came with one
 * read leave with one write, and no thread is woken.
 *
 * Measured with 100 bytes of args, process time of this program in us a task, all on one CPU (2 CPUs AMD EPYC, Linux
 * 6.18; 1 / 6 / 64 tasks under way), the driver's cycles in thousands a second behind it:
 *
 *   a thread for input and output, eventfd only while it sleeps   14-17 / 3.7-4.4 / 0.4     36-44 / 124-150 / 900-1900
 *   leader and followers                                          11-13 / 3.8-4.6 / 1.3     29-58 / 103-186 / 380-550
 *   the same, handlers that are `quick` run by the reader         5-6   / 0.9     / 0.2     83-100 / 520-570 / 3200
 *
 * So it is leader and followers: a lone task costs less, six cost the same, and one thread less is to be understood. With
 * 64 ready at once the other way would win, because here results leave before each task that may take long.
 *
 * Lock: pool->lock guards what work.h says. It is not held while a handler runs, nor while a thread reads or writes;
 * those have link->in and link->sending to themselves by `reading` and `writing`. A task's struct is freed by the thread
 * that ran it, after it left pool->all under the lock: so a task that CANCEL finds there is alive.
 * Invariants: a thread runs a long task only while queue and out are empty or a roused thread is under way, and
 * somebody reads or will; every work that was taken gets exactly one DONE.
 */
#include "host/work.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/keeper.h"
#include "host/tell.h"
#include "wire/json.h"

#define STACK_BYTES (512u * 1024)
#define FLUSH_BYTES (64u * 1024) /* so much output does not wait for more */
#define DONE_BYTES  256u         /* of a DONE beside its result, with room to spare */

struct worker {
	struct work_pool *pool; /* borrows: as long as the process */
	pthread_cond_t wake;
	bool is_idle;
	TAILQ_ENTRY(worker) in_idle; /* in: pool->idle */
};

void work_broken(struct work_pool *pool, const char *what, int error)
{
	log_error("host_broken", "%s: %s", what, strerror(error));
	pool->end(pool, WORK_EXIT_BROKEN);
}

void work_rouse(struct work_pool *pool)
{
	struct worker *worker = TAILQ_FIRST(&pool->idle);

	if (pool->roused > 0 || !worker)
		return;
	TAILQ_REMOVE(&pool->idle, worker, in_idle);
	worker->is_idle = false;
	pool->roused++;
	(void)pthread_cond_signal(&worker->wake);
}

static void sleep_until_roused(struct worker *worker)
{
	struct work_pool *pool = worker->pool;

	worker->is_idle = true;
	TAILQ_INSERT_HEAD(&pool->idle, worker, in_idle);
	while (worker->is_idle)
		(void)pthread_cond_wait(&worker->wake, &pool->lock);
	pool->roused--;
}

/* Running. */

/* What a task left behind that is too long for its handler or for a message. */
static void check_length(const struct work *work, struct result *result)
{
	uint64_t limit = HOSTMSG_LIMIT - DONE_BYTES;

	/* Handlers that are not built in cut their output themselves, and say so. */
	if (work->offer->handler->builtin && result->outcome == OUTCOME_OK &&
		work->offer->max_output_bytes < limit)
		limit = work->offer->max_output_bytes;
	if (result->json.len > limit)
		result_fail(result, "output_too_long", "the result has %zu bytes, %llu are allowed",
			result->json.len, (unsigned long long)limit);
}

static void run_handler(struct work *work, struct result *result)
{
	if (!work->offer)
		result_fail(result, "refused", "this host offers no such handler");
	else if (task_is_cancelled(work))
		result_cancel(result, (struct view){NULL, 0});
	else
		work->offer->handler->run(work, result);
	if (work->offer)
		check_length(work, result);
}

static void work_free(struct work *work)
{
	json_decref(work->args);
	free(work->note);
	free(work);
}

/* Runs the first of the queue; with the lock held, as all of these. */
static void run_next(struct work_pool *pool)
{
	struct work *work = TAILQ_FIRST(&pool->queue);
	bool is_quick = !work->offer || work->offer->handler->quick;
	struct result result;

	TAILQ_REMOVE(&pool->queue, work, in_queue);
	if (!is_quick && (!TAILQ_EMPTY(&pool->queue) || !pool->reading || tell_is_due(pool)))
		work_rouse(pool);
	(void)pthread_mutex_unlock(&pool->lock);
	result_init(&result);
	run_handler(work, &result);
	(void)pthread_mutex_lock(&pool->lock);
	TAILQ_REMOVE(&pool->all, work, in_all);
	tell_end(pool, work, &result);
	result_done(&result);
	work_free(work);
}

/* What the daemon says. */

static int take_run(struct work_pool *pool, const struct hostmsg *msg)
{
	struct view args = msg->run.args;
	struct work *work;

	if (pool->quits)
		return -EPROTO;
	work = malloc(sizeof(*work) + args.len + 1);
	if (!work)
		return -ENOMEM;
	*work = (struct work){
		.id = msg->run.task,
		.attempt = msg->run.attempt,
		.worker = msg->run.worker,
		.deadline_us = msg->run.deadline_us,
		.pool = pool,
		.offer = handler_find(pool->registry, msg->run.handler),
		.args_len = args.len,
	};
	if (args.len > 0)
		memcpy(work->args_text, args.data, args.len);
	work->args_text[args.len] = '\0';
	TAILQ_INSERT_TAIL(&pool->queue, work, in_queue);
	TAILQ_INSERT_TAIL(&pool->all, work, in_all);
	return 0;
}

/* NULL: it has ended meanwhile. */
static struct work *find(const struct work_pool *pool, uint64_t id, uint32_t attempt)
{
	struct work *work;

	TAILQ_FOREACH (work, &pool->all, in_all) {
		if (work->id == id && work->attempt == attempt)
			return work;
	}
	return NULL;
}

static int take_cancel(struct work_pool *pool, const struct hostmsg *msg)
{
	struct work *work = find(pool, msg->cancel.task, msg->cancel.attempt);

	if (!work)
		return 0;
	atomic_store(&work->cancelled, true);
	if (work->sleeper)
		(void)pthread_cond_signal(work->sleeper);
	if (work->state && work->offer->handler->cancel)
		work->offer->handler->cancel(work);
	return 0;
}

/* What has output tells it by itself, as soon as it runs. */
static int take_follow(struct work_pool *pool, const struct hostmsg *msg)
{
	struct work *work = find(pool, msg->follow.task, msg->follow.attempt);

	if (!work || atomic_exchange(&work->followed, true))
		return 0;
	if (!work->offer || !work->offer->handler->follow)
		return tell_nothing(pool, work);
	if (work->state)
		work->offer->handler->follow(work);
	return 0;
}

static void grow(struct work_pool *pool);

static int take_resize(struct work_pool *pool, const struct hostmsg *msg)
{
	if (msg->resize.workers == 0 || msg->resize.workers >= WORK_THREADS_MAX)
		return -EPROTO;
	pool->wanted = msg->resize.workers + WORK_SPARE_THREADS;
	if (pool->registry->keeper)
		keeper_resize(pool->registry->keeper, msg->resize.workers);
	grow(pool);
	work_rouse(pool); /* one that is too many leaves, and rouses the next */
	return 0;
}

static int take_quit(struct work_pool *pool, const struct hostmsg *msg)
{
	(void)msg;
	pool->quits = true;
	if (pool->registry->keeper)
		keeper_quit(pool->registry->keeper);
	return 0;
}

/* What a daemon may say once the host is ready. */
static int (*const takers[HOSTMSG_TYPES])(struct work_pool *, const struct hostmsg *) = {
	[HOSTMSG_RUN] = take_run,
	[HOSTMSG_CANCEL] = take_cancel,
	[HOSTMSG_FOLLOW] = take_follow,
	[HOSTMSG_RESIZE] = take_resize,
	[HOSTMSG_QUIT] = take_quit,
};

static void take_all(struct work_pool *pool)
{
	struct hostmsg msg;
	int r;

	while ((r = link_next(pool->link, &msg)) == 0) {
		r = takers[msg.type] ? takers[msg.type](pool, &msg) : -EPROTO;
		if (r < 0) {
			log_error("host_message", "the daemon's %s: %s", hostmsg_name(msg.type),
				strerror(-r));
			pool->end(pool, WORK_EXIT_BROKEN);
		}
	}
	if (r != -EAGAIN)
		work_broken(pool, "a message of the daemon", -r);
}

static void read_more(struct work_pool *pool)
{
	pool->reading = true;
	(void)pthread_mutex_unlock(&pool->lock);
	int r = link_read(pool->link);
	(void)pthread_mutex_lock(&pool->lock);
	if (r == -EPIPE)
		pool->end(pool, 0);
	if (r < 0)
		work_broken(pool, "reading from the daemon", -r);
	take_all(pool);
	pool->reading = false;
}

/* Threads. */

/* One thing that is to be done now; false: nothing is. */
static bool step(struct work_pool *pool)
{
	struct work *next = TAILQ_FIRST(&pool->queue);

	/* Results leave before something long begins; behind quick tasks they gather. */
	if (tell_is_due(pool) && (!next || (next->offer && !next->offer->handler->quick) ||
					 buf_len(&pool->link->out) >= FLUSH_BYTES)) {
		tell_send(pool);
	} else if (next) {
		run_next(pool);
	} else if (pool->quits && TAILQ_EMPTY(&pool->all) && !pool->writing) {
		pool->end(pool, 0);
	} else if (!pool->reading) {
		read_more(pool);
	} else {
		return false;
	}
	return true;
}

static void *worker_main(void *arg)
{
	auto_free struct worker *worker = arg;
	struct work_pool *pool = worker->pool;

	(void)pthread_mutex_lock(&pool->lock);
	for (;;) {
		if (step(pool))
			continue;
		/* Not the last that sleeps: a thread that runs a task may need it (tell.c). */
		if (pool->threads > pool->wanted && !TAILQ_EMPTY(&pool->idle))
			break;
		sleep_until_roused(worker);
	}
	pool->threads--;
	if (pool->threads > pool->wanted)
		work_rouse(pool);
	(void)pthread_mutex_unlock(&pool->lock);
	(void)pthread_cond_destroy(&worker->wake);
	return NULL;
}

static struct worker *worker_new(struct work_pool *pool)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		return NULL;
	worker->pool = pool;
	(void)pthread_cond_init(&worker->wake, NULL);
	return worker;
}

/* Up to the wanted number; with fewer the tasks still run, only later. */
static void grow(struct work_pool *pool)
{
	while (pool->threads < pool->wanted) {
		auto_free struct worker *worker = worker_new(pool);
		pthread_t thread;
		int error =
			worker ? pthread_create(&thread, &pool->attr, worker_main, worker) : ENOMEM;

		if (error != 0) {
			log_error("host_threads", "only %u of %u threads: %s", pool->threads,
				pool->wanted, strerror(error));
			return;
		}
		(void)take(worker);
		pool->threads++;
	}
}

int work_pool_init(struct work_pool *pool, struct link *link, const struct registry *registry)
{
	*pool = (struct work_pool){.link = link, .registry = registry};
	TAILQ_INIT(&pool->queue);
	TAILQ_INIT(&pool->all);
	TAILQ_INIT(&pool->waiting);
	TAILQ_INIT(&pool->tells);
	TAILQ_INIT(&pool->idle);
	int error = pthread_mutex_init(&pool->lock, NULL);
	if (error == 0)
		error = pthread_attr_init(&pool->attr);
	if (error == 0)
		error = pthread_attr_setdetachstate(&pool->attr, PTHREAD_CREATE_DETACHED);
	if (error == 0)
		error = pthread_attr_setstacksize(&pool->attr, STACK_BYTES);
	return -error;
}

int work_pool_start(struct work_pool *pool, uint32_t workers)
{
	(void)pthread_mutex_lock(&pool->lock);
	pool->threads = 1;
	pool->wanted = workers + WORK_SPARE_THREADS;
	grow(pool);
	bool is_enough = pool->threads > 1;
	take_all(pool); /* what came in one read with GO: a QUIT, if the daemon stops already */
	(void)pthread_mutex_unlock(&pool->lock);
	return is_enough ? 0 : -EAGAIN;
}

void work_pool_run(struct work_pool *pool)
{
	auto_free struct worker *worker = worker_new(pool);

	(void)pthread_mutex_lock(&pool->lock);
	if (!worker)
		work_broken(pool, "the first worker", ENOMEM);
	for (;;) {
		if (step(pool))
			continue;
		if (pool->threads > pool->wanted) /* this one never leaves: the next one has to */
			work_rouse(pool);
		sleep_until_roused(worker);
	}
}
