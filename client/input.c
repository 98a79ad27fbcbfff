/*
 * input: arguments of tasks and parameters of calls. Called by post, bench and call.
 */
#include "client/input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "client/fault.h"
#include "client/json.h"

int input_read_object(const char *text, const char *what, json_t **ret_object)
{
	char why[JSON_WHY_SIZE];
	auto_free char *data = NULL;
	auto_json json_t *json = NULL;
	struct view view = view_of(text);

	if (strcmp(text, "-") == 0) {
		int r = fd_read_all(STDIN_FILENO, INPUT_LIMIT, &data, &view.len);
		if (r < 0)
			return fault_say(CODE_USAGE, "%s: standard input: %s", what, strerror(-r));
		view.data = data;
	}
	int r = json_parse(view, &json, why);
	if (r == -ENOMEM)
		return fault_no_memory();
	if (r < 0)
		return fault_say(CODE_USAGE, "%s: %s", what, why);
	if (!json_is_object(json))
		return fault_say(CODE_USAGE, "%s: a JSON object is wanted, as {\"key\":1}", what);
	*ret_object = take(json);
	return 0;
}
