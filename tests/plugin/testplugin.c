/*
 * testplugin: a plugin that does whatever a test asks of it: ends in each way that a process can end, misuses all that it
 * is given, and keeps to the rules. One file with several handlers, each a symbol. Not for people.
 *
 *   {"die": "segv" …}   ends the process, or stops it
 *   {"sleep_ms": 100}   sleeps, and ends when it is asked
 *   {"spin": 100}       is busy for so many milliseconds, and does not look whether it is asked
 *   {"do": "late" …}    one of the ways below; nothing: {"state":…}
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "workpool-plugin.h"

#define LINK_FD   3
#define OOM_ROOM  (64u << 20) /* what may still be allocated */
#define OOM_PIECE (1u << 20)

/* The ways to die. */

static volatile int zero;

static void die_segv(void)
{
	*(volatile int *)(uintptr_t)(8 * (zero + 1)) = 1;
}

static void die_fpe(void)
{
	(void)raise(SIGFPE); /* not every processor faults when it divides by zero */
}

/* Deep enough for any stack that a thread of the host may have. */
static int recurse(volatile char *above, int depth)
{
	volatile char here[4096];

	here[0] = above ? above[0] : 1;
	return depth > 0 ? recurse(here, depth - 1) + here[0] : 0;
}

static void die_stack(void)
{
	zero = recurse(NULL, 1 << 20);
}

/* What a program does that counts on memory. */
static void die_oom(void)
{
	struct rlimit limit = {OOM_ROOM, OOM_ROOM};
	char *piece;

	(void)setrlimit(RLIMIT_AS, &limit); /* less than is in use: nothing more is to be had */
	for (;;) {
		piece = malloc(OOM_PIECE);
		memset(piece, 1, OOM_PIECE);
	}
}

static void die__exit(void)
{
	_exit(0);
}

static void die_exit(void)
{
	exit(3);
}

/* The calling thread may go on for a while. */
static void raise_for_all(int number)
{
	(void)kill(getpid(), number);
	for (;;)
		(void)pause();
}

static void die_kill(void)
{
	raise_for_all(SIGKILL);
}

static void die_stop(void)
{
	raise_for_all(SIGSTOP);
}

struct way {
	const char *name;
	void (*go)(void);
};

static const struct way deaths[] = {
	{"segv", die_segv},
	{"abort", abort},
	{"fpe", die_fpe},
	{"stack", die_stack},
	{"oom", die_oom},
	{"memory", die_oom}, /* the same, as tests of other handlers call it */
	{"_exit", die__exit},
	{"exit", die_exit},
	{"kill", die_kill},
	{"stop", die_stop},
};

/* Ways to do right and wrong. */

static void do_nothing(struct workpool_task *task)
{
	(void)task;
}

static void do_empty(struct workpool_task *task)
{
	(void)workpool_task_result(task, NULL, 0);
}

static void do_bad_json(struct workpool_task *task)
{
	if (workpool_task_result(task, "{\"a\":1,}", 8) != -EINVAL)
		abort();
}

/* max_output is 64 KiB unless it is configured. */
static void do_long(struct workpool_task *task)
{
	static char text[70000];

	memset(text, 'x', sizeof(text));
	if (workpool_task_result_text(task, text, sizeof(text)) != -EMSGSIZE)
		abort();
}

static void do_long_json(struct workpool_task *task)
{
	static char text[70000];

	memset(text, ' ', sizeof(text));
	text[0] = '1';
	if (workpool_task_result(task, text, sizeof(text)) != -EMSGSIZE)
		abort();
}

static void do_twice(struct workpool_task *task)
{
	(void)workpool_task_fail(task, "first", "the first");
	(void)workpool_task_result(task, "[1,", 3);
	if (workpool_task_result(task, " { \"n\" : 2 } ", 13) != 0)
		abort();
}

static void do_fail_last(struct workpool_task *task)
{
	char code[16] = "no_ink";

	(void)workpool_task_resultf(task, "%d", 1);
	(void)workpool_task_failf(task, code, "no %s", "\"ink\" \xff");
	memset(code, 'x', sizeof(code) - 1);
}

static void do_fail_bare(struct workpool_task *task)
{
	(void)workpool_task_fail(task, "A code that is none", NULL);
}

static void do_text(struct workpool_task *task)
{
	(void)workpool_task_result_text(task, "a \"b\"\n\xff", 7);
}

static void do_progress(struct workpool_task *task)
{
	(void)workpool_task_progress(task, 5000, "more than \"all\" of it");
	(void)workpool_task_sleep_us(task, UINT64_MAX);
	(void)workpool_task_result(task, "true", 4);
}

static void do_log(struct workpool_task *task)
{
	workpool_task_log(task, WORKPOOL_WARNING, "a line\nand a half");
	workpool_task_log(task, (enum workpool_log_level)77, NULL);
	(void)workpool_task_result(task, "true", 4);
}

/* Every argument of the table, as it was read. */
static void do_args(struct workpool_task *task)
{
	bool flag = false;
	int64_t number = -1;
	double real = -1;
	const char *word = "none", *string = "none", *item, *json, *list;
	size_t n = 0;

	(void)workpool_task_bool(task, "flag", &flag);
	(void)workpool_task_int(task, "number", &number);
	(void)workpool_task_real(task, "any", &real);
	(void)workpool_task_string(task, "word", &word);
	(void)workpool_task_string(task, "string", &string);
	while ((item = workpool_task_item(task, "list", n)))
		n++;
	json = workpool_task_json(task, "object");
	list = workpool_task_json(task, "list");
	if (workpool_task_int(task, "word", &number) || workpool_task_bool(task, "nobody", &flag) ||
		workpool_task_string(task, "number", &word) || workpool_task_json(task, "nobody"))
		abort();
	(void)workpool_task_resultf(task,
		"{\"flag\":%s,\"number\":%lld,\"real\":%g,\"word\":\"%s\",\"string\":\"%s\","
		"\"items\":%zu,"
		"\"object\":%s,\"list\":%s,\"args\":%s}",
		flag ? "true" : "false", (long long)number, real, word, string, n,
		json ? json : "null", list ? list : "null", workpool_task_args(task));
}

/* What it is told of itself. */
static void do_self(struct workpool_task *task)
{
	uint64_t left_us = workpool_task_remaining_us(task);
	struct timespec now;
	int64_t until_us;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	until_us = (int64_t)workpool_task_deadline_us(task) - (int64_t)now.tv_sec * 1000000 -
		   now.tv_nsec / 1000;
	if (left_us == UINT64_MAX) {
		left_us = 0;
		until_us = 0;
	}
	(void)workpool_task_resultf(task,
		"{\"id\":%llu,\"attempt\":%u,\"worker\":%u,\"left_ms\":%llu,\"until_ms\":%lld,"
		"\"cancelled\":%s}",
		(unsigned long long)workpool_task_id(task), workpool_task_attempt(task),
		workpool_task_worker(task), (unsigned long long)left_us / 1000,
		(long long)until_us / 1000, workpool_task_cancelled(task) ? "true" : "false");
}

/* Waits as a program does that has an event loop of its own. */
static void do_poll(struct workpool_task *task)
{
	struct pollfd fds = {.fd = workpool_task_cancel_fd(task), .events = POLLIN};

	if (fds.fd != workpool_task_cancel_fd(task))
		abort();
	while (poll(&fds, 1, -1) < 0 && errno == EINTR)
		;
	if (!workpool_task_cancelled(task))
		abort();
}

/* Succeeds though it was asked to end. */
static void do_stubborn(struct workpool_task *task)
{
	(void)workpool_task_progress(task, 1, NULL);
	(void)workpool_task_sleep_us(task, UINT64_MAX);
	(void)workpool_task_result(task, "\"all the same\"", 14);
}

/* Another thread that has the task's pointer: all that is not for it says so. */
static void *use(void *arg)
{
	struct workpool_task *task = arg;
	static bool flag;
	static const char *text;
	bool is_refused =
		workpool_task_result(task, "1", 1) == -EPERM &&
		workpool_task_result_text(task, "1", 1) == -EPERM &&
		workpool_task_fail(task, "x", "x") == -EPERM &&
		workpool_task_progress(task, 1, NULL) == -EPERM &&
		workpool_task_cancel_fd(task) == -EPERM && !workpool_task_sleep_us(task, 1000000) &&
		!workpool_task_args(task) && !workpool_task_json(task, "do") &&
		!workpool_task_bool(task, "do", &flag) &&
		!workpool_task_string(task, "do", &text) && workpool_task_deadline_us(task) == 0 &&
		workpool_task_remaining_us(task) == 0;

	return is_refused ? arg : NULL;
}

static void do_thread(struct workpool_task *task)
{
	uint64_t id = workpool_task_id(task);
	pthread_t thread;
	void *answer;

	if (pthread_create(&thread, NULL, use, task) != 0 || pthread_join(thread, &answer) != 0)
		abort();
	(void)workpool_task_resultf(task, "[%s,%s]", answer ? "true" : "false",
		id == workpool_task_id(task) ? "true" : "false");
}

/* Threads that stay, and use the task when it has long ended. */
static void *stay(void *arg)
{
	struct workpool_task *task = arg;

	for (;;) {
		(void)use(task);
		(void)workpool_task_cancelled(task);
		(void)usleep(1000);
	}
	return NULL;
}

static void do_late(struct workpool_task *task)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, stay, task) != 0)
		abort();
	(void)pthread_detach(thread);
	(void)workpool_task_result(task, "true", 4);
}

static void do_end_thread(struct workpool_task *task)
{
	(void)workpool_task_result(task, "true", 4);
	pthread_exit(NULL);
}

static void do_close_link(struct workpool_task *task)
{
	(void)close(LINK_FD);
	(void)workpool_task_result(task, "true", 4);
}

/* A child that does its work and ends, as a careful one does. */
static void do_fork(struct workpool_task *task)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(workpool_task_result(task, "\"child\"", 7) == -EPERM &&
					workpool_task_sleep_us(task, 1) == false
				? 7
				: 1);
	(void)waitpid(pid, &status, 0);
	(void)workpool_task_resultf(task, "%d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

/* A child that comes back. */
static void do_fork_back(struct workpool_task *task)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		return;
	(void)waitpid(pid, &status, 0);
	(void)workpool_task_resultf(task, "%d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

/* A child that stays when its host has died; it holds all that a fork leaves it. */
static void do_fork_stay(struct workpool_task *task)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (;;)
			(void)pause();
	}
	(void)workpool_task_resultf(task, "%d", (int)pid);
}

static void do_hang(struct workpool_task *task)
{
	(void)task;
	for (;;)
		(void)pause();
}

static const struct {
	const char *name;
	void (*go)(struct workpool_task *task);
} ways[] = {
	{"nothing", do_nothing},
	{"empty", do_empty},
	{"bad_json", do_bad_json},
	{"long", do_long},
	{"long_json", do_long_json},
	{"twice", do_twice},
	{"fail_last", do_fail_last},
	{"fail_bare", do_fail_bare},
	{"text", do_text},
	{"progress", do_progress},
	{"log", do_log},
	{"args", do_args},
	{"self", do_self},
	{"poll", do_poll},
	{"stubborn", do_stubborn},
	{"thread", do_thread},
	{"late", do_late},
	{"end_thread", do_end_thread},
	{"close_link", do_close_link},
	{"fork", do_fork},
	{"fork_back", do_fork_back},
	{"fork_stay", do_fork_stay},
	{"hang", do_hang},
};

static uint64_t now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void spin(int64_t ms)
{
	uint64_t until_us = now_us() + (uint64_t)ms * 1000;

	while (now_us() < until_us)
		;
}

/* The handler of the default name. */

static int start(const struct workpool_settings *settings, void **ret_state, char *ret_why)
{
	const char *refuse = workpool_setting(settings, "refuse");
	const char *hang = workpool_setting(settings, "hang");
	const char *die = workpool_setting(settings, "die");

	for (size_t i = 0; die && i < sizeof(deaths) / sizeof(deaths[0]); i++) {
		if (strcmp(deaths[i].name, die) == 0)
			deaths[i].go();
	}
	while (hang)
		(void)pause();
	if (refuse) {
		(void)snprintf(ret_why, WORKPOOL_WHY_SIZE, "%s", refuse);
		return EINVAL;
	}
	workpool_log(settings, WORKPOOL_INFO, "starts");
	*ret_state = (void *)(uintptr_t)settings;
	return 0;
}

static void run(struct workpool_task *task)
{
	const struct workpool_settings *settings = workpool_task_state(task);
	const char *die = NULL, *way = NULL, *greeting = workpool_setting(settings, "greeting");
	int64_t ms;

	(void)workpool_task_string(task, "die", &die);
	(void)workpool_task_string(task, "do", &way);
	if (workpool_task_int(task, "sleep_ms", &ms) &&
		workpool_task_sleep_us(task, (uint64_t)ms * 1000))
		return;
	if (workpool_task_int(task, "spin", &ms))
		spin(ms);
	for (size_t i = 0; die && i < sizeof(deaths) / sizeof(deaths[0]); i++) {
		if (strcmp(deaths[i].name, die) == 0)
			deaths[i].go();
	}
	for (size_t i = 0; way && i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(ways[i].name, way) == 0) {
			ways[i].go(task);
			return;
		}
	}
	(void)workpool_task_resultf(task, "{\"greeting\":\"%s\",\"settings\":%zu}",
		greeting ? greeting : "", settings->n);
}

static void stop(void *state)
{
	const struct workpool_settings *settings = state;
	const char *path = workpool_setting(settings, "tell");
	FILE *file = path ? fopen(path, "we") : NULL;

	workpool_log(settings, WORKPOOL_INFO, "stops");
	if (file) {
		(void)fputs("stopped", file);
		(void)fclose(file);
	}
}

#define PARAM(param_name, param_type, ...)                                                         \
	{                                                                                          \
		.name = param_name, .type = WORKPOOL_##param_type, __VA_ARGS__                     \
	}

static const struct workpool_param params[] = {
	PARAM("die", ENUM, .words = "segv abort fpe stack oom memory _exit exit kill stop",
		.text = "how it ends the process"),
	PARAM("do", ENUM,
		.words = "nothing empty bad_json long long_json twice fail_last fail_bare text "
			 "progress log args self poll stubborn thread late end_thread close_link "
			 "fork fork_back fork_stay hang",
		.text = "what it does"),
	PARAM("sleep_ms", INT, .max = 86400000, .text = "how long it sleeps before"),
	PARAM("spin", INT, .max = 86400000, .text = "how many milliseconds it is busy before"),
	PARAM("flag", BOOL, .text = NULL),
	PARAM("number", INT, .min = -5, .max = 5),
	PARAM("word", ENUM, .words = "small large"),
	PARAM("string", STRING, .min = 2, .max = 4),
	PARAM("list", STRINGS, .max = 3),
	PARAM("object", OBJECT, .text = "an object"),
	PARAM("any", ANY, .text = "anything"),
};

#define N_PARAMS (sizeof(params) / sizeof(params[0]))

const struct workpool_handler workpool_handler = {
	.abi = WORKPOOL_PLUGIN_ABI,
	.name = "testplugin",
	.text = "does what a test asks of it",
	.params = params,
	.n_params = N_PARAMS,
	.settings = "greeting refuse hang die tell",
	.start = start,
	.run = run,
	.stop = stop,
};

/* Others. */

#define EXPORTED extern WORKPOOL_EXPORT const struct workpool_handler

/* Its args are whatever comes; nothing else is given. */
static void run_any(struct workpool_task *task)
{
	const char *args = workpool_task_args(task);

	(void)workpool_task_result(
		task, *args != '\0' ? args : "\"nothing\"", *args != '\0' ? strlen(args) : 9);
}

EXPORTED any_args;
const struct workpool_handler any_args = {.abi = 1,
	.flags = WORKPOOL_ANY_ARGS,
	.name = "any",
	.text = "takes anything",
	.settings = "one * two",
	.run = run_any};

/* Takes no args at all. */
EXPORTED no_args;
const struct workpool_handler no_args = {
	.abi = 1, .name = "none", .text = "takes nothing", .run = run_any};

/* Ends by its cancel() only, which wakes it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static uint64_t asked; /* the id of the task that was asked last */

static void run_until_asked(struct workpool_task *task)
{
	(void)workpool_task_progress(task, 1, NULL);
	(void)pthread_mutex_lock(&lock);
	while (asked != workpool_task_id(task))
		(void)pthread_cond_wait(&cond, &lock);
	(void)pthread_mutex_unlock(&lock);
	(void)workpool_task_resultf(task, "%llu", (unsigned long long)workpool_task_id(task));
}

static void ask(struct workpool_task *task)
{
	/* Not for this thread. */
	if (workpool_task_result(task, "1", 1) != -EPERM || !workpool_task_cancelled(task))
		abort();
	(void)pthread_mutex_lock(&lock);
	asked = workpool_task_id(task);
	(void)pthread_cond_broadcast(&cond);
	(void)pthread_mutex_unlock(&lock);
}

EXPORTED with_cancel;
const struct workpool_handler with_cancel = {.abi = 1,
	.name = "with_cancel",
	.text = "runs until it is asked",
	.run = run_until_asked,
	.cancel = ask};

/* A cancel() that never returns, so that run() cannot end: only the host's end helps. */
static void ask_and_hang(struct workpool_task *task)
{
	ask(task);
	for (;;)
		(void)pause();
}

EXPORTED hung_cancel;
const struct workpool_handler hung_cancel = {.abi = 1,
	.name = "hung_cancel",
	.text = "has a cancel that never returns",
	.run = run_until_asked,
	.cancel = ask_and_hang};

static int start_badly(const struct workpool_settings *settings, void **ret_state, char *ret_why)
{
	(void)settings;
	(void)ret_state;
	(void)ret_why;
	return -3;
}

EXPORTED starts_badly;
const struct workpool_handler starts_badly = {
	.abi = 1, .name = "bad", .text = "says no word", .start = start_badly, .run = run_any};

/* What is no handler. */
EXPORTED too_new, no_abi, no_run, no_name, strange_flag, both_args, no_table, empty_range,
	twice_named, strange_type, no_words, too_many, long_text;
const struct workpool_handler too_new = {.abi = 2, .name = "n", .text = "t", .run = run_any};
const struct workpool_handler no_abi = {.name = "n", .text = "t", .run = run_any};
const struct workpool_handler no_run = {.abi = 1, .name = "n", .text = "t"};
const struct workpool_handler no_name = {.abi = 1, .text = "t", .run = run_any};
const struct workpool_handler strange_flag = {
	.abi = 1, .flags = 8, .name = "n", .text = "t", .run = run_any};
const struct workpool_handler both_args = {.abi = 1,
	.flags = WORKPOOL_ANY_ARGS,
	.name = "n",
	.text = "t",
	.params = params,
	.n_params = 1,
	.run = run_any};
const struct workpool_handler no_table = {
	.abi = 1, .name = "n", .text = "t", .n_params = 1, .run = run_any};

static const struct workpool_param bad_params[][2] = {
	{PARAM("n", INT, .text = "no range")},
	{PARAM("n", BOOL, .text = ""), PARAM("n", BOOL, .text = "")},
	{{.name = "n", .type = 7}},
	{PARAM("n", ENUM, .text = "no words")},
};
static const struct workpool_param many_params[65];
static const char long_words[4098] = {[0 ... 4096] = 'x'};

#define BAD(symbol, table, n)                                                                      \
	const struct workpool_handler symbol = {.abi = 1,                                          \
		.name = "n",                                                                       \
		.text = "t",                                                                       \
		.params = table,                                                                   \
		.n_params = n,                                                                     \
		.run = run_any}

BAD(empty_range, bad_params[0], 1);
BAD(twice_named, bad_params[1], 2);
BAD(strange_type, bad_params[2], 1);
BAD(no_words, bad_params[3], 1);
BAD(too_many, many_params, 65);
const struct workpool_handler long_text = {
	.abi = 1, .name = "n", .text = long_words, .run = run_any};

/* Not even a struct. */
extern WORKPOOL_EXPORT const char small[2];
const char small[2] = {1, 0};
extern WORKPOOL_EXPORT void a_function(void);
void a_function(void)
{
}
