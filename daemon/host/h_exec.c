/*
 * h_exec: runs a program for a task: args as JSON on its standard input, its output into the result.
 *
 * One poll(2) loop in the worker's thread: standard input, output and error, and an eventfd that tells of news: the
 * child's state (spawner.c) or a cancel. The program's end decides, not the end of its output: whoever still holds the
 * pipes then is of no interest, and is KILLed by the spawner as far as it belongs to the program.
 * A cancel sends TERM to the process group and, kill_after later, KILL.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "host/capture.h"
#include "host/exec_config.h"
#include "host/exec_report.h"
#include "host/handler.h"
#include "host/scratch.h"
#include "host/spawner.h"
#include "host/task.h"
#include "host/work.h"

enum { ON_IN, ON_OUT, ON_ERR, ON_NEWS, ON_ALL };

struct run {
	struct work *task;       /* borrows */
	struct spawner *spawner; /* borrows */
	struct child child;      /* known to the spawner between start() and finish() */
	int event_fd;            /* owns */
	int in_fd;               /* owns: -1 when all is written, or nobody reads */
	size_t written;          /* of the args and their newline */
	struct capture out, err;
	uint64_t kill_at_us; /* 0: not asked to end */
	bool killed;
};

/* Called by work.c under its lock. */
static void exec_cancel(struct work *task)
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
	struct view part = run->written < args.len ? (struct view){args.data + run->written,
							     args.len - run->written}
						   : VIEW_LIT("\n");
	ssize_t n = write(run->in_fd, part.data, part.len);

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

static int timeout_ms(const struct run *run)
{
	if (run->kill_at_us == 0 || run->killed)
		return -1;
	uint64_t now_us = clock_now_us();
	return now_us >= run->kill_at_us ? 0 : (int)((run->kill_at_us - now_us) / US_PER_MS) + 1;
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
	uint64_t news;

	if (poll(fds, ON_ALL, timeout_ms(run)) < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[ON_IN].revents != 0)
		write_args(run);
	if (fds[ON_OUT].revents != 0)
		(void)capture_read(&run->out);
	if (fds[ON_ERR].revents != 0)
		(void)capture_read(&run->err);
	if (fds[ON_NEWS].revents != 0)
		(void)!read(run->event_fd, &news, sizeof(news));
	end_if_cancelled(run);
	return 0;
}

/* Until the child has ended or could not be started. */
static int watch(struct run *run)
{
	for (;;) {
		struct child now = spawner_look(run->spawner, &run->child);
		if (now.state == CHILD_FAILED || now.state == CHILD_ENDED)
			return 0;
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
	for (int i = 0; i < SPAWN_FDS; i++)
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

static int start(struct run *run, const char *directory)
{
	const struct exec_config *config = task_offer(run->task)->config;
	int fds[SPAWN_FDS] = {-1, -1, -1};
	struct spawn_order order;
	struct words env;

	int r = exec_config_order(config, run->task, directory, &env, &order);
	if (r < 0)
		return r;
	r = make_pipes(run, config, fds);
	if (r == 0)
		r = spawner_start(run->spawner, &run->child, &order, fds);
	close_all(fds);
	exec_config_free_words(&env);
	return r;
}

static void finish(struct run *run)
{
	run->in_fd = fd_close(run->in_fd);
	capture_done(&run->out);
	capture_done(&run->err);
	run->event_fd = fd_close(run->event_fd);
}

static void run_program(struct run *run, const char *directory, struct result *result)
{
	int r = start(run, directory);

	if (r < 0) {
		result_fail(result, "start", "the program cannot be started: %s", strerror(-r));
		return;
	}
	task_set_state(run->task, run);
	end_if_cancelled(run); /* a cancel that came before the state */
	r = watch(run);
	task_set_state(run->task, NULL);
	struct child child = spawner_look(run->spawner, &run->child);
	spawner_forget(run->spawner, &run->child);
	if (r < 0) {
		result_fail(result, "failed", "waiting for the program: %s", strerror(-r));
		return;
	}
	capture_drain(&run->out);
	capture_drain(&run->err);
	exec_report_set(&child, &run->out, &run->err, run->kill_at_us > 0, result);
}

static void exec_run(struct work *task, struct result *result)
{
	const struct offer *offer = task_offer(task);
	const struct exec_config *config = offer->config;
	auto_free char *scratch = NULL;
	struct run run = {
		.task = task,
		.spawner = offer->registry->spawner,
		.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.in_fd = -1,
	};

	capture_init(&run.out, -1, offer->max_output_bytes);
	capture_init(&run.err, -1, offer->max_output_bytes);
	run.child.event_fd = run.event_fd;
	int r = run.event_fd < 0 ? -errno : 0;
	if (r == 0 && config->needs_scratch)
		r = scratch_make(run.spawner->home, &scratch);
	if (r == 0)
		run_program(&run, scratch, result);
	else
		result_fail(result, "start", "the program cannot be started: %s", strerror(-r));
	finish(&run);
	scratch_remove(scratch);
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
	.cancel = exec_cancel,
};
