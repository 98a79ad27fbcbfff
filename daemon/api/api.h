/*
 * api: the methods of the control socket, over net and core. api_open() hangs it into the daemon's hooks.
 */
#ifndef WORKPOOL_API_API_H
#define WORKPOOL_API_API_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "net/conn.h"
#include "wire/scan.h"

struct daemon;
struct hdef;

/* What the kernel keeps programs of tasks in, as a host has told: see HOSTMSG_SANDBOX. */
struct sandbox_news {
	bool is_known;
	uint32_t landlock;
	char *on, *off; /* own */
};

struct api {
	TAILQ_HEAD(, follow) follows; /* owns: tasklog's */
	struct hdef *hdefs;           /* owns: one for each settings->handlers */
	struct scan scan;             /* of the call that is being read */
	struct sandbox_news sandbox;
	struct call_list dead; /* freed by the turn's sweep */
};

int api_open(struct daemon *daemon) MUST_CHECK; /* -ENOMEM */
void api_close(struct daemon *daemon);          /* after the last connection */

#endif
