/*
 * outcome: how a task ended, as a line and as an exit code. For post, wait and log.
 */
#ifndef WORKPOOL_CLIENT_OUTCOME_H
#define WORKPOOL_CLIENT_OUTCOME_H

#include <jansson.h>
#include <stdbool.h>

#include "client/print.h"

struct outcome {
	struct print *print; /* borrows: the caller's ctl */
	struct print_table table;
	bool propagate; /* the exit code of the program that a task ran */
	int code;       /* 0, or of the first task that did not end as done */
};

void outcome_init(struct outcome *outcome, struct print *print, bool propagate);
/* A line about one ended task (not with -j), and its code noted. A code as in fault.h. */
int outcome_add(struct outcome *outcome, const json_t *task) MUST_CHECK;
/* The exit code that an ended task stands for. */
int outcome_code(const json_t *task, bool propagate) MUST_CHECK;

#endif
