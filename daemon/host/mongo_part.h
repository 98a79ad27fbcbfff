/*
 * mongo_part: the parts of an operation that the configuration gives: filter, update … as JSON, with "$args.NAME" where a
 * value of the task goes. Which parts a task may give itself, and which values it has to, follows from them.
 */
#ifndef WORKPOOL_HOST_MONGO_PART_H
#define WORKPOOL_HOST_MONGO_PART_H

#include <jansson.h>
#include <stddef.h>

#include "host/setting.h"
#include "wire/param.h"

enum mongo_part {
	PART_FILTER,
	PART_PROJECTION,
	PART_SORT,
	PART_UPDATE,
	PART_DOCUMENT,
	PART_PIPELINE, /* an array, the others are objects */
	MONGO_PARTS
};

const char *mongo_part_name(
	enum mongo_part part); /* "filter": its key, and the parameter that it replaces */
/* -EINVAL: a sentence that begins with the name. The tree is the caller's. */
int mongo_part_parse(enum mongo_part part, const char *text, json_t **ret_json,
	char ret_why[SETTING_WHY_SIZE]) MUST_CHECK;

/* What tasks may give. */
struct mongo_params {
	struct param *rows; /* owns, and the names of those that parts ask for */
	size_t n, n_own;    /* all; the first ones are the operation's own */
};

/*
 * Of an operation's own parameters those that no part replaces, and behind them what the parts ask for (NULL: not given by
 * the configuration). -EINVAL: a name stands for two things, or there are too many; -ENOMEM. mongo_part_params_done() after a
 * failure, too.
 */
int mongo_part_params(struct mongo_params *params, const struct param *own, size_t n_own,
	json_t *const parts[MONGO_PARTS], char ret_why[SETTING_WHY_SIZE]) MUST_CHECK;
void mongo_part_params_done(struct mongo_params *params);

#endif
