/*
 * exec_report: how a program ended, or what it did wrong, as a task's result.
 */
#ifndef WORKPOOL_HOST_EXEC_REPORT_H
#define WORKPOOL_HOST_EXEC_REPORT_H

#include <stdbool.h>

#include "host/capture.h"
#include "host/result.h"
#include "host/spawner.h"

/*
 * child: CHILD_FAILED or CHILD_ENDED; cancelled: it was asked to end; out NULL: it is no output but answers, and ended
 * without one. Sets the result, whatever happens.
 */
void exec_report_set(const struct child *child, const struct capture *out,
	const struct capture *err, bool cancelled, struct result *result);
#define EXEC_REPORT_SENTENCE_MAX 4096 /* bytes of a sentence that are told */
/* Of a task that failed otherwise, with what its program wrote to standard error. The sentence may hold any bytes. */
void exec_report_failure(
	const struct capture *err, const char *reason, const char *sentence, struct result *result);

#endif
