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

static void put(struct jsonout *json, const char *data, size_t len)
{
	if (json->error == 0)
		json->error = buf_append(json->out, data, len);
}

static void put_key(struct jsonout *json, const char *key)
{
	const struct view before = buf_view(json->out);
	char last = before.len > 0 ? before.data[before.len - 1] : '{';

	if (last != '{' && last != '[' && last != ':')
		put(json, ",", 1);
	if (key == NULL)
		return;
	put(json, "\"", 1);
	put(json, key, strlen(key));
	put(json, "\":", 2);
}

void jsonout_open(struct jsonout *json, const char *key, char brace)
{
	put_key(json, key);
	put(json, &brace, 1);
}

void jsonout_close(struct jsonout *json, char brace)
{
	put(json, &brace, 1);
}

static void put_string(struct jsonout *json, struct view text)
{
	if (json->error == 0)
		json->error = buf_append_json_string(json->out, text.data, text.len);
}

void jsonout_string(struct jsonout *json, const char *key, const char *text)
{
	put_key(json, key);
	put_string(json, view_of(text));
}

void jsonout_int(struct jsonout *json, const char *key, int64_t value)
{
	put_key(json, key);
	if (json->error == 0)
		json->error = buf_append_i64(json->out, value);
}

void jsonout_bool(struct jsonout *json, const char *key, bool value)
{
	put_key(json, key);
	put(json, value ? "true" : "false", value ? 4 : 5);
}

void jsonout_seconds(struct jsonout *json, const char *key, uint64_t value_us)
{
	char text[STR_U64_SIZE + 7];
	size_t len = str_from_u64(value_us / US_PER_SEC, text);
	uint64_t rest = value_us % US_PER_SEC;

	text[len] = '.';
	for (size_t i = 6; i > 0; i--, rest /= 10)
		text[len + i] = (char)('0' + rest % 10);
	put_key(json, key);
	put(json, text, len + 7);
}

void jsonout_tree(struct jsonout *json, const char *key, const json_t *value)
{
	put_key(json, key);
	if (json->error == 0)
		json->error = json_write(value, json->out);
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
