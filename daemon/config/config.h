/*
 * config: files -> settings. INI (inih), one main file and conf.d/\*.conf beside it in name order;
 * a later value wins. Read whole, checked whole, then handed over: a bad file changes nothing.
 * Knows no key by name: keys.c has the table.
 */
#ifndef WORKPOOL_CONFIG_CONFIG_H
#define WORKPOOL_CONFIG_CONFIG_H

#include "base/buf.h"
#include "config/settings.h"

#define CONFIG_WHY_SIZE 512

/*
 * path NULL: no file, everything at its default. 0: *ret_settings is the caller's, to free
 * with settings_free(). -EINVAL, -EACCES (owner or mode), -ENOENT, -ELOOP (a symbolic link),
 * -EFBIG, -ENOMEM ...: in ret_why one line for people:
 * FILE:LINE: [pool mail] workers: "x": a number from 1 to 1024 or "3/core"
 * Reads $CREDENTIALS_DIRECTORY/mongodb-uri and $WORKPOOL_MONGODB_URI if a handler needs the uri and
 * no file gives it. Not thread-safe (inih).
 */
int config_load(
	const char *path, struct settings **ret_settings, char ret_why[CONFIG_WHY_SIZE]) MUST_CHECK;
/* As config_load() for one file's text, without files and environment, for tests and the fuzzer.
 * `file` is the name in messages. */
int config_load_text(struct view text, const char *file, struct settings **ret_settings,
	char ret_why[CONFIG_WHY_SIZE]) MUST_CHECK;

/*
 * What a host must know of a handler: "key=value\n" lines in the order of the key table, names as
 * in the file. Values are canonical: times in us, sizes in bytes, umask in decimal, booleans yes or
 * no; none holds a newline. A mongodb handler's lines begin with those of [mongodb], uri (a secret)
 * included. On failure (-ENOMEM, -EMSGSIZE) nothing is appended.
 */
int config_write_host_lines(const struct settings *settings, const struct settings_handler *handler,
	struct buf *out) MUST_CHECK;
/* The shipped, commented file, and the table of the manual page (roff), both from the key table. */
int config_write_shipped(struct buf *out) MUST_CHECK;
int config_write_manual(struct buf *out) MUST_CHECK;

#endif
