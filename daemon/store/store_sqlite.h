/*
 * store_sqlite: tasks in a file, by SQLite. Here is what others call: the daemon by store.h's store_open(), tests, and what looks at a
 * file while no daemon has it (sqlite_file.c).
 */
#ifndef WORKPOOL_STORE_STORE_SQLITE_H
#define WORKPOOL_STORE_STORE_SQLITE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "store/store.h"

#define STORE_PATH_MAX 4096

struct store_sqlite_options {
	const char *path;
	const char *vfs; /* SQLite's virtual file system by name, for tests; NULL: the system's */
	bool is_full_sync;
	bool is_import; /* a file may be made though a damaged one was kept aside: its tasks come now */
	uint64_t max_bytes;
	uint64_t reserve_bytes; /* of them, for what is no post; at most a quarter is used */
};

/*
 * Opens or makes the file and takes it for this process alone. -EBUSY: another process has it; -EUCLEAN: it is damaged and was
 * kept aside, or one that was kept aside is there and none else; -ENOTSUP: a later version's, or no store.
 */
int store_sqlite_open(const struct store_sqlite_options *options, struct store **ret_store,
	char *ret_why) MUST_CHECK;

#endif
