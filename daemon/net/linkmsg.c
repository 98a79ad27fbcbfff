/*
 * linkmsg: see linkmsg.h.
 */
#include "net/linkmsg.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "net/daemon.h"
#include "net/hostlink.h"
#include "net/hosts.h"
#include "net/private.h"

/* Out of memory here means that the host is not told something it must know: it is ended, and its successor is told all. */
static void linkmsg_send(struct hostlink *link, const struct hostmsg *msg)
{
	hostlink_touch(link);
	if (hostmsg_pack(&link->out, msg) == 0)
		return;
	log_error("no_memory", "pool \"%s\": no memory for a message to its host: it is replaced",
		link->pool->settings->name);
	(void)shutdown(link->fd, SHUT_RDWR); /* the next read finds the end */
}

static void send_private(const char *path, void *arg)
{
	linkmsg_send(arg, &(struct hostmsg){.type = HOSTMSG_PRIVATE, .private = {view_of(path)}});
}

static bool is_for(const struct hostlink *link, const struct settings_handler *handler)
{
	return !settings_is_bound(handler) ||
	       strcmp(handler->pool, link->pool->settings->name) == 0;
}

int linkmsg_setup(struct hostlink *link)
{
	const struct settings *settings = link->daemon->settings;
	struct buf lines;
	uint32_t n = 0;
	int r = 0;

	link->told_workers = link->part == HOSTLINK_SHARED ? link->pool->slots.workers : 1;
	linkmsg_send(link, &(struct hostmsg){.type = HOSTMSG_SETUP,
				   .setup = {HOSTMSG_VERSION, link->told_workers,
					   view_of(link->pool->settings->name),
					   settings->daemon.max_output_bytes}});
	private_each(link->daemon, send_private, link);
	buf_init(&lines, HOSTMSG_LIMIT / 2);
	for (size_t i = 0; r == 0 && i < settings->n_handlers; i++) {
		const struct settings_handler *row = &settings->handlers[i];

		if (!is_for(link, row))
			continue;
		n++;
		buf_consume(&lines, buf_len(&lines));
		r = config_write_host_lines(settings, row, &lines);
		if (r == 0)
			linkmsg_send(link, &(struct hostmsg){.type = HOSTMSG_HANDLER,
						   .handler = {view_of(row->name),
							   view_of(row->type), buf_view(&lines)}});
	}
	if (lines.data != NULL)
		explicit_bzero(lines.data, lines.cap); /* the lines may hold a password */
	buf_done(&lines);
	linkmsg_send(link, &(struct hostmsg){.type = HOSTMSG_GO, .go = {n}});
	return r;
}

static int take_ready(struct hostlink *link, const struct hostmsg *msg)
{
	struct daemon *daemon = link->daemon;
	int r;

	if (link->state != HOSTLINK_STARTING)
		return -EPROTO;
	r = daemon->hooks.on_hello(link, msg);
	if (r < 0)
		return r;
	deadline_clear(&daemon->board->deadlines, &link->timer);
	link->state = HOSTLINK_UP;
	link->starting = 0;
	link->up_us = daemon->now_us;
	link->was_up = true;
	link->has_worked = false;
	if (link->part == HOSTLINK_ALONE && !link->quits)
		slots_alone_up(&link->pool->slots, link);
	hosts_on_ready(link); /* hosts_check() gives it its workers */
	board_notice(daemon->board, &(struct notice){.kind = NOTICE_HOST_STARTED,
					    .pool = link->pool,
					    .number = (uint64_t)link->last_pid});
	log_info("host_up", "pool \"%s\": %s (pid %d) is up with %u worker%s",
		link->pool->settings->name, link->name, (int)link->last_pid, link->told_workers,
		link->told_workers == 1 ? "" : "s");
	return 0;
}

/* The task, if this attempt is in the host's hands; NULL: a host has a word in what it was given, and in nothing else. */
static struct task *find_given(const struct hostlink *link, uint64_t id, uint32_t attempt)
{
	struct task *task = board_find_task(link->daemon->board, id);

	if (link->state != HOSTLINK_UP || task == NULL || task->slot == NULL ||
		task->slot->host != link || task->attempt != attempt || task->unsent)
		return NULL;
	return task;
}

static int take_done(struct hostlink *link, const struct hostmsg *msg)
{
	struct daemon *daemon = link->daemon;
	struct task *task = find_given(link, msg->done.task, msg->done.attempt);
	struct result result = {.outcome = msg->done.outcome,
		.reason = msg->done.reason,
		.result = msg->done.result};
	int r;

	if (task == NULL || task->slot->id != msg->done.worker)
		return -EPROTO;
	if (!str_is_utf8(result.reason) || !str_is_utf8(result.result))
		return -EBADMSG;
	link->has_worked = true;
	r = board_finish(daemon->board, msg->done.task, msg->done.attempt, &result, daemon->now_us);
	if (r == -ENOMEM)
		log_error("no_memory", "no memory for the result of task %llu: it failed",
			(unsigned long long)msg->done.task);
	return r == -ENOMEM ? 0 : r;
}

static int take_log(struct hostlink *link, const struct hostmsg *msg)
{
	struct task *task = find_given(link, msg->log.task, msg->log.attempt);

	if (task == NULL || msg->log.stream < STREAM_OUT || msg->log.stream >= STREAMS_END)
		return -EPROTO;
	if (!str_is_utf8(msg->log.text))
		return -EBADMSG;
	link->daemon->hooks.on_log(
		link->daemon, task, msg->log.stream, msg->log.total, msg->log.text);
	return 0;
}

static int take_progress(struct hostlink *link, const struct hostmsg *msg)
{
	struct task *task = find_given(link, msg->progress.task, msg->progress.attempt);

	if (task == NULL || msg->progress.permille > HOSTMSG_PERMILLE_MAX ||
		msg->progress.note.len > HOSTMSG_NOTE_MAX)
		return -EPROTO;
	if (!str_is_utf8(msg->progress.note))
		return -EBADMSG;
	/* Without memory for it nobody hears of this step; there will be another. */
	IGNORE(board_progress(link->daemon->board, task->id, task->attempt, msg->progress.permille,
		msg->progress.note));
	return 0;
}

static int take_news(struct hostlink *link, const struct hostmsg *msg)
{
	if (link->state != HOSTLINK_STARTING)
		return -EPROTO;
	if (msg->type == HOSTMSG_HELLO && msg->hello.version != HOSTMSG_VERSION) {
		hostlink_blame(link,
			"workpool-host speaks version %u, this daemon %u: they are of two builds",
			msg->hello.version, HOSTMSG_VERSION);
		return -EPROTONOSUPPORT;
	}
	return link->daemon->hooks.on_hello(link, msg);
}

/* So that it can be told later in what a host died, or hung, that never got ready. */
static int take_starting(struct hostlink *link, const struct hostmsg *msg)
{
	const struct settings *settings = link->daemon->settings;

	if (link->state != HOSTLINK_STARTING)
		return -EPROTO;
	for (size_t i = 0; i < settings->n_handlers; i++) {
		if (!view_is_equal(msg->starting.handler, view_of(settings->handlers[i].name)))
			continue;
		link->starting = i + 1;
		return 0;
	}
	return -EPROTO;
}

/* What a host may say; all else is the daemon's part. */
static int (*const takers[HOSTMSG_TYPES])(struct hostlink *, const struct hostmsg *) = {
	[HOSTMSG_HELLO] = take_news,
	[HOSTMSG_STARTING] = take_starting,
	[HOSTMSG_OFFER] = take_news,
	[HOSTMSG_PARAM] = take_news,
	[HOSTMSG_SANDBOX] = take_news,
	[HOSTMSG_REFUSED] = take_news,
	[HOSTMSG_READY] = take_ready,
	[HOSTMSG_DONE] = take_done,
	[HOSTMSG_LOG] = take_log,
	[HOSTMSG_PROGRESS] = take_progress,
};

int linkmsg_take(struct hostlink *link, const struct hostmsg *msg)
{
	return takers[msg->type] != NULL ? takers[msg->type](link, msg) : -EPROTO;
}

static void send_cancel(struct hostlink *link, const struct task *task)
{
	linkmsg_send(link,
		&(struct hostmsg){.type = HOSTMSG_CANCEL, .cancel = {task->id, task->attempt}});
}

void linkmsg_send_follow(const struct task *task)
{
	linkmsg_send(task->slot->host,
		&(struct hostmsg){.type = HOSTMSG_FOLLOW, .follow = {task->id, task->attempt}});
}

static void send_run(struct hostlink *link, const struct task *task)
{
	uint64_t deadline_us = task->timeout_us > 0 ? task->started_us + task->timeout_us : 0;

	linkmsg_send(
		link, &(struct hostmsg){.type = HOSTMSG_RUN,
			      .run = {task->id, task->attempt, task->slot->id, deadline_us,
				      view_of(task->handler->settings->name), task_args(task)}});
	if (task->followed)
		linkmsg_send_follow(task);
	if (task->asked)
		send_cancel(link, task);
}

void linkmsg_send_size(struct hostlink *link)
{
	uint32_t workers = link->pool->slots.workers;

	if (link->fd < 0 || link->quits || link->told_workers == workers)
		return;
	link->told_workers = workers;
	linkmsg_send(link, &(struct hostmsg){.type = HOSTMSG_RESIZE, .resize = {workers}});
}

void linkmsg_send_tasks(struct daemon *daemon)
{
	struct board *board = daemon->board;
	struct task *task;

	while ((task = board_take_start(board)) != NULL)
		send_run(task->slot->host, task);
	while ((task = board_take_ask(board)) != NULL)
		send_cancel(task->slot->host, task);
}

void linkmsg_send_quit(struct hostlink *link)
{
	linkmsg_send(link, &(struct hostmsg){.type = HOSTMSG_QUIT});
}
