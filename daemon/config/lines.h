/*
 * lines: INI text -> sections and keys with their line numbers. The only place that knows inih.
 * inih cuts long lines, long section names and whatever follows " ;" without a word, joins indented
 * lines to the value above and tells nothing of empty sections. So comments and sections are read
 * here, every other line is checked here, and inih gets one line "key = value" at a time, of which
 * it can misunderstand nothing.
 */
#ifndef WORKPOOL_CONFIG_LINES_H
#define WORKPOOL_CONFIG_LINES_H

#include "base/buf.h"
#include "base/mem.h"

#define LINES_MAX 4096 /* bytes of one line, if inih can take it (Debian's can; others: 197) */

/* Each returns 0, or -errno which ends the reading. Texts are good until the call returns. */
struct lines_sink {
	void *user;
	/* [kind name]; name may be "" */
	int (*section)(void *user, uint32_t line, const char *kind, const char *name);
	int (*key)(void *user, uint32_t line, const char *key, const char *value);
	/* What is on this line is no INI: keeps the reason and gives the error. */
	int (*wrong)(void *user, uint32_t line, const char *reason);
};

/* Not thread-safe: inih's limits are global variables. 0, -ENOMEM, or what the sink gave. */
int lines_read(struct view text, const struct lines_sink *sink) MUST_CHECK;

#endif
