/*
 * heap: a binary min-heap in one array, for timers (key: when) and queues (key: priority).
 * Not for lookups: who has the node can remove it, nobody can search for one.
 * Called by core/. Invariants: nodes[i]->at == i + 1; no node comes before its parent
 * nodes[(i - 1) / 2].
 */
#include "base/heap.h"

#include <assert.h>
#include <errno.h>

#define HEAP_CAP_MIN 16

void heap_init(struct heap *heap)
{
	*heap = (struct heap){0};
}

void heap_done(struct heap *heap)
{
	/*
	 * Nodes that are still in it may outlive the heap, so they must not believe to be in
	 * one.
	 */
	for (size_t i = 0; i < heap->len; i++)
		heap->nodes[i]->at = 0;
	free(heap->nodes);
	heap_init(heap);
}

/* The order of the heap. Two nodes with equal key and seq leave in either order. */
static bool is_before(const struct heap_node *a, const struct heap_node *b)
{
	return a->key < b->key || (a->key == b->key && a->seq < b->seq);
}

/* The only way into the array, so that a node always knows where it is. */
static void place(struct heap *heap, size_t i, struct heap_node *node)
{
	heap->nodes[i] = node;
	node->at = i + 1;
}

/* Moves `node`, for which place i is free, towards the root; returns nothing: the node knows. */
static void sift_up(struct heap *heap, size_t i, struct heap_node *node)
{
	while (i > 0) {
		size_t parent = (i - 1) / 2;
		if (!is_before(node, heap->nodes[parent]))
			break;
		place(heap, i, heap->nodes[parent]);
		i = parent;
	}
	place(heap, i, node);
}

/* The same away from the root. */
static void sift_down(struct heap *heap, size_t i, struct heap_node *node)
{
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= heap->len)
			break;
		if (child + 1 < heap->len && is_before(heap->nodes[child + 1], heap->nodes[child]))
			child++;
		if (!is_before(heap->nodes[child], node))
			break;
		place(heap, i, heap->nodes[child]);
		i = child;
	}
	place(heap, i, node);
}

int heap_reserve(struct heap *heap, size_t n)
{
	size_t cap = heap->cap ? heap->cap : HEAP_CAP_MIN;

	if (n <= heap->cap)
		return 0;
	/* Doubled: an insert costs O(1) copies on average. */
	while (cap < n)
		cap *= 2;
	/* reallocarray(3) sees the overflow of the product. */
	struct heap_node **nodes = reallocarray(heap->nodes, cap, sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	heap->nodes = nodes;
	heap->cap = cap;
	return 0;
}

int heap_insert(struct heap *heap, struct heap_node *node, uint64_t key, uint64_t seq)
{
	assert(!heap_is_member(node));
	int r = heap_reserve(heap, heap->len + 1);
	if (r < 0)
		return r;
	node->key = key;
	node->seq = seq;
	sift_up(heap, heap->len++, node);
	return 0;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	if (!heap_is_member(node))
		return;
	size_t i = node->at - 1;
	/* In this heap, not in another: the caller mixed two up. */
	assert(i < heap->len && heap->nodes[i] == node);
	node->at = 0;
	struct heap_node *last = heap->nodes[--heap->len];
	if (last == node)
		return;
	/*
	 * The last one fills the gap; it may belong above it, when the gap was in another
	 * branch.
	 */
	if (i > 0 && is_before(last, heap->nodes[(i - 1) / 2]))
		sift_up(heap, i, last);
	else
		sift_down(heap, i, last);
}

struct heap_node *heap_min(const struct heap *heap)
{
	return heap->len ? heap->nodes[0] : NULL;
}

bool heap_is_member(const struct heap_node *node)
{
	return node->at != 0;
}
