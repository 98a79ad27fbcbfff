/*
 * host: the program's root and its order of starting: signals, spawner, set-up, threads, until the daemon ends it.
 */
#ifndef WORKPOOL_HOST_HOST_H
#define WORKPOOL_HOST_HOST_H

#include "host/handler.h"
#include "host/link.h"
#include "host/sandbox.h"
#include "host/spawner.h"
#include "host/work.h"

struct host {
	struct link link;
	struct registry registry;
	struct spawner spawner;
	struct sandbox sandbox;
	struct work_pool workers;
	uint32_t n_workers;  /* as SETUP says */
	uint32_t n_handlers; /* that the daemon has told of */
};

/* Serves the daemon at the other end of `fd` until that ends; the process must have one thread. Does not return. */
void host_run(int fd) __attribute__((noreturn));

#endif
