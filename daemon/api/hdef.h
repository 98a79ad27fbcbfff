/*
 * hdef: what the hosts say they can run: each handler's parameters, so that a post is checked without a line of handler
 * code in the daemon. A host's words are collected until it is READY, then adopted.
 */
#ifndef WORKPOOL_API_HDEF_H
#define WORKPOOL_API_HDEF_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "wire/hostmsg.h"
#include "wire/param.h"

struct daemon;
struct hostlink;

struct hdef {
	bool is_known;        /* some host was READY with it */
	bool is_checked;      /* `params` are all that there are */
	char *text;           /* owns: one line for people */
	char *refused; /* owns: why its own pool's host, the last that came up, does not run it; NULL: it does */
	struct param *params; /* owns, and their strings */
	size_t n_params;
};

/* HELLO, SANDBOX, OFFER, PARAM, READY, REFUSED: the hook for linkmsg.c. -EPROTO, -ENOMEM: the host is given up. */
int hdef_on_hello(struct hostlink *link, const struct hostmsg *msg) MUST_CHECK;
/* What a host said that did not get READY. */
void hdef_forget(struct hostlink *link);
void hdef_done(struct hdef *hdef);
/* As param_read() for a post's args. */
int hdef_check(const struct hdef *hdef, const json_t *args, const char **ret_param,
	char ret_why[PARAM_WHY_SIZE]) MUST_CHECK;

#endif
