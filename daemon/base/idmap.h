/*
 * idmap: 64-bit id -> pointer; open addressing, at most 3/4 full, no tombstones
 * (an entry that goes lets the ones behind it move up). Id 0 is not allowed.
 */
#ifndef WORKPOOL_BASE_IDMAP_H
#define WORKPOOL_BASE_IDMAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct idmap_entry;

struct idmap {
	struct idmap_entry *entries; /* owns */
	size_t len;
	size_t cap; /* a power of two, or 0 */
};

void idmap_init(struct idmap *map);
void idmap_done(struct idmap *map); /* the values stay their owners' */
/* -ENOMEM; -EEXIST when the id is there already; the value must not be NULL. */
int idmap_add(struct idmap *map, uint64_t id, void *value) MUST_CHECK;
/* NULL when it is not there. */
void *idmap_find(const struct idmap *map, uint64_t id);
/* Returns what was there, or NULL. Never fails; gives memory back when the map is mostly empty. */
void *idmap_remove(struct idmap *map, uint64_t id);

#endif
