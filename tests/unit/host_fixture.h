/*
 * host_fixture: a daemon for tests of workpool-host: forks a process that runs host_run() and talks to it.
 * Every wait ends after FAKE_WAIT_MS, so a host that is stuck fails its test instead of hanging it.
 */
#ifndef WORKPOOL_TESTS_HOST_FIXTURE_H
#define WORKPOOL_TESTS_HOST_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "host/host.h"
#include "wire/json.h"

#define FAKE_WAIT_MS 20000

struct fake {
	int fd;
	pid_t pid;
	struct buf in, out;
};

static inline void fake_put(struct fake *fake, const struct hostmsg *msg)
{
	ck_assert_int_eq(hostmsg_pack(&fake->out, msg), 0);
}

static inline void fake_flush(struct fake *fake)
{
	struct view all = buf_view(&fake->out);

	ck_assert_int_eq(fd_write_all(fake->fd, all.data, all.len), 0);
	buf_consume(&fake->out, all.len);
}

/* false: the host closed its end. */
static inline bool fake_read(struct fake *fake)
{
	struct pollfd p = {.fd = fake->fd, .events = POLLIN};
	char *to;
	size_t room;

	ck_assert_int_eq(buf_reserve(&fake->in, 65536, &to, &room), 0);
	ck_assert_msg(poll(&p, 1, FAKE_WAIT_MS) == 1, "the host says nothing");
	ssize_t n = recv(fake->fd, to, room, 0);
	if (n > 0)
		buf_commit(&fake->in, (size_t)n);
	return n > 0;
}

static inline bool fake_next(struct fake *fake, struct hostmsg *ret_msg)
{
	int r;

	while ((r = hostmsg_unpack(&fake->in, ret_msg)) == -EAGAIN) {
		if (!fake_read(fake))
			return false;
	}
	ck_assert_int_eq(r, 0);
	return true;
}

static inline void fake_fork(struct fake *fake)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	*fake = (struct fake){.fd = ends[0]};
	buf_init(&fake->in, 64u << 20);
	buf_init(&fake->out, 64u << 20);
	fake->pid = fork();
	ck_assert_int_ge(fake->pid, 0);
	if (fake->pid == 0) {
		(void)close(ends[0]);
		log_open(LOG_STDERR, "workpool-host");
		host_run(ends[1]);
	}
	(void)close(ends[1]);
}

static inline void fake_setup(struct fake *fake, uint32_t workers)
{
	struct hostmsg setup = {.type = HOSTMSG_SETUP};

	setup.setup.version = HOSTMSG_VERSION;
	setup.setup.workers = workers;
	setup.setup.pool = VIEW_LIT("default");
	setup.setup.max_output = 1 << 20;
	fake_put(fake, &setup);
}

static inline void fake_handler(
	struct fake *fake, const char *name, const char *type, const char *settings)
{
	struct hostmsg msg = {.type = HOSTMSG_HANDLER,
		.handler = {view_of(name), view_of(type), view_of(settings)}};

	fake_put(fake, &msg);
}

/* Says GO and takes what comes up to READY. */
static inline void fake_go(struct fake *fake, uint32_t handlers)
{
	struct hostmsg msg = {.type = HOSTMSG_GO, .go = {handlers}};

	fake_put(fake, &msg);
	fake_flush(fake);
	do
		ck_assert(fake_next(fake, &msg));
	while (msg.type != HOSTMSG_READY);
}

/* A host without configured handlers, ready. */
static inline void fake_start(struct fake *fake, uint32_t workers)
{
	fake_fork(fake);
	fake_setup(fake, workers);
	fake_go(fake, 0);
}

/* A host with one handler of type exec, which is in no sandbox, unless the settings say it again. */
static inline void fake_start_exec(struct fake *fake, uint32_t workers, const char *settings)
{
	char lines[1024];

	(void)snprintf(lines, sizeof(lines), "sandbox=no\n%s", settings);
	ck_assert_uint_lt(strlen(lines), sizeof(lines) - 1);
	fake_fork(fake);
	fake_setup(fake, workers);
	fake_handler(fake, "x", "exec", lines);
	fake_go(fake, 1);
}

static inline void fake_run(
	struct fake *fake, uint64_t task, uint32_t worker, const char *handler, const char *args)
{
	struct hostmsg msg = {.type = HOSTMSG_RUN};

	msg.run.task = task;
	msg.run.attempt = 1;
	msg.run.worker = worker;
	msg.run.handler = view_of(handler);
	msg.run.args = view_of(args);
	fake_put(fake, &msg);
}

static inline void fake_say(struct fake *fake, enum hostmsg_type type, uint64_t number)
{
	struct hostmsg msg = {.type = type};

	if (type == HOSTMSG_CANCEL)
		msg.cancel.task = number, msg.cancel.attempt = 1;
	else if (type == HOSTMSG_FOLLOW)
		msg.follow.task = number, msg.follow.attempt = 1;
	else if (type == HOSTMSG_RESIZE)
		msg.resize.workers = (uint32_t)number;
	fake_put(fake, &msg);
	fake_flush(fake);
}

/* The next message, which must be a DONE. Its views live until the next call. */
static inline struct hostmsg fake_done(struct fake *fake)
{
	struct hostmsg msg;

	fake_flush(fake);
	ck_assert(fake_next(fake, &msg));
	ck_assert_str_eq(hostmsg_name(msg.type), "DONE");
	return msg;
}

static inline json_t *fake_result(const struct hostmsg *done)
{
	char why[JSON_WHY_SIZE] = "";
	json_t *json = NULL;

	ck_assert_msg(json_parse(done->done.result, &json, why) == 0, "%s: %.*s", why,
		(int)done->done.result.len, done->done.result.data);
	return json;
}

/* Runs one task and returns its result, parsed; the caller frees it. */
static inline json_t *fake_one(struct fake *fake, const char *handler, const char *args,
	enum hostmsg_outcome outcome, const char *reason)
{
	fake_run(fake, 1, 0, handler, args);
	struct hostmsg done = fake_done(fake);

	ck_assert_msg(
		done.done.outcome == outcome && view_is_equal(done.done.reason, view_of(reason)),
		"outcome %d, reason %.*s: %.*s", done.done.outcome, (int)done.done.reason.len,
		done.done.reason.data, (int)done.done.result.len, done.done.result.data);
	return done.done.result.len > 0 ? fake_result(&done) : NULL;
}

/* How the host ended: its exit status, or -signal. */
static inline int fake_wait(struct fake *fake)
{
	int status = 0;

	ck_assert_int_eq(waitpid(fake->pid, &status, 0), fake->pid);
	buf_done(&fake->in);
	buf_done(&fake->out);
	fake->fd = fd_close(fake->fd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The daemon goes away. */
static inline void fake_end(struct fake *fake)
{
	fake->fd = fd_close(fake->fd);
	ck_assert_int_eq(fake_wait(fake), 0);
}

#endif
