/*
 * load TEST SYSTEM SOCKET [SECS [WARM_UP_SECS]]: one measurement of one server that runs already,
 * by one thread. Prints one line, parted by tabs:
 *
 *   operations/s   p50 us   p99 us   server's   host's   all CPU us/op   others' CPU %
 *
 * TEST  latency     one post outstanding; from before its write until its answer has been read
 *       throughput  128 posts outstanding, one write for as many answers as one read brought
 *       cycle       batches of 1,024 posts, 128 outstanding, until the last one has ended. Tasks of
 *                   a system that hands them out are taken by 6 workers, each a connection of this
 *                   process, that say "ended" and "next" in one write: the best that a client of
 *                   such a system can do.
 *
 * "-" is what does not apply. All: this program too. Others: programs that have no part in it, in
 * percent of one CPU; on this one's CPU only, if it is pinned to one.
 *
 * All input and output blocks: what is outstanding always fits into a socket's buffer.
 */
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cpu.h"
#include "proto.h"

#define DEPTH       128
#define BATCH       1024
#define WORKERS     6
#define IN_BYTES    65536
#define SAMPLES_MAX (4u << 20)
#define PATIENCE_S  10 /* for any answer, and for a server to be there */
#define POLL_US     2000

struct line {
	int fd;
	const struct proto *proto;
	size_t at, len; /* in[at .. len - 1] has been read and not been understood yet */
	char in[IN_BYTES];
};

/* What is compared before and after. */
struct mark {
	uint64_t at_ns, server_ns, host_ns, own_ns, busy_ns;
};

struct load {
	const struct proto *proto;
	const char *path;
	struct line poster;
	struct line workers[WORKERS];
	clockid_t server, host; /* their CPU time */
	bool has_host;
	int cpu;           /* pinned to; -1: to none */
	uint32_t *samples; /* owns; ns */
	size_t n_samples;
	char posts[DEPTH * CALL_MAX + CALL_MAX];
	size_t post_bytes;
};

static uint64_t now_ns(void)
{
	return cpu_clock_ns(CLOCK_MONOTONIC);
}

/* One connection. */

static void line_open(struct line *line, const struct proto *proto, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = PATIENCE_S};
	uint64_t until_ns = now_ns() + PATIENCE_S * NS_PER_S;

	if (strlen(path) >= sizeof address.sun_path)
		errx(1, "%s: too long for a socket", path);
	memcpy(address.sun_path, path, strlen(path));
	*line = (struct line){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), .proto = proto};
	if (line->fd < 0)
		err(1, "socket");
	while (connect(line->fd, (struct sockaddr *)&address, sizeof address) < 0) {
		if (now_ns() > until_ns)
			err(1, "%s", path);
		(void)usleep(POLL_US);
	}
	if (setsockopt(line->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
		setsockopt(line->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
		err(1, "setsockopt");
}

static void line_write(const struct line *line, const char *data, size_t len)
{
	ssize_t n;

	for (; len > 0; data += n, len -= (size_t)n) {
		n = send(line->fd, data, len, MSG_NOSIGNAL);
		if (n < 0)
			err(1, "%s: send", line->proto->name);
	}
}

static void line_read(struct line *line)
{
	ssize_t n;

	if (line->at > 0) {
		memmove(line->in, line->in + line->at, line->len - line->at);
		line->len -= line->at;
		line->at = 0;
	}
	if (line->len == sizeof line->in)
		errx(1, "%s: an answer without an end", line->proto->name);
	n = recv(line->fd, line->in + line->len, sizeof line->in - line->len, 0);
	if (n == 0)
		errx(1, "%s closed the connection", line->proto->name);
	if (n < 0)
		err(1, "%s: recv", line->proto->name);
	line->len += (size_t)n;
}

/* The next answer of what has been read; false: there is no whole one. */
static bool line_hear(struct line *line, struct said *ret_said)
{
	const char *in = line->in + line->at;

	*ret_said = line->proto->hear(in, line->len - line->at);
	if (ret_said->kind == SAID_NO)
		errx(1, "%s refused: %.*s", line->proto->name, (int)ret_said->len, in);
	line->at += ret_said->len;
	return ret_said->kind != SAID_PART;
}

static struct said line_wait(struct line *line)
{
	struct said said;

	while (!line_hear(line, &said))
		line_read(line);
	return said;
}

/* Answers that one read brought, or that lay there already. */
static unsigned line_count(struct line *line)
{
	struct said said;
	unsigned n = 0;

	line_read(line);
	while (line_hear(line, &said))
		n++;
	return n;
}

static struct mark mark_now(const struct load *load)
{
	return (struct mark){
		.at_ns = now_ns(),
		.server_ns = cpu_clock_ns(load->server),
		.host_ns = load->has_host ? cpu_clock_ns(load->host) : 0,
		.own_ns = cpu_clock_ns(CLOCK_PROCESS_CPUTIME_ID),
		.busy_ns = cpu_busy_ns(load->cpu),
	};
}

/* workpoold's counters. */

static uint64_t field(const char *text, const char *name)
{
	char key[64];
	const char *found;

	(void)snprintf(key, sizeof key, "\"%s\":", name);
	found = strstr(text, key);
	if (found == NULL)
		errx(1, "Stats says nothing of \"%s\"", name);
	return strtoull(found + strlen(key), NULL, 10);
}

/* Good until the next read. */
static const char *ask_stats(struct load *load)
{
	char call[CALL_MAX];

	struct said said;

	line_write(&load->poster, call, proto_stats(call));
	said = line_wait(&load->poster);
	return load->poster.in + load->poster.at - said.len;
}

static void wait_for_host(struct load *load)
{
	uint64_t until_ns = now_ns() + PATIENCE_S * NS_PER_S;
	const char *stats;

	while (stats = ask_stats(load), strstr(stats, "\"host\":\"up\"") == NULL) {
		if (now_ns() > until_ns)
			errx(1, "the pool's host does not come up");
		(void)usleep(POLL_US);
	}
	load->host = cpu_clock_of((pid_t)field(stats, "host_pid"));
	load->has_host = true;
}

/* The tests: each runs for some time and returns how many operations that were. */

static uint64_t run_latency(struct load *load, uint64_t until_ns)
{
	uint64_t before_ns, after_ns;

	load->n_samples = 0;
	do {
		before_ns = now_ns();
		line_write(&load->poster, load->posts, load->post_bytes);
		(void)line_wait(&load->poster);
		after_ns = now_ns();
		load->samples[load->n_samples++] = (uint32_t)(after_ns - before_ns);
	} while (after_ns < until_ns && load->n_samples < SAMPLES_MAX);
	return load->n_samples;
}

static uint64_t run_throughput(struct load *load, uint64_t until_ns)
{
	uint64_t n = 0;
	unsigned outstanding = DEPTH;

	line_write(&load->poster, load->posts, DEPTH * load->post_bytes);
	while (outstanding > 0) {
		unsigned heard = line_count(&load->poster);

		n += heard;
		if (now_ns() < until_ns)
			line_write(&load->poster, load->posts, heard * load->post_bytes);
		else
			outstanding -= heard;
	}
	return n;
}

/* Posts of a batch. */
struct batch {
	unsigned left; /* to be sent */
	unsigned open; /* sent, not answered */
	unsigned ended;
};

static void batch_send(struct load *load, struct batch *batch)
{
	unsigned n = DEPTH - batch->open;

	if (n > batch->left)
		n = batch->left;
	batch->open += n;
	batch->left -= n;
	line_write(&load->poster, load->posts, n * load->post_bytes);
}

/* The system runs its tasks itself, and says when it is through. */
static void batch_drain(struct load *load, struct batch *batch)
{
	char call[CALL_MAX];

	while (batch->left > 0 || batch->open > 0) {
		batch->open -= line_count(&load->poster);
		batch_send(load, batch);
	}
	line_write(&load->poster, call, load->proto->drain(call));
	(void)line_wait(&load->poster);
}

static void worker_take(struct load *load, unsigned i)
{
	char call[CALL_MAX];

	line_write(&load->workers[i], call, load->proto->take(call, i));
}

/* Returns how many tasks have ended. */
static unsigned worker_serve(struct load *load, unsigned i)
{
	const struct proto *proto = load->proto;
	struct line *line = &load->workers[i];
	char calls[2 * CALL_MAX];
	struct said said;
	unsigned ended = 0;

	line_read(line);
	while (line_hear(line, &said)) {
		size_t len = 0;

		if (said.kind == SAID_ACK || proto->end == NULL)
			ended++;
		if (said.kind == SAID_ACK)
			continue;
		if (proto->end != NULL)
			len = proto->end(calls, i, said.task);
		len += proto->take(calls + len, i);
		line_write(line, calls, len);
	}
	return ended;
}

static void batch_serve(struct load *load, struct batch *batch)
{
	struct pollfd fds[WORKERS + 1];

	for (unsigned i = 0; i < WORKERS; i++)
		fds[i] = (struct pollfd){.fd = load->workers[i].fd, .events = POLLIN};
	fds[WORKERS] = (struct pollfd){.fd = load->poster.fd, .events = POLLIN};
	while (batch->ended < BATCH || batch->open > 0) {
		int n = poll(fds, WORKERS + 1, PATIENCE_S * 1000);

		if (n <= 0)
			errx(1, "%s: nothing to read for %d s", load->proto->name, PATIENCE_S);
		for (unsigned i = 0; i < WORKERS; i++)
			if (fds[i].revents != 0)
				batch->ended += worker_serve(load, i);
		if (fds[WORKERS].revents != 0) {
			batch->open -= line_count(&load->poster);
			batch_send(load, batch);
		}
	}
}

static uint64_t run_cycle(struct load *load, uint64_t until_ns)
{
	uint64_t n = 0;

	do {
		struct batch batch = {.left = BATCH};

		batch_send(load, &batch);
		if (load->proto->drain != NULL)
			batch_drain(load, &batch);
		else
			batch_serve(load, &batch);
		n += BATCH;
	} while (now_ns() < until_ns);
	return n;
}

static const struct test {
	const char *name;
	uint64_t (*run)(struct load *load, uint64_t until_ns);
	bool has_workers;
} tests[] = {
	{"latency", run_latency, false},
	{"throughput", run_throughput, false},
	{"cycle", run_cycle, true},
};

/* From here on: one measurement. */

static const struct test *test_find(const char *name)
{
	for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
		if (strcmp(tests[i].name, name) == 0)
			return &tests[i];
	errx(64, "there is no test \"%s\"", name);
}

static void load_open(struct load *load, const struct test *test)
{
	struct ucred server;
	socklen_t size = sizeof server;

	load->samples = calloc(SAMPLES_MAX, sizeof *load->samples);
	if (load->samples == NULL)
		err(1, "memory");
	load->cpu = cpu_pinned_to();
	line_open(&load->poster, load->proto, load->path);
	/* unix(7): who called listen(). */
	if (getsockopt(load->poster.fd, SOL_SOCKET, SO_PEERCRED, &server, &size) < 0)
		err(1, "SO_PEERCRED");
	load->server = cpu_clock_of(server.pid);
	load->post_bytes = load->proto->post(load->posts);
	for (size_t i = 1; i < DEPTH; i++)
		memcpy(load->posts + i * load->post_bytes, load->posts, load->post_bytes);
	if (load->proto->drain != NULL)
		wait_for_host(load);
	for (unsigned i = 0; test->has_workers && load->proto->take != NULL && i < WORKERS; i++) {
		line_open(&load->workers[i], load->proto, load->path);
		worker_take(load, i);
	}
}

static int compare_samples(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The sample at or below which `percent` of all lie, in us. */
static double percentile(const struct load *load, unsigned percent)
{
	return load->samples[(load->n_samples * percent + 99) / 100 - 1] / 1e3;
}

static void print_figures(const struct load *load, const struct mark *a, const struct mark *b,
	uint64_t n)
{
	double ns = (double)(b->at_ns - a->at_ns), ops = (double)n;
	double server_ns = (double)(b->server_ns - a->server_ns);
	double host_ns = (double)(b->host_ns - a->host_ns);
	double all_ns = (double)(b->own_ns - a->own_ns) + server_ns + host_ns;
	double others = ((double)(b->busy_ns - a->busy_ns) - all_ns) / ns * 100;

	(void)printf("%.0f\t", ops * 1e9 / ns);
	if (load->n_samples > 0)
		(void)printf("%.2f\t%.2f\t", percentile(load, 50), percentile(load, 99));
	else
		(void)printf("-\t-\t");
	(void)printf("%.3f\t", server_ns / ops / 1e3);
	if (load->has_host)
		(void)printf("%.3f\t", host_ns / ops / 1e3);
	else
		(void)printf("-\t");
	(void)printf("%.3f\t%.0f\n", all_ns / ops / 1e3, others > 0 ? others : 0);
}

static uint64_t seconds(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !(value > 0 && value <= 60))
		errx(64, "\"%s\" is no number of seconds up to 60", text);
	return (uint64_t)(value * 1e9);
}

int main(int argc, char **argv)
{
	static struct load load;
	const struct test *test;
	struct mark before, after;
	uint64_t run_ns, warm_ns, done = 0, n;

	if (argc < 4 || argc > 6)
		errx(64, "usage: load TEST SYSTEM SOCKET [SECS [WARM_UP_SECS]]");
	test = test_find(argv[1]);
	load.proto = proto_find(argv[2]);
	load.path = argv[3];
	run_ns = seconds(argc > 4 ? argv[4] : "0.5");
	warm_ns = seconds(argc > 5 ? argv[5] : "0.1");
	if (load.proto == NULL)
		errx(64, "there is no system \"%s\"", argv[2]);
	if (test->has_workers && load.proto->take == NULL && load.proto->drain == NULL)
		errx(64, "%s runs no tasks", argv[2]);
	load_open(&load, test);
	(void)test->run(&load, now_ns() + warm_ns);
	if (test->has_workers && load.has_host)
		done = field(ask_stats(&load), "done");
	before = mark_now(&load);
	n = test->run(&load, before.at_ns + run_ns);
	after = mark_now(&load);
	qsort(load.samples, load.n_samples, sizeof *load.samples, compare_samples);
	if (test->has_workers && load.has_host && field(ask_stats(&load), "done") - done != n)
		errx(1, "%s: not every task ended well", argv[2]);
	print_figures(&load, &before, &after, n);
	return 0;
}
