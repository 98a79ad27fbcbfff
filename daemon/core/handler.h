/*
 * handler: what tasks are posted for, as the board knows it: its name, its settings and its numbers. What it does is the
 * host's business; which arguments it takes is in api/hdef.
 */
#ifndef WORKPOOL_CORE_HANDLER_H
#define WORKPOOL_CORE_HANDLER_H

#include <stdint.h>

#include "config/settings.h"
#include "core/task.h"

struct handler {
	const struct settings_handler *settings; /* borrows: settings outlive the board */
	struct pool *pool;           /* borrows: where its tasks go when the post names no pool */
	uint64_t count[TASK_STATES]; /* tasks in each state; [TASK_NEW] means nothing */
};

#endif
