/*
 * jsonread: see jsonread.h. RFC 8259 by one function a kind of value, and a view of the text that only moves on.
 *
 * Not jansson's own reader: without memory that takes a text for bad, or takes it with a byte less than it has, or reads on behind
 * its end.
 */
#include "wire/jsonread.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "wire/json.h"

#define NEAR_MAX 20 /* bytes of the text in a reason */

struct reader {
	const char *data;
	size_t at, len;
	int error; /* -errno, once something went wrong */
	char *why; /* JSON_WHY_SIZE bytes: of -EBADMSG */
};

static json_t *read_value(struct reader *reader);

static json_t *no_memory(struct reader *reader)
{
	reader->error = -ENOMEM;
	return NULL;
}

/* What begins at `from` and has been read makes no sense. */
static json_t *refuse(struct reader *reader, size_t from, const char *what)
{
	size_t len = reader->at - from;

	if (len > 0 && len <= NEAR_MAX)
		(void)snprintf(reader->why, JSON_WHY_SIZE, "byte %zu: %s near '%.*s'", reader->at,
			what, (int)len, reader->data + from);
	else
		(void)snprintf(reader->why, JSON_WHY_SIZE, "byte %zu: %s", reader->at, what);
	reader->error = -EBADMSG;
	return NULL;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* '\0': the end, or one, which nothing takes. */
static char peek(const struct reader *reader)
{
	return reader->at < reader->len ? reader->data[reader->at] : '\0';
}

static bool take_char(struct reader *reader, char c)
{
	if (reader->at == reader->len || reader->data[reader->at] != c)
		return false;
	reader->at++;
	return true;
}

static void skip_blanks(struct reader *reader)
{
	while (reader->at < reader->len && memchr(" \t\r\n", peek(reader), 4))
		reader->at++;
}

static size_t skip_digits(struct reader *reader)
{
	size_t from = reader->at;

	while (is_digit(peek(reader)))
		reader->at++;
	return reader->at - from;
}

/* Of what comes next a word, or one character, stands in the reason. */
static json_t *refuse_next(struct reader *reader, const char *what)
{
	size_t from = reader->at;

	if (reader->at == reader->len)
		return refuse(reader, from, "the text ends too early");
	do
		reader->at++;
	while (is_letter(reader->data[from]) && is_letter(peek(reader)));
	return refuse(reader, from, what);
}

/* --- numbers and words --------------------------------------------------------------------- */

static json_t *read_integer(struct reader *reader, size_t from)
{
	bool is_negative = reader->data[from] == '-';
	json_int_t n = 0;

	for (size_t i = from + is_negative; i < reader->at; i++)
		if (__builtin_mul_overflow(n, 10, &n) ||
			__builtin_sub_overflow(n, reader->data[i] - '0', &n))
			return refuse(reader, from, "too big an integer");
	/* Below zero there is one more than above. */
	if (!is_negative && __builtin_sub_overflow(0, n, &n))
		return refuse(reader, from, "too big an integer");
	json_t *json = json_integer(n);
	return json ? json : no_memory(reader);
}

static json_t *read_real(struct reader *reader, size_t from)
{
	auto_free char *text = strndup(reader->data + from, reader->at - from);

	if (!text)
		return no_memory(reader);
	/* strtod(3) wants what the locale has; a plugin of a host may have set one. */
	char *dot = strchr(text, '.');
	if (dot)
		*dot = localeconv()->decimal_point[0];
	double number = strtod(text, NULL);
	if (isinf(number))
		return refuse(reader, from, "real number overflow");
	json_t *json = json_real(number);
	return json ? json : no_memory(reader);
}

static json_t *read_number(struct reader *reader)
{
	size_t from = reader->at;
	bool is_real = false, is_right;

	(void)take_char(reader, '-');
	is_right = take_char(reader, '0') || skip_digits(reader) > 0;
	if (is_right && take_char(reader, '.')) {
		is_real = true;
		is_right = skip_digits(reader) > 0;
	}
	if (is_right && (take_char(reader, 'e') || take_char(reader, 'E'))) {
		is_real = true;
		if (!take_char(reader, '+'))
			(void)take_char(reader, '-');
		is_right = skip_digits(reader) > 0;
	}
	if (!is_right)
		return refuse(reader, from, "no number");
	return is_real ? read_real(reader, from) : read_integer(reader, from);
}

static json_t *read_word(struct reader *reader)
{
	size_t from = reader->at;

	while (is_letter(peek(reader)))
		reader->at++;
	struct view word = {reader->data + from, reader->at - from};
	if (view_is_equal(word, VIEW_LIT("true")))
		return json_true();
	if (view_is_equal(word, VIEW_LIT("false")))
		return json_false();
	if (view_is_equal(word, VIEW_LIT("null")))
		return json_null();
	return refuse(reader, from, "unknown word");
}

/* --- strings ------------------------------------------------------------------------------- */

/* Moves behind the closing quote; whether there is anything but plain characters, -1: there is no end. */
static int find_end(struct reader *reader)
{
	int has_escapes = 0;

	for (; reader->at < reader->len; reader->at++) {
		unsigned char c = (unsigned char)reader->data[reader->at];

		if (c == '"') {
			reader->at++;
			return has_escapes;
		}
		if (c < ' ') {
			reader->at++;
			(void)refuse(reader, reader->at, "control character in a string");
			return -1;
		}
		if (c == '\\') {
			has_escapes = 1;
			/* Whatever it is, it is no end; and it is looked at when the string is copied. */
			reader->at += reader->at + 1 < reader->len &&
				      (unsigned char)reader->data[reader->at + 1] >= ' ';
		}
	}
	(void)refuse(reader, reader->at, "a string without an end");
	return -1;
}

/* Four digits. -1: they are none. */
static int32_t read_hex(const char *at, const char *end)
{
	int32_t n = 0;

	for (int i = 0; i < 4; i++, at++) {
		if (at == end)
			return -1;
		if (is_digit(*at))
			n = n * 16 + (*at - '0');
		else if (*at >= 'a' && *at <= 'f')
			n = n * 16 + (*at - 'a' + 10);
		else if (*at >= 'A' && *at <= 'F')
			n = n * 16 + (*at - 'A' + 10);
		else
			return -1;
	}
	return n;
}

/* The character behind "\u", of which *at moves to the end. -1: none, or half of one; 0 is none either. */
static int32_t read_code(const char **at, const char *end)
{
	int32_t code = read_hex(*at, end), low;

	if (code < 0)
		return -1;
	*at += 4;
	if (code < 0xd800 || code > 0xdfff)
		return code;
	if (code > 0xdbff || end - *at < 2 || (*at)[0] != '\\' || (*at)[1] != 'u')
		return -1;
	low = read_hex(*at + 2, end);
	if (low < 0xdc00 || low > 0xdfff)
		return -1;
	*at += 6;
	return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

/* As UTF-8; returns where it ends. At most as long as what it was written as. */
static char *write_code(char *to, int32_t code)
{
	if (code < 0x80) {
		*to++ = (char)code;
		return to;
	}
	if (code < 0x800) {
		*to++ = (char)(0xc0 | code >> 6);
	} else {
		if (code < 0x10000) {
			*to++ = (char)(0xe0 | code >> 12);
		} else {
			*to++ = (char)(0xf0 | code >> 18);
			*to++ = (char)(0x80 | (code >> 12 & 0x3f));
		}
		*to++ = (char)(0x80 | (code >> 6 & 0x3f));
	}
	*to++ = (char)(0x80 | (code & 0x3f));
	return to;
}

/* What the raw text between two quotes means, to `to`, which has as much room; NULL: nothing, and *ret_what is why. */
static char *unescape(struct view raw, char *to, const char **ret_what)
{
	static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	const char *at = raw.data, *end = raw.data + raw.len;

	while (at < end) {
		if (*at != '\\') {
			*to++ = *at++;
			continue;
		}
		at++;
		const char *escape = at < end ? memchr(escapes, *at, sizeof(escapes) - 1) : NULL;
		if (escape) {
			*to++ = meanings[escape - escapes];
			at++;
			continue;
		}
		*ret_what = "no escape";
		if (at == end || *at != 'u')
			return NULL;
		at++;
		int32_t code = read_code(&at, end);
		if (code <= 0) {
			*ret_what = code == 0 ? "\\u0000 is not allowed" : "no \\u of a character";
			return NULL;
		}
		to = write_code(to, code);
	}
	return to;
}

/* Behind the quote. true: *ret_text is good as long as the reader's text and *ret_own, which the caller frees, are. */
static bool read_text(struct reader *reader, struct view *ret_text, char **ret_own)
{
	size_t from = reader->at++;
	int has_escapes = find_end(reader);
	struct view text = {reader->data + from + 1, reader->at - from - 2};
	const char *what;

	if (has_escapes < 0)
		return false;
	if (!str_is_utf8(text)) {
		(void)refuse(reader, reader->at, "a string that is no UTF-8");
		return false;
	}
	if (has_escapes) {
		*ret_own = malloc(text.len);
		if (!*ret_own) {
			(void)no_memory(reader);
			return false;
		}
		char *end = unescape(text, *ret_own, &what);
		if (!end) {
			(void)refuse(reader, from, what);
			return false;
		}
		text = (struct view){*ret_own, (size_t)(end - *ret_own)};
	}
	*ret_text = text;
	return true;
}

static json_t *read_string(struct reader *reader)
{
	auto_free char *own = NULL;
	struct view text;

	if (!read_text(reader, &text, &own))
		return NULL;
	json_t *json = json_stringn_nocheck(text.data, text.len);
	return json ? json : no_memory(reader);
}

/* --- arrays and objects -------------------------------------------------------------------- */

static json_t *read_array(struct reader *reader)
{
	auto_json json_t *array = json_array();

	if (!array)
		return no_memory(reader);
	reader->at++;
	skip_blanks(reader);
	if (take_char(reader, ']'))
		return take(array);
	do {
		json_t *value = read_value(reader);

		if (!value)
			return NULL;
		if (json_array_append_new(array, value) < 0)
			return no_memory(reader);
		skip_blanks(reader);
	} while (take_char(reader, ','));
	return take_char(reader, ']') ? take(array) : refuse_next(reader, "']' expected");
}

static bool read_member(struct reader *reader, json_t *object)
{
	auto_free char *own = NULL;
	struct view key;

	skip_blanks(reader);
	if (peek(reader) != '"') {
		(void)refuse_next(reader, "string or '}' expected");
		return false;
	}
	if (!read_text(reader, &key, &own))
		return false;
	if (json_object_getn(object, key.data, key.len)) {
		(void)refuse(reader, reader->at, "duplicate object key");
		return false;
	}
	skip_blanks(reader);
	if (!take_char(reader, ':')) {
		(void)refuse_next(reader, "':' expected");
		return false;
	}
	json_t *value = read_value(reader);
	if (value && json_object_setn_new_nocheck(object, key.data, key.len, value) < 0) {
		(void)no_memory(reader);
		return false;
	}
	return value;
}

static json_t *read_object(struct reader *reader)
{
	auto_json json_t *object = json_object();

	if (!object)
		return no_memory(reader);
	reader->at++;
	skip_blanks(reader);
	if (take_char(reader, '}'))
		return take(object);
	do {
		if (!read_member(reader, object))
			return NULL;
		skip_blanks(reader);
	} while (take_char(reader, ','));
	return take_char(reader, '}') ? take(object) : refuse_next(reader, "'}' expected");
}

static json_t *read_value(struct reader *reader)
{
	skip_blanks(reader);
	char c = peek(reader);
	if (c == '"')
		return read_string(reader);
	if (c == '{')
		return read_object(reader);
	if (c == '[')
		return read_array(reader);
	if (c == '-' || is_digit(c))
		return read_number(reader);
	return is_letter(c) ? read_word(reader) : refuse_next(reader, "no value");
}

int jsonread_text(struct view text, json_t **ret_json, char *ret_why)
{
	struct reader reader = {.data = text.data, .len = text.len, .why = ret_why};
	auto_json json_t *json = read_value(&reader);

	if (!json)
		return reader.error;
	skip_blanks(&reader);
	if (reader.at < reader.len) {
		(void)refuse_next(&reader, "nothing expected behind the value");
		return reader.error;
	}
	*ret_json = take(json);
	return 0;
}
