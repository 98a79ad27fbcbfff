/*
 * sqlite_row: see sqlite_row.h. Parameters 1 to 14 are the same for all that writes a task: what of it can change.
 */
#include "store/sqlite_row.h"

#include <string.h>

#include "config/settings.h"
#include "core/handler.h"
#include "core/pool.h"

#define LARGE_BYTES 1000 /* arguments longer than this stand in a table of their own */

/* The numbers stand in files. */
_Static_assert(TASK_QUEUED == 1 && TASK_DELAYED == 2 && TASK_ACTIVE == 3 && TASK_DONE == 4 &&
		       TASK_FAILED == 5 && TASK_CANCELLED == 6 && TASK_EXPIRED == 7 &&
		       TASK_LOST == 8,
	"schema.sql");

#define MOVE                                                                                       \
	"UPDATE task SET state = ?2, attempt = ?3, failures = ?4, crashes = ?5, trials = ?6, "     \
	"suspect = ?7, seq = ?8, "                                                                 \
	"queued = ?9, started = ?10, ended = ?11, due = ?12, expires = ?13, asked = ?14"

#define POST                                                                                       \
	"INSERT INTO task (id, state, attempt, failures, crashes, trials, suspect, seq, "          \
	"queued, started, ended, due, expires, asked, reason, result, pool, handler, owner, "      \
	"priority, retries, posted, timeout, delay, name, key, args) VALUES (?1, ?2, ?3, ?4, ?5, " \
	"?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, "   \
	"?24, ?25, ?26, ?27)"

#define NUMBER                                                                                     \
	"INSERT INTO number (owner, name, value) VALUES (?1, ?2, ?3) ON CONFLICT (owner, name) "   \
	"DO UPDATE SET value = ?3"

const char *const sqlite_row_texts[SQL_STATEMENTS] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_POST] = POST,
	[SQL_POST_LARGE] = "INSERT INTO large (id, args) VALUES (?1, ?2)",
	[SQL_MOVE] = MOVE " WHERE id = ?1",
	[SQL_END] = MOVE ", reason = ?15, result = ?16 WHERE id = ?1",
	[SQL_FORGET] = "DELETE FROM task WHERE id = ?1",
	[SQL_FORGET_LARGE] = "DELETE FROM large WHERE id = ?1",
	[SQL_NUMBER] = NUMBER,
	[SQL_PAGES] = "PRAGMA page_count",
	[SQL_FREE_PAGES] = "PRAGMA freelist_count",
};

const char sqlite_row_select[] =
	"SELECT id, state, attempt, failures, crashes, trials, suspect, seq, queued, started, "
	"ended, due, expires, asked, reason, result, "
	"pool, handler, owner, priority, retries, posted, timeout, delay, name, key, "
	"coalesce(args, (SELECT args FROM large WHERE large.id = task.id)) FROM task ORDER BY id";

enum column {
	COL_ID,
	COL_STATE,
	COL_ATTEMPT,
	COL_FAILURES,
	COL_CRASHES,
	COL_TRIALS,
	COL_SUSPECT,
	COL_SEQ,
	COL_QUEUED,
	COL_STARTED,
	COL_ENDED,
	COL_DUE,
	COL_EXPIRES,
	COL_ASKED,
	COL_REASON,
	COL_RESULT,
	COL_POOL,
	COL_HANDLER,
	COL_OWNER,
	COL_PRIORITY,
	COL_RETRIES,
	COL_POSTED,
	COL_TIMEOUT,
	COL_DELAY,
	COL_NAME,
	COL_KEY,
	COL_ARGS
};

/* Binding can only fail for want of memory, of which a static text and a number need none, and for a parameter that is not there. */
static void bind_number(sqlite3_stmt *statement, int at, uint64_t number)
{
	(void)sqlite3_bind_int64(statement, at + 1, (sqlite3_int64)number);
}

/* NULL for a view without data; else good until the statement is reset. */
static void bind_text(sqlite3_stmt *statement, int at, struct view text)
{
	if (text.data != NULL)
		(void)sqlite3_bind_text64(
			statement, at + 1, text.data, text.len, SQLITE_STATIC, SQLITE_UTF8);
	else
		(void)sqlite3_bind_null(statement, at + 1);
}

static struct view text_or_null(const char *data, size_t len)
{
	return (struct view){len > 0 ? data : NULL, len};
}

/* The calendar at a time of the task, by its post's: so that all of one task keep their order whatever is done to the clock. */
static uint64_t wall_of(const struct task *task, uint64_t at_us)
{
	return at_us != 0 ? task->posted_wall_us + (at_us - task->posted_us) : 0;
}

static void bind_life(sqlite3_stmt *statement, const struct task *task)
{
	bind_number(statement, COL_ID, task->id);
	bind_number(statement, COL_STATE, task->state);
	bind_number(statement, COL_ATTEMPT, task->attempt);
	bind_number(statement, COL_FAILURES, task->failures);
	bind_number(statement, COL_CRASHES, task->crashes);
	bind_number(statement, COL_TRIALS, task->trials);
	bind_number(statement, COL_SUSPECT, task->suspect);
	bind_number(statement, COL_SEQ, task->seq);
	bind_number(statement, COL_QUEUED, wall_of(task, task->queued_us));
	bind_number(statement, COL_STARTED, wall_of(task, task->started_us));
	bind_number(statement, COL_ENDED, wall_of(task, task->ended_us));
	bind_number(
		statement, COL_DUE, task->state == TASK_DELAYED ? wall_of(task, task->due_us) : 0);
	bind_number(statement, COL_EXPIRES, wall_of(task, task->expires_us));
	bind_number(statement, COL_ASKED, task->state == TASK_ACTIVE && task->cancelled);
}

static void bind_end(sqlite3_stmt *statement, const struct task *task)
{
	bool has_end = task->end != NULL;

	bind_text(statement, COL_REASON,
		(struct view){has_end ? task->end->reason : NULL,
			has_end ? strlen(task->end->reason) : 0});
	bind_text(statement, COL_RESULT,
		has_end ? text_or_null(task->end->result, task->end->result_len)
			: (struct view){NULL, 0});
}

static void bind_post(sqlite3_stmt *statement, const struct task *task)
{
	bind_text(statement, COL_POOL, view_of(task->pool->settings->name));
	bind_text(statement, COL_HANDLER, view_of(task->handler->settings->name));
	bind_number(statement, COL_OWNER, task->owner_uid);
	bind_number(statement, COL_PRIORITY, task->priority);
	bind_number(statement, COL_RETRIES, task->retries);
	bind_number(statement, COL_POSTED, task->posted_wall_us);
	bind_number(statement, COL_TIMEOUT, task->timeout_us);
	bind_number(statement, COL_DELAY, task->delay_us);
	bind_text(statement, COL_NAME, text_or_null(task_name(task), task->name_len));
	bind_text(statement, COL_KEY, text_or_null(task_unique(task), task->unique_len));
	bind_text(statement, COL_ARGS,
		text_or_null(
			task_args(task).data, task->args_len <= LARGE_BYTES ? task->args_len : 0));
}

static int write_post(struct sqlite_db *db, const struct task *task)
{
	sqlite3_stmt *statement = db->statements[SQL_POST], *large = db->statements[SQL_POST_LARGE];
	int r = 0;

	if (task->args_len > LARGE_BYTES) {
		bind_number(large, 0, task->id);
		bind_text(large, 1, task_args(task));
		r = sqlite_db_run(db, SQL_POST_LARGE);
	}
	bind_life(statement, task);
	bind_end(statement, task);
	bind_post(statement, task);
	return r == 0 ? sqlite_db_run(db, SQL_POST) : r;
}

int sqlite_row_write(struct sqlite_db *db, const struct task *task)
{
	/* Those after which task->end says the same as before, or nothing. */
	const unsigned moves = 1u << EV_POST | 1u << EV_POST_LATER | 1u << EV_DUE | 1u << EV_START |
			       1u << EV_RETRY | 1u << EV_UNSTART | 1u << EV_ASK;
	enum sqlite_statement which = (task->news & ~moves) != 0 ? SQL_END : SQL_MOVE;

	if (task->saved == TASK_NEW)
		return write_post(db, task);
	bind_life(db->statements[which], task);
	if (which == SQL_END)
		bind_end(db->statements[which], task);
	return sqlite_db_run(db, which);
}

int sqlite_row_forget(struct sqlite_db *db, const struct task *task)
{
	int r = 0;

	bind_number(db->statements[SQL_FORGET], COL_ID, task->id);
	bind_number(db->statements[SQL_FORGET_LARGE], 0, task->id);
	if (task->args_len > LARGE_BYTES)
		r = sqlite_db_run(db, SQL_FORGET_LARGE);
	return r == 0 ? sqlite_db_run(db, SQL_FORGET) : r;
}

int sqlite_row_write_number(
	struct sqlite_db *db, const char *owner, const char *name, uint64_t value)
{
	bind_text(db->statements[SQL_NUMBER], 0, view_of(owner));
	bind_text(db->statements[SQL_NUMBER], 1, view_of(name));
	bind_number(db->statements[SQL_NUMBER], 2, value);
	return sqlite_db_run(db, SQL_NUMBER);
}

static uint64_t number_at(sqlite3_stmt *statement, enum column at)
{
	sqlite3_int64 number = sqlite3_column_int64(statement, (int)at);

	return number > 0 ? (uint64_t)number : 0;
}

static uint32_t small_at(sqlite3_stmt *statement, enum column at)
{
	uint64_t number = number_at(statement, at);

	return number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

static uint8_t byte_at(sqlite3_stmt *statement, enum column at)
{
	uint64_t number = number_at(statement, at);

	return number < UINT8_MAX ? (uint8_t)number : UINT8_MAX;
}

static struct view text_at(sqlite3_stmt *statement, enum column at)
{
	const char *data =
		(const char *)sqlite3_column_text(statement, (int)at); /* before its length */

	return (struct view){
		data, data != NULL ? (size_t)sqlite3_column_bytes(statement, (int)at) : 0};
}

static const char *name_at(sqlite3_stmt *statement, enum column at)
{
	const char *name = (const char *)sqlite3_column_text(statement, (int)at);

	return name != NULL ? name : "";
}

/* A time of the calendar as one of our clock: 0 for none, else at least 1, for what may have been long before. */
static uint64_t mono_of(uint64_t at_wall_us, uint64_t now_us, uint64_t wall_us)
{
	if (at_wall_us == 0)
		return 0;
	if (at_wall_us >= wall_us)
		return now_us + (at_wall_us - wall_us);
	return wall_us - at_wall_us < now_us ? now_us - (wall_us - at_wall_us) : 1;
}

/* One that has passed, also when the calendar was set back since. */
static uint64_t past_of(uint64_t at_wall_us, uint64_t now_us, uint64_t wall_us)
{
	uint64_t at_us = mono_of(at_wall_us, now_us, wall_us);

	return at_us < now_us ? at_us : now_us;
}

void sqlite_row_read(sqlite3_stmt *statement, uint64_t now_us, uint64_t wall_us,
	struct restored *ret_row, const char **ret_pool, const char **ret_handler)
{
	uint32_t state = small_at(statement, COL_STATE);
	uint64_t posted = number_at(statement, COL_POSTED);

	*ret_row = (struct restored){
		.id = number_at(statement, COL_ID),
		.state = state < TASK_STATES ? (enum task_state)state : TASK_STATES,
		.priority = byte_at(statement, COL_PRIORITY),
		.attempt = small_at(statement, COL_ATTEMPT),
		.retries = small_at(statement, COL_RETRIES),
		.owner_uid = small_at(statement, COL_OWNER),
		.seq = number_at(statement, COL_SEQ),
		.posted_wall_us = posted,
		.posted_us = past_of(posted, now_us, wall_us),
		.queued_us = past_of(number_at(statement, COL_QUEUED), now_us, wall_us),
		.started_us = past_of(number_at(statement, COL_STARTED), now_us, wall_us),
		.ended_us = past_of(number_at(statement, COL_ENDED), now_us, wall_us),
		.suspect = number_at(statement, COL_SUSPECT) != 0,
		.cancelled = number_at(statement, COL_ASKED) != 0,
		.expires_us = mono_of(number_at(statement, COL_EXPIRES), now_us, wall_us),
		.timeout_us = number_at(statement, COL_TIMEOUT),
		.delay_us = number_at(statement, COL_DELAY),
		.name = text_at(statement, COL_NAME),
		.unique = text_at(statement, COL_KEY),
		.args = text_at(statement, COL_ARGS),
	};
	if (ret_row->attempt > 0) { /* most of a long queue has nothing of this */
		ret_row->trials = byte_at(statement, COL_TRIALS);
		ret_row->failures = small_at(statement, COL_FAILURES);
		ret_row->crashes = small_at(statement, COL_CRASHES);
	}
	ret_row->has_end = sqlite3_column_type(statement, COL_REASON) != SQLITE_NULL;
	if (ret_row->has_end) {
		ret_row->reason = text_at(statement, COL_REASON);
		ret_row->result = text_at(statement, COL_RESULT);
	}
	if (state == TASK_DELAYED)
		ret_row->due_us = mono_of(number_at(statement, COL_DUE), now_us, wall_us);
	*ret_pool = name_at(statement, COL_POOL);
	*ret_handler = name_at(statement, COL_HANDLER);
}
