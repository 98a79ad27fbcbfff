/*
 * reload: other settings for a board that runs. They have the same handlers and resources at the same places and the same
 * pools in the same order, with new ones behind them (config/reload.h): so nothing of a task changes but the limits that it
 * runs under. What an operator has changed live stays, unless the file says something else than it did before.
 */
#include "core/reload.h"

#include <errno.h>

#include "core/board.h"

/* The limits of all that holds tasks back, as the settings say. */
void reload_set_limits(struct board *board)
{
	const struct settings *settings = board->settings;

	resource_set_limits(&board->total,
		&(struct resource_limits){.max_active = settings->daemon.max_active, .burst = 1});
	for (size_t i = 0; i < settings->n_handlers; i++)
		resource_set_limits(&board->handlers[i].own,
			&(struct resource_limits){
				.max_active = settings->handlers[i].max_active, .burst = 1});
	for (size_t i = 0; i < settings->n_resources; i++) {
		const struct settings_resource *row = &settings->resources[i];

		resource_set_limits(&board->resources[i],
			&(struct resource_limits){.max_active = row->max_active,
				.rate = row->rate,
				.burst = row->burst,
				.breaker_failures = row->breaker_failures,
				.breaker_pause_us = row->breaker_pause_us});
	}
}

static bool rule_is_equal(struct workers_rule a, struct workers_rule b)
{
	return a.number == b.number && a.per_core == b.per_core;
}

static uint32_t workers_of(const struct settings_pool *settings, uint32_t cores)
{
	return settings_workers(settings->workers, cores);
}

/* All that can fail: room for more workers, and the pools that are new, on a list of their own. */
static int reload_reserve(struct board *board, const struct settings *settings, uint32_t cores,
	struct pool_list *ret_fresh)
{
	struct pool *pool;
	size_t n = 0;
	int r = 0;

	TAILQ_FOREACH (pool, &board->pools, link)
		if (r == 0)
			r = slots_reserve(&pool->slots, workers_of(&settings->pools[n++], cores));
	while (r == 0 && n < settings->n_pools) {
		const struct settings_pool *row = &settings->pools[n++];

		r = pool_new(board, row, workers_of(row, cores), &pool);
		if (r == 0)
			TAILQ_INSERT_TAIL(ret_fresh, pool, link);
	}
	return r;
}

/* A pool that stays, or leaves; there is room for its workers. */
static void pool_reload(struct pool *pool, const struct settings_pool *settings, uint32_t cores)
{
	const struct settings_pool *before = pool->settings;
	struct task *task;

	pool->settings = settings;
	pool->leaving = settings->leaving;
	pool->paused &= !pool->leaving; /* what is left runs first */
	while (pool->leaving && (task = TAILQ_FIRST(&pool->room)) != NULL)
		board_refuse(pool->board, task, -ESHUTDOWN);
	if (before->capacity != settings->capacity)
		pool->capacity = settings->capacity;
	if (before->isolation != settings->isolation)
		slots_down_all(&pool->slots); /* until the hosts of the other kind are up */
	if (!rule_is_equal(before->workers, settings->workers))
		pool->is_rule = pool_resize(pool, workers_of(settings, cores)) == 0;
}

static void handler_reload(
	struct board *board, struct handler *handler, const struct settings_handler *settings)
{
	handler->settings = settings;
	handler->own.name = settings->name;
	handler->pool = board_find_pool(board, settings->pool);
}

int board_reload(struct board *board, const struct settings *settings, uint32_t cores)
{
	struct pool_list fresh = TAILQ_HEAD_INITIALIZER(fresh);
	int r = reload_reserve(board, settings, cores, &fresh);
	struct pool *pool;
	size_t n = 0;

	if (r < 0) {
		while ((pool = TAILQ_FIRST(&fresh)) != NULL) {
			TAILQ_REMOVE(&fresh, pool, link);
			pool_free(pool);
		}
		return r;
	}
	TAILQ_FOREACH (pool, &board->pools, link)
		pool_reload(pool, &settings->pools[n++], cores);
	TAILQ_CONCAT(&board->pools, &fresh, link);
	for (size_t i = 0; i < settings->n_handlers; i++)
		handler_reload(board, &board->handlers[i], &settings->handlers[i]);
	for (size_t i = 0; i < settings->n_resources; i++)
		board->resources[i].name = settings->resources[i].name;
	board->settings = settings;
	reload_set_limits(board);
	return 0;
}
