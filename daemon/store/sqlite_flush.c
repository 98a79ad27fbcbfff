/*
 * sqlite_flush: see sqlite_flush.h.
 *
 * After a flush that failed whoever waited for it is told so: then what he asked for must not be there after a restart. So the log is
 * cut behind what is on the disk, db->flushed_frames. What a checkpoint may have brought into the file must not be cut, for its pages
 * would be newer than the log: a checkpoint comes after sqlite_flush_now().
 */
#include "store/sqlite_flush.h"

#include "base/clock.h"
#include "store/flusher.h"

/* Where what is on the disk ends nobody knows if the log was here before us and this is the first flush; then what must be flushed is
 * one transaction, and without its last frame it is none. A disk that does not flush may not cut either. */
static void take_off_log(const struct sqlite_db *db, sqlite3_file *log)
{
	static const char no_frame[SQLITE_DB_FRAME_HEAD];
	uint64_t frames =
		db->flushed_frames < 0 ? db->wal_frames - 1 : (uint64_t)db->flushed_frames;
	int64_t at = sqlite_db_log_size(frames);

	if (log->pMethods->xTruncate(log, at) != SQLITE_OK)
		(void)log->pMethods->xWrite(log, no_frame, sizeof no_frame, at);
}

/* A flush of the log with so many frames is over. */
static int take_flush(struct sqlite_db *db, int code, uint64_t frames, uint64_t us)
{
	if (code != SQLITE_OK) {
		if (db->log != NULL)
			take_off_log(db, db->log);
		return sqlite_db_error(db, SQLITE_IOERR_FSYNC);
	}
	db->flushed_frames = (int64_t)frames;
	db->flushes++;
	db->last_flush_us = us;
	hist_add(&db->flush, us);
	return 0;
}

int sqlite_flush_work(void *arg)
{
	sqlite3_file *log = ((const struct sqlite_db *)arg)->log;

	return log != NULL ? log->pMethods->xSync(log, SQLITE_SYNC_NORMAL) : SQLITE_IOERR_FSYNC;
}

bool sqlite_flush_is_busy(const struct sqlite_db *db)
{
	return db->flusher != NULL && flusher_is_busy(db->flusher);
}

void sqlite_flush_begin(struct sqlite_db *db)
{
	db->owes_flush = false;
	db->flushing_frames = db->wal_frames;
	db->log = sqlite_db_log(db);
	flusher_begin(db->flusher);
}

int sqlite_flush_end(struct sqlite_db *db)
{
	uint64_t us = 0;
	int code = flusher_end(db->flusher, &us);

	return take_flush(db, code, db->flushing_frames, us);
}

int sqlite_flush_now(struct sqlite_db *db)
{
	int r = sqlite_flush_is_busy(db) ? sqlite_flush_end(db) : db->broken;
	uint64_t begun_us;

	if (r < 0)
		return r;
	if (db->wal_frames > 0 && db->flushed_frames != (int64_t)db->wal_frames) {
		db->log = sqlite_db_log(db);
		begun_us = clock_now_us();
		r = sqlite_flush_work(db);
		r = take_flush(db, r, db->wal_frames, clock_now_us() - begun_us);
	}
	db->owes_flush &= r < 0;
	return r;
}
