/*
 * load: one measurement of one server, by one thread. load.c opens and prints; posts.c and cycle.c
 * have what is done meanwhile; outside.c has workers that are processes of their own.
 */
#ifndef WORKPOOL_BENCH_LOAD_H
#define WORKPOOL_BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "figures.h"
#include "line.h"

#define DEPTH       128 /* posts outstanding where there are many */
#define CLIENTS_MAX 16
#define WORKERS_MAX 64
#define SAMPLES_MAX (4u << 20)

struct load;

/* A row of the table in load.c. */
struct test {
	const char *name;
	/* Goes on until then and until nothing is outstanding; returns how many operations that were. */
	uint64_t (*run)(struct load *load, uint64_t until_ns);
	const char *body;   /* of each task */
	unsigned n_clients; /* beside the poster */
	unsigned n_workers; /* who take tasks of a system that hands them out */
	unsigned n_idle;    /* further connections that say nothing */
	unsigned batch;     /* posts, after which a cycle waits until all of them have ended */
	bool is_cycle;      /* tasks are run, and not only posted */
	bool is_outside;    /* by workers that are processes of their own */
	bool is_durable;    /* workpoold tells its flushes */
	bool has_programs;  /* each task is a program */
	bool is_fill;       /* ends after `n_tasks`, and memory is what is measured */
	bool is_idle;       /* nothing is done: wake-ups and memory are */
};

struct worker {
	struct line line;
	bool asks;  /* for a task, without an answer yet */
	bool holds; /* a task whose end it said, and whose hearing was not shown yet */
};

struct outside; /* outside.c */

struct load {
	const struct test *test;   /* borrows: load.c's table */
	const struct proto *proto; /* borrows: proto.c's table */
	const char *address;       /* borrows: argv */
	struct watched watched;
	struct line poster;
	struct line clients[CLIENTS_MAX];
	struct worker workers[WORKERS_MAX];
	struct outside *outside; /* owns; NULL: the workers are here */
	struct samples samples;  /* owns */
	uint64_t n_tasks;
	uint64_t n_posts; /* so far */
	char posts[DEPTH * CALL_MAX];
	size_t post_bytes; /* of each of them */
};

/* Posts `n` tasks, at most DEPTH, in one write. */
void load_post(struct load *load, const struct line *line, unsigned n);

/* The time of an operation, as far as there is room. */
void load_add_sample(struct load *load, uint64_t begun_ns, uint64_t ended_ns);

uint64_t posts_run_latency(struct load *load, uint64_t until_ns);
uint64_t posts_run_throughput(struct load *load, uint64_t until_ns);
uint64_t posts_run_clients(struct load *load, uint64_t until_ns);
uint64_t posts_run_fill(struct load *load, uint64_t until_ns);

/* The workers say that they want a task. */
void cycle_start(struct load *load);
uint64_t cycle_run(struct load *load, uint64_t until_ns);
/* For a task: what a worker says, of at most CALL_MAX bytes; its length. */
size_t cycle_take(struct load *load, unsigned worker, char *out);
/* One read of a worker, and its answers. Returns how many tasks have ended. */
unsigned cycle_serve(struct load *load, unsigned worker);

/* The workers as processes, which end with this one. */
void outside_start(struct load *load);
/* So many more tasks will be posted; all before have ended. */
void outside_expect(struct load *load, unsigned n);
/* Readable when all that were expected have ended; outside_heard() then makes it unreadable. */
int outside_fd(const struct load *load);
void outside_heard(struct load *load);

/* Nothing, until then. */
uint64_t idle_run(struct load *load, uint64_t until_ns);

#endif
