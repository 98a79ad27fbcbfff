/*
 * link: libworkpool (lib/workpool.h) for the verbs: trees instead of text, exit codes that were told, and one poll(2) of
 * wait.c for everything, so that signals end each wait as its verb wants it. Called by every verb; the conversation itself is
 * the library's.
 */
#include "client/link.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/fault.h"
#include "client/json.h"
#include "client/wait.h"

#define ANSWER_US      (30 * US_PER_SEC)
#define ABSENCE_US     (1 * US_PER_SEC) /* a daemon that restarts right now */
#define RETRY_FIRST_US (5 * US_PER_MS)
#define RETRY_MAX_US   (200 * US_PER_MS)

int link_init(struct link *link, const char *path, uint64_t timeout_us)
{
	bool is_given = timeout_us != LINK_NO_TIMEOUT;

	*link = (struct link){
		.wp = workpool_new(path),
		.answer_us = is_given ? timeout_us : ANSWER_US,
		.absence_us = is_given ? timeout_us : ABSENCE_US,
		.whole_until_us = is_given ? wait_deadline(timeout_us) : WAIT_FOREVER,
	};
	return link->wp ? 0 : fault_no_memory();
}

void link_done(struct link *link)
{
	if (!link->wp)
		return;
	link_close(link);
	workpool_free(link->wp);
	link->wp = NULL;
}

void link_close(struct link *link)
{
	workpool_close(link->wp);
	for (size_t i = 0; i < link->n_early; i++)
		workpool_reply_free(link->early[i]);
	free(link->early);
	link->early = NULL;
	link->n_early = 0;
	link->is_over = false;
}

const char *link_path(const struct link *link)
{
	return workpool_socket(link->wp);
}

static int say_unreachable(const struct link *link, int code, int error)
{
	static const struct {
		int error;
		const char *hint;
	} hints[] = {
		{ENOENT, "; is workpoold running?"},
		{ECONNREFUSED, "; is workpoold running?"},
		{EAGAIN, "; too many wait for the daemon already"},
		{EACCES, "; your role may not open the socket"},
		{EPERM, "; your role may not open the socket"},
	};
	const char *hint = "";
	int exit_code = code == WORKPOOL_FORBIDDEN      ? CODE_DENIED
			: code == WORKPOOL_BAD_ARGUMENT ? CODE_USAGE
							: CODE_UNREACHABLE;

	for (size_t i = 0; i < ARRAY_SIZE(hints); i++) {
		if (hints[i].error == error)
			hint = hints[i].hint;
	}
	return fault_say(exit_code, "%s%s", workpool_error_text(link->wp), hint);
}

/* A full backlog is worth the whole time for an answer, a socket without a daemon only absence_us. */
static uint64_t patience_us(const struct link *link, int error)
{
	if (error == EAGAIN)
		return link->answer_us;
	return error == ENOENT || error == ECONNREFUSED ? link->absence_us : 0;
}

/* Tried again by ourselves and not by the library, since a signal may end it. */
int link_open(struct link *link)
{
	uint64_t start_us = clock_now_us();
	uint64_t pause_us = RETRY_FIRST_US;

	if (workpool_fd(link->wp) >= 0)
		return 0;
	for (;;) {
		int code = workpool_open(link->wp, 0);
		int error = workpool_system_error(link->wp);
		if (code == WORKPOOL_OK)
			return 0;
		if (clock_now_us() - start_us >= patience_us(link, error))
			return say_unreachable(link, code, error);
		if (wait_until(wait_deadline(pause_us)) < 0)
			return wait_signal_code();
		pause_us = pause_us * 2 < RETRY_MAX_US ? pause_us * 2 : RETRY_MAX_US;
	}
}

/* What the library says, as -errno. */
static int errno_of(int code)
{
	static const struct {
		int code;
		int r;
	} rows[] = {
		{WORKPOOL_OK, 0},
		{WORKPOOL_NO_MEMORY, -ENOMEM},
		{WORKPOOL_TIMED_OUT, -EAGAIN},
		{WORKPOOL_CLOSED, -ENOTCONN},
		{WORKPOOL_IDLE, -ENOTCONN}, /* what was put after the daemon had closed */
		{WORKPOOL_BAD_REPLY, -EBADMSG},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].code == code)
			return rows[i].r;
	}
	return -EPROTO;
}

/* One reply out of the library's hands, for a daemon that reads no call before we have read it. -errno as link_take(). */
static int take_early(struct link *link)
{
	struct workpool_reply *reply;

	struct workpool_reply **early =
		reallocarray(link->early, link->n_early + 1, sizeof(struct workpool_reply *));
	if (!early)
		return -ENOMEM;
	link->early = early;
	int r = errno_of(workpool_receive(link->wp, 0, &reply));
	if (r == 0)
		link->early[link->n_early++] = reply;
	return r;
}

/* Until something has moved. */
static int make_room(struct link *link)
{
	uint64_t until_us = link_answer_until(link);
	int r = workpool_pending(link->wp) > 0 ? take_early(link) : -EAGAIN;

	if (until_us > link->whole_until_us)
		until_us = link->whole_until_us;
	if (r == -EAGAIN && clock_now_us() >= until_us)
		r = -ETIMEDOUT;
	if (r == -EAGAIN)
		r = link_turn(&link, 1, -1, until_us, NULL);
	return r < 0 ? link_fail(link, r) : 0;
}

int link_put_text(
	struct link *link, const char *method, const char *params, unsigned flags, void *data)
{
	int code = link_open(link);

	while (code == 0) {
		int said = workpool_send(link->wp, method, params, flags, data);
		if (said == WORKPOOL_OK)
			return 0;
		if (said == WORKPOOL_BAD_ARGUMENT)
			return fault_say(CODE_USAGE, "%s", workpool_error_text(link->wp));
		/* The reason comes with the replies: as long as there are some it is no failure yet. */
		if (said == WORKPOOL_CLOSED && workpool_pending(link->wp) + link->n_early > 0)
			return 0;
		code = said == WORKPOOL_FULL ? make_room(link) : link_fail(link, errno_of(said));
	}
	return code;
}

int link_put(struct link *link, const char *method, json_t *params, unsigned flags)
{
	auto_json json_t *owned = params;
	auto_free char *text = owned ? json_dumps(owned, JSON_COMPACT) : NULL;

	return text ? link_put_text(link, method, text, flags, NULL) : fault_no_memory();
}

int link_turn(
	struct link *const links[], size_t n, int input_fd, uint64_t until_us, bool *ret_input)
{
	struct pollfd fds[LINK_TURN_MAX + 1];

	for (size_t i = 0; i < n; i++) {
		/* What is not written by this, poll(2) waits for. */
		(void)workpool_flush(links[i]->wp, 0);
		fds[i] = (struct pollfd){
			.fd = links[i]->is_over ? -1 : workpool_fd(links[i]->wp),
			.events = (short)workpool_events(links[i]->wp),
		};
	}
	fds[n] = (struct pollfd){.fd = input_fd, .events = POLLIN};
	int r = wait_poll(fds, n + 1, until_us);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		int code = fds[i].revents ? workpool_process(links[i]->wp) : WORKPOOL_OK;
		if (code == WORKPOOL_NO_MEMORY)
			return -ENOMEM;
		links[i]->is_over |= code != WORKPOOL_OK;
	}
	if (ret_input)
		*ret_input = fds[n].revents != 0;
	return 0;
}

/* Without limits: those are for what clients send. `raw` is taken over. */
static int parse_reply(struct workpool_reply *raw, struct link_reply *ret_reply)
{
	const char *text = workpool_reply_params(raw);
	json_error_t why;
	json_t *params = json_loads(text, JSON_REJECT_DUPLICATES, &why);

	if (!params) {
		workpool_reply_free(raw);
		return json_error_code(&why) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
	}
	*ret_reply = (struct link_reply){
		.raw = raw,
		.params = params,
		.error = workpool_reply_error(raw),
		.continues = workpool_reply_continues(raw),
	};
	return 0;
}

int link_take(struct link *link, struct link_reply *ret_reply)
{
	struct workpool_reply *raw = NULL;
	int r = 0;

	if (link->n_early > 0) {
		raw = link->early[0];
		memmove(link->early, link->early + 1, --link->n_early * sizeof(*link->early));
	} else {
		r = errno_of(workpool_receive(link->wp, 0, &raw));
	}
	return r < 0 ? r : parse_reply(raw, ret_reply);
}

void link_reply_done(struct link_reply *reply)
{
	workpool_reply_free(reply->raw);
	json_decref(reply->params);
	*reply = (struct link_reply){0};
}

int link_fail(const struct link *link, int r)
{
	static const struct {
		int error;
		int code;
		const char *text;
	} rows[] = {
		{-ENOMEM, CODE_INTERNAL, "out of memory"},
		{-ENOTCONN, CODE_UNREACHABLE, "the daemon closed the connection"},
		{-EBADMSG, CODE_INTERNAL, "the daemon's reply is not understood"},
		{-ETIMEDOUT, CODE_DEADLINE, "no answer from the daemon in time"},
	};

	if (r == -EINTR)
		return wait_signal_code();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].error == r)
			return fault_say(rows[i].code, "%s: %s", link_path(link), rows[i].text);
	}
	return fault_say(CODE_INTERNAL, "%s: %s", link_path(link), strerror(-r));
}

int link_receive(struct link *link, uint64_t until_us, struct link_reply *ret_reply)
{
	uint64_t at_us = until_us < link->whole_until_us ? until_us : link->whole_until_us;

	for (;;) {
		int r = link_take(link, ret_reply);
		if (r == -EAGAIN && clock_now_us() >= at_us)
			r = -ETIMEDOUT;
		if (r == -EAGAIN)
			r = link_turn(&link, 1, -1, at_us, NULL);
		else if (r == 0)
			return 0;
		if (r < 0)
			return link_fail(link, r);
	}
}

int link_expect(struct link *link, uint64_t until_us, struct link_reply *ret_reply)
{
	auto_reply struct link_reply reply = {0};

	int code = link_receive(link, until_us, &reply);
	if (code)
		return code;
	if (reply.error)
		return fault_report(reply.error, reply.params);
	*ret_reply = reply;
	reply = (struct link_reply){0};
	return 0;
}

int link_call(struct link *link, const char *method, json_t *params, struct link_reply *ret_reply)
{
	int code = link_put(link, method, params, 0);

	return code ? code : link_expect(link, link_answer_until(link), ret_reply);
}

int link_finish(struct link *link)
{
	uint64_t us = link->answer_us;
	int timeout_ms = us / US_PER_MS < INT_MAX ? (int)(us / US_PER_MS) : -1;
	int code = workpool_finish(link->wp, timeout_ms);

	if (code == WORKPOOL_OK)
		return 0;
	return link_fail(link, code == WORKPOOL_TIMED_OUT ? -ETIMEDOUT : errno_of(code));
}

uint64_t link_answer_until(const struct link *link)
{
	return wait_deadline(link->answer_us);
}
