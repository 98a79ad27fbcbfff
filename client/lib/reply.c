/*
 * reply: {"error": …, "parameters": {…}, "continues": …}, and values inside of the parameters as text. Called by call.c and by
 * programs. Invariants: the parameters are one JSON object that walk.c has looked at whole; texts that were asked for live in a
 * list until the reply is freed.
 */
#include "client/lib/reply.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "client/lib/fail.h"
#include "client/lib/walk.h"

#define NUMBER_SIZE 32

struct text {
	struct text *next; /* owns */
	char chars[];
};

struct workpool_reply {
	char *message;      /* owns: with NULs behind the parameters and the error */
	struct view params; /* in: message, or a constant */
	const char *error;  /* in: message; NULL: none */
	int code;
	bool continues;
	void *data;         /* the caller's */
	struct text *texts; /* owns */
};

/* What of a message we look at. len 0: it is not there. */
struct parts {
	struct view params;
	struct view error;
	struct view continues;
};

static bool is_null(struct view value)
{
	return value.len > 0 && value.data[0] == 'n';
}

/* Members that we do not know are for others. */
static bool read_parts(struct view message, struct parts *ret_parts)
{
	struct walk walk = walk_of(message);
	struct parts parts = {0};
	struct view key, value;
	int r;

	if (!walk_begin(&walk, '{'))
		return false;
	while ((r = walk_member(&walk, &key, &value)) > 0) {
		if (is_null(value))
			continue;
		if (view_is_equal(key, VIEW_LIT("parameters")))
			parts.params = value;
		else if (view_is_equal(key, VIEW_LIT("error")))
			parts.error = value;
		else if (view_is_equal(key, VIEW_LIT("continues")))
			parts.continues = value;
	}
	if (r < 0 || !walk_is_at_end(&walk))
		return false;
	*ret_parts = parts;
	return true;
}

static bool has_right_types(const struct parts *parts)
{
	return (parts->params.len == 0 || parts->params.data[0] == '{') &&
	       (parts->error.len == 0 || parts->error.data[0] == '"') &&
	       (parts->continues.len == 0 || parts->continues.data[0] == 't' ||
		       parts->continues.data[0] == 'f');
}

static void fill(struct workpool_reply *reply, const struct parts *parts)
{
	/* The byte behind a value is a comma, a bracket or white space, and has been looked at. */
	reply->params = parts->params.len > 0 ? parts->params : VIEW_LIT("{}");
	if (parts->params.len > 0)
		reply->message[parts->params.data + parts->params.len - reply->message] = '\0';
	reply->continues = parts->continues.len > 0 && parts->continues.data[0] == 't';
	if (parts->error.len > 0) {
		char *error = reply->message + (parts->error.data - reply->message);
		(void)walk_unescape(parts->error, error); /* it grows shorter */
		reply->error = error;
		reply->code = fail_code(error);
	}
}

int reply_new(struct view message, struct workpool_reply **ret_reply)
{
	struct parts parts;
	struct workpool_reply *reply = calloc(1, sizeof(*reply));

	if (!reply)
		return WORKPOOL_NO_MEMORY;
	reply->message = mem_dup(message.data, message.len);
	if (!reply->message) {
		free(reply);
		return WORKPOOL_NO_MEMORY;
	}
	if (!read_parts((struct view){reply->message, message.len}, &parts) ||
		!has_right_types(&parts)) {
		workpool_reply_free(reply);
		return WORKPOOL_BAD_REPLY;
	}
	fill(reply, &parts);
	*ret_reply = reply;
	return 0;
}

void reply_set_data(struct workpool_reply *reply, void *data)
{
	reply->data = data;
}

void workpool_reply_free(struct workpool_reply *reply)
{
	if (!reply)
		return;
	while (reply->texts) {
		struct text *text = reply->texts;
		reply->texts = text->next;
		free(text);
	}
	free(reply->message);
	free(reply);
}

int workpool_reply_code(const struct workpool_reply *reply)
{
	return reply->code;
}

const char *workpool_reply_error(const struct workpool_reply *reply)
{
	return reply->error;
}

const char *workpool_reply_params(const struct workpool_reply *reply)
{
	return reply->params.data;
}

int workpool_reply_continues(const struct workpool_reply *reply)
{
	return reply->continues;
}

void *workpool_reply_data(const struct workpool_reply *reply)
{
	return reply->data;
}

const char *workpool_reply_text(struct workpool_reply *reply, const char *path)
{
	struct view value;

	if (!walk_find(reply->params, path, &value))
		return NULL;
	struct text *text = malloc(sizeof(*text) + value.len + 1);
	if (!text)
		return NULL;
	if (value.data[0] == '"') {
		(void)walk_unescape(value, text->chars);
	} else {
		memcpy(text->chars, value.data, value.len);
		text->chars[value.len] = '\0';
	}
	text->next = reply->texts;
	reply->texts = text;
	return text->chars;
}

int64_t workpool_reply_int(const struct workpool_reply *reply, const char *path, int64_t otherwise)
{
	struct view value;
	char number[NUMBER_SIZE];
	int64_t result;

	if (!walk_find(reply->params, path, &value))
		return otherwise;
	if (value.data[0] == 't' || value.data[0] == 'f')
		return value.data[0] == 't';
	/* The whole part; with an exponent it is no integer that the daemon wrote as one. */
	size_t len = 0;
	while (len < value.len &&
		(value.data[len] == '-' || (value.data[len] >= '0' && value.data[len] <= '9')))
		len++;
	if (len == 0 || len >= sizeof(number) || memchr(value.data, 'e', value.len) ||
		memchr(value.data, 'E', value.len))
		return otherwise;
	memcpy(number, value.data, len);
	number[len] = '\0';
	return str_to_i64(number, &result) < 0 ? otherwise : result;
}
