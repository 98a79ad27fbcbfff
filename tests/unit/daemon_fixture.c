/*
 * daemon_fixture: see daemon_fixture.h.
 */
#include "daemon_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "config/config.h"
#include "net/spawn.h"
#include "net/turn.h"
#include "root/root.h"

struct fixture fx;

/* --- what stands in ------------------------------------------------------------------------ */

uint64_t fx_real_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * US_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_now_us(void)
{
	if (fx.leap_us > 0 && fx.leap_in-- == 0) {
		fx.passed_us += fx.leap_us;
		fx.leap_us = 0;
	}
	return fx_real_us() + fx.passed_us;
}

uint64_t clock_wall_us(void)
{
	return UINT64_C(1700000000) * US_PER_SEC + clock_now_us();
}

static void tell(char what)
{
	size_t len = strlen(fx.story);

	if (len + 1 < sizeof fx.story)
		fx.story[len] = what;
}

static bool is_to_host(int fd)
{
	for (size_t i = 0; i < fx.n_hosts; i++)
		if (fx.hosts[i].daemon_fd == fd && fx.hosts[i].fd >= 0)
			return true;
	return false;
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	ssize_t n = syscall(SYS_sendto, fd, data, len, flags, NULL, 0);

	if (fd < FX_FDS)
		fx.sends[fd]++;
	if (n > 0)
		tell(is_to_host(fd) ? 'H' : 'A');
	return n;
}

ssize_t recv(int fd, void *data, size_t len, int flags)
{
	if (fd < FX_FDS)
		fx.recvs[fd]++;
	return syscall(SYS_recvfrom, fd, data, len, flags, NULL, NULL);
}

static int store_do_commit(struct store *store, const struct board *board)
{
	const struct task *task;

	(void)store;
	fx.commits++;
	fx.n_committed = 0;
	TAILQ_FOREACH (task, &board->dirty, in_dirty)
		if (fx.n_committed < FX_RUNS)
			fx.committed[fx.n_committed++] = task->id;
	tell(fx.store_error == 0 ? 'C' : 'X');
	fx.owes_flush = fx.store_error == 0;
	return fx.store_error;
}

static int store_do_load(
	struct store *store, struct board *board, uint64_t now_us, uint64_t wall_us, char *ret_why)
{
	(void)store;
	(void)board;
	(void)ret_why;
	ck_assert_uint_gt(wall_us, now_us);
	return 0;
}

static int store_do_flush(struct store *store)
{
	(void)store;
	if (fx.flush_error != 0)
		tell('X');
	fx.owes_flush = false;
	return fx.flush_error;
}

static bool store_do_owes_flush(const struct store *store)
{
	(void)store;
	return fx.owes_flush;
}

static int store_do_flush_fd(const struct store *store)
{
	(void)store;
	return fx.done_fd;
}

static bool store_do_can_begin_flush(const struct store *store)
{
	(void)store;
	return true;
}

static void store_do_begin_flush(struct store *store)
{
	(void)store;
	tell('F');
	fx.owes_flush = false;
}

static int store_do_end_flush(struct store *store)
{
	eventfd_t n;

	(void)store;
	(void)eventfd_read(fx.done_fd, &n);
	if (fx.end_error < 0)
		fx.broken = fx.store_error = fx.end_error;
	return fx.end_error;
}

static int store_do_check(struct store *store)
{
	(void)store;
	return fx.post_error;
}

static int store_do_broken(const struct store *store)
{
	(void)store;
	return fx.broken;
}

static bool store_do_tend(struct store *store, bool is_idle)
{
	(void)store;
	fx.n_tends++;
	fx.n_idle_tends += is_idle;
	fx.owes_flush &= !fx.tending_flushes;
	if (fx.tend_error < 0)
		fx.store_error = fx.flush_error = fx.post_error = fx.broken = fx.tend_error;
	return fx.wants_tending;
}

static void store_do_status(struct store *store, struct store_status *ret_status)
{
	(void)store;
	ret_status->used_bytes = 7;
	ret_status->max_bytes = 11;
}

static void store_do_close(struct store *store, const struct board *board)
{
	(void)store;
	ck_assert_ptr_eq(board, fx.daemon.is_loaded ? fx.daemon.board : NULL);
	fx.is_closed = true;
}

static const struct store_ops ops = {.name = "test",
	.load = store_do_load,
	.commit = store_do_commit,
	.flush = store_do_flush,
	.check = store_do_check,
	.broken = store_do_broken,
	.tend = store_do_tend,
	.status = store_do_status,
	.close = store_do_close};

static const struct store_ops ops_beside = {.name = "test",
	.keeps = true,
	.load = store_do_load,
	.commit = store_do_commit,
	.flush = store_do_flush,
	.owes_flush = store_do_owes_flush,
	.flush_fd = store_do_flush_fd,
	.can_begin_flush = store_do_can_begin_flush,
	.begin_flush = store_do_begin_flush,
	.end_flush = store_do_end_flush,
	.check = store_do_check,
	.broken = store_do_broken,
	.tend = store_do_tend,
	.status = store_do_status,
	.close = store_do_close};

const char *spawn_host_path(char *ret_path, size_t size)
{
	(void)snprintf(ret_path, size, "(a host of the test's own)");
	return ret_path;
}

/* A child that only waits for its death, with no descriptor of ours: the pipe tells when it has given them back. */
static pid_t make_child(void)
{
	int fds[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close_range(0, ~0U, 0);
		for (;;)
			(void)pause();
	}
	(void)close(fds[1]);
	ck_assert_int_eq(read(fds[0], &byte, 1), 0);
	(void)close(fds[0]);
	return pid;
}

int spawn_host(const char *path, const char *pool, pid_t *ret_pid, int *ret_fd)
{
	struct fx_host *host = &fx.hosts[fx.n_hosts];
	int fds[2];

	(void)path;
	if (fx.spawn_error != 0)
		return fx.spawn_error;
	ck_assert_uint_lt(fx.n_hosts, FX_HOSTS);
	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	*host = (struct fx_host){.pid = make_child(), .fd = fds[1], .daemon_fd = fds[0]};
	(void)snprintf(host->pool, sizeof host->pool, "%s", pool);
	buf_init(&host->in, 2 * HOSTMSG_LIMIT);
	fx.n_hosts++;
	*ret_pid = host->pid;
	*ret_fd = fds[0];
	return 0;
}

/* --- the daemon ---------------------------------------------------------------------------- */

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n;
}

static void start(const char *config, const struct store_ops *store)
{
	char why[CONFIG_WHY_SIZE] = "";
	struct settings *settings;

	fx = (struct fixture){.store = {store}, .dir = "/tmp/workpool-test-XXXXXX"};
	log_set_level((enum log_level)0);
	(void)unsetenv("NOTIFY_SOCKET");
	ck_assert_ptr_nonnull(mkdtemp(fx.dir));
	(void)snprintf(fx.path, sizeof fx.path, "%s/socket", fx.dir);
	fx.n_fds = count_fds();
	if (store->flush_fd != NULL)
		fx.done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ck_assert_msg(
		config_load_text(view_of(config), "test", &settings, why) == 0, "config: %s", why);
	ck_assert_msg(root_open(&fx.daemon, settings, &fx.store, fx.path, why, sizeof why) == 0,
		"root_open: %s", why);
	fx_turn(); /* what the hosts are told first */
}

void fx_start(const char *config)
{
	start(config, &ops);
}

static void hosts_up(void)
{
	for (size_t i = 0; i < fx.n_hosts; i++)
		host_up(&fx.hosts[i]);
	FX_UNTIL(fx.daemon.is_ready);
	for (size_t i = 0; i < fx.n_hosts; i++)
		host_hear(&fx.hosts[i]);
}

void fx_open(const char *config)
{
	start(config, &ops);
	hosts_up();
}

void fx_open_beside(const char *config)
{
	start(config, &ops_beside);
	hosts_up();
}

void fx_end_flush(int error)
{
	fx.end_error = error;
	ck_assert_int_eq(eventfd_write(fx.done_fd, 1), 0);
}

/* posted = queued + delayed + active + done + failed + cancelled + expired + lost */
static void check_sums(void)
{
	const struct pool *pool;

	TAILQ_FOREACH (pool, &fx.daemon.board->pools, link) {
		uint64_t sum = 0;

		for (unsigned state = TASK_QUEUED; state < TASK_STATES; state++)
			sum += pool->count[state];
		ck_assert_uint_eq(pool->stats.counters.posted, sum);
		ck_assert_uint_eq(pool->count[TASK_ACTIVE], pool->slots.n_busy);
	}
}

void fx_close(void)
{
	char lock[128];

	check_sums();
	root_close(&fx.daemon);
	ck_assert(fx.is_closed);
	if (fx.done_fd > 0)
		fx.done_fd = fd_close(fx.done_fd);
	for (size_t i = 0; i < fx.n_hosts; i++) {
		host_hang_up(&fx.hosts[i]);
		buf_done(&fx.hosts[i].in);
	}
	while (waitpid(-1, NULL, 0) >
		0) /* root_close() killed them; what lives on hangs the test */
		;
	ck_assert_int_eq(errno, ECHILD);
	ck_assert_int_eq(count_fds(), fx.n_fds);
	ck_assert_int_eq(access(fx.path, F_OK), -1);
	(void)snprintf(lock, sizeof lock, "%s.lock", fx.path);
	ck_assert_int_eq(unlink(lock), 0);
	ck_assert_int_eq(rmdir(fx.dir), 0);
}

static void begin_turn(void)
{
	memset(fx.story, 0, sizeof fx.story);
	memset(fx.sends, 0, sizeof fx.sends);
	memset(fx.recvs, 0, sizeof fx.recvs);
}

void fx_turn(void)
{
	begin_turn();
	fx.daemon.awake = true;
	turn_once(&fx.daemon);
}

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
}

bool fx_turn_wakes(uint64_t limit_us)
{
	struct timeval tv = {(time_t)(limit_us / US_PER_SEC), (suseconds_t)(limit_us % US_PER_SEC)};
	bool is_over = false;
	struct event *limit = evtimer_new(fx.daemon.base, on_limit, &is_over);

	ck_assert_ptr_nonnull(limit);
	ck_assert_int_eq(evtimer_add(limit, &tv), 0);
	begin_turn();
	turn_once(&fx.daemon);
	event_free(limit);
	return !is_over;
}

void fx_pass(uint64_t us)
{
	fx.passed_us += us;
}

/* --- clients ------------------------------------------------------------------------------- */

int client_open(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", fx.path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	fx_turn();
	return fd;
}

void client_write(int fd, const char *data, size_t len)
{
	ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
}

void client_say(int fd, const char *text)
{
	client_write(fd, text, strlen(text));
	client_write(fd, "\n", 1);
}

const char *client_hear(int fd)
{
	static char text[4u << 20];
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, text + len, sizeof text - 8 - len)) > 0)
		len += (size_t)n;
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\0')
			text[i] = '|';
	text[len] = '\0';
	if (n == 0 || errno != EAGAIN)
		(void)strcpy(text + len, "<end>");
	return text;
}

unsigned count_words(const char *text, const char *word)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, word)) != NULL; at += strlen(word))
		n++;
	return n;
}

/* --- hosts --------------------------------------------------------------------------------- */

struct fx_host *host_of(const char *pool)
{
	for (size_t i = fx.n_hosts; i > 0; i--)
		if (strcmp(fx.hosts[i - 1].pool, pool) == 0)
			return &fx.hosts[i - 1];
	ck_abort_msg("no host for pool %s", pool);
}

struct pool *pool_of(const char *pool)
{
	return board_find_pool(fx.daemon.board, pool);
}

struct hostlink *link_of(const char *pool)
{
	struct hosts *hosts = pool_of(pool)->hosts;

	ck_assert_ptr_nonnull(hosts->shared);
	return hosts->shared;
}

/* A message may be larger than the socket takes at once: the daemon reads in between. */
void host_write(struct fx_host *host, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(host->fd, at, len);

		if (n < 0 && errno == EPIPE)
			return; /* the daemon has given us up */
		ck_assert(n > 0 || errno == EAGAIN);
		if (n < 0)
			fx_turn();
		else
			at += n, len -= (size_t)n;
	}
}

void host_say(struct fx_host *host, const struct hostmsg *msg)
{
	struct buf out;

	buf_init(&out, HOSTMSG_LIMIT + 8);
	ck_assert_int_eq(hostmsg_pack(&out, msg), 0);
	host_write(host, buf_view(&out).data, buf_len(&out));
	buf_done(&out);
}

void host_up(struct fx_host *host)
{
	host_say(host, &(struct hostmsg){.type = HOSTMSG_HELLO,
			       .hello = {HOSTMSG_VERSION, (uint32_t)host->pid}});
	host_say(host, &(struct hostmsg){.type = HOSTMSG_OFFER,
			       .offer = {VIEW_LIT("noop"), VIEW_LIT("nothing"), 0}});
	host_say(host, &(struct hostmsg){.type = HOSTMSG_READY, .ready = {1}});
}

static void host_take(struct fx_host *host, const struct hostmsg *msg)
{
	if (msg->type == HOSTMSG_RUN) {
		ck_assert_uint_lt(host->n_runs, FX_RUNS);
		host->runs[host->n_runs++] =
			(struct fx_run){msg->run.task, msg->run.attempt, msg->run.worker};
	}
	host->n_cancels += msg->type == HOSTMSG_CANCEL;
	host->n_quits += msg->type == HOSTMSG_QUIT;
	host->n_resizes += msg->type == HOSTMSG_RESIZE;
	host->n_handlers += msg->type == HOSTMSG_HANDLER;
	ck_assert(msg->type != HOSTMSG_GO || msg->go.handlers == host->n_handlers);
	if (msg->type == HOSTMSG_SETUP)
		host->workers = msg->setup.workers;
	if (msg->type == HOSTMSG_RESIZE)
		host->workers = msg->resize.workers;
}

void host_hear(struct fx_host *host)
{
	struct hostmsg msg;
	size_t room;
	char *data;
	ssize_t n;

	do {
		ck_assert_int_eq(buf_reserve(&host->in, 65536, &data, &room), 0);
		n = read(host->fd, data, room);
		if (n > 0)
			buf_commit(&host->in, (size_t)n);
	} while (n > 0);
	while (hostmsg_unpack(&host->in, &msg) == 0)
		host_take(host, &msg);
	ck_assert_uint_eq(buf_len(&host->in), 0);
}

void host_done(struct fx_host *host, size_t run, uint8_t outcome, const char *result)
{
	const struct fx_run *row = &host->runs[run];

	ck_assert_uint_lt(run, host->n_runs);
	host_say(host, &(struct hostmsg){.type = HOSTMSG_DONE,
			       .done = {row->task, row->attempt, row->worker, outcome, VIEW_LIT(""),
				       view_of(result)}});
}

void host_done_long(struct fx_host *host, size_t run, size_t len)
{
	char *result = malloc(len + 3);

	ck_assert_ptr_nonnull(result);
	memset(result, 'x', len + 2);
	result[0] = result[len + 1] = '"';
	result[len + 2] = '\0';
	host_done(host, run, OUTCOME_OK, result);
	free(result);
}

void host_kill(struct fx_host *host)
{
	siginfo_t info;

	ck_assert_int_eq(kill(host->pid, SIGKILL), 0);
	while (waitid(P_PID, (id_t)host->pid, &info, WEXITED | WNOWAIT) < 0)
		ck_assert_int_eq(errno, EINTR);
}

void host_hang_up(struct fx_host *host)
{
	host->fd = fd_close(host->fd);
}

uint64_t count_of(const char *pool, enum task_state state)
{
	return pool_of(pool)->count[state];
}

struct scene scene_open(void)
{
	struct scene scene;

	fx_open(TWO_POOLS);
	scene.host = host_of("default");
	scene.other = host_of("other");
	scene.here = client_open();
	scene.there = client_open();
	client_say(scene.here, POST_WAIT);
	client_say(scene.there, POST_OTHER_WAIT);
	fx_turn();
	host_hear(scene.host);
	host_hear(scene.other);
	ck_assert_uint_eq(scene.host->n_runs, 1);
	ck_assert_uint_eq(scene.other->n_runs, 1);
	return scene;
}

void scene_close(struct scene *scene)
{
	(void)close(scene->here);
	(void)close(scene->there);
	fx_close();
}

int fx_main(const char *name, const TTest *const *tests, size_t n_tests,
	const struct fx_loop *loops, size_t n_loops)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 120);
	for (size_t i = 0; i < n_tests; i++)
		tcase_add_test(tcase, tests[i]);
	for (size_t i = 0; i < n_loops; i++)
		tcase_add_loop_test(tcase, loops[i].test, 0, (int)loops[i].n);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
