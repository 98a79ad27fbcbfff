/*
 * source: see source.h. The descriptor is checked, not the path: what was checked is what is read.
 */
#include "config/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

static int refuse(int error, const char *reason, const char **ret_reason)
{
	*ret_reason = reason != NULL ? reason : strerror(-error);
	return error;
}

/* Whoever can write a file decides what the daemon runs. */
static int check_owner(const struct stat *st, const char **ret_reason)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return refuse(
			-EACCES, "must belong to root or to the user that reads it", ret_reason);
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return refuse(
			-EACCES, "must not be writable by its group or by others", ret_reason);
	return 0;
}

int source_read(int dir, const char *name, struct source *ret_source, const char **ret_reason)
{
	/* O_NONBLOCK: a FIFO must not hold us. */
	auto_fd int fd =
		openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct source source = {0};
	struct stat st;
	int r;

	if (fd < 0)
		return refuse(-errno, errno == ELOOP ? "is a symbolic link" : NULL, ret_reason);
	if (fstat(fd, &st) < 0)
		return refuse(-errno, NULL, ret_reason);
	if (!S_ISREG(st.st_mode))
		return refuse(-EINVAL, "is not a regular file", ret_reason);
	r = check_owner(&st, ret_reason);
	if (r < 0)
		return r;
	r = fd_read_all(fd, SOURCE_BYTES_MAX, &source.data, &source.len);
	if (r < 0)
		return refuse(r, r == -EFBIG ? "is longer than 1 MiB" : NULL, ret_reason);
	source.is_private = (st.st_mode & 077) == 0;
	source.is_hidden = (st.st_mode & 07) == 0;
	*ret_source = source;
	return 0;
}

void source_done(struct source *source)
{
	if (source->data != NULL)
		explicit_bzero(source->data, source->len);
	free(source->data);
	*source = (struct source){0};
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_conf(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 5 && strcmp(name + len - 5, ".conf") == 0;
}

static int add_name(struct source_list *list, const char *name)
{
	char *copy;

	if (!is_conf(name))
		return 0;
	if (list->n == SOURCE_FILES_MAX)
		return -E2BIG;
	copy = strdup(name);
	if (copy == NULL)
		return -ENOMEM;
	list->names[list->n++] = copy;
	return 0;
}

/* Takes the descriptor. */
static int read_names(int fd, struct source_list *list)
{
	DIR *stream = fdopendir(fd);
	int r = 0;

	if (stream == NULL) {
		r = -errno;
		(void)fd_close(fd); /* nothing was written to it */
		return r;
	}
	while (r == 0) {
		const struct dirent *entry;

		errno = 0;
		entry = readdir(stream);
		if (entry == NULL) {
			r = -errno;
			break;
		}
		r = add_name(list, entry->d_name);
	}
	(void)closedir(stream); /* nothing was written to it */
	if (r == 0 && list->n > 0)
		qsort(list->names, list->n, sizeof(*list->names), by_name);
	return r;
}

int source_list_open(const char *path, struct source_list *ret_list, const char **ret_reason)
{
	struct stat st;
	int fd, r;

	*ret_list = (struct source_list){.dir = -1};
	ret_list->dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (ret_list->dir < 0)
		return refuse(-errno, NULL, ret_reason);
	if (fstat(ret_list->dir, &st) < 0)
		return refuse(-errno, NULL, ret_reason);
	r = check_owner(&st, ret_reason);
	if (r < 0)
		return r;
	ret_list->names = calloc(SOURCE_FILES_MAX, sizeof(*ret_list->names));
	fd = fcntl(ret_list->dir, F_DUPFD_CLOEXEC, 3);
	if (ret_list->names == NULL || fd < 0) {
		r = fd < 0 ? -errno : -ENOMEM;
		(void)fd_close(fd); /* nothing was written to it */
		return refuse(r, NULL, ret_reason);
	}
	r = read_names(fd, ret_list);
	return r < 0 ? refuse(r, r == -E2BIG ? "holds more than 256 files" : NULL, ret_reason) : 0;
}

void source_list_done(struct source_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->names[i]);
	free(list->names);
	list->dir = fd_close(list->dir);
	list->names = NULL;
	list->n = 0;
}
