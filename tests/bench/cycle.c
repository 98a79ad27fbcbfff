/*
 * cycle: posts whose tasks are run, in batches: `batch` posts, DEPTH of them outstanding, until the
 * last task has ended. Tasks of a system that hands them out are taken by workers, each a connection
 * of this process.
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
	line_write(&load->poster, call, load->proto->drain(call));
	(void)line_wait(&load->poster);
}

static size_t worker_take(struct load *load, unsigned i, char *out)
{
	load->workers[i].asks = true;
	return load->proto->take(out, i);
}

/* What a worker says to an answer, of at most two calls; counts ends that the server has shown to know. */
static size_t worker_answer(
	struct load *load, unsigned i, const struct said *said, char *out, unsigned *ended)
{
	const struct proto *proto = load->proto;
	struct worker *worker = &load->workers[i];
	size_t len = 0;

	if (said->kind == SAID_WAKE)
		return worker->asks ? 0 : worker_take(load, i, out);
	if (said->kind == SAID_ACK) {
		++*ended;
		return proto->is_stepwise ? worker_take(load, i, out) : 0;
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
	return proto->is_stepwise ? len : len + worker_take(load, i, out + len);
}

/* Returns how many tasks have ended. */
static unsigned worker_serve(struct load *load, unsigned i)
{
	struct line *line = &load->workers[i].line;
	char calls[2 * CALL_MAX];
	struct said said;
	unsigned ended = 0;

	line_read(line);
	while (line_hear(line, &said))
		line_write(line, calls, worker_answer(load, i, &said, calls, &ended));
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
				batch->ended += worker_serve(load, i);
		if (fds[n_workers].revents != 0) {
			batch->open -= line_count(&load->poster);
			batch_send(load, batch);
		}
	}
}

void cycle_start(struct load *load)
{
	char call[CALL_MAX];

	for (unsigned i = 0; i < load->test->n_workers; i++) {
		struct line *line = &load->workers[i].line;

		line_open(line, load->proto, load->address);
		if (load->proto->hello != NULL)
			line_write(line, call, load->proto->hello(call));
		line_write(line, call, worker_take(load, i, call));
	}
}

uint64_t cycle_run(struct load *load, uint64_t until_ns)
{
	uint64_t n = 0;

	do {
		struct batch batch = {.left = load->test->batch};

		batch_send(load, &batch);
		if (load->proto->drain != NULL)
			batch_drain(load, &batch);
		else
			batch_serve(load, &batch);
		n += load->test->batch;
	} while (cpu_now_ns() < until_ns);
	return n;
}
