/*
 * linkmsg: what daemon and host say to each other, seen from the daemon: messages to the board and back. hostlink.c has
 * the bytes.
 */
#ifndef WORKPOOL_NET_LINKMSG_H
#define WORKPOOL_NET_LINKMSG_H

#include "base/mem.h"

struct daemon;
struct hostlink;
struct hostmsg;
struct task;

/* SETUP, every HANDLER, GO. -ENOMEM. */
int linkmsg_setup(struct hostlink *link) MUST_CHECK;
/* One message from a host. -EPROTO, -EBADMSG …: it makes no sense, the host is given up. */
int linkmsg_take(struct hostlink *link, const struct hostmsg *msg) MUST_CHECK;
/* RUN for every task that was started and settled, CANCEL for every one that is to be ended. */
void linkmsg_send_tasks(struct daemon *daemon);
/* RESIZE if the pool's size is not what its shared host was told. Ahead of the tasks for workers that are new. */
void linkmsg_send_size(struct hostlink *link);
/* The host of an active task that was handed over is to tell its output from the beginning. */
void linkmsg_send_follow(const struct task *task);
void linkmsg_send_quit(struct hostlink *link);

#endif
