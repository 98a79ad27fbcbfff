/*
 * sqlite_db: see sqlite_db.h.
 *
 * The file is taken with locking_mode = EXCLUSIVE: the kernel's lock on it goes with the process however that dies, a second
 * opener is refused, and the log's index stands in our memory, not in a third file. No memory map (mmap_size): an error of the disk
 * would be a signal there and not a return value. The log is never cut while it is used: writing over what is there costs a flush
 * less of the file system's own work than appending.
 */
#include "store/sqlite_db.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "store/flusher.h"
#include "store/sqlite_row.h"

#define APPLICATION_ID INT64_C(0x776b706c) /* "wkpl", in the file's header */
#define ASIDE          ".damaged-"
#define STR(x)         STR_(x)
#define STR_(x)        #x

static const char schema[] =
#include "store/schema.sql.h"
	;

/* upgrades[v]: from version v to v + 1; [0]: there is none before 1. */
static const char *const upgrades[SQLITE_DB_VERSION] = {
	NULL,
	"ALTER TABLE task ADD COLUMN asked INTEGER NOT NULL DEFAULT 0",
};

/* The lock before the log is looked at, or its index would be a file. */
static const char lock[] = "PRAGMA locking_mode = EXCLUSIVE;";

/* What a file is like before anything is in it. Of one that has something these would write again, for which a full disk has no room. */
static const char fresh[] =
	"PRAGMA page_size = " STR(SQLITE_DB_PAGE) ";"
						  "PRAGMA auto_vacuum = INCREMENTAL;";

static const char settings[] =
	"PRAGMA journal_mode = WAL;"
	"PRAGMA journal_size_limit = 16777216;" /* after a turn that was huge */
	"PRAGMA cache_size = -8192;"            /* KiB: the ends of a long queue, and its history */
	"PRAGMA mmap_size = 0;"
	"PRAGMA temp_store = MEMORY;"
	"PRAGMA trusted_schema = OFF;"
	"PRAGMA cell_size_check = ON;";

/* A sentence for people; a path that is too long for it is cut. */
static void PRINTF_LIKE(2, 3) say(char *ret_why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(ret_why, STORE_WHY_SIZE, format, args);
	va_end(args);
}

static bool is_flush(int code)
{
	return code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC;
}

int sqlite_db_error(struct sqlite_db *db, int code)
{
	int primary = code & 0xff, system = sqlite3_system_errno(db->db);
	bool is_damaged = primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB;

	if (is_flush(code) || is_damaged) {
		/* Whether the data is on the disk is not known any more, and a second flush would say yes without it. */
		db->broken = is_damaged ? -EUCLEAN : -EIO;
		(void)snprintf(db->why, sizeof db->why,
			"%s: %s: nothing is written until a restart", db->path,
			is_damaged ? "the file is damaged" : "a flush to the disk failed");
		return db->broken;
	}
	if (primary == SQLITE_FULL ||
		(primary == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT)))
		return -ENOSPC;
	if (primary == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM)
		return -ENOMEM;
	if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED)
		return -EBUSY;
	if (primary == SQLITE_READONLY || primary == SQLITE_PERM)
		return -EROFS;
	return system != 0 ? -system : -EIO;
}

int sqlite_db_exec(struct sqlite_db *db, const char *sql)
{
	int code = sqlite3_exec(db->db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : sqlite_db_error(db, code);
}

int sqlite_db_number(struct sqlite_db *db, const char *sql, int64_t otherwise, int64_t *ret_number)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(db->db, sql, -1, &statement, NULL), r = 0;

	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		*ret_number = sqlite3_column_int64(statement, 0);
	else if (code == SQLITE_DONE)
		*ret_number = otherwise;
	else
		r = sqlite_db_error(db, code);
	(void)sqlite3_finalize(statement); /* says again what step() said */
	return r;
}

int sqlite_db_run(struct sqlite_db *db, enum sqlite_statement statement)
{
	int code = sqlite3_step(db->statements[statement]);
	int r = code == SQLITE_DONE || code == SQLITE_ROW ? 0 : sqlite_db_error(db, code);

	(void)sqlite3_reset(db->statements[statement]); /* says again what step() said */
	return r;
}

int64_t sqlite_db_log_size(uint64_t frames)
{
	return frames > 0 ? 32 + (int64_t)frames * (SQLITE_DB_FRAME_HEAD + SQLITE_DB_PAGE) : 0;
}

sqlite3_file *sqlite_db_log(struct sqlite_db *db)
{
	sqlite3_file *log = NULL;
	int code = sqlite3_file_control(db->db, NULL, SQLITE_FCNTL_JOURNAL_POINTER, &log);

	return code == SQLITE_OK && log != NULL && log->pMethods != NULL ? log : NULL;
}

static int on_commit(void *arg, sqlite3 *handle, const char *name, int frames)
{
	struct sqlite_db *db = arg;

	(void)handle;
	(void)name;
	/* A log that began anew has fewer. */
	db->n_frames += (uint64_t)frames - ((uint64_t)frames > db->wal_frames ? db->wal_frames : 0);
	db->wal_frames = (uint64_t)frames;
	return SQLITE_OK;
}

/* A damaged file that an earlier start kept aside; "" if there is none. */
static void find_aside(const char *path, char *ret_name, size_t size)
{
	char copy[STORE_PATH_MAX], folder[STORE_PATH_MAX], prefix[STORE_PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	ret_name[0] = '\0';
	(void)snprintf(copy, sizeof copy, "%s", path);
	(void)snprintf(folder, sizeof folder, "%s", dirname(copy));
	(void)snprintf(copy, sizeof copy, "%s", path);
	(void)snprintf(prefix, sizeof prefix, "%.255s" ASIDE, basename(copy));
	dir = opendir(folder);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
			strchr(entry->d_name + strlen(prefix), '-') == NULL)
			(void)snprintf(ret_name, size, "%.3800s/%s", folder, entry->d_name);
	if (dir != NULL)
		(void)closedir(dir);
}

int sqlite_db_put_aside(const char *path, const char *what, char *ret_why)
{
	time_t now = (time_t)(clock_wall_us() / US_PER_SEC);
	char to[STORE_PATH_MAX + 64], log[STORE_PATH_MAX + 8], log_to[STORE_PATH_MAX + 72],
		date[32];
	struct tm tm;

	(void)strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	(void)snprintf(to, sizeof to, "%s" ASIDE "%s", path, date);
	(void)snprintf(log, sizeof log, "%s-wal", path);
	(void)snprintf(log_to, sizeof log_to, "%s-wal", to);
	/* The log first: without it the file would be taken for whole by whoever comes between. */
	if ((rename(log, log_to) < 0 && errno != ENOENT) || rename(path, to) < 0)
		say(ret_why, "%s is damaged (%s) and could not be kept aside: %s", path, what,
			strerror(errno));
	else
		say(ret_why, "%s is damaged (%s): it was kept aside as %s", path, what, to);
	return -EUCLEAN;
}

/* Made here, so that nobody else may read it whatever the umask says; SQLite gives the log the same mode. */
static int make_file(const char *path, bool is_import, char *ret_why)
{
	char aside[STORE_PATH_MAX];
	int fd;

	if (access(path, F_OK) == 0)
		return 0;
	find_aside(path, aside, sizeof aside);
	if (!is_import && aside[0] != '\0') {
		say(ret_why,
			"%s is not there, but a damaged one is: %s; `workpoold --store-export %s` "
			"writes what can be read of it, "
			"`workpoold --store-import` makes a store of that, from nothing an empty "
			"one",
			path, aside, aside);
		return -EUCLEAN;
	}
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		int r = -errno;

		say(ret_why, "%s: %s", path, strerror(-r));
		return r;
	}
	(void)fd_close(fd);
	return 0;
}

static int upgrade(struct sqlite_db *db, int64_t version, char *ret_why)
{
	char sql[64];
	int r = sqlite_db_exec(db, "BEGIN IMMEDIATE");

	if (r == 0 && version == 0)
		r = sqlite_db_exec(db, schema);
	for (; r == 0 && version > 0 && version < SQLITE_DB_VERSION; version++)
		r = sqlite_db_exec(db, upgrades[version]);
	(void)snprintf(sql, sizeof sql, "PRAGMA application_id = %lld", (long long)APPLICATION_ID);
	if (r == 0)
		r = sqlite_db_exec(db, sql);
	if (r == 0)
		r = sqlite_db_exec(db, "PRAGMA user_version = " STR(SQLITE_DB_VERSION));
	if (r == 0)
		r = sqlite_db_exec(db, "COMMIT");
	if (r < 0)
		say(ret_why, "%s: its tables: %s", db->path, sqlite3_errmsg(db->db));
	return r;
}

/* Whose file it is, and of which version; a new one gets its tables. */
static int take_file(struct sqlite_db *db, char *ret_why)
{
	int64_t pages = 0, application = 0, version = 0;
	struct stat file;
	int r = sqlite_db_exec(db, lock);

	if (r == 0 && stat(db->path, &file) == 0 && file.st_size == 0)
		r = sqlite_db_exec(db, fresh);
	if (r == 0)
		r = sqlite_db_exec(db, settings);
	if (r == 0)
		r = sqlite_db_number(
			db, "SELECT count(*) FROM sqlite_schema", 0, &pages); /* takes the lock */
	if (r == 0)
		r = sqlite_db_number(db, "PRAGMA application_id", 0, &application);
	if (r == 0)
		r = sqlite_db_number(db, "PRAGMA user_version", 0, &version);
	if (r < 0) {
		say(ret_why, "%s: %s", db->path,
			r == -EBUSY ? "another process has it" : sqlite3_errmsg(db->db));
		return r;
	}
	if (pages > 0 && application != APPLICATION_ID) {
		(void)snprintf(
			ret_why, STORE_WHY_SIZE, "%s: this is not a store of tasks", db->path);
		return -ENOTSUP;
	}
	if (version > SQLITE_DB_VERSION) {
		say(ret_why, "%s: version %lld of the store, this program knows up to %d", db->path,
			(long long)version, SQLITE_DB_VERSION);
		return -ENOTSUP;
	}
	return version < SQLITE_DB_VERSION ? upgrade(db, version, ret_why) : 0;
}

static int prepare_all(struct sqlite_db *db)
{
	char sql[64];
	int code = SQLITE_OK;

	for (unsigned i = 0; code == SQLITE_OK && i < SQL_STATEMENTS; i++)
		code = sqlite3_prepare_v3(db->db, sqlite_row_texts[i], -1,
			SQLITE_PREPARE_PERSISTENT, &db->statements[i], NULL);
	if (code != SQLITE_OK)
		return sqlite_db_error(db, code);
	(void)sqlite3_wal_hook(
		db->db, on_commit, db); /* and no checkpoints by SQLite itself: sqlite_tend.c */
	(void)snprintf(sql, sizeof sql, "PRAGMA max_page_count = %llu",
		(unsigned long long)(db->max_bytes / SQLITE_DB_PAGE));
	return sqlite_db_exec(db, "PRAGMA synchronous = NORMAL") < 0 ? -EIO
								     : sqlite_db_exec(db, sql);
}

/*
 * The names of the file and of the log, both perhaps new. SQLite flushes the folder once, with the first flush of the log, but does
 * not look at what comes of that (unixSync() in its os_unix.c): so that is done with here, and then done again. What the log holds
 * later is not worth more than its name.
 */
static int flush_names(struct sqlite_db *db, char *ret_why)
{
	sqlite3_file *log = sqlite_db_log(db);
	int r = 0;

	if (log != NULL && log->pMethods->xSync(log, SQLITE_SYNC_NORMAL) != SQLITE_OK)
		r = sqlite_db_error(db, SQLITE_IOERR_FSYNC);
	if (r == 0)
		r = fd_flush_folder_of(db->path);
	if (r < 0)
		say(ret_why, "%s: the log and the folder cannot be flushed to the disk: %s",
			db->path, strerror(-r));
	return r;
}

static int open_file(struct sqlite_db *db, bool is_import, char *ret_why)
{
	int r = make_file(db->path, is_import, ret_why);
	int code;

	if (r < 0)
		return r;
	code = sqlite3_open_v2(db->path, &db->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, db->vfs);
	if (code == SQLITE_OK) {
		r = take_file(db, ret_why);
		if (r == 0)
			r = prepare_all(db);
		return r == 0 ? flush_names(db, ret_why) : r;
	}
	say(ret_why, "%s: %s", db->path, db->db != NULL ? sqlite3_errmsg(db->db) : "out of memory");
	return db->db != NULL ? sqlite_db_error(db, code) : -ENOMEM;
}

int sqlite_db_open(
	const struct store_sqlite_options *options, struct sqlite_db **ret_db, char *ret_why)
{
	struct sqlite_db *db = calloc(1, sizeof *db);
	uint64_t quarter = options->max_bytes / 4;
	int r = -ENOMEM;

	/* One thread, and nobody asks how much memory it takes; refused, and no harm, when this is not the first file. */
	(void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (db != NULL)
		db->path = strdup(options->path);
	if (db != NULL && db->path != NULL && asprintf(&db->log_path, "%s-wal", db->path) < 0)
		db->log_path = NULL;
	if (db != NULL && db->log_path != NULL) {
		db->vfs = options->vfs;
		db->is_full_sync = options->is_full_sync;
		db->flushed_frames = -1;
		db->max_bytes = options->max_bytes;
		db->reserve_bytes =
			options->reserve_bytes < quarter ? options->reserve_bytes : quarter;
		say(ret_why, "%s: cannot be opened", db->path);
		r = open_file(db, options->is_import, ret_why);
	}
	if (r < 0) {
		sqlite_db_close(db, false);
		return r == -EUCLEAN && access(options->path, F_OK) == 0
			       ? sqlite_db_put_aside(options->path, "it cannot be read", ret_why)
			       : r;
	}
	ret_why[0] = '\0';
	*ret_db = db;
	return 0;
}

void sqlite_db_close(struct sqlite_db *db, bool is_sound)
{
	if (db == NULL)
		return;
	flusher_free(db->flusher);
	for (unsigned i = 0; i < SQL_STATEMENTS; i++)
		(void)sqlite3_finalize(db->statements[i]);
	if (!is_sound && db->db != NULL)
		(void)sqlite3_db_config(db->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_close(db->db); /* nothing is left that it could wait for */
	free(db->path);
	free(db->log_path);
	free(db);
}
