/*
 * posts: what is done while posts are measured; see load.h and the head of load.c.
 */
#include <err.h>
#include <poll.h>
#include <stdlib.h>

#include "cpu.h"
#include "load.h"

uint64_t posts_run_latency(struct load *load, uint64_t until_ns)
{
	uint64_t begun_ns, now_ns, n = 0;

	load->samples.n = 0;
	do {
		begun_ns = cpu_now_ns();
		load_post(load, &load->poster, 1);
		(void)line_wait(&load->poster);
		now_ns = cpu_now_ns();
		load_add_sample(load, begun_ns, now_ns);
		n++;
	} while (now_ns < until_ns);
	return n;
}

uint64_t posts_run_throughput(struct load *load, uint64_t until_ns)
{
	uint64_t n = 0;
	unsigned outstanding = DEPTH;

	load_post(load, &load->poster, DEPTH);
	while (outstanding > 0) {
		unsigned heard = line_count(&load->poster);

		n += heard;
		if (cpu_now_ns() < until_ns)
			load_post(load, &load->poster, heard);
		else
			outstanding -= heard;
	}
	return n;
}

/* Clients that know nothing of each other: whoever is answered posts again at once. */
uint64_t posts_run_clients(struct load *load, uint64_t until_ns)
{
	unsigned n_clients = load->test->n_clients, outstanding = n_clients;
	struct pollfd fds[CLIENTS_MAX];
	uint64_t begun_ns[CLIENTS_MAX], n = 0;

	load->samples.n = 0;
	for (unsigned i = 0; i < n_clients; i++) {
		fds[i] = (struct pollfd){.fd = load->clients[i].fd, .events = POLLIN};
		begun_ns[i] = cpu_now_ns();
		load_post(load, &load->clients[i], 1);
	}
	while (outstanding > 0) {
		if (poll(fds, n_clients, PATIENCE_S * 1000) <= 0)
			errx(1, "%s: nothing to read for %d s", load->proto->name, PATIENCE_S);
		for (unsigned i = 0; i < n_clients; i++) {
			uint64_t now_ns;

			if (fds[i].revents == 0 || line_count(&load->clients[i]) == 0)
				continue;
			now_ns = cpu_now_ns();
			load_add_sample(load, begun_ns[i], now_ns);
			n++;
			begun_ns[i] = now_ns;
			if (now_ns < until_ns)
				load_post(load, &load->clients[i], 1);
			else
				outstanding--;
		}
	}
	return n;
}

uint64_t posts_run_fill(struct load *load, uint64_t until_ns)
{
	uint64_t left = load->n_tasks;
	unsigned outstanding = 0;

	(void)until_ns; /* it is over when all are there */
	while (left > 0 || outstanding > 0) {
		unsigned n = DEPTH - outstanding;

		if (n > left)
			n = (unsigned)left;
		load_post(load, &load->poster, n);
		left -= n;
		outstanding += n;
		outstanding -= line_count(&load->poster);
	}
	return load->n_tasks;
}
