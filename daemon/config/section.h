/*
 * section: the sections of settings, whatever their kind: by scope and place. The place of a
 * section without a name is 0. So that whoever goes by the table needs no switch of his own.
 */
#ifndef WORKPOOL_CONFIG_SECTION_H
#define WORKPOOL_CONFIG_SECTION_H

#include "base/buf.h"
#include "base/mem.h"
#include "config/keys.h"

/* How many there are; 1 for a kind without names. */
size_t section_count(const struct settings *settings, enum config_scope scope);
/* NULL: this kind has no names. Good as long as the settings. */
const char *section_name(const struct settings *settings, enum config_scope scope, size_t at);
/* The struct that the scope's keys are offsets in. Good until the next section_add(). */
void *section_base(struct settings *settings, enum config_scope scope, size_t at);
const void *section_const_base(const struct settings *settings, enum config_scope scope, size_t at);
/* Of handlers: the key is one of this handler's type. */
bool section_has_key(const struct settings *settings, const struct config_key *key, size_t at);

/* -ENOENT. A kind without names is always there. */
int section_find(const struct settings *settings, enum config_scope scope, const char *name,
	size_t *ret_at) MUST_CHECK;
/* A new one behind the others, all zeros but for its name. -ENOMEM, -E2BIG: there are enough. */
int section_add(struct settings *settings, enum config_scope scope, const char *name,
	size_t *ret_at) MUST_CHECK;

/* "pool mail" */
int section_write(const struct settings *settings, enum config_scope scope, size_t at,
	struct buf *out) MUST_CHECK;

#endif
