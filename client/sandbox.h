/*
 * sandbox: what the daemon says of the sandbox of its programs, as one line.
 */
#ifndef WORKPOOL_CLIENT_SANDBOX_H
#define WORKPOOL_CLIENT_SANDBOX_H

#include <jansson.h>

#include "base/mem.h"

/* Of a Daemon of the reply to Stats: sandbox becomes {"text":"landlock 7 (files, signals)","lacks":"…"}. An exit code. */
int sandbox_set_text(json_t *daemon) MUST_CHECK;

#endif
