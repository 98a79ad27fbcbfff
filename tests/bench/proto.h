/*
 * proto: what the measured systems are told and what they answer, as bytes. Not for sockets (line.c)
 * or time (load.c). Everybody gets the same task: a body that is JSON, handed to a handler that does
 * nothing, or put into a queue.
 */
#ifndef WORKPOOL_BENCH_PROTO_H
#define WORKPOOL_BENCH_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALL_MAX 512 /* bytes of what one function here composes */

extern const char proto_body[];      /* of 76 to 80 bytes: about as long as in other measurements */
extern const char proto_body_100[];  /* of 100 bytes */
extern const char proto_body_none[]; /* an empty object: for a handler that is told nothing */

struct text {
	const char *data; /* borrows: the bytes that were heard */
	size_t len;
};

enum said_kind {
	SAID_PART, /* the answer is not whole yet */
	SAID_ACK,  /* a post was taken, or an end */
	SAID_TASK, /* here is a task */
	SAID_NONE, /* there is no task: say `sleep` */
	SAID_WAKE, /* there may be one now: take it */
	SAID_NOTE, /* nothing that anybody waits for */
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
	size_t (*post)(char *out, const char *body);
	/* Makes a post that was composed unlike any with another number; NULL: that is not needed. */
	void (*stamp)(char *post, uint64_t number);
	/* What a worker says first; NULL: nothing. */
	size_t (*hello)(char *out);
	/* For a task to run; NULL: the system runs its tasks itself (is_ours), or has none. */
	size_t (*take)(char *out, unsigned worker);
	/* It has been run; NULL: once taken it is forgotten already. */
	size_t (*end)(char *out, unsigned worker, struct text task);
	/* Has no answer of its own: whoever takes waits here. NULL: the answer to `take` waits. */
	size_t (*sleep)(char *out);
	/* Closes a batch: its answer comes when all posts have ended; NULL: each end is told. */
	size_t (*drain)(char *out);
	struct said (*hear)(const char *in, size_t len);
	bool is_ours;       /* workpoold: has hosts, and counters to ask for */
	bool is_end_silent; /* the answer to the next `take` shows that an end was heard */
	bool is_stepwise; /* the next `take` is said when an end was answered, not along with it */
};

/* NULL: there is none of that name. */
const struct proto *proto_find(const char *name);

/* workpoold's counters: a call whose answer is a text to search in, ended by a NUL byte. */
size_t proto_stats(char *out);

#endif
