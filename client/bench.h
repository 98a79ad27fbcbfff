/*
 * bench: one run of a load test: n posts over some connections, until all of them have ended. Changes nothing but
 * the marks; how many workers there are is the business of verb_bench.c. Functions return codes as in fault.h.
 */
#ifndef WORKPOOL_CLIENT_BENCH_H
#define WORKPOOL_CLIENT_BENCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "client/link.h"
#include "client/print.h"
#include "client/spread.h"

struct bench_poster;

struct bench {
	struct link *control;         /* borrows: the caller's; for everything but the posts */
	struct print *print;          /* borrows: the caller's; for the progress */
	json_t *post;                 /* owns: the parameters of every Post */
	const char *pool;             /* borrows: the caller's */
	bool may_reset;               /* ResetMarks is allowed to us */
	uint64_t n;                   /* posts in one run */
	struct bench_poster *posters; /* owns */
	size_t n_posters;
	char **ids; /* owns, with the texts: tasks of the run that is under way */
	size_t n_ids;
	double last_ended_at; /* seconds since the epoch */
};

struct bench_run {
	int64_t workers;
	double seconds;                 /* from the first post to the end of the last task */
	int64_t max_active, max_queued; /* not of a steady run */
	uint64_t n_done, n_failed, n_refused;
	uint64_t n_unseen;      /* ended, and forgotten by the daemon before we looked */
	struct spread total_us; /* of the whole time of a task; p999 of a steady run only */
	struct spread run_us;   /* of a steady run only: from its start */
	int64_t late_us;        /* the same: by how much the latest post left behind its time */
};

/* `post` is taken over (NULL: no memory). socket, timeout_us: as link_init(). */
int bench_init(struct bench *bench, struct link *control, struct print *print, json_t *post,
	uint64_t n, size_t n_posters, const char *socket, uint64_t timeout_us) MUST_CHECK;
void bench_done(struct bench *bench);
int bench_run(struct bench *bench, struct bench_run *ret_run) MUST_CHECK;

#endif
