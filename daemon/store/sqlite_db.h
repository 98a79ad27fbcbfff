/*
 * sqlite_db: the file of a store and SQLite's handles of it: opening, the tables' version, statements, what its errors mean,
 * keeping a damaged file aside. Knows nothing of tasks: sqlite_row and sqlite_load do.
 */
#ifndef WORKPOOL_STORE_SQLITE_DB_H
#define WORKPOOL_STORE_SQLITE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/hist.h"
#include "store/store.h"
#include "store/store_sqlite.h"

#define SQLITE_DB_VERSION 2 /* of the tables */
#define SQLITE_DB_PAGE    4096
#define SQLITE_DB_FRAME_HEAD                                                                       \
	24 /* bytes in the log before each page: sqlite.org/fileformat2.html, 4.1 */

enum sqlite_statement {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_POST, /* sqlite_row.c has what is bound to these */
	SQL_POST_LARGE,
	SQL_MOVE, /* a change that is no end of an attempt */
	SQL_END,  /* one that is */
	SQL_FORGET,
	SQL_FORGET_LARGE,
	SQL_NUMBER,     /* owner, name, value */
	SQL_PAGES,      /* how many the file has; sqlite_tend.c */
	SQL_FREE_PAGES, /* of those that hold nothing */
	SQL_STATEMENTS
};

/* What asking SQLite and the file system brought, when n_frames was `at`. */
struct sqlite_room {
	uint64_t at;
	uint64_t pages, free_pages;     /* of the file as it will be with the log */
	uint64_t file_bytes, log_bytes; /* as they stand on the disk */
	uint64_t
		free_bytes; /* of the disk, perhaps asked since; UINT64_MAX: nobody knows, the commit will tell */
};

struct sqlite_db {
	struct store store;
	char *path, *log_path; /* owns; the second one is the write-ahead log's */
	const char *vfs;       /* borrows: static; NULL: the system's */
	sqlite3 *db;           /* owns */
	sqlite3_stmt *statements[SQL_STATEMENTS]; /* own */
	uint64_t max_bytes, reserve_bytes;
	bool is_full_sync;       /* [store] sync = full */
	bool owes_flush;         /* something that was committed must be on the disk, and is not */
	struct flusher *flusher; /* owns; NULL: flushes in the loop only */
	sqlite3_file *log;       /* borrows: what it flushes */
	int64_t flushed_frames; /* of the log that are on the disk; -1: not known, it was here before us */
	uint64_t flushing_frames; /* that will be when what is under way has ended */
	int broken;               /* -errno: nothing is written any more; 0: fine */
	char why[STORE_WHY_SIZE]; /* why it takes no posts; "": it does */
	uint64_t wal_frames;      /* pages in the log that a checkpoint would bring into the file */
	uint64_t n_frames;        /* that were ever written into the log */
	struct sqlite_room room;  /* what sqlite_tend.c knows of the file, and since when */
	uint64_t
		retry_frames; /* a checkpoint failed: while there is no time for it not before so many */
	bool is_shrinking; /* the file gets shorter with the next checkpoint */
	uint64_t last_id;  /* as it is written; 0: not */
	uint64_t commits, flushes, posts, unknown, last_flush_us;
	struct hist flush;
};

/* As store_sqlite_open(). */
int sqlite_db_open(const struct store_sqlite_options *options, struct sqlite_db **ret_db,
	char *ret_why) MUST_CHECK;
/* is_sound: what is in the log may go into the file. */
void sqlite_db_close(struct sqlite_db *db, bool is_sound);

/* SQL without results. 0 or as sqlite_db_error(). */
int sqlite_db_exec(struct sqlite_db *db, const char *sql) MUST_CHECK;
/* One number of one row; `otherwise` if there is none. */
int sqlite_db_number(
	struct sqlite_db *db, const char *sql, int64_t otherwise, int64_t *ret_number) MUST_CHECK;
/* Runs a statement to its end and makes it ready for the next time. 0 or as sqlite_db_error(). */
int sqlite_db_run(struct sqlite_db *db, enum sqlite_statement statement) MUST_CHECK;
/* What went wrong last, as -errno: -ENOSPC: no room; -ENOMEM; -EBUSY: another process has it; -EUCLEAN: it is damaged; -EIO. After
 * a flush that failed, and when it is damaged, db->broken is set. */
int sqlite_db_error(struct sqlite_db *db, int code) MUST_CHECK;
/* The file, closed, gets another name that says so, with its log; returns -EUCLEAN, and ret_why tells. what: what is wrong. */
int sqlite_db_put_aside(const char *path, const char *what, char *ret_why) MUST_CHECK;
/* SQLite's own handle of the log, so that a test's file system has it too; NULL: there is no log. */
sqlite3_file *sqlite_db_log(struct sqlite_db *db);
/* Bytes of a log with so many frames. */
int64_t sqlite_db_log_size(uint64_t frames);

#endif
