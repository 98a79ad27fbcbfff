/*
 * line: one connection to a measured server. All input and output blocks: what is outstanding always
 * fits into a socket's buffer. Nothing here fails: a server that does not do its part ends the program.
 */
#ifndef WORKPOOL_BENCH_LINE_H
#define WORKPOOL_BENCH_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto.h"

#define IN_BYTES   65536
#define PATIENCE_S 60 /* for any answer, and for a server to be there */
#define POLL_US    2000

struct line {
	int fd;
	const struct proto *proto; /* borrows: its tables live as long as the program */
	size_t at, len;            /* in[at .. len - 1] has been read and not been understood yet */
	char in[IN_BYTES];
};

/* `address`: a Unix socket's path, or a TCP port of the loopback. Waits until somebody listens there. Its descriptor. */
int line_connect(const char *address);

void line_open(struct line *line, const struct proto *proto, const char *address);

void line_write(const struct line *line, const char *data, size_t len);

/* More bytes, at least one. */
void line_read(struct line *line);

/* The next answer of what has been read; false: there is no whole one. */
bool line_hear(struct line *line, struct said *ret_said);

/* The next answer. */
struct said line_wait(struct line *line);

/* How many answers one read brought, or lay there already; notes do not count. */
unsigned line_count(struct line *line);

/* A TCP port of the loopback where nobody listens. */
unsigned line_free_port(void);

#endif
