/*
 * cell: a free list for every size. malloc(3) keeps seven blocks of a size at hand; a small call is
 * a tree of forty, so that it went the long way for most of them (glibc's tcache_count can be set in
 * the environment only).
 * Not for other threads, not for what lives long: what is kept is bounded, where it lies is not.
 * Called by jansson, in workpoold. Invariants: a kept cell is on the list of its size; all of them
 * together take at most KEPT_MAX bytes.
 */
#include "base/cell.h"

#include <stdint.h>

#define STEP     16u          /* sizes are multiples of it, and so are addresses, as malloc(3)'s */
#define SIZES    17           /* the largest is 256 bytes; 0 stands for all above */
#define KEPT_MAX (64u * 1024) /* with their heads: a call of some hundred values */

/* The sanitizer shall see every block come and go. */
#if defined(__SANITIZE_ADDRESS__)
#undef KEPT_MAX
#define KEPT_MAX 0u
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#undef KEPT_MAX
#define KEPT_MAX 0u
#endif
#endif

struct cell {
	_Alignas(STEP) size_t size; /* in steps */
	struct cell *next;          /* while it is kept */
};

static struct cell *kept[SIZES];
static size_t kept_bytes;

static size_t bytes_of(size_t size)
{
	return sizeof(struct cell) + size * STEP;
}

void *cell_alloc(size_t bytes)
{
	size_t size = bytes <= (SIZES - 1) * STEP ? (bytes + STEP - 1) / STEP : 0;
	struct cell *cell = kept[size];

	if (cell != NULL) {
		kept[size] = cell->next;
		kept_bytes -= bytes_of(size);
		return cell + 1;
	}
	if (bytes > SIZE_MAX - bytes_of(1))
		return NULL;
	cell = malloc(size > 0 ? bytes_of(size) : sizeof *cell + bytes);
	if (cell == NULL)
		return NULL;
	cell->size = size;
	return cell + 1;
}

void cell_free(void *data)
{
	struct cell *cell = data;

	if (cell == NULL)
		return;
	cell--;
	if (cell->size == 0 || kept_bytes + bytes_of(cell->size) > KEPT_MAX) {
		free(cell);
		return;
	}
	cell->next = kept[cell->size];
	kept[cell->size] = cell;
	kept_bytes += bytes_of(cell->size);
}
