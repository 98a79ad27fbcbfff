/*
 * flush: what a durable post costs, and what its flush costs others. Prints one line, parted by tabs.
 *
 *   flush posts SOCKET FILE POSTERS SECS
 *       POSTERS clients with one post outstanding each, and one client more that asks Show, every millisecond:
 *       posts/s   posts' p50 p99 max   p99 of those with a checkpoint, without   how many had one   Show's p50 p99 max   (us)
 *       FILE is the store's: when it changes there was a checkpoint.
 *   flush disk FILE BYTES SECS
 *       the disk alone: write BYTES over what is there already, fdatasync:
 *       flushes/s   p50 p99 max (us)
 */
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define POSTERS_MAX 1024
#define SAMPLES_MAX (1u << 22)
#define IN_BYTES    65536
#define PATIENCE_MS 20000
#define PACE_US     1000 /* between two of Show */
#define WARM_UP_S   0.3

static const char post[] =
	"{\"method\":\"org.workpool.Post\",\"parameters\":{\"handler\":\"noop\","
	"\"args\":{\"pad\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}}}";
static const char show[] = "{\"method\":\"org.workpool.Show\",\"parameters\":{\"id\":\"1\"}}";

struct samples {
	uint32_t *us;
	size_t n;
};

struct client {
	int fd;
	uint64_t sent_us, due_us;
	struct timespec changed; /* the file, when it was sent */
	bool is_out;
};

static uint64_t now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void add(struct samples *samples, uint64_t us)
{
	if (samples->us == NULL)
		samples->us = malloc(SAMPLES_MAX * sizeof *samples->us);
	if (samples->us == NULL || samples->n == SAMPLES_MAX)
		errx(1, "too many samples");
	samples->us[samples->n++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static unsigned quantile(struct samples *samples, double q)
{
	if (samples->n == 0)
		return 0;
	qsort(samples->us, samples->n, sizeof *samples->us, compare);
	return samples->us[(size_t)(q * (double)(samples->n - 1))];
}

static struct timespec changed_at(const char *path)
{
	struct stat is;

	if (stat(path, &is) < 0)
		err(1, "%s", path);
	return is.st_mtim;
}

static int open_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof address.sun_path)
		errx(1, "%s: too long for a socket", path);
	memcpy(address.sun_path, path, strlen(path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		err(1, "%s", path);
	return fd;
}

static void say(struct client *client, const char *text, const char *file)
{
	size_t len = strlen(text) + 1; /* its NUL ends it */

	client->changed = changed_at(file);
	client->sent_us = now_us();
	client->is_out = true;
	if (send(client->fd, text, len, MSG_NOSIGNAL) != (ssize_t)len)
		err(1, "send");
}

/* One answer is outstanding: the bytes up to its NUL. */
static void hear(struct client *client)
{
	static char in[IN_BYTES];
	size_t len = 0;

	do {
		ssize_t n = recv(client->fd, in + len, sizeof in - len, 0);

		if (n <= 0)
			errx(1, "the daemon closed the connection");
		len += (size_t)n;
	} while (in[len - 1] != '\0' && len < sizeof in);
	if (strstr(in, "\"error\"") != NULL)
		errx(1, "%s", in);
	client->is_out = false;
}

static void run_posts(const char *socket, const char *file, unsigned n_posters, double secs)
{
	static struct client clients[POSTERS_MAX + 1];
	static struct pollfd fds[POSTERS_MAX + 1];
	struct samples all = {0}, with = {0}, without = {0}, others = {0};
	struct client *other = &clients[n_posters];
	uint64_t begun_us = now_us() + (uint64_t)(WARM_UP_S * 1e6);
	uint64_t until_us = begun_us + (uint64_t)(secs * 1e6), at_us;

	for (unsigned i = 0; i <= n_posters; i++) {
		clients[i].fd = open_socket(socket);
		fds[i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
	}
	say(&clients[0], post, file); /* what Show asks for */
	hear(&clients[0]);
	while ((at_us = now_us()) < until_us) {
		for (unsigned i = 0; i < n_posters; i++)
			if (!clients[i].is_out)
				say(&clients[i], post, file);
		if (!other->is_out && at_us >= other->due_us)
			say(other, show, file);
		int wait_ms = other->is_out ? PATIENCE_MS : 1;
		if (poll(fds, n_posters + 1, wait_ms) == 0 && other->is_out)
			errx(1, "nothing to read for %d ms", PATIENCE_MS);
		for (unsigned i = 0; i <= n_posters; i++) {
			struct client *client = &clients[i];
			uint64_t took_us;

			if (fds[i].revents == 0)
				continue;
			hear(client);
			took_us = now_us() - client->sent_us;
			client->due_us = client->sent_us + PACE_US;
			if (client->sent_us < begun_us)
				continue;
			if (client == other) {
				add(&others, took_us);
				continue;
			}
			struct timespec changed = changed_at(file);
			bool is_same = memcmp(&changed, &client->changed, sizeof changed) == 0;
			add(&all, took_us);
			add(is_same ? &without : &with, took_us);
		}
	}
	printf("%.0f\t%u\t%u\t%u\t%u\t%u\t%zu\t%u\t%u\t%u\n", (double)all.n / secs,
		quantile(&all, 0.5), quantile(&all, 0.99), quantile(&all, 1), quantile(&with, 0.99),
		quantile(&without, 0.99), with.n, quantile(&others, 0.5), quantile(&others, 0.99),
		quantile(&others, 1));
}

static void run_disk(const char *file, size_t bytes, double secs)
{
	char *data = calloc(1, bytes);
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct samples all = {0};
	uint64_t until_us;

	if (fd < 0 || data == NULL)
		err(1, "%s", file);
	for (unsigned i = 0; i < 256; i++) /* there to be written over, as the log is */
		if (pwrite(fd, data, bytes, (off_t)(i * bytes)) != (ssize_t)bytes)
			err(1, "%s", file);
	if (fsync(fd) < 0)
		err(1, "%s", file);
	until_us = now_us() + (uint64_t)(secs * 1e6);
	for (unsigned i = 0; now_us() < until_us; i++) {
		uint64_t begun_us = now_us();

		memset(data, (int)i, bytes);
		if (pwrite(fd, data, bytes, (off_t)(i % 256 * bytes)) != (ssize_t)bytes ||
			fdatasync(fd) < 0)
			err(1, "%s", file);
		add(&all, now_us() - begun_us);
	}
	printf("%.0f\t%u\t%u\t%u\n", (double)all.n / secs, quantile(&all, 0.5),
		quantile(&all, 0.99), quantile(&all, 1));
}

int main(int argc, char **argv)
{
	unsigned long n;

	if (argc == 6 && strcmp(argv[1], "posts") == 0) {
		n = strtoul(argv[4], NULL, 10);
		if (n < 1 || n > POSTERS_MAX)
			errx(64, "1 to %d posters", POSTERS_MAX);
		run_posts(argv[2], argv[3], (unsigned)n, strtod(argv[5], NULL));
	} else if (argc == 5 && strcmp(argv[1], "disk") == 0) {
		run_disk(argv[2], strtoul(argv[3], NULL, 10), strtod(argv[4], NULL));
	} else {
		errx(64,
			"usage: flush posts SOCKET FILE POSTERS SECS | flush disk FILE BYTES SECS");
	}
	return 0;
}
