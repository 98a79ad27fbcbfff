/*
 * store: which one the settings mean, and where its file is.
 */
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "config/settings.h"
#include "store/store_sqlite.h"

#define FILE_NAME "tasks.db"

/* $STATE_DIRECTORY of systemd.exec(5) may name several, parted by colons: the first one is ours. */
static int state_dir(const struct settings *settings, char *ret_dir, size_t size)
{
	const char *given = settings->daemon.state_dir, *unit = getenv("STATE_DIRECTORY");
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int n;

	if (given[0] != '\0')
		n = snprintf(ret_dir, size, "%s", given);
	else if (unit != NULL && unit[0] == '/')
		n = snprintf(ret_dir, size, "%.*s", (int)strcspn(unit, ":"), unit);
	else if (geteuid() != 0 && state != NULL && state[0] == '/')
		n = snprintf(ret_dir, size, "%s/workpoold", state);
	else if (geteuid() != 0 && home != NULL && home[0] == '/')
		n = snprintf(ret_dir, size, "%s/.local/state/workpoold", home);
	else
		n = snprintf(ret_dir, size, "/var/lib/workpoold");
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int store_path(const struct settings *settings, char *ret_path, size_t size)
{
	int r = state_dir(settings, ret_path, size);
	size_t len = r == 0 ? strlen(ret_path) : 0;

	if (r < 0 || size - len <= sizeof "/" FILE_NAME)
		return -ENAMETOOLONG;
	(void)strcpy(ret_path + len, "/" FILE_NAME);
	return 0;
}

/* The folders above the file, as far as they are not there; for nobody else to look into. */
static int make_folders(char *path)
{
	for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
		int r;

		*at = '\0';
		r = mkdir(path, 0700) < 0 ? -errno : fd_flush_folder_of(path);
		r = r == -EEXIST ? 0 : r;
		*at = '/';
		if (r < 0)
			return r;
	}
	return 0;
}

int store_open(const struct settings *settings, struct store **ret_store, char *ret_why)
{
	char path[STORE_PATH_MAX];
	int r;

	if (settings->store.type == STORE_MEMORY)
		return store_mem_open(ret_store);
	r = store_path(settings, path, sizeof path);
	if (r == 0)
		r = make_folders(path);
	if (r < 0) {
		(void)snprintf(ret_why, STORE_WHY_SIZE, "the store's folder: %.300s: %s", path,
			strerror(-r));
		return r;
	}
	return store_sqlite_open(&(struct store_sqlite_options){.path = path,
					 .is_full_sync = settings->store.sync == STORE_SYNC_FULL,
					 .max_bytes = settings->store.max_size_bytes,
					 .reserve_bytes = settings->store.reserve_bytes},
		ret_store, ret_why);
}
