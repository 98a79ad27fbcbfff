/*
 * config: the configuration from outside: Reload and Config.
 */
#include "api/config.h"

#include <errno.h>

#include "api/method.h"
#include "config/config_show.h"
#include "net/notify.h"
#include "net/reload.h"

struct reload_values {
	bool dry_run;
};

static const struct param reload_params[] = {
	{.name = "dry_run",
		.type = PARAM_BOOL,
		METHOD_FIELD(reload_values, dry_run),
		.text = "only tell what would change"},
};

static const char *const change_words[] = {[CHANGE_LIVE] = "live",
	[CHANGE_RESTART] = "restart",
	[CHANGE_POOL_NEW] = "new",
	[CHANGE_POOL_GONE] = "gone"};

static int add_change(void *user, const struct config_change *change)
{
	json_t *json = json_pack("{s:s, s:s*, s:s, s:s, s:s}", "section", change->section, "key",
		*change->key != '\0' ? change->key : NULL, "before", change->before, "after",
		change->after, "effect", change_words[change->kind]);

	return json_array_append_new(user, json) == 0 ? 0 : -ENOMEM;
}

static void reload_method_run(struct call *call)
{
	const struct reload_values *values = call->values;
	struct daemon *daemon = call->conn->daemon;
	char why[CONFIG_WHY_SIZE];
	json_t *changes;
	int r;

	if (daemon->board->stop != STOP_RUNNING) {
		call_refuse_stopping(call);
		return;
	}
	changes = json_array();
	if (!values->dry_run)
		notify_reloading(daemon->notify);
	r = reload_run(daemon, values->dry_run, add_change, changes, why);
	if (!values->dry_run)
		notify_reloaded(daemon->notify);
	if (r == 0) {
		call_reply(call, json_pack("{s:o}", "changes", changes));
		return;
	}
	json_decref(changes);
	if (r == -ENOMEM)
		call_refuse_internal(call, "out of memory");
	else
		call_refuse_config_invalid(call, why);
}

const struct method method_reload = {
	.interface = METHOD_INTERFACE,
	.name = "Reload",
	.role = ROLE_ADMIN,
	METHOD_PARAMS(reload_params, reload_values),
	.reply = "changes: []Change",
	.text = "Reads the configuration again. What is live changes without losing or delaying a "
		"task; a file with a mistake changes nothing.",
	.run = reload_method_run,
};

struct config_values {
	const char *section;
};

static const struct param config_params[] = {
	{.name = "section",
		.type = PARAM_STRING,
		METHOD_FIELD(config_values, section),
		.min = 1,
		.max = 2 * SETTINGS_NAME_MAX,
		.text = "only this one (\"pool mail\"), or this kind (\"pool\"); all if not given"},
};

static int add_shown(void *user, const struct config_shown *shown)
{
	json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:b}", "section", shown->section, "key",
		shown->key, "value", shown->value, "origin", shown->origin, "live", shown->is_live);

	return json_array_append_new(user, json) == 0 ? 0 : -ENOMEM;
}

static void config_method_run(struct call *call)
{
	const struct config_values *values = call->values;
	json_t *keys = json_array();
	int r = config_show_keys(call->conn->daemon->settings, values->section, add_shown, keys);

	if (r == 0) {
		call_reply(call, json_pack("{s:o}", "keys", keys));
		return;
	}
	json_decref(keys);
	if (r == -ENOENT)
		call_refuse_parameter(call, "section", "there is no section of this name");
	else
		call_refuse_internal(call, "out of memory");
}

const struct method method_config = {
	.interface = METHOD_INTERFACE,
	.name = "Config",
	.role = ROLE_ADMIN,
	.flags = METHOD_READS,
	METHOD_PARAMS(config_params, config_values),
	.reply = "keys: []Setting",
	.text = "The effective configuration: every key, its value, where it was said, and whether "
		"a reload is enough to change it. Secrets are not shown.",
	.run = config_method_run,
};

const char config_types[] =
	"# What a reload found changed. effect: live, restart (as it was until then), new or gone "
	"(a pool).\n"
	"type Change (section: string, key: ?string, before: string, after: string, effect: "
	"string)\n\n"
	"# A key of the configuration as it is in force. origin: FILE:LINE, or default.\n"
	"type Setting (section: string, key: string, value: string, origin: string, live: "
	"bool)\n\n";
