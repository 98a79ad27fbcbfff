/*
 * idtable: values with ids that only grow, found by id and walked in their order. A page holds the values of 64 ids in a
 * row: while most of these are there, one takes 9 bytes, and adding the next touches no other memory. At worst, when each is
 * the last of its page, one takes some 600.
 */
#ifndef WORKPOOL_BASE_IDTABLE_H
#define WORKPOOL_BASE_IDTABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/idmap.h"
#include "base/mem.h"
#include "base/tailq.h"

struct idtable {
	struct idmap by_number;           /* borrows: the pages */
	TAILQ_HEAD(, idtable_page) pages; /* owns, in order; only the last one may be empty */
	size_t len;                       /* values */
	uint64_t last;                    /* the last id that came in */
};

void idtable_init(struct idtable *table);
void idtable_done(struct idtable *table); /* the values stay their owners' */
/* The id must be above 0 and all that ever came in: else -EEXIST. -ENOMEM. The value must not be NULL. */
int idtable_add(struct idtable *table, uint64_t id, void *value) MUST_CHECK;
void *idtable_find(const struct idtable *table, uint64_t id); /* NULL when it is not there */
void *idtable_remove(struct idtable *table, uint64_t id); /* what was there, or NULL; never fails */
void *idtable_above(
	const struct idtable *table, uint64_t id); /* the first one above it, or NULL; 0: of all */
void *idtable_below(const struct idtable *table,
	uint64_t id); /* the last one below it, or NULL; UINT64_MAX: of all */

#endif
