/*
 * power_vfs: see power_vfs.h.
 */
#include "power_vfs.h"

#include <check.h>
#include <libgen.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES 2 /* the tasks and their log */
#define PIECE 512

/* What was done to a file since its last flush. */
struct change {
	sqlite3_int64 at;
	size_t len;
	char *data; /* owns; NULL: the file ended at `at` from then on */
};

struct image {
	char name[256]; /* whole path; "": free */
	char *disk;     /* owns: what is on the disk */
	size_t len, cap;
	struct change *changes; /* owns */
	size_t n, room;
};

struct power_file {
	sqlite3_file base;
	struct image *image;
	sqlite3_file *real; /* behind us in memory */
};

struct power power;
static struct image images[FILES];
static sqlite3_vfs *under, vfs;
static pthread_mutex_t lock =
	PTHREAD_MUTEX_INITIALIZER; /* images and power: a flush may be in a thread of its own */

static uint64_t dice(void)
{
	power.seed = power.seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return power.seed >> 33;
}

static void *must(void *memory)
{
	ck_assert_ptr_nonnull(memory);
	return memory;
}

static void forget_changes(struct image *image)
{
	for (size_t i = 0; i < image->n; i++)
		free(image->changes[i].data);
	image->n = 0;
}

static void resize(char **data, size_t *len, size_t *cap, size_t want)
{
	if (want > *cap) {
		*cap = 2 * want;
		*data = must(realloc(*data, *cap));
	}
	if (want > *len)
		memset(*data + *len, 0, want - *len);
	*len = want;
}

static void apply(struct image *image, sqlite3_int64 at, const char *data, size_t len)
{
	if ((size_t)at + len > image->len)
		resize(&image->disk, &image->len, &image->cap, (size_t)at + len);
	memcpy(image->disk + at, data, len);
}

static void flush(struct image *image)
{
	for (size_t i = 0; i < image->n; i++) {
		const struct change *change = &image->changes[i];

		if (change->data != NULL)
			apply(image, change->at, change->data, change->len);
		else if ((size_t)change->at < image->len)
			image->len = (size_t)change->at;
	}
	forget_changes(image);
}

static void note(struct image *image, sqlite3_int64 at, const void *data, size_t len)
{
	struct change *change;

	if (image->n == image->room) {
		image->room = 2 * image->room + 64;
		image->changes =
			must(reallocarray(image->changes, image->room, sizeof *image->changes));
	}
	change = &image->changes[image->n++];
	*change = (struct change){.at = at, .len = len};
	if (data != NULL)
		change->data = memcpy(must(malloc(len)), data, len);
}

/* What comes onto the disk of a file that was not flushed. permille: how likely a piece does. */
static void apply_some(struct image *image, uint64_t permille)
{
	for (size_t i = 0; i < image->n; i++) {
		const struct change *change = &image->changes[i];

		if (change->data == NULL && dice() % 1000 < permille &&
			(size_t)change->at < image->len)
			image->len = (size_t)change->at;
		for (size_t from = 0; change->data != NULL && from < change->len;) {
			size_t len = PIECE - (size_t)(change->at + (sqlite3_int64)from) % PIECE;

			len = from + len > change->len ? change->len - from : len;
			if (dice() % 1000 < permille) {
				size_t torn = i + 1 == image->n && dice() % 4 == 0
						      ? dice() % (len + 1)
						      : len;

				apply(image, change->at + (sqlite3_int64)from, change->data + from,
					torn);
			}
			from += len;
		}
	}
}

void power_cut(void)
{
	static const uint64_t odds[] = {0, 100, 500, 900, 1000};
	uint64_t permille = odds[dice() % (sizeof odds / sizeof *odds)];

	power.is_cut = true;
	for (struct image *image = images; image < images + FILES; image++) {
		char path[600], copy[256];
		FILE *file;

		if (image->name[0] == '\0')
			continue;
		apply_some(image, permille);
		(void)snprintf(copy, sizeof copy, "%s", image->name);
		(void)snprintf(path, sizeof path, "%s/%s", power.to, basename(copy));
		file = must(fopen(path, "w"));
		ck_assert_uint_eq(fwrite(image->disk, 1, image->len, file), image->len);
		ck_assert_int_eq(fclose(file), 0);
	}
}

/* A call that changes a file: perhaps the last one before the cut. */
static void count_call(void)
{
	power.calls++;
	if (power.in > 0 && --power.in == 0 && !power.is_cut)
		power_cut();
}

static struct power_file *of(sqlite3_file *file)
{
	return (struct power_file *)file;
}

static int on_close(sqlite3_file *file)
{
	struct image *image = of(file)->image;

	if (image != NULL) {
		forget_changes(image);
		image->name[0] = '\0';
		image->len = 0;
	}
	return of(file)->real->pMethods->xClose(of(file)->real);
}

static int on_read(sqlite3_file *file, void *data, int len, sqlite3_int64 at)
{
	return of(file)->real->pMethods->xRead(of(file)->real, data, len, at);
}

static int on_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
	(void)pthread_mutex_lock(&lock);
	if (of(file)->image != NULL) {
		note(of(file)->image, at, data, (size_t)len);
		count_call();
	}
	(void)pthread_mutex_unlock(&lock);
	return of(file)->real->pMethods->xWrite(of(file)->real, data, len, at);
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 len)
{
	(void)pthread_mutex_lock(&lock);
	if (of(file)->image != NULL) {
		note(of(file)->image, len, NULL, 0);
		count_call();
	}
	(void)pthread_mutex_unlock(&lock);
	return of(file)->real->pMethods->xTruncate(of(file)->real, len);
}

static int on_sync(sqlite3_file *file, int flags)
{
	(void)flags; /* the real one would only cost time */
	(void)pthread_mutex_lock(&lock);
	if (of(file)->image != NULL) {
		count_call(); /* a cut here is one before the flush */
		if (!power.is_lying)
			flush(of(file)->image);
		power.flushes++;
	}
	(void)pthread_mutex_unlock(&lock);
	return SQLITE_OK;
}

static int on_size(sqlite3_file *file, sqlite3_int64 *ret_len)
{
	return of(file)->real->pMethods->xFileSize(of(file)->real, ret_len);
}

static int on_lock(sqlite3_file *file, int level)
{
	return of(file)->real->pMethods->xLock(of(file)->real, level);
}

static int on_unlock(sqlite3_file *file, int level)
{
	return of(file)->real->pMethods->xUnlock(of(file)->real, level);
}

static int on_check_lock(sqlite3_file *file, int *ret_is_locked)
{
	return of(file)->real->pMethods->xCheckReservedLock(of(file)->real, ret_is_locked);
}

static int on_control(sqlite3_file *file, int what, void *arg)
{
	return of(file)->real->pMethods->xFileControl(of(file)->real, what, arg);
}

static int on_sector(sqlite3_file *file)
{
	return of(file)->real->pMethods->xSectorSize(of(file)->real);
}

static int on_traits(sqlite3_file *file)
{
	return of(file)->real->pMethods->xDeviceCharacteristics(of(file)->real);
}

static const sqlite3_io_methods methods = {.iVersion = 1,
	.xClose = on_close,
	.xRead = on_read,
	.xWrite = on_write,
	.xTruncate = on_truncate,
	.xSync = on_sync,
	.xFileSize = on_size,
	.xLock = on_lock,
	.xUnlock = on_unlock,
	.xCheckReservedLock = on_check_lock,
	.xFileControl = on_control,
	.xSectorSize = on_sector,
	.xDeviceCharacteristics = on_traits};

/* What is in it when it is opened is on the disk. */
static struct image *make_image(const char *name, sqlite3_file *real)
{
	sqlite3_int64 len = 0;

	for (struct image *image = images; image < images + FILES; image++) {
		if (image->name[0] != '\0')
			continue;
		(void)snprintf(image->name, sizeof image->name, "%s", name);
		ck_assert_int_eq(real->pMethods->xFileSize(real, &len), SQLITE_OK);
		resize(&image->disk, &image->len, &image->cap, (size_t)len);
		if (len > 0)
			ck_assert_int_eq(
				real->pMethods->xRead(real, image->disk, (int)len, 0), SQLITE_OK);
		return image;
	}
	ck_abort_msg("more files than there should be: %s", name);
}

static int on_open(
	sqlite3_vfs *self, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	struct power_file *ours = of(file);
	int code;

	(void)self;
	ours->image = NULL;
	ours->real = (sqlite3_file *)(ours + 1);
	code = under->xOpen(under, name, ours->real, flags, ret_flags);
	if (code != SQLITE_OK)
		return code;
	file->pMethods = &methods;
	if (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL))
		ours->image = make_image(name, ours->real);
	return code;
}

static int on_delete(sqlite3_vfs *self, const char *name, int syncs)
{
	(void)self;
	return under->xDelete(under, name, syncs);
}

void power_register(void)
{
	under = sqlite3_vfs_find(NULL);
	ck_assert_ptr_nonnull(under);
	vfs = *under;
	vfs.zName = POWER_VFS;
	vfs.pNext = NULL;
	vfs.szOsFile = (int)sizeof(struct power_file) + under->szOsFile;
	vfs.xOpen = on_open;
	vfs.xDelete = on_delete;
	ck_assert_int_eq(sqlite3_vfs_register(&vfs, 0), SQLITE_OK);
}
