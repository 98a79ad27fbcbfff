/*
 * setting: see setting.h. Called by handler.c at the start of the host, and by nobody later.
 * Invariants: a line without its newline counts as well; a key that the table does not know is refused, because it may
 * be a limit that nobody would keep.
 */
#include "host/setting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static int read_u64(const struct setting *setting, char *text, void *place)
{
	uint64_t value;

	if (str_to_u64(text, &value) < 0 || (setting->max > 0 && value > setting->max))
		return -EINVAL;
	*(uint64_t *)place = value;
	return 0;
}

static int read_i64(const struct setting *setting, char *text, void *place)
{
	int64_t value;

	if (str_to_i64(text, &value) < 0)
		return -EINVAL;
	if (setting->max > 0 && (value > (int64_t)setting->max || value < -(int64_t)setting->max))
		return -EINVAL;
	*(int64_t *)place = value;
	return 0;
}

static int read_bool(const struct setting *setting, char *text, void *place)
{
	(void)setting;
	return str_to_bool(text, place);
}

static int read_text(const struct setting *setting, char *text, void *place)
{
	char *copy = strdup(text);

	(void)setting;
	if (!copy)
		return -ENOMEM;
	free(*(char **)place);
	*(char **)place = copy;
	return 0;
}

static int (*const readers[])(const struct setting *, char *, void *) = {
	[SETTING_U64] = read_u64,
	[SETTING_I64] = read_i64,
	[SETTING_BOOL] = read_bool,
	[SETTING_TEXT] = read_text,
};

static const struct setting *find(const struct setting *table, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(table[i].key, key) == 0)
			return &table[i];
	}
	return NULL;
}

bool setting_is_known(struct view line, const struct setting *table, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t key = strlen(table[i].key);

		if (line.len > key && memcmp(line.data, table[i].key, key) == 0 &&
			line.data[key] == '=')
			return true;
	}
	return false;
}

int setting_add_extra(struct view line, struct setting_extras *extras)
{
	const char *equals = memchr(line.data, '=', line.len);
	struct setting_extra *extra;

	if (line.len > 0 && line.data[line.len - 1] == '\n')
		line.len--;
	if (!equals || equals == line.data || memchr(line.data, '\0', line.len))
		return -EINVAL;
	extra = calloc(1, sizeof(*extra));
	if (!extra)
		return -ENOMEM;
	TAILQ_INSERT_TAIL(
		extras, extra, link); /* whatever becomes of it, it is freed with the list */
	extra->key = mem_dup(line.data, (size_t)(equals - line.data));
	extra->value = mem_dup(equals + 1, (size_t)(line.data + line.len - equals) - 1);
	return extra->key && extra->value ? 0 : -ENOMEM;
}

void setting_free_extras(struct setting_extras *extras)
{
	struct setting_extra *extra, *next;

	TAILQ_FOREACH_SAFE (extra, extras, link, next) {
		free(extra->key);
		free(extra->value);
		free(extra);
	}
	TAILQ_INIT(extras);
}

static int read_line(char *line, const struct setting *table, size_t n, void *values, char *ret_why)
{
	char *equals = strchr(line, '=');

	if (equals)
		*equals = '\0';
	const struct setting *setting = find(table, n, line);
	if (!equals || !setting) {
		(void)snprintf(
			ret_why, SETTING_WHY_SIZE, "the setting \"%.64s\" is not known", line);
		str_make_safe(ret_why);
		return -EINVAL;
	}
	int r = readers[setting->type](setting, equals + 1, (char *)values + setting->offset);
	if (r < 0 && r != -ENOMEM) {
		(void)snprintf(ret_why, SETTING_WHY_SIZE, "%s: not a value for it", setting->key);
		return -EINVAL;
	}
	return r;
}

int setting_read(struct view lines, const struct setting *table, size_t n, void *ret_values,
	char ret_why[SETTING_WHY_SIZE])
{
	if (lines.len > 0 && memchr(lines.data, '\0', lines.len)) {
		(void)snprintf(ret_why, SETTING_WHY_SIZE, "a NUL byte in the settings");
		return -EINVAL;
	}
	auto_free char *text = mem_dup(lines.data, lines.len);
	if (!text)
		return -ENOMEM;
	int r = 0;
	char *rest = text, *line;
	while (r == 0 && (line = strsep(&rest, "\n")) != NULL) {
		if (*line != '\0')
			r = read_line(line, table, n, ret_values, ret_why);
	}
	/* A copy of a secret is not left behind. */
	explicit_bzero(text, lines.len);
	return r;
}

void setting_done(const struct setting *table, size_t n, void *values)
{
	for (size_t i = 0; i < n; i++) {
		if (table[i].type != SETTING_TEXT)
			continue;
		char **place = (char **)(void *)((char *)values + table[i].offset);
		if (*place)
			explicit_bzero(*place, strlen(*place));
		free(take(*place));
	}
}
