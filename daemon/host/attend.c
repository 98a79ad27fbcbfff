/*
 * attend: see attend.h. Called by h_exec.c and h_coprocess.c, by the thread that runs the task.
 *
 * One poll(2) a turn: standard input, output and error, and the eventfd that tells of news: the child's state
 * (spawner.c), a cancel, or that output may be told. The program never waits for who follows its output, and nothing here
 * waits for the program without a way to be woken.
 */
#include "host/attend.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/fd.h"
#include "host/handler.h"
#include "host/work.h"

enum { ON_IN, ON_OUT, ON_ERR, ON_NEWS, ON_ALL };

void attend_wake(struct work *task)
{
	const struct attend *attend = task->state;

	program_wake(attend->program);
}

void attend_init(struct attend *attend, struct work *task, struct program *program)
{
	*attend = (struct attend){.task = task, .program = program, .due_us = UINT64_MAX};
	stream_init(&attend->streams[0], STREAM_OUT, &program->out);
	stream_init(&attend->streams[1], STREAM_ERR, &program->err);
}

bool attend_is_fed(const struct attend *attend)
{
	for (size_t i = 0; i < ATTEND_PARTS; i++) {
		if (attend->feed[i].len > 0)
			return false;
	}
	return true;
}

/* As far as there is room. Nobody has to read it: that is no error (EPIPE; SIGPIPE is ignored). */
void attend_feed(struct attend *attend)
{
	struct program *program = attend->program;
	struct iovec parts[ATTEND_PARTS];

	for (size_t i = 0; i < ATTEND_PARTS; i++)
		parts[i] = (struct iovec){(void *)attend->feed[i].data, attend->feed[i].len};
	ssize_t n = writev(program->in_fd, parts, ATTEND_PARTS);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	for (size_t i = 0, left = n > 0 ? (size_t)n : 0; i < ATTEND_PARTS; i++) {
		struct view *part = &attend->feed[i];
		size_t taken = left < part->len ? left : part->len;

		if (taken > 0)
			*part = (struct view){part->data + taken, part->len - taken};
		left -= taken;
	}
	attend->fed_bytes += n > 0 ? (uint64_t)n : 0;
	if (n <= 0 || (attend->closes_in && attend_is_fed(attend)))
		program->in_fd = fd_close(program->in_fd);
}

/* TERM at once, KILL when its time has come. */
static void end_if_cancelled(struct attend *attend)
{
	if (attend->is_killed || attend->is_over || !task_is_cancelled(attend->task))
		return;
	uint64_t now_us = clock_now_us();
	if (attend->kill_at_us == 0) {
		attend->kill_at_us = now_us + task_offer(attend->task)->kill_after_us;
		if (attend->kill_at_us > now_us)
			program_signal(attend->program, SIGTERM);
	}
	if (now_us >= attend->kill_at_us) {
		attend->is_killed = true;
		program_signal(attend->program, SIGKILL);
	}
}

/* The first of the times at which something is to be done; UINT64_MAX: none. */
static uint64_t next_due_us(const struct attend *attend)
{
	uint64_t due_us = attend->due_us;

	if (attend->kill_at_us > 0 && !attend->is_killed && !attend->is_over &&
		attend->kill_at_us < due_us)
		due_us = attend->kill_at_us;
	for (size_t i = 0; task_is_followed(attend->task) && i < ARRAY_SIZE(attend->streams); i++) {
		uint64_t at_us = stream_due_us(&attend->streams[i]);
		if (at_us > 0 && at_us < due_us)
			due_us = at_us;
	}
	return due_us;
}

static int timeout_ms(const struct attend *attend)
{
	uint64_t until_us = next_due_us(attend);

	if (until_us == UINT64_MAX)
		return -1;
	uint64_t now_us = clock_now_us();
	return now_us >= until_us ? 0 : (int)((until_us - now_us) / US_PER_MS) + 1;
}

static void tell_output(struct attend *attend)
{
	for (size_t i = 0; task_is_followed(attend->task) && i < ARRAY_SIZE(attend->streams); i++)
		stream_tell(&attend->streams[i], attend->task);
}

void attend_begin(struct attend *attend)
{
	task_set_state(attend->task, attend);
	end_if_cancelled(attend); /* a cancel that came before the state */
}

int attend_turn(struct attend *attend)
{
	struct program *program = attend->program;

	tell_output(attend);
	struct pollfd fds[ON_ALL] = {
		[ON_IN] = {.fd = attend_is_fed(attend) ? -1 : program->in_fd, .events = POLLOUT},
		[ON_OUT] = {.fd = program->out.fd, .events = POLLIN},
		[ON_ERR] = {.fd = program->err.fd, .events = POLLIN},
		[ON_NEWS] = {.fd = program->event_fd, .events = POLLIN},
	};
	if (poll(fds, ON_ALL, timeout_ms(attend)) < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[ON_IN].revents != 0)
		attend_feed(attend);
	if (fds[ON_OUT].revents != 0 && attend->on_out)
		attend->on_out(attend);
	else if (fds[ON_OUT].revents != 0)
		(void)capture_read(&program->out);
	if (fds[ON_ERR].revents != 0)
		(void)capture_read(&program->err);
	if (fds[ON_NEWS].revents != 0)
		program_hear(program);
	end_if_cancelled(attend);
	return 0;
}

void attend_end(struct attend *attend)
{
	struct pollfd news = {.fd = attend->program->event_fd, .events = POLLIN};

	attend->is_over = true;
	attend->due_us = UINT64_MAX;
	for (;;) {
		tell_output(attend);
		if (!attend->streams[0].is_behind && !attend->streams[1].is_behind)
			break;
		(void)poll(&news, 1, timeout_ms(attend));
		program_hear(attend->program);
	}
	task_set_state(attend->task, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(attend->streams); i++)
		stream_done(&attend->streams[i]);
}
