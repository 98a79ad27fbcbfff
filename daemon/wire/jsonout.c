/*
 * jsonout: see jsonout.h. Pure. A comma is due unless the byte before opened something, so nothing has to be remembered.
 */
#include "wire/jsonout.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "wire/json.h"
#include "wire/scan.h"

/* The comma that is due, the key and room for a value of `len` bytes, which begins where is returned and is committed by end().
 * NULL: something failed, now or before. */
static char *begin(struct jsonout *json, const char *key, size_t len)
{
	size_t key_len = key != NULL ? strlen(key) : 0, room;
	struct view before;
	char *to;

	if (json->error == 0)
		json->error = buf_reserve(json->out, key_len + strlen(",\"\":") + len, &to, &room);
	if (json->error != 0)
		return NULL;
	before = buf_view(json->out);
	if (before.len > 0 && to[-1] != '{' && to[-1] != '[' && to[-1] != ':')
		*to++ = ',';
	if (key == NULL)
		return to;
	*to++ = '"';
	to = mempcpy(to, key, key_len);
	*to++ = '"';
	*to++ = ':';
	return to;
}

/* Up to here it has been written. */
static void end(struct jsonout *json, const char *to)
{
	const struct view before = buf_view(json->out);

	buf_commit(json->out, (size_t)(to - (before.data + before.len)));
}

static void put(struct jsonout *json, const char *key, const char *text, size_t len)
{
	char *to = begin(json, key, len);

	if (to != NULL)
		end(json, mempcpy(to, text, len));
}

static void put_key(struct jsonout *json, const char *key)
{
	put(json, key, "", 0);
}

static void put_string(struct jsonout *json, struct view text)
{
	if (json->error == 0)
		json->error = buf_append_json_string(json->out, text.data, text.len);
}

void jsonout_open(struct jsonout *json, const char *key, char brace)
{
	put(json, key, &brace, 1);
}

void jsonout_close(struct jsonout *json, char brace)
{
	if (json->error == 0)
		json->error = buf_append(json->out, &brace, 1);
}

void jsonout_string(struct jsonout *json, const char *key, const char *text)
{
	put_key(json, key);
	put_string(json, view_of(text));
}

void jsonout_int(struct jsonout *json, const char *key, int64_t value)
{
	char *to = begin(json, key, 1 + STR_U64_SIZE);

	if (to == NULL)
		return;
	if (value < 0)
		*to++ = '-';
	/* In unsigned arithmetic: -2^63 has no positive twin. */
	end(json, to + str_from_u64(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, to));
}

void jsonout_bool(struct jsonout *json, const char *key, bool value)
{
	put(json, key, value ? "true" : "false", value ? 4 : 5);
}

void jsonout_seconds(struct jsonout *json, const char *key, uint64_t value_us)
{
	char *to = begin(json, key, STR_U64_SIZE + strlen(".000000"));
	uint64_t rest = value_us % US_PER_SEC;

	if (to == NULL)
		return;
	to += str_from_u64(value_us / US_PER_SEC, to);
	*to = '.';
	for (size_t i = 6; i > 0; i--, rest /= 10)
		to[i] = (char)('0' + rest % 10);
	end(json, to + 7);
}

void jsonout_tree(struct jsonout *json, const char *key, const json_t *value)
{
	put_key(json, key);
	if (json->error == 0)
		json->error = json_write(value, json->out);
}

void jsonout_raw(struct jsonout *json, const char *key, struct view text)
{
	put(json, key, text.data, text.len);
}

void jsonout_text(struct jsonout *json, const char *key, struct view text)
{
	char why[JSON_WHY_SIZE];
	json_t *tree = NULL;
	int r;

	put_key(json, key);
	if (json->error != 0 || scan_value(text, json->out) == 0)
		return;
	r = json_parse(text, &tree, why);
	if (r == 0)
		json->error = json_write(tree, json->out);
	else if (r == -ENOMEM)
		json->error = r;
	else
		put_string(json, text);
	json_decref(tree);
}
