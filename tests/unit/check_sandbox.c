/*
 * check_sandbox: which paths are hidden and what leads to them; which passes are used again. What the kernel makes of a
 * ruleset is in tests/live/test_exec_sandbox.py.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "host/hidden.h"
#include "host/sandbox.h"
#include "host/scratch.h"

static char top[64]; /* a folder of the test's own; its path has no links */

static void set_up(void)
{
	(void)strcpy(top, "/tmp/check_sandbox.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	auto_free char *real = realpath(top, NULL);
	ck_assert_ptr_nonnull(real);
	ck_assert_uint_lt(strlen(real), sizeof(top));
	(void)strcpy(top, real);
}

static void tear_down(void)
{
	scratch_remove(top);
}

/* Good until the sixteenth call after it. */
static const char *below(const char *name)
{
	static char paths[16][256];
	static unsigned n;
	char *path = paths[n++ % 16];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", top, name);
	return path;
}

static void hide(struct hidden *hidden, const char *path)
{
	ck_assert_int_eq(hidden_add(hidden, view_of(path)), 0);
}

START_TEST(test_hidden_tells_paths_and_the_ways_to_them)
{
	static const struct {
		const char *path;
		enum hidden_kind kind;
		const char *below;
	} rows[] = {
		{"/", HIDDEN_WAY, "/nowhere/a/b"},
		{"/nowhere", HIDDEN_WAY, "/nowhere/a/b"},
		{"/nowhere/a", HIDDEN_WAY, "/nowhere/a/b"},
		{"/nowhere/a/b", HIDDEN_PATH, "/nowhere/a/b"},
		{"/nowhere/a/bc", HIDDEN_NOT, NULL},
		{"/nowhere/a/b/c", HIDDEN_NOT, NULL}, /* nobody's to ask: the walk ends above */
		{"/nowhere/ab", HIDDEN_NOT, NULL},
		{"/nowher", HIDDEN_NOT, NULL},
		{"/nowhere/c", HIDDEN_PATH, "/nowhere/c"},
	};
	struct hidden hidden = {0};

	hide(&hidden, "/nowhere/a/b");
	hide(&hidden, "/nowhere/c/");
	hide(&hidden, "/nowhere/c");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *found = hidden_below(&hidden, rows[i].path);
		ck_assert_msg(
			hidden_kind(&hidden, rows[i].path) == rows[i].kind, "%s", rows[i].path);
		ck_assert_pstr_eq(found, rows[i].below);
	}
	ck_assert_uint_eq(hidden.paths.n, 2);
	ck_assert_uint_eq(hidden.ways.n, 3);
	hidden_done(&hidden);
}
END_TEST

START_TEST(test_hidden_ways_end_where_all_is_hidden)
{
	struct hidden hidden = {0};

	hide(&hidden, "/nowhere/a/b/c");
	ck_assert_uint_eq(hidden.ways.n, 4);
	hide(&hidden, "/nowhere");
	ck_assert_uint_eq(hidden.ways.n, 1);
	ck_assert_str_eq(hidden.ways.at[0], "/");
	ck_assert_str_eq(hidden_below(&hidden, "/nowhere/a/b"), "/nowhere/a/b/c");
	hidden_done(&hidden);
}
END_TEST

START_TEST(test_hidden_follows_links_as_far_as_there_is_something)
{
	struct hidden hidden = {0};

	ck_assert_int_eq(mkdir(below("real"), 0700), 0);
	ck_assert_int_eq(symlink("real", below("link")), 0);
	hide(&hidden, below("link/not/there"));
	ck_assert_int_eq(hidden_kind(&hidden, below("real/not/there")), HIDDEN_PATH);
	ck_assert_int_eq(hidden_kind(&hidden, below("real")), HIDDEN_WAY);
	ck_assert_int_eq(hidden_kind(&hidden, below("link")), HIDDEN_NOT);
	hidden_done(&hidden);
}
END_TEST

START_TEST(test_hidden_takes_absolute_paths_only)
{
	static const struct view wrong[] = {
		VIEW_LIT(""), VIEW_LIT("a"), VIEW_LIT("./a"), VIEW_LIT("/a\0b")};
	struct hidden hidden = {0};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		ck_assert_int_eq(hidden_add(&hidden, wrong[i]), -EINVAL);
	ck_assert_int_eq(hidden_kind(&hidden, "/"), HIDDEN_NOT);
	hide(&hidden, "/");
	ck_assert_int_eq(hidden_kind(&hidden, "/"), HIDDEN_PATH);
	hidden_done(&hidden);
}
END_TEST

/* Until changes of now can be told from later ones. */
static uint64_t grown_up_stamp(const struct hidden *hidden)
{
	uint64_t until_us = clock_now_us() + 20 * US_PER_SEC, stamp;
	bool is_young;

	do {
		stamp = hidden_stamp(hidden, &is_young);
		ck_assert(clock_now_us() < until_us);
	} while (is_young);
	return stamp;
}

START_TEST(test_hidden_stamp_changes_with_what_is_beside_hidden_paths)
{
	struct hidden hidden = {0};
	bool is_young;

	ck_assert_int_eq(mkdir(below("hidden"), 0700), 0);
	ck_assert_int_eq(mkdir(below("beside"), 0700), 0);
	hide(&hidden, below("hidden"));
	uint64_t first = grown_up_stamp(&hidden);
	ck_assert_int_eq(mkdir(below("hidden/x"), 0700), 0);
	ck_assert_int_eq(mkdir(below("beside/x"), 0700), 0);
	ck_assert_uint_eq(hidden_stamp(&hidden, &is_young), first);
	ck_assert(!is_young);
	ck_assert_int_eq(rename(below("beside"), below("other")), 0);
	ck_assert_uint_ne(hidden_stamp(&hidden, &is_young), first);
	ck_assert(is_young);
	hidden_done(&hidden);
}
END_TEST

/*
 * A sandbox with one policy, and a home for directories. Where all of /tmp is hidden, what others do there does not matter.
 */
struct fixture {
	struct sandbox sandbox;
	struct sandbox_policy *policy;
	char home[256];
};

static void begin(struct fixture *fixture, bool is_on, const char *hidden)
{
	char why[SETTING_WHY_SIZE];

	ck_assert_int_eq(sandbox_init(&fixture->sandbox), 0);
	ck_assert_int_eq(sandbox_hide(&fixture->sandbox, view_of(hidden)), 0);
	(void)snprintf(fixture->home, sizeof(fixture->home), "%s", below("private/home"));
	ck_assert_int_eq(mkdir(below("private"), 0700), 0);
	ck_assert_int_eq(mkdir(fixture->home, 0700), 0);
	ck_assert_int_eq(sandbox_policy_new(&fixture->sandbox, NULL, 0, is_on ? "/bin/true" : NULL,
				 &fixture->policy, why),
		0);
}

static void end(struct fixture *fixture)
{
	sandbox_policy_free(fixture->policy);
	ck_assert_uint_eq(fixture->sandbox.n_idle, 0);
	sandbox_done(&fixture->sandbox);
}

static struct sandbox_pass *enter(struct fixture *fixture)
{
	struct sandbox_pass *pass;
	char why[SETTING_WHY_SIZE] = "";

	ck_assert_msg(sandbox_enter(fixture->policy, fixture->home, &pass, why) == 0, "%s", why);
	ck_assert_int_eq(sandbox_fd(pass) >= 0, fixture->policy->is_on && fixture->sandbox.abi > 0);
	ck_assert_ptr_nonnull(sandbox_directory(pass));
	return pass;
}

static void leaves_nothing(const char *directory)
{
	(void)directory;
}

static void leaves_file(const char *directory)
{
	auto_fd int folder = open(directory, O_RDONLY | O_DIRECTORY);
	auto_fd int fd = openat(folder, "x", O_WRONLY | O_CREAT, 0600);

	ck_assert_int_ge(fd, 0);
}

static void leaves_mode(const char *directory)
{
	ck_assert_int_eq(chmod(directory, 0500), 0);
}

static void leaves_bit(const char *directory)
{
	ck_assert_int_eq(chmod(directory, 01700), 0);
}

static void leaves_other(const char *directory)
{
	ck_assert_int_eq(mkdir(below("other"), 0700), 0);
	ck_assert_int_eq(rmdir(directory), 0);
	ck_assert_int_eq(rename(below("other"), directory), 0);
}

static void leaves_link(const char *directory)
{
	ck_assert_int_eq(rmdir(directory), 0);
	ck_assert_int_eq(symlink("/tmp", directory), 0);
}

static void leaves_none(const char *directory)
{
	ck_assert_int_eq(rmdir(directory), 0);
}

START_TEST(test_sandbox_pass_is_used_again_only_as_it_was)
{
	static const struct {
		void (*leave)(const char *directory);
		bool is_clean, is_kept;
	} rows[] = {
		{leaves_nothing, true, true},
		{leaves_nothing, false, false},
		{leaves_file, true, false},
		{leaves_mode, true, false},
		{leaves_bit, true, false},
		{leaves_other, true, false},
		{leaves_link, true, false},
		{leaves_none, true, false},
	};
	struct fixture fixture;

	begin(&fixture, _i != 0, "/tmp");
	(void)grown_up_stamp(&fixture.sandbox.hidden);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sandbox_pass *pass = enter(&fixture);
		auto_free char *directory = strdup(sandbox_directory(pass));
		ck_assert_ptr_nonnull(directory);
		rows[i].leave(directory);
		sandbox_leave(fixture.policy, pass, rows[i].is_clean);
		ck_assert_msg((fixture.sandbox.n_idle == 1) == rows[i].is_kept, "row %zu", i);
		struct sandbox_pass *next = enter(&fixture);
		ck_assert_msg((strcmp(sandbox_directory(next), directory) == 0) == rows[i].is_kept,
			"row %zu", i);
		sandbox_leave(fixture.policy, next, false);
		ck_assert_int_eq(access(directory, F_OK), -1);
	}
	end(&fixture);
}
END_TEST

START_TEST(test_sandbox_pass_is_made_anew_when_something_came)
{
	struct fixture fixture;

	begin(&fixture, true, below("private"));
	if (fixture.sandbox.abi == 0)
		return;
	struct sandbox_pass *pass = enter(&fixture);
	auto_free char *directory = strdup(sandbox_directory(pass));
	sandbox_leave(fixture.policy, pass, true);
	ck_assert_int_eq(mkdir(below("came"), 0700), 0);
	pass = enter(&fixture); /* beside what is hidden something is new */
	ck_assert_str_ne(sandbox_directory(pass), directory);
	sandbox_leave(
		fixture.policy, pass, true); /* so new that the next might have the same time */
	ck_assert_uint_eq(fixture.sandbox.n_idle, 0);
	end(&fixture);
}
END_TEST

START_TEST(test_sandbox_tasks_at_the_same_time_have_passes_of_their_own)
{
	struct sandbox_pass *passes[100];
	struct fixture fixture;

	begin(&fixture, true, "/tmp");
	(void)grown_up_stamp(&fixture.sandbox.hidden);
	for (size_t i = 0; i < ARRAY_SIZE(passes); i++) {
		passes[i] = enter(&fixture);
		for (size_t k = 0; k < i; k++)
			ck_assert_str_ne(
				sandbox_directory(passes[i]), sandbox_directory(passes[k]));
	}
	for (size_t i = 0; i < ARRAY_SIZE(passes); i++)
		sandbox_leave(fixture.policy, passes[i], true);
	ck_assert_uint_eq(fixture.sandbox.n_idle, 64); /* the others are given up */
	end(&fixture);
}
END_TEST

START_TEST(test_sandbox_policy_may_not_write_over_what_is_hidden)
{
	char why[SETTING_WHY_SIZE] = "";
	char *inside = (char *)below("private/data");
	char *wrong[] = {top, (char *)below("private"), (char *)"/"};
	struct sandbox_policy *policy;
	struct fixture fixture;

	begin(&fixture, true, below("private"));
	ck_assert_int_eq(
		sandbox_policy_new(&fixture.sandbox, &inside, 1, "/bin/true", &policy, why), 0);
	sandbox_policy_free(policy);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		ck_assert_int_eq(sandbox_policy_new(
					 &fixture.sandbox, &wrong[i], 1, "/bin/true", &policy, why),
			-EINVAL);
		ck_assert(strstr(why, "which no program may see") != NULL);
	}
	end(&fixture);
}
END_TEST

START_TEST(test_sandbox_features_are_on_or_off)
{
	struct sandbox sandbox;
	struct buf on, off;

	ck_assert_int_eq(sandbox_init(&sandbox), 0);
	for (uint32_t abi = 0; abi <= 8; abi++) {
		char names[1024];
		sandbox.abi = abi;
		buf_init(&on, sizeof(names));
		buf_init(&off, sizeof(names));
		ck_assert_int_eq(sandbox_features(&sandbox, true, &on), 0);
		ck_assert_int_eq(sandbox_features(&sandbox, false, &off), 0);
		(void)snprintf(names, sizeof(names), "%.*s", (int)buf_len(&on), buf_view(&on).data);
		ck_assert_int_eq(strstr(names, "files") != NULL, abi >= 1);
		ck_assert_int_eq(strstr(names, "signals") != NULL, abi >= 6);
		(void)snprintf(
			names, sizeof(names), "%.*s", (int)buf_len(&off), buf_view(&off).data);
		ck_assert_int_eq(strstr(names, "signals") != NULL, abi < 6);
		ck_assert_ptr_nonnull(strstr(names, "sockets by path"));
		buf_done(&on);
		buf_done(&off);
	}
	sandbox_done(&sandbox);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("sandbox");
	TCase *tc = tcase_create("sandbox");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_hidden_tells_paths_and_the_ways_to_them);
	tcase_add_test(tc, test_hidden_ways_end_where_all_is_hidden);
	tcase_add_test(tc, test_hidden_follows_links_as_far_as_there_is_something);
	tcase_add_test(tc, test_hidden_takes_absolute_paths_only);
	tcase_add_test(tc, test_hidden_stamp_changes_with_what_is_beside_hidden_paths);
	tcase_add_loop_test(tc, test_sandbox_pass_is_used_again_only_as_it_was, 0, 2);
	tcase_add_test(tc, test_sandbox_pass_is_made_anew_when_something_came);
	tcase_add_test(tc, test_sandbox_tasks_at_the_same_time_have_passes_of_their_own);
	tcase_add_test(tc, test_sandbox_policy_may_not_write_over_what_is_hidden);
	tcase_add_test(tc, test_sandbox_features_are_on_or_off);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(suite());

	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
