/*
 * cpu: who used how much processor time. Called by figures.c before and after a measurement.
 */
#ifndef WORKPOOL_BENCH_CPU_H
#define WORKPOOL_BENCH_CPU_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

uint64_t cpu_clock_ns(clockid_t clock);

/* CLOCK_MONOTONIC. */
uint64_t cpu_now_ns(void);

/* The CPU time of all threads of a process, to the nanosecond. */
clockid_t cpu_clock_of(pid_t pid);

/* What its children used that have ended and whose end it knows, and their children; in ticks. */
uint64_t cpu_reaped_ns(pid_t pid);

/* The children of a process, or with theirs and so on, at most so many; how many there are. */
size_t cpu_children(pid_t pid, pid_t *ret_pids, size_t max);
size_t cpu_family(pid_t pid, pid_t *ret_pids, size_t max);

/* What it has in memory (RSS). */
uint64_t cpu_rss_bytes(pid_t pid);

/* How often its threads that are there were given a CPU after a wait (voluntary switches). */
uint64_t cpu_wakeups(pid_t pid);

/* The one CPU that this process may be on; -1: there are several. */
int cpu_pinned_to(void);

/* What all programs used of that CPU, or with -1 of all together, and what the hypervisor took. */
uint64_t cpu_busy_ns(int cpu);

/* What the kernel's own threads used that are there, on all CPUs. */
uint64_t cpu_kernel_ns(void);

#endif
