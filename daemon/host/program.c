/*
 * program: see program.h. Called by h_exec.c, attend.c, coprocess.c and keeper.c, by one thread at a time; but
 * program_wake() by any that knows that the program is there.
 */
#include "host/program.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "host/sandbox.h"

void program_init(struct program *program, struct spawner *spawner, size_t limit)
{
	*program = (struct program){
		.spawner = spawner, .event_fd = -1, .in_fd = -1, .theirs = {-1, -1, -1}};
	capture_init(&program->out, -1, limit);
	capture_init(&program->err, -1, limit);
}

static void close_theirs(struct program *program)
{
	for (int i = 0; i < SPAWN_STDIO; i++)
		program->theirs[i] = fd_close(program->theirs[i]);
}

void program_done(struct program *program)
{
	bool is_clean = false; /* nothing of it is left */

	if (program->is_started) {
		struct child child = program_look(program);
		is_clean = child.state == CHILD_ENDED && child.left_none;
		spawner_forget(program->spawner, &program->child);
	}
	program->is_started = false;
	close_theirs(program);
	program->in_fd = fd_close(program->in_fd);
	capture_done(&program->out);
	capture_done(&program->err);
	program->event_fd = fd_close(program->event_fd);
	if (program->policy)
		sandbox_leave(program->policy, take(program->pass), is_clean);
}

/* Our end of a pipe does not block, the program's does. */
static int make_pipe(bool to_child, int *ret_ours, int *ret_theirs)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	*ret_ours = ends[to_child ? 1 : 0];
	*ret_theirs = ends[to_child ? 0 : 1];
	return fd_set_nonblock(*ret_ours);
}

static int make_pipes(struct program *program, const struct exec_config *config)
{
	int r = 0;

	if (config->gets_args)
		r = make_pipe(true, &program->in_fd, &program->theirs[0]);
	else if ((program->theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0)
		r = -errno;
	if (r == 0)
		r = make_pipe(false, &program->out.fd, &program->theirs[1]);
	if (r == 0)
		r = make_pipe(false, &program->err.fd, &program->theirs[2]);
	return r;
}

int program_open(
	struct program *program, const struct exec_config *config, char ret_why[SETTING_WHY_SIZE])
{
	const char *home = config->needs_scratch ? program->spawner->home : NULL;

	program->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	program->child.event_fd = program->event_fd;
	program->policy = config->policy;
	int r = program->event_fd < 0 ? -errno : make_pipes(program, config);
	if (r < 0)
		(void)snprintf(ret_why, SETTING_WHY_SIZE, "%s", strerror(-r));
	else
		r = sandbox_enter(config->policy, home, &program->pass, ret_why);
	return r;
}

int program_start(struct program *program, const struct exec_config *config, struct words *env)
{
	const int *theirs = program->theirs;
	const int fds[SPAWN_FDS] = {
		theirs[0], theirs[1], theirs[2], [SPAWN_RULES] = sandbox_fd(program->pass)};
	struct spawn_order order;

	int r = exec_config_order(config, sandbox_directory(program->pass), env, &order);
	if (r == 0)
		r = spawner_start(program->spawner, &program->child, &order, fds);
	program->is_started = r == 0;
	close_theirs(program);
	return r;
}

struct child program_look(const struct program *program)
{
	return spawner_look(program->spawner, &program->child);
}

bool program_has_ended(const struct program *program)
{
	struct child now = program_look(program);

	return now.state == CHILD_FAILED || now.state == CHILD_ENDED;
}

void program_signal(const struct program *program, int signal)
{
	spawner_signal(program->spawner, &program->child, signal);
}

void program_wake(const struct program *program)
{
	const uint64_t one = 1;

	(void)!write(program->event_fd, &one, sizeof(one)); /* a full counter wakes as well */
}

void program_hear(const struct program *program)
{
	uint64_t news;

	(void)!read(program->event_fd, &news, sizeof(news));
}

uint64_t program_rss_bytes(const struct program *program)
{
	struct child now = program_look(program);
	uint64_t pages = 0;
	char path[64];

	if (now.state != CHILD_RUNNING)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)now.pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%*u %" SCNu64, &pages) != 1)
		pages = 0;
	(void)fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
