/*
 * outside: workers of a system that hands its tasks out, each a process, as an application has them.
 * They count ends in memory that all share; whoever counts the last one of a batch wakes the poster.
 */
#include <err.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "load.h"

struct outside {
	atomic_uint_fast64_t ended, expected;
	int fd; /* an eventfd: all that were expected have ended */
};

static void count_ends(struct outside *outside, unsigned n)
{
	uint64_t before = atomic_fetch_add(&outside->ended, n);
	uint64_t expected = atomic_load(&outside->expected);

	if (before < expected && before + n >= expected && eventfd_write(outside->fd, 1) < 0)
		err(1, "eventfd");
}

static _Noreturn void work(struct load *load, unsigned i)
{
	struct line *line = &load->workers[i].line;
	char call[CALL_MAX];

	line_open(line, load->proto, load->address);
	if (load->proto->hello != NULL)
		line_write(line, call, load->proto->hello(call));
	line_write(line, call, cycle_take(load, i, call));
	for (;;)
		count_ends(load->outside, cycle_serve(load, i));
}

void outside_start(struct load *load)
{
	struct outside *outside = mmap(
		NULL, sizeof *outside, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t parent = getpid(), pid;

	if (outside == MAP_FAILED)
		err(1, "mmap");
	outside->fd = eventfd(0, EFD_CLOEXEC);
	if (outside->fd < 0)
		err(1, "eventfd");
	load->outside = outside;
	for (unsigned i = 0; i < load->test->n_workers; i++) {
		pid = fork();
		if (pid < 0)
			err(1, "fork");
		if (pid == 0) {
			if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
				_exit(1);
			work(load, i);
		}
		load->watched.hosts[load->watched.n_hosts++] = pid;
	}
}

void outside_expect(struct load *load, unsigned n)
{
	atomic_fetch_add(&load->outside->expected, n);
}

int outside_fd(const struct load *load)
{
	return load->outside->fd;
}

void outside_heard(struct load *load)
{
	eventfd_t n;

	if (eventfd_read(load->outside->fd, &n) < 0)
		err(1, "eventfd");
}
