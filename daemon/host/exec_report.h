/*
 * exec_report: how a program ended, as a task's result.
 */
#ifndef WORKPOOL_HOST_EXEC_REPORT_H
#define WORKPOOL_HOST_EXEC_REPORT_H

#include <stdbool.h>

#include "host/capture.h"
#include "host/result.h"
#include "host/spawner.h"

/* child: CHILD_FAILED or CHILD_ENDED; cancelled: it was asked to end. Sets the result, whatever happens. */
void exec_report_set(const struct child *child, const struct capture *out,
	const struct capture *err, bool cancelled, struct result *result);

#endif
