/*
 * handler: what tasks are posted for, as the board knows it: its name, its settings, its numbers, and what its tasks claim.
 * What it does is the host's business; which arguments it takes is in api/hdef.
 */
#ifndef WORKPOOL_CORE_HANDLER_H
#define WORKPOOL_CORE_HANDLER_H

#include <stdbool.h>
#include <stdint.h>

#include "config/settings.h"
#include "core/resource.h"
#include "core/stats.h"
#include "core/task.h"

/* The daemon's cap, the handler's own, and the [resource] sections that it names. */
#define HANDLER_CLAIMS_MAX (2 + SETTINGS_USED_MAX)

struct claim {
	struct resource *resource; /* borrows: lives as long as the board */
	bool is_weighted;          /* a task takes the handler's weight of it, else one unit */
};

struct handler {
	const struct settings_handler *settings; /* borrows: settings outlive the board */
	size_t index;                            /* in board->handlers and settings->handlers */
	struct pool *pool;           /* borrows: where its tasks go when the post names no pool */
	uint64_t count[TASK_STATES]; /* tasks in each state; [TASK_NEW] means nothing */
	uint64_t saved_count[TASK_STATES]; /* what the store holds, as the pool's */
	struct resource own;               /* its max_active */
	struct claim claims[HANDLER_CLAIMS_MAX];
	size_t n_claims;
	struct times *times; /* owns; NULL until the first attempt has ended, or without memory */
};

#endif
