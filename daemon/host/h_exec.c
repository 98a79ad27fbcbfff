/*
 * h_exec: runs a program for a task: args as JSON on its standard input, its output into the result.
 *
 * One poll(2) loop in the worker's thread: standard input, output and error, and an eventfd that tells of news: the
 * child's state (spawner.c) or a cancel. The program's end decides, not the end of its output: whoever still holds the
 * pipes then is of no interest, and is KILLed by the spawner as far as it belongs to the program.
 * A cancel sends TERM to the process group and, kill_after later, KILL. While the task is followed, what comes is told
 * after each turn; the program never waits for that.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "host/capture.h"
#include "host/exec_config.h"
#include "host/exec_report.h"
#include "host/handler.h"
#include "host/sandbox.h"
#include "host/spawner.h"
#include "host/stream.h"
#include "host/task.h"
#include "host/work.h"

enum { ON_IN, ON_OUT, ON_ERR, ON_NEWS, ON_ALL };

struct run {
	struct work *task;         /* borrows */
	struct spawner *spawner;   /* borrows */
	struct child child;        /* known to the spawner between start() and finish() */
	struct sandbox_pass *pass; /* owns */
	bool is_clean;             /* nothing is left of the program */
	int event_fd;              /* owns */
	int in_fd;                 /* owns: -1 when all is written, or nobody reads */
	size_t written;            /* of the args and their newline */
	struct capture out, err;
	struct stream streams[2]; /* of these two */
	uint64_t kill_at_us;      /* 0: not asked to end */
	bool killed;
};

/* A cancel, or a word about its output. Called by work.c and tell.c under the lock. */
static void exec_wake(struct work *task)
{
	const struct run *run = task->state;
	const uint64_t one = 1;

	(void)!write(run->event_fd, &one, sizeof(one)); /* a full counter wakes as well */
}

/* Args, then a newline, as far as there is room. Nobody has to read them: that is no error (EPIPE; SIGPIPE is ignored). */
static void write_args(struct run *run)
{
	struct view given = task_args(run->task);
	struct view args = given.len > 0 ? given : VIEW_LIT("{}"); /* a program can count on JSON */
	const struct iovec parts[] = {
		{(char *)args.data + run->written, args.len - run->written}, {(char *)"\n", 1}};
	ssize_t n = writev(run->in_fd, parts, ARRAY_SIZE(parts));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		run->written += (size_t)n;
	if (n <= 0 || run->written > args.len)
		run->in_fd = fd_close(run->in_fd);
}

/* TERM at once, KILL when its time has come. */
static void end_if_cancelled(struct run *run)
{
	if (run->killed || !task_is_cancelled(run->task))
		return;
	uint64_t now_us = clock_now_us();
	if (run->kill_at_us == 0) {
		run->kill_at_us = now_us + task_offer(run->task)->kill_after_us;
		if (run->kill_at_us > now_us)
			spawner_signal(run->spawner, &run->child, SIGTERM);
	}
	if (now_us >= run->kill_at_us) {
		run->killed = true;
		spawner_signal(run->spawner, &run->child, SIGKILL);
	}
}

/* The first of the times at which something is to be done; UINT64_MAX: none. */
static uint64_t next_due_us(const struct run *run)
{
	uint64_t due_us = run->kill_at_us > 0 && !run->killed ? run->kill_at_us : UINT64_MAX;

	for (size_t i = 0; task_is_followed(run->task) && i < ARRAY_SIZE(run->streams); i++) {
		uint64_t at_us = stream_due_us(&run->streams[i]);
		if (at_us > 0 && at_us < due_us)
			due_us = at_us;
	}
	return due_us;
}

static int timeout_ms(const struct run *run)
{
	uint64_t until_us = next_due_us(run), now_us = clock_now_us();

	if (until_us == UINT64_MAX)
		return -1;
	return now_us >= until_us ? 0 : (int)((until_us - now_us) / US_PER_MS) + 1;
}

static void hear(struct run *run)
{
	uint64_t news;

	(void)!read(run->event_fd, &news, sizeof(news));
}

/* Waits for something to do and does it. */
static int turn(struct run *run)
{
	struct pollfd fds[ON_ALL] = {
		[ON_IN] = {.fd = run->in_fd, .events = POLLOUT},
		[ON_OUT] = {.fd = run->out.fd, .events = POLLIN},
		[ON_ERR] = {.fd = run->err.fd, .events = POLLIN},
		[ON_NEWS] = {.fd = run->event_fd, .events = POLLIN},
	};

	if (poll(fds, ON_ALL, timeout_ms(run)) < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[ON_IN].revents != 0)
		write_args(run);
	if (fds[ON_OUT].revents != 0)
		(void)capture_read(&run->out);
	if (fds[ON_ERR].revents != 0)
		(void)capture_read(&run->err);
	if (fds[ON_NEWS].revents != 0)
		hear(run);
	end_if_cancelled(run);
	return 0;
}

static void tell_output(struct run *run)
{
	for (size_t i = 0; task_is_followed(run->task) && i < ARRAY_SIZE(run->streams); i++)
		stream_tell(&run->streams[i], run->task);
}

/* Of a program that has ended: no faster than the daemon reads, which needs to read this before it hears of the end. */
static void tell_rest(struct run *run)
{
	struct pollfd news = {.fd = run->event_fd, .events = POLLIN};

	for (;;) {
		tell_output(run);
		if (!run->streams[0].is_behind && !run->streams[1].is_behind)
			return;
		(void)poll(&news, 1, timeout_ms(run));
		hear(run);
	}
}

/* Until the child has ended or could not be started. */
static int watch(struct run *run)
{
	for (;;) {
		struct child now = spawner_look(run->spawner, &run->child);
		if (now.state == CHILD_FAILED || now.state == CHILD_ENDED)
			return 0;
		tell_output(run);
		int r = turn(run);
		if (r < 0)
			return r;
	}
}

/* Our end of a pipe does not block, the program's does. */
static int make_pipe(bool to_child, int *ret_ours, int *ret_theirs)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	*ret_ours = ends[to_child ? 1 : 0];
	*ret_theirs = ends[to_child ? 0 : 1];
	return fd_set_nonblock(*ret_ours);
}

static void close_all(int fds[SPAWN_FDS])
{
	for (int i = 0; i < SPAWN_STDIO; i++)
		fds[i] = fd_close(fds[i]);
}

/* The program's descriptors, and our ends of them. */
static int make_pipes(struct run *run, const struct exec_config *config, int ret_fds[SPAWN_FDS])
{
	int r = 0;

	if (config->gets_args)
		r = make_pipe(true, &run->in_fd, &ret_fds[0]);
	else if ((ret_fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0)
		r = -errno;
	if (r == 0)
		r = make_pipe(false, &run->out.fd, &ret_fds[1]);
	if (r == 0)
		r = make_pipe(false, &run->err.fd, &ret_fds[2]);
	return r;
}

static int start(struct run *run)
{
	const struct exec_config *config = task_offer(run->task)->config;
	int fds[SPAWN_FDS] = {-1, -1, -1, [SPAWN_RULES] = sandbox_fd(run->pass)};
	struct spawn_order order;
	struct words env;

	int r = exec_config_order(config, run->task, sandbox_directory(run->pass), &env, &order);
	if (r < 0)
		return r;
	r = make_pipes(run, config, fds);
	if (r == 0 && config->gets_args)
		write_args(run);
	if (r == 0)
		r = spawner_start(run->spawner, &run->child, &order, fds);
	close_all(fds);
	exec_config_free_words(&env);
	return r;
}

static void finish(struct run *run)
{
	run->in_fd = fd_close(run->in_fd);
	for (size_t i = 0; i < ARRAY_SIZE(run->streams); i++)
		stream_done(&run->streams[i]);
	capture_done(&run->out);
	capture_done(&run->err);
	run->event_fd = fd_close(run->event_fd);
}

static void run_program(struct run *run, struct result *result)
{
	int r = start(run);

	if (r < 0) {
		result_fail(result, "start", "the program cannot be started: %s", strerror(-r));
		return;
	}
	task_set_state(run->task, run);
	end_if_cancelled(run); /* a cancel that came before the state */
	r = watch(run);
	struct child child = spawner_look(run->spawner, &run->child);
	run->is_clean = child.state == CHILD_ENDED && child.left_none;
	spawner_forget(run->spawner, &run->child);
	capture_drain(&run->out);
	capture_drain(&run->err);
	run->killed = true; /* nobody is left to end */
	tell_rest(run);
	task_set_state(run->task, NULL);
	if (r < 0) {
		result_fail(result, "failed", "waiting for the program: %s", strerror(-r));
		return;
	}
	exec_report_set(&child, &run->out, &run->err, run->kill_at_us > 0, result);
}

static void exec_run(struct work *task, struct result *result)
{
	const struct offer *offer = task_offer(task);
	const struct exec_config *config = offer->config;
	const char *home = config->needs_scratch ? offer->registry->spawner->home : NULL;
	char why[SETTING_WHY_SIZE];
	struct run run = {
		.task = task,
		.spawner = offer->registry->spawner,
		.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.in_fd = -1,
	};

	capture_init(&run.out, -1, offer->max_output_bytes);
	capture_init(&run.err, -1, offer->max_output_bytes);
	stream_init(&run.streams[0], STREAM_OUT, &run.out);
	stream_init(&run.streams[1], STREAM_ERR, &run.err);
	run.child.event_fd = run.event_fd;
	int r = run.event_fd < 0 ? -errno : 0;
	if (r < 0)
		(void)snprintf(why, sizeof(why), "%s", strerror(-r));
	else
		r = sandbox_enter(config->policy, home, &run.pass, why);
	if (r == 0)
		run_program(&run, result);
	else
		result_fail(result, "start", "the program cannot be started: %s", why);
	finish(&run);
	sandbox_leave(config->policy, run.pass, run.is_clean);
}

const struct handler handler_exec = {
	.name = "exec",
	.text = "runs a program",
	.settings = exec_config_settings,
	.n_settings = EXEC_CONFIG_SETTINGS,
	.config_bytes = sizeof(struct exec_config),
	.defaults = &exec_config_defaults,
	.start = exec_config_start,
	.stop = exec_config_stop,
	.run = exec_run,
	.cancel = exec_wake,
	.follow = exec_wake,
};
