/*
 * check_mongodb: what a MongoDB server is told of a task's time. The server is a process of the test that speaks as much
 * of the protocol as it takes to answer each command with the maxTimeMS that came with it.
 */
#include "host_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "host/mongolib.h"

/* Operation codes of the MongoDB wire protocol. */
#define OP_REPLY 1
#define OP_QUERY 2004
#define OP_MSG   2013

#define HEAD_BYTES   16
#define MESSAGE_SIZE 65536

struct server {
	pid_t pid;
	uint16_t port;
};

static int32_t get_i32(const char *at)
{
	int32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static bool read_all(int fd, char *to, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = read(fd, to + at, len - at);
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

/* The command's document: a query's behind flags, collection, skip and limit; a message's behind flags and a byte. */
static bool find_command(const char *message, size_t len, int32_t code, bson_t *ret_command)
{
	size_t at = HEAD_BYTES + 4;

	at += code == OP_QUERY ? strlen(message + at) + 1 + 8 : 1;
	return at + 4 < len && bson_init_static(ret_command, (const uint8_t *)message + at,
				       (size_t)get_i32(message + at));
}

static void make_answer(const bson_t *command, bson_t *answer)
{
	bson_iter_t at;
	bool says_hello = bson_has_field(command, "hello") || bson_has_field(command, "isMaster") ||
			  bson_has_field(command, "ismaster");
	char text[64];

	bson_init(answer);
	if (says_hello) {
		BSON_APPEND_BOOL(answer, "ismaster", true);
		BSON_APPEND_INT32(answer, "maxWireVersion", 13);
		BSON_APPEND_INT32(answer, "minWireVersion", 0);
		BSON_APPEND_DOUBLE(answer, "ok", 1);
		return;
	}
	(void)snprintf(text, sizeof(text), "%lld",
		bson_iter_init_find(&at, command, "maxTimeMS") ? (long long)bson_iter_as_int64(&at)
							       : -1LL);
	BSON_APPEND_DOUBLE(answer, "ok", 0);
	BSON_APPEND_INT32(answer, "code", 50); /* MaxTimeMSExpired */
	BSON_APPEND_UTF8(answer, "errmsg", text);
}

static void send_answer(int fd, int32_t request, int32_t code, const bson_t *answer)
{
	/* OP_REPLY: flags, cursor, first, number; OP_MSG: flags and the kind of its only section. */
	char message[1024] = {0};
	size_t at = HEAD_BYTES + (code == OP_QUERY ? 20 : 5);
	int32_t head[4] = {
		(int32_t)(at + answer->len), 1, request, code == OP_QUERY ? OP_REPLY : OP_MSG};
	const int32_t one = 1;

	memcpy(message, head, sizeof(head));
	if (code == OP_QUERY)
		memcpy(message + at - 4, &one, sizeof(one));
	memcpy(message + at, bson_get_data(answer), answer->len);
	(void)!write(fd, message, at + answer->len);
}

static void serve(int fd)
{
	static char message[MESSAGE_SIZE];

	while (read_all(fd, message, HEAD_BYTES)) {
		size_t len = (size_t)get_i32(message);
		int32_t code = get_i32(message + 12);
		bson_t command, answer;

		if (len < HEAD_BYTES || len > sizeof(message) ||
			!read_all(fd, message + HEAD_BYTES, len - HEAD_BYTES) ||
			!find_command(message, len, code, &command))
			return;
		make_answer(&command, &answer);
		send_answer(fd, get_i32(message + 4), code, &answer);
		bson_destroy(&answer);
	}
}

/* A process a connection; all of them end with the test. */
static void server_run(int listener, pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGCHLD, SIG_IGN);
	while (getppid() == parent) {
		int fd = accept(listener, NULL, NULL);
		pid_t pid = getpid();
		if (fd >= 0 && fork() == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() == pid)
				serve(fd);
			_exit(0);
		}
		(void)close(fd);
	}
	_exit(0);
}

static struct server server_start(void)
{
	struct sockaddr_in name = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(name);
	struct server server;
	pid_t parent = getpid();

	auto_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&name, &size), 0);
	server.port = ntohs(name.sin_port);
	server.pid = fork();
	ck_assert_int_ge(server.pid, 0);
	if (server.pid == 0)
		server_run(fd, parent);
	return server;
}

static void server_stop(struct server *server)
{
	ck_assert_int_eq(kill(server->pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(server->pid, NULL, 0), server->pid);
}

static const char *const operations[] = {"find", "count", "aggregate", "insert"};
static const char *const args[] = {"", "", "{\"pipeline\":[]}", "{\"document\":{\"a\":1}}"};

static void start_host(struct fake *fake, const struct server *server, unsigned max_time_us)
{
	char text[512];

	fake_fork(fake);
	fake_setup(fake, 1);
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
		(void)snprintf(text, sizeof(text),
			"uri=mongodb://127.0.0.1:%u\noperation=%s\ndatabase=d\ncollection=c\n"
			"operators=yes\nmax_time=%u\n",
			server->port, operations[i], max_time_us);
		fake_handler(fake, operations[i], "mongodb", text);
	}
	fake_go(fake, ARRAY_SIZE(operations));
}

/* The maxTimeMS that came with the operation; -1: none. deadline_us: from now on; 0: none. */
static int64_t told_ms(struct fake *fake, size_t operation, uint64_t deadline_us)
{
	struct hostmsg run = {.type = HOSTMSG_RUN,
		.run = {1, 1, 0, deadline_us > 0 ? clock_now_us() + deadline_us : 0,
			view_of(operations[operation]), view_of(args[operation])}};
	long long ms;

	fake_put(fake, &run);
	struct hostmsg done = fake_done(fake);
	auto_json json_t *json = fake_result(&done);
	const char *error = json_string_value(json_object_get(json, "error"));
	ck_assert_int_eq(done.done.outcome, OUTCOME_FAILED);
	ck_assert(view_is_equal(done.done.reason, VIEW_LIT("timeout")));
	ck_assert_ptr_nonnull(error);
	ck_assert_msg(
		sscanf(error, "MongoDB: %lld", &ms) == 1, "%s: %s", operations[operation], error);
	return ms;
}

START_TEST(test_mongodb_server_is_told_the_lesser_of_both_times)
{
	struct server server = server_start();
	struct fake fake;

	start_host(&fake, &server, 0);
	ck_assert_int_eq(told_ms(&fake, (size_t)_i, 0), -1);
	int64_t ms = told_ms(&fake, (size_t)_i, 3600 * US_PER_SEC);
	ck_assert(ms > 3500000 && ms <= 3600000);
	fake_end(&fake);
	start_host(&fake, &server, 250 * US_PER_MS);
	ck_assert_int_eq(told_ms(&fake, (size_t)_i, 0), 250);
	ck_assert_int_eq(told_ms(&fake, (size_t)_i, 3600 * US_PER_SEC), 250);
	fake_end(&fake);
	start_host(&fake, &server, 3600 * US_PER_SEC);
	ms = told_ms(&fake, (size_t)_i, 100 * US_PER_SEC);
	ck_assert(ms > 10000 && ms <= 100000);
	fake_end(&fake);
	start_host(&fake, &server, 1); /* less than a millisecond is one: 0 would be for ever */
	ck_assert_int_eq(told_ms(&fake, (size_t)_i, 0), 1);
	fake_end(&fake);
	server_stop(&server);
}
END_TEST

/* Of a task that comes too late nobody is told. */
START_TEST(test_mongodb_operation_whose_time_is_over_does_not_begin)
{
	struct server server = server_start();
	struct fake fake;

	start_host(&fake, &server, 0);
	struct hostmsg run = {.type = HOSTMSG_RUN,
		.run = {1, 1, 0, 1, view_of(operations[_i]), view_of(args[_i])}};
	fake_put(&fake, &run);
	struct hostmsg done = fake_done(&fake);
	auto_json json_t *json = fake_result(&done);
	ck_assert(view_is_equal(done.done.reason, VIEW_LIT("timeout")));
	ck_assert_str_eq(json_string_value(json_object_get(json, "error")),
		"the time of the task was over before it began");
	fake_end(&fake);
	server_stop(&server);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mongodb");
	TCase *tcase = tcase_create("mongodb");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, test_mongodb_server_is_told_the_lesser_of_both_times, 0,
		ARRAY_SIZE(operations));
	tcase_add_loop_test(tcase, test_mongodb_operation_whose_time_is_over_does_not_begin, 0,
		ARRAY_SIZE(operations));
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
