/*
 * result: how a task ended, until it is a DONE message. Setters never fail: without memory for the text the task
 * fails with a reason and no sentence, so that every task has exactly one end.
 */
#ifndef WORKPOOL_HOST_RESULT_H
#define WORKPOOL_HOST_RESULT_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "wire/hostmsg.h"

#define RESULT_WORD_SIZE 16 /* the daemon keeps no longer one */

struct result {
	enum hostmsg_outcome outcome;
	const char *reason;          /* borrows: a constant word, or `word`; "" when ok */
	struct view json;            /* borrows: from `text`, or from the task's args */
	char *text;                  /* owns; NULL: none */
	char word[RESULT_WORD_SIZE]; /* of result_fail() */
};

void result_init(struct result *result); /* ok, without a result */
void result_done(struct result *result);

void result_ok(
	struct result *result, struct view json); /* borrows json: it must outlive the task's run */
void result_ok_buf(struct result *result, struct buf *json); /* takes the bytes */
void result_ok_json(struct result *result, const json_t *json);
/* {"error":sentence}; the sentence may hold any bytes; the reason is copied. */
void result_fail(struct result *result, const char *reason, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* {"error":sentence,"result":json}; json is JSON text and may be empty: then it is left out. */
void result_fail_with(
	struct result *result, const char *reason, struct view json, const char *sentence);
/* The same, but its program crashed. */
void result_crash(struct result *result, struct view json, const char *sentence);
/* Ended because it was asked to; json as above. */
void result_cancel(struct result *result, struct view json);

#endif
