/*
 * tune_print: what `wpctl tune` found, as a table, a sentence, JSON. Pure: into a buf, knows no terminal. Called by verb_tune.c.
 */
#ifndef WORKPOOL_CLIENT_TUNE_PRINT_H
#define WORKPOOL_CLIENT_TUNE_PRINT_H

#include <jansson.h>

#include "base/buf.h"
#include "client/tune.h"

/* A row for each size of the fine search. for_people: aligned, with units and bars; else parted by tabs. -ENOMEM, -EMSGSIZE. */
int tune_print_table(
	struct buf *out, const struct tune *tune, bool for_people, bool has_legend) MUST_CHECK;
/* "use 20 workers: 98.9 % ± 0.8 of the best (24), 17 % fewer", or why there is no such number. No newline. The same errors. */
int tune_print_sentence(struct buf *out, const struct tune *tune) MUST_CHECK;
/* How fast a size is, as part of the best one, and the standard error of that. */
double tune_print_part(const struct tune *tune, const struct tune_point *point);
double tune_print_part_error(const struct tune *tune, const struct tune_point *point);
/* NULL: no memory. */
json_t *tune_print_to_json(const struct tune *tune);

#endif
