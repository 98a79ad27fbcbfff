/*
 * proto: what the measured systems are told and what they answer, as bytes. Not for sockets or
 * time: load.c has those. Everybody gets the same task: BODY, handed to a handler that does
 * nothing, or put into a queue.
 */
#ifndef WORKPOOL_BENCH_PROTO_H
#define WORKPOOL_BENCH_PROTO_H

#include <stddef.h>

#define CALL_MAX 512 /* bytes of what one function here composes */

struct text {
	const char *data; /* borrows: the bytes that were heard */
	size_t len;
};

enum said_kind {
	SAID_PART, /* the answer is not whole yet */
	SAID_ACK,  /* a post was taken, or an end */
	SAID_TASK, /* here is a task */
	SAID_NO,   /* an error, or nothing that we know */
};

struct said {
	enum said_kind kind;
	size_t len;       /* of the whole answer; 0 with SAID_PART */
	struct text task; /* what `end` wants to hear of a task */
};

/* Each function composes one call at `out`, of at most CALL_MAX bytes, and returns its length. */
struct proto {
	const char *name;
	size_t (*post)(char *out);
	/* For a task to run; NULL: the system runs its tasks itself, or has none. */
	size_t (*take)(char *out, unsigned worker);
	/* It has been run; NULL: once taken it is forgotten already. */
	size_t (*end)(char *out, unsigned worker, struct text task);
	/* Closes a batch: its answer comes when all posts have ended; NULL: count the ends. */
	size_t (*drain)(char *out);
	struct said (*hear)(const char *in, size_t len);
};

/* NULL: there is none of that name. */
const struct proto *proto_find(const char *name);

/* workpoold's counters: a call whose answer is a text to search in, ended by a NUL byte. */
size_t proto_stats(char *out);

#endif
