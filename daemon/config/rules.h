/*
 * rules: what one key alone cannot say: which keys a type of handler needs and takes, what must
 * exist, what bounds what. Called by config.c once, when all files are read. To add a rule, add a
 * row to a table in rules.c if one fits.
 */
#ifndef WORKPOOL_CONFIG_RULES_H
#define WORKPOOL_CONFIG_RULES_H

#include "config/build.h"

/* -EINVAL with a line in build->why. Lowers defaults to their bounds (max_output, max_args). */
int rules_check(struct build *build) MUST_CHECK;
/* True if a handler needs [mongodb]. */
bool rules_is_mongodb_used(const struct settings *settings);

#endif
