/*
 * sqlite_load: the file's tasks and numbers onto a fresh board.
 */
#ifndef WORKPOOL_STORE_SQLITE_LOAD_H
#define WORKPOOL_STORE_SQLITE_LOAD_H

#include <stdint.h>

#include "store/sqlite_db.h"

/* As store_load(), but that -EUCLEAN leaves the file where it is: ret_what says what is wrong. */
int sqlite_load(struct sqlite_db *db, struct board *board, uint64_t now_us, uint64_t wall_us,
	char *ret_what) MUST_CHECK;

/* The words of `number`: "pool default", "done" … */
#define SQLITE_LOAD_OWNER_SIZE 128
const char *sqlite_load_owner(
	const char *kind, const char *name, char ret_owner[SQLITE_LOAD_OWNER_SIZE]);

#endif
