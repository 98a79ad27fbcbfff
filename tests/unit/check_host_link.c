/*
 * check_host_link: what daemon and host say to each other, from SETUP to the end.
 */
#include "host_fixture.h"

static void expect_end(const char *bytes, size_t len)
{
	struct fake fake;

	fake_start(&fake, 2);
	ck_assert_int_eq(fd_write_all(fake.fd, bytes, len), 0);
	while (fake_read(&fake))
		;
	ck_assert_int_eq(fake_wait(&fake), 70);
}

START_TEST(test_link_says_hello_offers_and_ready)
{
	static const char *const order[] = {
		"HELLO", "SANDBOX", "OFFER", "OFFER", "OFFER", "PARAM", "OFFER", "PARAM", "READY"};
	struct hostmsg go = {.type = HOSTMSG_GO}, msg;
	struct fake fake;

	fake_fork(&fake);
	fake_setup(&fake, 3);
	fake_put(&fake, &go);
	fake_flush(&fake);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		ck_assert(fake_next(&fake, &msg));
		ck_assert_str_eq(hostmsg_name(msg.type), order[i]);
		if (msg.type == HOSTMSG_HELLO)
			ck_assert_uint_eq(msg.hello.pid, (uint32_t)fake.pid);
	}
	ck_assert_uint_eq(msg.ready.workers, 3);
	fake_end(&fake);
}
END_TEST

START_TEST(test_link_refuses_handlers_that_cannot_be)
{
	static const struct {
		const char *name, *type, *settings;
	} rows[] = {
		{"a", "nothing", ""},
		{"b", "exec", "command=relative\n"},
		{"c", "exec", "command='/bin/open\n"},
		{"d", "exec", ""},
		{"e", "exec", "command=/bin/true\nno_such_limit=1\n"},
		{"f", "exec", "command=/bin/true\nnice=x\n"},
		{"g", "exec", "command=/bin/true\nenvironment=word\n"},
		{"h", "exec", "command=/bin/true\nstdin=maybe\n"},
		{"echo", "exec", "command=/bin/true\n"},
		{"other", "builtin", ""},
	};
	struct hostmsg go = {.type = HOSTMSG_GO, .go = {ARRAY_SIZE(rows)}}, msg;
	struct fake fake;

	fake_fork(&fake);
	fake_setup(&fake, 1);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		fake_handler(&fake, rows[i].name, rows[i].type, rows[i].settings);
	fake_put(&fake, &go);
	fake_flush(&fake);
	size_t refused = 0;
	do {
		ck_assert(fake_next(&fake, &msg));
		if (msg.type != HOSTMSG_REFUSED)
			continue;
		ck_assert(view_is_equal(msg.refused.handler, view_of(rows[refused++].name)));
		ck_assert_uint_gt(msg.refused.why.len, 0);
	} while (msg.type != HOSTMSG_READY);
	ck_assert_uint_eq(refused, ARRAY_SIZE(rows));
	fake_end(&fake);
}
END_TEST

START_TEST(test_link_tells_its_version_and_ends_on_another)
{
	struct hostmsg setup = {
		.type = HOSTMSG_SETUP, .setup = {HOSTMSG_VERSION + 1, 1, VIEW_LIT("p"), 1}};
	struct hostmsg msg;
	struct fake fake;

	fake_fork(&fake);
	fake_put(&fake, &setup);
	fake_flush(&fake);
	ck_assert(fake_next(&fake, &msg));
	ck_assert_int_eq(msg.type, HOSTMSG_HELLO);
	ck_assert_uint_eq(msg.hello.version, HOSTMSG_VERSION);
	ck_assert(!fake_read(&fake));
	ck_assert_int_eq(fake_wait(&fake), 70);
}
END_TEST

START_TEST(test_link_ends_on_malformed_bytes)
{
	static const struct view rows[] = {
		VIEW_LIT("\xff\xff\xff\xff\x05"),                 /* too long */
		VIEW_LIT("\x00\x00\x00\x00"),                     /* nothing */
		VIEW_LIT("\x01\x00\x00\x00\x63"),                 /* no such type */
		VIEW_LIT("\x02\x00\x00\x00\x06x"),                /* a CANCEL that is too short */
		VIEW_LIT("\x05\x00\x00\x00\x04\x00\x00\x00\x00"), /* RESIZE to none */
		VIEW_LIT("\x05\x00\x00\x00\x03\x00\x00\x00\x00"), /* a second GO */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_end(rows[i].data, rows[i].len);
}
END_TEST

START_TEST(test_link_ends_with_the_daemon)
{
	struct fake fake;

	fake_fork(&fake); /* before SETUP */
	fake_end(&fake);
	fake_start(&fake, 2); /* idle */
	fake_end(&fake);
	fake_start(&fake, 2); /* with all workers busy */
	fake_run(&fake, 1, 0, "sleep", "{\"ms\":86400000}");
	fake_run(&fake, 2, 1, "sleep", "{\"ms\":86400000}");
	fake_flush(&fake);
	fake_end(&fake);
}
END_TEST

START_TEST(test_link_ignores_term_and_int)
{
	struct fake fake;

	fake_start(&fake, 1);
	ck_assert_int_eq(kill(fake.pid, SIGTERM), 0);
	ck_assert_int_eq(kill(fake.pid, SIGINT), 0);
	json_t *none = fake_one(&fake, "noop", "", OUTCOME_OK, "");
	ck_assert_ptr_null(none);
	fake_end(&fake);
}
END_TEST

START_TEST(test_link_quits_after_the_last_task)
{
	struct hostmsg msg;
	struct fake fake;

	fake_start(&fake, 2);
	fake_run(&fake, 1, 0, "sleep", "{\"ms\":30}");
	fake_run(&fake, 2, 1, "echo", "[1]");
	fake_say(&fake, HOSTMSG_QUIT, 0);
	(void)fake_done(&fake);
	(void)fake_done(&fake);
	ck_assert(!fake_next(&fake, &msg));
	ck_assert_int_eq(fake_wait(&fake), 0);
}
END_TEST

START_TEST(test_link_takes_no_task_after_quit)
{
	struct fake fake;

	fake_start(&fake, 2);
	fake_run(&fake, 1, 0, "sleep", "{\"ms\":86400000}");
	fake_say(&fake, HOSTMSG_QUIT, 0);
	fake_run(&fake, 2, 1, "noop", "");
	fake_flush(&fake);
	while (fake_read(&fake))
		;
	ck_assert_int_eq(fake_wait(&fake), 70);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("host_link");
	TCase *tcase = tcase_create("link");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_link_says_hello_offers_and_ready);
	tcase_add_test(tcase, test_link_refuses_handlers_that_cannot_be);
	tcase_add_test(tcase, test_link_tells_its_version_and_ends_on_another);
	tcase_add_test(tcase, test_link_ends_on_malformed_bytes);
	tcase_add_test(tcase, test_link_ends_with_the_daemon);
	tcase_add_test(tcase, test_link_ignores_term_and_int);
	tcase_add_test(tcase, test_link_quits_after_the_last_task);
	tcase_add_test(tcase, test_link_takes_no_task_after_quit);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
