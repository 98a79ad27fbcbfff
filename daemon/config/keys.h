/*
 * keys: THE table of configuration keys. One row a key: where it stands, what it may hold, what it
 * is when nobody says anything, whether a reload is enough, and one line for people. Parser,
 * shipped file, manual page and host lines are made from it; to add a key, add a field to
 * settings.h and a row to keys.c, and nothing else. Not for: text <-> field (value.c), files
 * (config.c), rules over several keys (rules.c).
 */
#ifndef WORKPOOL_CONFIG_KEYS_H
#define WORKPOOL_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "config/settings.h"

/* One a section; the order is the order in the shipped file and in the manual. */
enum config_scope {
	CONFIG_DAEMON,
	CONFIG_ACCESS,
	CONFIG_STORE,
	CONFIG_MONGODB,
	CONFIG_RESOURCE,
	CONFIG_POOL,
	CONFIG_HANDLER,
	CONFIG_SCOPES
};

/* Type of the field at `offset`, and how its text reads: */
enum config_type {
	CONFIG_BOOL,     /* bool */
	CONFIG_INT,      /* int64_t, from min to max */
	CONFIG_U64,      /* uint64_t, from min to max */
	CONFIG_BYTES,    /* uint64_t, "64K" */
	CONFIG_DURATION, /* uint64_t in us, "10s" */
	CONFIG_OCTAL,    /* uint64_t, "077" */
	CONFIG_WORKERS,  /* struct workers_rule, "24" or "3/core" */
	CONFIG_ENUM,     /* int: min for the first word of `words`, min + 1 for the second … */
	CONFIG_WORD,     /* char *: one of `words` */
	CONFIG_NAME,     /* char *: a pool's name */
	CONFIG_STRING,   /* char *, at most max bytes, none of the bytes in `words` */
	CONFIG_JSON,     /* char *: a JSON object or array; whether it is one the host finds out */
	CONFIG_URI,      /* char *, at most max bytes, begins with one of `words` */
	CONFIG_LIST,     /* char *: "alice, @admins" */
	CONFIG_NAMES,    /* char *: "db, mail": names of sections */
	CONFIG_PATH,     /* char *: absolute, at most max bytes */
	CONFIG_COMMAND,  /* char *: words, the first one an absolute path */
	CONFIG_ENVIRONMENT, /* char *: words NAME=value */
	CONFIG_PATHS,       /* char *: words, each an absolute path */
	CONFIG_TYPES
};

#define CONFIG_LIVE   1u /* `wpctl reload` is enough; the others need a restart */
#define CONFIG_HOST   2u /* told to the host processes (config_write_host_lines()) */
#define CONFIG_SECRET 4u /* never shown: not in errors, not in logs, not in replies */
#define CONFIG_ZERO   8u /* 0 is allowed though below min, and means none */

/* CONFIG_HANDLER: which handlers have the key, one bit an `enum config_handler_type`. */
enum config_handler_type {
	CONFIG_BUILTIN = 1,
	CONFIG_EXEC = 2,
	CONFIG_MONGO = 4,
	CONFIG_COPROCESS = 8,
	CONFIG_PLUGIN = 16
};
#define CONFIG_PROGRAMS     (CONFIG_EXEC | CONFIG_COPROCESS) /* those that run a program */
#define CONFIG_ALL_HANDLERS (CONFIG_BUILTIN | CONFIG_PROGRAMS | CONFIG_MONGO | CONFIG_PLUGIN)

#define CONFIG_SCOPE_KEYS_MAX 64 /* rows of one scope */

struct config_key {
	enum config_scope scope;
	const char *name;
	enum config_type type;
	size_t offset;       /* in the scope's struct */
	const char *initial; /* the default as one would write it; "": none */
	int64_t min;
	int64_t max;
	const char *words;
	const char *unit; /* what a bare number counts, or NULL */
	unsigned flags;
	unsigned types;      /* CONFIG_HANDLER: bits of enum config_handler_type */
	const char *example; /* for the shipped file where the default is "" */
	const char *text;    /* one line for people, no full stop */
	const char *shipped; /* what the shipped file says in the default's place; NULL: nothing */
};

const struct config_key *keys_table(size_t *ret_n);
/* NULL: no such key. */
const struct config_key *keys_find(enum config_scope scope, const char *name);
/* The row's number within its scope: below CONFIG_SCOPE_KEYS_MAX. */
size_t keys_place(const struct config_key *key);

/* "daemon", "pool" … */
const char *keys_scope_name(enum config_scope scope);
bool keys_scope_is_named(
	enum config_scope scope); /* [resource NAME], [pool NAME], [handler NAME] */
/* One sentence for people about the section, for the shipped file and the manual. */
const char *keys_scope_text(enum config_scope scope);
/* -ENOENT: no section is called so. */
int keys_find_scope(const char *name, enum config_scope *ret_scope) MUST_CHECK;
/* 0 for a word that is no type. */
unsigned keys_handler_type(const char *word);
#define KEYS_TYPES_SIZE 64
/* The words of these types: "exec or coprocess". Returns ret_text. */
const char *keys_handler_types(unsigned types, char ret_text[KEYS_TYPES_SIZE]);

#endif
