/*
 * scratch: see scratch.h. Called by h_exec.c around a program's run, when its children are gone; by reaper.c
 * when the host has gone before them.
 * Invariant: removing never follows a symbolic link and never leaves the file system of the directory.
 */
#include "host/scratch.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define OPEN_DIRECTORIES 16 /* that nftw(3) holds open at once */

const char *scratch_parent(void)
{
	const char *parent = getenv("TMPDIR");

	return parent && *parent == '/' ? parent : "/tmp";
}

int scratch_make(const char *parent, char **ret_path)
{
	auto_free char *path = NULL;

	if (asprintf(&path, "%s/workpool-XXXXXX", parent) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (!mkdtemp(path))
		return -errno;
	*ret_path = take(path);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)walk;
	/* A directory that the program has locked against us: it is our user's, so it can be opened up. */
	if (type == FTW_DNR && chmod(path, S_IRWXU) == 0)
		scratch_remove(path);
	else
		(void)remove(path);
	return 0; /* go on with the rest */
}

void scratch_remove(const char *path)
{
	if (!path)
		return;
	(void)nftw(path, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	if (access(path, F_OK) == 0)
		log_warning("scratch_left", "the directory %s of a task cannot be removed", path);
}
