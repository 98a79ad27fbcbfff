/*
 * workpool.h: talks to workpoold(8). The manual is libworkpool(3).
 *
 * C99 and C++. A struct workpool is one connection: one thread at a time may use it, different threads may use different ones.
 * Nothing here prints, ends the program, raises SIGPIPE or changes signals. JSON is text in UTF-8.
 *
 * Functions that return int code: 0, or a negative enum workpool_code; workpool_error_text() says more.
 * timeout_ms: milliseconds that it waits at most; 0: it does not wait; -1: for ever.
 */
#ifndef WORKPOOL_H
#define WORKPOOL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct workpool;       /* a connection */
struct workpool_reply; /* an answer of the daemon */

/* The numbers never change their meaning. */
enum workpool_code {
	WORKPOOL_OK = 0,

	/* Of the way to the daemon. */
	WORKPOOL_NO_MEMORY = -1,    /* what was not waited for can be tried again */
	WORKPOOL_BAD_ARGUMENT = -2, /* of a function here: nothing was sent */
	WORKPOOL_UNREACHABLE = -3,  /* no daemon at the socket */
	WORKPOOL_FORBIDDEN = -4,    /* the socket may not be opened by this user */
	WORKPOOL_TIMED_OUT = -5,    /* not in the time given */
	WORKPOOL_CLOSED = -6,       /* not open, or the daemon has closed */
	WORKPOOL_BAD_REPLY = -7,    /* what came is no reply: nothing more can come */
	WORKPOOL_FULL = -8,         /* replies have to be received before more can be sent */
	WORKPOOL_IDLE = -9,         /* no reply is on its way: nothing was sent that has one */

	/* The daemon's answer is an error: org.workpool. */
	WORKPOOL_OTHER_ERROR = -32, /* workpool_reply_error() has its name */
	WORKPOOL_AT_CAPACITY = -33,
	WORKPOOL_DUPLICATE = -34,
	WORKPOOL_SHUTTING_DOWN = -35,
	WORKPOOL_NO_SUCH_POOL = -36,
	WORKPOOL_NO_SUCH_HANDLER = -37,
	WORKPOOL_NO_SUCH_TASK = -38,
	WORKPOOL_WRONG_STATE = -39,
	WORKPOOL_STORAGE_FULL = -40,
	WORKPOOL_STORAGE_FAILED = -41,
	WORKPOOL_CONFIG_INVALID = -42,
	WORKPOOL_NOT_READY = -43,
	WORKPOOL_BUSY = -44,
	WORKPOOL_MALFORMED_MESSAGE = -45,
	WORKPOOL_MESSAGE_TOO_LONG = -46,
	WORKPOOL_RECEIVE_TIMEOUT = -47,
	WORKPOOL_INTERNAL = -48,

	/* The same: org.varlink.service. */
	WORKPOOL_INTERFACE_NOT_FOUND = -64,
	WORKPOOL_METHOD_NOT_FOUND = -65,
	WORKPOOL_METHOD_NOT_IMPLEMENTED = -66,
	WORKPOOL_INVALID_PARAMETER = -67,
	WORKPOOL_PERMISSION_DENIED = -68,
	WORKPOOL_EXPECTED_MORE = -69
};

/* --- the connection --- */

/* path: of the daemon's socket; NULL: $WORKPOOL_SOCKET, else the user's own daemon if its socket is there, else the system's.
 * NULL: no memory. Not open yet. */
struct workpool *workpool_new(const char *path);
void workpool_free(struct workpool *wp); /* closes; NULL is allowed */
/* Connects; as long as nobody listens, as while the daemon starts again, it is tried until timeout_ms have passed. Nothing if
 * it is open; if it broke, also unnoticed, a new connection, without what the old one had. */
int workpool_open(struct workpool *wp, int timeout_ms);
/* The same with a stream socket that is connected already, which is closed by the connection from now on. */
int workpool_open_fd(struct workpool *wp, int fd);
void workpool_close(struct workpool *wp); /* calls that have no reply yet have none any more */
const char *workpool_socket(const struct workpool *wp); /* its path, until workpool_free() */

/* What the last function that failed had to say, in one line; until the next call with wp. */
const char *workpool_error_text(const struct workpool *wp);
int workpool_system_error(const struct workpool *wp); /* its errno, 0: it had none */
const char *workpool_code_text(int code);             /* in words; of any number */

/* --- one call at a time --- */

/*
 * method: "org.workpool.Stats"; without a dot it is of org.workpool. params: a JSON object, NULL: {}.
 * ret_reply (NULL: not wanted): gets the answer, an error's too, or NULL if there is none; workpool_reply_free() when used.
 * WORKPOOL_BAD_ARGUMENT while replies to workpool_send() are outstanding. A reply that comes after WORKPOOL_TIMED_OUT is thrown
 * away; what the daemon does is done all the same.
 */
int workpool_call(struct workpool *wp, const char *method, const char *params, int timeout_ms,
	struct workpool_reply **ret_reply);

/* How a task is posted, see Post in workpoold-protocol(7). A variable of it begins as WORKPOOL_POST_OPTIONS. */
struct workpool_post_options {
	size_t size;          /* of this struct: a later version may be longer */
	const char *pool;     /* NULL: the handler's own */
	const char *name;     /* for people; NULL: none */
	const char *unique;   /* a key that only one task has until it ends; NULL: none */
	int wait;             /* not 0: the answer comes when the task has ended, and holds it */
	int priority;         /* 0 is first, to 9; this and what follows, -1: not said */
	int retries;          /* attempts that may fail and are tried again */
	int64_t delay_ms;     /* not to be started before */
	int64_t expires_ms;   /* it expires if no worker had it by then */
	int64_t timeout_ms;   /* time limit of each attempt, 0: none */
	int64_t wait_room_ms; /* how long it waits for room in a full queue, 0: not at all */
};
#define WORKPOOL_POST_OPTIONS                                                                      \
	{                                                                                          \
		sizeof(struct workpool_post_options), NULL, NULL, NULL, 0, -1, -1, -1, -1, -1, -1  \
	}

/* Queues a task: the answer has its id and state. args: a JSON object, NULL: none. options: NULL for none. As workpool_call(). */
int workpool_post(struct workpool *wp, const char *handler, const char *args,
	const struct workpool_post_options *options, int timeout_ms,
	struct workpool_reply **ret_reply);
/* Waits until a task has ended: the answer has it as tasks.0. WORKPOOL_TIMED_OUT: it has not ended, and goes on. */
int workpool_wait(
	struct workpool *wp, const char *id, int timeout_ms, struct workpool_reply **ret_reply);

/* --- many calls at a time, and answers in several parts --- */

enum workpool_flags {
	WORKPOOL_MORE = 1,  /* several replies: all but the last have workpool_reply_continues() */
	WORKPOOL_ONEWAY = 2 /* no reply, not even an error */
};

/*
 * Queues a call and never waits. It leaves with the functions below, or when 64 KiB are queued. data: for workpool_reply_data().
 * Replies come in the order of the calls; a call that waits holds back those behind it.
 * WORKPOOL_FULL: 1 MiB waits for the daemon already: workpool_receive(), or if only WORKPOOL_ONEWAY was sent workpool_flush(),
 * makes room. WORKPOOL_CLOSED: replies that came before can still be received.
 */
int workpool_send(
	struct workpool *wp, const char *method, const char *params, unsigned flags, void *data);
int workpool_send_post(struct workpool *wp, const char *handler, const char *args,
	const struct workpool_post_options *options, void *data);
/* The next reply; an error is one, too: workpool_reply_code(). NULL in *ret_reply if it fails. */
int workpool_receive(struct workpool *wp, int timeout_ms, struct workpool_reply **ret_reply);
size_t workpool_pending(const struct workpool *wp); /* calls whose last reply is outstanding */
/* Until all that was sent is with the daemon. WORKPOOL_FULL: replies have to be received first. */
int workpool_flush(struct workpool *wp, int timeout_ms);
/* The same, tells the daemon that no more comes, and waits until it has done all calls and closed. Replies can be received then. */
int workpool_finish(struct workpool *wp, int timeout_ms);

/* --- in an event loop of yours --- */

int workpool_fd(const struct workpool *
		wp); /* for poll(2) and the like, -1: not open; changes with workpool_open() only */
int workpool_events(const struct workpool
		*wp); /* what to wait for: POLLIN, POLLOUT, both, or 0: replies first */
/* Writes and reads what can be without waiting; then workpool_receive(wp, 0, …) until it says WORKPOOL_TIMED_OUT or
 * WORKPOOL_IDLE. If it fails do not wait for the descriptor any more: what came before can be received, then workpool_close().
 * There are no timers to be kept. */
int workpool_process(struct workpool *wp);

/* --- replies: they live as long as you want, also without their connection --- */

void workpool_reply_free(struct workpool_reply *reply);      /* NULL is allowed */
int workpool_reply_code(const struct workpool_reply *reply); /* 0, or what error it is */
const char *workpool_reply_error(
	const struct workpool_reply *reply); /* "org.workpool.AtCapacity"; NULL: none */
const char *workpool_reply_params(
	const struct workpool_reply *reply); /* a JSON object: the result, or the error's numbers */
int workpool_reply_continues(
	const struct workpool_reply *reply); /* 1: another reply to this call comes */
void *workpool_reply_data(const struct workpool_reply *reply); /* what workpool_send() was given */
/* A value inside, as "id", "task.result" or "pools.0.name": a string's characters, of all else the JSON text. NULL: it is not
 * there, or no memory. Lives as long as the reply. */
const char *workpool_reply_text(struct workpool_reply *reply, const char *path);
/* A number or a boolean inside, cut to an integer; otherwise: it is not there, or too large. */
int64_t workpool_reply_int(const struct workpool_reply *reply, const char *path, int64_t otherwise);

#ifdef __cplusplus
}
#endif

#endif
