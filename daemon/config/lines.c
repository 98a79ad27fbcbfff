/*
 * lines: see lines.h. What is refused: a NUL or another control character (but a blank, a tab, and
 * a CR at the end), text that is not UTF-8, a line longer than LINES_MAX or than inih's buffer, ":"
 * for "=", a comment behind a value. What is taken: CRLF, a byte order mark at the start, blanks in
 * front of a line, no newline at the end.
 */
#include "config/lines.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* Debian's inih has variables for its limits; elsewhere they are fixed and these are not there. */
extern int ini_max_line __attribute__((weak));
extern bool ini_use_stack __attribute__((weak));

struct reader {
	const struct lines_sink *sink; /* borrows: lines_read()'s caller's */
	struct view rest;              /* what was not read yet */
	uint32_t line;                 /* number of the line that was read last */
	int error;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct view trimmed(struct view text)
{
	while (text.len > 0 && is_blank(text.data[0])) {
		text.data++;
		text.len--;
	}
	while (text.len > 0 && is_blank(text.data[text.len - 1]))
		text.len--;
	return text;
}

static struct view next_line(struct reader *reader)
{
	struct view line = reader->rest;
	const char *end = memchr(line.data, '\n', line.len);

	if (end != NULL)
		line.len = (size_t)(end - line.data);
	reader->rest.data += line.len + (end != NULL);
	reader->rest.len -= line.len + (end != NULL);
	reader->line++;
	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* Why no line may be like this, or NULL. */
static const char *fault_of_bytes(struct view line)
{
	if (line.len > LINES_MAX)
		return "the line is longer than 4096 bytes";
	for (size_t i = 0; i < line.len; i++) {
		if (((unsigned char)line.data[i] < ' ' && line.data[i] != '\t') ||
			line.data[i] == 0x7f)
			return "a NUL or another control character";
	}
	return str_is_utf8(line) ? NULL : "the line is not UTF-8";
}

/* Why this cannot be "key = value", or NULL. `room`: bytes that inih takes. */
static const char *fault_of_pair(struct view line, size_t room)
{
	size_t at = 0;

	while (at < line.len && line.data[at] != '=' && line.data[at] != ':')
		at++;
	if (at == 0 || at == line.len || line.data[at] == ':')
		return "neither [section], nor key = value, nor a comment";
	for (size_t i = 1; i < line.len; i++) {
		if (is_blank(line.data[i - 1]) && (line.data[i] == ';' || line.data[i] == '#'))
			return "a \";\" or \"#\" behind a blank: a comment needs a line of its own";
	}
	return line.len > room ? "the line is longer than this build's inih can read" : NULL;
}

/* line is trimmed and begins with "[". 0, or the sink's error. */
static int read_section(struct reader *reader, struct view line)
{
	const struct lines_sink *sink = reader->sink;
	char text[LINES_MAX + 1];
	char *name;
	struct view inside;

	if (memchr(line.data, ']', line.len) != line.data + line.len - 1)
		return sink->wrong(sink->user, reader->line,
			"a section is a line of its own: [name] or [name NAME]");
	inside = trimmed((struct view){line.data + 1, line.len - 2});
	memcpy(text, inside.data, inside.len);
	text[inside.len] = '\0';
	name = text + strcspn(text, " \t");
	if (*name != '\0') {
		*name++ = '\0';
		name += strspn(name, " \t");
	}
	return sink->section(sink->user, reader->line, text, name);
}

/* inih's fgets(): the next line "key = value", or NULL at the end and after an error. */
static char *read_pair(char *ret_text, int size, void *user)
{
	struct reader *reader = user;
	const struct lines_sink *sink = reader->sink;

	while (reader->error == 0 && reader->rest.len > 0) {
		struct view line = next_line(reader);
		const char *fault = fault_of_bytes(line);

		line = trimmed(line);
		if (fault == NULL && (line.len == 0 || line.data[0] == '#' || line.data[0] == ';'))
			continue;
		if (fault == NULL && line.data[0] == '[') {
			reader->error = read_section(reader, line);
			continue;
		}
		if (fault == NULL)
			fault = fault_of_pair(line, size > 2 ? (size_t)size - 2 : 0);
		if (fault != NULL) {
			reader->error = sink->wrong(sink->user, reader->line, fault);
			continue;
		}
		memcpy(ret_text, line.data, line.len);
		memcpy(ret_text + line.len, "\n", 2);
		return ret_text;
	}
	return NULL;
}

/* inih's handler: 1 is good. The section that inih gives is always "", since it never sees one. */
static int on_pair(void *user, const char *section, const char *name, const char *value)
{
	struct reader *reader = user;

	(void)section;
	reader->error = reader->sink->key(reader->sink->user, reader->line, name, value);
	return reader->error == 0;
}

int lines_read(struct view text, const struct lines_sink *sink)
{
	struct reader reader = {.sink = sink, .rest = text};
	int r;

	if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
		reader.rest = (struct view){text.data + 3, text.len - 3};
	if (&ini_max_line != NULL && &ini_use_stack != NULL) {
		ini_use_stack = true;
		ini_max_line = LINES_MAX + 2;
	}
	r = ini_parse_stream(read_pair, &reader, on_pair, &reader);
	if (reader.error != 0)
		return reader.error;
	if (r == 0)
		return 0;
	if (r < 0)
		return -ENOMEM;
	return sink->wrong(sink->user, reader.line, "not key = value");
}
