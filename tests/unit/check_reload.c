/*
 * check_reload: the effective settings and where each value was said; what differs between two, and what goes on after a
 * reload.
 */
#include <inttypes.h>

#include "config/config_show.h"
#include "config/keys.h"
#include "config/reload.h"
#include "config/section.h"
#include "config/value.h"
#include "config_fixture.h"

#define PLUGIN_HANDLER "[handler p]\ntype = plugin\nmodule = /p.so\n"
#define MONGO_HANDLER  "[handler m]\ntype = mongodb\n" SOME_MONGO

/* What was shown. */

/* Lines "[pool mail] workers = 3 <f:2> live". */
static int note_shown(void *user, const struct config_shown *shown)
{
	return buf_printf(user, "[%s] %s = %s <%s>%s\n", shown->section, shown->key, shown->value,
		shown->origin, shown->is_live ? " live" : "");
}

static char *shown_of(const struct settings *settings, const char *section)
{
	struct buf lines;
	char *text;

	buf_init(&lines, 1 << 20);
	ck_assert_int_eq(config_show_keys(settings, section, note_shown, &lines), 0);
	text = mem_dup(buf_view(&lines).data, buf_len(&lines));
	ck_assert_ptr_nonnull(text);
	buf_done(&lines);
	return text;
}

static void shows(const struct settings *settings, const char *section, const char *line)
{
	auto_free char *text = shown_of(settings, section);
	auto_free char *whole = NULL, *start = NULL;

	ck_assert_int_ge(asprintf(&start, "\n%s", text), 0);
	ck_assert_int_ge(asprintf(&whole, "\n%s\n", line), 0);
	ck_assert_msg(strstr(start, whole) != NULL, "no line \"%s\" in:\n%s", line, text);
}

START_TEST(test_show_says_value_origin_and_whether_it_is_live)
{
	struct settings *settings =
		load("[daemon]\nmax_output = 64K\n[mongodb]\nuri = mongodb://u:hunter2@h\n"
		     "[resource db]\nrate = 7\n[pool mail]\n\nworkers = 3/core\nwait_max = 90s\n"
		     "paused = yes\n[handler echo]\ntimeout = 0\n" MONGO_HANDLER PLUGIN_HANDLER
		     "size = 7\nnice = no number\n");
	auto_free char *all = shown_of(settings, NULL);

	shows(settings, NULL, "[daemon] max_output = 64K <f:2> live");
	shows(settings, "daemon", "[daemon] max_message = 1M <default>");
	shows(settings, NULL, "[mongodb] uri = *** <f:4>");
	shows(settings, "resource", "[resource db] rate = 7 <f:6> live");
	shows(settings, "resource db", "[resource db] burst = 1 <default> live");
	shows(settings, "pool", "[pool default] capacity = 100 <default> live");
	shows(settings, "pool mail", "[pool mail] workers = 3/core <f:9> live");
	shows(settings, "pool mail", "[pool mail] wait_max = 90s <f:10> live");
	shows(settings, "pool mail", "[pool mail] paused = yes <f:11>");
	shows(settings, "handler echo", "[handler echo] type = builtin <default>");
	shows(settings, "handler echo", "[handler echo] timeout = 0s <f:13> live");
	shows(settings, "handler m", "[handler m] database = d <f:17>");
	shows(settings, "handler p", "[handler p] module = /p.so <f:21>");
	shows(settings, "handler p", "[handler p] symbol = workpool_handler <default>");
	shows(settings, "handler p", "[handler p] size = 7 <f:22>");
	shows(settings, "handler p", "[handler p] nice = no number <f:23>");
	ck_assert_ptr_null(strstr(all, "hunter2"));
	ck_assert_ptr_null(strstr(all, "[handler echo] command"));
	ck_assert_ptr_null(strstr(all, "[handler m] command"));
	ck_assert_ptr_null(strstr(all, "[access]")); /* an empty one would take rights away */
	settings_free(settings);
}
END_TEST

START_TEST(test_show_knows_sections_by_kind_and_name)
{
	struct settings *settings = load("[pool mail]\n[access]\nadmin = root\n");
	auto_free char *mail = shown_of(settings, "pool mail");
	auto_free char *none = shown_of(settings, "resource");
	struct buf lines;

	ck_assert_ptr_null(strstr(mail, "[pool default]"));
	ck_assert_str_eq(none, "");
	shows(settings, "access", "[access] admin = root <f:3> live");
	shows(settings, "access", "[access] post =  <default> live");
	buf_init(&lines, 1 << 20);
	ck_assert_int_eq(config_show_keys(settings, "pool x", note_shown, &lines), -ENOENT);
	ck_assert_int_eq(config_show_keys(settings, "mail", note_shown, &lines), -ENOENT);
	ck_assert_int_eq(config_show_keys(settings, "", note_shown, &lines), -ENOENT);
	ck_assert_uint_eq(buf_len(&lines), 0);
	buf_done(&lines);
	buf_init(&lines, 40); /* what the callback gives ends it */
	ck_assert_int_eq(config_show_keys(settings, NULL, note_shown, &lines), -EMSGSIZE);
	buf_done(&lines);
	settings_free(settings);
}
END_TEST

/* Each key by itself: its text is shown with the line that holds it. */
START_TEST(test_show_has_every_key)
{
	struct settings *settings = load(SOME_URI
		"[access]\n[resource r]\n[handler x]\ntype = exec\n" SOME_COMMAND
		"[handler c]\ntype = coprocess\n" SOME_COMMAND MONGO_HANDLER PLUGIN_HANDLER);
	auto_free char *all = shown_of(settings, NULL);
	size_t n;
	const struct config_key *keys = keys_table(&n);

	for (size_t i = 0; i < n; i++) {
		static const char *const titles[CONFIG_SCOPES] = {"daemon", "access", "store",
			"mongodb", "resource r", "pool default", "handler x"};
		const char *title = titles[keys[i].scope];
		char line[128];

		if (keys[i].scope == CONFIG_HANDLER && (keys[i].types & CONFIG_EXEC) == 0)
			title = keys[i].types == CONFIG_COPROCESS     ? "handler c"
				: (keys[i].types & CONFIG_MONGO) != 0 ? "handler m"
								      : "handler p";
		(void)snprintf(line, sizeof(line), "[%s] %s = ", title, keys[i].name);
		ck_assert_msg(strstr(all, line) != NULL, "%s", line);
	}
	settings_free(settings);
}
END_TEST

START_TEST(test_show_names_the_last_file_and_what_is_no_file)
{
	struct settings *settings;
	char line[512];

	put("main", "[pool a]\nworkers = 1\ncapacity = 7\n" MONGO_HANDLER, 0600);
	ck_assert_int_eq(mkdir(path_of("conf.d"), 0755), 0);
	put("conf.d/1.conf", "\n[pool a]\nworkers = 2\n", 0600);
	put("mongodb-uri", "mongodb://u:hunter2@credential\n", 0400);
	ck_assert_int_eq(setenv("WORKPOOL_MONGODB_URI", "mongodb://env", 1), 0);
	settings = load_file("main");
	shows(settings, NULL, "[mongodb] uri = *** <environment>");
	(void)snprintf(
		line, sizeof(line), "[pool a] workers = 2 <%s:3> live", path_of("conf.d/1.conf"));
	shows(settings, NULL, line);
	(void)snprintf(line, sizeof(line), "[pool a] capacity = 7 <%s:3> live", path_of("main"));
	shows(settings, NULL, line);
	settings_free(settings);
	ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
	settings = load_file("main");
	shows(settings, NULL, "[mongodb] uri = *** <credential>");
	settings_free(settings);
}
END_TEST

/* What differs. */

/* Lines "restart [handler x] pool: default -> mail". */
static int note_change(void *user, const struct config_change *change)
{
	static const char *const kinds[] = {"live", "restart", "new", "gone"};

	return buf_printf(user, "%s [%s] %s: %s -> %s\n", kinds[change->kind], change->section,
		change->key, change->before, change->after);
}

static void differ(const struct settings *old, const struct settings *new, const char *expected)
{
	struct buf lines;

	buf_init(&lines, 1 << 20);
	ck_assert_int_eq(config_diff(old, new, note_change, &lines), 0);
	ck_assert_int_eq(buf_append(&lines, "", 1), 0);
	ck_assert_str_eq(buf_view(&lines).data, expected);
	buf_done(&lines);
}

static void texts_differ(const char *before, const char *after, const char *expected)
{
	struct settings *old = load(before), *new = load(after);

	differ(old, new, expected);
	settings_free(old);
	settings_free(new);
}

START_TEST(test_diff_tells_each_change_once)
{
	texts_differ("", "", "");
	texts_differ("[pool default]\nworkers = 3/core\n", "[daemon]\n[pool default]\n", "");
	texts_differ("[daemon]\nlog_level = debug\nsocket = /a\n[pool mail]\nworkers = 3\n",
		"[pool mail]\nworkers = 3/core\npaused = yes\n[daemon]\nsocket = /b\n",
		"restart [daemon] socket: /a -> /b\n"
		"live [daemon] log_level: debug -> info\n"
		"live [pool mail] workers: 3 -> 3/core\n"
		"restart [pool mail] paused: no -> yes\n");
	texts_differ("[handler echo]\nexpires = 90s\n", "[handler echo]\nexpires = 1500ms\n",
		"live [handler echo] expires: 90s -> 1500ms\n");
	texts_differ("[mongodb]\nuri = mongodb://u:hunter2@h\n",
		"[mongodb]\nuri = mongodb://u:hunter3@h\n", "restart [mongodb] uri: *** -> ***\n");
	texts_differ("[handler x]\ntype = exec\n" SOME_COMMAND,
		SOME_URI "[handler x]\ntype = mongodb\n" SOME_MONGO,
		"restart [mongodb] uri:  -> ***\n"
		"restart [handler x] type: exec -> mongodb\n"
		"restart [handler x] command: /bin/true -> \n"
		"restart [handler x] operation:  -> find\n"
		"restart [handler x] database:  -> d\n"
		"restart [handler x] collection:  -> c\n");
	texts_differ(PLUGIN_HANDLER "a = 1\nb = 2\nc = 3\n", PLUGIN_HANDLER "d = 4\nc = 5\na = 1\n",
		"restart [handler p] b: 2 -> \nrestart [handler p] c: 3 -> 5\n"
		"restart [handler p] d:  -> 4\n");
	texts_differ("[handler x]\ntype = exec\n" SOME_COMMAND "nice = 5\n",
		"[handler x]\nnice = 6\ntype = plugin\nmodule = /x.so\n",
		"restart [handler x] type: exec -> plugin\n"
		"restart [handler x] command: /bin/true -> \n"
		"restart [handler x] nice: 5 -> 0\n"
		"restart [handler x] module:  -> /x.so\n"
		"restart [handler x] nice:  -> 6\n");
}
END_TEST

START_TEST(test_diff_tells_sections_that_came_and_went)
{
	texts_differ("[pool a]\nworkers = 1\n[pool b]\n[resource r]\nrate = 1\n[handler x]\n"
		     "type = exec\n" SOME_COMMAND,
		"[resource s]\n[pool c]\n[pool b]\n[access]\n[handler y]\ntype = "
		"exec\n" SOME_COMMAND,
		"live [access] : absent -> present\n"
		"restart [resource r] : present -> absent\n"
		"restart [resource s] : absent -> present\n"
		"gone [pool a] : present -> absent\n"
		"new [pool c] : absent -> present\n"
		"restart [handler x] : present -> absent\n"
		"restart [handler y] : absent -> present\n");
	texts_differ("[access]\nadmin = root\n", "",
		"live [access] : present -> absent\n"
		"live [access] admin: root -> \n");
	texts_differ("[pool default]\nworkers = 1\n", "", /* default is always there */
		"live [pool default] workers: 1 -> 3/core\n");
}
END_TEST

START_TEST(test_diff_ends_with_what_the_callback_gave)
{
	struct settings *old = load(""), *new = load("[pool a]\n");
	struct buf lines;

	buf_init(&lines, 4);
	ck_assert_int_eq(config_diff(old, new, note_change, &lines), -EMSGSIZE);
	buf_done(&lines);
	settings_free(old);
	settings_free(new);
}
END_TEST

/* What goes on. */

/* The settings that go on after `text`; gives `old` back. */
static struct settings *apply(struct settings *old, const char *text)
{
	struct settings *new = load(text);
	int r = config_apply_live(new, old, why);

	ck_assert_msg(r == 0, "%s: %s", text, why);
	ck_assert_str_eq(why, "");
	settings_free(old);
	return new;
}

static void apply_fails(const char *before, const char *after, const char *expected)
{
	struct settings *old = load(before), *new = load(after), *same = load(after);

	ck_assert_int_eq(config_apply_live(new, old, why), -EINVAL);
	ck_assert_str_eq(why, expected);
	differ(new, same, ""); /* on a failure nothing has changed */
	settings_free(old);
	settings_free(new);
	settings_free(same);
}

START_TEST(test_apply_takes_live_keys_and_keeps_the_others)
{
	struct settings *settings =
		load("[daemon]\nsocket = /a\nlog_level = debug\n[handler x]\ntype = exec\n"
		     "command = /bin/a\ntimeout = 1s\nretries = 1\n");

	settings = apply(settings,
		"# one line more\n[handler x]\ntype = exec\n\ncommand = /bin/b\ntimeout = 2s\n"
		"[daemon]\nsocket = /b\nhistory_max = 7\n");
	shows(settings, NULL, "[daemon] socket = /a <f:2>");
	shows(settings, NULL, "[daemon] log_level = info <default> live");
	shows(settings, NULL, "[daemon] history_max = 7 <f:9> live");
	shows(settings, NULL, "[handler x] command = /bin/a <f:6>");
	shows(settings, NULL, "[handler x] timeout = 2s <f:6> live");
	shows(settings, NULL, "[handler x] retries = 0 <default> live");
	settings = apply(settings, "[access]\nadmin = root\n"); /* x stays, though in no file */
	shows(settings, NULL, "[access] admin = root <f:2> live");
	shows(settings, NULL, "[daemon] socket = /a <f:2>");
	shows(settings, NULL, "[daemon] history_max = 10000 <default> live");
	shows(settings, NULL, "[handler x] timeout = 2s <f:6> live");
	ck_assert(settings->access.given);
	settings = apply(settings, "");
	ck_assert(!settings->access.given);
	settings_free(settings);
	settings = apply(load(PLUGIN_HANDLER "a = 1\nretries = 1\n"),
		"\n" PLUGIN_HANDLER "a = 2\nb = 3\nretries = 2\n");
	shows(settings, NULL, "[handler p] a = 1 <f:4>");
	shows(settings, NULL, "[handler p] retries = 2 <f:7> live");
	settings = apply(settings, "");
	differ(settings, settings, "");
	shows(settings, NULL, "[handler p] a = 1 <f:4>");
	settings_free(settings);
}
END_TEST

START_TEST(test_apply_keeps_handlers_and_resources_in_place)
{
	struct settings *settings =
		load("[resource r1]\n[resource r2]\nrate = 1\n[handler x]\ntype = exec\n"
		     "resources = r2\n" SOME_COMMAND
		     "[handler y]\ntype = exec\nretries = 3\n" SOME_COMMAND
		     "[handler echo]\nresources = r1, r2\n");
	const struct settings_handler *handler;

	settings = apply(settings,
		"[resource r3]\n[resource r2]\nrate = 2\n[handler z]\ntype = exec\n" SOME_COMMAND
		"[handler x]\ntype = exec\nresources = r3\n" SOME_COMMAND);
	ck_assert_uint_eq(settings->n_resources, 2);
	ck_assert_str_eq(settings->resources[0].name, "r1");
	ck_assert_str_eq(settings->resources[1].name, "r2");
	ck_assert_uint_eq(settings->resources[1].rate, 2);
	ck_assert_uint_eq(settings->n_handlers, 6);
	ck_assert_str_eq(settings->handlers[1].name, "echo");
	ck_assert_str_eq(settings->handlers[4].name, "x");
	ck_assert_str_eq(settings->handlers[5].name, "y");
	ck_assert_uint_eq(settings->handlers[5].retries, 3);
	handler = settings_find_handler(settings, "x");
	ck_assert_str_eq(handler->resources, "r2");
	ck_assert_uint_eq(handler->n_resources, 1);
	ck_assert_uint_eq(handler->resource_at[0], 1);
	handler = settings_find_handler(settings, "echo");
	ck_assert_uint_eq(handler->n_resources, 2);
	ck_assert_uint_eq(handler->resource_at[0], 0);
	ck_assert_uint_eq(handler->resource_at[1], 1);
	settings_free(settings);
}
END_TEST

START_TEST(test_apply_lets_pools_come_leave_and_come_back)
{
	struct settings *settings = load("[pool a]\nworkers = 1\n[pool b]\n"), *again;

	settings = apply(settings, "[pool c]\n[pool b]\ncapacity = 7\npaused = yes\n");
	ck_assert_uint_eq(settings->n_pools, 4);
	ck_assert_str_eq(settings->pools[0].name, "default");
	ck_assert_str_eq(settings->pools[1].name, "a");
	ck_assert(settings->pools[1].leaving);
	ck_assert_uint_eq(settings->pools[1].workers.number, 1);
	ck_assert_str_eq(settings->pools[2].name, "b");
	ck_assert(!settings->pools[2].leaving);
	ck_assert_uint_eq(settings->pools[2].capacity, 7);
	ck_assert(!settings->pools[2].paused);
	ck_assert_str_eq(settings->pools[3].name, "c");
	again = load("[pool a]\npaused = yes\n[pool c]\n");
	differ(settings, again,
		"gone [pool b] : present -> absent\n"
		"new [pool a] : absent -> present\n");
	settings_free(again);
	again = load("[pool b]\ncapacity = 7\n[pool c]\n");
	differ(settings, again, ""); /* that a is gone was told once */
	settings_free(again);
	ck_assert_int_eq(config_show_keys(settings, "pool a", note_shown, NULL), -ENOENT);
	settings = apply(settings, "[pool a]\npaused = yes\n[pool c]\n");
	ck_assert_uint_eq(settings->n_pools, 4);
	ck_assert(!settings->pools[1].leaving && settings->pools[1].paused);
	ck_assert(settings->pools[1].workers.per_core);
	ck_assert(settings->pools[2].leaving && !settings->pools[3].leaving);
	shows(settings, "pool a", "[pool a] paused = yes <f:2>");
	settings_free(settings);
}
END_TEST

START_TEST(test_apply_refuses_what_kept_keys_do_not_go_with)
{
	static const char x[] =
		"[pool mail]\n[handler x]\ntype = exec\n" SOME_COMMAND "pool = mail\n";
	static const char r[] = "[resource r]\nmax_active = 2\n[handler echo]\nresources = r\n";

	apply_fails(x, "\n[handler x]\ntype = exec\n" SOME_COMMAND "pool = default\n",
		"f:5: [handler x] pool: \"mail\": there is no section [pool mail], which this "
		"handler keeps until a restart");
	apply_fails(x, "",
		"f: [handler x] pool: \"mail\": there is no section [pool mail], which this "
		"handler keeps until a restart");
	apply_fails("[pool mail]\n[handler echo]\npool = mail\n", "",
		"f: [handler echo] pool: \"mail\": there is no section [pool mail], which this "
		"handler keeps until a restart");
	apply_fails(r, "[handler echo]\nweight = 3\n",
		"f:2: [handler echo] weight: \"3\": more than max_active of [resource r], which "
		"is 2 and which this handler keeps until a restart");
	apply_fails("[handler echo]\nmax_output = 256K\n", "[daemon]\n\nmax_output = 64K\n",
		"f:3: [daemon] max_output: \"64K\": less than max_output of [handler echo], which "
		"is 256K until a restart");
}
END_TEST

START_TEST(test_apply_has_room_for_as_many_pools_as_there_can_be)
{
	struct settings *settings, *new;
	struct buf text;

	buf_init(&text, 1 << 20);
	for (int i = 1; i < SETTINGS_POOLS_MAX; i++)
		ck_assert_int_eq(buf_printf(&text, "[pool p%d]\n", i), 0);
	ck_assert_int_eq(buf_append(&text, "", 1), 0);
	settings = apply(load(buf_view(&text).data), "[pool p7]\n");
	new = load("\n[pool one-more]\n");
	ck_assert_int_eq(config_apply_live(new, settings, why), -EINVAL);
	ck_assert_str_eq(
		why, "f:2: [pool one-more]: too many pools, with those that stay until a restart");
	settings_free(new);
	settings = apply(settings, buf_view(&text).data);
	for (size_t i = 0; i < settings->n_pools; i++)
		ck_assert(!settings->pools[i].leaving);
	buf_done(&text);
	settings_free(settings);
}
END_TEST

START_TEST(test_apply_names_the_files_of_both_sides)
{
	struct settings *old, *new;
	char line[512];

	put("main", "[daemon]\nsocket = /a\nmax_active = 1\n", 0600);
	ck_assert_int_eq(mkdir(path_of("conf.d"), 0755), 0);
	put("conf.d/1.conf", "[daemon]\nmax_message = 64K\n" MONGO_HANDLER SOME_URI, 0600);
	old = load_file("main");
	ck_assert_int_eq(unlink(path_of("conf.d/1.conf")), 0);
	put("main", "[daemon]\n\nmax_active = 2\n" MONGO_HANDLER, 0600);
	put("conf.d/2.conf", "[daemon]\n\n\nhistory_max = 5\n", 0600);
	ck_assert_int_eq(setenv("WORKPOOL_MONGODB_URI", "mongodb://env", 1), 0);
	new = load_file("main");
	ck_assert_int_eq(config_apply_live(new, old, why), 0);
	settings_free(old);
	(void)snprintf(line, sizeof(line), "[daemon] socket = /a <%s:2>", path_of("main"));
	shows(new, NULL, line);
	(void)snprintf(line, sizeof(line), "[daemon] max_active = 2 <%s:3> live", path_of("main"));
	shows(new, NULL, line);
	(void)snprintf(
		line, sizeof(line), "[daemon] max_message = 64K <%s:2>", path_of("conf.d/1.conf"));
	shows(new, NULL, line);
	(void)snprintf(line, sizeof(line), "[daemon] history_max = 5 <%s:4> live",
		path_of("conf.d/2.conf"));
	shows(new, NULL, line);
	(void)snprintf(line, sizeof(line), "[mongodb] uri = *** <%s:9>", path_of("conf.d/1.conf"));
	shows(new, NULL, line);
	ck_assert_str_eq(new->mongodb.uri, "mongodb://h");
	settings_free(new);
}
END_TEST

/* A value that is not the default; false: there is only one. */
static bool other_value(const struct config_key *key, char ret_value[64])
{
	const char *last = key->words != NULL ? strrchr(key->words, ' ') : NULL;

	switch (key->type) {
	case CONFIG_BOOL:
		(void)snprintf(ret_value, 64, strcmp(key->initial, "yes") == 0 ? "no" : "yes");
		return true;
	case CONFIG_ENUM:
	case CONFIG_WORD:
		(void)snprintf(ret_value, 64, "%s", last != NULL ? last + 1 : "");
		return last != NULL;
	case CONFIG_DURATION:
		(void)snprintf(ret_value, 64, "%" PRId64 "us", key->max);
		return true;
	case CONFIG_OCTAL:
		(void)snprintf(ret_value, 64, "%" PRIo64, (uint64_t)key->max);
		return true;
	case CONFIG_INT:
	case CONFIG_U64:
	case CONFIG_BYTES:
	case CONFIG_WORKERS:
		(void)snprintf(ret_value, 64, "%" PRId64, key->max);
		return true;
	case CONFIG_JSON:
		(void)snprintf(ret_value, 64, "{\"other\": 1}");
		return true;
	case CONFIG_URI:
		(void)snprintf(ret_value, 64, "mongodb://other");
		return true;
	case CONFIG_ENVIRONMENT:
		(void)snprintf(ret_value, 64, "OTHER=1");
		return true;
	case CONFIG_PATH:
	case CONFIG_PATHS:
	case CONFIG_COMMAND:
		(void)snprintf(ret_value, 64, "/other");
		return true;
	default:
		(void)snprintf(ret_value, 64, "r");
		return true;
	}
}

static const void *base_of(const struct settings *settings, const struct config_key *key)
{
	size_t at;

	ck_assert_int_eq(section_find(settings, key->scope, "r", &at), 0);
	return section_const_base(settings, key->scope, at);
}

/* One key differs: it is told once, and goes on if it is live. */
static void check_key(const struct config_key *key, const char *text, const char *value)
{
	struct settings *old = load(text), *new = load(text);
	bool is_live = (key->flags & CONFIG_LIVE) != 0;
	void *base = (void *)(uintptr_t)base_of(new, key);
	struct buf lines;
	char head[128];

	ck_assert_int_eq(value_set(key, base, value), 0);
	ck_assert(!value_is_equal(key, base_of(old, key), base_of(new, key)));
	buf_init(&lines, 1 << 16);
	ck_assert_int_eq(config_diff(old, new, note_change, &lines), 0);
	ck_assert_int_eq(buf_append(&lines, "", 1), 0);
	(void)snprintf(head, sizeof(head), "%s [%s%s] %s: ", is_live ? "live" : "restart",
		keys_scope_name(key->scope), keys_scope_is_named(key->scope) ? " r" : "",
		key->name);
	ck_assert_msg(strncmp(buf_view(&lines).data, head, strlen(head)) == 0, "%s is not %s",
		buf_view(&lines).data, head);
	ck_assert_ptr_eq(strchr(buf_view(&lines).data, '\n'),
		buf_view(&lines).data + buf_len(&lines) - 2); /* one line */
	buf_done(&lines);
	ck_assert_msg(config_apply_live(new, old, why) == 0, "%s: %s", key->name, why);
	ck_assert_msg(value_is_equal(key, base_of(old, key), base_of(new, key)) == !is_live, "%s",
		key->name);
	settings_free(old);
	settings_free(new);
}

START_TEST(test_reload_of_every_key)
{
	size_t n, checked = 0;
	const struct config_key *keys = keys_table(&n);

	for (size_t i = 0; i < n; i++) {
		char value[64];

		if (!other_value(&keys[i], value))
			continue;
		check_key(&keys[i],
			SOME_URI "[resource r]\n[pool r]\n[handler r]\ntype = exec\n" SOME_COMMAND,
			value);
		checked++;
	}
	ck_assert_uint_eq(checked, n);
}
END_TEST

static Suite *reload_suite(void)
{
	Suite *suite = suite_create("reload");
	TCase *show = tcase_create("show");
	TCase *diff = tcase_create("diff");
	TCase *apply_live = tcase_create("apply");

	tcase_add_checked_fixture(show, folder_setup, folder_teardown);
	tcase_add_test(show, test_show_says_value_origin_and_whether_it_is_live);
	tcase_add_test(show, test_show_knows_sections_by_kind_and_name);
	tcase_add_test(show, test_show_has_every_key);
	tcase_add_test(show, test_show_names_the_last_file_and_what_is_no_file);
	suite_add_tcase(suite, show);

	tcase_add_test(diff, test_diff_tells_each_change_once);
	tcase_add_test(diff, test_diff_tells_sections_that_came_and_went);
	tcase_add_test(diff, test_diff_ends_with_what_the_callback_gave);
	suite_add_tcase(suite, diff);

	tcase_add_checked_fixture(apply_live, folder_setup, folder_teardown);
	tcase_add_test(apply_live, test_apply_takes_live_keys_and_keeps_the_others);
	tcase_add_test(apply_live, test_apply_keeps_handlers_and_resources_in_place);
	tcase_add_test(apply_live, test_apply_lets_pools_come_leave_and_come_back);
	tcase_add_test(apply_live, test_apply_refuses_what_kept_keys_do_not_go_with);
	tcase_add_test(apply_live, test_apply_has_room_for_as_many_pools_as_there_can_be);
	tcase_add_test(apply_live, test_apply_names_the_files_of_both_sides);
	tcase_add_test(apply_live, test_reload_of_every_key);
	suite_add_tcase(suite, apply_live);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(reload_suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
