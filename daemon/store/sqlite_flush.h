/*
 * sqlite_flush: the log's way to the disk, in the loop or beside it, and what comes of a flush that failed.
 */
#ifndef WORKPOOL_STORE_SQLITE_FLUSH_H
#define WORKPOOL_STORE_SQLITE_FLUSH_H

#include "store/sqlite_db.h"

/* Now, with what is under way: 0: all that was committed is on the disk. -errno: nothing is written any more (db->broken). */
int sqlite_flush_now(struct sqlite_db *db) MUST_CHECK;
/* Whether one is under way in the flusher's thread. */
bool sqlite_flush_is_busy(const struct sqlite_db *db);
/* Not while one is, or db->flushed_frames is not known: several transactions may fail together, and where they begin has to be known. */
void sqlite_flush_begin(struct sqlite_db *db);
/* Waits for the one that is under way: as sqlite_flush_now(), of what was committed before it began. */
int sqlite_flush_end(struct sqlite_db *db) MUST_CHECK;
/* The flusher's work, of a struct sqlite_db: a code of SQLite. */
int sqlite_flush_work(void *arg);

#endif
