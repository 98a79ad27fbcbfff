/*
 * verb_config: the daemon's configuration: reload, config.
 */
#include <stdio.h>

#include "client/fault.h"
#include "client/json.h"
#include "client/verb.h"

static const struct print_column change_columns[] = {
	{"section", "section", PRINT_TEXT},
	{"key", "key", PRINT_TEXT},
	{"before", "before", PRINT_TEXT},
	{"after", "after", PRINT_TEXT},
	{"effect", "effect", PRINT_STATE},
};

static const struct print_column setting_columns[] = {
	{"section", "section", PRINT_TEXT},
	{"key", "key", PRINT_TEXT},
	{"value", "value", PRINT_TEXT},
	{"origin", "origin", PRINT_TEXT},
	{"live", "live", PRINT_YES},
};

int verb_reload(struct ctl *ctl)
{
	struct print_table table = PRINT_TABLE(change_columns);
	auto_reply struct link_reply reply = {0};
	json_t *dry_run = ctl->opts.is_dry_run ? json_true() : NULL;

	int code = link_call(&ctl->link, "Reload", json_pack("{s:o*}", "dry_run", dry_run), &reply);
	if (code)
		return code;
	if (ctl->print.is_json)
		return print_json(&ctl->print, reply.params);
	const json_t *changes = json_object_get(reply.params, "changes");
	if (json_array_size(changes) == 0 && ctl->print.is_terminal) {
		(void)puts("nothing has changed");
		return 0;
	}
	return print_rows(&ctl->print, &table, changes);
}

int verb_config(struct ctl *ctl)
{
	struct print_table table = PRINT_TABLE(setting_columns);
	auto_reply struct link_reply reply = {0};
	const char *section = ctl->n_names > 0 ? ctl->names[0] : NULL;

	int code = link_call(&ctl->link, "Config", json_pack("{s:s*}", "section", section), &reply);
	if (code)
		return code;
	if (ctl->print.is_json)
		return print_json(&ctl->print, reply.params);
	return print_rows(&ctl->print, &table, json_object_get(reply.params, "keys"));
}
