/*
 * wait: the only place where wpctl sleeps, and what a signal does to it.
 */
#ifndef WORKPOOL_CLIENT_WAIT_H
#define WORKPOOL_CLIENT_WAIT_H

#include <poll.h>
#include <stdint.h>

#include "base/mem.h"

#define WAIT_FOREVER UINT64_MAX

enum wait_mode {
	WAIT_EXIT, /* a signal ends the program at once with 128 + its number: nothing needs to be put back */
	WAIT_HOLD,   /* a signal ends the wait with -EINTR: the verb puts back what it changed */
	WAIT_SHIELD, /* signals are kept for later: things are being put back */
};

/* SIGINT, SIGTERM, SIGHUP and SIGPIPE are wpctl's from now on. -errno. */
int wait_init(void) MUST_CHECK;
void wait_set_mode(enum wait_mode mode);
/* The exit code for the signal that came while WAIT_HOLD, 0: none came. */
int wait_signal_code(void);

/* As ppoll(2) until `until_us` (CLOCK_MONOTONIC, or WAIT_FOREVER): how many are ready, -errno; 0: look at the clock. */
int wait_poll(struct pollfd *fds, nfds_t n, uint64_t until_us) MUST_CHECK;
/* 0: the time has come; -EINTR. */
int wait_until(uint64_t at_us) MUST_CHECK;
/* now + us, without wrapping; WAIT_FOREVER stays. */
uint64_t wait_deadline(uint64_t us);

#endif
