/*
 * link: one connection to the daemon: calls go out, replies come back in the order of the calls. It connects at its
 * first call. Functions that return `int code`: see fault.h.
 */
#ifndef WORKPOOL_CLIENT_LINK_H
#define WORKPOOL_CLIENT_LINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "client/lib/workpool.h"

#define LINK_TURN_MAX 65 /* connections that link_turn() serves at most */

struct link {
	struct workpool *wp;           /* owns */
	uint64_t answer_us;            /* an answer comes within, from a call that does not wait */
	uint64_t absence_us;           /* how long a socket without a daemon is tried */
	uint64_t whole_until_us;       /* --timeout: nothing waits beyond it; else WAIT_FOREVER */
	bool is_over;                  /* the daemon has closed its side, or makes no sense */
	struct workpool_reply **early; /* owns, with the replies: taken to make room for calls */
	size_t n_early;
};

struct link_reply {
	struct workpool_reply *raw; /* owns */
	json_t *params;             /* owns; never NULL */
	const char *error;          /* borrows from raw; NULL: none */
	bool continues;
};

#define LINK_NO_TIMEOUT UINT64_MAX

/* path: NULL for $WORKPOOL_SOCKET, then the user's own daemon, then the system's. timeout_us: what --timeout says, or
 * LINK_NO_TIMEOUT: 30 s for an answer, for ever for calls that wait. */
int link_init(struct link *link, const char *path, uint64_t timeout_us) MUST_CHECK;
void link_done(struct link *link);
int link_open(struct link *link) MUST_CHECK;    /* nothing if it is open */
void link_close(struct link *link);             /* nothing that is still under way is waited for */
const char *link_path(const struct link *link); /* of the socket */

/* Queues one call; `params` is taken over (NULL: there was no memory for them). flags: enum workpool_flags.
 * method without a dot: of org.workpool. If too much is queued it waits until the daemon has read some. */
int link_put(struct link *link, const char *method, json_t *params, unsigned flags) MUST_CHECK;
/* The same with an object as text; `data` is for workpool_reply_data(). */
int link_put_text(struct link *link, const char *method, const char *params, unsigned flags,
	void *data) MUST_CHECK;
/* Writes and reads what can be written and read, waits until something can be or until `until_us`. input_fd: a
 * descriptor that is only looked at (-1: none); ret_input: it can be read. All links are open. 0 or -errno. */
int link_turn(struct link *const links[], size_t n, int input_fd, uint64_t until_us,
	bool *ret_input) MUST_CHECK;
/* The next reply that is here already: 0, and link_reply_done() when used; -EAGAIN: none; -ENOTCONN: none, and none
 * will come; -EBADMSG; -ENOMEM. */
int link_take(struct link *link, struct link_reply *ret_reply) MUST_CHECK;
void link_reply_done(struct link_reply *reply);
#define auto_reply __attribute__((cleanup(link_reply_done)))

/* Waits for the next reply; an error is a reply. */
int link_receive(struct link *link, uint64_t until_us, struct link_reply *ret_reply) MUST_CHECK;
/* The same where an error ends the verb: it is told, and its code returned. */
int link_expect(struct link *link, uint64_t until_us, struct link_reply *ret_reply) MUST_CHECK;
/* Put and expect, for a call that does not wait. */
int link_call(struct link *link, const char *method, json_t *params,
	struct link_reply *ret_reply) MUST_CHECK;
/* Sends what is queued, says that no more comes and waits until the daemon has closed too. */
int link_finish(struct link *link) MUST_CHECK;

/* Until when to wait for an answer to a call that does not wait. */
uint64_t link_answer_until(const struct link *link);
/* The code for -errno of link_turn() and link_take(), told. */
int link_fail(const struct link *link, int r);

#endif
