/*
 * disk FILE [SECS [WARM_UP_SECS]]: the floor under every server that answers when a post is on the disk:
 * write(2) of 100 bytes, fdatasync(2), one after the other, in a file that was written before, so that no
 * flush is about its size. Prints what load prints.
 */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu.h"
#include "figures.h"

#define RECORD      100
#define FILE_BYTES  (4 << 20)
#define SAMPLES_MAX (1u << 20)

static int prepare(const char *path)
{
	static char zeros[65536];
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		err(1, "%s", path);
	for (off_t at = 0; at < FILE_BYTES; at += (off_t)sizeof zeros)
		if (pwrite(fd, zeros, sizeof zeros, at) != (ssize_t)sizeof zeros)
			err(1, "%s", path);
	if (fsync(fd) < 0)
		err(1, "%s: fsync", path);
	return fd;
}

static uint64_t run(int fd, struct samples *samples, uint64_t until_ns)
{
	uint64_t begun_ns = cpu_now_ns(), now_ns, n = 0;
	char record[RECORD];
	off_t at = 0;

	memset(record, 'x', sizeof record);
	samples->n = 0;
	do {
		if (pwrite(fd, record, sizeof record, at) != RECORD || fdatasync(fd) < 0)
			err(1, "write and fdatasync");
		at += RECORD;
		if (at + RECORD > FILE_BYTES)
			at = 0;
		now_ns = cpu_now_ns();
		if (samples->n < SAMPLES_MAX)
			samples->ns[samples->n++] = (uint32_t)(now_ns - begun_ns);
		begun_ns = now_ns;
		n++;
	} while (now_ns < until_ns);
	return n;
}

int main(int argc, char **argv)
{
	struct watched watched = {.cpu = cpu_pinned_to()};
	struct samples samples = {.ns = calloc(SAMPLES_MAX, sizeof *samples.ns)};
	struct mark before, after;
	uint64_t n;
	int fd;

	if (argc < 2 || argc > 4)
		errx(64, "usage: disk FILE [SECS [WARM_UP_SECS]]");
	if (samples.ns == NULL)
		err(1, "memory");
	fd = prepare(argv[1]);
	(void)run(fd, &samples,
		cpu_now_ns() + (uint64_t)(strtod(argc > 3 ? argv[3] : "0.1", NULL) * 1e9));
	figures_begin(&watched, &before);
	n = run(fd, &samples,
		before.at_ns + (uint64_t)(strtod(argc > 2 ? argv[2] : "0.5", NULL) * 1e9));
	figures_end(&watched, &after);
	figures_print(&watched, &before, &after, &samples, (double)n);
	free(samples.ns);
	return 0;
}
