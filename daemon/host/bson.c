/*
 * bson: see bson.h. Called by h_mongodb.c. Never bson_new_from_json(): it keeps duplicate keys, mangles large numbers and
 * turns {"$oid":…}, {"$code":…} into types.
 * Invariant: every bson_append_* is checked, so a document that is given out is whole.
 */
#include "host/bson.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "wire/json.h"

#define SHOWN_KEY_MAX 64
#define DIGITS_MAX    24

struct walk {
	enum bson_keys keys;       /* of what is walked now */
	enum bson_keys value_keys; /* of values that are put in */
	const json_t *args; /* borrows: where these come from; NULL: nothing is put in here */
	unsigned depth;
	char *why; /* borrows: BSON_WHY_SIZE bytes */
};

/* They run code in the server, or write where a handler only reads. */
static const char *const never[] = {"$where", "$function", "$accumulator", "$out", "$merge"};

static int refuse(const struct walk *walk, const char *key, const char *what)
{
	(void)snprintf(walk->why, BSON_WHY_SIZE, "the key \"%.*s\" %s", SHOWN_KEY_MAX, key, what);
	str_make_safe(walk->why);
	return -EINVAL;
}

static int check_key(const struct walk *walk, const char *key)
{
	if (*key == '\0')
		return refuse(walk, key, "is empty");
	for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
		if (strcmp(key, never[i]) == 0)
			return refuse(walk, key, "is never allowed");
	}
	if (walk->keys == BSON_PLAIN && *key == '$')
		return refuse(walk, key, "begins with $");
	if (walk->keys == BSON_PLAIN && strchr(key, '.'))
		return refuse(walk, key, "holds a dot");
	return 0;
}

static int fill(struct walk *walk, const json_t *json, bson_t *bson);

/* A child that was begun is always ended: only so the parent can be destroyed. */
static int append_object(
	struct walk *walk, bson_t *bson, const char *key, int len, const json_t *json)
{
	bson_t child;

	if (!mongolib.bson_append_document_begin(bson, key, len, &child))
		return -E2BIG;
	int r = fill(walk, json, &child);
	return mongolib.bson_append_document_end(bson, &child) ? r : -E2BIG;
}

static int append_array(
	struct walk *walk, bson_t *bson, const char *key, int len, const json_t *json)
{
	bson_t child;

	if (!mongolib.bson_append_array_begin(bson, key, len, &child))
		return -E2BIG;
	int r = fill(walk, json, &child);
	return mongolib.bson_append_array_end(bson, &child) ? r : -E2BIG;
}

static int append_integer(
	struct walk *walk, bson_t *bson, const char *key, int len, const json_t *json)
{
	json_int_t value = json_integer_value(json);

	(void)walk;
	if (value >= INT32_MIN && value <= INT32_MAX)
		return mongolib.bson_append_int32(bson, key, len, (int32_t)value) ? 0 : -E2BIG;
	return mongolib.bson_append_int64(bson, key, len, value) ? 0 : -E2BIG;
}

static int append_real(
	struct walk *walk, bson_t *bson, const char *key, int len, const json_t *json)
{
	(void)walk;
	return mongolib.bson_append_double(bson, key, len, json_real_value(json)) ? 0 : -E2BIG;
}

static int append_string(
	struct walk *walk, bson_t *bson, const char *key, int len, const json_t *json)
{
	size_t bytes = json_string_length(json);

	(void)walk;
	if (bytes > INT32_MAX / 2)
		return -E2BIG;
	return mongolib.bson_append_utf8(bson, key, len, json_string_value(json), (int)bytes)
		       ? 0
		       : -E2BIG;
}

static int append_bool(
	struct walk *walk, bson_t *bson, const char *key, int len, const json_t *json)
{
	(void)walk;
	return mongolib.bson_append_bool(bson, key, len, json_is_true(json)) ? 0 : -E2BIG;
}

static int append_null(
	struct walk *walk, bson_t *bson, const char *key, int len, const json_t *json)
{
	(void)walk;
	(void)json;
	return mongolib.bson_append_null(bson, key, len) ? 0 : -E2BIG;
}

static int (*const appenders[])(struct walk *, bson_t *, const char *, int, const json_t *) = {
	[JSON_OBJECT] = append_object,
	[JSON_ARRAY] = append_array,
	[JSON_STRING] = append_string,
	[JSON_INTEGER] = append_integer,
	[JSON_REAL] = append_real,
	[JSON_TRUE] = append_bool,
	[JSON_FALSE] = append_bool,
	[JSON_NULL] = append_null,
};

struct view bson_template_name(const json_t *string)
{
	static const char mark[] = "$args.";
	const char *text = json_is_string(string) ? json_string_value(string) : "";

	if (strncmp(text, mark, sizeof(mark) - 1) != 0)
		return (struct view){NULL, 0};
	text += sizeof(mark) - 1;
	return (struct view){text, strcspn(text, ".")};
}

/* The value that the string stands for; NULL: args has none. */
static const json_t *find_value(const json_t *args, const json_t *string)
{
	const char *at = bson_template_name(string).data;
	char name[JSON_KEY_LIMIT + 1];

	while (args && at) {
		size_t len = strcspn(at, ".");
		if (len > JSON_KEY_LIMIT)
			return NULL;
		memcpy(name, at, len);
		name[len] = '\0';
		args = json_object_get(args, name);
		at = at[len] == '.' ? at + len + 1 : NULL;
	}
	return args;
}

static int append(struct walk *walk, bson_t *bson, const char *key, const json_t *json)
{
	if (walk->args && bson_template_name(json).data) {
		struct walk value_walk = {
			.keys = walk->value_keys, .depth = walk->depth, .why = walk->why};
		const json_t *value = find_value(walk->args, json);

		if (value)
			return append(&value_walk, bson, key, value);
		(void)snprintf(walk->why, BSON_WHY_SIZE, "there is no \"%.*s\"", SHOWN_KEY_MAX,
			json_string_value(json) + 1);
		str_make_safe(walk->why);
		return -ENOENT;
	}
	return appenders[json_typeof(json)](walk, bson, key, (int)strlen(key), json);
}

static int fill_object(struct walk *walk, const json_t *json, bson_t *bson)
{
	/* jansson's iterators take no const, but change nothing. */
	json_t *object = (json_t *)json;

	for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
		const char *key = json_object_iter_key(at);
		int r = check_key(walk, key);
		if (r == 0)
			r = append(walk, bson, key, json_object_iter_value(at));
		if (r < 0)
			return r;
	}
	return 0;
}

static int fill_array(struct walk *walk, const json_t *json, bson_t *bson)
{
	for (size_t i = 0; i < json_array_size(json); i++) {
		char key[DIGITS_MAX];
		(void)snprintf(key, sizeof(key), "%zu", i);
		int r = append(walk, bson, key, json_array_get(json, i));
		if (r < 0)
			return r;
	}
	return 0;
}

static int fill(struct walk *walk, const json_t *json, bson_t *bson)
{
	if (walk->depth > JSON_DEPTH_LIMIT)
		return -E2BIG;
	walk->depth++;
	int r = json_is_array(json) ? fill_array(walk, json, bson) : fill_object(walk, json, bson);
	walk->depth--;
	return r;
}

int bson_from_json(
	const json_t *json, enum bson_keys keys, bson_t *ret_bson, char ret_why[BSON_WHY_SIZE])
{
	struct walk walk = {.keys = keys, .why = ret_why};

	if (!json)
		return 0;
	(void)snprintf(ret_why, BSON_WHY_SIZE, "too large");
	return fill(&walk, json, ret_bson);
}

int bson_from_template(const json_t *template, const json_t *args, enum bson_keys keys,
	bson_t *ret_bson, char ret_why[BSON_WHY_SIZE])
{
	auto_json json_t *none = args ? NULL : json_object();
	struct walk walk = {.keys = BSON_OPERATORS,
		.value_keys = keys,
		.args = args ? args : none,
		.why = ret_why};

	if (!walk.args)
		return -E2BIG;
	(void)snprintf(ret_why, BSON_WHY_SIZE, "too large");
	return fill(&walk, template, ret_bson);
}
