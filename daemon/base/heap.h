/*
 * heap: binary min-heap of embedded nodes; each node knows its place, so that
 * removing one is O(log n). Keys are 64-bit; equal keys leave in order of `seq`.
 */
#ifndef WORKPOOL_BASE_HEAP_H
#define WORKPOOL_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct heap_node {
	uint64_t key;
	uint64_t seq;
	size_t at; /* place in the heap + 1; 0: in no heap */
};

struct heap {
	struct heap_node **nodes; /* owns the array, borrows the nodes */
	size_t len;
	size_t cap;
};

void heap_init(struct heap *heap);
void heap_done(struct heap *heap); /* the nodes stay their owners' */
/* Room for n nodes: as long as there are no more, heap_insert() cannot fail. -ENOMEM. */
int heap_reserve(struct heap *heap, size_t n) MUST_CHECK;
/* -ENOMEM. The node must be in no heap. */
int heap_insert(struct heap *heap, struct heap_node *node, uint64_t key, uint64_t seq) MUST_CHECK;
/* Does nothing if the node is in no heap. */
void heap_remove(struct heap *heap, struct heap_node *node);
/* The least node, or NULL. */
struct heap_node *heap_min(const struct heap *heap);
bool heap_is_member(const struct heap_node *node);

#endif
