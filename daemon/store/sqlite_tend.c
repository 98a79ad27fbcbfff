/*
 * sqlite_tend: see sqlite_tend.h.
 *
 * The log grows with every commit, and a checkpoint brings what is in it into the file; then the log begins anew at its front.
 * That is what may stall the loop, so it comes after a turn's answers have left, and in steps of CHECKPOINT_FRAMES: the more often,
 * the less there is to flush at once, and the more flushes. Space is given back by incremental_vacuum, a few pages a step, when
 * nothing else is to be done.
 */
#include "store/sqlite_tend.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/log.h"

#define CHECKPOINT_FRAMES 1000
#define CHECKPOINT_IDLE   250 /* so many are enough when nothing else is to be done */
#define CHECKPOINT_FULL   64  /* without room for posts: the log grows in the reserve */
#define VACUUM_PAGES      128 /* of one step */
#define FREE_PAGES_MIN    256 /* that stay: the next posts take them, and moving pages is work */

/* From the file's first page, which is in memory. */
static uint64_t pages_of(const struct sqlite_db *db, enum sqlite_statement pragma)
{
	sqlite3_stmt *statement = db->statements[pragma];
	sqlite3_int64 pages =
		sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;

	(void)sqlite3_reset(statement); /* without the page nobody knows: the commit will tell */
	return pages > 0 ? (uint64_t)pages : 0;
}

void sqlite_tend_size(
	const struct sqlite_db *db, uint64_t *ret_size_bytes, uint64_t *ret_used_bytes)
{
	uint64_t pages = pages_of(db, SQL_PAGES), unused = pages_of(db, SQL_FREE_PAGES),
		 log_bytes = 0;
	struct stat log;

	if (stat(db->log_path, &log) == 0)
		log_bytes = (uint64_t)log.st_size;
	*ret_size_bytes = pages * SQLITE_DB_PAGE + log_bytes;
	*ret_used_bytes = (pages - (unused < pages ? unused : pages)) * SQLITE_DB_PAGE + log_bytes;
}

/* What the file grows by when the log is brought into it: without that much the log cannot begin anew, and takes all there is. */
static uint64_t growth_of(const struct sqlite_db *db)
{
	uint64_t bytes = pages_of(db, SQL_PAGES) * SQLITE_DB_PAGE, has = bytes;
	struct stat file;

	if (stat(db->path, &file) == 0)
		has = (uint64_t)file.st_size;
	return bytes > has ? bytes - has : 0;
}

int sqlite_tend_room(struct sqlite_db *db)
{
	uint64_t size_bytes, used_bytes, free_bytes, growth_bytes;
	struct statvfs fs;

	if (db->broken < 0)
		return db->broken;
	sqlite_tend_size(db, &size_bytes, &used_bytes);
	if (used_bytes + db->reserve_bytes > db->max_bytes) {
		(void)snprintf(db->why, sizeof db->why,
			"%s: %llu bytes are in use: with the reserve of %llu that is max_size, "
			"%llu",
			db->path, (unsigned long long)used_bytes,
			(unsigned long long)db->reserve_bytes, (unsigned long long)db->max_bytes);
		return -ENOSPC;
	}
	/* What the file and its log have already is not asked of the disk again. */
	if (statvfs(db->path, &fs) < 0)
		return 0; /* the commit will tell */
	growth_bytes = growth_of(db);
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize + (size_bytes - used_bytes);
	free_bytes -= growth_bytes < free_bytes ? growth_bytes : free_bytes;
	if (free_bytes < db->reserve_bytes) {
		(void)snprintf(db->why, sizeof db->why,
			"%s: the disk has %llu bytes left, less than the reserve of %llu", db->path,
			(unsigned long long)free_bytes, (unsigned long long)db->reserve_bytes);
		return -ENOSPC;
	}
	db->why[0] = '\0';
	return 0;
}

/* enough: the frames that this one was for. When it fails the next turn's would fail, too, and cost as much. */
static void checkpoint(struct sqlite_db *db, uint64_t enough)
{
	int code = sqlite3_wal_checkpoint_v2(db->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

	if (code == SQLITE_OK) {
		db->wal_frames = db->retry_frames = 0;
		db->is_shrinking = false;
	} else {
		db->retry_frames = db->wal_frames + enough;
		log_error("checkpoint", "%s: the log could not be brought into the file: %s (%d)",
			db->path, sqlite3_errmsg(db->db), sqlite_db_error(db, code));
	}
}

/* Some pages; what that wrote is in the log. */
static void vacuum(struct sqlite_db *db)
{
	char sql[64];

	(void)snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%d)", VACUUM_PAGES);
	db->is_shrinking = true;
	if (sqlite_db_exec(db, sql) < 0)
		log_warning("vacuum", "%s: space could not be given back: %s", db->path,
			sqlite3_errmsg(db->db));
}

bool sqlite_tend(struct sqlite_db *db, bool is_idle)
{
	bool is_loose = pages_of(db, SQL_FREE_PAGES) > FREE_PAGES_MIN,
	     is_quiet = is_idle && !is_loose;
	uint64_t enough = db->why[0] != '\0' ? CHECKPOINT_FULL
			  : is_quiet         ? CHECKPOINT_IDLE
					     : CHECKPOINT_FRAMES;

	if (db->broken < 0)
		return false;
	if (is_idle && is_loose)
		vacuum(db);
	if (db->broken == 0 &&
		((db->wal_frames >= enough && (is_quiet || db->wal_frames >= db->retry_frames)) ||
			(is_quiet && db->is_shrinking)))
		checkpoint(db, enough);
	return db->broken == 0 &&
	       (db->wal_frames >= CHECKPOINT_IDLE || is_loose || db->is_shrinking);
}
