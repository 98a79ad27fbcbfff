/*
 * daemon_fixture: a whole daemon inside of the test: root_open() with a store, hosts and a clock of the test's own.
 * Clients are plain sockets; the test runs every turn itself and speaks for every host.
 *
 * What stands in for the real thing, by being defined here so that the linker never takes it out of the libraries:
 *   spawn_host()                    a child that does nothing; what it would say is said by the test
 *   clock_now_us(), clock_wall_us() real time and what fx_pass() added
 *   send(2), recv(2)                counted and written into the turn's story
 */
#ifndef WORKPOOL_TESTS_DAEMON_FIXTURE_H
#define WORKPOOL_TESTS_DAEMON_FIXTURE_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/clock.h"
#include "net/daemon.h"
#include "net/hostlink.h"
#include "net/hosts.h"
#include "store/store.h"
#include "wire/hostmsg.h"

#define FX_HOSTS   256
#define FX_RUNS    512
#define FX_FDS     1024
#define FX_WAIT_US (10 * US_PER_SEC) /* real time: then a test that waits fails */

/* What a host was told to run. */
struct fx_run {
	uint64_t task;
	uint32_t attempt, worker;
};

/* One start of a pool's host: its process, and the end of the socketpair that would be its own. */
struct fx_host {
	char pool[64];
	pid_t pid;
	int fd;        /* -1: closed */
	int daemon_fd; /* the daemon's end */
	struct buf in;
	struct fx_run runs[FX_RUNS];
	size_t n_runs;
	uint32_t workers;                                   /* as it was last told */
	unsigned n_cancels, n_quits, n_resizes, n_handlers; /* that it was told of */
};

struct fixture {
	struct daemon daemon;
	struct store store;
	int store_error;                /* what commit() answers */
	unsigned commits;               /* that were asked for */
	int flush_error;                /* what flush() answers */
	int done_fd;                    /* the store flushes beside the loop; 0: it does not */
	bool owes_flush;                /* something was committed since the last flush began */
	int end_error;                  /* what end_flush() answers */
	int post_error;                 /* what check() answers */
	int broken;                     /* what broken() answers */
	int tend_error;                 /* what tend() breaks the store with; 0: it does not */
	bool wants_tending;             /* what tend() answers */
	bool tending_flushes;           /* all that is owed */
	unsigned n_tends, n_idle_tends; /* that were asked for */
	uint64_t committed[FX_RUNS];
	size_t n_committed; /* ids of the last one, in order */
	bool is_closed;     /* the store was */
	struct fx_host hosts[FX_HOSTS];
	size_t n_hosts;
	int spawn_error; /* what spawn_host() answers */
	/* The last turn: C a commit that worked, X one that failed, H sent to a host, A sent to a client; F a flush beside the loop began. */
	char story[64];
	unsigned sends[FX_FDS], recvs[FX_FDS]; /* system calls of the last turn, by descriptor */
	uint64_t passed_us;
	uint64_t leap_us; /* added once, between the next two looks at the clock; 0: none */
	unsigned leap_in; /* looks at the clock until then */
	char dir[64], path[96];
	int n_fds; /* open before the daemon was */
};

extern struct fixture fx;

/* config: the text of a file, "" for the defaults. fx_start(): no host is up; fx_open(): all are, and it serves. */
void fx_start(const char *config);
void fx_open(const char *config);
/* fx_open() with a store that flushes beside the loop; and what comes of the flush that is under way: 0 or -errno, for good. */
void fx_open_beside(const char *config);
void fx_end_flush(int error);
/* Checks the sums, takes everything apart, checks that no descriptor and no child is left. */
void fx_close(void);

/* One turn that does not sleep. */
void fx_turn(void);
/* One turn as the daemon would run it; false: it slept until `limit_us` had passed. */
bool fx_turn_wakes(uint64_t limit_us);
/* So much later. */
void fx_pass(uint64_t us);

/* Turns until it is so. */
#define FX_UNTIL(condition)                                                                        \
	do {                                                                                       \
		uint64_t fx_since_us = fx_real_us();                                               \
                                                                                                   \
		while (!(condition)) {                                                             \
			ck_assert_msg(fx_real_us() - fx_since_us < FX_WAIT_US, "waited for %s",    \
				#condition);                                                       \
			(void)fx_turn_wakes(2 * US_PER_MS);                                        \
		}                                                                                  \
	} while (0)
uint64_t fx_real_us(void);

/* A connected client, taken by the daemon. It closes with close(2). */
int client_open(void);
/* Text and a newline. */
void client_say(int fd, const char *text);
void client_write(int fd, const char *data, size_t len);
/* All that is there for it; a NUL shows as '|', the end as "<end>". Good until the next call. */
const char *client_hear(int fd);
unsigned count_words(const char *text, const char *word);

#define CALL(method, params) "{\"method\":\"org.workpool." method "\",\"parameters\":{" params "}}"
#define POST                 CALL("Post", "\"handler\":\"noop\"")
#define POST_WAIT            CALL("Post", "\"handler\":\"noop\",\"wait\":true")
#define POST_OTHER_WAIT      CALL("Post", "\"handler\":\"noop\",\"pool\":\"other\",\"wait\":true")
/* A crash is an end: what a second attempt does is told elsewhere. */
#define TWO_POOLS                                                                                  \
	"[pool default]\nworkers = 2\n[pool other]\nworkers = 2\n[handler noop]\ncrash_max = 1\n"
#define ONE_POOL "[pool default]\nworkers = 2\n"

/* The last host that was started for the pool; fails the test if there is none. */
struct fx_host *host_of(const char *pool);
struct hostlink *link_of(const char *pool);
struct pool *pool_of(const char *pool);
void host_say(struct fx_host *host, const struct hostmsg *msg);
void host_write(struct fx_host *host, const void *data, size_t len);
/* HELLO, an OFFER for the handler noop, READY. */
void host_up(struct fx_host *host);
/* Takes what the daemon said. */
void host_hear(struct fx_host *host);
/* The end of its run number `run`. */
void host_done(struct fx_host *host, size_t run, uint8_t outcome, const char *result);
/* The same, OUTCOME_OK, with a string of `len` bytes for a result. */
void host_done_long(struct fx_host *host, size_t run, size_t len);
/* Its process is dead, and its end of the socket is closed. */
void host_kill(struct fx_host *host);
void host_hang_up(struct fx_host *host);

/* Two pools with two workers each, and two clients who wait for a task each, `here` in default, `there` in other. A task that
 * was alone in a host that died has failed. */
struct scene {
	int here, there;
	struct fx_host *host, *other;
};

struct scene scene_open(void);
void scene_close(struct scene *scene);
uint64_t count_of(const char *pool, enum task_state state);

/* A test that runs with _i from 0 to n - 1. */
struct fx_loop {
	const TTest *test;
	size_t n;
};

int fx_main(const char *name, const TTest *const *tests, size_t n_tests,
	const struct fx_loop *loops, size_t n_loops);

#endif
