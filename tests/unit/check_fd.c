/* check_fd: descriptors, whole reads and writes. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

START_TEST(test_fd_close_keeps_errno_and_returns_minus_one)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	errno = E2BIG;
	ck_assert_int_eq(fd_close(fds[0]), -1);
	ck_assert_int_eq(fd_close(-1), -1);
	ck_assert_int_eq(errno, E2BIG);
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), -1);
	fd_close(fds[1]);
}
END_TEST

START_TEST(test_fd_auto_closes_at_the_end_of_the_scope)
{
	int kept, fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	{
		auto_fd int a = fds[0];
		auto_fd int b = fds[1];
		kept = take_fd(b);
		ck_assert_int_eq(b, -1);
		ck_assert_int_ge(a, 0);
	}
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), -1);
	ck_assert_int_ge(fcntl(kept, F_GETFD), 0);
	fd_close(kept);
}
END_TEST

START_TEST(test_fd_set_nonblock_sets_the_flag_or_says_why_not)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(fd_set_nonblock(fds[0]), 0);
	ck_assert(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	ck_assert_int_eq(fd_set_nonblock(-1), -EBADF);
	fd_close(fds[0]);
	fd_close(fds[1]);
}
END_TEST

#define LARGE ((size_t)3 * 1024 * 1024)

static void *read_everything(void *arg)
{
	int fd = *(int *)arg;
	char *data = NULL;
	size_t len;

	return fd_read_all(fd, LARGE, &data, &len) == 0 && len == LARGE ? data : NULL;
}

/*
 * More than any pipe or socket holds, so that there are short writes; non-blocking, so that
 * there is EAGAIN.
 */
static void check_passes_whole(int from, int to)
{
	auto_free char *sent = malloc(LARGE);
	pthread_t reader;
	void *got;

	ck_assert_ptr_nonnull(sent);
	for (size_t i = 0; i < LARGE; i++)
		sent[i] = (char)(i * 31 >> 3);
	ck_assert_int_eq(fd_set_nonblock(to), 0);
	ck_assert_int_eq(pthread_create(&reader, NULL, read_everything, &from), 0);
	ck_assert_int_eq(fd_write_all(to, sent, LARGE), 0);
	fd_close(to);
	ck_assert_int_eq(pthread_join(reader, &got), 0);
	ck_assert_ptr_nonnull(got);
	ck_assert_int_eq(memcmp(got, sent, LARGE), 0);
	free(got);
	fd_close(from);
}

START_TEST(test_fd_write_all_passes_more_than_a_pipe_holds)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	check_passes_whole(fds[0], fds[1]);
}
END_TEST

START_TEST(test_fd_write_all_passes_more_than_a_socket_holds)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	check_passes_whole(fds[0], fds[1]);
}
END_TEST

START_TEST(test_fd_write_all_to_a_socket_whose_peer_is_gone_is_epipe_without_signal)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fd_close(fds[0]);
	ck_assert_ptr_ne(signal(SIGPIPE, SIG_DFL), SIG_ERR);
	ck_assert_int_eq(fd_write_all(fds[1], "x", 1), -EPIPE);
	fd_close(fds[1]);
}
END_TEST

START_TEST(test_fd_write_all_says_what_is_wrong)
{
	ck_assert_int_eq(fd_write_all(-1, "x", 1), -EBADF);
	ck_assert_int_eq(fd_write_all(-1, NULL, 0), 0);
	auto_fd int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(full, 0);
	ck_assert_int_eq(fd_write_all(full, "x", 1), -ENOSPC);
}
END_TEST

/* A file in memory with `len` bytes of 'a', read position at its start. */
static int file_of(size_t len)
{
	int fd = memfd_create("check_fd", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	for (size_t i = 0; i < len; i++)
		ck_assert_int_eq(write(fd, "a", 1), 1);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

START_TEST(test_fd_receive_takes_memory_for_what_came_up_to_the_limit)
{
	struct buf in;
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	buf_init(&in, 1000);
	ck_assert_int_eq(fd_receive(fds[0], &in), -EAGAIN);
	ck_assert_ptr_null(in.data);
	ck_assert_int_eq(write(fds[1], "abc", 3), 3);
	ck_assert_int_eq(fd_receive(fds[0], &in), 3);
	ck_assert_uint_lt(in.cap, 1000);
	ck_assert_int_eq(fd_write_all(fds[1], (char[1000]){"de"}, 1000), 0);
	ck_assert_int_eq(fd_receive(fds[0], &in), 997);
	ck_assert_int_eq(fd_receive(fds[0], &in), -EMSGSIZE);
	ck_assert_uint_eq(buf_len(&in), 1000);
	ck_assert_str_eq(buf_view(&in).data, "abcde");
	/* What did not fit was not lost. */
	buf_consume(&in, 10);
	ck_assert_int_eq(fd_receive(fds[0], &in), 3);
	fd_close(fds[1]);
	ck_assert_int_eq(fd_receive(fds[0], &in), 0);
	ck_assert_int_eq(fd_receive(-1, &in), -EBADF);
	buf_done(&in);
	fd_close(fds[0]);
}
END_TEST

START_TEST(test_fd_read_all_takes_exactly_the_limit_and_not_one_more)
{
	static const size_t lens[] = {0, 1, 4095, 4096, 4097, 8191, 8192, 8193};

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		char *data = NULL;
		size_t len = 0;
		int fd = file_of(lens[i]);
		ck_assert_int_eq(fd_read_all(fd, lens[i], &data, &len), 0);
		ck_assert_uint_eq(len, lens[i]);
		ck_assert_uint_eq(strlen(data), lens[i]);
		free(data);
		if (lens[i] > 0) {
			data = NULL;
			ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
			ck_assert_int_eq(fd_read_all(fd, lens[i] - 1, &data, &len), -EFBIG);
			ck_assert_ptr_null(data);
			ck_assert_uint_eq(len, lens[i]);
		}
		fd_close(fd);
	}
}
END_TEST

START_TEST(test_fd_read_all_without_limit_reads_a_short_file)
{
	char *data = NULL;
	size_t len;
	auto_fd int fd = file_of(10);

	ck_assert_int_eq(fd_read_all(fd, SIZE_MAX, &data, &len), 0);
	ck_assert_uint_eq(len, 10);
	free(data);
}
END_TEST

START_TEST(test_fd_read_all_says_what_is_wrong)
{
	char *data = NULL;
	size_t len = 5;
	auto_fd int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_eq(fd_read_all(folder, 10, &data, &len), -EISDIR);
	ck_assert_int_eq(fd_read_all(-1, 10, &data, &len), -EBADF);
	ck_assert_ptr_null(data);
	ck_assert_uint_eq(len, 5);
}
END_TEST

START_TEST(test_fd_flush_folder_of_a_name_that_need_not_be_there)
{
	char name[] = "/tmp/workpool-test-XXXXXX";
	int fd = mkstemp(name);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fd_flush_folder_of(name), 0);
	ck_assert_int_eq(unlink(name), 0);
	ck_assert_int_eq(fd_flush_folder_of(name), 0);
	ck_assert_int_eq(fd_flush_folder_of("name"), 0);
	ck_assert_int_eq(fd_flush_folder_of("/tmp/no-such-folder-of-workpool/name"), -ENOENT);
	ck_assert_int_eq(fd_flush_folder_of("/proc/self/status"), 0); /* has no flush of folders */
	(void)fd_close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fd");
	TCase *tcase = tcase_create("fd");

	tcase_add_test(tcase, test_fd_close_keeps_errno_and_returns_minus_one);
	tcase_add_test(tcase, test_fd_auto_closes_at_the_end_of_the_scope);
	tcase_add_test(tcase, test_fd_set_nonblock_sets_the_flag_or_says_why_not);
	tcase_add_test(tcase, test_fd_write_all_passes_more_than_a_pipe_holds);
	tcase_add_test(tcase, test_fd_write_all_passes_more_than_a_socket_holds);
	tcase_add_test(
		tcase, test_fd_write_all_to_a_socket_whose_peer_is_gone_is_epipe_without_signal);
	tcase_add_test(tcase, test_fd_write_all_says_what_is_wrong);
	tcase_add_test(tcase, test_fd_receive_takes_memory_for_what_came_up_to_the_limit);
	tcase_add_test(tcase, test_fd_read_all_takes_exactly_the_limit_and_not_one_more);
	tcase_add_test(tcase, test_fd_read_all_without_limit_reads_a_short_file);
	tcase_add_test(tcase, test_fd_read_all_says_what_is_wrong);
	tcase_add_test(tcase, test_fd_flush_folder_of_a_name_that_need_not_be_there);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
