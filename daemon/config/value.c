/*
 * value: the parsers behind the table, one small function a type; value_write.c has the printers.
 */
#include "config/value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS  "0123456789"

static void *field(const struct config_key *key, void *base)
{
	return (char *)base + key->offset;
}

static const void *const_field(const struct config_key *key, const void *base)
{
	return (const char *)base + key->offset;
}

static bool is_string(enum config_type type)
{
	return type >= CONFIG_WORD && type != CONFIG_TYPES;
}

bool value_is_name(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= SETTINGS_NAME_MAX && strspn(text, LETTERS DIGITS "-_.") == len &&
	       text[0] != '-' && text[0] != '_' && text[0] != '.';
}

int value_word_number(const char *words, const char *word)
{
	size_t len = strlen(word);
	int number = 0;

	while (*words != '\0') {
		size_t n = strcspn(words, " ");

		if (n == len && memcmp(words, word, n) == 0)
			return number;
		words += n;
		words += strspn(words, " ");
		number++;
	}
	return -1;
}

/* "alice, @admins": users and groups as NSS knows them, so also "DOMAIN\user" and
 * "user@example.org". */
static bool is_list(const char *text)
{
	for (text += strspn(text, ", \t"); *text != '\0'; text += strspn(text, ", \t")) {
		size_t n;

		if (*text == '@')
			text++;
		n = strspn(text, LETTERS DIGITS "-_.$@+\\");
		if (n == 0 || *text == '-' || *text == '@' || strchr(", \t", text[n]) == NULL)
			return false;
		text += n;
	}
	return true;
}

/* "db, mail" */
static bool is_names(const char *text)
{
	for (text += strspn(text, VALUE_NAMES_PARTED); *text != '\0';
		text += strspn(text, VALUE_NAMES_PARTED)) {
		char name[SETTINGS_NAME_MAX + 1];
		size_t n = strcspn(text, VALUE_NAMES_PARTED);

		if (n >= sizeof(name))
			return false;
		memcpy(name, text, n);
		name[n] = '\0';
		if (!value_is_name(name))
			return false;
		text += n;
	}
	return true;
}

/* NAME=value; the names that a host sets itself are not to be had. */
static bool is_assignment(const char *word)
{
	size_t n = strspn(word, LETTERS DIGITS "_");

	return n > 0 && word[n] == '=' && strchr(DIGITS, word[0]) == NULL &&
	       strncmp(word, "WORKPOOL_", 9) != 0;
}

/* The i-th of the words. */
static bool is_fit_word(enum config_type type, size_t i, const char *word)
{
	if (type == CONFIG_ENVIRONMENT)
		return is_assignment(word);
	return word[0] == '/' || (type == CONFIG_COMMAND && i > 0);
}

/* Words as for a shell. For a command the first must be an absolute path, for paths each, for an environment each an
 * assignment. */
static int check_words(const struct config_key *key, const char *text)
{
	for (size_t i = 0;; i++) {
		auto_free char *word = NULL;
		int r = str_next_word(&text, &word);

		if (r == -ENOENT)
			return 0;
		if (r < 0)
			return r;
		if (!is_fit_word(key->type, i, word))
			return -EINVAL;
	}
}

static bool is_uri(const struct config_key *key, const char *text)
{
	if (strcspn(text, " \t") != strlen(text))
		return false;
	for (const char *at = key->words; *at != '\0'; at += strspn(at, " ")) {
		size_t n = strcspn(at, " ");

		if (strncmp(text, at, n) == 0 && text[n] != '\0')
			return true;
		at += n;
	}
	return false;
}

static bool is_enclosed(const char *text, const char *brackets)
{
	size_t len = strlen(text);

	return len >= 2 && text[0] == brackets[0] && text[len - 1] == brackets[1];
}

/* 0, -EINVAL, -ENOMEM. */
static int check_string(const struct config_key *key, const char *text)
{
	if (*text == '\0')
		return *key->initial == '\0' ? 0 : -EINVAL;
	if (key->type != CONFIG_WORD && strlen(text) > (size_t)key->max)
		return -EINVAL;
	switch (key->type) {
	case CONFIG_WORD:
		return value_word_number(key->words, text) >= 0 ? 0 : -EINVAL;
	case CONFIG_NAME:
		return value_is_name(text) ? 0 : -EINVAL;
	case CONFIG_STRING:
		return text[strcspn(text, key->words)] == '\0' ? 0 : -EINVAL;
	case CONFIG_JSON:
		return is_enclosed(text, "{}") || is_enclosed(text, "[]") ? 0 : -EINVAL;
	case CONFIG_URI:
		return is_uri(key, text) ? 0 : -EINVAL;
	case CONFIG_LIST:
		return is_list(text) ? 0 : -EINVAL;
	case CONFIG_NAMES:
		return is_names(text) ? 0 : -EINVAL;
	case CONFIG_PATH:
		return text[0] == '/' ? 0 : -EINVAL;
	case CONFIG_COMMAND:
	case CONFIG_ENVIRONMENT:
	case CONFIG_PATHS:
		return check_words(key, text);
	default:
		return -EINVAL;
	}
}

static int set_string(const struct config_key *key, char **place, const char *text, void *base)
{
	char *copy;
	int r = check_string(key, text);

	if (r < 0)
		return r;
	copy = strdup(text);
	if (copy == NULL)
		return -ENOMEM;
	value_unset(key, base);
	*place = copy;
	return 0;
}

static int read_octal(const char *text, uint64_t *ret_value)
{
	uint64_t value = 0;
	size_t len = strlen(text);

	if (len == 0 || len > 4 || strspn(text, "01234567") != len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		value = value * 8 + (uint64_t)(text[i] - '0');
	*ret_value = value;
	return 0;
}

static int set_u64(const struct config_key *key, uint64_t *place, const char *text)
{
	uint64_t value = 0;
	int r;

	switch (key->type) {
	case CONFIG_BYTES:
		r = str_to_bytes(text, &value);
		break;
	case CONFIG_DURATION:
		r = str_to_us(text, &value);
		break;
	case CONFIG_OCTAL:
		r = read_octal(text, &value);
		break;
	default:
		r = str_to_u64(text, &value);
	}
	if (r < 0)
		return -EINVAL;
	if (value == 0 && (key->flags & CONFIG_ZERO) != 0) {
		*place = 0;
		return 0;
	}
	if (value < (uint64_t)key->min || value > (uint64_t)key->max)
		return -EINVAL;
	*place = value;
	return 0;
}

static int set_int(const struct config_key *key, int64_t *place, const char *text)
{
	int64_t value = 0;

	if (str_to_i64(text, &value) < 0 || value < key->min || value > key->max)
		return -EINVAL;
	*place = value;
	return 0;
}

static int set_enum(const struct config_key *key, int *place, const char *text)
{
	int number = value_word_number(key->words, text);

	if (number < 0)
		return -EINVAL;
	*place = (int)key->min + number;
	return 0;
}

static int set_workers(const struct config_key *key, struct workers_rule *place, const char *text)
{
	size_t n = strspn(text, DIGITS);
	bool per_core = strcmp(text + n, "/core") == 0;
	char digits[8];
	uint64_t number = 0;

	if ((!per_core && text[n] != '\0') || n >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, n);
	digits[n] = '\0';
	if (str_to_u64(digits, &number) < 0 || number < (uint64_t)key->min ||
		number > (uint64_t)key->max)
		return -EINVAL;
	*place = (struct workers_rule){(uint32_t)number, per_core};
	return 0;
}

int value_set(const struct config_key *key, void *base, const char *text)
{
	void *place = field(key, base);

	switch (key->type) {
	case CONFIG_BOOL:
		return str_to_bool(text, place) < 0 ? -EINVAL : 0;
	case CONFIG_INT:
		return set_int(key, place, text);
	case CONFIG_U64:
	case CONFIG_BYTES:
	case CONFIG_DURATION:
	case CONFIG_OCTAL:
		return set_u64(key, place, text);
	case CONFIG_WORKERS:
		return set_workers(key, place, text);
	case CONFIG_ENUM:
		return set_enum(key, place, text);
	default:
		return set_string(key, place, text, base);
	}
}

void value_unset(const struct config_key *key, void *base)
{
	char **place;

	if (!is_string(key->type))
		return;
	place = field(key, base);
	if (*place != NULL && (key->flags & CONFIG_SECRET) != 0)
		explicit_bzero(*place, strlen(*place));
	free(*place);
	*place = NULL;
}

/* Bytes of a field that is no string. */
static size_t size_of(enum config_type type)
{
	switch (type) {
	case CONFIG_BOOL:
		return sizeof(bool);
	case CONFIG_ENUM:
		return sizeof(int);
	case CONFIG_WORKERS:
		return sizeof(struct workers_rule);
	default:
		return sizeof(uint64_t);
	}
}

int value_copy(const struct config_key *key, void *to, const void *from)
{
	char *copy;

	if (!is_string(key->type)) {
		memcpy(field(key, to), const_field(key, from), size_of(key->type));
		return 0;
	}
	copy = strdup(*(char *const *)const_field(key, from));
	if (copy == NULL)
		return -ENOMEM;
	value_unset(key, to);
	*(char **)field(key, to) = copy;
	return 0;
}

bool value_is_equal(const struct config_key *key, const void *a, const void *b)
{
	const void *left = const_field(key, a), *right = const_field(key, b);

	if (is_string(key->type))
		return strcmp(*(char *const *)left, *(char *const *)right) == 0;
	if (key->type == CONFIG_WORKERS) { /* a struct with bytes that mean nothing */
		const struct workers_rule *one = left, *other = right;

		return one->number == other->number && one->per_core == other->per_core;
	}
	return memcmp(left, right, size_of(key->type)) == 0;
}
