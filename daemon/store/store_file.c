/*
 * store_file: see store_file.h. SQLite itself writes and reads the JSON; payloads are texts in it, so that they come back byte for
 * byte. Nothing is written into a file that is only looked at: what is in its log stays there.
 */
#include "store/store_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/sqlite_db.h"

#define STATE_WORD                                                                                 \
	"CASE state WHEN 1 THEN 'queued' WHEN 2 THEN 'delayed' WHEN 3 THEN 'active' WHEN 4 THEN "  \
	"'done' WHEN 5 THEN 'failed' "                                                             \
	"WHEN 6 THEN 'cancelled' WHEN 7 THEN 'expired' WHEN 8 THEN 'lost' END"
#define STATE_NUMBER                                                                               \
	"CASE json_extract(?1, '$.state') WHEN 'queued' THEN 1 WHEN 'delayed' THEN 2 WHEN "        \
	"'active' THEN 3 WHEN 'done' THEN 4 "                                                      \
	"WHEN 'failed' THEN 5 WHEN 'cancelled' THEN 6 WHEN 'expired' THEN 7 WHEN 'lost' THEN 8 "   \
	"END"
#define FIELD(name) "json_extract(?1, '$." name "')"
#define OUT(name)   "'" name "', " name ", "

static const char export_tasks[] = "SELECT json_object(" OUT("id") "'state', " STATE_WORD ", " OUT(
	"pool") OUT("handler") OUT("owner") OUT("priority") OUT("attempt") OUT("retries")
	OUT("failures") OUT("crashes") OUT("trials") OUT("suspect") OUT("seq") OUT("posted")
		OUT("queued") OUT("started") OUT("ended") OUT("due") OUT("expires") OUT("asked")
			OUT("timeout") OUT("delay") OUT("name") OUT("key") OUT("reason") OUT(
				"result") "'args', coalesce(args, (SELECT args FROM large WHERE "
					  "large.id = task.id))) FROM task ORDER BY id";
/* What a file of an earlier version lacks; before export_tasks. */
static const char *const lacks[SQLITE_DB_VERSION] = {
	"", "WITH task AS (SELECT *, 0 AS asked FROM main.task) "};
static const char export_numbers[] = "SELECT json_object('owner', owner, 'number', name, 'value', "
				     "value) FROM number ORDER BY owner, name";

static const char import_task[] =
	"INSERT INTO task (id, state, pool, handler, owner, priority, attempt, retries, failures, "
	"crashes, trials, suspect, seq, "
	"posted, queued, started, ended, due, expires, asked, timeout, delay, name, key, reason, "
	"result, "
	"args) VALUES (" FIELD("id") ", " STATE_NUMBER
				     ", " FIELD("pool") ", " FIELD("handler") ", " FIELD("owner") ", " FIELD("priority") ", " FIELD("attempt") ", " FIELD("retries") ", " FIELD("failures") ", " FIELD("crashes") ", " FIELD("trials") ", " FIELD("suspect") ", " FIELD("seq") ", " FIELD("posted") ", " FIELD("queued") ", " FIELD("started") ", " FIELD("ended") ", " FIELD(
					     "due") ", " FIELD("expires") ", coalesce(" FIELD("aske"
											      "d") ", 0), " FIELD("timeout") ","
															     " " FIELD("delay") ", " FIELD("name") ", " FIELD("key") ", " FIELD(
																     "reason") ", " FIELD("result") ", " FIELD("args") ")";
static const char import_number[] = "INSERT INTO number (owner, name, value) VALUES (" FIELD(
	"owner") ", " FIELD("number") ", " FIELD("value") ") ON CONFLICT (owner, name) DO UPDATE "
							  "SET value = excluded.value";

/* As sqlite_load.c would refuse them. */
static const char wrong_rows[] = "SELECT id FROM task WHERE id < 1 OR state NOT BETWEEN 1 AND 8 OR "
				 "priority NOT BETWEEN 0 AND 9 OR posted < 1 "
				 "OR (ended != 0) != (state >= 4) OR (state = 3 AND (started = 0 "
				 "OR attempt < 1)) OR (suspect != 0 AND state = 2) LIMIT 10";
static const char wrong_keys[] =
	"SELECT min(id) FROM task WHERE key IS NOT NULL AND state < 4 GROUP BY handler, owner, key "
	"HAVING count(*) > 1 LIMIT 10";
static const char summary[] =
	"SELECT pool || ' ' || handler || ' ' || " STATE_WORD " || ' ' || count(*) FROM task "
	"GROUP BY pool, handler, state";

static int PRINTF_LIKE(3, 4) fail(char *ret_why, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(ret_why, STORE_WHY_SIZE, format, args);
	va_end(args);
	return error;
}

static int failed(sqlite3 *db, const char *path, char *ret_why)
{
	int code = sqlite3_errcode(db) & 0xff;

	return fail(ret_why,
		code == SQLITE_BUSY                               ? -EBUSY
		: code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? -EUCLEAN
		: code == SQLITE_CONSTRAINT                       ? -EEXIST
								  : -EIO,
		"%s: %s", path, code == SQLITE_BUSY ? "a daemon has it" : sqlite3_errmsg(db));
}

/* To be looked at: taken as a daemon would, but nothing goes from its log into it. */
static int open_to_look(const char *path, sqlite3 **ret_db, char *ret_why)
{
	int r = 0;

	*ret_db = NULL;
	if (access(path, F_OK) < 0)
		return fail(ret_why, -errno, "%s: %s", path, strerror(errno));
	if (sqlite3_open_v2(path, ret_db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
			SQLITE_OK ||
		sqlite3_db_config(*ret_db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL) !=
			SQLITE_OK ||
		sqlite3_exec(*ret_db,
			"PRAGMA locking_mode = EXCLUSIVE; PRAGMA cell_size_check = ON; SELECT 1 "
			"FROM sqlite_schema",
			NULL, NULL, NULL) != SQLITE_OK) {
		r = *ret_db != NULL ? failed(*ret_db, path, ret_why)
				    : fail(ret_why, -ENOMEM, "out of memory");
		(void)sqlite3_close(*ret_db); /* nothing is left that it could wait for */
	}
	return r;
}

struct listing {
	FILE *out;
	const char *before;
	uint64_t n;
};

static int list_row(void *arg, int columns, char **texts, char **names)
{
	struct listing *listing = arg;

	(void)columns;
	(void)names;
	listing->n++;
	return fprintf(listing->out, "%s%s\n", listing->before, texts[0] != NULL ? texts[0] : "") <
	       0;
}

/* A line for each row; how many there were. */
static int list_rows(sqlite3 *db, const char *sql, const char *before, FILE *out, uint64_t *ret_n)
{
	struct listing listing = {out, before, 0};
	int code = sqlite3_exec(db, sql, list_row, &listing, NULL);

	*ret_n = listing.n;
	return code == SQLITE_OK ? 0 : -1;
}

static int note_integrity(void *arg, int columns, char **texts, char **names)
{
	struct listing *listing = arg;

	(void)columns;
	(void)names;
	if (texts[0] == NULL || strcmp(texts[0], "ok") == 0)
		return 0;
	listing->n++;
	return fprintf(listing->out, "damaged: %s\n", texts[0]) < 0;
}

static int check_all(sqlite3 *db, const char *path, FILE *out, char *ret_why)
{
	struct listing integrity = {out, "", 0};
	uint64_t n_rows = 0, n_keys = 0, n;

	if (sqlite3_exec(db, "PRAGMA integrity_check(20)", note_integrity, &integrity, NULL) !=
			SQLITE_OK ||
		list_rows(db, wrong_rows, "makes no sense: task ", out, &n_rows) < 0 ||
		list_rows(db, wrong_keys, "has a unique key that another task has: task ", out,
			&n_keys) < 0)
		return failed(db, path, ret_why);
	if (integrity.n + n_rows + n_keys > 0)
		return fail(ret_why, -EUCLEAN, "%s is damaged", path);
	return list_rows(db, summary, "", out, &n) < 0 ? failed(db, path, ret_why) : 0;
}

int store_file_check(const char *path, FILE *out, char *ret_why)
{
	sqlite3 *db;
	int r = open_to_look(path, &db, ret_why);

	if (r < 0)
		return r;
	r = check_all(db, path, out, ret_why);
	(void)sqlite3_close(db); /* nothing is left that it could wait for */
	return r;
}

/* Of any version up to ours; of a later one as much as it has in common. */
static int list_tasks(sqlite3 *db, FILE *out, uint64_t *ret_n)
{
	sqlite3_stmt *statement = NULL;
	auto_free char *sql = NULL;
	int version = 0;

	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL) == SQLITE_OK &&
		sqlite3_step(statement) == SQLITE_ROW)
		version = sqlite3_column_int(statement, 0);
	(void)sqlite3_finalize(statement); /* says again what step() said */
	if (asprintf(&sql, "%s%s", version > 0 && version < SQLITE_DB_VERSION ? lacks[version] : "",
		    export_tasks) < 0)
		return -1;
	return list_rows(db, sql, "", out, ret_n);
}

int store_file_export(const char *path, FILE *out, char *ret_why)
{
	sqlite3 *db;
	uint64_t n_tasks = 0, n;
	int r = open_to_look(path, &db, ret_why);

	if (r < 0)
		return r;
	if (list_tasks(db, out, &n_tasks) < 0)
		r = failed(db, path, ret_why);
	if (list_rows(db, export_numbers, "", out, &n) < 0 && r == 0)
		r = failed(db, path, ret_why);
	if (r == 0 && (fflush(out) != 0 || ferror(out)))
		r = fail(ret_why, -EIO, "the output could not be written");
	else if (r < 0)
		(void)snprintf(ret_why + strlen(ret_why), STORE_WHY_SIZE - strlen(ret_why),
			" (behind %llu tasks)", (unsigned long long)n_tasks);
	(void)sqlite3_close(db); /* nothing is left that it could wait for */
	return r;
}

static int import_line(
	sqlite3_stmt *const statements[2], const char *line, size_t len, uint64_t *tasks)
{
	bool is_number =
		strstr(line, "\"number\":") != NULL && strstr(line, "\"owner\":\"") != NULL;
	sqlite3_stmt *statement = statements[is_number];
	int code = sqlite3_bind_text64(statement, 1, line, len, SQLITE_STATIC, SQLITE_UTF8);

	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	*tasks += !is_number;
	(void)sqlite3_reset(statement); /* says again what step() said */
	return code == SQLITE_DONE ? 0 : -1;
}

static int import_lines(struct sqlite_db *db, FILE *in, uint64_t *tasks, char *ret_why)
{
	sqlite3_stmt *statements[2] = {NULL, NULL};
	auto_free char *line = NULL;
	size_t size = 0;
	uint64_t n = 0;
	ssize_t len;
	int r = 0;

	if (sqlite3_prepare_v2(db->db, import_task, -1, &statements[0], NULL) != SQLITE_OK ||
		sqlite3_prepare_v2(db->db, import_number, -1, &statements[1], NULL) != SQLITE_OK)
		r = failed(db->db, db->path, ret_why);
	while (r == 0 && (len = getline(&line, &size, in)) >= 0) {
		n++;
		if (strspn(line, " \t\r\n") == (size_t)len)
			continue;
		if (import_line(statements, line, (size_t)len, tasks) < 0) {
			bool is_there =
				sqlite3_extended_errcode(db->db) == SQLITE_CONSTRAINT_PRIMARYKEY ||
				sqlite3_extended_errcode(db->db) == SQLITE_CONSTRAINT_ROWID;

			r = fail(ret_why, is_there ? -EEXIST : -EINVAL, "line %llu: %s",
				(unsigned long long)n,
				is_there ? "a task with this id is there already"
					 : sqlite3_errmsg(db->db));
		}
	}
	(void)sqlite3_finalize(statements[0]); /* both say again what step() said */
	(void)sqlite3_finalize(statements[1]);
	return r;
}

/* A task that a board would not take is found now and not when the daemon starts. */
static int import_check(struct sqlite_db *db, char *ret_why)
{
	int64_t row = 0, key = 0;

	if (sqlite_db_number(db, wrong_rows, 0, &row) < 0 ||
		sqlite_db_number(db, wrong_keys, 0, &key) < 0)
		return failed(db->db, db->path, ret_why);
	if (row != 0)
		return fail(ret_why, -EINVAL, "task %lld makes no sense", (long long)row);
	return key != 0 ? fail(ret_why, -EINVAL, "task %lld has a unique key that another task has",
				  (long long)key)
			: 0;
}

int store_file_import(const char *path, FILE *in, uint64_t *ret_tasks, char *ret_why)
{
	const struct store_sqlite_options options = {.path = path,
		.is_full_sync = true,
		.max_bytes = UINT64_C(1) << 42,
		.is_import = true};
	bool was_there = access(path, F_OK) == 0;
	struct sqlite_db *db;
	uint64_t tasks = 0;
	int r = sqlite_db_open(&options, &db, ret_why);

	if (r < 0)
		return r;
	r = sqlite_db_run(db, SQL_BEGIN);
	if (r == 0)
		r = import_lines(db, in, &tasks, ret_why);
	if (r == 0)
		r = import_check(db, ret_why);
	if (r == 0) {
		r = sqlite_db_run(db, SQL_COMMIT);
		if (r < 0)
			r = failed(db->db, path, ret_why);
	}
	if (r < 0 && !was_there) { /* an empty store would look like all that there was */
		(void)unlink(db->log_path);
		(void)unlink(path);
	}
	sqlite_db_close(db, r == 0);
	if (r == 0)
		*ret_tasks = tasks;
	return r;
}
