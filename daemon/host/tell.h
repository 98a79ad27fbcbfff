/*
 * tell: what the daemon is told of tasks: their ends, and on the way their output and progress; and who sends it.
 */
#ifndef WORKPOOL_HOST_TELL_H
#define WORKPOOL_HOST_TELL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "wire/hostmsg.h"

struct result;
struct work;
struct work_pool;

/* With pool->lock held, which is let go while bytes are sent: */

bool tell_is_due(const struct work_pool *pool); /* something waits, and nobody sends it */
/* One write for all that waits; stays until the daemon has read it, so not for a thread that runs a task. */
void tell_send(struct work_pool *pool);
/* The DONE, behind the answer to a FOLLOW if that is still owed. Nothing else of the task waits any more then. */
void tell_end(struct work_pool *pool, struct work *work, const struct result *result);
/* An empty LOG: the answer to a FOLLOW of a task that has no output. -ENOMEM. */
int tell_nothing(struct work_pool *pool, struct work *work) MUST_CHECK;

/* Without the lock, by the thread that runs the task. None of these waits for a daemon that does not read. */

/* false: the stream's last LOG has not left yet; the handler's follow() is called when it has. */
bool tell_has_room(struct work *work, enum hostmsg_stream stream);
/* A LOG, when there is room; text is UTF-8. -ENOMEM. */
int tell_log(
	struct work *work, enum hostmsg_stream stream, uint64_t total, struct view text) MUST_CHECK;
/* See task_progress(). */
void tell_progress(struct work *work, uint32_t permille, const char *note);

#endif
