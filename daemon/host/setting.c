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
