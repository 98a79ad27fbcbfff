/*
 * sqlite_tend: see sqlite_tend.h.
 *
 * The log grows with every commit, and a checkpoint brings what is in it into the file; then the log begins anew at its front.
 * That is what may stall the loop, so it comes after a turn's answers have left, and in steps of CHECKPOINT_FRAMES: the more often,
 * the less there is to flush at once, and the more flushes. Space is given back by incremental_vacuum, a few pages a step, when
 * nothing else is to be done. The log is as long as it once was, and counts: it is cut when that is what keeps posts out.
 */
#include "store/sqlite_tend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "store/sqlite_flush.h"

#define CHECKPOINT_FRAMES 1000
#define CHECKPOINT_IDLE   250 /* so many are enough when nothing else is to be done */
#define CHECKPOINT_FULL   64  /* without room for posts: the log grows in the reserve */
#define LOOK_FRAMES       64 /* between two looks at how much is used, if that is far from too much */
#define VACUUM_PAGES      128 /* of one step */
#define FREE_PAGES_MIN    256 /* that stay: the next posts take them, and moving pages is work */

/* From the file's first page, which is in memory; but SQLite parses the words anew each time. */
static uint64_t pages_of(struct sqlite_db *db, enum sqlite_statement pragma)
{
	sqlite3_stmt *statement = db->statements[pragma];
	sqlite3_int64 pages =
		sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;

	(void)sqlite3_reset(statement); /* without the page nobody knows: the commit will tell */
	return pages > 0 ? (uint64_t)pages : 0;
}

/*
 * Not by stat(2): on kernels with fine-grained timestamps (Linux 6.13 on) whoever asks for a file's times makes the next write give
 * it a new one, and the next fdatasync(2) then writes the inode, too: a write more for each flush, a third of its time.
 */
static uint64_t bytes_of(const char *path)
{
	struct statx file;

	return statx(AT_FDCWD, path, 0, STATX_SIZE, &file) == 0 ? file.stx_size : 0;
}

/* UINT64_MAX: nobody knows, the commit will tell. */
static uint64_t free_bytes_of(const char *path)
{
	struct statvfs fs;

	return statvfs(path, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
}

static void look(struct sqlite_db *db)
{
	db->room = (struct sqlite_room){.at = db->n_frames,
		.pages = pages_of(db, SQL_PAGES),
		.free_pages = pages_of(db, SQL_FREE_PAGES),
		.file_bytes = bytes_of(db->path),
		.log_bytes = bytes_of(db->log_path),
		.free_bytes = free_bytes_of(db->path)};
}

/* Looks again when more than so many frames came since: each can have taken a page, and made the log longer. */
static uint64_t frames_since_look(struct sqlite_db *db, uint64_t frames)
{
	if (db->room.pages == 0 || db->n_frames - db->room.at > frames)
		look(db);
	return db->n_frames - db->room.at;
}

static uint64_t used_bytes(const struct sqlite_db *db, uint64_t more_frames)
{
	const struct sqlite_room *room = &db->room;
	uint64_t unused = room->free_pages < room->pages ? room->free_pages : room->pages;

	return (room->pages - unused + more_frames) * SQLITE_DB_PAGE + room->log_bytes +
	       more_frames * (SQLITE_DB_FRAME_HEAD + SQLITE_DB_PAGE);
}

void sqlite_tend_size(struct sqlite_db *db, uint64_t *ret_size_bytes, uint64_t *ret_used_bytes)
{
	look(db);
	*ret_size_bytes = db->room.pages * SQLITE_DB_PAGE + db->room.log_bytes;
	*ret_used_bytes = used_bytes(db, 0);
}

/* What is left of the disk. What the file and its log have already is not asked of it again; what the file grows by when the log is
 * brought into it is: without that much the log cannot begin anew, and takes all there is. */
static uint64_t disk_bytes(const struct sqlite_db *db, uint64_t more_frames)
{
	const struct sqlite_room *room = &db->room;
	uint64_t grown_bytes = (room->pages + more_frames) * SQLITE_DB_PAGE,
		 growth_bytes = grown_bytes > room->file_bytes ? grown_bytes - room->file_bytes : 0,
		 wanted_bytes =
			 growth_bytes + more_frames * (SQLITE_DB_FRAME_HEAD + SQLITE_DB_PAGE),
		 free_bytes = room->free_bytes + room->free_pages * SQLITE_DB_PAGE;

	return free_bytes > wanted_bytes ? free_bytes - wanted_bytes : 0;
}

/* The reserve would be used. */
static bool is_over(const struct sqlite_db *db, uint64_t more_frames)
{
	return used_bytes(db, more_frames) + db->reserve_bytes > db->max_bytes;
}

/* 0 or -ENOSPC, by the last look and the frames since. */
static int check_room(struct sqlite_db *db, uint64_t more_frames)
{
	uint64_t bytes = used_bytes(db, more_frames), left_bytes = disk_bytes(db, more_frames);

	db->why[0] = '\0';
	if (is_over(db, more_frames))
		(void)snprintf(db->why, sizeof db->why,
			"%s: %llu bytes are in use: with the reserve of %llu that is max_size, "
			"%llu",
			db->path, (unsigned long long)bytes, (unsigned long long)db->reserve_bytes,
			(unsigned long long)db->max_bytes);
	else if (db->room.free_bytes != UINT64_MAX && left_bytes < db->reserve_bytes)
		(void)snprintf(db->why, sizeof db->why,
			"%s: the disk has %llu bytes left, less than the reserve of %llu", db->path,
			(unsigned long long)left_bytes, (unsigned long long)db->reserve_bytes);
	return db->why[0] == '\0' ? 0 : -ENOSPC;
}

int sqlite_tend_room(struct sqlite_db *db, bool asks_disk)
{
	bool was_short = db->why[0] != '\0';
	int r;

	if (db->broken < 0)
		return db->broken;
	if (was_short)
		look(db); /* others may have given it back */
	else if (asks_disk)
		db->room.free_bytes = free_bytes_of(db->path); /* or taken */
	r = check_room(db, frames_since_look(db, LOOK_FRAMES));
	if (r == 0 || was_short)
		return r;
	look(db);
	return check_room(db, 0);
}

/* enough: the frames that this one was for. When it fails the next turn's would fail, too, and cost as much. cuts: the log gets short. */
static void checkpoint(struct sqlite_db *db, uint64_t enough, bool cuts)
{
	int code;

	/* SQLite flushes the log, too, but when that fails takes nothing off it that somebody waits for. */
	if (db->is_full_sync && sqlite_flush_now(db) < 0)
		return;
	code = sqlite3_wal_checkpoint_v2(db->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (code == SQLITE_OK) {
		db->wal_frames = db->retry_frames = 0;
		db->flushed_frames = 0;
		db->room.pages = 0; /* the file has grown: not known */
		db->is_shrinking = false;
		if (cuts) /* if that fails it stays as long as it is */
			(void)sqlite3_wal_checkpoint_v2(
				db->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
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
	uint64_t more_frames = frames_since_look(db, is_idle ? 0 : LOOK_FRAMES);
	bool is_loose = db->room.free_pages > FREE_PAGES_MIN + more_frames,
	     is_quiet = is_idle && !is_loose, is_full = db->why[0] != '\0',
	     is_long = is_full && is_over(db, more_frames) &&
		       db->room.log_bytes > (uint64_t)sqlite_db_log_size(CHECKPOINT_FULL);
	uint64_t enough = is_full    ? CHECKPOINT_FULL
			  : is_quiet ? CHECKPOINT_IDLE
				     : CHECKPOINT_FRAMES;

	if (db->broken < 0)
		return false;
	if (is_idle && is_loose)
		vacuum(db);
	if (db->broken == 0 && (((db->wal_frames >= enough || is_long) &&
					(is_quiet || db->wal_frames >= db->retry_frames)) ||
				       (is_quiet && db->is_shrinking)))
		checkpoint(db, enough, is_long);
	return db->broken == 0 &&
	       (db->wal_frames >= CHECKPOINT_IDLE || is_loose || db->is_shrinking);
}
