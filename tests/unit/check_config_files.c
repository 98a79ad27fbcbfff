/*
 * check_config_files: which files are read, in which order, whose they must be; and the uri that comes from elsewhere.
 */
#include "base/clock.h"
#include "config/source.h"
#include "config_fixture.h"

static void file_refused(const char *name, int error, const char *at, const char *reason)
{
	struct settings *settings = NULL;
	char expected[CONFIG_WHY_SIZE];

	(void)snprintf(expected, sizeof(expected), "%s%s", path_of(at), reason);
	ck_assert_int_eq(config_load(path_of(name), &settings, why), error);
	ck_assert_ptr_null(settings);
	ck_assert_str_eq(why, expected);
}

START_TEST(test_config_files_must_be_safe)
{
	file_refused("main", -ENOENT, "main", ": No such file or directory");
	put("main", "", 0644);
	settings_free(load_file("main"));
	put("main", "", 0664);
	file_refused("main", -EACCES, "main", ": must not be writable by its group or by others");
	put("main", "", 0602);
	file_refused("main", -EACCES, "main", ": must not be writable by its group or by others");
	put("main", "", 0600);
	ck_assert_int_eq(symlink("main", path_of("link")), 0);
	file_refused("link", -ELOOP, "link", ": is a symbolic link");
	ck_assert_int_eq(mkdir(path_of("dir"), 0700), 0);
	file_refused("dir", -EINVAL, "dir", ": is not a regular file");
	ck_assert_int_eq(mkfifo(path_of("fifo"), 0600), 0);
	file_refused("fifo", -EINVAL, "fifo", ": is not a regular file"); /* and does not hang */
	/* Only who may give a file away can show this: root, unless its capabilities were taken. */
	if (chown(path_of("main"), 12345, (gid_t)-1) < 0) {
		ck_assert_int_eq(errno, EPERM);
	} else {
		file_refused("main", -EACCES, "main",
			": must belong to root or to the user that reads it");
	}
}
END_TEST

START_TEST(test_config_files_have_a_limit)
{
	auto_free char *text = malloc(SOURCE_BYTES_MAX + 2);

	ck_assert_ptr_nonnull(text);
	memset(text, '\n', SOURCE_BYTES_MAX + 1);
	text[SOURCE_BYTES_MAX + 1] = '\0';
	put("main", text, 0600);
	file_refused("main", -EFBIG, "main", ": is longer than 1 MiB");
	put("main", text + 1, 0600);
	settings_free(load_file("main"));
}
END_TEST

START_TEST(test_config_directory_comes_after_the_file_in_name_order)
{
	struct settings *settings;

	put("main", "[pool a]\nworkers = 1\ncapacity = 7\n[daemon]\nlog_level = debug\n", 0600);
	ck_assert_int_eq(mkdir(path_of("conf.d"), 0755), 0);
	put("conf.d/20-b.conf", "[pool a]\nworkers = 3\n", 0600);
	put("conf.d/10-a.conf", "[pool a]\nworkers = 2\n[handler x]\ntype = exec\ntimeout = 5s\n",
		0600);
	put("conf.d/9-z.conf", "[pool a]\nworkers = 4\n[handler x]\ncommand = /bin/true\n", 0600);
	put("conf.d/.hidden.conf", "nonsense", 0600);
	put("conf.d/99.conf.bak", "nonsense", 0600);
	put("conf.d/.conf", "nonsense", 0600);
	settings = load_file("main");
	ck_assert_uint_eq(settings_find_pool(settings, "a")->workers.number, 4);
	ck_assert_uint_eq(settings_find_pool(settings, "a")->capacity, 7);
	ck_assert_uint_eq(settings_find_handler(settings, "x")->timeout_us, 5 * US_PER_SEC);
	ck_assert_str_eq(settings_find_handler(settings, "x")->command, "/bin/true");
	settings_free(settings);
}
END_TEST

START_TEST(test_config_directory_errors_name_the_file)
{
	put("main", "[pool a]\n", 0600);
	ck_assert_int_eq(mkdir(path_of("conf.d"), 0755), 0);
	put("conf.d/1.conf", "\n[pool a]\nworkers = 0\n", 0600);
	file_refused("main", -EINVAL, "conf.d/1.conf",
		":3: [pool a] workers: \"0\": a number from 1 to 1024 or \"3/core\"");
	put("conf.d/1.conf", "[handler echo]\npool = nowhere\n", 0600);
	put("conf.d/2.conf", "[handler echo]\n", 0600);
	file_refused("main", -EINVAL, "conf.d/1.conf",
		":2: [handler echo] pool: \"nowhere\": there is no section [pool nowhere]");
	put("conf.d/1.conf", "[pool b]\n[pool b]\n", 0600);
	file_refused("main", -EINVAL, "conf.d/1.conf", ":2: [pool b]: stands in line 1 already");
	put("conf.d/1.conf", "", 0666);
	file_refused("main", -EACCES, "conf.d/1.conf",
		": must not be writable by its group or by others");
	ck_assert_int_eq(unlink(path_of("conf.d/1.conf")), 0);
	ck_assert_int_eq(symlink("2.conf", path_of("conf.d/1.conf")), 0);
	file_refused("main", -ELOOP, "conf.d/1.conf", ": is a symbolic link");
	ck_assert_int_eq(unlink(path_of("conf.d/1.conf")), 0);
	ck_assert_int_eq(chmod(path_of("conf.d"), 0777), 0);
	file_refused("main", -EACCES, "conf.d", ": must not be writable by its group or by others");
}
END_TEST

START_TEST(test_config_file_with_a_password_is_private)
{
	static const char with[] = "[mongodb]\nuri = mongodb://u:pw@h/\n";

	put("main", with, 0644);
	file_refused("main", -EACCES, "main",
		":2: [mongodb] uri: a file with a password must have mode 0600");
	put("main", with, 0640);
	file_refused("main", -EACCES, "main",
		":2: [mongodb] uri: a file with a password must have mode 0600");
	put("main", with, 0600);
	settings_free(load_file("main"));
	put("main", with, 0400);
	settings_free(load_file("main"));
	put("main", "[mongodb]\nuri = mongodb://h/?tlsCertificateKeyFilePassword=x\n", 0644);
	file_refused("main", -EACCES, "main",
		":2: [mongodb] uri: a file with a password must have mode 0600");
	put("main", "[mongodb]\nuri = mongodb://h\n", 0644);
	settings_free(load_file("main"));
}
END_TEST

#define MONGO_HANDLER "[handler x]\ntype = mongodb\n" SOME_MONGO

static void uri_is(const char *expected)
{
	struct settings *settings = load_file("main");

	ck_assert_str_eq(settings->mongodb.uri, expected);
	settings_free(settings);
}

START_TEST(test_config_uri_comes_from_file_credential_or_environment)
{
	put("main", MONGO_HANDLER, 0600);
	ck_assert_int_eq(setenv("WORKPOOL_MONGODB_URI", "mongodb://env", 1), 0);
	ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
	uri_is("mongodb://env");
	put("mongodb-uri", "mongodb://u:p@credential\n", 0440);
	uri_is("mongodb://u:p@credential");
	put("main", MONGO_HANDLER SOME_URI, 0600);
	uri_is("mongodb://h");
	put("main", "", 0600);
	uri_is(""); /* nobody needs it: it is not read */
	put("main", MONGO_HANDLER, 0600);
	put("mongodb-uri", "mongodb://u:p@credential\n", 0444);
	file_refused("main", -EACCES, "mongodb-uri", ": must not be readable by others");
	put("mongodb-uri", "hunter2", 0400);
	file_refused("main", -EINVAL, "mongodb-uri",
		": is not a URI that begins with mongodb:// or mongodb+srv://");
	put("mongodb-uri", "mongodb://a\nuri=x", 0400);
	file_refused("main", -EINVAL, "mongodb-uri", ": holds blanks or control characters");
	put("mongodb-uri", "\n", 0400);
	file_refused("main", -EINVAL, "mongodb-uri", ": is empty");
	ck_assert_int_eq(unlink(path_of("mongodb-uri")), 0);
	ck_assert_int_eq(unsetenv("WORKPOOL_MONGODB_URI"), 0);
	file_refused("main", -EINVAL, "main",
		":1: [handler x]: type mongodb needs a server: the credential mongodb-uri, or uri "
		"in "
		"[mongodb]");
}
END_TEST

static Suite *config_suite(void)
{
	Suite *suite = suite_create("config_files");
	TCase *files = tcase_create("files");

	tcase_add_checked_fixture(files, folder_setup, folder_teardown);
	tcase_add_test(files, test_config_files_must_be_safe);
	tcase_add_test(files, test_config_files_have_a_limit);
	tcase_add_test(files, test_config_directory_comes_after_the_file_in_name_order);
	tcase_add_test(files, test_config_directory_errors_name_the_file);
	tcase_add_test(files, test_config_file_with_a_password_is_private);
	tcase_add_test(files, test_config_uri_comes_from_file_credential_or_environment);
	suite_add_tcase(suite, files);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(config_suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
