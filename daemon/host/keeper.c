/*
 * keeper: see keeper.h. Called by h_coprocess.c, work.c (resize, quit) and host.c (open, listen, wait).
 *
 *   task's thread -- keeper_put() --> idle -- keeper_take() --> task's thread
 *         |                             | ended, says something, its worker is gone
 *         +------ keeper_retire() ------+--> retired --> leaving --> ended, freed
 *
 * An idle program has nothing to say. What it writes to standard error is read and dropped, up to a bound; a byte on
 * standard output, or the end of it, costs it its place. So nothing of an idle program waits in a pipe for the next task,
 * and none can write without end.
 *
 * Watching costs six system calls, so a program is watched only when it has been idle for a while: one that works all the
 * time never is, and each task begins with a look at its program anyway. While there is one that is idle and not watched
 * the timer runs, so the thread wakes ten times a second at most, and not at all once all idle ones are watched.
 *
 * Lock: keeper->lock; a thread that holds it may take the spawner's, and nobody takes another one under it. Programs
 * in `leaving` are the keeper thread's alone: signals, which may wait for the spawner, are sent without the lock.
 * Invariants: a descriptor is in epoll only while its program is idle or leaves; the timer is set to wake_at_us; of one
 * worker and handler at most one program leaves at its leisure: when the next one retires it is KILLed, so that they
 * cannot pile up.
 */
#include "host/keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

#define EVENTS 64
#define END_US (1 * US_PER_SEC) /* between the end of its input and TERM */
#define WAIT_US                                                                                    \
	(1500 * US_PER_MS) /* for all to leave with the host; the daemon gives that 2 seconds */
#define WATCH_US   (100 * US_PER_MS) /* so long idle, up to twice that, and it is watched */
#define IDLE_BYTES (1024u * 1024)    /* of standard error without a task: more costs it its place */
#define LOOK_US    (1 * US_PER_SEC) /* between two looks at one that was KILLed and is still there */
#define KEEP_BYTES (64u * 1024)     /* a buffer larger than this is given back between two tasks */
#define LINE_BYTES 1024u            /* of a line beside a result, with room to spare */

static void coprocess_free(struct coprocess *coprocess)
{
	program_done(&coprocess->program);
	buf_done(&coprocess->lines);
	free(coprocess);
}

/* Which of its descriptors the keeper watches. */
static void watch(struct keeper *keeper, struct coprocess *coprocess, int operation)
{
	const struct program *program = &coprocess->program;
	const int fds[] = {program->out.fd, program->err.fd, program->event_fd};
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = coprocess->number};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		/* Without room for it the next task looks; one that leaves is looked at when its time has come. */
		if (fds[i] >= 0)
			(void)epoll_ctl(keeper->epoll_fd, operation, fds[i], &event);
	}
}

/* Idle programs. What of them is told in the log: */

/* By itself, which is its good right with status 0. */
static void tell_end(const struct coprocess *coprocess)
{
	struct child child = program_look(&coprocess->program);
	bool is_signal = WIFSIGNALED(child.status);

	log_event(child.status == 0 ? LOG_L_INFO : LOG_L_WARNING, "coprocess_ended",
		"handler \"%s\", worker %" PRIu32
		": its program (pid %d) ended while it had no task, by %s %d",
		coprocess->offer->name, coprocess->worker, (int)child.pid,
		is_signal ? "signal" : "status",
		is_signal ? WTERMSIG(child.status) : WEXITSTATUS(child.status));
}

static void tell_unfit(const struct coprocess *coprocess, const char *why)
{
	struct child child = program_look(&coprocess->program);

	log_warning("coprocess_replaced",
		"handler \"%s\", worker %" PRIu32 ": its program (pid %d) %s while it had no task: "
		"it is replaced",
		coprocess->offer->name, coprocess->worker, (int)child.pid, why);
}

/* Why an idle program is of no more use; NULL: it is, or *ret_is_closing. Takes what it wrote to standard error. */
static const char *find_fault(struct coprocess *coprocess, bool *ret_is_closing)
{
	struct program *program = &coprocess->program;
	struct pollfd fds[] = {{.fd = program->out.fd, .events = POLLIN},
		{.fd = program->err.fd, .events = POLLIN}};
	const struct pollfd *out = &fds[0], *err = &fds[1];

	(void)poll(fds, ARRAY_SIZE(fds), 0);
	if (err->revents != 0) {
		capture_catch_up(&program->err);
		buf_truncate(&program->err.kept, 0);
	}
	*ret_is_closing = out->fd < 0 || (out->revents != 0 && (out->revents & POLLIN) == 0) ||
			  program_has_ended(program);
	if (*ret_is_closing)
		return NULL;
	if (out->revents != 0)
		return "wrote to its standard output";
	if (program->err.total_bytes > IDLE_BYTES)
		return "wrote more than a megabyte to its standard error";
	return NULL;
}

static struct coprocess *find(
	const struct coprocess_list *list, const struct offer *offer, uint32_t worker)
{
	struct coprocess *coprocess;

	TAILQ_FOREACH (coprocess, list, link) {
		if (coprocess->worker == worker && coprocess->offer == offer)
			return coprocess;
	}
	return NULL;
}

/* With the lock held: the thread wakes by then at the latest. */
static void wake_by(struct keeper *keeper, uint64_t at_us)
{
	uint64_t us = at_us - CLOCK_AHEAD_US;
	struct itimerspec when = {
		.it_value = {(time_t)(us / US_PER_SEC), (long)(us % US_PER_SEC * 1000)}};

	if (at_us >= keeper->wake_at_us)
		return;
	keeper->wake_at_us = at_us;
	(void)timerfd_settime(keeper->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* With the lock held. It is in no list and not watched. */
static void retire(struct keeper *keeper, struct coprocess *coprocess, enum retire how)
{
	struct program *program = &coprocess->program;
	uint64_t now_us = clock_now_us();

	program->in_fd = fd_close(program->in_fd);
	coprocess->term_at_us = now_us + (how == RETIRE_KINDLY ? END_US : 0);
	coprocess->kill_at_us = coprocess->term_at_us + coprocess->offer->kill_after_us;
	if (how == RETIRE_NOW) {
		program->out.fd = fd_close(program->out.fd);
		program->err.fd = fd_close(program->err.fd);
	}
	TAILQ_INSERT_TAIL(&keeper->retired, coprocess, link);
	keeper->n_leaving++;
	wake_by(keeper, now_us);
}

/* With the lock held: out of the list of idle ones. */
static void take_idle(struct keeper *keeper, struct coprocess *coprocess)
{
	TAILQ_REMOVE(&keeper->idle, coprocess, link);
	if (coprocess->is_watched)
		watch(keeper, coprocess, EPOLL_CTL_DEL);
	coprocess->is_watched = false;
}

/* false: it may have a task. Else it leaves, and the log tells why. */
static bool leave_if_unfit(struct keeper *keeper, struct coprocess *coprocess)
{
	const char *fault = find_fault(coprocess, &coprocess->is_closing);

	if (!fault && !coprocess->is_closing)
		return false;
	/* Who dies closes its descriptors first, and its end is heard of a moment later: what it did is told then. */
	if (fault)
		tell_unfit(coprocess, fault);
	take_idle(keeper, coprocess);
	retire(keeper, coprocess, fault ? RETIRE_NOW : RETIRE_KINDLY);
	return true;
}

struct coprocess *keeper_take(struct keeper *keeper, const struct offer *offer, uint32_t worker)
{
	(void)pthread_mutex_lock(&keeper->lock);
	struct coprocess *coprocess = find(&keeper->idle, offer, worker);
	if (coprocess && leave_if_unfit(keeper, coprocess))
		coprocess = NULL;
	else if (coprocess)
		take_idle(keeper, coprocess);
	(void)pthread_mutex_unlock(&keeper->lock);
	return coprocess;
}

struct coprocess *keeper_new(struct keeper *keeper, const struct offer *offer, uint32_t worker)
{
	struct coprocess *coprocess = calloc(1, sizeof(*coprocess));

	if (!coprocess)
		return NULL;
	program_init(&coprocess->program, offer->registry->spawner, offer->max_output_bytes);
	buf_init(&coprocess->lines, offer->max_output_bytes + LINE_BYTES);
	coprocess->offer = offer;
	coprocess->worker = worker;
	(void)pthread_mutex_lock(&keeper->lock);
	coprocess->number = ++keeper->last_number;
	(void)pthread_mutex_unlock(&keeper->lock);
	return coprocess;
}

static void give_back(struct buf *buf)
{
	if (buf->cap > KEEP_BYTES)
		buf_release(buf);
}

void keeper_put(struct keeper *keeper, struct coprocess *coprocess)
{
	capture_reset(&coprocess->program.err);
	give_back(&coprocess->program.err.kept);
	give_back(&coprocess->lines);
	(void)pthread_mutex_lock(&keeper->lock);
	if (keeper->quits || coprocess->worker >= keeper->workers ||
		find(&keeper->idle, coprocess->offer, coprocess->worker)) {
		retire(keeper, coprocess, RETIRE_KINDLY);
	} else {
		TAILQ_INSERT_HEAD(&keeper->idle, coprocess, link);
		coprocess->since_us = clock_now_us();
		wake_by(keeper, coprocess->since_us + WATCH_US);
	}
	(void)pthread_mutex_unlock(&keeper->lock);
}

void keeper_retire(struct keeper *keeper, struct coprocess *coprocess, enum retire how)
{
	if (!coprocess->program.is_started || program_has_ended(&coprocess->program)) {
		coprocess_free(coprocess);
		return;
	}
	(void)pthread_mutex_lock(&keeper->lock);
	retire(keeper, coprocess, how);
	(void)pthread_mutex_unlock(&keeper->lock);
}

static void retire_from(struct keeper *keeper, uint32_t workers)
{
	struct coprocess *coprocess, *next;

	TAILQ_FOREACH_SAFE (coprocess, &keeper->idle, link, next) {
		if (coprocess->worker < workers)
			continue;
		take_idle(keeper, coprocess);
		retire(keeper, coprocess, RETIRE_KINDLY);
	}
}

void keeper_resize(struct keeper *keeper, uint32_t workers)
{
	(void)pthread_mutex_lock(&keeper->lock);
	keeper->workers = workers;
	retire_from(keeper, workers);
	(void)pthread_mutex_unlock(&keeper->lock);
}

void keeper_quit(struct keeper *keeper)
{
	(void)pthread_mutex_lock(&keeper->lock);
	keeper->quits = true;
	retire_from(keeper, 0);
	(void)pthread_mutex_unlock(&keeper->lock);
}

void keeper_wait(struct keeper *keeper)
{
	uint64_t until_us = clock_now_us() - CLOCK_AHEAD_US + WAIT_US;
	struct timespec until = {
		(time_t)(until_us / US_PER_SEC), (long)(until_us % US_PER_SEC * 1000)};
	int error = 0;

	(void)pthread_mutex_lock(&keeper->lock);
	while (error == 0 && keeper->n_leaving > 0)
		error = pthread_cond_clockwait(
			&keeper->empty, &keeper->lock, CLOCK_MONOTONIC, &until);
	(void)pthread_mutex_unlock(&keeper->lock);
}

/* The thread. */

/* An idle program that there is news of; a task may have taken it meanwhile. */
static void on_event(struct keeper *keeper, uint64_t number)
{
	struct coprocess *coprocess;

	TAILQ_FOREACH (coprocess, &keeper->idle, link) {
		if (coprocess->number != number)
			continue;
		program_hear(&coprocess->program);
		(void)leave_if_unfit(keeper, coprocess);
		return;
	}
}

/* Those that have been idle for a while; the others together at the next look, so that many of them are not many looks. */
static void watch_idle(struct keeper *keeper)
{
	struct coprocess *coprocess;
	uint64_t now_us = clock_now_us();

	TAILQ_FOREACH (coprocess, &keeper->idle, link) {
		if (coprocess->is_watched)
			continue;
		coprocess->is_watched = now_us >= coprocess->since_us + WATCH_US;
		if (coprocess->is_watched)
			watch(keeper, coprocess, EPOLL_CTL_ADD);
		else
			wake_by(keeper, now_us + WATCH_US);
	}
}

/* From `retired` to the thread's own; who is leaving at its leisure for the same worker has had its time. */
static void take_retired(struct keeper *keeper)
{
	struct coprocess *coprocess, *before;

	while ((coprocess = TAILQ_FIRST(&keeper->retired))) {
		TAILQ_REMOVE(&keeper->retired, coprocess, link);
		TAILQ_FOREACH (before, &keeper->leaving, link) {
			if (before->offer == coprocess->offer &&
				before->worker == coprocess->worker && before->kill_at_us > 0)
				before->term_at_us = before->kill_at_us = 1;
		}
		TAILQ_INSERT_TAIL(&keeper->leaving, coprocess, link);
		watch(keeper, coprocess, EPOLL_CTL_ADD);
	}
}

/* What it says now is of no interest, but it must not wait for us to read it. */
static void drop_output(struct program *program)
{
	struct capture *const outputs[] = {&program->out, &program->err};

	for (size_t i = 0; i < ARRAY_SIZE(outputs); i++) {
		capture_catch_up(outputs[i]);
		buf_truncate(&outputs[i]->kept, 0);
	}
}

static void send_due(struct coprocess *coprocess, uint64_t now_us)
{
	if (coprocess->kill_at_us > 0 && now_us >= coprocess->kill_at_us) {
		coprocess->term_at_us = coprocess->kill_at_us = 0;
		program_signal(&coprocess->program, SIGKILL);
	} else if (coprocess->term_at_us > 0 && now_us >= coprocess->term_at_us) {
		coprocess->term_at_us = 0;
		program_signal(&coprocess->program, SIGTERM);
	} else {
		return;
	}
	if (coprocess->is_closing)
		tell_unfit(coprocess, "closed its standard output");
	coprocess->is_closing = false;
}

static void bury(struct keeper *keeper, struct coprocess *coprocess)
{
	if (coprocess->is_closing)
		tell_end(coprocess);
	TAILQ_REMOVE(&keeper->leaving, coprocess, link);
	coprocess_free(coprocess);
}

/* When something is to be done about it though nothing happens. */
static uint64_t due_us(const struct coprocess *coprocess, uint64_t now_us)
{
	if (coprocess->term_at_us > 0)
		return coprocess->term_at_us;
	return coprocess->kill_at_us > 0 ? coprocess->kill_at_us : now_us + LOOK_US;
}

/* A step for each that leaves. */
static void tend(struct keeper *keeper)
{
	struct coprocess *coprocess, *next;
	uint64_t first_us = UINT64_MAX, now_us = clock_now_us();
	uint32_t n_gone = 0;

	TAILQ_FOREACH_SAFE (coprocess, &keeper->leaving, link, next) {
		program_hear(&coprocess->program);
		if (program_has_ended(&coprocess->program)) {
			bury(keeper, coprocess);
			n_gone++;
			continue;
		}
		drop_output(&coprocess->program);
		send_due(coprocess, now_us);
		if (due_us(coprocess, now_us) < first_us)
			first_us = due_us(coprocess, now_us);
	}
	(void)pthread_mutex_lock(&keeper->lock);
	keeper->n_leaving -= n_gone;
	if (keeper->n_leaving == 0)
		(void)pthread_cond_broadcast(&keeper->empty);
	wake_by(keeper, first_us);
	(void)pthread_mutex_unlock(&keeper->lock);
}

static void *keep(void *arg)
{
	struct keeper *keeper = arg;
	struct epoll_event events[EVENTS];
	uint64_t n_times;

	for (;;) {
		int n = epoll_wait(keeper->epoll_fd, events, EVENTS, -1);

		(void)pthread_mutex_lock(&keeper->lock);
		(void)!read(keeper->timer_fd, &n_times, sizeof(n_times));
		keeper->wake_at_us = UINT64_MAX; /* whoever has a time says it anew */
		for (int i = 0; i < n; i++)
			on_event(keeper, events[i].data.u64);
		take_retired(keeper);
		watch_idle(keeper);
		(void)pthread_mutex_unlock(&keeper->lock);
		tend(keeper);
	}
	return NULL;
}

int keeper_open(struct keeper **ret_keeper)
{
	auto_free struct keeper *keeper = calloc(1, sizeof(*keeper));

	if (!keeper)
		return -ENOMEM;
	TAILQ_INIT(&keeper->idle);
	TAILQ_INIT(&keeper->retired);
	TAILQ_INIT(&keeper->leaving);
	auto_fd int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	auto_fd int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (epoll_fd < 0 || timer_fd < 0)
		return -errno;
	struct epoll_event event = {.events = EPOLLIN}; /* data 0: no program has this number */
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event) < 0)
		return -errno;
	int error = pthread_mutex_init(&keeper->lock, NULL);
	if (error == 0)
		error = pthread_cond_init(&keeper->empty, NULL);
	if (error != 0)
		return -error;
	keeper->workers = UINT32_MAX;
	keeper->epoll_fd = take_fd(epoll_fd);
	keeper->timer_fd = take_fd(timer_fd);
	keeper->wake_at_us = UINT64_MAX;
	*ret_keeper = take(keeper);
	return 0;
}

int keeper_listen(struct keeper *keeper)
{
	pthread_t thread;

	int error = pthread_create(&thread, NULL, keep, keeper);
	if (error == 0)
		(void)pthread_detach(thread);
	return -error;
}
