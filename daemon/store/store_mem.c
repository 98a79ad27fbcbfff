/*
 * store_mem: the store that keeps nothing: the board in memory is all there is. Delivery is at most once.
 */
#include <errno.h>

#include "store/store.h"

static int mem_load(
	struct store *store, struct board *board, uint64_t now_us, uint64_t wall_us, char *ret_why)
{
	(void)store;
	(void)board;
	(void)now_us;
	(void)wall_us;
	(void)ret_why;
	return 0;
}

static int mem_commit(struct store *store, const struct board *board)
{
	(void)store;
	(void)board;
	return 0;
}

static int mem_check(struct store *store)
{
	(void)store;
	return 0;
}

static bool mem_tend(struct store *store, bool is_idle)
{
	(void)store;
	(void)is_idle;
	return false;
}

static void mem_status(struct store *store, struct store_status *ret_status)
{
	(void)store;
	(void)ret_status;
}

static void mem_close(struct store *store, const struct board *board)
{
	(void)board;
	free(store);
}

static const struct store_ops mem_ops = {.name = "memory",
	.load = mem_load,
	.commit = mem_commit,
	.check = mem_check,
	.tend = mem_tend,
	.status = mem_status,
	.close = mem_close};

int store_mem_open(struct store **ret_store)
{
	struct store *store = calloc(1, sizeof *store);

	if (store == NULL)
		return -ENOMEM;
	store->ops = &mem_ops;
	*ret_store = store;
	return 0;
}
