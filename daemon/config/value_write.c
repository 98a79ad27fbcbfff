/*
 * value_write: a key's field as text: canonical for hosts, as a person would write it, and what it may hold. Called by
 * config_write.c, config_show.c and reload.c.
 */
#include "config/value.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/str.h"

static const void *const_field(const struct config_key *key, const void *base)
{
	return (const char *)base + key->offset;
}

static int write_word(const char *words, int number, struct buf *out)
{
	for (; number > 0; number--) {
		words += strcspn(words, " ");
		words += strspn(words, " ");
	}
	return buf_append(out, words, strcspn(words, " "));
}

static int write_workers(const struct workers_rule *rule, struct buf *out)
{
	return buf_printf(out, "%" PRIu32 "%s", rule->number, rule->per_core ? "/core" : "");
}

int value_write(const struct config_key *key, const void *base, struct buf *out)
{
	const void *place = const_field(key, base);

	switch (key->type) {
	case CONFIG_BOOL:
		return buf_printf(out, "%s", *(const bool *)place ? "yes" : "no");
	case CONFIG_INT:
		return buf_printf(out, "%" PRId64, *(const int64_t *)place);
	case CONFIG_U64:
	case CONFIG_BYTES:
	case CONFIG_DURATION:
	case CONFIG_OCTAL:
		return buf_printf(out, "%" PRIu64, *(const uint64_t *)place);
	case CONFIG_WORKERS:
		return write_workers(place, out);
	case CONFIG_ENUM:
		return write_word(key->words, *(const int *)place - (int)key->min, out);
	default:
		return buf_printf(out, "%s", *(char *const *)place);
	}
}

static int write_number_text(enum config_type type, int64_t number, struct buf *out)
{
	char text[STR_DURATION_MAX];

	switch (type) {
	case CONFIG_BYTES:
		return buf_printf(out, "%s", str_from_bytes((uint64_t)number, text));
	case CONFIG_DURATION:
		return buf_printf(out, "%s", str_from_us((uint64_t)number, text));
	case CONFIG_OCTAL:
		return buf_printf(out, "%03" PRIo64, (uint64_t)number);
	default:
		return buf_printf(out, "%" PRId64, number);
	}
}

int value_write_text(const struct config_key *key, const void *base, struct buf *out)
{
	const void *place = const_field(key, base);

	switch (key->type) {
	case CONFIG_BYTES:
	case CONFIG_DURATION:
	case CONFIG_OCTAL:
		return write_number_text(key->type, (int64_t) * (const uint64_t *)place, out);
	default:
		if ((key->flags & CONFIG_SECRET) != 0 && **(char *const *)place != '\0')
			return buf_printf(out, "***");
		return value_write(key, base, out);
	}
}

static int write_number_range(const struct config_key *key, const char *what, struct buf *out)
{
	int r = buf_printf(out, "%s from ", what);

	if (r == 0)
		r = write_number_text(key->type, key->min, out);
	if (r == 0)
		r = buf_printf(out, " to ");
	if (r == 0)
		r = write_number_text(key->type, key->max, out);
	if (r == 0 && (key->flags & CONFIG_ZERO) != 0)
		r = buf_printf(out, ", or 0 (none)");
	return r;
}

/* "drain, finish or now" */
static int write_words_range(const char *words, struct buf *out)
{
	int r = 0;

	for (const char *separator = ""; r == 0 && *words != '\0';) {
		size_t n = strcspn(words, " ");

		r = buf_printf(out, "%s%.*s", separator, (int)n, words);
		words += n;
		words += strspn(words, " ");
		separator = strchr(words, ' ') == NULL ? " or " : ", ";
	}
	return r;
}

/* A blank among the forbidden bytes would not be seen: it is named. */
static int write_string_range(const struct config_key *key, struct buf *out)
{
	int r = buf_printf(out, "at most %" PRId64 " bytes without ", key->max);

	for (const char *c = key->words; r == 0 && *c != '\0'; c++)
		r = *c == ' ' ? buf_printf(out, " blank ") : buf_printf(out, "%c", *c);
	return r;
}

/* What is said of a type whatever its row says. */
static const char *const range_texts[CONFIG_TYPES] = {
	[CONFIG_BOOL] = "yes or no",
	[CONFIG_JSON] = "a JSON object or array",
	[CONFIG_LIST] = "users and @groups, parted by commas or blanks",
	[CONFIG_NAMES] = "names, parted by commas or blanks",
	[CONFIG_COMMAND] = "an absolute path and arguments, all quotes closed",
	[CONFIG_ENVIRONMENT] = "words NAME=value, none of them WORKPOOL_*, all quotes closed",
	[CONFIG_PATHS] = "absolute paths, parted by blanks, all quotes closed",
};

int value_write_range(const struct config_key *key, struct buf *out)
{
	switch (key->type) {
	case CONFIG_INT:
	case CONFIG_U64:
		return write_number_range(key, "a number", out);
	case CONFIG_BYTES:
		return write_number_range(key, "a size", out);
	case CONFIG_DURATION:
		return write_number_range(key, "a time", out);
	case CONFIG_OCTAL:
		return write_number_range(key, "an octal number", out);
	case CONFIG_WORKERS:
		return buf_printf(out, "a number from %" PRId64 " to %" PRId64 " or \"3/core\"",
			key->min, key->max);
	case CONFIG_ENUM:
	case CONFIG_WORD:
		return write_words_range(key->words, out);
	case CONFIG_NAME:
		return buf_printf(out, "at most %d letters, digits, \"-\", \"_\" and \".\"",
			SETTINGS_NAME_MAX);
	case CONFIG_STRING:
		return write_string_range(key, out);
	case CONFIG_URI:
		return buf_printf(out, "a URI that begins with ") < 0
			       ? -ENOMEM
			       : write_words_range(key->words, out);
	case CONFIG_PATH:
		return buf_printf(out, "an absolute path of at most %" PRId64 " bytes", key->max);
	default:
		return buf_printf(out, "%s", range_texts[key->type]);
	}
}
