/*
 * fault: what goes wrong becomes one line on standard error and an exit code, both from one table.
 *
 * Everywhere in client/ a function that returns `int code` returns 0, or the exit code of a failure that was
 * already told to the user: the caller only cleans up and hands the code on.
 */
#ifndef WORKPOOL_CLIENT_FAULT_H
#define WORKPOOL_CLIENT_FAULT_H

#include <jansson.h>

#include "base/buf.h"
#include "base/mem.h"

enum fault_code {
#define EXIT_CODE(NAME, code, text) CODE_##NAME = (code),
#include "client/exits.def"
#undef EXIT_CODE
};

/* Nobody reads standard output any more: what a shell shows for SIGPIPE. Never told. */
#define CODE_PIPE 141

/* "wpctl: " and the text, control characters escaped, on standard error; returns `code`. */
int fault_say(int code, const char *fmt, ...) PRINTF_LIKE(2, 3);
int fault_no_memory(void);

/* The daemon's error in words, as in `wpctl: AtCapacity: pool "mail" has 100 of 100 queued`; returns fault_code(). */
int fault_report(const char *error, const json_t *params);
/* Only the exit code: errors that the table does not know are CODE_TASK. */
int fault_code(const char *error) MUST_CHECK;
/* "AtCapacity: pool …" onto the end of `out`; for errors that the table does not know, the parameters as JSON. */
int fault_append_sentence(struct buf *out, const char *error, const json_t *params) MUST_CHECK;

#endif
