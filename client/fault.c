/*
 * fault: errors for people. The rows are in faults.def, the exit codes in exits.def; here is only how a row is
 * filled in. Called by every file of client/. Nothing that the daemon sent reaches the terminal unescaped.
 */
#include "client/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/json.h"
#include "client/sentence.h"
#include "client/text.h"

struct fault {
	const char *error;
	enum fault_code code;
	const char *sentence;
};

static const struct fault faults[] = {
#define FAULT(error, code, sentence) {error, CODE_##code, sentence},
#include "client/faults.def"
#undef FAULT
};

static const struct fault *find(const char *error)
{
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		if (strcmp(faults[i].error, error) == 0)
			return &faults[i];
	}
	return NULL;
}

/* One line, whole: other programs may write to the same standard error. */
static void write_line(struct view text)
{
	struct buf line;

	buf_init(&line, TEXT_LIMIT);
	if (text_append_safe(&line, text) == 0) {
		struct view safe = buf_view(&line);
		(void)fprintf(stderr, "wpctl: %.*s\n", (int)safe.len, safe.len ? safe.data : "");
	} else {
		(void)fputs("wpctl: out of memory\n", stderr);
	}
	buf_done(&line);
}

int fault_say(int code, const char *fmt, ...)
{
	auto_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	write_line(view_of(text ? text : "out of memory"));
	return code;
}

int fault_no_memory(void)
{
	(void)fputs("wpctl: out of memory\n", stderr);
	return CODE_INTERNAL;
}

int fault_code(const char *error)
{
	const struct fault *fault = find(error);

	return fault ? (int)fault->code : CODE_TASK;
}

int fault_append_sentence(struct buf *out, const char *error, const json_t *params)
{
	const struct fault *fault = find(error);
	const char *dot = strrchr(error, '.');
	int r = buf_printf(out, "%s", dot ? dot + 1 : error);

	if (r == 0 && fault) {
		r = buf_append(out, ": ", 2);
		return r < 0 ? r : sentence_append(out, fault->sentence, params);
	}
	if (r == 0 && json_object_size(params) > 0) {
		r = buf_append(out, ": ", 2);
		return r < 0 ? r : json_write(params, out);
	}
	return r;
}

int fault_report(const char *error, const json_t *params)
{
	struct buf line;
	int code = fault_code(error);

	buf_init(&line, TEXT_LIMIT);
	if (fault_append_sentence(&line, error, params) == 0)
		write_line(buf_view(&line));
	else
		code = fault_no_memory();
	buf_done(&line);
	return code;
}
