/*
 * str: text that people write (numbers, sizes, durations, words) into values, and back where it
 * is shown. Not for JSON (wire/json.c) and not for formatting (buf_printf()). No locale has a
 * say in any of it. Called by config/, net/, host/ and client/. Invariant: on failure the
 * outputs are untouched.
 */
#include "base/str.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A fraction of 6 digits of the largest unit still fits 64 bits, see str_to_us(). */
#define FRACTION_DIGITS 6 /* every unit from a second up is a multiple of 10^6 us */

struct unit {
	const char *name;
	uint64_t scale;
};

/* From large to small: the first that divides a value prints it shortest. */
static const struct unit duration_units[] = {
	{"d", UINT64_C(86400000000)},
	{"h", UINT64_C(3600000000)},
	{"min", UINT64_C(60000000)},
	{"s", UINT64_C(1000000)},
	{"ms", UINT64_C(1000)},
	{"us", UINT64_C(1)},
};

static const struct unit byte_units[] = {
	{"T", UINT64_C(1) << 40},
	{"G", UINT64_C(1) << 30},
	{"M", UINT64_C(1) << 20},
	{"K", UINT64_C(1) << 10},
};

/* isdigit(3) and isspace(3) ask the locale and want unsigned characters. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The digits at *at, which moves behind them. -EINVAL: there is none. */
static int read_digits(const char **at, uint64_t *ret_value)
{
	const char *p = *at;
	uint64_t value = 0;

	if (!is_digit(*p))
		return -EINVAL;
	/* -ERANGE also where a wrong character would follow: it is the more useful answer. */
	for (; is_digit(*p); p++)
		if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
			__builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return -ERANGE;
	*at = p;
	*ret_value = value;
	return 0;
}

/* -EINVAL: no such unit. The empty name is the caller's business. */
static int scale_of(const struct unit *units, size_t n, const char *name, uint64_t *ret_scale)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(units[i].name, name) == 0) {
			*ret_scale = units[i].scale;
			return 0;
		}
	}
	return -EINVAL;
}

/* strtoull(3) would take blanks, signs and "0x", and its errors are easy to miss. */
int str_to_u64(const char *text, uint64_t *ret_value)
{
	uint64_t value;

	int r = read_digits(&text, &value);
	if (r < 0)
		return r;
	if (*text)
		return -EINVAL;
	*ret_value = value;
	return 0;
}

int str_to_i64(const char *text, int64_t *ret_value)
{
	bool is_negative = *text == '-';
	uint64_t value;

	int r = str_to_u64(text + is_negative, &value);
	if (r < 0)
		return r;
	if (value > (uint64_t)INT64_MAX + is_negative)
		return -ERANGE;
	/* In unsigned arithmetic: -2^63 has no positive twin. */
	*ret_value = (int64_t)(is_negative ? 0 - value : value);
	return 0;
}

/* Upper case only, as the shipped file has them: m could be taken for milli. */
int str_to_bytes(const char *text, uint64_t *ret_bytes)
{
	uint64_t value, scale = 1;

	int r = read_digits(&text, &value);
	if (r == 0 && *text)
		r = scale_of(byte_units, ARRAY_SIZE(byte_units), text, &scale);
	if (r < 0)
		return r;
	if (__builtin_mul_overflow(value, scale, &value))
		return -ERANGE;
	*ret_bytes = value;
	return 0;
}

/* ".25" at *at, as 25 / 100; without a point 0 / 1. */
static int read_fraction(const char **at, uint64_t *ret_part, uint64_t *ret_whole)
{
	uint64_t part = 0, whole = 1;

	if (**at == '.') {
		const char *start = ++*at;
		/* Too many digits to count in 64 bits are too many anyway. */
		int r = read_digits(at, &part);
		if (r < 0 || *at - start > FRACTION_DIGITS)
			return -EINVAL;
		for (const char *p = start; p < *at; p++)
			whole *= 10;
	}
	*ret_part = part;
	*ret_whole = whole;
	return 0;
}

int str_to_us(const char *text, uint64_t *ret_us)
{
	uint64_t value = 0, part = 0, whole = 1, us, scale = 1000000;

	int r = read_digits(&text, &value);
	if (r == 0)
		r = read_fraction(&text, &part, &whole);
	if (r == 0 && *text)
		r = scale_of(duration_units, ARRAY_SIZE(duration_units), text, &scale);
	if (r < 0)
		return r;
	/* At most 999999 * 86400000000: fits. A remainder is less than a microsecond. */
	if (part * scale % whole != 0)
		return -EINVAL;
	if (__builtin_mul_overflow(value, scale, &us) ||
		__builtin_add_overflow(us, part * scale / whole, &us))
		return -ERANGE;
	*ret_us = us;
	return 0;
}

/* In any case, since people write Yes; strcasecmp(3) in the C locale, which we never leave. */
int str_to_bool(const char *text, bool *ret_value)
{
	static const char *const words[][2] = {
		{"no", "yes"}, {"false", "true"}, {"off", "on"}, {"0", "1"}};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		for (int value = 0; value < 2; value++) {
			if (strcasecmp(text, words[i][value]) == 0) {
				*ret_value = value == 1;
				return 0;
			}
		}
	}
	return -EINVAL;
}

/* For numbers on the way of every task: snprintf(3) takes ten times as long. */
size_t str_from_u64(uint64_t value, char ret_text[STR_U64_SIZE])
{
	char digits[STR_U64_SIZE];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do
		digits[--at] = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	memcpy(ret_text, digits + at, sizeof(digits) - at);
	return sizeof(digits) - 1 - at;
}

/* No unit divides it: the bare number, which for bytes is right and for us cannot be. */
static const char *print_unit(const struct unit *units, size_t n, uint64_t value, const char *zero,
	char ret_text[STR_DURATION_MAX])
{
	if (value == 0) {
		(void)snprintf(ret_text, STR_DURATION_MAX, "%s", zero);
		return ret_text;
	}
	size_t i = 0;
	while (i < n && value % units[i].scale != 0)
		i++;
	/* 20 digits and "min" at most: fits. */
	(void)snprintf(ret_text, STR_DURATION_MAX, "%" PRIu64 "%s",
		i < n ? value / units[i].scale : value, i < n ? units[i].name : "");
	return ret_text;
}

/* 0 is printed with a unit that people expect to see. */
const char *str_from_us(uint64_t us, char ret_text[STR_DURATION_MAX])
{
	return print_unit(duration_units, ARRAY_SIZE(duration_units), us, "0s", ret_text);
}

const char *str_from_bytes(uint64_t bytes, char ret_text[STR_DURATION_MAX])
{
	return print_unit(byte_units, ARRAY_SIZE(byte_units), bytes, "0", ret_text);
}

/*
 * The table of RFC 3629, 4: the second byte's range is what keeps overlong forms and surrogates
 * out.
 */
size_t str_utf8_step(const char *data, size_t len)
{
	const unsigned char *s = (const unsigned char *)data;
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (len == 0)
		return 0;
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf) {
		n = 2;
	} else if (s[0] >= 0xe0 && s[0] <= 0xef) {
		n = 3;
		low = s[0] == 0xe0 ? 0xa0 : low;
		high = s[0] == 0xed ? 0x9f : high;
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		n = 4;
		low = s[0] == 0xf0 ? 0x90 : low;
		high = s[0] == 0xf4 ? 0x8f : high;
	} else {
		return 0;
	}
	/* The end of data is looked at first: nothing behind it is read. */
	if (len < n || s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* In place, and never longer: a bad byte becomes one byte. */
void str_make_safe(char *text)
{
	size_t len = strlen(text);

	for (size_t at = 0; at < len;) {
		size_t n = str_utf8_step(text + at, len - at);
		unsigned char c = (unsigned char)text[at];
		if (n == 0 || c < 0x20 || c == 0x7f) {
			text[at] = '?';
			n = 1;
		}
		at += n;
	}
}

/* Bytes of ASCII that text begins with, but for the last few: nearly all that ever comes. */
static size_t ascii_run(struct view text)
{
	const uint64_t tops = UINT64_C(0x8080808080808080);
	uint64_t words[4];
	size_t run = 0;

	for (; text.len - run >= sizeof(words); run += sizeof(words)) {
		memcpy(words, text.data + run, sizeof(words));
		if (((words[0] | words[1] | words[2] | words[3]) & tops) != 0)
			break;
	}
	for (; text.len - run >= sizeof(words[0]); run += sizeof(words[0])) {
		memcpy(words, text.data + run, sizeof(words[0]));
		if ((words[0] & tops) != 0)
			break;
	}
	return run;
}

/* For text that did not come through jansson, which checks itself. */
bool str_is_utf8(struct view text)
{
	size_t at = 0;

	while (at < text.len) {
		at += ascii_run((struct view){text.data + at, text.len - at});
		if (at == text.len)
			break;
		size_t n = str_utf8_step(text.data + at, text.len - at);
		if (n == 0)
			return false;
		at += n;
	}
	return true;
}

/* Appends one character, quoted or not, of the word at *at to *to; both move on. */
static int unquote_step(const char **at, char **to, char *quote)
{
	char c = *(*at)++;

	if (*quote == '\0' && (c == '\'' || c == '"')) {
		*quote = c;
		return 0;
	}
	if (*quote != '\0' && c == *quote) {
		*quote = '\0';
		return 0;
	}
	if (c == '\\' && *quote != '\'') {
		char next = **at;
		/* A backslash with nothing behind it. */
		if (next == '\0')
			return -EINVAL;
		/* Between double quotes only \" and \\ are special, as in sh(1). */
		if (*quote == '\0' || next == '"' || next == '\\') {
			c = next;
			(*at)++;
		}
	}
	*(*to)++ = c;
	return 0;
}

int str_next_word(const char **rest, char **ret_word)
{
	/* *rest moves only when there is a word: after an error it shows where. */
	const char *at = *rest;
	char quote = '\0';

	while (is_blank(*at))
		at++;
	if (*at == '\0')
		return -ENOENT;
	/* Quotes only ever take characters away. */
	auto_free char *word = malloc(strlen(at) + 1);
	if (!word)
		return -ENOMEM;
	char *to = word;
	while (*at != '\0' && (quote != '\0' || !is_blank(*at))) {
		int r = unquote_step(&at, &to, &quote);
		if (r < 0)
			return r;
	}
	if (quote != '\0')
		return -EINVAL;
	*to = '\0';
	*rest = at;
	*ret_word = take(word);
	return 0;
}
