/*
 * scratch: see scratch.h. Called by sandbox.c around a program's run, when its children are gone; by reaper.c
 * when the host has gone before them.
 * Invariant: removing never follows a symbolic link and never leaves the file system of the directory.
 */
#include "host/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
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

static bool is_empty(int fd)
{
	const struct dirent *entry;
	bool is_empty = true;
	DIR *folder = fdopendir(fd);

	if (!folder) {
		(void)fd_close(fd);
		return false;
	}
	while (is_empty && (errno = 0, entry = readdir(folder)) != NULL)
		is_empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	is_empty = is_empty && errno == 0;
	(void)closedir(folder);
	return is_empty;
}

bool scratch_is_fresh(const char *path, ino_t inode)
{
	auto_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_ino != inode || st.st_uid != geteuid() ||
		(st.st_mode & ALLPERMS) != S_IRWXU)
		return false;
	/* Labels of a security module are not the program's. */
	ssize_t n = flistxattr(fd, NULL, 0);
	return (n == 0 || (n < 0 && errno == ENOTSUP)) && is_empty(take_fd(fd));
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
	if (!path || rmdir(path) == 0)
		return;
	(void)nftw(path, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	if (access(path, F_OK) == 0)
		log_warning("scratch_left", "the directory %s of a task cannot be removed", path);
}
