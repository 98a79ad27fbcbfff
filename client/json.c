/*
 * json: text to tree and back. Called by all of client/ that looks into JSON.
 */
#include "client/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* "\u0000 is not allowed without JSON_ALLOW_NUL near …": whoever wrote the text cannot give flags to our library. */
static void drop_constant(char *text)
{
	static const char constant[] = " without JSON_ALLOW_NUL";
	char *at = strstr(text, constant);

	if (at)
		memmove(at, at + strlen(constant), strlen(at + strlen(constant)) + 1);
}

int json_parse(struct view text, json_t **ret_json, char *ret_why)
{
	json_error_t error;

	/* jansson wants a pointer also for nothing. */
	json_t *json = json_loadb(text.data ? text.data : "", text.len,
		JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (json) {
		*ret_json = json;
		return 0;
	}
	/* It says what is wrong with a text; for missing memory it mostly has no words. */
	if (error.text[0] == '\0' || json_error_code(&error) == json_error_out_of_memory)
		return -ENOMEM;
	drop_constant(error.text);
	(void)snprintf(ret_why, JSON_WHY_SIZE, "byte %d: %s",
		error.position > 0 ? error.position : 0, error.text);
	str_make_safe(ret_why);
	return -EBADMSG;
}

int json_write(const json_t *json, struct buf *out)
{
	auto_free char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);

	return text ? buf_append(out, text, strlen(text)) : -ENOMEM;
}
