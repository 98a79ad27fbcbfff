/*
 * figures: what is compared before and after a measurement, and the line that is printed of it. Called
 * by load.c and disk.c.
 */
#ifndef WORKPOOL_BENCH_FIGURES_H
#define WORKPOOL_BENCH_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define FIGURES_HOSTS_MAX 128

/* Whose processor time counts, besides this program's own. */
struct watched {
	pid_t server; /* 0: there is none */
	pid_t hosts
		[FIGURES_HOSTS_MAX]; /* who runs tasks for it: hosts and their programs, or workers */
	size_t n_hosts;
	bool has_flushes;  /* `flushes` of both marks are known */
	bool has_programs; /* hosts start programs that end: their time counts */
	bool is_idle;      /* wake-ups and memory are what is measured */
	int cpu;           /* pinned to; -1: to none */
	double each_bytes; /* memory that one of what was counted takes; 0: not measured */
};

/* Times of single operations. */
struct samples {
	uint32_t *ns; /* owns */
	size_t n;
};

struct mark {
	uint64_t at_ns, server_ns, host_ns, own_ns, busy_ns, kernel_ns;
	uint64_t wakeups; /* of the server and its hosts */
	uint64_t flushes; /* filled in by who asks the server for it */
};

void figures_begin(const struct watched *watched, struct mark *ret_before);
void figures_end(const struct watched *watched, struct mark *ret_after);

/* The line of `ops` operations; sorts the samples. Who idles does one a minute. */
void figures_print(const struct watched *watched, const struct mark *before,
	const struct mark *after, struct samples *samples, double ops);

#endif
