/*
 * call: one request from its message to its last reply. Replies leave in the order of the calls: a call that is not first
 * keeps its replies until it is. A call that parks waits for its watch or deadline; one that holds keeps back the calls
 * behind it on its connection as long as it lasts.
 */
#ifndef WORKPOOL_API_CALL_H
#define WORKPOOL_API_CALL_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "core/deadline.h"
#include "core/watch.h"
#include "net/conn.h"
#include "net/daemon.h"
#include "wire/jsonout.h"
#include "wire/msg.h"

/* Bytes of an answer while it is written; how much may wait to leave is conn's to say. */
#define CALL_TEXT_MAX (SIZE_MAX / 4)

struct method;
struct task;

struct call {
	struct conn *conn;           /* borrows: outlives its calls */
	const struct method *method; /* borrows; NULL: refused before one was found */
	struct msg msg;
	void *values; /* the method's parameters, read into its own struct; in this allocation */
	struct watch watch;       /* for methods that park on a change */
	struct deadline deadline; /* for methods that park for a time */
	struct buf kept;          /* replies that wait for the calls before this one */
	TAILQ_ENTRY(call) link;   /* in: conn->calls; api->dead when ended and answered */
	bool holds;
	bool ended; /* the last reply was given */
};

/* A message, or why there is none: the hook for conn.c. */
void call_on_message(struct conn *conn, struct view message, int error);
void call_on_conn_gone(struct conn *conn);
void call_sweep(struct daemon *daemon);

/* The message's text is not needed any more, nor what call->values borrows of it. */
void call_drop_params(struct call *call);
/* The calls behind this one wait until it has ended. */
void call_hold(struct call *call);

/* Each takes params (NULL: out of memory, or {} for none: use call_reply_text). The last reply ends the call. */
void call_reply(struct call *call, json_t *params);
void call_reply_more(
	struct call *call, json_t *params); /* others follow; not for calls without msg.more */
void call_reply_text(struct call *call, struct view params);
/* The same of what was written, or, if that failed, as without memory. */
void call_reply_json(struct call *call, const struct jsonout *json);
void call_reply_json_more(struct call *call, const struct jsonout *json);

/* call_refuse_at_capacity(call, pool, queued, capacity) …: errors.def */
#define ERROR(NAME, name, PARAMS, PACK, fields, text) void call_refuse_##name PARAMS;
#include "api/errors.def"
#undef ERROR
/* The errors of org.varlink.service. */
void call_refuse_parameter(struct call *call, const char *parameter, const char *reason);
void call_refuse_permission(struct call *call);
/* For methods that only stream. */
void call_refuse_expected_more(struct call *call);
void call_refuse_service(
	struct call *call, const char *error, const char *field, const char *value);
/* ShuttingDown, with the mode of the stop that goes on. */
void call_refuse_stopping(struct call *call);
/* A commit that failed with this -errno: StorageFull or StorageFailed. */
void call_refuse_store(struct call *call, int error);
/* The call waits for this task, which the store has; but no end of it until a restart (board->broken). */
void call_refuse_endless(struct call *call, const struct task *task);

#endif
