/*
 * setting: the "key=value\n" lines of a HANDLER message into a struct, by a table. Values are canonical: times in
 * microseconds, sizes in bytes, yes or no. The daemon has checked them; here only what would do harm is checked again.
 */
#ifndef WORKPOOL_HOST_SETTING_H
#define WORKPOOL_HOST_SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/tailq.h"

#define SETTING_WHY_SIZE 256

/* The C type of the field at `offset`: */
enum setting_type {
	SETTING_U64,  /* uint64_t, at most max */
	SETTING_I64,  /* int64_t, from -max to max */
	SETTING_BOOL, /* bool */
	SETTING_TEXT, /* char *, the struct owns it; NULL before the first reading */
};

struct setting {
	const char *key;
	enum setting_type type;
	size_t offset;
	uint64_t max; /* 0: any */
};

/* A line that no table has. */
struct setting_extra {
	char *key;   /* owns */
	char *value; /* owns */
	TAILQ_ENTRY(setting_extra) link;
};

TAILQ_HEAD(setting_extras, setting_extra);

/*
 * What is not given keeps the value that the caller put there. -EINVAL: a key that is unknown, a value that is none;
 * ret_why names the key, never the value (it may be a secret); -ENOMEM.
 */
int setting_read(struct view lines, const struct setting *table, size_t n, void *ret_values,
	char ret_why[SETTING_WHY_SIZE]) MUST_CHECK;
bool setting_is_known(struct view line, const struct setting *table, size_t n);
/* One line more, at the end of the list. -EINVAL: it is none, or holds a NUL; -ENOMEM. */
int setting_add_extra(struct view line, struct setting_extras *extras) MUST_CHECK;
void setting_free_extras(struct setting_extras *extras);
/* Frees the texts. */
void setting_done(const struct setting *table, size_t n, void *values);

#endif
