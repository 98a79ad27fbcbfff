/*
 * sentence: words of ours around the daemon's numbers. Pure: writes into a buf.
 */
#ifndef WORKPOOL_CLIENT_SENTENCE_H
#define WORKPOOL_CLIENT_SENTENCE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/mem.h"

/* The pattern onto the end of `out`, every {word} replaced by that parameter, or by "?". Of alternatives, parted by |,
 * the first one that has all of its parameters, else the last. Not escaped yet. -ENOMEM, -EMSGSIZE. */
int sentence_append(struct buf *out, const char *pattern, const json_t *params) MUST_CHECK;
/* Every {word} of the pattern is there. */
bool sentence_is_full(const char *pattern, const json_t *params) MUST_CHECK;

#endif
