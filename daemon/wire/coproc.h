/*
 * coproc: the lines that a host and a program of type coprocess say to each other; JSON, one object a line.
 *
 *   host -> program   {"id":7,"handler":"resize","worker":0,"attempt":1,"deadline":1764403200.123456,"args":{…}}
 *   program -> host   {"id":7,"permille":250,"note":"a quarter"}    any number of these, then one of
 *                     {"id":7,"result":…}   {"id":7,"error":"why"}
 *
 * Pure. Not for reading and writing the pipes (host/h_coprocess.c).
 */
#ifndef WORKPOOL_WIRE_COPROC_H
#define WORKPOOL_WIRE_COPROC_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"

#define COPROC_WHY_SIZE 256

struct coproc_task {
	uint64_t id;
	struct view handler;
	uint32_t worker;
	uint32_t attempt;
	uint64_t deadline_wall_us; /* since 1970; 0: none */
};

/* The line up to the args, which follow as JSON, then COPROC_TASK_END. -ENOMEM, -EMSGSIZE. */
int coproc_write_task(const struct coproc_task *task, struct buf *out) MUST_CHECK;
#define COPROC_TASK_END "}\n"

enum coproc_type { COPROC_RESULT, COPROC_ERROR, COPROC_PROGRESS };

/* A line of a program. */
struct coproc_line {
	enum coproc_type type;
	uint64_t id;
	struct view result; /* COPROC_RESULT: JSON text; borrows from the line, or from `text` */
	struct view error;  /* COPROC_ERROR: UTF-8 without NUL; borrows from `json` */
	uint32_t permille;  /* COPROC_PROGRESS: 0 to 1000 */
	const char *note;   /* COPROC_PROGRESS: borrows from `json`; NULL: none */
	json_t *json;       /* owns */
	struct buf text;    /* owns */
};

/*
 * A line without its newline. 0: *ret_line is the caller's to give back with coproc_done(). -EBADMSG: ret_why is a phrase
 * in UTF-8 without a full stop; -ENOMEM.
 */
int coproc_parse(
	struct view line, struct coproc_line *ret_line, char ret_why[COPROC_WHY_SIZE]) MUST_CHECK;
void coproc_done(struct coproc_line *line);

#endif
