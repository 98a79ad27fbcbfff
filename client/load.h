/*
 * load: posts the same task again and again over some connections, and is told of every end by the daemon's events on one more.
 * That costs the daemon no call that waits, holds no post back, carries no results, and forgets nothing: a Post with wait would
 * need a connection for each task that is under way, and Wait the results of all.
 * What is posted when is the caller's business. Functions return codes as in fault.h.
 */
#ifndef WORKPOOL_CLIENT_LOAD_H
#define WORKPOOL_CLIENT_LOAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "client/link.h"

struct load_slot;
struct load;

/* The end of one task, or that it was refused because the queue is full. Times as clock_now_us(). */
struct load_end {
	uint64_t due_us;     /* when it was to be posted */
	uint64_t posted_us;  /* when it was */
	uint64_t started_us; /* its last attempt; 0: never, or nobody told */
	uint64_t ended_us;   /* when the daemon knew; not before its start, not after now */
	uint64_t mark;       /* what load_post() was given */
	bool is_refused, is_done;
	const char *id; /* borrows, for the call; "" if refused */
};

/* An end; a code ends the turn and is handed on. */
typedef int load_on_end(void *arg, const struct load_end *end);

struct load_options {
	const char *verb;    /* begins what is told */
	const char *socket;  /* as link_init() */
	uint64_t timeout_us; /* the same */
	const char *handler, *pool;
	const json_t *args; /* NULL: none */
	size_t n_posters;   /* connections that post */
	bool tries_once;    /* no retries: a failure is one at once */
	load_on_end *on_end;
	void *arg;
};

struct load {
	const char *verb, *pool; /* borrow: the options' */
	load_on_end *on_end;     /* NULL: nobody wants to know any more */
	void *arg;               /* borrows: the options' */
	struct link *posters;    /* owns, with the connections */
	size_t n_posters;
	size_t next_poster;
	struct link events;
	char *post;    /* owns; a Post up to its name, which is `name` and the slot's number */
	char name[64]; /* what only our tasks are called */
	struct load_slot *slots; /* owns */
	size_t n_slots;
	size_t first_free;      /* in slots; n_slots: none */
	size_t n_under_way;     /* posted, and neither ended nor refused */
	size_t n_unanswered;    /* posts */
	uint64_t wall_ahead_us; /* the calendar, beyond clock_now_us() */
};

/* The options' texts outlive the load. Nothing is posted yet. */
int load_init(struct load *load, const struct load_options *options) MUST_CHECK;
void load_done(struct load *load);
int load_post(struct load *load, uint64_t due_us, uint64_t mark) MUST_CHECK;
/* Sends what was posted, waits until something arrives or until `until_us`, tells the ends that arrived. */
int load_turn(struct load *load, uint64_t until_us) MUST_CHECK;
/* Nothing of it stays in the pool: what does not end within `patience_us` is cancelled, over `control`. Says so if it cannot.
 * Ends are no longer told. */
void load_clear(struct load *load, struct link *control, uint64_t patience_us);

#endif
