/*
 * flusher: see flusher.h.
 */
#include "store/flusher.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/fd.h"

#define STACK_BYTES (128u * 1024)

enum word { WORD_WORK = 1, WORD_LEAVE = 2 };

struct flusher {
	int (*work)(void *arg);
	void *arg;
	pthread_t thread;
	int go_fd, done_fd; /* own; a word to the thread; 1 from it */
	bool has_thread;
	bool is_busy; /* the loop's: from begin to end */
	int result;   /* the thread's while it is busy, as the next */
	uint64_t us;
};

/* Of a descriptor of our own, that blocks: it cannot fail but for a signal. */
static eventfd_t hear(int fd)
{
	eventfd_t word = 0;

	while (eventfd_read(fd, &word) < 0 && errno == EINTR)
		;
	return word;
}

static void say(int fd, eventfd_t word)
{
	while (eventfd_write(fd, word) < 0 && errno == EINTR)
		;
}

static void *run(void *arg)
{
	struct flusher *flusher = arg;

	while (hear(flusher->go_fd) == WORD_WORK) {
		uint64_t begun_us = clock_now_us();

		flusher->result = flusher->work(flusher->arg);
		flusher->us = clock_now_us() - begun_us;
		say(flusher->done_fd, 1);
	}
	return NULL;
}

static int start(struct flusher *flusher)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int error = pthread_attr_init(&attr);

	if (error != 0)
		return -error;
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited */
	error = pthread_create(&flusher->thread, &attr, run, flusher);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	flusher->has_thread = error == 0;
	return -error;
}

int flusher_new(int (*work)(void *arg), void *arg, struct flusher **ret_flusher)
{
	struct flusher *flusher = calloc(1, sizeof *flusher);
	int r;

	if (flusher == NULL)
		return -ENOMEM;
	flusher->work = work;
	flusher->arg = arg;
	flusher->go_fd = eventfd(0, EFD_CLOEXEC);
	flusher->done_fd = eventfd(0, EFD_CLOEXEC);
	r = flusher->go_fd < 0 || flusher->done_fd < 0 ? -errno : start(flusher);
	if (r < 0)
		flusher_free(flusher);
	else
		*ret_flusher = flusher;
	return r;
}

void flusher_free(struct flusher *flusher)
{
	if (flusher == NULL)
		return;
	if (flusher->is_busy)
		(void)hear(flusher->done_fd);
	if (flusher->has_thread) {
		say(flusher->go_fd, WORD_LEAVE);
		(void)pthread_join(flusher->thread, NULL);
	}
	(void)fd_close(flusher->go_fd);
	(void)fd_close(flusher->done_fd);
	free(flusher);
}

void flusher_begin(struct flusher *flusher)
{
	flusher->is_busy = true;
	say(flusher->go_fd, WORD_WORK);
}

bool flusher_is_busy(const struct flusher *flusher)
{
	return flusher->is_busy;
}

int flusher_fd(const struct flusher *flusher)
{
	return flusher->done_fd;
}

int flusher_end(struct flusher *flusher, uint64_t *ret_us)
{
	(void)hear(flusher->done_fd);
	flusher->is_busy = false;
	*ret_us = flusher->us;
	return flusher->result;
}
