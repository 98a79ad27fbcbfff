/*
 * result: see result.h. Called by handlers while they run a task, and by work.c around that; one thread has it at a time.
 */
#include "host/result.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "wire/json.h"

#define SENTENCE_SIZE 1024

static void set(struct result *result, enum hostmsg_outcome outcome, const char *reason)
{
	free(result->text);
	*result = (struct result){.outcome = outcome, .reason = reason};
}

void result_init(struct result *result)
{
	*result = (struct result){.outcome = OUTCOME_OK, .reason = ""};
}

void result_done(struct result *result)
{
	free(take(result->text));
}

void result_ok(struct result *result, struct view json)
{
	set(result, OUTCOME_OK, "");
	result->json = json;
}

/* The bytes of `json` become the result's. */
static void adopt(struct result *result, struct buf *json)
{
	result->json = buf_view(json);
	result->text = take(json->data);
	buf_init(json, json->limit);
}

void result_ok_buf(struct result *result, struct buf *json)
{
	set(result, OUTCOME_OK, "");
	adopt(result, json);
}

void result_ok_json(struct result *result, const json_t *json)
{
	struct buf text;

	buf_init(&text, HOSTMSG_LIMIT);
	int r = json_write(json, &text);
	if (r == 0)
		result_ok_buf(result, &text);
	else
		result_fail(result, "failed", "the result cannot be written: %s", strerror(-r));
	buf_done(&text);
}

void result_fail_with(
	struct result *result, const char *reason, struct view json, const char *sentence)
{
	struct buf text;

	set(result, OUTCOME_FAILED, reason);
	buf_init(&text, 2 * HOSTMSG_LIMIT);
	int r = buf_printf(&text, "{\"error\":");
	if (r == 0)
		r = buf_append_json_string(&text, sentence, strlen(sentence));
	if (r == 0 && json.len > 0)
		r = buf_printf(&text, ",\"result\":%.*s", (int)json.len, json.data);
	if (r == 0)
		r = buf_append(&text, "}", 1);
	if (r == 0)
		adopt(result, &text);
	buf_done(&text);
}

void result_fail(struct result *result, const char *reason, const char *fmt, ...)
{
	char sentence[SENTENCE_SIZE];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	result_fail_with(result, reason, (struct view){NULL, 0}, sentence);
	(void)snprintf(result->word, sizeof(result->word), "%s", reason);
	result->reason = result->word;
}

void result_crash(struct result *result, struct view json, const char *sentence)
{
	result_fail_with(result, "crashed", json, sentence);
	result->outcome = OUTCOME_CRASHED;
}

void result_cancel(struct result *result, struct view json)
{
	result_fail_with(result, "cancelled", json, "cancelled");
	result->outcome = OUTCOME_CANCELLED;
}
