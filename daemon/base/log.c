/*
 * log: where lines leave the program. "workpoold: warning: host_gone: text" on standard error,
 * or the same as fields in the journal. Not for what clients are told, not for the output of
 * tasks.
 * Called from net/ and main.c (one event is logged once, by them), from host/ and client/.
 * Invariants: one write(2) a line, shorter than PIPE_BUF, and only after poll(2) said that
 * there is room, or one datagram for which nobody waits, so that a reader that sleeps costs
 * lines and not the daemon; errno is as it was.
 * The journal is spoken to in its own protocol ("Native Journal Protocol", systemd.io):
 * sd_journal_send(3) waits as long as journald does not read and its queue is full.
 */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

#define TEXT_MAX       1024
#define LINE_MAX_BYTES (TEXT_MAX + 128) /* program, level and kind are our own words, and short */
#define KIND_MAX       32
#define KINDS          32 /* watched at once; the oldest window makes room */

/* What one kind did in its window. Empty: kind[0] is NUL. */
struct window {
	char kind[KIND_MAX];
	enum log_level level; /* the worst of those that were held back */
	unsigned count;       /* lines that went out since start_us */
	uint64_t start_us;
	uint64_t held;
};

static const char *const level_words[] = {
	[LOG_L_ERROR] = "error",
	[LOG_L_WARNING] = "warning",
	[LOG_L_NOTICE] = "notice",
	[LOG_L_INFO] = "info",
	[LOG_L_DEBUG] = "debug",
};

/* Set before the first thread starts. */
static enum log_level level_max = LOG_L_INFO;
static int journal_fd = -1; /* -1: to standard error */
static struct sockaddr_un journal = {
	.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};
static const char *program_name = "workpool";
static uint64_t (*read_clock)(void) = clock_now_us;

static _Thread_local struct window windows[KINDS];
static _Thread_local uint64_t lost_lines; /* that nobody could take */

/* systemd.exec(5): $JOURNAL_STREAM is "device:inode" of the stream that systemd made. */
static bool is_stderr_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char ours[64];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	(void)snprintf(ours, sizeof(ours), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, ours) == 0;
}

void log_open(enum log_target target, const char *program)
{
	/* Borrowed: a literal, or argv[0]. */
	program_name = program;
	journal_fd = fd_close(journal_fd);
	if (target == LOG_JOURNAL || (target == LOG_AUTO && is_stderr_journal()))
		journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

void log_set_journal(const char *path)
{
	(void)snprintf(journal.sun_path, sizeof(journal.sun_path), "%s", path);
}

void log_set_level(enum log_level level)
{
	level_max = level;
}

void log_set_clock(uint64_t (*now_us)(void))
{
	read_clock = now_us ? now_us : clock_now_us;
}

/* POLLOUT on a pipe means room for PIPE_BUF bytes (pipe(7)): the write after it does not wait. */
static bool is_stderr_ready(void)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

static void write_stderr(enum log_level level, const char *kind, const char *text)
{
	char line[LINE_MAX_BYTES];
	ssize_t n;

	int len = snprintf(line, sizeof(line), "%s: %s: %s: %s\n", program_name, level_words[level],
		kind, text);
	if (len < 0)
		return;
	/* snprintf() said how long it would be: cut, but still one line. */
	if ((size_t)len >= sizeof(line)) {
		len = sizeof(line) - 1;
		line[len - 1] = '\n';
	}
	do {
		n = write(STDERR_FILENO, line, (size_t)len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		lost_lines++;
}

static void write_journal(enum log_level level, const char *kind, const char *text)
{
	char fields[LINE_MAX_BYTES + 128];
	ssize_t n;

	/* No value holds a newline, so each field is a line. */
	int len = snprintf(fields, sizeof(fields),
		"MESSAGE=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nWORKPOOL_EVENT=%s\n", text,
		(int)level, program_name, kind);
	if (len < 0 || (size_t)len >= sizeof(fields)) {
		lost_lines++;
		return;
	}
	n = sendto(journal_fd, fields, (size_t)len, MSG_NOSIGNAL,
		(const struct sockaddr *)(const void *)&journal, sizeof(journal));
	if (n >= 0)
		return;
	if (errno == EAGAIN)
		lost_lines++;
	else /* without a journal there is still standard error */
		write_stderr(level, kind, text);
}

/* Where there may be room; false: there is none. */
static bool has_room(void)
{
	return journal_fd >= 0 || is_stderr_ready();
}

/* The text is one line already. Never fails: what cannot be told is counted. */
static void emit(enum log_level level, const char *kind, const char *text)
{
	void (*say)(enum log_level, const char *, const char *) =
		journal_fd >= 0 ? write_journal : write_stderr;

	if (!has_room()) {
		lost_lines++;
		return;
	}
	/* Before the line that comes after the gap. */
	if (lost_lines > 0) {
		char lost[64];
		(void)snprintf(lost, sizeof(lost), "%" PRIu64 " lines", lost_lines);
		uint64_t lost_before = lost_lines;
		lost_lines = 0;
		say(LOG_L_WARNING, "log_lost", lost);
		if (lost_lines > 0) { /* there is no room for that either */
			lost_lines += lost_before;
			return;
		}
	}
	say(level, kind, text);
}

/* Nothing held: says nothing. The window goes on, and so does its count. */
static void tell_held(struct window *w)
{
	char text[64];

	if (w->held == 0)
		return;
	(void)snprintf(text, sizeof(text), "%" PRIu64 " suppressed", w->held);
	w->held = 0;
	emit(w->level, w->kind, text);
}

void log_flush(void)
{
	for (size_t i = 0; i < KINDS; i++)
		tell_held(&windows[i]);
}

/*
 * The window of this kind; a new one takes the place of the oldest. Tells on the way what
 * windows that ended held.
 */
static struct window *window_of(const char *kind, uint64_t now_us)
{
	struct window *found = NULL, *oldest = &windows[0];

	for (size_t i = 0; i < KINDS; i++) {
		struct window *w = &windows[i];
		if (now_us - w->start_us >= LOG_WINDOW_US)
			tell_held(w);
		if (!found && strncmp(w->kind, kind, KIND_MAX - 1) == 0)
			found = w;
		if (w->start_us < oldest->start_us)
			oldest = w;
	}
	if (found && now_us - found->start_us < LOG_WINDOW_US)
		return found;
	if (!found) {
		found = oldest;
		tell_held(found);
	}
	*found = (struct window){.start_us = now_us};
	(void)snprintf(found->kind, KIND_MAX, "%s", kind);
	return found;
}

/* Whether this line may go out; else it is counted. */
static bool is_admitted(enum log_level level, const char *kind)
{
	struct window *w = window_of(kind, read_clock());

	if (w->count < LOG_BURST) {
		w->count++;
		return true;
	}
	if (w->held++ == 0 || level < w->level)
		w->level = level;
	return false;
}

void log_event(enum log_level level, const char *kind, const char *fmt, ...)
{
	char text[TEXT_MAX];
	int saved = errno;
	va_list ap;

	if (level > level_max)
		return;
	if (level < LOG_L_DEBUG && !is_admitted(level, kind))
		goto out;
	errno = saved; /* for %m */
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		goto out;
	if ((size_t)n >= sizeof(text))
		memcpy(text + sizeof(text) - 4, "...", 4);
	/* One event, one line, also where somebody forgot log_quote(). */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	emit(level, kind, text);
out:
	errno = saved;
}

const char *log_quote(const char *data, size_t len, char ret_text[LOG_QUOTE_MAX + 1])
{
	/* A character is written whole or not at all, so that no escape is cut in two. */
	size_t out = 0, fits = 0; /* fits: where "..." still has room */

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];
		char one[5];
		if (c == '\\')
			memcpy(one, "\\\\", 3);
		else if (c >= 0x20 && c < 0x7f)
			memcpy(one, (char[]){(char)c, '\0'}, 2);
		else
			(void)snprintf(one, sizeof(one), "\\x%02x", c);
		size_t n = strlen(one);
		if (out + n > LOG_QUOTE_MAX) {
			memcpy(ret_text + fits, "...", 4);
			return ret_text;
		}
		memcpy(ret_text + out, one, n);
		out += n;
		if (out <= LOG_QUOTE_MAX - 3)
			fits = out;
	}
	ret_text[out] = '\0';
	return ret_text;
}
