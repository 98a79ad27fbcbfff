/*
 * load TEST SYSTEM ADDRESS PID [SECS [WARM_UP_SECS]]: one measurement of one server that runs already.
 * load size SYSTEM ADDRESS PID TASKS: the same, until so many tasks wait.
 * load port: prints a free TCP port.
 *
 * ADDRESS: a Unix socket's absolute path, or a TCP port of the loopback. PID: the server's. Prints one
 * line, each column ended by a tab:
 *
 *   operations/s   p50 us   p99 us   server's   hosts'   all CPU us/op   others' CPU %   flushes/op
 *   bytes of memory for each   wake-ups/op   server's   a host's memory, MiB
 *
 * TEST  latency        one post outstanding; from before its write until its answer has been read
 *       result         one task outstanding; until its poster knows that it has ended. Of a system that
 *                      hands tasks out: until its worker, a connection of this process, knows that
 *                      the system has heard of the end
 *       connections    as latency, beside 10,000 connections that say nothing; memory: of each of them
 *       throughput     128 posts outstanding, one write for as many answers as one read brought
 *       throughput-8   8 clients, each with one post outstanding, who know nothing of each other
 *       cycle          batches of 1,024 posts, 128 outstanding, until the last one has ended. Tasks of
 *                      a system that hands them out are taken by 6 workers, each a connection of this
 *                      process, that say "ended" and "next" in one write, the best that a client of
 *                      such a system can do; or, if it is called stepwise, in two
 *       cycle-1        the same with one worker
 *       cycle-64       the same with 64 workers
 *       outside        the same with 6 workers, each a process
 *       programs       batches of 128; each task is a program that starts and ends
 *       finds          batches of 100; each task asks a server of MongoDB's protocol
 *       durable-1      one client with one post outstanding
 *       durable-16     16 clients, each with one post outstanding, who know nothing of each other
 *       durable-cycle  as cycle, with batches of 512 and with 4 workers
 *       size           posts, 128 outstanding, with arguments of 100 bytes; memory: of each
 *       delayed        the same
 *       idle           nothing; one operation is a minute. Wake-ups are voluntary switches of all
 *                      threads of the server and its hosts
 *
 * "-" is what does not apply. All: this program too. Others: programs that have no part in it, in
 * percent of one CPU; on this one's CPU only, if it is pinned to one. If it is not, the kernel's own
 * threads are not among them: what they do for a disk is part of it. Hosts': with the programs in
 * them; or of workers that are processes. Times of a cycle are those of its batches. Flushes:
 * workpoold's own count.
 */
#include "load.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu.h"

#define CYCLE .run = cycle_run, .is_cycle = true

static const struct test tests[] = {
	{.name = "latency", .run = posts_run_latency, .body = proto_body},
	{.name = "result", CYCLE, .body = proto_body, .n_workers = 1, .batch = 1},
	{.name = "connections", .run = posts_run_latency, .body = proto_body, .n_idle = 10000},
	{.name = "throughput", .run = posts_run_throughput, .body = proto_body},
	{.name = "throughput-8", .run = posts_run_clients, .body = proto_body, .n_clients = 8},
	{.name = "cycle", CYCLE, .body = proto_body, .n_workers = 6, .batch = 1024},
	{.name = "cycle-1", CYCLE, .body = proto_body, .n_workers = 1, .batch = 1024},
	{.name = "cycle-64", CYCLE, .body = proto_body, .n_workers = 64, .batch = 1024},
	{.name = "outside",
		CYCLE,
		.body = proto_body,
		.n_workers = 6,
		.batch = 1024,
		.is_outside = true},
	{.name = "programs", CYCLE, .body = proto_body_none, .batch = 128, .has_programs = true},
	{.name = "finds", CYCLE, .body = proto_body_none, .batch = 100},
	{.name = "idle", .run = idle_run, .body = proto_body, .is_idle = true},
	{.name = "durable-1",
		.run = posts_run_clients,
		.body = proto_body,
		.is_durable = true,
		.n_clients = 1},
	{.name = "durable-16",
		.run = posts_run_clients,
		.body = proto_body,
		.is_durable = true,
		.n_clients = 16},
	{.name = "durable-cycle",
		CYCLE,
		.body = proto_body,
		.is_durable = true,
		.n_workers = 4,
		.batch = 512},
	{.name = "size", .run = posts_run_fill, .body = proto_body_100, .is_fill = true},
	{.name = "delayed", .run = posts_run_fill, .body = proto_body_100, .is_fill = true},
};

static const struct test *test_find(const char *name)
{
	for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
		if (strcmp(tests[i].name, name) == 0)
			return &tests[i];
	errx(64, "there is no test \"%s\"", name);
}

void load_post(struct load *load, const struct line *line, unsigned n)
{
	for (unsigned i = 0; load->proto->stamp != NULL && i < n; i++)
		load->proto->stamp(load->posts + i * load->post_bytes, ++load->n_posts);
	line_write(line, load->posts, n * load->post_bytes);
}

void load_add_sample(struct load *load, uint64_t begun_ns, uint64_t ended_ns)
{
	if (load->samples.n < SAMPLES_MAX)
		load->samples.ns[load->samples.n++] = (uint32_t)(ended_ns - begun_ns);
}

uint64_t idle_run(struct load *load, uint64_t until_ns)
{
	struct timespec until = {
		.tv_sec = (time_t)(until_ns / NS_PER_S), .tv_nsec = (long)(until_ns % NS_PER_S)};

	(void)load;
	if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
		errx(1, "clock_nanosleep");
	return 0;
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

static size_t count_texts(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

/* Of all pools. */
static uint64_t sum_of_hosts(const char *stats)
{
	uint64_t n = 0;

	for (; (stats = strstr(stats, "\"hosts\":")) != NULL; stats++)
		n += field(stats, "hosts");
	return n;
}

/* Until all are up. */
static void wait_for_hosts(struct load *load)
{
	uint64_t until_ns = cpu_now_ns() + PATIENCE_S * NS_PER_S;
	pid_t hosts[FIGURES_HOSTS_MAX];
	const char *stats;

	while (stats = ask_stats(load),
		count_texts(stats, "\"host\":\"up\"") < count_texts(stats, "\"host\":\"")) {
		if (cpu_now_ns() > until_ns)
			errx(1, "the pools' hosts do not come up");
		(void)usleep(POLL_US);
	}
	if (cpu_children(load->watched.server, hosts, FIGURES_HOSTS_MAX) != sum_of_hosts(stats))
		errx(1, "there are not as many hosts as Stats says");
}

/* What workpoold counted: tasks that ended well, and flushes. */
static void ask_counts(struct load *load, uint64_t *ret_done, struct mark *mark)
{
	const char *stats;

	if (!load->proto->is_ours)
		return;
	stats = ask_stats(load);
	*ret_done = field(stats, "done");
	if (load->watched.has_flushes)
		mark->flushes = field(stats, "flushes");
}

/* From here on: one measurement. */

static uint64_t memory_used(const struct load *load)
{
	return cpu_rss_bytes(load->watched.server);
}

/* What each of `n` took since then. */
static void note_memory(struct load *load, uint64_t before_bytes, uint64_t n)
{
	load->watched.each_bytes = (double)(int64_t)(memory_used(load) - before_bytes) / (double)n;
}

/* They are never closed, and never heard of again. */
static void open_idle(struct load *load)
{
	uint64_t before_bytes = memory_used(load);

	for (unsigned i = 0; i < load->test->n_idle; i++)
		(void)line_connect(load->address);
	/* Whoever is answered was accepted, and so were those that came before. */
	line_open(&load->poster, load->proto, load->address);
	load_post(load, &load->poster, 1);
	(void)line_wait(&load->poster);
	note_memory(load, before_bytes, load->test->n_idle);
}

static void load_open(struct load *load)
{
	const struct test *test = load->test;

	load->samples.ns = calloc(SAMPLES_MAX, sizeof *load->samples.ns);
	if (load->samples.ns == NULL)
		err(1, "memory");
	load->watched.cpu = cpu_pinned_to();
	load->watched.is_idle = test->is_idle;
	load->watched.has_programs = test->has_programs;
	load->watched.has_flushes = test->is_durable && load->proto->is_ours;
	line_open(&load->poster, load->proto, load->address);
	load->post_bytes = load->proto->post(load->posts, test->body);
	for (size_t i = 1; i < DEPTH; i++)
		memcpy(load->posts + i * load->post_bytes, load->posts, load->post_bytes);
	if (load->proto->is_ours)
		wait_for_hosts(load);
	if (test->n_idle > 0)
		open_idle(load);
	for (unsigned i = 0; i < test->n_clients; i++)
		line_open(&load->clients[i], load->proto, load->address);
	if (test->is_cycle && load->proto->take != NULL)
		cycle_start(load);
}

static void load_run(struct load *load, uint64_t run_ns, uint64_t warm_ns)
{
	const struct test *test = load->test;
	uint64_t done = 0, done_after = 0, n, flushes, before_bytes = memory_used(load);
	struct mark before = {0}, after;

	if (!test->is_fill)
		(void)test->run(load, cpu_now_ns() + warm_ns);
	/* Now its programs are there, too. */
	if (load->proto->is_ours)
		load->watched.n_hosts =
			cpu_family(load->watched.server, load->watched.hosts, FIGURES_HOSTS_MAX);
	ask_counts(load, &done, &before);
	flushes = before.flushes;
	figures_begin(&load->watched, &before);
	before.flushes = flushes;
	n = test->run(load, before.at_ns + run_ns);
	figures_end(&load->watched, &after);
	ask_counts(load, &done_after, &after);
	if (test->is_fill)
		note_memory(load, before_bytes, n);
	if (test->is_cycle && load->proto->is_ours && done_after - done != n)
		errx(1, "%s: not every task ended well", load->proto->name);
	figures_print(&load->watched, &before, &after, &load->samples,
		test->is_idle ? (double)(after.at_ns - before.at_ns) / 60e9 : (double)n);
}

static uint64_t seconds(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !(value > 0 && value <= 60))
		errx(64, "\"%s\" is no number of seconds up to 60", text);
	return (uint64_t)(value * 1e9);
}

static uint64_t whole(const char *text)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (end == text || *end != '\0' || value == 0)
		errx(64, "\"%s\" is no number above 0", text);
	return value;
}

int main(int argc, char **argv)
{
	static struct load load;
	uint64_t run_ns = 0, warm_ns = 0;

	if (argc == 2 && strcmp(argv[1], "port") == 0)
		return printf("%u\n", line_free_port()) < 0;
	if (argc < 5 || argc > 7)
		errx(64, "usage: load TEST SYSTEM ADDRESS PID [SECS [WARM_UP_SECS]]");
	load.test = test_find(argv[1]);
	load.proto = proto_find(argv[2]);
	load.address = argv[3];
	load.watched.server = (pid_t)whole(argv[4]);
	if (load.proto == NULL)
		errx(64, "there is no system \"%s\"", argv[2]);
	if (load.test->is_cycle && load.proto->take == NULL && !load.proto->is_ours)
		errx(64, "%s runs no tasks", argv[2]);
	if (load.test->is_fill) {
		load.n_tasks = whole(argc > 5 ? argv[5] : "1000000");
	} else {
		run_ns = seconds(argc > 5 ? argv[5] : "0.5");
		warm_ns = seconds(argc > 6 ? argv[6] : "0.1");
	}
	load_open(&load);
	load_run(&load, run_ns, warm_ns);
	return 0;
}
