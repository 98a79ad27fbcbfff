/*
 * fuzz_coproc: a line that is taken says one thing; its result is part of the line, or of the text that was made of it, and
 * equal to the member of that name; its texts are UTF-8. What is refused has a reason.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "wire/coproc.h"
#include "wire/hostmsg.h"
#include "wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

static void check_result(struct view text, const struct coproc_line *line)
{
	char why[JSON_WHY_SIZE];
	auto_json json_t *json = NULL;

	must(line->result.len > 0);
	must(json_parse(line->result, &json, why) == 0);
	must(json_equal(json, json_object_get(line->json, "result")));
	if (buf_len(&line->text) == 0)
		must(line->result.data >= text.data &&
			line->result.data + line->result.len <= text.data + text.len);
}

static void check_line(struct view text, const struct coproc_line *line)
{
	must(line->id >= 1 && line->id <= (uint64_t)JSON_INT_LIMIT);
	must((int64_t)line->id == json_integer_value(json_object_get(line->json, "id")));
	if (line->type == COPROC_RESULT)
		check_result(text, line);
	else if (line->type == COPROC_ERROR)
		must(line->error.data && str_is_utf8(line->error) &&
			line->error.data[line->error.len] == '\0');
	else
		must(line->type == COPROC_PROGRESS && line->permille <= HOSTMSG_PERMILLE_MAX &&
			(!line->note || str_is_utf8(view_of(line->note))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view text = {(const char *)data, size};
	char why[COPROC_WHY_SIZE] = "";
	struct coproc_line line;

	int r = coproc_parse(text, &line, why);
	must(r == 0 || r == -EBADMSG);
	if (r == 0) {
		must(why[0] == '\0');
		check_line(text, &line);
		coproc_done(&line);
	} else {
		must(why[0] != '\0' && strnlen(why, sizeof(why)) < sizeof(why));
		must(str_is_utf8(view_of(why)));
	}
	return 0;
}
