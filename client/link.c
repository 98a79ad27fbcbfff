/*
 * link: the client's side of the control protocol. Called by every verb; sleeps in wait.c only.
 * Invariants: `fd` never blocks; whatever is in `out` is written in every turn in which replies are read, so a daemon
 * that stops reading until we read (protocol.md, `max_output`) cannot hang us; a broken write is no error by itself,
 * because the daemon may have said why before it closed.
 */
#include "client/link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "client/fault.h"
#include "client/wait.h"
#include "wire/json.h"
#include "wire/msg.h"

#define OUT_LIMIT      ((size_t)64 * 1024 * 1024)
#define REPLY_LIMIT    ((size_t)64 * 1024 * 1024)
#define READ_SIZE      ((size_t)64 * 1024)
#define ANSWER_US      (30 * US_PER_SEC)
#define ABSENCE_US     (1 * US_PER_SEC) /* a daemon that restarts right now */
#define RETRY_FIRST_US (5 * US_PER_MS)
#define RETRY_MAX_US   (200 * US_PER_MS)

#define SYSTEM_SOCKET "/run/workpoold/control.sock"
#define USER_SOCKET   "workpoold/control.sock" /* under $XDG_RUNTIME_DIR */
#define OWN_INTERFACE "org.workpool."

/* Of the own daemon of this user, if it has a socket; else NULL. */
static char *find_user_socket(void)
{
	const char *folder = getenv("XDG_RUNTIME_DIR");
	auto_free char *path = NULL;

	if (!folder || *folder != '/')
		return NULL;
	if (asprintf(&path, "%s/%s", folder, USER_SOCKET) < 0) {
		path = NULL;
		return NULL;
	}
	return access(path, F_OK) == 0 ? take(path) : NULL;
}

static char *find_socket(const char *given)
{
	const char *named = getenv("WORKPOOL_SOCKET");

	if (given)
		return strdup(given);
	if (named && *named)
		return strdup(named);
	char *own = find_user_socket();
	return own ? own : strdup(SYSTEM_SOCKET);
}

int link_init(struct link *link, const char *path, uint64_t timeout_us)
{
	bool is_given = timeout_us != LINK_NO_TIMEOUT;

	*link = (struct link){
		.path = find_socket(path),
		.answer_us = is_given ? timeout_us : ANSWER_US,
		.absence_us = is_given ? timeout_us : ABSENCE_US,
		.whole_until_us = is_given ? wait_deadline(timeout_us) : WAIT_FOREVER,
		.fd = -1,
	};
	buf_init(&link->in, REPLY_LIMIT + READ_SIZE);
	buf_init(&link->out, OUT_LIMIT);
	return link->path ? 0 : fault_no_memory();
}

void link_done(struct link *link)
{
	link_close(link);
	buf_done(&link->in);
	buf_done(&link->out);
	free(link->path);
	link->path = NULL;
}

void link_close(struct link *link)
{
	link->fd = fd_close(link->fd);
	link->is_eof = false;
	buf_consume(&link->in, buf_len(&link->in));
	buf_consume(&link->out, buf_len(&link->out));
}

static int connect_once(const char *path, int *ret_fd)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	if (len >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, len);
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* A Unix socket connects at once or not at all: EAGAIN is a full backlog, unix(7). */
	if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	*ret_fd = take_fd(fd);
	return 0;
}

static int say_unreachable(const struct link *link, int r)
{
	static const struct {
		int error;
		int code;
		const char *hint;
	} hints[] = {
		{-ENOENT, CODE_UNREACHABLE, "; is workpoold running?"},
		{-ECONNREFUSED, CODE_UNREACHABLE, "; is workpoold running?"},
		{-EAGAIN, CODE_UNREACHABLE, "; too many wait for the daemon already"},
		{-EACCES, CODE_DENIED, "; your role may not open the socket"},
		{-EPERM, CODE_DENIED, "; your role may not open the socket"},
		{-ENAMETOOLONG, CODE_USAGE, ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(hints); i++) {
		if (hints[i].error == r)
			return fault_say(
				hints[i].code, "%s: %s%s", link->path, strerror(-r), hints[i].hint);
	}
	return fault_say(CODE_UNREACHABLE, "%s: %s", link->path, strerror(-r));
}

/* A full backlog is worth the whole time for an answer, a socket without a daemon only absence_us. */
static uint64_t patience_us(const struct link *link, int r)
{
	if (r == -EAGAIN)
		return link->answer_us;
	return r == -ENOENT || r == -ECONNREFUSED ? link->absence_us : 0;
}

int link_open(struct link *link)
{
	uint64_t start_us = clock_now_us();
	uint64_t pause_us = RETRY_FIRST_US;

	if (link->fd >= 0)
		return 0;
	for (;;) {
		int r = connect_once(link->path, &link->fd);
		if (r == 0)
			break;
		if (clock_now_us() - start_us >= patience_us(link, r))
			return say_unreachable(link, r);
		if (wait_until(wait_deadline(pause_us)) < 0)
			return wait_signal_code();
		pause_us = pause_us * 2 < RETRY_MAX_US ? pause_us * 2 : RETRY_MAX_US;
	}
	frame_init(&link->frame, REPLY_LIMIT);
	link->frame.mode = FRAME_NUL;
	return 0;
}

int link_put(struct link *link, const char *method, json_t *params, unsigned flags)
{
	auto_json json_t *owned = params;
	auto_free char *name = NULL;

	if (!owned)
		return fault_no_memory();
	if (asprintf(&name, "%s%s", strchr(method, '.') ? "" : OWN_INTERFACE, method) < 0) {
		name = NULL;
		return fault_no_memory();
	}
	int code = link_open(link);
	if (code)
		return code;
	int r = msg_write_call(
		&link->out, name, owned, flags & LINK_MORE, flags & LINK_ONEWAY, '\0');
	return r < 0 ? link_fail(link, r) : 0;
}

/* Until the socket is full. */
static void write_out(struct link *link)
{
	while (buf_len(&link->out) > 0) {
		struct view text = buf_view(&link->out);
		ssize_t n = send(link->fd, text.data, text.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		/* Nobody reads any more: what was said to us before that comes with the reading. */
		buf_consume(&link->out, n < 0 ? text.len : (size_t)n);
	}
}

/* One portion, so that one link does not keep the others waiting. */
static int read_in(struct link *link)
{
	char *to;
	size_t room;

	int r = buf_reserve(&link->in, READ_SIZE, &to, &room);
	if (r < 0)
		return r;
	ssize_t n = recv(link->fd, to, room, 0);
	if (n > 0)
		buf_commit(&link->in, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		link->is_eof = true;
	return 0;
}

int link_turn(
	struct link *const links[], size_t n, int input_fd, uint64_t until_us, bool *ret_input)
{
	struct pollfd fds[LINK_TURN_MAX + 1];

	for (size_t i = 0; i < n; i++) {
		write_out(links[i]);
		fds[i] = (struct pollfd){.fd = links[i]->is_eof ? -1 : links[i]->fd};
		fds[i].events = (short)(buf_len(&links[i]->out) > 0 ? POLLIN | POLLOUT : POLLIN);
	}
	fds[n] = (struct pollfd){.fd = input_fd, .events = POLLIN};
	int r = wait_poll(fds, n + 1, until_us);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (fds[i].revents & POLLOUT)
			write_out(links[i]);
		if (fds[i].revents & (POLLIN | POLLHUP | POLLERR)) {
			r = read_in(links[i]);
			if (r < 0)
				return r;
		}
	}
	if (ret_input)
		*ret_input = fds[n].revents != 0;
	return 0;
}

/* json_loadb(), not json_parse(): the limits of that one are for what clients send, and a reply wraps it deeper. */
static int parse_reply(struct view text, struct link_reply *ret_reply)
{
	json_error_t why;
	json_t *json = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &why);

	if (!json)
		return json_error_code(&why) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
	if (!json_is_object(json)) {
		json_decref(json);
		return -EBADMSG;
	}
	json_t *params = json_object_get(json, "parameters");
	if (!params) {
		params = json_object();
		if (json_object_set_new(json, "parameters", params) < 0) {
			json_decref(json);
			return -ENOMEM;
		}
	}
	*ret_reply = (struct link_reply){
		.json = json,
		.error = json_string_value(json_object_get(json, "error")),
		.params = params,
		.continues = json_is_true(json_object_get(json, "continues")),
	};
	return 0;
}

int link_take(struct link *link, struct link_reply *ret_reply)
{
	struct view text;

	int r = frame_next(&link->frame, &link->in, &text);
	if (r == -EAGAIN)
		return link->is_eof ? -ENOTCONN : -EAGAIN;
	return r < 0 ? r : parse_reply(text, ret_reply);
}

void link_reply_done(struct link_reply *reply)
{
	json_decref(reply->json);
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
		{-EMSGSIZE, CODE_INTERNAL, "the message is too long"},
		{-ETIMEDOUT, CODE_DEADLINE, "no answer from the daemon in time"},
	};

	if (r == -EINTR)
		return wait_signal_code();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].error == r)
			return fault_say(rows[i].code, "%s: %s", link->path, rows[i].text);
	}
	return fault_say(CODE_INTERNAL, "%s: %s", link->path, strerror(-r));
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
	uint64_t until_us = link_answer_until(link);

	write_out(link);
	while (buf_len(&link->out) > 0 && !link->is_eof) {
		int r = clock_now_us() >= until_us ? -ETIMEDOUT
						   : link_turn(&link, 1, -1, until_us, NULL);
		if (r < 0)
			return link_fail(link, r);
	}
	(void)shutdown(link->fd,
		SHUT_WR); /* fails only when the other side is gone: then it is over too */
	while (!link->is_eof) {
		int r = clock_now_us() >= until_us ? -ETIMEDOUT
						   : link_turn(&link, 1, -1, until_us, NULL);
		if (r < 0)
			return link_fail(link, r);
	}
	return 0;
}

uint64_t link_answer_until(const struct link *link)
{
	return wait_deadline(link->answer_us);
}
