/*
 * setup: the conversation before the first task.
 *
 *   daemon -> host   SETUP, PRIVATE …, HANDLER …, GO
 *   host -> daemon   HELLO, STARTING …, SANDBOX, OFFER (PARAM …) …, REFUSED …, READY
 */
#ifndef WORKPOOL_HOST_SETUP_H
#define WORKPOOL_HOST_SETUP_H

#include "host/host.h"

/* Reads up to GO and makes the offers; the answers gather in link->out. -EPIPE: the daemon is gone; -EPROTO, -EBADMSG … */
int setup_take(struct host *host) MUST_CHECK;
/* READY behind the answers: the first thread that has nothing else to do sends them. */
int setup_finish(struct host *host) MUST_CHECK;

#endif
