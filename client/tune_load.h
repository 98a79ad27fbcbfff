/*
 * tune_load: measures a pool for tune.h: sets its size, and keeps so many tasks under way that no worker waits for one, or posts
 * bursts. Called by verb_tune.c. Functions return codes as in fault.h.
 */
#ifndef WORKPOOL_CLIENT_TUNE_LOAD_H
#define WORKPOOL_CLIENT_TUNE_LOAD_H

#include "client/load.h"
#include "client/print.h"
#include "client/sizing.h"
#include "client/tune.h"

struct tune_load {
	struct load load;
	struct sizing *sizing;            /* borrows: the caller's */
	struct print *print;              /* the same; for the progress */
	uint64_t burst;                   /* tasks in a burst; 0: a steady load */
	uint64_t start_us;                /* of it all */
	uint64_t n_windows;               /* posts of each have its number */
	const struct tune_window *window; /* borrows: the one that is measured */
	uint64_t n_settled, n_ended,
		n_failed; /* of the window; ended: failed ones and those while it settles, too */
	uint64_t n_all;   /* ended, since the start */
	uint64_t post_from_us; /* not before, because the queue was full */
	uint64_t *ends_us;     /* own; of the tasks that count */
	int64_t *runs_us;
	size_t n_ends, n_room;
	char failed_id[32]; /* the latest that failed */
};

/* options: on_end and arg are ours. burst: tasks in one, 0: a steady load. */
int tune_load_init(struct tune_load *tune_load, struct sizing *sizing, struct print *print,
	struct load_options options, uint64_t burst) MUST_CHECK;
/* After load_clear(), where the daemon can be reached. */
void tune_load_done(struct tune_load *tune_load);
/* As tune_measure and the clock of tune_run(): arg is the tune_load. */
int tune_load_measure(
	void *arg, const struct tune_window *window, struct tune_sample *ret_sample) MUST_CHECK;
uint64_t tune_load_elapsed_us(void *arg);

#endif
