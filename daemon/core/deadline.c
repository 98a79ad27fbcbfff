/*
 * deadline: see deadline.h.
 */
#include "core/deadline.h"

#include <stddef.h>

void deadlines_init(struct deadlines *all)
{
	heap_init(&all->heap);
	all->seq = 0;
	all->floor_us = 0;
}

void deadlines_done(struct deadlines *all)
{
	heap_done(&all->heap);
}

void deadline_init(struct deadline *deadline, void (*fire)(struct deadline *, uint64_t now_us))
{
	*deadline = (struct deadline){.fire = fire};
}

int deadlines_reserve(struct deadlines *all)
{
	return heap_reserve(&all->heap, all->heap.len + 1);
}

int deadline_set(struct deadlines *all, struct deadline *deadline, uint64_t at_us)
{
	heap_remove(&all->heap, &deadline->node);
	if (at_us < all->floor_us)
		at_us = all->floor_us;
	return heap_insert(&all->heap, &deadline->node, at_us, all->seq++);
}

void deadline_clear(struct deadlines *all, struct deadline *deadline)
{
	heap_remove(&all->heap, &deadline->node);
}

bool deadline_is_set(const struct deadline *deadline)
{
	return heap_is_member(&deadline->node);
}

uint64_t deadline_at(const struct deadline *deadline)
{
	return deadline->node.key;
}

uint64_t deadline_next(const struct deadlines *all)
{
	const struct heap_node *node = heap_min(&all->heap);

	return node != NULL ? node->key : UINT64_MAX;
}

void deadline_run(struct deadlines *all, uint64_t now_us)
{
	struct heap_node *node;

	all->floor_us =
		now_us +
		1; /* what is set from here on belongs to the next run, and keeps nobody from this one */
	while ((node = heap_min(&all->heap)) != NULL && node->key <= now_us) {
		struct deadline *deadline = container_of(node, struct deadline, node);

		heap_remove(&all->heap, node);
		deadline->fire(deadline, now_us);
	}
	all->floor_us = 0;
}
