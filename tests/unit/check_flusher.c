/*
 * check_flusher: what it runs it runs once for each begin, in a thread of its own that no signal finds, and both sides see what the
 * other wrote before. Under ThreadSanitizer, too.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/flusher.h"

/* Not atomic: it is the flusher that orders the two sides. */
static struct {
	pthread_t thread;
	int n, result;
	int gate_fd; /* the work ends when something is written to it; -1: at once */
	sigset_t blocked;
} seen;

static int work(void *arg)
{
	char byte;

	ck_assert_ptr_eq(arg, &seen);
	seen.thread = pthread_self();
	seen.n++;
	(void)pthread_sigmask(SIG_BLOCK, NULL, &seen.blocked);
	if (seen.gate_fd >= 0)
		ck_assert_int_eq(read(seen.gate_fd, &byte, 1), 1);
	return seen.result;
}

static struct flusher *open_flusher(void)
{
	struct flusher *flusher;

	seen.gate_fd = -1;
	ck_assert_int_eq(flusher_new(work, &seen, &flusher), 0);
	return flusher;
}

static bool is_readable(const struct flusher *flusher, int wait_ms)
{
	struct pollfd fd = {.fd = flusher_fd(flusher), .events = POLLIN};

	return poll(&fd, 1, wait_ms) == 1;
}

START_TEST(test_flusher_runs_once_for_each_begin)
{
	struct flusher *flusher = open_flusher();
	uint64_t us;

	for (int n = 1; n <= 1000; n++) {
		seen.result = n % 3 == 0 ? -EIO : n;
		flusher_begin(flusher);
		ck_assert(flusher_is_busy(flusher));
		if (n % 2 == 0)
			ck_assert(is_readable(flusher, 10000));
		ck_assert_int_eq(flusher_end(flusher, &us), seen.result);
		ck_assert(!flusher_is_busy(flusher));
		ck_assert_int_eq(seen.n, n);
		ck_assert(!is_readable(flusher, 0));
	}
	ck_assert(!pthread_equal(seen.thread, pthread_self()));
	ck_assert_int_eq(sigismember(&seen.blocked, SIGTERM), 1);
	flusher_free(flusher);
}
END_TEST

START_TEST(test_flusher_is_not_readable_before_the_end)
{
	struct flusher *flusher = open_flusher();
	int fds[2];
	uint64_t us;

	ck_assert_int_eq(pipe(fds), 0);
	seen.gate_fd = fds[0];
	flusher_begin(flusher);
	ck_assert(!is_readable(flusher, 20));
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_assert(is_readable(flusher, 10000));
	ck_assert_int_eq(flusher_end(flusher, &us), 0);
	ck_assert_uint_gt(us, 0);
	flusher_free(flusher);
	(void)close(fds[0]);
	(void)close(fds[1]);
}
END_TEST

START_TEST(test_flusher_is_freed_when_what_is_under_way_has_ended)
{
	struct flusher *flusher = open_flusher();

	flusher_begin(flusher);
	flusher_free(flusher);
	ck_assert_int_eq(seen.n, 1);
	flusher_free(open_flusher()); /* that never worked */
	flusher_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("flusher");
	TCase *tcase = tcase_create("flusher");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_flusher_runs_once_for_each_begin);
	tcase_add_test(tcase, test_flusher_is_not_readable_before_the_end);
	tcase_add_test(tcase, test_flusher_is_freed_when_what_is_under_way_has_ended);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
