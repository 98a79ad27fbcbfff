/*
 * refuse: see refuse.h.
 */
#include "config/refuse.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "config/section.h"

#define SHOWN_FILE_MAX  160 /* bytes of a file's name in a message: its end counts */
#define SHOWN_KEY_MAX   50
#define SHOWN_VALUE_MAX 60

/* Appends to why as far as there is room. */
static void say(char *why, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(char *why, const char *fmt, ...)
{
	size_t len = strlen(why);
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why + len, CONFIG_WHY_SIZE - len, fmt, args); /* cut is good enough */
	va_end(args);
}

/* Foreign text, escaped, at most max bytes of it. */
static void say_quoted(char *why, const char *text, size_t max)
{
	char quoted[LOG_QUOTE_MAX + 1];
	size_t len = strlen(log_quote(text, strlen(text), quoted));

	say(why, "%.*s%s", (int)max, quoted, len > max ? "..." : "");
}

static void say_file(char *why, const char *file)
{
	size_t len = strlen(file);

	if (len > SHOWN_FILE_MAX) {
		say(why, "...");
		file += len - SHOWN_FILE_MAX;
	}
	say_quoted(why, file, SHOWN_FILE_MAX);
}

int refuse_file(char *why, int error, const char *file, const char *reason)
{
	why[0] = '\0';
	say_file(why, file);
	say(why, ": %s", reason);
	return error;
}

static void say_origin(char *why, const struct origins *origins, struct origin origin)
{
	if (origin.file == 0)
		say(why, "default");
	else
		say_file(why, origins->files[origin.file - 1]);
	if (origin.line != 0)
		say(why, ":%u", (unsigned)origin.line);
	say(why, ": ");
}

int refuse_line_va(char *why, int error, struct refuse_section section, struct origin origin,
	const char *key, const char *value, const char *fmt, va_list args)
{
	char reason[CONFIG_WHY_SIZE];

	why[0] = '\0';
	say_origin(why, section.settings->origins, origin);
	if (section.scope != CONFIG_SCOPES) {
		const char *name = section_name(section.settings, section.scope, section.at);

		say(why, "[%s%s%s]", keys_scope_name(section.scope), name != NULL ? " " : "",
			name != NULL ? name : "");
		say(why, key != NULL ? " " : ": ");
	}
	if (key != NULL) {
		say_quoted(why, key, SHOWN_KEY_MAX);
		say(why, ": ");
	}
	if (value != NULL) {
		say(why, "\"");
		say_quoted(why, value, SHOWN_VALUE_MAX);
		say(why, "\": ");
	}
	(void)vsnprintf(reason, sizeof(reason), fmt, args); /* cut is good enough */
	say(why, "%s", reason);
	return error;
}

int refuse_line(char *why, int error, struct refuse_section section, struct origin origin,
	const char *key, const char *value, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	error = refuse_line_va(why, error, section, origin, key, value, fmt, args);
	va_end(args);
	return error;
}
