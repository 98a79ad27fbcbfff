/*
 * check_reload: the effective settings and where each value was said.
 */
#include "config/build.h"
#include "config/config_show.h"
#include "config/keys.h"
#include "config/section.h"
#include "config/value.h"
#include "config_fixture.h"

#define MONGO_HANDLER "[handler m]\ntype = mongodb\n" SOME_MONGO

/* What was shown. */

/* Lines "[pool mail] workers = 3 <f:2> live". */
static int note_shown(void *user, const struct config_shown *shown)
{
	return buf_printf(user, "[%s] %s = %s <%s>%s\n", shown->section, shown->key, shown->value,
		shown->origin, shown->is_live ? " live" : "");
}

static char *shown_of(const struct settings *settings, const char *section)
{
	struct buf lines;
	char *text;

	buf_init(&lines, 1 << 20);
	ck_assert_int_eq(config_show_keys(settings, section, note_shown, &lines), 0);
	text = mem_dup(buf_view(&lines).data, buf_len(&lines));
	ck_assert_ptr_nonnull(text);
	buf_done(&lines);
	return text;
}

static void shows(const struct settings *settings, const char *section, const char *line)
{
	auto_free char *text = shown_of(settings, section);
	auto_free char *whole = NULL, *start = NULL;

	ck_assert_int_ge(asprintf(&start, "\n%s", text), 0);
	ck_assert_int_ge(asprintf(&whole, "\n%s\n", line), 0);
	ck_assert_msg(strstr(start, whole) != NULL, "no line \"%s\" in:\n%s", line, text);
}

START_TEST(test_show_says_value_origin_and_whether_it_is_live)
{
	struct settings *settings =
		load("[daemon]\nmax_output = 64K\n[mongodb]\nuri = mongodb://u:hunter2@h\n"
		     "[resource db]\nrate = 7\n[pool mail]\n\nworkers = 3/core\nwait_max = 90s\n"
		     "paused = yes\n[handler echo]\ntimeout = 0\n" MONGO_HANDLER);
	auto_free char *all = shown_of(settings, NULL);

	shows(settings, NULL, "[daemon] max_output = 64K <f:2> live");
	shows(settings, "daemon", "[daemon] max_message = 1M <default>");
	shows(settings, NULL, "[mongodb] uri = *** <f:4>");
	shows(settings, "resource", "[resource db] rate = 7 <f:6> live");
	shows(settings, "resource db", "[resource db] burst = 1 <default> live");
	shows(settings, "pool", "[pool default] capacity = 100 <default> live");
	shows(settings, "pool mail", "[pool mail] workers = 3/core <f:9> live");
	shows(settings, "pool mail", "[pool mail] wait_max = 90s <f:10> live");
	shows(settings, "pool mail", "[pool mail] paused = yes <f:11>");
	shows(settings, "handler echo", "[handler echo] type = builtin <default>");
	shows(settings, "handler echo", "[handler echo] timeout = 0s <f:13> live");
	shows(settings, "handler m", "[handler m] database = d <f:17>");
	ck_assert_ptr_null(strstr(all, "hunter2"));
	ck_assert_ptr_null(strstr(all, "[handler echo] command"));
	ck_assert_ptr_null(strstr(all, "[handler m] command"));
	ck_assert_ptr_null(strstr(all, "[access]")); /* an empty one would take rights away */
	settings_free(settings);
}
END_TEST

START_TEST(test_show_knows_sections_by_kind_and_name)
{
	struct settings *settings = load("[pool mail]\n[access]\nadmin = root\n");
	auto_free char *mail = shown_of(settings, "pool mail");
	auto_free char *none = shown_of(settings, "resource");
	struct buf lines;

	ck_assert_ptr_null(strstr(mail, "[pool default]"));
	ck_assert_str_eq(none, "");
	shows(settings, "access", "[access] admin = root <f:3> live");
	shows(settings, "access", "[access] post =  <default> live");
	buf_init(&lines, 1 << 20);
	ck_assert_int_eq(config_show_keys(settings, "pool x", note_shown, &lines), -ENOENT);
	ck_assert_int_eq(config_show_keys(settings, "mail", note_shown, &lines), -ENOENT);
	ck_assert_int_eq(config_show_keys(settings, "", note_shown, &lines), -ENOENT);
	ck_assert_uint_eq(buf_len(&lines), 0);
	buf_done(&lines);
	buf_init(&lines, 40); /* what the callback gives ends it */
	ck_assert_int_eq(config_show_keys(settings, NULL, note_shown, &lines), -EMSGSIZE);
	buf_done(&lines);
	settings_free(settings);
}
END_TEST

/* Each key by itself: its text is shown with the line that holds it. */
START_TEST(test_show_has_every_key)
{
	struct settings *settings = load(SOME_URI
		"[access]\n[resource r]\n[handler x]\ntype = exec\n" SOME_COMMAND MONGO_HANDLER);
	auto_free char *all = shown_of(settings, NULL);
	size_t n;
	const struct config_key *keys = keys_table(&n);

	for (size_t i = 0; i < n; i++) {
		static const char *const titles[CONFIG_SCOPES] = {"daemon", "access", "store",
			"mongodb", "resource r", "pool default", "handler x"};
		const char *title = titles[keys[i].scope];
		char line[128];

		if (keys[i].scope == CONFIG_HANDLER && (keys[i].types & CONFIG_EXEC) == 0)
			title = "handler m";
		(void)snprintf(line, sizeof(line), "[%s] %s = ", title, keys[i].name);
		ck_assert_msg(strstr(all, line) != NULL, "%s", line);
	}
	settings_free(settings);
}
END_TEST

START_TEST(test_show_names_the_last_file_and_what_is_no_file)
{
	struct settings *settings;
	char line[512];

	put("main", "[pool a]\nworkers = 1\ncapacity = 7\n" MONGO_HANDLER, 0600);
	ck_assert_int_eq(mkdir(path_of("conf.d"), 0755), 0);
	put("conf.d/1.conf", "\n[pool a]\nworkers = 2\n", 0600);
	put("mongodb-uri", "mongodb://u:hunter2@credential\n", 0400);
	ck_assert_int_eq(setenv("WORKPOOL_MONGODB_URI", "mongodb://env", 1), 0);
	settings = load_file("main");
	shows(settings, NULL, "[mongodb] uri = *** <environment>");
	(void)snprintf(
		line, sizeof(line), "[pool a] workers = 2 <%s:3> live", path_of("conf.d/1.conf"));
	shows(settings, NULL, line);
	(void)snprintf(line, sizeof(line), "[pool a] capacity = 7 <%s:3> live", path_of("main"));
	shows(settings, NULL, line);
	settings_free(settings);
	ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
	settings = load_file("main");
	shows(settings, NULL, "[mongodb] uri = *** <credential>");
	settings_free(settings);
}
END_TEST

static Suite *reload_suite(void)
{
	Suite *suite = suite_create("reload");
	TCase *show = tcase_create("show");

	tcase_add_checked_fixture(show, folder_setup, folder_teardown);
	tcase_add_test(show, test_show_says_value_origin_and_whether_it_is_live);
	tcase_add_test(show, test_show_knows_sections_by_kind_and_name);
	tcase_add_test(show, test_show_has_every_key);
	tcase_add_test(show, test_show_names_the_last_file_and_what_is_no_file);
	suite_add_tcase(suite, show);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(reload_suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
