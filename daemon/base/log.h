/*
 * log: one event, one line. To the journal with fields where there is one, else
 * to standard error. Text that came from outside goes through log_quote().
 * Storms are held back: after LOG_BURST lines of one kind within LOG_WINDOW_US the
 * rest are counted and told as "N suppressed" (debug lines never are held back).
 * Each thread counts for itself, so there is no lock. Never waits for standard error.
 * The level is the program's one global variable.
 */
#ifndef WORKPOOL_BASE_LOG_H
#define WORKPOOL_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

#define LOG_BURST     10
#define LOG_WINDOW_US UINT64_C(5000000)

/* As syslog(3), so that they can be handed on as they are. */
enum log_level {
	LOG_L_ERROR = 3,
	LOG_L_WARNING = 4,
	LOG_L_NOTICE = 5,
	LOG_L_INFO = 6,
	LOG_L_DEBUG = 7
};

enum log_target { LOG_AUTO, LOG_STDERR, LOG_JOURNAL };

/* LOG_AUTO: the journal if standard error is connected to it ($JOURNAL_STREAM), else standard error. */
void log_open(enum log_target target, const char *program);
void log_set_level(enum log_level level);

/* kind: a short constant word for the event ("host_gone"); the journal's field and the key for suppression. */
void log_event(enum log_level level, const char *kind, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Tells at once what this thread holds back: before the end, and now and then in a quiet daemon. */
void log_flush(void);
/* For tests: the journal's socket, for the next log_open() on. */
void log_set_journal(const char *path);
/* For tests: time for the windows; NULL: clock_now_us(). */
void log_set_clock(uint64_t (*now_us)(void));

#define log_error(kind, ...)   log_event(LOG_L_ERROR, kind, __VA_ARGS__)
#define log_warning(kind, ...) log_event(LOG_L_WARNING, kind, __VA_ARGS__)
#define log_notice(kind, ...)  log_event(LOG_L_NOTICE, kind, __VA_ARGS__)
#define log_info(kind, ...)    log_event(LOG_L_INFO, kind, __VA_ARGS__)
#define log_debug(kind, ...)   log_event(LOG_L_DEBUG, kind, __VA_ARGS__)

#define LOG_QUOTE_MAX 256

/* Foreign text made safe for a log line: control and non-ASCII bytes as \xNN, \ as \\, at most LOG_QUOTE_MAX bytes of
 * output, the last of them "..." if it was cut.
 * Writes to ret_text (LOG_QUOTE_MAX + 1 bytes) and returns it. */
const char *log_quote(const char *data, size_t len, char ret_text[LOG_QUOTE_MAX + 1]);

#endif
