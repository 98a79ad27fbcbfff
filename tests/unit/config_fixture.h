/*
 * config_fixture: texts and files -> settings, for the tests of config. folder_setup() gives each test a folder of its own
 * and an environment without secrets.
 */
#ifndef WORKPOOL_TESTS_UNIT_CONFIG_FIXTURE_H
#define WORKPOOL_TESTS_UNIT_CONFIG_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "config/config.h"

#define SOME_COMMAND "command = /bin/true\n"
#define SOME_MONGO   "operation = find\ndatabase = d\ncollection = c\n"
#define SOME_URI     "[mongodb]\nuri = mongodb://h\n"

static char why[CONFIG_WHY_SIZE];

/* Reading texts. */

static inline struct settings *load(const char *text)
{
	struct settings *settings = NULL;
	int r = config_load_text(view_of(text), "f", &settings, why);

	ck_assert_msg(r == 0, "%s: %s", text, why);
	ck_assert_str_eq(why, "");
	return settings;
}

static inline void load_fails(struct view text, int error, const char *expected)
{
	struct settings *settings = NULL;
	int r = config_load_text(text, "f", &settings, why);

	ck_assert_msg(r == error, "%.*s: %d", (int)text.len, text.data, r);
	ck_assert_ptr_null(settings);
	ck_assert_str_eq(why, expected);
}

static inline void refused(const char *text, const char *expected)
{
	load_fails(view_of(text), -EINVAL, expected);
}

/* Files: a folder of its own for each test. */

static char folder[64];

static inline void folder_setup(void)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/check_config.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	ck_assert_int_eq(unsetenv("WORKPOOL_MONGODB_URI"), 0);
}

static inline void folder_teardown(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	ck_assert_int_eq(system(command), 0);
}

static inline const char *path_of(const char *name)
{
	static char paths[4][256]; /* for up to four in one expression */
	static unsigned next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static inline void put(const char *name, const char *text, mode_t mode)
{
	auto_fd int fd = -1;

	(void)unlink(path_of(name)); /* the old one may be read-only */
	fd = open(path_of(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fd_write_all(fd, text, strlen(text)), 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
}

static inline struct settings *load_file(const char *name)
{
	struct settings *settings = NULL;
	int r = config_load(path_of(name), &settings, why);

	ck_assert_msg(r == 0, "%s", why);
	return settings;
}

#endif
