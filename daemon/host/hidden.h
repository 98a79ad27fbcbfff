/*
 * hidden: the paths that no program in a sandbox may see, with all that is below, and the folders on the way to them.
 * Filled before the first thread; read by any.
 */
#ifndef WORKPOOL_HOST_HIDDEN_H
#define WORKPOOL_HOST_HIDDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct hidden_list {
	char **at; /* owns, and the paths: absolute, without links as far as they are there */
	size_t n;
};

struct hidden {
	struct hidden_list paths;
	struct hidden_list ways; /* the folders above these, each once */
};

enum hidden_kind { HIDDEN_NOT, HIDDEN_WAY, HIDDEN_PATH };

void hidden_done(struct hidden *hidden);
/* It need not be there. -EINVAL: not absolute; -ENOMEM. */
int hidden_add(struct hidden *hidden, struct view path) MUST_CHECK;
/* Of a path without links: itself hidden, above a hidden one, or neither. What is below a hidden one is nobody's to ask. */
enum hidden_kind hidden_kind(const struct hidden *hidden, const char *path);
/* A hidden path that `path` is, or holds; NULL: it has none. */
const char *hidden_below(const struct hidden *hidden, const char *path);
/*
 * A number that changes when something comes to one of the ways or goes. ret_is_young: one of them changed so lately that
 * its time cannot tell the next change from that one.
 */
uint64_t hidden_stamp(const struct hidden *hidden, bool *ret_is_young);
/* `stamp` with the identity of what is at this path worked in. */
uint64_t hidden_stamp_file(uint64_t stamp, const char *path);
/* realpath(3) as far as the path is there, and the rest as it is. The caller frees it; NULL: no memory. */
char *hidden_real_path(const char *path) MUST_CHECK;

#endif
