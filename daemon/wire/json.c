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

#define SHOWN_KEY_MAX 48 /* bytes of a key in a reason */

/*
 * Byte (from 1) of the first bracket that is too deep or value that is one too many, or 0. Runs before
 * jansson, which recurses 2048 deep and takes some 200 bytes for a value of three: a message of brackets
 * must cost neither stack nor memory. Commas and opening brackets stand for values. On text that is no
 * JSON it may see more than there is, never less.
 */
static size_t find_too_much(struct view text, size_t max_values, const char **ret_what)
{
	bool is_in_string = false;
	size_t depth = 0, values = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		if (is_in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				is_in_string = false;
		} else if (c == '"') {
			is_in_string = true;
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

/* What jansson does not look at. `key`: of the member that json is or is inside of, or NULL. */
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
	json_error_t error;
	const char *what;

	size_t too_much = find_too_much(text, max_values, &what);
	if (too_much > 0) {
		(void)snprintf(ret_why, JSON_WHY_SIZE, "byte %zu: more than %zu %s", too_much,
			what[0] == 'l' ? (size_t)JSON_DEPTH_LIMIT : max_values, what);
		return -EBADMSG;
	}
	/* jansson wants a pointer also for nothing. */
	auto_json json_t *json = json_loadb(text.data ? text.data : "", text.len,
		JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!json) {
		/* It says what is wrong with a text; for missing memory it mostly has no words. */
		if (error.text[0] == '\0' || json_error_code(&error) == json_error_out_of_memory)
			return -ENOMEM;
		(void)snprintf(ret_why, JSON_WHY_SIZE, "byte %d: %s",
			error.position > 0 ? error.position : 0, error.text);
		str_make_safe(ret_why);
		return -EBADMSG;
	}
	int r = check_value(json, NULL, ret_why);
	if (r < 0) {
		str_make_safe(ret_why);
		return r;
	}
	*ret_json = take(json);
	return 0;
}

int json_parse(struct view text, json_t **ret_json, char *ret_why)
{
	return json_parse_bounded(text, SIZE_MAX, ret_json, ret_why);
}

/* json_dump_callback() hands pieces on; an error has to be remembered, it says only -1. */
struct dump {
	struct buf *out; /* borrows: lives as long as the call */
	int error;
};

static int append_piece(const char *data, size_t len, void *arg)
{
	struct dump *dump = arg;

	dump->error = buf_append(dump->out, data, len);
	return dump->error < 0 ? -1 : 0;
}

int json_write(const json_t *json, struct buf *out)
{
	struct dump dump = {.out = out};
	size_t before = buf_len(out);

	if (json_dump_callback(json, append_piece, &dump, JSON_COMPACT | JSON_ENCODE_ANY) == 0)
		return 0;
	buf_truncate(out, before);
	/* When it was not our side, then jansson had no memory for its own notes. */
	return dump.error < 0 ? dump.error : -ENOMEM;
}
