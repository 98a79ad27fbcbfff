/*
 * fail: codes, their words, and the names that the daemon has for its errors: one table. Called by the library's other files.
 * Invariant: the text in a struct workpool is one line of valid UTF-8.
 */
#include "client/lib/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "client/lib/conn.h"

#define POOL    "org.workpool."
#define SERVICE "org.varlink.service."

static const struct {
	int code;
	const char *error; /* the daemon's name for it; NULL: it is no error of the daemon */
	const char *text;
} rows[] = {
	{WORKPOOL_OK, NULL, "no error"},
	{WORKPOOL_NO_MEMORY, NULL, "out of memory"},
	{WORKPOOL_BAD_ARGUMENT, NULL, "an argument is wrong"},
	{WORKPOOL_UNREACHABLE, NULL, "no daemon is at the socket"},
	{WORKPOOL_FORBIDDEN, NULL, "the socket may not be opened"},
	{WORKPOOL_TIMED_OUT, NULL, "it took too long"},
	{WORKPOOL_CLOSED, NULL, "the connection is not open, or the daemon has closed it"},
	{WORKPOOL_BAD_REPLY, NULL, "the daemon's reply is not understood"},
	{WORKPOOL_FULL, NULL, "replies have to be received before more can be sent"},
	{WORKPOOL_IDLE, NULL, "no reply is on its way"},
	{WORKPOOL_OTHER_ERROR, NULL, "an error that this library does not know"},
	{WORKPOOL_AT_CAPACITY, POOL "AtCapacity", "the pool's queue is full"},
	{WORKPOOL_DUPLICATE, POOL "Duplicate", "another task has the unique key"},
	{WORKPOOL_SHUTTING_DOWN, POOL "ShuttingDown", "the daemon is stopping"},
	{WORKPOOL_NO_SUCH_POOL, POOL "NoSuchPool", "there is no pool of this name"},
	{WORKPOOL_NO_SUCH_HANDLER, POOL "NoSuchHandler", "there is no handler of this name"},
	{WORKPOOL_NO_SUCH_TASK, POOL "NoSuchTask", "there is no such task, or it was forgotten"},
	{WORKPOOL_WRONG_STATE, POOL "WrongState", "the task's state does not allow it"},
	{WORKPOOL_STORAGE_FULL, POOL "StorageFull", "the store is full"},
	{WORKPOOL_STORAGE_FAILED, POOL "StorageFailed", "the store does not work"},
	{WORKPOOL_CONFIG_INVALID, POOL "ConfigInvalid", "the configuration has a mistake"},
	{WORKPOOL_NOT_READY, POOL "NotReady", "no host has come up yet"},
	{WORKPOOL_BUSY, POOL "Busy", "the daemon has too many connections"},
	{WORKPOOL_MALFORMED_MESSAGE, POOL "MalformedMessage", "the daemon cannot read the call"},
	{WORKPOOL_MESSAGE_TOO_LONG, POOL "MessageTooLong", "the call is too long"},
	{WORKPOOL_RECEIVE_TIMEOUT, POOL "ReceiveTimeout", "the call did not arrive in time"},
	{WORKPOOL_INTERNAL, POOL "Internal", "the daemon could not do it"},
	{WORKPOOL_INTERFACE_NOT_FOUND, SERVICE "InterfaceNotFound", "there is no such interface"},
	{WORKPOOL_METHOD_NOT_FOUND, SERVICE "MethodNotFound", "there is no such method"},
	{WORKPOOL_METHOD_NOT_IMPLEMENTED, SERVICE "MethodNotImplemented",
		"the method does nothing here"},
	{WORKPOOL_INVALID_PARAMETER, SERVICE "InvalidParameter", "a parameter is wrong"},
	{WORKPOOL_PERMISSION_DENIED, SERVICE "PermissionDenied", "the caller's role may not"},
	{WORKPOOL_EXPECTED_MORE, SERVICE "ExpectedMore", "the method only streams"},
};

int fail_code(const char *error)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].error && strcmp(rows[i].error, error) == 0)
			return rows[i].code;
	}
	return WORKPOOL_OTHER_ERROR;
}

const char *workpool_code_text(int code)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].code == code)
			return rows[i].text;
	}
	return "there is no such code";
}

void fail_none(struct workpool *wp)
{
	wp->error_text[0] = '\0';
	wp->system_error = 0;
}

int fail_because(struct workpool *wp, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	/* Cut if it is too long; str_make_safe() makes good a character that was cut. */
	(void)vsnprintf(wp->error_text, sizeof(wp->error_text), fmt, ap);
	va_end(ap);
	str_make_safe(wp->error_text);
	wp->system_error = 0;
	return code;
}

int fail(struct workpool *wp, int code)
{
	return fail_because(wp, code, "%s", workpool_code_text(code));
}

int fail_system(struct workpool *wp, int code, int error)
{
	char text[128];

	/* GNU's strerror_r(3): it returns the text, which may be a constant. */
	(void)fail_because(wp, code, "%s: %s", wp->path, strerror_r(error, text, sizeof(text)));
	wp->system_error = error;
	return code;
}

int fail_reply(struct workpool *wp, const struct workpool_reply *reply)
{
	int code = workpool_reply_code(reply);

	if (code == WORKPOOL_OK)
		return code;
	return fail_because(wp, code, "%s: %s %s", workpool_reply_error(reply),
		workpool_code_text(code), workpool_reply_params(reply));
}

const char *workpool_error_text(const struct workpool *wp)
{
	return wp->error_text;
}

int workpool_system_error(const struct workpool *wp)
{
	return wp->system_error;
}
