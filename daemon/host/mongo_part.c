/*
 * mongo_part: see mongo_part.h. Called by h_mongodb.c at the start, before the first thread.
 */
#include "host/mongo_part.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/bson.h"
#include "wire/json.h"

#define PARAMS_MAX 64u /* the daemon takes no more of a handler */

static const char *const names[MONGO_PARTS] = {
	[PART_FILTER] = "filter",
	[PART_PROJECTION] = "projection",
	[PART_SORT] = "sort",
	[PART_UPDATE] = "update",
	[PART_DOCUMENT] = "document",
	[PART_PIPELINE] = "pipeline",
};

const char *mongo_part_name(enum mongo_part part)
{
	return names[part];
}

int mongo_part_parse(
	enum mongo_part part, const char *text, json_t **ret_json, char ret_why[SETTING_WHY_SIZE])
{
	char why[JSON_WHY_SIZE];
	json_t *json;

	int r = json_parse(view_of(text), &json, why);
	if (r < 0) {
		(void)snprintf(ret_why, SETTING_WHY_SIZE, "%s: %s", names[part],
			r == -ENOMEM ? strerror(ENOMEM) : why);
		return r == -ENOMEM ? r : -EINVAL;
	}
	if (part == PART_PIPELINE ? json_is_array(json) : json_is_object(json)) {
		*ret_json = json;
		return 0;
	}
	json_decref(json);
	(void)snprintf(ret_why, SETTING_WHY_SIZE, "%s: a JSON %s", names[part],
		part == PART_PIPELINE ? "array" : "object");
	return -EINVAL;
}

/* Is it given by the configuration? `documents` goes with `document`. */
static bool is_replaced(const char *name, json_t *const parts[MONGO_PARTS])
{
	for (size_t i = 0; i < MONGO_PARTS; i++) {
		if (parts[i] && (strcmp(name, names[i]) == 0 ||
					(i == PART_DOCUMENT && strcmp(name, "documents") == 0)))
			return true;
	}
	return false;
}

static int add_name(struct mongo_params *params, struct view name, char *ret_why)
{
	for (size_t i = 0; i < params->n; i++) {
		if (!view_is_equal(view_of(params->rows[i].name), name))
			continue;
		if (i >= params->n_own)
			return 0; /* asked for before */
		(void)snprintf(ret_why, SETTING_WHY_SIZE,
			"$args.%s: this is a parameter of the operation itself",
			params->rows[i].name);
		return -EINVAL;
	}
	if (name.len == 0 || name.len > JSON_KEY_LIMIT || params->n == PARAMS_MAX) {
		(void)snprintf(ret_why, SETTING_WHY_SIZE, "%s",
			params->n == PARAMS_MAX ? "too many different $args"
						: "$args. needs a name");
		return -EINVAL;
	}
	struct param *row = &params->rows[params->n];
	*row = (struct param){.name = strndup(name.data, name.len),
		.type = PARAM_ANY,
		.flags = PARAM_REQUIRED,
		.offset = PARAM_NO_FIELD,
		.text = "a value that the operation is made with"};
	if (!row->name)
		return -ENOMEM;
	params->n++;
	return 0;
}

static int add_names(struct mongo_params *params, const json_t *json, char *ret_why)
{
	struct view name = bson_template_name(json);
	const char *key;
	json_t *value;
	size_t i;
	int r = name.data ? add_name(params, name, ret_why) : 0;

	json_array_foreach (json, i, value) {
		if (r == 0)
			r = add_names(params, value, ret_why);
	}
	json_object_foreach ((json_t *)json, key, value) {
		if (r == 0)
			r = add_names(params, value, ret_why);
	}
	return r;
}

int mongo_part_params(struct mongo_params *params, const struct param *own, size_t n_own,
	json_t *const parts[MONGO_PARTS], char ret_why[SETTING_WHY_SIZE])
{
	int r = 0;

	*params = (struct mongo_params){.rows = calloc(PARAMS_MAX, sizeof(*params->rows))};
	if (!params->rows)
		return -ENOMEM;
	for (size_t i = 0; i < n_own; i++) {
		if (!is_replaced(own[i].name, parts))
			params->rows[params->n++] = own[i];
	}
	params->n_own = params->n;
	for (size_t i = 0; r == 0 && i < MONGO_PARTS; i++) {
		if (parts[i])
			r = add_names(params, parts[i], ret_why);
	}
	return r;
}

void mongo_part_params_done(struct mongo_params *params)
{
	for (size_t i = params->n_own; i < params->n; i++)
		free((char *)params->rows[i].name);
	free(params->rows);
	*params = (struct mongo_params){NULL, 0, 0};
}
