/*
 * walk: a validator of JSON that remembers where it is, and nothing else. For replies, whose parts are handed on as text, and for
 * what a caller wants to send, which must not end the message early. Called by reply.c, call.c and post.c.
 * Invariants: at <= end; a byte is read only before end; on failure `at` is at the byte that is wrong, or at the end.
 */
#include "client/lib/walk.h"

#include <string.h>

#include "base/str.h"

#define DEPTH_MAX 512

/* The brackets that are open, one bit each: set for an object. */
struct nest {
	unsigned char is_object[DEPTH_MAX / 8];
	size_t depth;
};

struct walk walk_of(struct view text)
{
	return (struct walk){.at = text.data, .end = text.data + text.len};
}

static void skip_space(struct walk *walk)
{
	while (walk->at < walk->end &&
		(*walk->at == ' ' || *walk->at == '\t' || *walk->at == '\n' || *walk->at == '\r'))
		walk->at++;
}

/* The next byte behind white space, 0: the end. */
static char peek(struct walk *walk)
{
	skip_space(walk);
	return walk->at < walk->end ? *walk->at : '\0';
}

static bool take_char(struct walk *walk, char c)
{
	if (peek(walk) != c || walk->at == walk->end)
		return false;
	walk->at++;
	return true;
}

bool walk_is_at_end(struct walk *walk)
{
	skip_space(walk);
	return walk->at == walk->end;
}

/* Four hexadecimal digits; -1: they are not. */
static int read_hex(const char *at, const char *end)
{
	int value = 0;

	if (end - at < 4)
		return -1;
	for (const char *stop = at + 4; at < stop; at++) {
		int digit = *at >= '0' && *at <= '9'   ? *at - '0'
			    : *at >= 'a' && *at <= 'f' ? *at - 'a' + 10
			    : *at >= 'A' && *at <= 'F' ? *at - 'A' + 10
						       : -1;
		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

static bool is_high(int unit)
{
	return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low(int unit)
{
	return unit >= 0xdc00 && unit <= 0xdfff;
}

/* Behind "\u": the bytes of the escape's rest (4, or 10 with a second half), and its character. 0: it is none. */
static size_t read_unicode(const char *at, const char *end, int *ret_char)
{
	int unit = read_hex(at, end);

	if (unit <= 0 || is_low(unit))
		return 0;
	*ret_char = unit;
	if (!is_high(unit))
		return 4;
	if (end - at < 10 || at[4] != '\\' || at[5] != 'u')
		return 0;
	int low = read_hex(at + 6, end);
	if (!is_low(low))
		return 0;
	*ret_char = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
	return 10;
}

/* At a backslash. */
static bool walk_escape(struct walk *walk)
{
	const char *letter = walk->at + 1;
	int unused;

	if (letter >= walk->end)
		return false;
	if (*letter == 'u') {
		size_t n = read_unicode(letter + 1, walk->end, &unused);
		walk->at += n > 0 ? n + 2 : 0;
		return n > 0;
	}
	if (!memchr("\"\\/bfnrt", *letter, 8))
		return false;
	walk->at += 2;
	return true;
}

/* At the opening quote. */
static bool walk_string(struct walk *walk)
{
	for (walk->at++; walk->at < walk->end;) {
		unsigned char c = (unsigned char)*walk->at;
		if (c == '"') {
			walk->at++;
			return true;
		}
		if (c < 0x20)
			return false;
		if (c == '\\') {
			if (!walk_escape(walk))
				return false;
		} else if (c < 0x80) {
			walk->at++;
		} else {
			size_t n = str_utf8_step(walk->at, (size_t)(walk->end - walk->at));
			if (n == 0)
				return false;
			walk->at += n;
		}
	}
	return false;
}

static bool walk_digits(struct walk *walk)
{
	const char *from = walk->at;

	while (walk->at < walk->end && *walk->at >= '0' && *walk->at <= '9')
		walk->at++;
	return walk->at > from;
}

/* No white space inside. */
static bool take_one_of(struct walk *walk, const char *chars)
{
	if (walk->at == walk->end || *walk->at == '\0' || !strchr(chars, *walk->at))
		return false;
	walk->at++;
	return true;
}

static bool walk_number(struct walk *walk)
{
	(void)take_one_of(walk, "-"); /* may be there */
	if (!take_one_of(walk, "0") && !walk_digits(walk))
		return false;
	if (take_one_of(walk, ".") && !walk_digits(walk))
		return false;
	if (!take_one_of(walk, "eE"))
		return true;
	(void)take_one_of(walk, "+-"); /* may be there */
	return walk_digits(walk);
}

static bool walk_word(struct walk *walk)
{
	static const char *const words[] = {"true", "false", "null"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t len = strlen(words[i]);
		if ((size_t)(walk->end - walk->at) >= len && memcmp(walk->at, words[i], len) == 0) {
			walk->at += len;
			return true;
		}
	}
	return false;
}

/* A key and its colon. */
static bool walk_key(struct walk *walk, struct view *ret_key)
{
	if (peek(walk) != '"')
		return false;
	const char *from = walk->at + 1;
	if (!walk_string(walk))
		return false;
	*ret_key = (struct view){from, (size_t)(walk->at - 1 - from)};
	return take_char(walk, ':');
}

static bool is_in_object(const struct nest *nest)
{
	size_t i = nest->depth - 1;

	return nest->is_object[i / 8] >> (i % 8) & 1;
}

static bool enter(struct nest *nest, bool is_object)
{
	size_t i = nest->depth;

	if (i == DEPTH_MAX)
		return false;
	unsigned char bit = (unsigned char)(1U << (i % 8));
	nest->is_object[i / 8] = (unsigned char)(is_object ? nest->is_object[i / 8] | bit
							   : nest->is_object[i / 8] & ~bit);
	nest->depth++;
	return true;
}

/* A scalar, or the beginning of an object or array that is not empty; *ret_whole: it is a whole value. */
static bool begin_value(struct walk *walk, struct nest *nest, bool *ret_whole)
{
	struct view key;
	char c = peek(walk);

	*ret_whole = true;
	if (c == '"')
		return walk_string(walk);
	if (c == '-' || (c >= '0' && c <= '9'))
		return walk_number(walk);
	if (c != '{' && c != '[')
		return walk_word(walk);
	if (!enter(nest, c == '{'))
		return false;
	walk->at++;
	if (take_char(walk, c == '{' ? '}' : ']')) {
		nest->depth--;
		return true;
	}
	*ret_whole = false;
	return c == '[' || walk_key(walk, &key);
}

/* Behind a value that is inside of something: closes what ends here. *ret_whole: nothing is open any more; else the next value
 * follows. */
static bool end_value(struct walk *walk, struct nest *nest, bool *ret_whole)
{
	struct view key;

	while (nest->depth > 0) {
		bool is_object = is_in_object(nest);
		*ret_whole = false;
		if (take_char(walk, ','))
			return !is_object || walk_key(walk, &key);
		if (!take_char(walk, is_object ? '}' : ']'))
			return false;
		nest->depth--;
	}
	*ret_whole = true;
	return true;
}

bool walk_value(struct walk *walk, struct view *ret_value)
{
	struct nest nest = {.depth = 0};
	bool is_whole = false;

	skip_space(walk);
	const char *from = walk->at;
	while (!is_whole) {
		if (!begin_value(walk, &nest, &is_whole))
			return false;
		if (is_whole && !end_value(walk, &nest, &is_whole))
			return false;
	}
	*ret_value = (struct view){from, (size_t)(walk->at - from)};
	return true;
}

bool walk_is_object(struct view text, struct view *ret_object, size_t *ret_bad)
{
	struct walk walk = walk_of(text);
	struct view object;
	bool is_good = peek(&walk) == '{' && walk_value(&walk, &object) && walk_is_at_end(&walk);

	*ret_bad = (size_t)(walk.at - text.data) + 1;
	if (is_good)
		*ret_object = object;
	return is_good;
}

bool walk_begin(struct walk *walk, char bracket)
{
	walk->is_first = true;
	return take_char(walk, bracket);
}

/* 1: an element begins; 0: that was the end; -1. */
static int next_part(struct walk *walk, char bracket)
{
	bool is_first = walk->is_first;

	walk->is_first = false;
	if (take_char(walk, bracket))
		return 0;
	return is_first || take_char(walk, ',') ? 1 : -1;
}

int walk_member(struct walk *walk, struct view *ret_key, struct view *ret_value)
{
	int r = next_part(walk, '}');

	if (r <= 0)
		return r;
	return walk_key(walk, ret_key) && walk_value(walk, ret_value) ? 1 : -1;
}

int walk_element(struct walk *walk, struct view *ret_value)
{
	int r = next_part(walk, ']');

	if (r <= 0)
		return r;
	return walk_value(walk, ret_value) ? 1 : -1;
}

static bool find_member(struct view object, struct view name, struct view *ret_value)
{
	struct walk walk = walk_of(object);
	struct view key;

	if (!walk_begin(&walk, '{'))
		return false;
	while (walk_member(&walk, &key, ret_value) > 0) {
		if (view_is_equal(key, name))
			return true;
	}
	return false;
}

static bool find_element(struct view array, struct view number, struct view *ret_value)
{
	struct walk walk = walk_of(array);
	size_t left = 0;

	for (size_t i = 0; i < number.len; i++) {
		if (number.data[i] < '0' || number.data[i] > '9' || left > array.len)
			return false;
		left = left * 10 + (size_t)(number.data[i] - '0');
	}
	if (number.len == 0 || !walk_begin(&walk, '['))
		return false;
	while (walk_element(&walk, ret_value) > 0) {
		if (left-- == 0)
			return true;
	}
	return false;
}

bool walk_find(struct view json, const char *path, struct view *ret_value)
{
	struct view value = json;

	for (;;) {
		struct view name = {path, strcspn(path, ".")};
		bool is_array = value.len > 0 && value.data[0] == '[';
		if (!(is_array ? find_element(value, name, &value)
			       : find_member(value, name, &value)))
			return false;
		if (path[name.len] == '\0')
			break;
		path += name.len + 1;
	}
	*ret_value = value;
	return true;
}

static size_t put_utf8(int c, char *to)
{
	static const int marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n; i-- > 1; c >>= 6)
		to[i] = (char)(0x80 | (c & 0x3f));
	to[0] = (char)(n == 1 ? c : marks[n] | c);
	return n;
}

size_t walk_unescape(struct view string, char *to)
{
	static const char letters[] = "bfnrt";
	static const char values[] = "\b\f\n\r\t";
	const char *end = string.data + string.len - 1;
	char *start = to;
	int c = 0;

	for (const char *at = string.data + 1; at < end;) {
		if (*at != '\\') {
			*to++ = *at++;
		} else if (at[1] == 'u') {
			at += 2 + read_unicode(at + 2, end, &c);
			to += put_utf8(c, to);
		} else {
			const char *found = strchr(letters, at[1]);
			*to++ = found ? values[found - letters] : at[1];
			at += 2;
		}
	}
	*to = '\0';
	return (size_t)(to - start);
}
