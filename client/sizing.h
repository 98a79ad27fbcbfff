/*
 * sizing: a pool whose workers and capacity are changed for a while, and put back whatever ends it. Called by the verbs that
 * measure. Functions return codes as in fault.h.
 * From the first sizing_set() on the caller holds signals (wait.h), and calls sizing_restore() last.
 */
#ifndef WORKPOOL_CLIENT_SIZING_H
#define WORKPOOL_CLIENT_SIZING_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "client/link.h"

struct sizing {
	struct link *link;         /* borrows: the caller's, and nothing else is under way on it */
	const char *verb;          /* borrows: a constant; begins what is told */
	char *pool;                /* owns */
	int64_t workers, capacity; /* as they were found, and will be again */
	bool is_admin;
	bool is_changed; /* something has to be put back */
};

/* The row of Handlers for `name`; *ret_row borrows from *ret_reply. */
int sizing_find_handler(struct link *link, const char *name, struct link_reply *ret_reply,
	const json_t **ret_row) MUST_CHECK;
/* How the pool is and what we may do to it; refuses one that is paused, and a daemon that is stopping. */
int sizing_init(
	struct sizing *sizing, struct link *link, const char *verb, const char *pool) MUST_CHECK;
void sizing_done(struct sizing *sizing);
/* Until the workers that were too many have left and the host is up. */
int sizing_set(struct sizing *sizing, int64_t workers, int64_t capacity) MUST_CHECK;
/* On a fresh connection: the old one may be lost, or hang in a call that waits. Says so if it cannot. */
int sizing_restore(struct sizing *sizing) MUST_CHECK;

/* The pool's part of Stats: *ret_pool borrows from *ret_reply. */
int sizing_ask(struct link *link, const char *pool, struct link_reply *ret_reply,
	const json_t **ret_pool) MUST_CHECK;

#endif
