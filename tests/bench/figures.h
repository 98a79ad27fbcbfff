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

#define FIGURES_HOSTS_MAX 16

/* Whose processor time counts, besides this program's own. */
struct watched {
	pid_t server_pid;                           /* 0: there is none */
	clockid_t server, hosts[FIGURES_HOSTS_MAX]; /* their CPU time */
	size_t n_hosts;
	bool has_flushes; /* `flushes` of both marks are known */
	bool is_fill;     /* the server's memory before and after says something */
	int cpu;          /* pinned to; -1: to none */
};

/* Times of single operations. */
struct samples {
	uint32_t *ns; /* owns */
	size_t n;
};

struct mark {
	uint64_t at_ns, server_ns, host_ns, own_ns, busy_ns, kernel_ns;
	uint64_t rss_bytes; /* of the server */
	uint64_t flushes;   /* filled in by who asks the server for it */
};

void figures_begin(const struct watched *watched, struct mark *ret_before);
void figures_end(const struct watched *watched, struct mark *ret_after);

/* The line of `n` operations; sorts the samples. */
void figures_print(const struct watched *watched, const struct mark *before,
	const struct mark *after, struct samples *samples, uint64_t n);

#endif
