/*
 * check_store: which store the settings mean; the interface, against both; and files: a second opener, damage, other versions,
 * looking at one, writing it out and making one of that.
 */
#include "store_fixture.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "store/sqlite_db.h"
#include "store/store_file.h"

static char sentence[STORE_WHY_SIZE];

/* --- The interface --------------------------------------------------------------------------- */

START_TEST(test_store_both_kinds_do_what_the_interface_says)
{
	for (unsigned i = 0; i < 2; i++) {
		struct box box;
		struct fixture *fx = &box.fx;
		struct store_status status;
		struct task *task;

		box_init(&box, 1, 10);
		if (i == 0) {
			fixture_open(fx);
			ck_assert_int_eq(store_mem_open(&box.store), 0);
			ck_assert_int_eq(store_load(box.store, fx->board, fx->now_us,
						 box_wall_us(&box), box.why),
				0);
		} else {
			box_open(&box);
		}
		ck_assert_str_eq(box.store->ops->name, i == 0 ? "memory" : "sqlite");
		ck_assert(box.store->ops->keeps == (i == 1));
		task = box_post_one(&box);
		box_turn_ok(&box);
		ck_assert_int_eq(task->state, TASK_ACTIVE);
		ck_assert_int_eq(store_check(box.store), 0);
		(void)store_tend(box.store, true);
		status = store_status(box.store);
		ck_assert_str_eq(status.why, "");
		ck_assert_uint_eq(status.posts, i);
		ck_assert((status.path != NULL) == (i == 1));
		box_close(&box);
	}
}
END_TEST

START_TEST(test_store_path_is_where_the_settings_and_the_environment_say)
{
	struct settings settings = {.daemon.state_dir = (char *)"/given"};
	char path[STORE_PATH_MAX];

	ck_assert_int_eq(unsetenv("STATE_DIRECTORY"), 0);
	ck_assert_int_eq(setenv("HOME", "/home/x", 1), 0);
	ck_assert_int_eq(unsetenv("XDG_STATE_HOME"), 0);
	ck_assert_int_eq(store_path(&settings, path, sizeof path), 0);
	ck_assert_str_eq(path, "/given/tasks.db");
	settings.daemon.state_dir = (char *)"";
	ck_assert_int_eq(store_path(&settings, path, sizeof path), 0);
	ck_assert_str_eq(path, geteuid() == 0 ? "/var/lib/workpoold/tasks.db"
					      : "/home/x/.local/state/workpoold/tasks.db");
	ck_assert_int_eq(setenv("XDG_STATE_HOME", "/x", 1), 0);
	ck_assert_int_eq(store_path(&settings, path, sizeof path), 0);
	ck_assert_str_eq(
		path, geteuid() == 0 ? "/var/lib/workpoold/tasks.db" : "/x/workpoold/tasks.db");
	ck_assert_int_eq(setenv("STATE_DIRECTORY", "/var/lib/a:/var/lib/b", 1), 0);
	ck_assert_int_eq(store_path(&settings, path, sizeof path), 0);
	ck_assert_str_eq(path, "/var/lib/a/tasks.db");
	ck_assert_int_eq(store_path(&settings, path, 15), -ENAMETOOLONG);
}
END_TEST

START_TEST(test_store_folders_are_made_for_nobody_else)
{
	struct box box;
	char dir[128];
	struct settings settings = {.daemon.state_dir = dir,
		.store = {.type = STORE_SQLITE, .max_size_bytes = 1 << 24}};
	struct store *store;
	struct stat is;

	box_init(&box, 1, 1);
	(void)snprintf(dir, sizeof dir, "%s/a/b", box.dir);
	ck_assert_int_eq(store_open(&settings, &store, sentence), 0);
	ck_assert_int_eq(stat(dir, &is), 0);
	ck_assert_uint_eq(is.st_mode & 0777, 0700);
	(void)strcat(dir, "/tasks.db");
	ck_assert_int_eq(stat(dir, &is), 0);
	ck_assert_uint_eq(is.st_mode & 0777, 0600);
	(void)strcat(dir, "-wal");
	ck_assert_int_eq(stat(dir, &is), 0);
	ck_assert_uint_eq(is.st_mode & 0777, 0600);
	store_close(store, NULL);
	(void)snprintf(dir, sizeof dir, "/proc/nobody/can");
	ck_assert_int_lt(store_open(&settings, &store, sentence), 0);
	ck_assert_ptr_nonnull(strstr(sentence, "/proc/nobody"));
	settings.store.type = STORE_MEMORY;
	ck_assert_int_eq(store_open(&settings, &store, sentence), 0);
	store_close(store, NULL);
	box_done(&box);
}
END_TEST

/* --- Who opens it ------------------------------------------------------------------------------ */

START_TEST(test_store_a_second_opener_is_refused)
{
	struct box box;
	struct store *store;
	int status;

	box_init(&box, 1, 10);
	box_open(&box);
	(void)box_post_one(&box);
	box_turn_ok(&box);
	if (fork() == 0) {
		int r = store_sqlite_open(&box.options, &store, sentence);

		_exit(r == -EBUSY && strstr(sentence, "another process has it") != NULL ? 0 : 1);
	}
	ck_assert_int_gt(wait(&status), 0);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(store_file_check(box.path, stdout, sentence), -EBUSY);
	ck_assert_ptr_nonnull(strstr(sentence, "a daemon has it"));
	(void)box_post_one(&box);
	box_turn_ok(&box);
	box_restart(&box);
	ck_assert_uint_eq(box.fx.board->last_id, 2);
	box_close(&box);
}
END_TEST

/* A file with some tasks that nobody has open, its log brought in. */
static void make_file(struct box *box, unsigned n)
{
	box_init(box, 1, 100000);
	box_open(box);
	box->fx.pool->paused = true;
	for (unsigned i = 0; i < n; i++) {
		(void)box_post_one(box);
	}
	box_turn_ok(box);
	store_close(box->store, box->fx.board);
	fixture_close(&box->fx);
}

static void spoil(const char *path, off_t at, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, text, len, at), (ssize_t)len);
	(void)close(fd);
}

static unsigned count_files(const struct box *box, const char *pattern)
{
	char command[256], line[32] = "";
	FILE *pipe;

	(void)snprintf(command, sizeof command, "ls %s | grep -c '%s'", box->dir, pattern);
	pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	ck_assert_ptr_nonnull(fgets(line, sizeof line, pipe));
	(void)pclose(pipe);
	return (unsigned)strtoul(line, NULL, 10);
}

static const struct {
	const char *what;
	off_t at;
} spots[] = {{"its header", 0}, {"a page of tasks", 20 * 4096}, {"its last page", -4096},
	{"the list of tables", 100}};

START_TEST(test_store_a_damaged_file_is_kept_aside_and_never_silently_replaced)
{
	char noise[300];
	struct box box;
	struct stat is;
	uint64_t n;

	memset(noise, 0xa5, sizeof noise);
	make_file(&box, 2000);
	ck_assert_int_eq(stat(box.path, &is), 0);
	spoil(box.path, spots[_i].at >= 0 ? spots[_i].at : is.st_size + spots[_i].at, noise,
		sizeof noise);
	ck_assert_int_eq(box_try_open(&box), -EUCLEAN);
	ck_assert_msg(strstr(box.why, "is damaged (") != NULL &&
			      strstr(box.why, "kept aside as ") != NULL,
		"%s", box.why);
	ck_assert_uint_eq(count_files(&box, "^tasks.db$"), 0);
	ck_assert_uint_eq(count_files(&box, "^tasks.db.damaged-[0-9]*T[0-9]*Z$"), 1);
	for (unsigned i = 0; i < 2; i++) { /* as often as a service manager tries */
		ck_assert_int_eq(box_try_open(&box), -EUCLEAN);
		ck_assert_msg(strstr(box.why, "a damaged one is: ") != NULL, "%s", box.why);
		ck_assert_uint_eq(count_files(&box, "^tasks.db$"), 0);
	}
	/* Somebody decides to begin anew. */
	ck_assert_int_eq(store_file_import(box.path, fopen("/dev/null", "re"), &n, sentence), 0);
	box_open(&box);
	box_close(&box);
}
END_TEST

START_TEST(test_store_a_row_that_makes_no_sense_is_damage)
{
	static const char *const changes[] = {"state = 9", "priority = 10", "posted = 0",
		"ended = 5", "state = 4", "id = -5", "state = 3", "suspect = 1, state = 2"};
	struct box box;
	FILE *out;
	char *text = NULL;
	size_t len;

	make_file(&box, 3);
	box_shell("sqlite3 %s 'update task set %s where id = 2'", box.path, changes[_i]);
	out = open_memstream(&text, &len);
	ck_assert_int_eq(store_file_check(box.path, out, sentence), -EUCLEAN);
	(void)fclose(out);
	ck_assert_msg(strstr(text, "makes no sense: task ") != NULL, "%s", text);
	free(text);
	ck_assert_int_eq(box_try_open(&box), -EUCLEAN);
	ck_assert_msg(strstr(box.why, "makes no sense") != NULL, "%s", box.why);
	box_done(&box);
}
END_TEST

START_TEST(test_store_refuses_what_is_not_its_own)
{
	struct box box;

	box_init(&box, 1, 1);
	box_shell("sqlite3 %s 'create table photos (id)'", box.path);
	ck_assert_int_eq(box_try_open(&box), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(box.why, "not a store of tasks"));
	ck_assert_uint_eq(count_files(&box, "^tasks.db$"), 1); /* it is somebody's */
	box_done(&box);
	make_file(&box, 1);
	box_shell("sqlite3 %s 'pragma user_version = 99'", box.path);
	ck_assert_int_eq(box_try_open(&box), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(box.why, "version 99"));
	ck_assert_uint_eq(count_files(&box, "^tasks.db$"), 1);
	box_done(&box);
}
END_TEST

static char *export_text(const char *path)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ck_assert_msg(store_file_export(path, out, sentence) == 0, "%s", sentence);
	(void)fclose(out);
	return text;
}

/* Also without an upgrade: a damaged one is not written to. */
static void check_exports(const char *path)
{
	auto_free char *text = export_text(path);

	ck_assert_ptr_nonnull(strstr(text, "{\"id\":1,\"state\":\"done\""));
	ck_assert_ptr_nonnull(strstr(text, "\"asked\":0"));
	ck_assert_ptr_nonnull(strstr(text, "\"args\":\"{\\\"ms\\\":2}\""));
}

/* Files of all versions so far: tests/unit/store_v<N>.sql, each with a queued, a delayed and a done task and what was counted. */
START_TEST(test_store_opens_files_of_every_version)
{
	const char *srcdir = getenv("srcdir");
	struct box box;
	struct fixture *fx = &box.fx;
	const struct task *task;

	box_init(&box, 1, 100);
	box_shell("sqlite3 %s <%s/tests/unit/store_v%d.sql", box.path,
		srcdir != NULL ? srcdir : ".", _i);
	check_exports(box.path);
	box_open(&box);
	task = board_find_task(fx->board, 1);
	ck_assert_int_eq(task->state, TASK_DONE);
	ck_assert_uint_eq(task_result(task).len, strlen("{\"n\":1}"));
	task = board_find_task(fx->board, 2);
	ck_assert_int_eq(task->state, TASK_QUEUED);
	ck_assert_str_eq(task_unique(task), "key");
	ck_assert_uint_eq(task->retries, 3);
	task = board_find_task(fx->board, 3);
	ck_assert_int_eq(task->state, TASK_DELAYED);
	ck_assert_uint_eq(fx->pool->count[TASK_DONE], 41);
	ck_assert_uint_eq(fx->pool->stats.counters.refused, 7);
	ck_assert_uint_eq(fx->pool->stats.counters.posted, 43);
	ck_assert_uint_eq(fx->board->last_id, 50);
	(void)box_post_one(&box);
	box_turn_ok(&box);
	box_restart(&box);
	ck_assert_uint_eq(fx->board->last_id, 51);
	box_close(&box);
}
END_TEST

/* --- Out and in ------------------------------------------------------------------------------ */

START_TEST(test_store_export_and_import_are_each_others_mirror)
{
	static const char result[] = "{\"a\":[1e30,\"\\u0001\",\"\xc3\xa4\"]}";
	struct box box;
	struct fixture *fx = &box.fx;
	struct result end = {.outcome = RESULT_OK, .result = VIEW_LIT(result)};
	auto_free char *before = NULL, *after = NULL;
	char other[STORE_PATH_MAX], args[5000];
	struct post post;
	uint64_t n = 0;
	FILE *in;

	memset(args, '7', sizeof args);
	box_init(&box, 1, 100);
	box_open(&box);
	post = box_post(&box);
	post.args = (struct view){args, sizeof args};
	post.unique = VIEW_LIT("a \"key\"\\");
	(void)fixture_post_as(fx, &post);
	(void)box_post_one(&box);
	box_turn_ok(&box);
	ck_assert_int_eq(board_finish(fx->board, 1, 1, &end, fx->now_us), 0);
	box_turn_ok(&box);
	box_shut(&box);
	before = export_text(box.path);
	ck_assert_int_eq(store_file_check(box.path, stdout, sentence), 0);
	(void)snprintf(other, sizeof other, "%s/other.db", box.dir);
	in = fmemopen(before, strlen(before), "r");
	ck_assert_msg(store_file_import(other, in, &n, sentence) == 0, "%s", sentence);
	(void)fclose(in);
	ck_assert_uint_eq(n, 2);
	after = export_text(other);
	ck_assert_str_eq(before, after);
	/* Once more: all or nothing. */
	in = fmemopen(before, strlen(before), "r");
	ck_assert_int_eq(store_file_import(other, in, &n, sentence), -EEXIST);
	ck_assert_str_eq(sentence, "line 1: a task with this id is there already");
	(void)fclose(in);
	(void)snprintf(box.path, sizeof box.path, "%s", other);
	box_open(&box);
	ck_assert_int_eq(board_find_task(fx->board, 2)->state, TASK_QUEUED);
	ck_assert_uint_eq(board_find_task(fx->board, 1)->args_len, sizeof args);
	ck_assert_uint_eq(fx->pool->count[TASK_DONE], 1);
	box_close(&box);
}
END_TEST

#define LINE(fields)                                                                               \
	"{\"id\":1,\"state\":\"queued\",\"pool\":\"default\",\"handler\":\"sleep\",\"owner\":0,"   \
	"\"priority\":5,\"attempt\":0,"                                                            \
	"\"retries\":0,\"failures\":0,\"crashes\":0,\"trials\":0,\"suspect\":0,\"seq\":1,"         \
	"\"posted\":5,\"queued\":5,\"started\":0,"                                                 \
	"\"ended\":0,\"due\":0,\"expires\":0,\"timeout\":0,\"delay\":0" fields "}\n"

static const struct {
	const char *text;
	int error;
} wrong_imports[] = {
	{"x\n", -EINVAL},
	{"{\"id\":1}\n", -EINVAL},
	{LINE("") LINE(""), -EEXIST},
	{LINE(",\"x\":1") "\n\n{\"id\":\"a\"", -EINVAL},
	{"{\"owner\":\"pool a\",\"number\":\"done\"}\n", -EINVAL},
};

START_TEST(test_store_import_takes_all_or_nothing)
{
	struct box box;
	uint64_t n = 99;
	FILE *in = fmemopen((void *)wrong_imports[_i].text, strlen(wrong_imports[_i].text), "r");

	box_init(&box, 1, 1);
	ck_assert_int_eq(store_file_import(box.path, in, &n, sentence), wrong_imports[_i].error);
	ck_assert_msg(strncmp(sentence, "line ", 5) == 0, "%s", sentence);
	(void)fclose(in);
	ck_assert_uint_eq(n, 99);
	ck_assert_uint_eq(count_files(&box, "tasks"),
		0); /* no empty store that would look like all there was */
	box_done(&box);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("store");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_store_both_kinds_do_what_the_interface_says);
	tcase_add_test(tcase, test_store_path_is_where_the_settings_and_the_environment_say);
	tcase_add_test(tcase, test_store_folders_are_made_for_nobody_else);
	tcase_add_test(tcase, test_store_a_second_opener_is_refused);
	tcase_add_loop_test(tcase,
		test_store_a_damaged_file_is_kept_aside_and_never_silently_replaced, 0,
		ARRAY_SIZE(spots));
	tcase_add_loop_test(tcase, test_store_a_row_that_makes_no_sense_is_damage, 0, 8);
	tcase_add_test(tcase, test_store_refuses_what_is_not_its_own);
	tcase_add_loop_test(
		tcase, test_store_opens_files_of_every_version, 1, SQLITE_DB_VERSION + 1);
	tcase_add_test(tcase, test_store_export_and_import_are_each_others_mirror);
	tcase_add_loop_test(
		tcase, test_store_import_takes_all_or_nothing, 0, ARRAY_SIZE(wrong_imports));
	return fixture_run("store", tcase);
}
