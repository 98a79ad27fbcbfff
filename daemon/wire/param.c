/*
 * param: checks parameters by a table, so that no method and no handler has code for it. Not
 * for rules between parameters (the method's own business) and not for configuration keys
 * (config/keys.c). Called by api/method.c with the daemon's own tables, by api/hdef.c with
 * tables that hosts sent, by host/. Invariant: a reason is a phrase behind "name: ", valid
 * UTF-8, without a full stop.
 */
#include "wire/param.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define STRING_BYTES_DEFAULT 256
#define STRINGS_DEFAULT      256

/* What max 0 stands for: a row that says nothing still has a limit. */
int64_t param_string_max(const struct param *param)
{
	return param->max > 0 ? param->max : STRING_BYTES_DEFAULT;
}

static int64_t strings_max(const struct param *param)
{
	return param->max > 0 ? param->max : STRINGS_DEFAULT;
}

/* Whether `word` is one of the words, which are parted by single blanks. */
static bool is_one_of(const char *words, const char *word)
{
	size_t len = strlen(word);

	/* "drain finish" is two of the words, not one; the empty word is none. */
	if (len == 0 || strchr(word, ' '))
		return false;
	for (const char *at = words; at && *at; at += strspn(at, " ")) {
		size_t n = strcspn(at, " ");
		if (n == len && memcmp(at, word, n) == 0)
			return true;
		at += n;
	}
	return false;
}

/* How long each string may be is up to the method; the message limit holds for all. */
static bool is_strings(const json_t *json, int64_t max)
{
	json_t *one;
	size_t i;

	if (!json_is_array(json) || json_array_size(json) > (uint64_t)max)
		return false;
	json_array_foreach (json, i, one) {
		if (!json_is_string(one))
			return false;
	}
	return true;
}

/* A value that is given: not null. */
static bool is_right(const struct param *param, const json_t *json)
{
	switch (param->type) {
	case PARAM_BOOL:
		return json_is_boolean(json);
	case PARAM_INT:
		/* 5.0 is a real: clients that mean an integer write one. */
		return json_is_integer(json) && json_integer_value(json) >= param->min &&
		       json_integer_value(json) <= param->max;
	case PARAM_STRING:
		return json_is_string(json) && (int64_t)json_string_length(json) >= param->min &&
		       (int64_t)json_string_length(json) <= param_string_max(param);
	case PARAM_STRINGS:
		return is_strings(json, strings_max(param));
	case PARAM_OBJECT:
	case PARAM_JSON:
		return json_is_object(json);
	case PARAM_ANY:
		return true;
	case PARAM_ENUM:
		return json_is_string(json) && is_one_of(param->words, json_string_value(json));
	}
	/* A table from a host may hold any number. */
	return false;
}

/* "one of drain, finish, now" */
/* The words of a host may be longer than the reason: cut, not refused. */
static void explain_words(const char *words, char ret_why[PARAM_WHY_SIZE])
{
	static const char start[] = "one of ";
	size_t len = sizeof(start) - 1;

	memcpy(ret_why, start, len);
	for (const char *at = words ? words : ""; *at && len < PARAM_WHY_SIZE - 3; at++) {
		if (*at == ' ')
			ret_why[len++] = ',';
		ret_why[len++] = *at;
	}
	ret_why[len] = '\0';
}

/* What would have been right, as a phrase: a user reads it, a program reads the name. */
static void explain(const struct param *param, char ret_why[PARAM_WHY_SIZE])
{
	switch (param->type) {
	case PARAM_BOOL:
		(void)snprintf(ret_why, PARAM_WHY_SIZE, "true or false");
		break;
	case PARAM_INT:
		(void)snprintf(ret_why, PARAM_WHY_SIZE, "a number from %" PRId64 " to %" PRId64,
			param->min, param->max);
		break;
	case PARAM_STRING:
		if (param->min > 0)
			(void)snprintf(ret_why, PARAM_WHY_SIZE,
				"a string of %" PRId64 " to %" PRId64 " bytes", param->min,
				param_string_max(param));
		else
			(void)snprintf(ret_why, PARAM_WHY_SIZE,
				"a string of at most %" PRId64 " bytes", param_string_max(param));
		break;
	case PARAM_STRINGS:
		(void)snprintf(ret_why, PARAM_WHY_SIZE, "an array of at most %" PRId64 " strings",
			strings_max(param));
		break;
	case PARAM_OBJECT:
	case PARAM_JSON:
		(void)snprintf(ret_why, PARAM_WHY_SIZE, "an object");
		break;
	case PARAM_ENUM:
		explain_words(param->words, ret_why);
		break;
	case PARAM_ANY:
	default:
		/* Any value is right for PARAM_ANY, so this is a type of tomorrow. */
		(void)snprintf(ret_why, PARAM_WHY_SIZE, "of a type that is not known here");
		break;
	}
	/* Words of a host's table may be cut inside a character, or be none at all. */
	str_make_safe(ret_why);
}

/* memcpy: a table's offset needs no alignment. */
static void store(const struct param *param, json_t *json, char *field)
{
	switch (param->type) {
	case PARAM_BOOL:
		memcpy(field, &(bool){json_is_true(json)}, sizeof(bool));
		break;
	case PARAM_INT:
		memcpy(field, &(int64_t){json_integer_value(json)}, sizeof(int64_t));
		break;
	case PARAM_STRING:
	case PARAM_ENUM:
		memcpy(field, &(const char *){json_string_value(json)}, sizeof(const char *));
		break;
	case PARAM_STRINGS:
	case PARAM_OBJECT:
	case PARAM_ANY:
		memcpy(field, &json, sizeof(json));
		break;
	case PARAM_JSON:
		memcpy(field, &(struct param_json){.tree = json}, sizeof(struct param_json));
		break;
	}
}

/* Tables have a dozen rows: no index is cheaper. As bytes: "Flag" is not "flag". */
static const struct param *find_row(const struct param *table, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

/* In the order of the object, which is the order in which the user wrote it. */
static int check_given(json_t *object, const struct param *table, size_t n, char *values,
	const char **ret_param, char ret_why[PARAM_WHY_SIZE])
{
	const char *name;
	json_t *value;

	json_object_foreach (object, name, value) {
		const struct param *param = find_row(table, n, name);
		if (!param) {
			/* The client's own word: whoever tells it on must quote it. */
			*ret_param = name;
			(void)snprintf(ret_why, PARAM_WHY_SIZE, "unknown");
			return -EINVAL;
		}
		if (json_is_null(value))
			continue;
		if (!is_right(param, value)) {
			*ret_param = param->name;
			explain(param, ret_why);
			return -EINVAL;
		}
		/* Check only, for a handler's args: the host gets the JSON. */
		if (values && param->offset != PARAM_NO_FIELD)
			store(param, value, values + param->offset);
	}
	return 0;
}

int param_read(const json_t *object, const struct param *table, size_t n, void *ret_values,
	const char **ret_param, char ret_why[PARAM_WHY_SIZE])
{
	assert(!object || json_is_object(object));
	/*
	 * Unknown names first: a misspelt one says more than "required". jansson's loop wants
	 * no const.
	 */
	int r = check_given((json_t *)object, table, n, ret_values, ret_param, ret_why);
	if (r < 0)
		return r;
	/* null is as good as not given: required means a value. */
	for (size_t i = 0; i < n; i++) {
		if (!(table[i].flags & PARAM_REQUIRED))
			continue;
		const json_t *value = json_object_get(object, table[i].name);
		if (!value || json_is_null(value)) {
			*ret_param = table[i].name;
			(void)snprintf(ret_why, PARAM_WHY_SIZE, "required");
			return -EINVAL;
		}
	}
	return 0;
}

const char *param_type_name(enum param_type type)
{
	static const char *const names[] = {
		[PARAM_BOOL] = "bool",
		[PARAM_INT] = "int",
		[PARAM_STRING] = "string",
		[PARAM_STRINGS] = "[]string",
		[PARAM_OBJECT] = "object",
		[PARAM_ANY] = "object", /* Varlink's word for whatever it is */
		[PARAM_ENUM] = "string",
		[PARAM_JSON] = "object",
	};

	/* From a host it may be any number. */
	return (unsigned)type < ARRAY_SIZE(names) ? names[type] : "object";
}
