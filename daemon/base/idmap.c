/*
 * idmap: finds things by their number: the pages of an idtable, children. Linear probing: an id is in the
 * first free place at or behind its home, so a search ends at the first empty place.
 * Not for text keys, not for ids that strangers choose: the hash is no defence against chosen
 * ids. Called by idtable.c and host/. Invariants: cap is a power of two; len <= 3/4 cap; between the
 * home of an id and its place nothing is empty.
 */
#include "base/idmap.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>

#define IDMAP_CAP_MIN 16

struct idmap_entry {
	uint64_t id; /* 0: empty */
	void *value; /* borrows: whoever adds it removes it first */
};

void idmap_init(struct idmap *map)
{
	*map = (struct idmap){0};
}

void idmap_done(struct idmap *map)
{
	free(map->entries);
	idmap_init(map);
}

/*
 * Multiply-shift with 2^64 divided by the golden ratio: ids are given one after the other, and
 * consecutive numbers land far apart, evenly (Knuth, volume 3, 6.4). The upper bits are the
 * good ones.
 */
static size_t home_of(uint64_t id, size_t cap)
{
	return (size_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - __builtin_ctzll(cap)));
}

/* Where the id is, or the empty place where it would go. There is always an empty one. */
static size_t place_of(const struct idmap_entry *entries, size_t cap, uint64_t id)
{
	size_t i = home_of(id, cap);

	while (entries[i].id != 0 && entries[i].id != id)
		i = (i + 1) & (cap - 1);
	return i;
}

static int resize(struct idmap *map, size_t cap)
{
	struct idmap_entry *entries = calloc(cap, sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	for (size_t i = 0; i < map->cap; i++)
		if (map->entries[i].id != 0)
			entries[place_of(entries, cap, map->entries[i].id)] = map->entries[i];
	free(map->entries);
	map->entries = entries;
	map->cap = cap;
	return 0;
}

int idmap_add(struct idmap *map, uint64_t id, void *value)
{
	assert(id != 0 && value);
	/* Before growing: refusing must not cost memory. */
	if (idmap_find(map, id))
		return -EEXIST;
	if (map->len + 1 > map->cap / 4 * 3) {
		int r = resize(map, map->cap ? map->cap * 2 : IDMAP_CAP_MIN);
		if (r < 0)
			return r;
	}
	map->entries[place_of(map->entries, map->cap, id)] = (struct idmap_entry){id, value};
	map->len++;
	return 0;
}

void *idmap_find(const struct idmap *map, uint64_t id)
{
	if (map->len == 0 || id == 0)
		return NULL;
	return map->entries[place_of(map->entries, map->cap, id)].value;
}

/* Closes the gap at `hole`: every entry behind it whose home is not behind it too may move up. */
static void close_gap(struct idmap *map, size_t hole)
{
	size_t mask = map->cap - 1;

	for (size_t i = (hole + 1) & mask; map->entries[i].id != 0; i = (i + 1) & mask) {
		size_t home = home_of(map->entries[i].id, map->cap);
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			map->entries[hole] = map->entries[i];
			hole = i;
		}
	}
	map->entries[hole] = (struct idmap_entry){0};
}

void *idmap_remove(struct idmap *map, uint64_t id)
{
	if (map->len == 0 || id == 0)
		return NULL;
	size_t i = place_of(map->entries, map->cap, id);
	void *value = map->entries[i].value;
	if (!value)
		return NULL;
	close_gap(map, i);
	map->len--;
	/*
	 * At 1/8 to 1/4 full: far from growing again. No memory for the smaller one: the larger
	 * one stays.
	 */
	if (map->cap > IDMAP_CAP_MIN && map->len < map->cap / 8)
		(void)resize(map, map->cap / 2);
	return value;
}
