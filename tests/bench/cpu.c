/*
 * cpu: see cpu.h. Times of processes come from their CPU clocks, exact; those of a whole CPU from
 * proc(5), /proc/stat, in ticks: good for a few percent of half a second.
 */
#include "cpu.h"

#include <dirent.h>
#include <err.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KTHREADD 2 /* the parent of all threads of the kernel */

uint64_t cpu_clock_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) < 0)
		err(1, "clock_gettime");
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t cpu_now_ns(void)
{
	return cpu_clock_ns(CLOCK_MONOTONIC);
}

clockid_t cpu_clock_of(pid_t pid)
{
	clockid_t clock;
	int error = clock_getcpuclockid(pid, &clock);

	if (error != 0)
		errx(1, "the CPU time of process %d: %s", (int)pid, strerror(error));
	return clock;
}

int cpu_pinned_to(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) < 0 || CPU_COUNT(&set) != 1)
		return -1;
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			return (int)cpu;
	return -1;
}

/* The line of /proc/stat that begins with `name`. */
static void read_stat(const char *name, char *ret_line, int size)
{
	FILE *file = fopen("/proc/stat", "re");
	size_t len = strlen(name);
	bool found = false;

	if (file == NULL)
		err(1, "/proc/stat");
	while (!found && fgets(ret_line, size, file) != NULL)
		found = strncmp(ret_line, name, len) == 0 && ret_line[len] == ' ';
	(void)fclose(file);
	if (!found)
		errx(1, "/proc/stat says nothing of \"%s\"", name);
}

uint64_t cpu_busy_ns(int cpu)
{
	unsigned long long user, nice, system, idle, iowait, irq, softirq, steal;
	char name[16] = "cpu", line[512];

	if (cpu >= 0)
		(void)snprintf(name, sizeof name, "cpu%d", cpu);
	read_stat(name, line, sizeof line);
	if (sscanf(line, "%*s %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system,
		    &idle, &iowait, &irq, &softirq, &steal) != 8)
		errx(1, "/proc/stat: %s", line);
	return (user + nice + system + irq + softirq + steal) *
	       (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* The file of a process as a text; false: there is none, or it is gone. */
static bool read_of(const char *pid, const char *name, char *ret_text, int size)
{
	char path[300];
	FILE *file;
	bool has;

	(void)snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	has = fgets(ret_text, size, file) != NULL;
	(void)fclose(file);
	return has;
}

/* The parent of a process; -1: it is gone. */
static int parent_of(const char *pid)
{
	char text[512];
	const char *name_end;
	int parent;

	if (!read_of(pid, "stat", text, sizeof text))
		return -1;
	name_end = strrchr(text, ')'); /* a name may hold anything */
	return name_end != NULL && sscanf(name_end, ") %*c %d", &parent) == 1 ? parent : -1;
}

static void each_child(pid_t pid, void (*take)(const char *child, void *arg), void *arg)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;

	if (proc == NULL)
		err(1, "/proc");
	while ((entry = readdir(proc)) != NULL)
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
			parent_of(entry->d_name) == pid)
			take(entry->d_name, arg);
	(void)closedir(proc);
}

static void add_time(const char *thread, void *sum_ns)
{
	char text[512];
	unsigned long long ns;

	if (read_of(thread, "schedstat", text, sizeof text) && sscanf(text, "%llu", &ns) == 1)
		*(uint64_t *)sum_ns += ns;
}

uint64_t cpu_kernel_ns(void)
{
	uint64_t sum_ns = 0;

	each_child(KTHREADD, add_time, &sum_ns);
	return sum_ns;
}

struct pids {
	pid_t *all;
	size_t n, max;
};

static void add_pid(const char *pid, void *arg)
{
	struct pids *pids = arg;

	if (pids->n == pids->max)
		errx(1, "more than %zu processes", pids->max);
	pids->all[pids->n++] = (pid_t)strtol(pid, NULL, 10);
}

size_t cpu_children(pid_t pid, pid_t *ret_pids, size_t max)
{
	struct pids pids = {.all = ret_pids, .max = max};

	each_child(pid, add_pid, &pids);
	return pids.n;
}

size_t cpu_family(pid_t pid, pid_t *ret_pids, size_t max)
{
	struct pids pids = {.all = ret_pids, .max = max};

	each_child(pid, add_pid, &pids);
	for (size_t i = 0; i < pids.n; i++) /* it grows meanwhile */
		each_child(pids.all[i], add_pid, &pids);
	return pids.n;
}

uint64_t cpu_reaped_ns(pid_t pid)
{
	unsigned long long user, system;
	char name[16], text[512];
	const char *at;

	(void)snprintf(name, sizeof name, "%d", (int)pid);
	if (!read_of(name, "stat", text, sizeof text) || (at = strrchr(text, ')')) == NULL ||
		sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %llu %llu", &user,
			&system) != 2)
		errx(1, "/proc/%s/stat", name);
	return (user + system) * (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* proc(5), statm: pages. */
uint64_t cpu_rss_bytes(pid_t pid)
{
	char name[16], text[128];
	unsigned long long pages;

	(void)snprintf(name, sizeof name, "%d", (int)pid);
	if (!read_of(name, "statm", text, sizeof text) || sscanf(text, "%*u %llu", &pages) != 1)
		errx(1, "/proc/%s/statm", name);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t wakeups_of(const char *path)
{
	unsigned long long n = 0;
	char line[256];
	FILE *file = fopen(path, "re");

	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		(void)sscanf(line, "voluntary_ctxt_switches: %llu", &n);
	if (file != NULL)
		(void)fclose(file);
	return n;
}

uint64_t cpu_wakeups(pid_t pid)
{
	char path[350];
	uint64_t n = 0;
	DIR *threads;
	const struct dirent *entry;

	(void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	threads = opendir(path);
	if (threads == NULL)
		err(1, "%s", path);
	while ((entry = readdir(threads)) != NULL) {
		(void)snprintf(
			path, sizeof path, "/proc/%d/task/%s/status", (int)pid, entry->d_name);
		n += entry->d_name[0] != '.' ? wakeups_of(path) : 0;
	}
	(void)closedir(threads);
	return n;
}
