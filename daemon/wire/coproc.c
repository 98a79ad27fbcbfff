/*
 * coproc: see coproc.h. Called by host/h_coprocess.c. Invariants: what is taken says exactly one of the three things; a
 * result is the program's own bytes, so that its numbers stay as it wrote them.
 */
#include "wire/coproc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "wire/hostmsg.h"
#include "wire/json.h"
#include "wire/param.h"

#define TEXT_MAX (16 * 1024 * 1024) /* no bound of its own: the line has one */

struct said {
	int64_t id;
	int64_t permille;
	const char *note;
	const char *error;
	const json_t *result;
};

static const struct param params[] = {
	{.name = "id",
		.type = PARAM_INT,
		.flags = PARAM_REQUIRED,
		.offset = offsetof(struct said, id),
		.min = 1,
		.max = JSON_INT_LIMIT},
	{.name = "result", .type = PARAM_ANY, .offset = offsetof(struct said, result)},
	{.name = "error",
		.type = PARAM_STRING,
		.offset = offsetof(struct said, error),
		.max = TEXT_MAX},
	{.name = "permille",
		.type = PARAM_INT,
		.offset = offsetof(struct said, permille),
		.max = HOSTMSG_PERMILLE_MAX},
	{.name = "note",
		.type = PARAM_STRING,
		.offset = offsetof(struct said, note),
		.max = TEXT_MAX},
};

static int append(struct buf *out, struct view text)
{
	return buf_append(out, text.data, text.len);
}

static int append_number(struct buf *out, struct view name, uint64_t value)
{
	char digits[STR_U64_SIZE];
	size_t len = str_from_u64(value, digits);
	int r = append(out, name);

	return r == 0 ? buf_append(out, digits, len) : r;
}

/* Seconds with six decimals. */
static int append_deadline(struct buf *out, uint64_t wall_us)
{
	return wall_us == 0 ? append(out, VIEW_LIT("null"))
			    : buf_printf(out, "%" PRIu64 ".%06" PRIu64, wall_us / US_PER_SEC,
				      wall_us % US_PER_SEC);
}

int coproc_write_task(const struct coproc_task *task, struct buf *out)
{
	size_t before = buf_len(out);

	int r = append_number(out, VIEW_LIT("{\"id\":"), task->id);
	if (r == 0)
		r = append(out, VIEW_LIT(",\"handler\":"));
	if (r == 0)
		r = buf_append_json_string(out, task->handler.data, task->handler.len);
	if (r == 0)
		r = append_number(out, VIEW_LIT(",\"worker\":"), task->worker);
	if (r == 0)
		r = append_number(out, VIEW_LIT(",\"attempt\":"), task->attempt);
	if (r == 0)
		r = append(out, VIEW_LIT(",\"deadline\":"));
	if (r == 0)
		r = append_deadline(out, task->deadline_wall_us);
	if (r == 0)
		r = append(out, VIEW_LIT(",\"args\":"));
	if (r < 0)
		buf_truncate(out, before);
	return r;
}

/* The text of a member of the object that `line` is known to be; nothing: its name is written with escapes. */
struct cursor {
	struct view line;
	size_t at;
};

static void skip_blanks(struct cursor *cursor)
{
	while (cursor->at < cursor->line.len && strchr(" \t\r\n", cursor->line.data[cursor->at]))
		cursor->at++;
}

/* From an opening quote to behind the closing one: what is between them, as it stands there. */
static struct view take_string(struct cursor *cursor)
{
	const char *data = cursor->line.data;
	size_t begin = ++cursor->at;

	while (data[cursor->at] != '"')
		cursor->at += data[cursor->at] == '\\' ? 2 : 1;
	return (struct view){data + begin, cursor->at++ - begin};
}

/* Any value, up to the comma or bracket behind it. */
static struct view take_value(struct cursor *cursor)
{
	const char *data = cursor->line.data;
	size_t begin = cursor->at, end = begin, depth = 0;

	for (;;) {
		char c = data[cursor->at];
		if (depth == 0 && (c == ',' || c == '}'))
			return (struct view){data + begin, end - begin};
		if (c == '"') {
			(void)take_string(cursor);
		} else {
			depth += c == '[' || c == '{';
			depth -= c == ']' || c == '}';
			cursor->at++;
		}
		if (!strchr(" \t\r\n", c))
			end = cursor->at;
	}
}

static struct view find_member(struct view line, struct view name)
{
	struct cursor cursor = {.line = line};

	skip_blanks(&cursor);
	do {
		cursor.at++; /* the bracket, or a comma */
		skip_blanks(&cursor);
		struct view found = take_string(&cursor);
		skip_blanks(&cursor);
		cursor.at++; /* the colon */
		skip_blanks(&cursor);
		struct view value = take_value(&cursor);
		if (view_is_equal(found, name))
			return value;
	} while (line.data[cursor.at] == ',');
	return (struct view){NULL, 0};
}

static int take_result(struct view text, const json_t *result, struct coproc_line *line)
{
	line->type = COPROC_RESULT;
	line->result = find_member(text, VIEW_LIT("result"));
	if (line->result.len > 0)
		return 0;
	int r = json_write(result, &line->text);
	line->result = buf_view(&line->text);
	return r == -EMSGSIZE ? -ENOMEM : r;
}

static int refuse(char *ret_why, const char *why)
{
	(void)snprintf(ret_why, COPROC_WHY_SIZE, "%s", why);
	return -EBADMSG;
}

/* Which of the three; null is as good as nothing beside another one. */
static int take_said(struct view text, const struct said *said, struct coproc_line *line, char *why)
{
	const json_t *result = json_object_get(line->json, "result");
	bool is_error = said->error != NULL, is_progress = said->permille >= 0;
	bool is_result = said->result != NULL && !json_is_null(said->result);

	is_result |= result != NULL && !is_error && !is_progress;
	if (is_result + is_error + is_progress > 1)
		return refuse(why, "only one of result, error and permille can be said");
	if (is_result + is_error + is_progress == 0)
		return refuse(why, "result, error or permille is missing");
	if (said->note && !is_progress)
		return refuse(why, "note: goes with permille only");
	line->id = (uint64_t)said->id;
	if (is_result)
		return take_result(text, result, line);
	line->type = is_error ? COPROC_ERROR : COPROC_PROGRESS;
	line->error = view_of(said->error);
	line->permille = is_progress ? (uint32_t)said->permille : 0;
	line->note = said->note;
	return 0;
}

static int parse(struct view text, struct coproc_line *line, char *ret_why)
{
	char why[JSON_WHY_SIZE] = "", param_why[PARAM_WHY_SIZE];
	struct said said = {.permille = -1};
	const char *param;

	int r = json_parse_bounded(text, JSON_VALUES_LIMIT, &line->json, why);
	if (r == -EBADMSG)
		return refuse(ret_why, why);
	if (r < 0)
		return r;
	if (!json_is_object(line->json))
		return refuse(ret_why, "no object");
	if (param_read(line->json, params, ARRAY_SIZE(params), &said, &param, param_why) < 0) {
		(void)snprintf(ret_why, COPROC_WHY_SIZE, "%.64s: %s", param, param_why);
		str_make_safe(ret_why);
		return -EBADMSG;
	}
	return take_said(text, &said, line, ret_why);
}

int coproc_parse(struct view line, struct coproc_line *ret_line, char ret_why[COPROC_WHY_SIZE])
{
	struct coproc_line parsed = {.json = NULL};

	buf_init(&parsed.text, SIZE_MAX / 4);
	int r = parse(line, &parsed, ret_why);
	if (r < 0)
		coproc_done(&parsed);
	else
		*ret_line = parsed;
	return r;
}

void coproc_done(struct coproc_line *line)
{
	json_decref(take(line->json));
	buf_done(&line->text);
}
