/*
 * figures: see figures.h; the columns are in the head of load.c.
 */
#include "figures.h"

#include <stdio.h>
#include <stdlib.h>

#include "cpu.h"

#define MIB 1048576.0

/* In nested order, so that neither who reads the times nor the threads of the kernel count as others. */

static uint64_t kernel_ns(const struct watched *watched)
{
	/* Which CPU they were on is told nowhere. */
	return watched->cpu < 0 ? cpu_kernel_ns() : 0;
}

static void read_clocks(const struct watched *watched, struct mark *mark)
{
	if (watched->server > 0)
		mark->server_ns = cpu_clock_ns(cpu_clock_of(watched->server));
	for (size_t i = 0; i < watched->n_hosts; i++) {
		mark->host_ns += cpu_clock_ns(cpu_clock_of(watched->hosts[i]));
		if (watched->has_programs)
			mark->host_ns += cpu_reaped_ns(watched->hosts[i]);
	}
	mark->own_ns = cpu_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static void count_wakeups(const struct watched *watched, struct mark *mark)
{
	if (!watched->is_idle)
		return;
	mark->wakeups = cpu_wakeups(watched->server);
	for (size_t i = 0; i < watched->n_hosts; i++)
		mark->wakeups += cpu_wakeups(watched->hosts[i]);
}

void figures_begin(const struct watched *watched, struct mark *ret_before)
{
	*ret_before = (struct mark){.kernel_ns = kernel_ns(watched)};
	count_wakeups(watched, ret_before);
	ret_before->busy_ns = cpu_busy_ns(watched->cpu);
	read_clocks(watched, ret_before);
	ret_before->at_ns = cpu_now_ns();
}

void figures_end(const struct watched *watched, struct mark *ret_after)
{
	*ret_after = (struct mark){.at_ns = cpu_now_ns()};
	read_clocks(watched, ret_after);
	ret_after->busy_ns = cpu_busy_ns(watched->cpu);
	count_wakeups(watched, ret_after);
	ret_after->kernel_ns = kernel_ns(watched);
}

static int compare_samples(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The sample at or below which `percent` of all lie, in us. */
static double percentile(const struct samples *samples, unsigned percent)
{
	return samples->ns[(samples->n * percent + 99) / 100 - 1] / 1e3;
}

/* The largest of the hosts. */
static uint64_t host_bytes(const struct watched *watched)
{
	uint64_t most = 0;

	for (size_t i = 0; i < watched->n_hosts; i++) {
		uint64_t bytes = cpu_rss_bytes(watched->hosts[i]);

		most = bytes > most ? bytes : most;
	}
	return most;
}

static void print_column(bool is_known, int decimals, double value)
{
	if (is_known)
		(void)printf("%.*f\t", decimals, value);
	else
		(void)printf("-\t");
}

void figures_print(const struct watched *watched, const struct mark *before,
	const struct mark *after, struct samples *samples, double ops)
{
	double ns = (double)(after->at_ns - before->at_ns);
	double server_ns = (double)(after->server_ns - before->server_ns);
	double host_ns = (double)(after->host_ns - before->host_ns);
	double all_ns = (double)(after->own_ns - before->own_ns) + server_ns + host_ns;
	double kernel = (double)(int64_t)(after->kernel_ns - before->kernel_ns);
	double others = ((double)(after->busy_ns - before->busy_ns) - all_ns - kernel) / ns * 100;
	bool is_idle = watched->is_idle, has_hosts = watched->n_hosts > 0;
	bool has_samples = samples->n > 0;

	if (has_samples)
		qsort(samples->ns, samples->n, sizeof *samples->ns, compare_samples);
	print_column(true, 2, ops * 1e9 / ns);
	print_column(has_samples, 2, has_samples ? percentile(samples, 50) : 0);
	print_column(has_samples, 2, has_samples ? percentile(samples, 99) : 0);
	print_column(watched->server > 0, 3, server_ns / ops / 1e3);
	print_column(has_hosts, 3, host_ns / ops / 1e3);
	print_column(true, 3, all_ns / ops / 1e3);
	print_column(true, 0, others > 0 ? others : 0);
	print_column(watched->has_flushes, 4, (double)(after->flushes - before->flushes) / ops);
	print_column(watched->each_bytes > 0, 1, watched->each_bytes);
	print_column(is_idle, 1, (double)(after->wakeups - before->wakeups) / ops);
	print_column(is_idle, 2, is_idle ? (double)cpu_rss_bytes(watched->server) / MIB : 0);
	print_column(is_idle && has_hosts, 2, is_idle ? (double)host_bytes(watched) / MIB : 0);
	(void)printf("\n");
}
