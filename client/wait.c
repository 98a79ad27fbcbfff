/*
 * wait: sleeping and signals. Called by link.c and by the verbs that wait for a time.
 * Invariant: the signals are blocked whenever the mode is not WAIT_EXIT, but for the moment inside ppoll(2) under
 * WAIT_HOLD; so none is lost between looking and sleeping.
 */
#include "client/wait.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};

/* A signal handler has no argument of ours: these two are the program's only variables outside a function. */
static volatile sig_atomic_t is_held;
static volatile sig_atomic_t caught;

static enum wait_mode mode_now = WAIT_EXIT;

static void on_signal(int signal)
{
	if (!is_held)
		_exit(128 + signal);
	caught = signal;
}

static sigset_t signal_set(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaddset(&set, signals[i]);
	return set;
}

int wait_init(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct sigaction before;

	(void)sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		if (sigaction(signals[i], &action, &before) < 0)
			return -errno;
		/* nohup(1) asked for it. */
		if (signals[i] == SIGHUP && before.sa_handler == SIG_IGN &&
			sigaction(SIGHUP, &before, NULL) < 0)
			return -errno;
	}
	wait_set_mode(WAIT_EXIT);
	return 0;
}

void wait_set_mode(enum wait_mode mode)
{
	sigset_t set = signal_set();

	mode_now = mode;
	is_held = mode != WAIT_EXIT;
	/* Fails for a wrong first argument only. */
	(void)sigprocmask(mode == WAIT_EXIT ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
}

int wait_signal_code(void)
{
	return caught ? 128 + caught : 0;
}

int wait_poll(struct pollfd *fds, nfds_t n, uint64_t until_us)
{
	uint64_t now_us = clock_now_us();
	uint64_t us = until_us > now_us ? until_us - now_us : 0;
	struct timespec span = {
		.tv_sec = (time_t)(us / US_PER_SEC),
		.tv_nsec = (long)(us % US_PER_SEC) * 1000,
	};
	sigset_t inside;

	if (mode_now == WAIT_HOLD && caught)
		return -EINTR;
	if (sigprocmask(SIG_BLOCK, NULL, &inside) < 0)
		return -errno;
	for (size_t i = 0; mode_now == WAIT_HOLD && i < ARRAY_SIZE(signals); i++)
		(void)sigdelset(&inside, signals[i]);
	int r = ppoll(fds, n, until_us == WAIT_FOREVER ? NULL : &span, &inside);
	/* Interrupted by something that is not ours: as if nothing had happened yet. */
	if (r < 0 && errno == EINTR && !(mode_now == WAIT_HOLD && caught))
		return 0;
	return r < 0 ? -errno : r;
}

int wait_until(uint64_t at_us)
{
	while (clock_now_us() < at_us) {
		int r = wait_poll(NULL, 0, at_us);
		if (r < 0)
			return r;
	}
	return 0;
}

uint64_t wait_deadline(uint64_t us)
{
	uint64_t now_us = clock_now_us();

	return us < WAIT_FOREVER - now_us ? now_us + us : WAIT_FOREVER;
}
