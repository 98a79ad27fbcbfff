/*
 * json: the one door through which JSON text enters the program, and the way out for trees. Not
 * for replies on the hot path: those are written as text (msg_write_reply_text(),
 * buf_append_json_string()). Called by msg.c, api/, host/ and client/. Invariants: a tree that
 * left this room is at most JSON_DEPTH_LIMIT deep, so that walking and freeing it recursively
 * is safe; its strings are UTF-8 without NUL.
 */
#include "wire/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "wire/jsonread.h"

#define SHOWN_KEY_MAX 48 /* bytes of a key in a reason */

/* Where the closing quote of the string is whose first byte is at `from`; text.len or more: it has none. */
static size_t end_of_string(struct view text, size_t from)
{
	size_t i = from;

	while (i < text.len && text.data[i] != '"')
		i += text.data[i] == '\\' ? 2 : 1;
	return i;
}

/*
 * Byte (from 1) of the first bracket that is too deep or value that is one too many, or 0. Runs before
 * the reader, which recurses and takes some 200 bytes for a value of three: a message of brackets
 * must cost neither stack nor memory. Commas and opening brackets stand for values. On text that is no
 * JSON it may see more than there is, never less.
 */
static size_t find_too_much(struct view text, size_t max_values, const char **ret_what)
{
	size_t depth = 0, values = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		if (c == '"') {
			i = end_of_string(text, i + 1);
		} else if (c == '[' || c == '{') {
			values++;
			if (++depth > JSON_DEPTH_LIMIT) {
				*ret_what = "levels deep";
				return i + 1;
			}
		} else if (c == ',') {
			values++;
		} else if ((c == ']' || c == '}') && depth > 0) {
			depth--;
		}
		if (values > max_values) {
			*ret_what = "values";
			return i + 1;
		}
	}
	return 0;
}

/* What the reader does not look at. `key`: of the member that json is or is inside of, or NULL. */
static int check_value(json_t *json, const char *key, char *ret_why)
{
	const char *name;
	json_t *value;
	size_t i;
	int r = 0;

	if (json_is_integer(json)) {
		json_int_t n = json_integer_value(json);
		if (n >= -JSON_INT_LIMIT && n <= JSON_INT_LIMIT)
			return 0;
		(void)snprintf(ret_why, JSON_WHY_SIZE,
			"integer outside of +-%" PRId64 " in member '%.*s'", JSON_INT_LIMIT,
			SHOWN_KEY_MAX, key ? key : "");
		return -EBADMSG;
	}
	json_array_foreach (json, i, value) {
		r = check_value(value, key, ret_why);
		if (r < 0)
			return r;
	}
	json_object_foreach (json, name, value) {
		if (strlen(name) > JSON_KEY_LIMIT) {
			(void)snprintf(ret_why, JSON_WHY_SIZE,
				"key of more than %d bytes: '%.*s...'", JSON_KEY_LIMIT,
				SHOWN_KEY_MAX, name);
			return -EBADMSG;
		}
		r = check_value(value, name, ret_why);
		if (r < 0)
			return r;
	}
	return r;
}

int json_parse_bounded(struct view text, size_t max_values, json_t **ret_json, char *ret_why)
{
	auto_json json_t *json = NULL;
	const char *what;

	size_t too_much = find_too_much(text, max_values, &what);
	if (too_much > 0) {
		(void)snprintf(ret_why, JSON_WHY_SIZE, "byte %zu: more than %zu %s", too_much,
			what[0] == 'l' ? (size_t)JSON_DEPTH_LIMIT : max_values, what);
		return -EBADMSG;
	}
	int r = jsonread_text(text, &json, ret_why);
	if (r == 0)
		r = check_value(json, NULL, ret_why);
	if (r == -EBADMSG)
		str_make_safe(ret_why);
	if (r < 0)
		return r;
	*ret_json = take(json);
	return 0;
}

int json_parse(struct view text, json_t **ret_json, char *ret_why)
{
	return json_parse_bounded(text, SIZE_MAX, ret_json, ret_why);
}

static int write_value(const json_t *json, struct buf *out);

static int write_object(const json_t *json, struct buf *out)
{
	const char *name, *before = "{";
	json_t *value;
	int r = 0;

	json_object_foreach ((json_t *)json, name, value) {
		r = buf_append(out, before, 1);
		if (r == 0)
			r = buf_append_json_string(out, name, strlen(name));
		if (r == 0)
			r = buf_append(out, ":", 1);
		if (r == 0)
			r = write_value(value, out);
		if (r < 0)
			return r;
		before = ",";
	}
	return before[0] == '{' ? buf_append(out, "{}", 2) : buf_append(out, "}", 1);
}

static int write_array(const json_t *json, struct buf *out)
{
	const char *before = "[";
	json_t *value;
	size_t i;
	int r = 0;

	json_array_foreach (json, i, value) {
		r = buf_append(out, before, 1);
		if (r == 0)
			r = write_value(value, out);
		if (r < 0)
			return r;
		before = ",";
	}
	return before[0] == '[' ? buf_append(out, "[]", 2) : buf_append(out, "]", 1);
}

static int write_string(const json_t *json, struct buf *out)
{
	return buf_append_json_string(out, json_string_value(json), json_string_length(json));
}

static int write_integer(const json_t *json, struct buf *out)
{
	return buf_append_i64(out, json_integer_value(json));
}

/* The shortest text that reads back the same is jansson's business. */
static int write_real(const json_t *json, struct buf *out)
{
	char text[64];
	size_t len = json_dumpb(json, text, sizeof(text), JSON_ENCODE_ANY);

	return len > 0 && len <= sizeof(text) ? buf_append(out, text, len) : -ENOMEM;
}

static int write_true(const json_t *json, struct buf *out)
{
	(void)json;
	return buf_append(out, "true", 4);
}

static int write_false(const json_t *json, struct buf *out)
{
	(void)json;
	return buf_append(out, "false", 5);
}

static int write_null(const json_t *json, struct buf *out)
{
	(void)json;
	return buf_append(out, "null", 4);
}

static int (*const writers[])(const json_t *, struct buf *) = {
	[JSON_OBJECT] = write_object,
	[JSON_ARRAY] = write_array,
	[JSON_STRING] = write_string,
	[JSON_INTEGER] = write_integer,
	[JSON_REAL] = write_real,
	[JSON_TRUE] = write_true,
	[JSON_FALSE] = write_false,
	[JSON_NULL] = write_null,
};

static int write_value(const json_t *json, struct buf *out)
{
	return writers[json_typeof(json)](json, out);
}

/* By a walk of our own: jansson's took a quarter of what a post costs. fuzz_json compares what both write. */
int json_write(const json_t *json, struct buf *out)
{
	size_t before = buf_len(out);
	int r = write_value(json, out);

	if (r < 0)
		buf_truncate(out, before);
	return r;
}
