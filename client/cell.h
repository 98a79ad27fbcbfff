/*
 * cell: one value of a reply as text, by its kind. Pure but for the local time zone and the present time.
 */
#ifndef WORKPOOL_CLIENT_CELL_H
#define WORKPOOL_CLIENT_CELL_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/mem.h"
#include "client/print.h"

/* Onto the end of `out`; on a terminal with units. -ENOMEM, -EMSGSIZE. */
int cell_append(
	enum print_kind kind, bool is_terminal, const json_t *value, struct buf *out) MUST_CHECK;
/* Aligned to the right on a terminal. */
bool cell_is_right(enum print_kind kind);

#endif
