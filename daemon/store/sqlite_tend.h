/*
 * sqlite_tend: keeping the file small and the log short: room for posts, checkpoints, space that is given back.
 */
#ifndef WORKPOOL_STORE_SQLITE_TEND_H
#define WORKPOOL_STORE_SQLITE_TEND_H

#include <stdbool.h>
#include <stdint.h>

#include "store/sqlite_db.h"

/* 0; -ENOSPC: posts would go into the reserve; db->why says so. asks_disk: others may have taken of it since the last time. */
int sqlite_tend_room(struct sqlite_db *db, bool asks_disk) MUST_CHECK;
/* As store_tend(). */
bool sqlite_tend(struct sqlite_db *db, bool is_idle);
/* The file and its log: bytes that the disk holds of them, and those of the file that are not free for the next posts. */
void sqlite_tend_size(struct sqlite_db *db, uint64_t *ret_size_bytes, uint64_t *ret_used_bytes);

#endif
