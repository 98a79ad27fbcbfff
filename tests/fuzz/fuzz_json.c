/*
 * fuzz_json: what was taken is within the limits, and equal after writing and reading again;
 * what was refused has a reason; any bytes as a JSON string can be read again. Our reader takes
 * what jansson's takes, and makes the same of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "wire/json.h"
#include "wire/jsonread.h"

#define BUF_LIMIT (1 << 24)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

static void check_limits(json_t *json, size_t depth)
{
	const char *name;
	json_t *value;
	size_t i;

	if (json_is_array(json) || json_is_object(json))
		must(++depth <= JSON_DEPTH_LIMIT);
	if (json_is_integer(json))
		must(llabs(json_integer_value(json)) <= JSON_INT_LIMIT);
	if (json_is_string(json)) {
		struct view text = {json_string_value(json), json_string_length(json)};
		must(strlen(text.data) == text.len && str_is_utf8(text));
	}
	json_array_foreach (json, i, value)
		check_limits(value, depth);
	json_object_foreach (json, name, value) {
		must(strlen(name) <= JSON_KEY_LIMIT && str_is_utf8(view_of(name)));
		check_limits(value, depth);
	}
}

static void check_written(const json_t *json)
{
	char why[JSON_WHY_SIZE];
	auto_json json_t *again = NULL;
	struct buf out;

	buf_init(&out, BUF_LIMIT);
	must(json_write(json, &out) == 0);
	must(json_parse(buf_view(&out), &again, why) == 0);
	must(json_equal(json, again));
	/* jansson writes other escapes, and else the same. */
	char *theirs = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
	if (theirs && !strchr(theirs, '\\'))
		must(view_is_equal(buf_view(&out), view_of(theirs)));
	free(theirs);
	buf_done(&out);
}

/* Bytes as they are, into a string and back: the same, where they were UTF-8 without NUL. */
static void check_string(struct view bytes)
{
	char why[JSON_WHY_SIZE];
	auto_json json_t *json = NULL;
	struct buf out;

	buf_init(&out, BUF_LIMIT);
	must(buf_append_json_string(&out, bytes.data, bytes.len) == 0);
	must(json_parse(buf_view(&out), &json, why) == 0);
	must(json_is_string(json));
	struct view got = {json_string_value(json), json_string_length(json)};
	if (str_is_utf8(bytes) && !memchr(bytes.data, 0, bytes.len))
		must(view_is_equal(got, bytes));
	buf_done(&out);
}

/* Of texts that are not too deep for ours, and without NUL, which theirs takes behind a number or a word. */
static void check_same(struct view text)
{
	auto_json json_t *theirs = json_loadb(text.data ? text.data : "", text.len,
		JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	char why[JSON_WHY_SIZE];
	auto_json json_t *ours = NULL;
	size_t depth = 0;

	for (size_t i = 0; i < text.len; i++)
		depth += text.data[i] == '[' || text.data[i] == '{';
	if (depth > 1000 || (text.len > 0 && memchr(text.data, '\0', text.len)))
		return;
	must((jsonread_text(text, &ours, why) == 0) == (theirs != NULL));
	must(!theirs || json_equal(ours, theirs));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view text = {(const char *)data, size};
	char why[JSON_WHY_SIZE] = "";
	auto_json json_t *json = NULL;

	int r = json_parse(text, &json, why);
	must(r == 0 || r == -EBADMSG);
	if (r == 0) {
		must(why[0] == '\0');
		check_limits(json, 0);
		check_written(json);
	} else {
		must(!json && why[0] != '\0');
		must(strnlen(why, sizeof(why)) < sizeof(why) && str_is_utf8(view_of(why)));
	}
	if (size > 0)
		check_string(text);
	check_same(text);
	return 0;
}
