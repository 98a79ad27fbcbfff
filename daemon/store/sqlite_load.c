/*
 * sqlite_load: see sqlite_load.h. A task whose pool or handler is not configured stays in the file as it is: nobody here knows it, and a
 * start that knows them again has it. SQLite says itself when a page makes no sense; every page of the tasks is read here, in order.
 */
#include "store/sqlite_load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/settings.h"
#include "core/board.h"
#include "core/handler.h"
#include "core/restore.h"
#include "store/sqlite_row.h"

struct loading {
	struct sqlite_db *db;
	struct board *board;
	struct restore restore;
	uint64_t now_us, wall_us, max_id;
	struct pool *pool;       /* the last row's: mostly the next one's, too */
	struct handler *handler; /* the same */
	char *what;              /* what is wrong */
};

static bool find_places(
	struct loading *loading, struct restored *row, const char *pool, const char *handler)
{
	if (loading->pool == NULL || strcmp(loading->pool->settings->name, pool) != 0)
		loading->pool = board_find_pool(loading->board, pool);
	if (loading->handler == NULL || strcmp(loading->handler->settings->name, handler) != 0)
		loading->handler = board_find_handler(loading->board, handler);
	row->pool = loading->pool;
	row->handler = loading->handler;
	return row->pool != NULL && row->handler != NULL;
}

/* With a calendar that was set back nothing waits longer than it was told to. */
static void limit_delay(struct restored *row, uint64_t now_us)
{
	uint64_t most_us =
		row->attempt == 0 ? row->delay_us : row->handler->settings->backoff_max_us;

	if (row->state == TASK_DELAYED && row->due_us > now_us && row->due_us - now_us > most_us)
		row->due_us = now_us + most_us;
}

static int load_row(struct loading *loading, sqlite3_stmt *statement)
{
	const char *pool, *handler;
	struct restored row;
	int r;

	sqlite_row_read(statement, loading->now_us, loading->wall_us, &row, &pool, &handler);
	if (sqlite3_errcode(loading->db->db) == SQLITE_NOMEM)
		return -ENOMEM;
	loading->max_id = row.id > loading->max_id ? row.id : loading->max_id;
	if (!find_places(loading, &row, pool, handler)) {
		loading->db->unknown++;
		return 0;
	}
	limit_delay(&row, loading->now_us);
	r = restore_task(&loading->restore, &row);
	if (r == -EBADMSG) {
		(void)snprintf(loading->what, STORE_WHY_SIZE, "task %llu makes no sense",
			(unsigned long long)row.id);
		return -EUCLEAN;
	}
	return r;
}

/* Every row of a query. */
static int load_rows(
	struct loading *loading, const char *sql, int (*load)(struct loading *, sqlite3_stmt *))
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(loading->db->db, sql, -1, &statement, NULL), r = 0;

	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	for (; code == SQLITE_ROW && r == 0; code = r == 0 ? sqlite3_step(statement) : SQLITE_DONE)
		r = load(loading, statement);
	if (r == 0 && code != SQLITE_DONE) {
		(void)snprintf(
			loading->what, STORE_WHY_SIZE, "%s", sqlite3_errmsg(loading->db->db));
		r = sqlite_db_error(loading->db, code);
	}
	(void)sqlite3_finalize(statement); /* says again what step() said */
	return r;
}

const char *sqlite_load_owner(
	const char *kind, const char *name, char ret_owner[SQLITE_LOAD_OWNER_SIZE])
{
	(void)snprintf(ret_owner, SQLITE_LOAD_OWNER_SIZE, "%s %s", kind, name);
	return ret_owner;
}

/* A name that is no state and no counter is a later program's: it stays. */
static void take_number(
	struct counters *counters, uint64_t count[TASK_STATES], const char *name, uint64_t value)
{
	enum task_state state = task_state_by_name(name);

	if (state >= TASK_DONE && state < TASK_STATES)
		count[state] = value;
	for (size_t i = 0; i < stats_n_counters; i++)
		if (strcmp(stats_counters[i].name, name) == 0)
			*(uint64_t *)(void *)((char *)counters + stats_counters[i].offset) = value;
}

static int load_number(struct loading *loading, sqlite3_stmt *statement)
{
	const char *owner = (const char *)sqlite3_column_text(statement, 0);
	const char *name = (const char *)sqlite3_column_text(statement, 1);
	sqlite3_int64 value = sqlite3_column_int64(statement, 2);
	uint64_t number = value > 0 ? (uint64_t)value : 0;
	struct handler *handler;
	struct pool *pool;

	if (owner == NULL || name == NULL)
		return -ENOMEM;
	if (owner[0] == '\0' && strcmp(name, "last_id") == 0) {
		loading->db->last_id = number;
	} else if (strncmp(owner, "pool ", 5) == 0 &&
		   (pool = board_find_pool(loading->board, owner + 5)) != NULL) {
		take_number(&pool->saved.counters, pool->saved.count, name, number);
	} else if (strncmp(owner, "handler ", 8) == 0 &&
		   (handler = board_find_handler(loading->board, owner + 8)) != NULL) {
		struct counters none = {0};

		take_number(&none, handler->saved_count, name, number);
	}
	return 0;
}

static int load_all(struct loading *loading)
{
	struct board *board = loading->board;
	struct pool *pool;
	int r = load_rows(loading, sqlite_row_select, load_row);

	if (r == 0)
		r = load_rows(loading, "SELECT owner, name, value FROM number", load_number);
	if (r < 0)
		return r;
	TAILQ_FOREACH (pool, &board->pools, link)
		restore_pool(pool);
	for (size_t i = 0; i < board->settings->n_handlers; i++)
		restore_handler(&board->handlers[i]);
	return restore_finish(&loading->restore,
		loading->max_id > loading->db->last_id ? loading->max_id : loading->db->last_id);
}

static void tell(const struct loading *loading, uint64_t took_us)
{
	const struct restore_counts *counts = &loading->restore.counts;

	log_info("restored",
		"%s: %llu tasks wait, %llu of them were running and run again, %llu were lost, "
		"%llu cancelled, %llu have ended; in %llu ms",
		loading->db->path, (unsigned long long)counts->waiting,
		(unsigned long long)counts->again, (unsigned long long)counts->lost,
		(unsigned long long)counts->cancelled, (unsigned long long)counts->ended,
		(unsigned long long)(took_us / US_PER_MS));
	if (loading->db->unknown > 0)
		log_warning("unknown_tasks",
			"%s: %llu tasks are kept whose pool or handler is not in the configuration",
			loading->db->path, (unsigned long long)loading->db->unknown);
}

int sqlite_load(struct sqlite_db *db, struct board *board, uint64_t now_us, uint64_t wall_us,
	char *ret_what)
{
	struct loading loading = {
		.db = db, .board = board, .now_us = now_us, .wall_us = wall_us, .what = ret_what};
	uint64_t begun_us = clock_now_us();
	int r;

	(void)snprintf(ret_what, STORE_WHY_SIZE, "out of memory");
	restore_init(&loading.restore, board, now_us);
	r = load_all(&loading);
	if (r == 0)
		tell(&loading, clock_now_us() - begun_us);
	restore_done(&loading.restore);
	return r;
}
