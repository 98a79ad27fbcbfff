/*
 * cycle: posts whose tasks are run, in batches: `batch` posts, DEPTH of them outstanding, until the
 * last task has ended. Tasks of a system that hands them out are taken by workers, each a connection
 * of this process, or a process of its own (outside.c).
 */
#include <err.h>
#include <poll.h>

#include "cpu.h"
#include "load.h"

struct batch {
	unsigned left; /* posts to be sent */
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
	load_post(load, &load->poster, n);
}

/* The system runs its tasks itself, and says when it is through. */
static void batch_drain(struct load *load, struct batch *batch)
{
	char call[CALL_MAX];

	while (batch->left > 0 || batch->open > 0) {
		batch->open -= line_count(&load->poster);
		batch_send(load, batch);
	}
	if (load->proto->drain == NULL)
		return;
	line_write(&load->poster, call, load->proto->drain(call));
	(void)line_wait(&load->poster);
}

size_t cycle_take(struct load *load, unsigned worker, char *out)
{
	load->workers[worker].asks = true;
	return load->proto->take(out, worker);
}

/* What a worker says to an answer, of at most two calls; counts ends that the server has shown to know. */
static size_t worker_answer(
	struct load *load, unsigned i, const struct said *said, char *out, unsigned *ended)
{
	const struct proto *proto = load->proto;
	struct worker *worker = &load->workers[i];
	size_t len = 0;

	if (said->kind == SAID_WAKE)
		return worker->asks ? 0 : cycle_take(load, i, out);
	if (said->kind == SAID_ACK) {
		++*ended;
		return proto->is_stepwise ? cycle_take(load, i, out) : 0;
	}
	*ended += worker->holds;
	worker->holds = worker->asks = false;
	if (said->kind == SAID_NONE)
		return proto->sleep(out);
	if (proto->end == NULL) {
		++*ended;
	} else {
		len = proto->end(out, i, said->task);
		worker->holds = proto->is_end_silent;
	}
	return proto->is_stepwise ? len : len + cycle_take(load, i, out + len);
}

unsigned cycle_serve(struct load *load, unsigned worker)
{
	struct line *line = &load->workers[worker].line;
	char calls[2 * CALL_MAX];
	struct said said;
	unsigned ended = 0;

	line_read(line);
	while (line_hear(line, &said))
		line_write(line, calls, worker_answer(load, worker, &said, calls, &ended));
	return ended;
}

static void batch_serve(struct load *load, struct batch *batch)
{
	unsigned n_workers = load->test->n_workers;
	struct pollfd fds[WORKERS_MAX + 1];

	for (unsigned i = 0; i < n_workers; i++)
		fds[i] = (struct pollfd){.fd = load->workers[i].line.fd, .events = POLLIN};
	fds[n_workers] = (struct pollfd){.fd = load->poster.fd, .events = POLLIN};
	while (batch->ended < load->test->batch || batch->open > 0) {
		int n = poll(fds, n_workers + 1, PATIENCE_S * 1000);

		if (n <= 0)
			errx(1, "%s: nothing to read for %d s", load->proto->name, PATIENCE_S);
		for (unsigned i = 0; i < n_workers; i++)
			if (fds[i].revents != 0)
				batch->ended += cycle_serve(load, i);
		if (fds[n_workers].revents != 0) {
			batch->open -= line_count(&load->poster);
			batch_send(load, batch);
		}
	}
}

/* The workers are elsewhere. */
static void batch_await(struct load *load, struct batch *batch)
{
	struct pollfd fds[] = {{.fd = outside_fd(load), .events = POLLIN},
		{.fd = load->poster.fd, .events = POLLIN}};
	bool is_ended = false;

	while (!is_ended || batch->open > 0) {
		if (poll(fds, 2, PATIENCE_S * 1000) <= 0)
			errx(1, "%s: nothing to read for %d s", load->proto->name, PATIENCE_S);
		if (fds[1].revents != 0) {
			batch->open -= line_count(&load->poster);
			batch_send(load, batch);
		}
		if (fds[0].revents != 0) {
			outside_heard(load);
			is_ended = true;
		}
	}
}

void cycle_start(struct load *load)
{
	char call[CALL_MAX];

	if (load->test->is_outside) {
		outside_start(load);
		return;
	}
	for (unsigned i = 0; i < load->test->n_workers; i++) {
		struct line *line = &load->workers[i].line;

		line_open(line, load->proto, load->address);
		if (load->proto->hello != NULL)
			line_write(line, call, load->proto->hello(call));
		line_write(line, call, cycle_take(load, i, call));
	}
}

uint64_t cycle_run(struct load *load, uint64_t until_ns)
{
	uint64_t begun_ns, now_ns, n = 0;

	load->samples.n = 0;
	do {
		struct batch batch = {.left = load->test->batch};

		begun_ns = cpu_now_ns();
		if (load->outside != NULL)
			outside_expect(load, load->test->batch);
		batch_send(load, &batch);
		if (load->proto->take == NULL)
			batch_drain(load, &batch);
		else if (load->outside != NULL)
			batch_await(load, &batch);
		else
			batch_serve(load, &batch);
		now_ns = cpu_now_ns();
		load_add_sample(load, begun_ns, now_ns);
		n += load->test->batch;
	} while (now_ns < until_ns);
	return n;
}
