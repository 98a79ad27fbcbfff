/*
 * scan_judge: the judge of wire/scan.c: what scan_call() takes msg_parse() must take too, with the same
 * values. For check_scan and fuzz_scan.
 */
#ifndef WORKPOOL_TESTS_SCAN_JUDGE_H
#define WORKPOOL_TESTS_SCAN_JUDGE_H

#include <string.h>

#include "wire/msg.h"
#include "wire/scan.h"

static inline bool scan_judge_member(const struct scan_member *member, const json_t *value)
{
	struct buf text;
	bool is_same;

	switch (member->type) {
	case SCAN_STRING:
		return json_is_string(value) && strlen(member->text.data) == member->text.len &&
		       view_is_equal(member->text,
			       (struct view){json_string_value(value), json_string_length(value)});
	case SCAN_INT:
		return json_is_integer(value) && json_integer_value(value) == member->number;
	case SCAN_BOOL:
		return json_is_boolean(value) && json_is_true(value) == (member->number != 0);
	case SCAN_OBJECT:
		break;
	}
	buf_init(&text, SIZE_MAX / 4);
	is_same = json_is_object(value) && json_write(value, &text) == 0 &&
		  view_is_equal(buf_view(&text), member->text);
	buf_done(&text);
	return is_same;
}

/* What was taken from `message` means the same to the parser; if not, a word about what does not. */
static inline const char *scan_judge(const struct scan *scan, struct view message)
{
	char why[JSON_WHY_SIZE];
	const char *fault = NULL;
	struct msg msg;

	if (msg_parse(message, &msg, why) < 0)
		return "refused";
	if (strcmp(msg.method, scan->method.data) != 0 || msg.more || msg.oneway || msg.upgrade)
		fault = "method or flags";
	else if (!msg.params || json_object_size(msg.params) != scan->n_params)
		fault = "number of parameters";
	for (size_t i = 0; !fault && i < scan->n_params; i++) {
		const struct scan_member *member = &scan->params[i];
		const json_t *value =
			json_object_getn(msg.params, member->name.data, member->name.len);
		if (!value || !scan_judge_member(member, value))
			fault = "a parameter";
	}
	msg_done(&msg);
	return fault;
}

#endif
