/*
 * mem: the store that keeps nothing: the board in memory is all there is. Delivery is at most once.
 */
#include <errno.h>

#include "store/store.h"

static int mem_commit(struct store *store, const struct board *board)
{
	(void)store;
	(void)board;
	return 0;
}

static void mem_close(struct store *store)
{
	free(store);
}

static const struct store_ops mem_ops = {
	.name = "memory", .commit = mem_commit, .close = mem_close};

int store_mem_open(struct store **ret_store)
{
	struct store *store = calloc(1, sizeof *store);

	if (store == NULL)
		return -ENOMEM;
	store->ops = &mem_ops;
	*ret_store = store;
	return 0;
}
