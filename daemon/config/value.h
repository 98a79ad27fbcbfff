/*
 * value: one key's text <-> the field of its struct, for every type of keys.h.
 * Called by config.c (set), config_write.c (text of all sorts), settings.c (free) and whoever shows
 * settings. `base` is always the scope's struct (&settings->daemon, &settings->pools[i] ...), which
 * holds valid values or zeros.
 */
#ifndef WORKPOOL_CONFIG_VALUE_H
#define WORKPOOL_CONFIG_VALUE_H

#include "base/buf.h"
#include "base/mem.h"
#include "config/keys.h"

#define VALUE_NAMES_PARTED ", \t" /* bytes between the names of a CONFIG_NAMES */

/* -EINVAL: not what value_write_range() says, and the field is as it was; -ENOMEM.
 * A key without a default takes the empty text: it is then as if it were not given. */
int value_set(const struct config_key *key, void *base, const char *text) MUST_CHECK;
/* Gives back what value_set() took and leaves zero; a secret is wiped before. */
void value_unset(const struct config_key *key, void *base);

/* `to` gets a copy of what `from` holds. -ENOMEM, and the field is as it was. */
int value_copy(const struct config_key *key, void *to, const void *from) MUST_CHECK;
bool value_is_equal(const struct config_key *key, const void *a, const void *b);

/* As a program reads it: times in us, sizes in bytes, umask in decimal; secrets too. -ENOMEM,
 * -EMSGSIZE as buf_append(). */
int value_write(const struct config_key *key, const void *base, struct buf *out) MUST_CHECK;
/* As one would write it into the file: "64K", "10s", "077"; a secret is "***". */
int value_write_text(const struct config_key *key, const void *base, struct buf *out) MUST_CHECK;
/* What the key takes: a number from 1 to 1024 or "3/core". */
int value_write_range(const struct config_key *key, struct buf *out) MUST_CHECK;

/* Letters, digits, "-", "_", "."; begins with a letter or digit; 1 … SETTINGS_NAME_MAX bytes. */
bool value_is_name(const char *text);
/* The number of a word in a list parted by blanks, or -1. */
int value_word_number(const char *words, const char *word);

#endif
