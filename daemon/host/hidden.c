/*
 * hidden: see hidden.h. Called by sandbox.c.
 */
#include "host/hidden.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"

/* Times of files may be as coarse as the kernel's tick: two changes within one are the same time. */
#define YOUNG_US (20 * US_PER_MS)

#define STAMP_START UINT64_C(0xcbf29ce484222325) /* FNV-1a */
#define STAMP_PRIME UINT64_C(0x100000001b3)

static void done_list(struct hidden_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->at[i]);
	free(list->at);
	*list = (struct hidden_list){NULL, 0};
}

void hidden_done(struct hidden *hidden)
{
	done_list(&hidden->paths);
	done_list(&hidden->ways);
}

/* Takes the path, also when it fails or is there already; NULL: -ENOMEM. */
static int add_once(struct hidden_list *list, char *path)
{
	auto_free char *mine = path;

	if (!mine)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++) {
		if (strcmp(list->at[i], mine) == 0)
			return 0;
	}
	char **at = realloc(list->at, (list->n + 1) * sizeof(*at));
	if (!at)
		return -ENOMEM;
	list->at = at;
	at[list->n++] = take(mine);
	return 0;
}

char *hidden_real_path(const char *path)
{
	size_t len = strlen(path);
	char *real = realpath(path, NULL);

	if (real || errno == ENOMEM)
		return real;
	while (len > 1 && path[len - 1] == '/')
		len--;
	auto_free char *parent = mem_dup(path, len);
	char *slash = parent ? strrchr(parent, '/') : NULL;
	if (!slash)
		return parent ? strdup("/") : NULL;
	*slash = '\0';
	auto_free char *above = hidden_real_path(slash == parent ? "/" : parent);
	if (!above || asprintf(&real, "%s/%s", strcmp(above, "/") == 0 ? "" : above, slash + 1) < 0)
		return NULL;
	return real;
}

/* Whether `path` is `folder` or below it. */
static bool is_in(const char *path, const char *folder)
{
	size_t len = strcmp(folder, "/") == 0 ? 0 : strlen(folder);

	return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* The folders above a path that is hidden only because it was said itself: all other ways lead through it. */
static int add_ways(struct hidden *hidden, const char *path)
{
	int r = 0;

	for (size_t i = 0; i < hidden->paths.n; i++) {
		if (hidden->paths.at[i] != path && is_in(path, hidden->paths.at[i]))
			return 0;
	}
	for (const char *slash = path; r == 0 && slash && slash[1] != '\0';
		slash = strchr(slash + 1, '/'))
		r = add_once(&hidden->ways,
			slash == path ? strdup("/") : mem_dup(path, (size_t)(slash - path)));
	return r;
}

int hidden_add(struct hidden *hidden, struct view path)
{
	auto_free char *given = mem_dup(path.data, path.len);

	if (!given)
		return -ENOMEM;
	if (given[0] != '/' || strlen(given) != path.len)
		return -EINVAL;
	int r = add_once(&hidden->paths, hidden_real_path(given));
	done_list(&hidden->ways);
	for (size_t i = 0; r == 0 && i < hidden->paths.n; i++)
		r = add_ways(hidden, hidden->paths.at[i]);
	return r;
}

const char *hidden_below(const struct hidden *hidden, const char *path)
{
	for (size_t i = 0; i < hidden->paths.n; i++) {
		if (is_in(hidden->paths.at[i], path))
			return hidden->paths.at[i];
	}
	return NULL;
}

enum hidden_kind hidden_kind(const struct hidden *hidden, const char *path)
{
	bool is_way = false;

	for (size_t i = 0; i < hidden->paths.n; i++) {
		if (strcmp(hidden->paths.at[i], path) == 0)
			return HIDDEN_PATH;
		is_way |= is_in(hidden->paths.at[i], path);
	}
	return is_way ? HIDDEN_WAY : HIDDEN_NOT;
}

static uint64_t mix(uint64_t stamp, uint64_t value)
{
	for (int shift = 0; shift < 64; shift += 8)
		stamp = (stamp ^ (value >> shift & 0xff)) * STAMP_PRIME;
	return stamp;
}

uint64_t hidden_stamp_file(uint64_t stamp, const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? mix(mix(stamp, st.st_dev), st.st_ino) : mix(stamp, 0);
}

uint64_t hidden_stamp(const struct hidden *hidden, bool *ret_is_young)
{
	int64_t young_us = (int64_t)clock_wall_us() - (int64_t)YOUNG_US;
	uint64_t stamp = STAMP_START;

	*ret_is_young = false;
	for (size_t i = 0; i < hidden->ways.n; i++) {
		struct stat st;
		int64_t us = 0;

		if (stat(hidden->ways.at[i], &st) == 0) {
			us = st.st_ctim.tv_sec * (int64_t)US_PER_SEC + st.st_ctim.tv_nsec / 1000;
			stamp = mix(mix(stamp, st.st_dev), st.st_ino);
		}
		stamp = mix(stamp, (uint64_t)us);
		*ret_is_young |= us > young_us;
	}
	return stamp;
}
