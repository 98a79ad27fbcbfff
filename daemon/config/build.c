/*
 * build: see build.h.
 */
#include "config/build.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "config/lines.h"
#include "config/value.h"

#define SHOWN_FILE_MAX  160 /* bytes of a file's name in a message: its end counts */
#define SHOWN_KEY_MAX   50
#define SHOWN_VALUE_MAX 60

static const char *const builtins[BUILD_BUILTINS] = {"noop", "echo", "sleep", "fail"};

void *build_base(const struct build *build, enum config_scope scope, size_t at)
{
	struct settings *settings = build->settings;

	switch (scope) {
	case CONFIG_DAEMON:
		return &settings->daemon;
	case CONFIG_ACCESS:
		return &settings->access;
	case CONFIG_STORE:
		return &settings->store;
	case CONFIG_MONGODB:
		return &settings->mongodb;
	case CONFIG_RESOURCE:
		return &settings->resources[at];
	case CONFIG_POOL:
		return &settings->pools[at];
	case CONFIG_HANDLER:
		return &settings->handlers[at];
	case CONFIG_SCOPES:
		break;
	}
	return NULL;
}

/* Messages. */

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

int build_refuse_file(char *why, int error, const char *file, const char *reason)
{
	why[0] = '\0';
	say_file(why, file);
	say(why, ": %s", reason);
	return error;
}

static const char *section_name(const struct build *build, const struct build_section *section)
{
	if (section->scope == CONFIG_RESOURCE)
		return build->settings->resources[section->at].name;
	if (section->scope == CONFIG_POOL)
		return build->settings->pools[section->at].name;
	if (section->scope == CONFIG_HANDLER)
		return build->settings->handlers[section->at].name;
	return NULL;
}

int build_refuse(struct build *build, int error, struct build_origin origin,
	const struct build_section *section, const char *key, const char *value, const char *fmt,
	...)
{
	char *why = build->why;
	char reason[CONFIG_WHY_SIZE];
	va_list args;

	why[0] = '\0';
	say_file(why, build->files[origin.file]);
	say(why, ":%u: ", (unsigned)origin.line);
	if (section != NULL) {
		const char *name = section_name(build, section);

		say(why, "[%s%s%s]", keys_scope_name(section->scope), name != NULL ? " " : "",
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
	va_start(args, fmt);
	(void)vsnprintf(reason, sizeof(reason), fmt, args); /* cut is good enough */
	va_end(args);
	say(why, "%s", reason);
	return error;
}

int build_refuse_value(struct build *build, struct build_origin origin,
	const struct build_section *section, const struct config_key *key, const char *value)
{
	struct buf range;
	int r;

	buf_init(&range, CONFIG_WHY_SIZE);
	r = value_write_range(key, &range);
	if (r == 0)
		r = build_refuse(build, -EINVAL, origin, section, key->name,
			(key->flags & CONFIG_SECRET) != 0 ? NULL : value, "%.*s",
			(int)buf_len(&range), buf_view(&range).data);
	buf_done(&range);
	return r;
}

/* Resources, pools, handlers and sections. */

static int set_defaults(const struct build *build, enum config_scope scope, size_t at)
{
	size_t n;
	const struct config_key *keys = keys_table(&n);

	for (size_t i = 0; i < n; i++) {
		int r = 0;

		if (keys[i].scope == scope)
			r = value_set(&keys[i], build_base(build, scope, at), keys[i].initial);
		if (r < 0)
			return r;
	}
	return 0;
}

/* An array of n structs with room for one more, whose name is a copy of `name`. -E2BIG: max are too
 * many. On failure the array is what it was. */
static int make_room(
	void **array, size_t n, size_t max, size_t size, const char *name, char **ret_copy)
{
	auto_free char *copy = NULL;
	void *larger;

	if (n == max)
		return -E2BIG;
	copy = strdup(name);
	if (copy == NULL)
		return -ENOMEM;
	larger = reallocarray(*array, n + 1, size);
	if (larger == NULL)
		return -ENOMEM;
	*array = larger;
	*ret_copy = take(copy);
	return 0;
}

/* A new section's struct at its defaults. From its name on settings_free() sees to it. */
static int add_resource(struct build *build, const char *name)
{
	struct settings *settings = build->settings;
	size_t n = settings->n_resources;
	void *array = settings->resources;
	char *copy;
	int r = make_room(
		&array, n, SETTINGS_RESOURCES_MAX, sizeof(*settings->resources), name, &copy);

	if (r < 0)
		return r;
	settings->resources = array;
	settings->resources[n] = (struct settings_resource){.name = copy};
	settings->n_resources++;
	return set_defaults(build, CONFIG_RESOURCE, n);
}

static int add_pool(struct build *build, const char *name)
{
	struct settings *settings = build->settings;
	size_t n = settings->n_pools;
	void *array = settings->pools;
	char *copy;
	int r = make_room(&array, n, SETTINGS_POOLS_MAX, sizeof(*settings->pools), name, &copy);

	if (r < 0)
		return r;
	settings->pools = array;
	settings->pools[n] = (struct settings_pool){.name = copy};
	settings->n_pools++;
	return set_defaults(build, CONFIG_POOL, n);
}

static int add_handler(struct build *build, const char *name)
{
	struct settings *settings = build->settings;
	size_t n = settings->n_handlers;
	void *array = settings->handlers;
	char *copy;
	int r = make_room(
		&array, n, SETTINGS_HANDLERS_MAX, sizeof(*settings->handlers), name, &copy);

	if (r < 0)
		return r;
	settings->handlers = array;
	settings->handlers[n] = (struct settings_handler){.name = copy};
	settings->n_handlers++;
	return set_defaults(build, CONFIG_HANDLER, n);
}

/* The place of a named section's struct; -ENOENT: it is not there. */
static int find_place(
	const struct settings *settings, enum config_scope scope, const char *name, size_t *ret_at)
{
	if (scope == CONFIG_RESOURCE) {
		const struct settings_resource *resource = settings_find_resource(settings, name);

		if (resource == NULL)
			return -ENOENT;
		*ret_at = (size_t)(resource - settings->resources);
	} else if (scope == CONFIG_POOL) {
		const struct settings_pool *pool = settings_find_pool(settings, name);

		if (pool == NULL)
			return -ENOENT;
		*ret_at = (size_t)(pool - settings->pools);
	} else if (scope == CONFIG_HANDLER) {
		const struct settings_handler *handler = settings_find_handler(settings, name);

		if (handler == NULL)
			return -ENOENT;
		*ret_at = (size_t)(handler - settings->handlers);
	} else {
		*ret_at = 0;
	}
	return 0;
}

/* As find_place(), but the struct is made if it is not there yet. */
static int make_place(
	struct build *build, enum config_scope scope, const char *name, size_t *ret_at)
{
	int r = find_place(build->settings, scope, name, ret_at);

	if (r != -ENOENT)
		return r;
	if (scope == CONFIG_RESOURCE)
		r = add_resource(build, name);
	else if (scope == CONFIG_POOL)
		r = add_pool(build, name);
	else
		r = add_handler(build, name);
	return r == 0 ? find_place(build->settings, scope, name, ret_at) : r;
}

/* Makes build->current the section of scope and place, a new one if it is the first time. -ENOMEM.
 */
static int enter_section(struct build *build, enum config_scope scope, size_t at)
{
	struct build_section *sections = build->sections;

	for (size_t i = 0; i < build->n_sections; i++) {
		if (sections[i].scope == scope && sections[i].at == at) {
			build->current = i;
			return 0;
		}
	}
	if (build->n_sections == build->cap_sections) {
		size_t cap = build->cap_sections > 0 ? build->cap_sections * 2 : 8;

		sections = reallocarray(sections, cap, sizeof(*sections));
		if (sections == NULL)
			return -ENOMEM;
		build->sections = sections;
		build->cap_sections = cap;
	}
	sections[build->n_sections] = (struct build_section){.scope = scope, .at = at};
	build->current = build->n_sections++;
	return 0;
}

static struct build_origin here(const struct build *build, uint32_t line)
{
	return (struct build_origin){.line = line, .file = build->n_files - 1};
}

static int on_wrong(void *user, uint32_t line, const char *reason)
{
	struct build *build = user;

	return build_refuse(build, -EINVAL, here(build, line), NULL, NULL, NULL, "%s", reason);
}

static int refuse_section(
	struct build *build, uint32_t line, const char *kind, const char *name, const char *reason)
{
	char text[SETTINGS_NAME_MAX + 32];

	(void)snprintf(text, sizeof(text), "[%s%s%s]", kind, *name != '\0' ? " " : "", name);
	return build_refuse(build, -EINVAL, here(build, line), NULL, text, NULL, "%s", reason);
}

static int on_section(void *user, uint32_t line, const char *kind, const char *name)
{
	struct build *build = user;
	enum config_scope scope;
	struct build_section *section;
	size_t at;
	int r;

	if (keys_find_scope(kind, &scope) < 0)
		return refuse_section(build, line, kind, name, "unknown section");
	if (keys_scope_is_named(scope) && !value_is_name(name))
		return refuse_section(build, line, kind, name,
			"a name of 1 to 64 letters, digits, \"-\", \"_\" and \".\" belongs here");
	if (!keys_scope_is_named(scope) && *name != '\0')
		return refuse_section(build, line, kind, name, "this section takes no name");
	r = make_place(build, scope, name, &at);
	if (r == -E2BIG)
		return refuse_section(build, line, kind, name, "too many sections of this kind");
	if (r == 0)
		r = enter_section(build, scope, at);
	if (r < 0)
		return r;
	section = &build->sections[build->current];
	if (section->origin.line != 0 && section->origin.file == here(build, line).file)
		return build_refuse(build, -EINVAL, here(build, line), section, NULL, NULL,
			"stands in line %u already", (unsigned)section->origin.line);
	section->origin = here(build, line);
	if (scope == CONFIG_ACCESS)
		build->settings->access.given = true;
	return 0;
}

/* A password is for nobody else to read. What holds none may be read: "mongodb://localhost". */
static bool has_password(const char *uri)
{
	return strchr(uri, '@') != NULL || strcasestr(uri, "password") != NULL ||
	       strcasestr(uri, "token") != NULL;
}

static int on_key(void *user, uint32_t line, const char *name, const char *value)
{
	struct build *build = user;
	struct build_origin origin = here(build, line);
	struct build_section *section;
	const struct config_key *key;
	int r;

	if (build->current == SIZE_MAX)
		return build_refuse(build, -EINVAL, origin, NULL, name, NULL,
			"a key before the first [section]");
	section = &build->sections[build->current];
	key = keys_find(section->scope, name);
	if (key == NULL)
		return build_refuse(build, -EINVAL, origin, section, name, NULL, "unknown key");
	if (section->keys[keys_place(key)].line != 0 &&
		section->keys[keys_place(key)].file == origin.file)
		return build_refuse(build, -EINVAL, origin, section, name, NULL,
			"stands in line %u already", (unsigned)section->keys[keys_place(key)].line);
	if ((key->flags & CONFIG_SECRET) != 0 && !build->is_private && has_password(value))
		return build_refuse(build, -EACCES, origin, section, name, NULL,
			"a file with a password must have mode 0600");
	r = value_set(key, build_base(build, section->scope, section->at), value);
	if (r == -EINVAL)
		return build_refuse_value(build, origin, section, key, value);
	if (r == 0)
		section->keys[keys_place(key)] = origin;
	return r;
}

int build_add(struct build *build, const char *file, struct view text, bool is_private)
{
	const struct lines_sink sink = {
		.user = build, .section = on_section, .key = on_key, .wrong = on_wrong};

	if (build->n_files == BUILD_FILES)
		return -E2BIG;
	build->files[build->n_files] = strdup(file);
	if (build->files[build->n_files] == NULL)
		return -ENOMEM;
	build->n_files++;
	build->current = SIZE_MAX;
	build->is_private = is_private;
	return lines_read(text, &sink);
}

int build_init(struct build *build, char *why)
{
	int r = 0;

	*build = (struct build){.why = why, .current = SIZE_MAX};
	build->settings = calloc(1, sizeof(*build->settings));
	if (build->settings == NULL)
		return -ENOMEM;
	for (int scope = 0; scope < CONFIG_SCOPES && r == 0; scope++) {
		if (!keys_scope_is_named((enum config_scope)scope))
			r = set_defaults(build, (enum config_scope)scope, 0);
	}
	if (r == 0)
		r = add_pool(build, "default");
	for (size_t i = 0; i < BUILD_BUILTINS && r == 0; i++) {
		r = add_handler(build, builtins[i]);
		if (r == 0)
			r = value_set(keys_find(CONFIG_HANDLER, "type"),
				build_base(build, CONFIG_HANDLER, i), "builtin");
	}
	return r;
}

void build_done(struct build *build)
{
	settings_free(build->settings);
	free(build->sections);
	for (uint32_t i = 0; i < build->n_files; i++)
		free(build->files[i]);
	*build = (struct build){0};
}
