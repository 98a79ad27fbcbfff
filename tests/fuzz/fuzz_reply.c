/*
 * fuzz_reply: libworkpool's scanner takes for JSON what jansson does, but for numbers that are too large and text that is too deep; and
 * finds the same members with the same strings in it. Any message is a reply or none.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/reply.h"
#include "client/lib/walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

/* `string` with its quotes; NULL: `json` is none. */
static void compare_string(struct view string, const char *text)
{
	char *to = malloc(string.len);

	must(text && to);
	size_t len = walk_unescape(string, to);
	must(len < string.len && len == strlen(text) && memcmp(to, text, len) == 0);
	free(to);
}

static void compare_members(struct view object, const json_t *json)
{
	struct walk walk = walk_of(object);
	struct view key, value;
	const char *name;
	json_t *member;
	void *at = json_object_iter((json_t *)(uintptr_t)json);

	/* jansson keeps the order in which they came. */
	must(walk_begin(&walk, '{'));
	while (walk_member(&walk, &key, &value) > 0) {
		must(at != NULL);
		name = json_object_iter_key(at);
		member = json_object_iter_value(at);
		compare_string((struct view){key.data - 1, key.len + 2}, name);
		must(json_is_string(member) == (value.data[0] == '"'));
		if (json_is_string(member))
			compare_string(value, json_string_value(member));
		at = json_object_iter_next((json_t *)(uintptr_t)json, at);
	}
	must(at == NULL && walk_is_at_end(&walk));
}

static void look_at_reply(struct view message)
{
	struct workpool_reply *reply;

	if (reply_new(message, &reply) != 0)
		return;
	must(workpool_reply_params(reply)[0] == '{');
	must((workpool_reply_error(reply) != NULL) == (workpool_reply_code(reply) != 0));
	(void)workpool_reply_text(reply, "a.0.b");
	(void)workpool_reply_text(reply, "a");
	(void)workpool_reply_int(reply, "a", 0);
	workpool_reply_free(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view text = {(const char *)data, size};
	struct walk walk = walk_of(text);
	struct view value;
	json_error_t error;

	if (size == 0 || size > 4096)
		return 0;
	bool is_json = walk_value(&walk, &value) && walk_is_at_end(&walk);
	look_at_reply(text);
	/* jansson takes a NUL for the end. */
	if (memchr(data, '\0', size)) {
		must(!is_json);
		return 0;
	}
	json_t *json =
		json_loadb(text.data, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
	if (json) {
		must(is_json || json_is_array(json) || json_is_object(json)); /* too deep */
		if (is_json && json_is_object(json))
			compare_members(value, json);
	} else if (is_json) {
		enum json_error_code code = json_error_code(&error);
		must(code == json_error_numeric_overflow || code == json_error_duplicate_key);
	}
	json_decref(json);
	return 0;
}
