/*
 * store_file: what can be done with a store's file while no daemon has it: looking at it, writing all of it as JSON lines, making one of
 * those. Called by main for --store-check, --store-export and --store-import.
 */
#ifndef WORKPOOL_STORE_STORE_FILE_H
#define WORKPOOL_STORE_STORE_FILE_H

#include <stdio.h>

#include "store/store_sqlite.h"

/*
 * All give 0 or -errno with a sentence in ret_why, of STORE_WHY_SIZE bytes: -EBUSY: a daemon has it; -EUCLEAN: it is damaged, of which
 * nothing is changed here; -ENOENT.
 */

/* Reads every page and every row; writes what there is to `out`, or what is wrong. */
int store_file_check(const char *path, FILE *out, char *ret_why) MUST_CHECK;
/* A line for each task, then one for each number: as much as can be read. */
int store_file_export(const char *path, FILE *out, char *ret_why) MUST_CHECK;
/* All lines of `in`, or nothing; the file is made if there is none. -EINVAL: a line is wrong; -EEXIST: a task is there already. */
int store_file_import(const char *path, FILE *in, uint64_t *ret_tasks, char *ret_why) MUST_CHECK;

#endif
