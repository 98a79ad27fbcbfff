/*
 * sqlite_row: a task as a row of the file and back, and the statements that write it.
 */
#ifndef WORKPOOL_STORE_SQLITE_ROW_H
#define WORKPOOL_STORE_SQLITE_ROW_H

#include <stdint.h>

#include "core/restore.h"
#include "store/sqlite_db.h"

extern const char *const sqlite_row_texts[SQL_STATEMENTS];

/* What changed of a dirty task since it was saved. 0 or as sqlite_db_error(). */
int sqlite_row_write(struct sqlite_db *db, const struct task *task) MUST_CHECK;
int sqlite_row_forget(struct sqlite_db *db, const struct task *task) MUST_CHECK;
int sqlite_row_write_number(
	struct sqlite_db *db, const char *owner, const char *name, uint64_t value) MUST_CHECK;

/* All columns of all tasks, by id, for sqlite_row_read(). */
extern const char sqlite_row_select[];
/* The row that `statement` is at; views are good until its next step. pool and handler are names: the caller finds them. */
void sqlite_row_read(sqlite3_stmt *statement, uint64_t now_us, uint64_t wall_us,
	struct restored *ret_row, const char **ret_pool, const char **ret_handler);

#endif
