/*
 * scan: see scan.h. Called by api/call.c for each message, before msg_parse(), and by jsonout.c. Pure but for its buffer.
 *
 * What it takes is JSON as RFC 8259 has it, but for: escapes that are not their own shortest form (\/ and \u), numbers with
 * a point, an exponent, a sign before 0 or more than 15 digits, more than SCAN_KEYS keys in the objects that are open,
 * more than SCAN_DEPTH levels or SCAN_VALUES values. Those are rare, and left to the parser. Why it is there: the tree and
 * the walks over it took two thirds of what a post costs.
 * Invariant: `to` never runs past the room that was reserved, for what is written is what was read without its blanks,
 * and each NUL stands for a quote.
 */
#include "wire/scan.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "wire/json.h"

#define SCAN_DEPTH  16u /* below a parameter; well below JSON_DEPTH_LIMIT */
#define SCAN_VALUES 4096u
#define SCAN_KEYS   64u
#define SCAN_DIGITS 15 /* of an integer: all of these are below JSON_INT_LIMIT */
#define KEPT_BYTES  65536u

struct cursor {
	const char *at, *end;
	char *to;
	unsigned depth, values, n_keys;
	struct view keys[SCAN_KEYS]; /* of all objects that are open, the innermost one's last */
};

/* What a byte of a string is. */
enum { PLAIN, OTHER, WIDE };
static const unsigned char kinds[256] = {
	[0 ... 31] = OTHER,
	['"'] = OTHER,
	['\\'] = OTHER,
	[127] = OTHER,
	[128 ... 255] = WIDE,
};

static void skip_blanks(struct cursor *c)
{
	while (c->at < c->end &&
		(*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
		c->at++;
}

/* The next byte that is no blank; '\0': there is none. */
static char peek(struct cursor *c)
{
	if (c->at < c->end && (unsigned char)*c->at > ' ')
		return *c->at;
	skip_blanks(c);
	return c->at < c->end ? *c->at : '\0';
}

static bool take_char(struct cursor *c, char wanted)
{
	if (peek(c) != wanted)
		return false;
	c->at++;
	return true;
}

static void put(struct cursor *c, char byte)
{
	*c->to++ = byte;
}

/* An escape that buf_append_json_string() would write just so. */
static bool is_shortest_escape(const char *at, const char *end)
{
	return end - at >= 2 && (at[1] == '"' || at[1] == '\\' || at[1] == 'n' || at[1] == 't' ||
					at[1] == 'r' || at[1] == 'b' || at[1] == 'f');
}

/* Behind its opening quote; copies what is before the closing one and stands behind that. */
static bool copy_string(struct cursor *c, bool may_escape)
{
	const char *from = c->at, *at = from;

	for (;;) {
		while (at < c->end && kinds[(unsigned char)*at] == PLAIN)
			at++;
		if (at == c->end)
			return false;
		if (*at == '"')
			break;
		size_t step = kinds[(unsigned char)*at] == WIDE
				      ? str_utf8_step(at, (size_t)(c->end - at))
			      : *at == '\\' && may_escape && is_shortest_escape(at, c->end) ? 2
											    : 0;
		if (step == 0)
			return false;
		at += step;
	}
	memcpy(c->to, from, (size_t)(at - from));
	c->to += at - from;
	c->at = at + 1;
	return true;
}

/* A string that C can read: a member's name or value. */
static bool take_string(struct cursor *c, struct view *ret_text)
{
	char *text = c->to;

	if (!take_char(c, '"') || !copy_string(c, false))
		return false;
	*ret_text = (struct view){text, (size_t)(c->to - text)};
	put(c, '\0');
	return true;
}

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

/* Copies it, too. */
static bool take_int(struct cursor *c, int64_t *ret_number)
{
	bool is_negative = *c->at == '-';
	const char *from = c->at, *at = from + is_negative;
	int64_t number = 0;

	const char *first = at;
	for (; at < c->end && is_digit(*at) && at - first < SCAN_DIGITS; at++)
		number = number * 10 + (*at - '0');
	size_t digits = (size_t)(at - first);
	if (digits == 0 || at == c->end || is_digit(*at) || *at == '.' || *at == 'e' || *at == 'E')
		return false;
	if (*first == '0' && (digits > 1 || is_negative))
		return false;
	memcpy(c->to, from, (size_t)(at - from));
	c->to += at - from;
	c->at = at;
	*ret_number = is_negative ? -number : number;
	return true;
}

static bool copy_word(struct cursor *c, const char *word, size_t len)
{
	if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len) != 0)
		return false;
	memcpy(c->to, word, len);
	c->to += len;
	c->at += len;
	return true;
}

static bool copy_value(struct cursor *c);

/* Behind its opening quote; `first`: of this object's keys. */
static bool copy_key(struct cursor *c, unsigned first)
{
	struct view key = {c->to, 0};

	if (c->n_keys == SCAN_KEYS || !copy_string(c, true))
		return false;
	key.len = (size_t)(c->to - key.data);
	if (key.len > JSON_KEY_LIMIT)
		return false;
	for (unsigned i = first; i < c->n_keys; i++) {
		if (view_is_equal(c->keys[i], key))
			return false;
	}
	c->keys[c->n_keys++] = key;
	return true;
}

/* Behind its brace. */
static bool copy_object(struct cursor *c)
{
	unsigned first = c->n_keys;

	put(c, '{');
	if (take_char(c, '}')) {
		put(c, '}');
		return true;
	}
	for (;;) {
		if (!take_char(c, '"'))
			return false;
		put(c, '"');
		if (!copy_key(c, first) || !take_char(c, ':'))
			return false;
		put(c, '"');
		put(c, ':');
		if (!copy_value(c))
			return false;
		if (!take_char(c, ','))
			break;
		put(c, ',');
	}
	c->n_keys = first;
	put(c, '}');
	return take_char(c, '}');
}

/* Behind its bracket. */
static bool copy_array(struct cursor *c)
{
	put(c, '[');
	if (take_char(c, ']')) {
		put(c, ']');
		return true;
	}
	for (;;) {
		if (!copy_value(c))
			return false;
		if (!take_char(c, ','))
			break;
		put(c, ',');
	}
	put(c, ']');
	return take_char(c, ']');
}

static bool copy_nested(struct cursor *c, bool (*copy)(struct cursor *c))
{
	if (c->depth == SCAN_DEPTH)
		return false;
	c->at++;
	c->depth++;
	bool is_taken = copy(c);
	c->depth--;
	return is_taken;
}

static bool copy_value(struct cursor *c)
{
	int64_t number;

	if (++c->values > SCAN_VALUES)
		return false;
	switch (peek(c)) {
	case '"':
		c->at++;
		put(c, '"');
		if (!copy_string(c, true))
			return false;
		put(c, '"');
		return true;
	case '{':
		return copy_nested(c, copy_object);
	case '[':
		return copy_nested(c, copy_array);
	case 't':
		return copy_word(c, "true", 4);
	case 'f':
		return copy_word(c, "false", 5);
	case 'n':
		return copy_word(c, "null", 4);
	default:
		return c->at < c->end && take_int(c, &number);
	}
}

static bool take_param_value(struct cursor *c, struct scan_member *member)
{
	char *text;

	switch (peek(c)) {
	case '"':
		member->type = SCAN_STRING;
		return take_string(c, &member->text);
	case '{':
		text = c->to;
		member->type = SCAN_OBJECT;
		if (!copy_nested(c, copy_object))
			return false;
		member->text = (struct view){text, (size_t)(c->to - text)};
		return true;
	case 't':
	case 'f':
		member->type = SCAN_BOOL;
		member->number = *c->at == 't';
		return member->number ? copy_word(c, "true", 4) : copy_word(c, "false", 5);
	default:
		member->type = SCAN_INT;
		return c->at < c->end && take_int(c, &member->number);
	}
}

static bool take_params(struct cursor *c, struct scan *scan)
{
	if (!take_char(c, '{'))
		return false;
	if (take_char(c, '}'))
		return true;
	do {
		struct scan_member *member = &scan->params[scan->n_params];

		if (scan->n_params == SCAN_MEMBERS || !take_string(c, &member->name) ||
			member->name.len > JSON_KEY_LIMIT || !take_char(c, ':') ||
			!take_param_value(c, member))
			return false;
		for (size_t i = 0; i < scan->n_params; i++) {
			if (view_is_equal(scan->params[i].name, member->name))
				return false;
		}
		scan->n_params++;
	} while (take_char(c, ','));
	return take_char(c, '}');
}

/* Both members, in either order. */
static bool take_call(struct cursor *c, struct scan *scan)
{
	bool has_method = false, has_params = false;
	struct view name;

	if (!take_char(c, '{'))
		return false;
	do {
		if (!take_string(c, &name) || !take_char(c, ':'))
			return false;
		bool is_method = view_is_equal(name, VIEW_LIT("method"));
		bool *has = is_method ? &has_method : &has_params;
		if (*has || (!is_method && !view_is_equal(name, VIEW_LIT("parameters"))))
			return false;
		*has = is_method ? take_string(c, &scan->method) && scan->method.len > 0
				 : take_params(c, scan);
		if (!*has)
			return false;
	} while (take_char(c, ','));
	if (!take_char(c, '}'))
		return false;
	skip_blanks(c);
	return c->at == c->end && has_method && has_params;
}

void scan_init(struct scan *scan)
{
	*scan = (struct scan){.n_params = 0};
	buf_init(&scan->text, SIZE_MAX / 4);
}

void scan_done(struct scan *scan)
{
	buf_done(&scan->text);
}

int scan_call(struct scan *scan, struct view message)
{
	struct cursor c = {.at = message.data, .end = message.data + message.len};
	size_t room;

	if (scan->text.cap > KEPT_BYTES && message.len <= KEPT_BYTES)
		buf_release(&scan->text); /* one long call is no reason to keep its room */
	/* Two more: a call that ends in the middle has a NUL too many. */
	if (message.len < 2 || buf_reserve(&scan->text, message.len + 2, &c.to, &room) < 0)
		return -ENOTSUP;
	scan->n_params = 0;
	return take_call(&c, scan) ? 0 : -ENOTSUP;
}

int scan_value(struct view text, struct buf *out)
{
	struct cursor c = {.at = text.data, .end = text.data + text.len};
	const char *from;
	size_t room;

	if (text.len == 0 || buf_reserve(out, text.len + 2, &c.to, &room) < 0)
		return -ENOTSUP;
	from = c.to;
	if (!copy_value(&c))
		return -ENOTSUP;
	skip_blanks(&c);
	if (c.at != c.end)
		return -ENOTSUP;
	buf_commit(out, (size_t)(c.to - from));
	return 0;
}

/* Parameters. */

static const enum scan_type types[] = {
	[PARAM_BOOL] = SCAN_BOOL,
	[PARAM_INT] = SCAN_INT,
	[PARAM_STRING] = SCAN_STRING,
	[PARAM_JSON] = SCAN_OBJECT,
};

static bool read_one(const struct scan_member *member, const struct param *param, void *ret_values)
{
	char *field = (char *)ret_values + param->offset;

	if ((size_t)param->type >= ARRAY_SIZE(types) || types[param->type] != member->type)
		return false;
	switch (param->type) {
	case PARAM_BOOL:
		*(bool *)field = member->number != 0;
		return true;
	case PARAM_INT:
		*(int64_t *)field = member->number;
		return member->number >= param->min && member->number <= param->max;
	case PARAM_STRING:
		*(const char **)field = member->text.data;
		return (int64_t)member->text.len >= param->min &&
		       (int64_t)member->text.len <= param_string_max(param);
	default:
		((struct param_json *)field)->text = member->text;
		return true;
	}
}

int scan_read_params(const struct scan *scan, const struct param *table, size_t n, void *ret_values)
{
	size_t n_required = 0;

	for (size_t i = 0; i < n; i++)
		n_required += (table[i].flags & PARAM_REQUIRED) != 0;
	for (size_t i = 0; i < scan->n_params; i++) {
		const struct scan_member *member = &scan->params[i];
		size_t k = 0;

		while (k < n && strcmp(table[k].name, member->name.data) != 0)
			k++;
		if (k == n || !read_one(member, &table[k], ret_values))
			return -ENOTSUP;
		n_required -= (table[k].flags & PARAM_REQUIRED) != 0;
	}
	return n_required == 0 ? 0 : -ENOTSUP;
}
