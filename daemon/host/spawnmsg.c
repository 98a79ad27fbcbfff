/*
 * spawnmsg: see spawnmsg.h. Called by spawner.c (host) and reaper.c (spawner process).
 * Invariant: what is unpacked points into the packet, every string of it ends inside, and nothing is left over.
 */
#include "host/spawnmsg.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const step_names[STEPS] = {
	[STEP_REQUEST] = "request",
	[STEP_VFORK] = "vfork",
	[STEP_SETSID] = "setsid",
	[STEP_PRCTL] = "prctl",
	[STEP_DUP2] = "dup2",
	[STEP_CLOSE] = "close_range",
	[STEP_SETRLIMIT] = "setrlimit",
	[STEP_NICE] = "setpriority",
	[STEP_CHDIR] = "chdir",
	[STEP_CAPABILITIES] = "capabilities",
	[STEP_LANDLOCK] = "landlock_restrict_self",
	[STEP_SECCOMP] = "seccomp",
	[STEP_EXECVE] = "execve",
};

const char *spawnmsg_step(uint32_t step)
{
	return step < STEPS ? step_names[step] : "?";
}

static int put(const void *from, size_t len, char *data, size_t *at)
{
	if (len > SPAWNMSG_LIMIT - *at)
		return -E2BIG;
	memcpy(data + *at, from, len);
	*at += len;
	return 0;
}

static int put_words(const char *const *words, char *data, size_t *at, uint32_t *ret_n)
{
	for (; words[*ret_n]; ++*ret_n) {
		int r = put(words[*ret_n], strlen(words[*ret_n]) + 1, data, at);
		if (r < 0)
			return r;
	}
	return 0;
}

int spawnmsg_pack_start(
	uint64_t id, const struct spawn_order *order, char *ret_data, size_t *ret_len)
{
	struct spawn_head head;
	size_t at = sizeof(head);

	memset(&head, 0, sizeof(head)); /* padding too: it leaves the process */
	head.type = SPAWNMSG_START;
	head.id = id;
	head.umask = order->umask;
	head.nice = order->nice;
	memcpy(head.limits, order->limits, sizeof(head.limits));
	head.is_confined = order->is_confined;
	int r = put_words(order->argv, ret_data, &at, &head.n_argv);
	if (r == 0)
		r = put_words(order->env, ret_data, &at, &head.n_env);
	if (r == 0)
		r = put(order->directory, strlen(order->directory) + 1, ret_data, &at);
	if (r < 0 || head.n_argv + head.n_env > SPAWNMSG_WORDS)
		return -E2BIG;
	memcpy(ret_data, &head, sizeof(head));
	*ret_len = at;
	return 0;
}

int spawnmsg_pack_home(const char *directory, char *ret_data, size_t *ret_len)
{
	struct spawn_head head;
	size_t at = sizeof(head);

	memset(&head, 0, sizeof(head));
	head.type = SPAWNMSG_HOME;
	memcpy(ret_data, &head, sizeof(head));
	int r = put(directory, strlen(directory) + 1, ret_data, &at);
	if (r == 0)
		*ret_len = at;
	return r;
}

/* The next n strings into words, and a NULL. */
static char **get_words(char **at, const char *end, uint32_t n, char **words)
{
	for (uint32_t i = 0; i < n; i++) {
		char *nul = memchr(*at, '\0', (size_t)(end - *at));
		if (!nul)
			return NULL;
		*words++ = *at;
		*at = nul + 1;
	}
	*words++ = NULL;
	return words;
}

int spawnmsg_unpack(char *data, size_t len, struct spawn_head *ret_head, char **ret_words,
	char ***ret_argv, char ***ret_env, char **ret_directory)
{
	char *directory[2];
	char *at = data + sizeof(*ret_head);
	char *end = data + len;

	if (len < sizeof(*ret_head))
		return -EBADMSG;
	memcpy(ret_head, data, sizeof(*ret_head));
	if (ret_head->type == SPAWNMSG_SIGNAL || ret_head->type == SPAWNMSG_CONFINE)
		return len == sizeof(*ret_head) ? 0 : -EBADMSG;
	bool is_home = ret_head->type == SPAWNMSG_HOME;
	if (!is_home && ret_head->type != SPAWNMSG_START)
		return -EBADMSG;
	if ((ret_head->n_argv == 0) != is_home || (ret_head->n_env == 0) != is_home)
		return -EBADMSG;
	if (ret_head->n_argv > SPAWNMSG_WORDS ||
		ret_head->n_env > SPAWNMSG_WORDS - ret_head->n_argv)
		return -EBADMSG;
	char **env = get_words(&at, end, ret_head->n_argv, ret_words);
	if (!env || !get_words(&at, end, ret_head->n_env, env) ||
		!get_words(&at, end, 1, directory) || at != end)
		return -EBADMSG;
	*ret_argv = ret_words;
	*ret_env = env;
	*ret_directory = directory[0];
	return 0;
}

int spawnmsg_send(int fd, const void *data, size_t len, const int fds[SPAWN_FDS])
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(SPAWN_FDS * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)data, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	size_t n_fds = 0;
	ssize_t n;

	while (fds && n_fds < SPAWN_FDS && fds[n_fds] >= 0)
		n_fds++;
	if (n_fds > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, n_fds * sizeof(int));
	}
	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

ssize_t spawnmsg_receive(int fd, void *ret_data, size_t size, int ret_fds[SPAWN_FDS])
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(
			SPAWN_FDS * sizeof(int))]; /* more than these the kernel closes */
	} control;
	struct iovec iov = {ret_data, size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	msg.msg_control = control.bytes;
	msg.msg_controllen = sizeof(control.bytes);
	for (size_t i = 0; i < SPAWN_FDS; i++)
		ret_fds[i] = -1;
	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS) {
		size_t bytes = cmsg->cmsg_len - CMSG_LEN(0);
		memcpy(ret_fds, CMSG_DATA(cmsg),
			bytes > SPAWN_FDS * sizeof(int) ? SPAWN_FDS * sizeof(int) : bytes);
	}
	return (msg.msg_flags & MSG_TRUNC) != 0 ? -EBADMSG : n;
}
