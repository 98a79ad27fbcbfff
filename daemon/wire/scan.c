/*
 * scan: see scan.h. Called by api/call.c for each message, before msg_parse(), and by jsonout.c. Pure but for its buffer.
 *
 * What it takes is JSON as RFC 8259 has it, but for: escapes that are not their own shortest form (\/ and \u), numbers with
 * a point, an exponent, a sign before 0 or more than 15 digits, more than SCAN_KEYS keys in the objects that are open,
 * more than SCAN_DEPTH levels or SCAN_VALUES values. Those are rare, and left to the parser. Why it is there: the tree and
 * the walks over it took two thirds of what a post costs.
 * What is taken is pointed at where it lies; copied are only strings that C reads, which need a NUL, and objects with
 * blanks, which are left out. Invariant: `to` never runs past the room that was reserved, for what is written is what was
 * read, and each NUL stands for a quote.
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
	char *to;        /* of scan_call(): where the next copy goes */
	bool has_blanks; /* some were skipped */
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

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static void skip_blanks(struct cursor *c)
{
	while (c->at < c->end && is_blank(*c->at)) {
		c->has_blanks = true;
		c->at++;
	}
}

/* The next byte that is no blank; '\0': there is none. */
static inline char peek(struct cursor *c)
{
	if (c->at < c->end && (unsigned char)*c->at > ' ')
		return *c->at;
	skip_blanks(c);
	return c->at < c->end ? *c->at : '\0';
}

static inline bool take_char(struct cursor *c, char wanted)
{
	if (peek(c) != wanted)
		return false;
	c->at++;
	return true;
}

/* An escape that buf_append_json_string() would write just so. */
static bool is_shortest_escape(const char *at, const char *end)
{
	return end - at >= 2 && (at[1] == '"' || at[1] == '\\' || at[1] == 'n' || at[1] == 't' ||
					at[1] == 'r' || at[1] == 'b' || at[1] == 'f');
}

/* With its quotes; what is between them. */
static bool take_string(struct cursor *c, bool may_escape, struct view *ret_text)
{
	const char *from, *at, *end = c->end;

	if (!take_char(c, '"'))
		return false;
	from = at = c->at;
	for (;;) {
		while (at < end && kinds[(unsigned char)*at] == PLAIN)
			at++;
		if (at == end)
			return false;
		if (*at == '"')
			break;
		size_t step = kinds[(unsigned char)*at] == WIDE
				      ? str_utf8_step(at, (size_t)(end - at))
			      : *at == '\\' && may_escape && is_shortest_escape(at, end) ? 2
											 : 0;
		if (step == 0)
			return false;
		at += step;
	}
	*ret_text = (struct view){from, (size_t)(at - from)};
	c->at = at + 1;
	return true;
}

/* One that C reads. */
static bool copy_string(struct cursor *c, struct view *ret_text)
{
	struct view text;

	if (!take_string(c, false, &text))
		return false;
	*ret_text = (struct view){c->to, text.len};
	c->to = mempcpy(c->to, text.data, text.len);
	*c->to++ = '\0';
	return true;
}

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static bool take_int(struct cursor *c, int64_t *ret_number)
{
	bool is_negative = *c->at == '-';
	const char *first = c->at + is_negative, *at = first, *end = c->end;
	int64_t number = 0;

	for (; at < end && is_digit(*at) && at - first < SCAN_DIGITS; at++)
		number = number * 10 + (*at - '0');
	if (at == first || at == end || is_digit(*at) || *at == '.' || *at == 'e' || *at == 'E')
		return false;
	if (*first == '0' && (at - first > 1 || is_negative))
		return false;
	c->at = at;
	*ret_number = is_negative ? -number : number;
	return true;
}

static bool take_word(struct cursor *c, const char *word, size_t len)
{
	if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len) != 0)
		return false;
	c->at += len;
	return true;
}

static bool take_value(struct cursor *c);

/* `first`: of this object's keys. */
static bool take_key(struct cursor *c, unsigned first)
{
	struct view key;

	if (c->n_keys == SCAN_KEYS || !take_string(c, true, &key) || key.len > JSON_KEY_LIMIT)
		return false;
	for (unsigned i = first; i < c->n_keys; i++) {
		if (view_is_equal(c->keys[i], key))
			return false;
	}
	c->keys[c->n_keys++] = key;
	return true;
}

/* Behind its brace. */
static bool take_object(struct cursor *c)
{
	unsigned first = c->n_keys;

	if (take_char(c, '}'))
		return true;
	do {
		if (!take_key(c, first) || !take_char(c, ':') || !take_value(c))
			return false;
	} while (take_char(c, ','));
	c->n_keys = first;
	return take_char(c, '}');
}

/* Behind its bracket. */
static bool take_array(struct cursor *c)
{
	if (take_char(c, ']'))
		return true;
	do {
		if (!take_value(c))
			return false;
	} while (take_char(c, ','));
	return take_char(c, ']');
}

static bool take_nested(struct cursor *c, bool (*take_rest)(struct cursor *c))
{
	if (c->depth == SCAN_DEPTH)
		return false;
	c->at++;
	c->depth++;
	bool is_taken = take_rest(c);
	c->depth--;
	return is_taken;
}

static bool take_value(struct cursor *c)
{
	struct view text;
	int64_t number;

	if (++c->values > SCAN_VALUES)
		return false;
	switch (peek(c)) {
	case '"':
		return take_string(c, true, &text);
	case '{':
		return take_nested(c, take_object);
	case '[':
		return take_nested(c, take_array);
	case 't':
		return take_word(c, "true", 4);
	case 'f':
		return take_word(c, "false", 5);
	case 'n':
		return take_word(c, "null", 4);
	default:
		return c->at < c->end && take_int(c, &number);
	}
}

/* A value that was taken, without its blanks; returns the place behind. */
static char *copy_dense(char *to, struct view text)
{
	bool is_string = false;

	for (size_t i = 0; i < text.len; i++) {
		char byte = text.data[i];

		if (!is_string && is_blank(byte))
			continue;
		*to++ = byte;
		if (byte == '"')
			is_string = !is_string;
		else if (byte == '\\')
			*to++ = text.data[++i];
	}
	return to;
}

static bool take_args(struct cursor *c, struct view *ret_text)
{
	const char *from = c->at;
	char *to = c->to;

	c->has_blanks = false;
	if (!take_nested(c, take_object))
		return false;
	*ret_text = (struct view){from, (size_t)(c->at - from)};
	if (!c->has_blanks)
		return true;
	c->to = copy_dense(to, *ret_text);
	*ret_text = (struct view){to, (size_t)(c->to - to)};
	return true;
}

static bool take_param_value(struct cursor *c, struct scan_member *member)
{
	switch (peek(c)) {
	case '"':
		member->type = SCAN_STRING;
		return copy_string(c, &member->text);
	case '{':
		member->type = SCAN_OBJECT;
		return take_args(c, &member->text);
	case 't':
	case 'f':
		member->type = SCAN_BOOL;
		member->number = *c->at == 't';
		return member->number ? take_word(c, "true", 4) : take_word(c, "false", 5);
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

		if (scan->n_params == SCAN_MEMBERS || !take_string(c, false, &member->name) ||
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
		if (!take_string(c, false, &name) || !take_char(c, ':'))
			return false;
		bool is_method = view_is_equal(name, VIEW_LIT("method"));
		bool *has = is_method ? &has_method : &has_params;
		if (*has || (!is_method && !view_is_equal(name, VIEW_LIT("parameters"))))
			return false;
		*has = is_method ? copy_string(c, &scan->method) && scan->method.len > 0
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

/* Not its keys, which are many and counted. */
static void cursor_init(struct cursor *c, struct view text, char *to)
{
	c->at = text.data;
	c->end = text.data + text.len;
	c->to = to;
	c->has_blanks = false;
	c->depth = c->values = c->n_keys = 0;
}

int scan_call(struct scan *scan, struct view message)
{
	struct cursor c;
	size_t room;
	char *to;

	if (scan->text.cap > KEPT_BYTES && message.len <= KEPT_BYTES)
		buf_release(&scan->text); /* one long call is no reason to keep its room */
	if (message.len == 0 || buf_reserve(&scan->text, message.len, &to, &room) < 0)
		return -ENOTSUP;
	cursor_init(&c, message, to);
	scan->n_params = 0;
	return take_call(&c, scan) ? 0 : -ENOTSUP;
}

int scan_value(struct view text, struct buf *out)
{
	struct cursor c;
	size_t room;
	char *to;

	if (text.len == 0 || buf_reserve(out, text.len, &to, &room) < 0)
		return -ENOTSUP;
	cursor_init(&c, text, NULL);
	if (!take_value(&c))
		return -ENOTSUP;
	skip_blanks(&c);
	if (c.at != c.end)
		return -ENOTSUP;
	buf_commit(out, (size_t)((c.has_blanks ? copy_dense(to, text)
					       : (char *)mempcpy(to, text.data, text.len)) -
				 to));
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

		while (k < n && !view_is_equal(view_of(table[k].name), member->name))
			k++;
		if (k == n || !read_one(member, &table[k], ret_values))
			return -ENOTSUP;
		n_required -= (table[k].flags & PARAM_REQUIRED) != 0;
	}
	return n_required == 0 ? 0 : -ENOTSUP;
}
