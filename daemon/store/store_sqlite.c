/*
 * store_sqlite: tasks in a file: the operations that the daemon calls. One transaction a turn, however many tasks changed in it.
 *
 * What must be on the disk before what leaves (else a power cut makes it untrue), for the promise of workpoold(8):
 *
 *   a post, a retry that somebody asked for    before its answer: the task would be gone, or ended as before
 *   that somebody cancelled an active task     before its answer, and before its worker is asked: it would run again
 *   an end                                     before its answer, and before it is told to whoever waits: it would run again
 *   a start of a handler with on_crash = lost  before its hand-over: it would run twice, for nobody would know of the first time
 *   what comes back of such a task             as its start: it would be lost though it may run
 *   any other start, and what comes back       not at all: after a power cut it runs again either way, as promised, and only its attempts
 *                                              are counted from an earlier one
 *   a delay that is over, what was forgotten   not at all: the same happens again
 *
 * So commit() puts the turn into the log, where it survives the daemon's death; the starts that need no more are handed over; and
 * flush() waits for the disk, if there is one of the first five, while they run already. A turn without them reaches the disk with the
 * next one that is flushed. A log is read from its beginning and in order, so nothing can be there without all that was before it.
 * SQLite itself (synchronous = NORMAL) only flushes round a checkpoint.
 *
 * Numbers (how many tasks have ended, counters) are written with the tasks that changed them, those of a refusal with the next.
 */
#include "store/store_sqlite.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "config/settings.h"
#include "core/board.h"
#include "core/handler.h"
#include "store/flusher.h"
#include "store/sqlite_flush.h"
#include "store/sqlite_load.h"
#include "store/sqlite_row.h"
#include "store/sqlite_tend.h"

static struct sqlite_db *db_of(struct store *store)
{
	return container_of(store, struct sqlite_db, store);
}

static bool must_flush(const struct task *task)
{
	bool was_ended = task->saved >= TASK_DONE,
	     is_once = task->handler->settings->on_crash == ON_CRASH_LOST;
	bool was_active = task->saved == TASK_ACTIVE, is_active = task->state == TASK_ACTIVE;
	bool is_asked = (task->news & 1u << EV_ASK) != 0;

	return task->saved == TASK_NEW || task_is_ended(task) || was_ended || is_asked ||
	       (is_once && (was_active || is_active));
}

static int write_counts(struct sqlite_db *db, const char *owner, const uint64_t count[TASK_STATES],
	const uint64_t saved[TASK_STATES])
{
	int r = 0;

	for (unsigned state = TASK_DONE; r == 0 && state < TASK_STATES; state++)
		if (count[state] != saved[state])
			r = sqlite_row_write_number(
				db, owner, task_state_name((enum task_state)state), count[state]);
	return r;
}

static int write_pool(struct sqlite_db *db, const struct pool *pool)
{
	char owner[SQLITE_LOAD_OWNER_SIZE];
	int r;

	(void)sqlite_load_owner("pool", pool->settings->name, owner);
	r = write_counts(db, owner, pool->count, pool->saved.count);
	for (size_t i = 0; r == 0 && i < stats_n_counters; i++) {
		size_t offset = stats_counters[i].offset;
		uint64_t is, was;

		if (offset == offsetof(struct counters, posted))
			continue; /* the sum of all the others and of what waits and runs: a post writes no number */
		memcpy(&is, (const char *)&pool->stats.counters + offset, sizeof is);
		memcpy(&was, (const char *)&pool->saved.counters + offset, sizeof was);
		if (is != was)
			r = sqlite_row_write_number(db, owner, stats_counters[i].name, is);
	}
	return r;
}

static int write_handler(struct sqlite_db *db, const struct handler *handler)
{
	char owner[SQLITE_LOAD_OWNER_SIZE];

	(void)sqlite_load_owner("handler", handler->settings->name, owner);
	return write_counts(db, owner, handler->count, handler->saved_count);
}

/* With the last row goes what the file knows of the ids that were given away. */
static bool is_last_id_due(const struct sqlite_db *db, const struct board *board)
{
	const struct task *last = board_below(board, UINT64_MAX);

	return (last == NULL || last->id < board->last_id) && board->last_id != db->last_id &&
	       !TAILQ_EMPTY(&board->forgotten);
}

static int write_forgotten(struct sqlite_db *db, const struct board *board)
{
	const struct task *task;
	int r = 0;

	TAILQ_FOREACH (task, &board->forgotten, in_place)
		if (r == 0)
			r = sqlite_row_forget(db, task);
	if (r == 0 && is_last_id_due(db, board))
		r = sqlite_row_write_number(db, "", "last_id", board->last_id);
	return r;
}

static int write_all(struct sqlite_db *db, const struct board *board)
{
	const struct task *task;
	int r = sqlite_db_run(db, SQL_BEGIN);

	TAILQ_FOREACH (task, &board->dirty, in_dirty)
		if (r == 0)
			r = sqlite_row_write(db, task);
	TAILQ_FOREACH (task, &board->dirty, in_dirty) {
		const struct task *next = TAILQ_NEXT(task, in_dirty);

		if (r == 0 && (next == NULL || next->pool != task->pool))
			r = write_pool(db, task->pool);
		if (r == 0 && (next == NULL || next->handler != task->handler))
			r = write_handler(db, task->handler);
	}
	if (r == 0)
		r = write_forgotten(db, board);
	return r;
}

static int take_back(struct sqlite_db *db, int error)
{
	if (!sqlite3_get_autocommit(db->db))
		IGNORE(sqlite_db_run(db, SQL_ROLLBACK)); /* what was the matter is known */
	return error;
}

static int sqlite_commit(struct store *store, const struct board *board)
{
	struct sqlite_db *db = db_of(store);
	uint64_t n_posts = 0;
	const struct task *task;
	bool flushes = false;
	int r;

	if (db->broken < 0)
		return db->broken;
	TAILQ_FOREACH (task, &board->dirty, in_dirty) {
		flushes |= must_flush(task);
		n_posts += task->saved == TASK_NEW;
	}
	r = n_posts > 0 ? sqlite_tend_room(db, true) : 0;
	if (r == 0)
		r = write_all(db, board);
	if (r == 0)
		r = sqlite_db_run(db, SQL_COMMIT);
	if (r < 0)
		return take_back(db, r);
	db->commits++;
	db->posts += n_posts;
	db->owes_flush |= flushes && db->is_full_sync;
	if (is_last_id_due(db, board))
		db->last_id = board->last_id;
	return 0;
}

static int sqlite_flush(struct store *store)
{
	struct sqlite_db *db = db_of(store);

	if (db->owes_flush)
		return sqlite_flush_now(db);
	return sqlite_flush_is_busy(db) ? sqlite_flush_end(db) : db->broken;
}

static int sqlite_end_flush(struct store *store)
{
	return sqlite_flush_end(db_of(store));
}

static bool sqlite_owes_flush(const struct store *store)
{
	return container_of(store, const struct sqlite_db, store)->owes_flush;
}

static int sqlite_flush_fd(const struct store *store)
{
	const struct sqlite_db *db = container_of(store, const struct sqlite_db, store);

	return db->flusher != NULL ? flusher_fd(db->flusher) : -1;
}

static bool sqlite_can_begin_flush(const struct store *store)
{
	return container_of(store, const struct sqlite_db, store)->flushed_frames >= 0;
}

static void sqlite_begin_flush(struct store *store)
{
	sqlite_flush_begin(db_of(store));
}

static int sqlite_open_board(
	struct store *store, struct board *board, uint64_t now_us, uint64_t wall_us, char *ret_why)
{
	struct sqlite_db *db = db_of(store);
	char what[STORE_WHY_SIZE];
	int r = sqlite_load(db, board, now_us, wall_us, what);

	if (r == -EUCLEAN) {
		/* Nobody may write into it from here on, and no log may go into it; the lock goes last. */
		db->broken = r;
		(void)sqlite3_db_config(db->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		return sqlite_db_put_aside(db->path, what, ret_why);
	}
	if (r < 0)
		(void)snprintf(ret_why, STORE_WHY_SIZE, "%.250s: %.200s", db->path, what);
	return r;
}

static int sqlite_check_room(struct store *store)
{
	return sqlite_tend_room(db_of(store), false);
}

static int sqlite_broken(const struct store *store)
{
	return container_of(store, const struct sqlite_db, store)->broken;
}

static bool sqlite_tend_store(struct store *store, bool is_idle)
{
	return sqlite_tend(db_of(store), is_idle);
}

static void sqlite_status(struct store *store, struct store_status *ret_status)
{
	struct sqlite_db *db = db_of(store);

	*ret_status = (struct store_status){.path = db->path,
		.max_bytes = db->max_bytes,
		.commits = db->commits,
		.flushes = db->flushes,
		.posts = db->posts,
		.last_flush_us = db->last_flush_us,
		.flush = &db->flush,
		.unknown = db->unknown,
		.why = db->why};
	sqlite_tend_size(db, &ret_status->size_bytes, &ret_status->used_bytes);
}

/* Numbers that no task has taken along: refusals above all. Not if a task's end is unwritten, whose number they hold. */
static int write_last_numbers(struct sqlite_db *db, const struct board *board)
{
	const struct pool *pool;
	int r = sqlite_db_run(db, SQL_BEGIN);

	TAILQ_FOREACH (pool, &board->pools, link)
		if (r == 0)
			r = write_pool(db, pool);
	for (size_t i = 0; r == 0 && i < board->settings->n_handlers; i++)
		r = write_handler(db, &board->handlers[i]);
	if (r == 0)
		r = write_forgotten(db, board);
	return r == 0 ? sqlite_db_run(db, SQL_COMMIT) : take_back(db, r);
}

static void sqlite_close(struct store *store, const struct board *board)
{
	struct sqlite_db *db = db_of(store);

	if (sqlite_flush_is_busy(db) && sqlite_flush_end(db) < 0)
		log_error("store_failed", "%s", db->why); /* nobody was told of what is lost */
	if (db->broken == 0 && board != NULL && TAILQ_EMPTY(&board->dirty) &&
		write_last_numbers(db, board) < 0)
		log_warning("store_numbers", "%s: the last counters could not be written: %s",
			db->path, sqlite3_errmsg(db->db));
	sqlite_db_close(db, db->broken == 0);
}

static const struct store_ops sqlite_ops = {.name = "sqlite",
	.keeps = true,
	.load = sqlite_open_board,
	.commit = sqlite_commit,
	.flush = sqlite_flush,
	.owes_flush = sqlite_owes_flush,
	.flush_fd = sqlite_flush_fd,
	.can_begin_flush = sqlite_can_begin_flush,
	.begin_flush = sqlite_begin_flush,
	.end_flush = sqlite_end_flush,
	.check = sqlite_check_room,
	.broken = sqlite_broken,
	.tend = sqlite_tend_store,
	.status = sqlite_status,
	.close = sqlite_close};

int store_sqlite_open(
	const struct store_sqlite_options *options, struct store **ret_store, char *ret_why)
{
	struct sqlite_db *db;
	int r = sqlite_db_open(options, &db, ret_why);

	if (r < 0)
		return r;
	/* Without a thread it is as right, and slower. */
	if (db->is_full_sync && flusher_new(sqlite_flush_work, db, &db->flusher) < 0)
		db->flusher = NULL;
	db->store.ops = &sqlite_ops;
	*ret_store = &db->store;
	return 0;
}
