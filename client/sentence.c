/*
 * sentence: filling in patterns. Called by fault.c, verb_status.c and verb_explain.c.
 */
#include "client/sentence.h"

#include <errno.h>
#include <string.h>

#include "client/json.h"

/* The next {word} of a pattern: what is before it, the word, what is behind. */
struct gap {
	struct view plain;
	struct view word;
	struct view rest;
	bool is_there; /* else all of the pattern is plain */
};

static struct gap next_gap(struct view pattern)
{
	const char *open = memchr(pattern.data, '{', pattern.len);
	const char *end = pattern.data + pattern.len;
	const char *close = open ? memchr(open, '}', (size_t)(end - open)) : NULL;

	if (!close)
		return (struct gap){.plain = pattern, .rest = {end, 0}};
	return (struct gap){
		.plain = {pattern.data, (size_t)(open - pattern.data)},
		.word = {open + 1, (size_t)(close - open) - 1},
		.rest = {close + 1, (size_t)(end - close) - 1},
		.is_there = true,
	};
}

static const json_t *value_of(const json_t *params, struct view word)
{
	return json_object_getn(params, word.data, word.len);
}

static bool has_all(struct view pattern, const json_t *params)
{
	while (pattern.len > 0) {
		struct gap gap = next_gap(pattern);
		if (gap.is_there && !value_of(params, gap.word))
			return false;
		pattern = gap.rest;
	}
	return true;
}

bool sentence_is_full(const char *pattern, const json_t *params)
{
	return has_all(view_of(pattern), params);
}

static int append_value(struct buf *out, const json_t *value)
{
	if (json_is_string(value))
		return buf_append(out, json_string_value(value), json_string_length(value));
	return value ? json_write(value, out) : buf_append(out, "?", 1);
}

int sentence_append(struct buf *out, const char *pattern, const json_t *params)
{
	struct view one;
	int r = 0;

	for (;; pattern += one.len + 1) {
		one = (struct view){pattern, strcspn(pattern, "|")};
		if (pattern[one.len] == '\0' || has_all(one, params))
			break;
	}
	while (r == 0 && one.len > 0) {
		struct gap gap = next_gap(one);
		r = buf_append(out, gap.plain.data, gap.plain.len);
		if (r == 0 && gap.is_there)
			r = append_value(out, value_of(params, gap.word));
		one = gap.rest;
	}
	return r;
}
