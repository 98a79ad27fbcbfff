/*
 * sandbox: see sandbox.h. Called by handler.c (the sandbox), exec_config.c (policies) and h_exec.c (passes).
 *
 * Landlock only allows, and what it allows of a folder holds for all that is below. So a ruleset is made by walking: of
 * each folder on the way to a hidden path everything else in it is allowed, one by one. What comes into such a folder
 * later, or is replaced there, is not in the ruleset: a pass carries a stamp of these folders, and is made anew when that
 * has changed. As making one opens many files, and a directory costs the disk something, a pass is kept for another task
 * if nothing can be left of the last one: no process, and nothing in the directory.
 *
 * Where some hundred files are in the way, making a ruleset takes as long as starting a program does; being put under it
 * a twentieth of that (measured, Linux 6.18).
 */
#include "host/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "host/confine.h"
#include "host/landlock.h"
#include "host/scratch.h"

#define READS (LANDLOCK_EXECUTE | LANDLOCK_READ_FILE | LANDLOCK_READ_DIR)
#define WRITES                                                                                     \
	(READS | LANDLOCK_WRITE_FILE | LANDLOCK_REMOVE_DIR | LANDLOCK_REMOVE_FILE |                \
		LANDLOCK_MAKE_DIR | LANDLOCK_MAKE_REG | LANDLOCK_MAKE_SOCK | LANDLOCK_MAKE_FIFO |  \
		LANDLOCK_MAKE_SYM | LANDLOCK_REFER | LANDLOCK_TRUNCATE | LANDLOCK_IOCTL_DEV)

#define IDLE_MAX 64 /* passes that are kept for the next task */
#define NEVER    UINT32_MAX

struct sandbox_pass {
	int fd;          /* owns: the ruleset; -1: none */
	char *directory; /* owns; NULL: none */
	ino_t inode;     /* of the directory */
	uint64_t stamp;
	bool is_young;                  /* for one task only: see hidden_stamp() */
	TAILQ_ENTRY(sandbox_pass) link; /* in: policy->idle */
};

/* Always hidden, because with it a raw disk could be read; these of it are not. */
#define DEVICES "/dev"
static const char *const devices[] = {
	"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"};

/* What a program is kept from: by Landlock from this ABI on, or else by a filter of system calls (confine.c). */
static const struct {
	const char *name;
	uint32_t abi;
	bool by_filter;
} features[] = {
	{"files", 1, false},
	{"tracing", 1, false},
	{"truncation", LANDLOCK_ABI_TRUNCATE, true},
	{"device controls", LANDLOCK_ABI_DEVICES, false},
	{"signals", LANDLOCK_ABI_SCOPES, false},
	{"abstract sockets", LANDLOCK_ABI_SCOPES, false},
	{"limits", NEVER, true},
	{"sockets by path", NEVER, false},
	{"file modes and owners", NEVER, false},
	{"priorities of processes", NEVER, false},
};

int sandbox_features(const struct sandbox *sandbox, bool is_on, struct buf *out)
{
	bool can_filter = confine_can_filter();
	const char *separator = "";
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(features); i++) {
		bool has = sandbox->abi >= features[i].abi || (features[i].by_filter && can_filter);
		if (has != is_on)
			continue;
		r = buf_printf(out, "%s%s", separator, features[i].name);
		separator = ", ";
	}
	return r;
}

int sandbox_init(struct sandbox *sandbox)
{
	*sandbox = (struct sandbox){.abi = landlock_abi(), .mounts_fd = -1};
	int r = -pthread_mutex_init(&sandbox->lock, NULL);
	if (r == 0)
		r = hidden_add(&sandbox->hidden, VIEW_LIT(DEVICES));
	if (r == 0 && sandbox->abi > 0)
		sandbox->mounts_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	return r;
}

void sandbox_done(struct sandbox *sandbox)
{
	sandbox->mounts_fd = fd_close(sandbox->mounts_fd);
	hidden_done(&sandbox->hidden);
}

int sandbox_hide(struct sandbox *sandbox, struct view path)
{
	return hidden_add(&sandbox->hidden, path);
}

/* Policies. */

static void free_pass(struct sandbox_pass *pass)
{
	(void)fd_close(pass->fd);
	free(pass->directory);
	free(pass);
}

void sandbox_policy_free(struct sandbox_policy *policy)
{
	struct sandbox_pass *pass, *next;

	if (!policy)
		return;
	TAILQ_FOREACH_SAFE (pass, &policy->idle, link, next) {
		policy->sandbox->n_idle--;
		free_pass(pass);
	}
	for (size_t i = 0; i < policy->n_writable; i++)
		free(policy->writable[i]);
	free(policy->writable);
	free(policy->command);
	free(policy);
}

static int add_writable(struct sandbox_policy *policy, const char *path, char *ret_why)
{
	auto_free char *real = hidden_real_path(path);

	if (!real)
		return -ENOMEM;
	const char *hidden = hidden_below(&policy->sandbox->hidden, real);
	if (hidden) {
		(void)snprintf(ret_why, SETTING_WHY_SIZE,
			"%.90s holds %.90s, which no program may see: choose a folder below, or "
			"sandbox = no",
			path, hidden);
		return -EINVAL;
	}
	char *copy = strdup(path);
	if (copy)
		policy->writable[policy->n_writable++] = copy;
	return copy ? 0 : -ENOMEM;
}

int sandbox_policy_new(struct sandbox *sandbox, char *const *writable, size_t n,
	const char *command, struct sandbox_policy **ret_policy, char ret_why[SETTING_WHY_SIZE])
{
	struct sandbox_policy *policy = calloc(1, sizeof(*policy));
	int r = 0;

	if (!policy)
		return -ENOMEM;
	policy->sandbox = sandbox;
	TAILQ_INIT(&policy->idle);
	policy->writable = calloc(n + 1, sizeof(*policy->writable));
	policy->command = command ? strdup(command) : NULL;
	policy->is_on = command && sandbox->abi > 0;
	if (!policy->writable || (command && !policy->command))
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_writable(policy, writable[i], ret_why);
	if (r == 0)
		*ret_policy = policy;
	else
		sandbox_policy_free(policy);
	return r;
}

/* Rulesets. */

/* What is gone, or is not for us to see, is not for the program either. */
static bool is_out_of_reach(int error)
{
	return error == ENOENT || error == EACCES || error == ENOTDIR || error == ELOOP ||
	       error == EPERM || error == EBADFD;
}

static int allow(const struct sandbox *sandbox, int ruleset_fd, int dir_fd, const char *path,
	int flags, uint64_t rights)
{
	auto_fd int fd = openat(dir_fd, path, O_PATH | O_CLOEXEC | flags);

	return fd < 0 ? -errno : landlock_allow(sandbox->abi, ruleset_fd, fd, rights);
}

static int walk(const struct sandbox *sandbox, int ruleset_fd, const char *path);

static int walk_entry(const struct sandbox *sandbox, int ruleset_fd, DIR *folder, const char *path,
	const struct dirent *entry)
{
	char below[PATH_MAX];
	int n = snprintf(
		below, sizeof(below), "%s/%s", strcmp(path, "/") == 0 ? "" : path, entry->d_name);

	/* Whether something may be read is asked where a link leads to. */
	if (n < 0 || (size_t)n >= sizeof(below) || entry->d_type == DT_LNK ||
		strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
		return 0;
	enum hidden_kind kind = hidden_kind(&sandbox->hidden, below);
	if (kind == HIDDEN_PATH)
		return 0;
	if (kind == HIDDEN_WAY)
		return walk(sandbox, ruleset_fd, below);
	int r = allow(sandbox, ruleset_fd, dirfd(folder), entry->d_name, O_NOFOLLOW, READS);
	return is_out_of_reach(-r) ? 0 : r;
}

/* Everything in a folder, but what is hidden; as deep as there are ways. */
static int walk(const struct sandbox *sandbox, int ruleset_fd, const char *path)
{
	const struct dirent *entry;
	int r = 0;
	DIR *folder = opendir(path);

	if (!folder)
		return is_out_of_reach(errno) ? 0 : -errno;
	while (r == 0 && (errno = 0, entry = readdir(folder)) != NULL)
		r = walk_entry(sandbox, ruleset_fd, folder, path, entry);
	if (r == 0)
		r = -errno;
	(void)closedir(folder);
	return r;
}

/* What is not there is chdir(2)'s to tell, or execve(2)'s, or the program's. */
static int allow_if_there(
	const struct sandbox_policy *policy, int ruleset_fd, const char *path, uint64_t rights)
{
	int r = allow(policy->sandbox, ruleset_fd, AT_FDCWD, path, 0, rights);

	return is_out_of_reach(-r) ? 0 : r;
}

static int allow_named(const struct sandbox_policy *policy, int ruleset_fd, const char **ret_path)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(devices); i++) {
		*ret_path = devices[i];
		r = allow_if_there(policy, ruleset_fd, devices[i], LANDLOCK_OF_FILES);
	}
	for (size_t i = 0; r == 0 && i < policy->n_writable; i++) {
		*ret_path = policy->writable[i];
		r = allow_if_there(policy, ruleset_fd, policy->writable[i], WRITES);
	}
	if (r < 0)
		return r;
	*ret_path = policy->command;
	return allow_if_there(
		policy, ruleset_fd, policy->command, LANDLOCK_EXECUTE | LANDLOCK_READ_FILE);
}

static int make_ruleset(const struct sandbox_policy *policy, int *ret_fd, const char **ret_path)
{
	const struct sandbox *sandbox = policy->sandbox;
	auto_fd int fd = landlock_ruleset(sandbox->abi);
	int r = 0;

	*ret_path = "Landlock";
	if (fd < 0)
		return take_fd(fd);
	if (hidden_kind(&sandbox->hidden, "/") == HIDDEN_WAY)
		r = walk(sandbox, fd, "/");
	if (r == 0)
		r = allow_named(policy, fd, ret_path);
	if (r == 0)
		*ret_fd = take_fd(fd);
	return r;
}

/* Passes. */

/* A stamp of all that a ruleset of this policy depends on. */
static uint64_t stamp_of(struct sandbox_policy *policy, bool *ret_is_young)
{
	struct sandbox *sandbox = policy->sandbox;
	struct pollfd mounts = {.fd = sandbox->mounts_fd, .events = POLLPRI};
	uint64_t stamp = hidden_stamp(&sandbox->hidden, ret_is_young);

	for (size_t i = 0; i < policy->n_writable; i++)
		stamp = hidden_stamp_file(stamp, policy->writable[i]);
	stamp = hidden_stamp_file(stamp, policy->command);
	(void)pthread_mutex_lock(&sandbox->lock);
	if (sandbox->mounts_fd >= 0 && poll(&mounts, 1, 0) > 0)
		sandbox->n_mounts++;
	stamp += sandbox->n_mounts;
	(void)pthread_mutex_unlock(&sandbox->lock);
	return stamp;
}

static void end_pass(struct sandbox_pass *pass)
{
	scratch_remove(pass->directory);
	free_pass(pass);
}

/* An idle one that is still true; those that are not are given up. NULL: none. */
static struct sandbox_pass *take_idle(struct sandbox_policy *policy, uint64_t stamp)
{
	struct sandbox_pass *pass;
	bool is_true = false;

	while (!is_true) {
		(void)pthread_mutex_lock(&policy->sandbox->lock);
		pass = TAILQ_FIRST(&policy->idle);
		if (pass) {
			TAILQ_REMOVE(&policy->idle, pass, link);
			policy->sandbox->n_idle--;
		}
		(void)pthread_mutex_unlock(&policy->sandbox->lock);
		is_true = !pass || pass->stamp == stamp;
		if (!is_true)
			end_pass(pass);
	}
	return pass;
}

static int make_directory(struct sandbox_pass *pass, const char *home)
{
	struct stat st;

	int r = scratch_make(home, &pass->directory);
	if (r < 0)
		return r;
	if (lstat(pass->directory, &st) < 0)
		return -errno;
	pass->inode = st.st_ino;
	return 0;
}

static int fill_pass(const struct sandbox_policy *policy, struct sandbox_pass *pass,
	const char *home, const char **ret_path)
{
	int r = home ? make_directory(pass, *ret_path = home) : 0;

	if (r == 0 && policy->is_on)
		r = make_ruleset(policy, &pass->fd, ret_path);
	if (r == 0 && policy->is_on && home)
		r = allow(policy->sandbox, pass->fd, AT_FDCWD, *ret_path = pass->directory,
			O_NOFOLLOW, WRITES);
	return r;
}

int sandbox_enter(struct sandbox_policy *policy, const char *home, struct sandbox_pass **ret_pass,
	char *ret_why)
{
	bool is_young = false;
	uint64_t stamp = policy->is_on ? stamp_of(policy, &is_young) : 0;
	struct sandbox_pass *pass = take_idle(policy, stamp);
	const char *path = "";

	if (!pass) {
		pass = calloc(1, sizeof(*pass));
		if (!pass) {
			(void)snprintf(ret_why, SETTING_WHY_SIZE, "%s", strerror(ENOMEM));
			return -ENOMEM;
		}
		*pass = (struct sandbox_pass){.fd = -1, .stamp = stamp, .is_young = is_young};
		int r = fill_pass(policy, pass, home, &path);
		if (r < 0) {
			(void)snprintf(ret_why, SETTING_WHY_SIZE, "%.120s: %s", path, strerror(-r));
			end_pass(pass);
			return r;
		}
	}
	*ret_pass = pass;
	return 0;
}

void sandbox_leave(struct sandbox_policy *policy, struct sandbox_pass *pass, bool is_clean)
{
	struct sandbox *sandbox = policy->sandbox;
	bool is_kept = pass && is_clean && !pass->is_young &&
		       (!pass->directory || scratch_is_fresh(pass->directory, pass->inode));

	if (is_kept) {
		(void)pthread_mutex_lock(&sandbox->lock);
		is_kept = sandbox->n_idle < IDLE_MAX;
		if (is_kept) {
			TAILQ_INSERT_HEAD(&policy->idle, pass, link);
			sandbox->n_idle++;
		}
		(void)pthread_mutex_unlock(&sandbox->lock);
	}
	if (!is_kept && pass)
		end_pass(pass);
}

int sandbox_fd(const struct sandbox_pass *pass)
{
	return pass ? pass->fd : -1;
}

const char *sandbox_directory(const struct sandbox_pass *pass)
{
	return pass ? pass->directory : NULL;
}
