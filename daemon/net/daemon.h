/*
 * daemon: the one root. Made in main.c, passed down; there are no other globals but the log level
 * and the memory that is kept at hand (base/cell.c).
 */
#ifndef WORKPOOL_NET_DAEMON_H
#define WORKPOOL_NET_DAEMON_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/tailq.h"
#include "config/settings.h"
#include "core/board.h"
#include "net/gate.h"
#include "store/store.h"
#include "wire/hostmsg.h"

struct access;
struct daemon;
struct conn;
struct hostlink;
struct listener;
struct notify;
struct signals;

TAILQ_HEAD(conn_list, conn);
TAILQ_HEAD(hostlink_list, hostlink);

/* The way up: who uses net hangs its functions in here before the first turn. */
struct hooks {
	/* A message, or why there is none: 0, -EBADMSG, -EMSGSIZE, -ETIME (receive_timeout). */
	void (*on_message)(struct conn *conn, struct view message, int error);
	/* What was never sent, whole messages, is not true: what is said instead goes to conn->out. */
	void (*on_take_back)(struct conn *conn, struct view lost);
	void (*on_conn_gone)(
		struct conn *conn); /* from sweep(): the last thing that happens to it */
	/* HELLO, SANDBOX, OFFER, PARAM, REFUSED, READY of a host that starts. -errno: the host is given up. */
	int (*on_hello)(struct hostlink *link, const struct hostmsg *msg);
	void (*on_host_gone)(struct hostlink *link);
	/* What an active task's program wrote, of which somebody wanted to hear: see HOSTMSG_LOG. */
	void (*on_log)(struct daemon *daemon, struct task *task, uint8_t stream, uint64_t total,
		struct view text);
	void (*on_sweep)(struct daemon *daemon); /* the turn's last step: frees what died in it */
};

struct daemon {
	const struct settings *settings; /* owns */
	const char *config_path;         /* borrows: main's; NULL: none */
	uint32_t cores;                  /* that this process may run on */
	struct board *board;             /* owns */
	struct store *store;             /* owns */
	struct gate gate;                /* answers that wait for it */
	struct event_base *base;         /* owns */
	struct event *timer;  /* owns: the one timer, armed for deadline_next() or before */
	uint64_t timer_at_us; /* what it is armed for; UINT64_MAX: not */
	uint64_t turn;        /* turns so far */
	uint64_t now_us;      /* CLOCK_MONOTONIC, read once a turn */
	uint64_t
		wall_offset_us; /* CLOCK_REALTIME is this much ahead of now_us: for display, so that times keep their order */
	uint64_t started_wall_us, started_us;
	struct hooks hooks;
	void *api;                 /* owns: api's own root (api/api.h) */
	struct access *access;     /* owns */
	struct listener *listener; /* owns */
	struct signals *signals;   /* owns */
	struct notify *notify;     /* owns */
	struct conn_list conns;    /* owns */
	struct conn_list
		flush; /* have something to write, or are to be looked at, at the end of the turn */
	struct conn_list ready; /* have whole messages in hand: the next turn does not sleep */
	struct conn_list gone;  /* freed by sweep() */
	uint64_t n_conns, n_refused_conns;
	struct hostlink_list links;   /* owns: of all pools, in all parts */
	struct hostlink_list touched; /* looked at by the next hostlink_flush() */
	struct deadline
		retry; /* set after a commit that failed, and while the store takes no posts */
	struct deadline tend;                 /* set while the store wants to be tended */
	uint64_t n_commits, n_tended_commits; /* so far; when the store was last tended by time */
	struct deadline stop_limit;           /* set while stopping */
	struct deadline patience;             /* set until the socket is served */
	int store_error;                      /* -errno of the last commit, 0: fine */
	bool is_loaded;                       /* the board is as the store held it */
	bool is_tend_due;                     /* the store's time has come */
	bool is_serving;                      /* the socket is served */
	bool is_ready;                        /* every host was up once */
	bool is_leaving; /* all tasks have ended: hosts and clients get their good-bye */
	bool is_killed;  /* hosts were killed to stop */
	bool awake;      /* the next turn does not sleep */
	bool done;       /* leave the loop after this turn */
	int exit_code;
};

#endif
