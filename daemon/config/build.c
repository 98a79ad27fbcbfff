/*
 * build: see build.h.
 */
#include "config/build.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/extras.h"
#include "config/lines.h"
#include "config/refuse.h"
#include "config/section.h"
#include "config/value.h"

static const char *const builtins[BUILD_BUILTINS] = {"noop", "echo", "sleep", "fail"};

int build_refuse(struct build *build, int error, struct origin origin,
	const struct origin_section *section, const char *key, const char *value, const char *fmt,
	...)
{
	struct refuse_section shown = {build->settings, CONFIG_SCOPES, 0};
	va_list args;

	if (section != NULL)
		shown = (struct refuse_section){build->settings, section->scope, section->at};
	va_start(args, fmt);
	error = refuse_line_va(build->why, error, shown, origin, key, value, fmt, args);
	va_end(args);
	return error;
}

int build_refuse_value(struct build *build, struct origin origin,
	const struct origin_section *section, const struct config_key *key, const char *value)
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

/* Sections. */

static int set_defaults(struct settings *settings, enum config_scope scope, size_t at)
{
	size_t n;
	const struct config_key *keys = keys_table(&n);

	for (size_t i = 0; i < n; i++) {
		int r = 0;

		if (keys[i].scope == scope)
			r = value_set(&keys[i], section_base(settings, scope, at), keys[i].initial);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A new section's struct at its defaults. -E2BIG: too many. */
static int add_section(
	struct settings *settings, enum config_scope scope, const char *name, size_t *ret_at)
{
	int r = section_add(settings, scope, name, ret_at);

	return r == 0 ? set_defaults(settings, scope, *ret_at) : r;
}

static struct origin here(const struct build *build, uint32_t line)
{
	return (struct origin){.file = build->file, .line = line};
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
	struct origin_section *section;
	size_t at;
	int r;

	if (keys_find_scope(kind, &scope) < 0)
		return refuse_section(build, line, kind, name, "unknown section");
	if (keys_scope_is_named(scope) && !value_is_name(name))
		return refuse_section(build, line, kind, name,
			"a name of 1 to 64 letters, digits, \"-\", \"_\" and \".\" belongs here");
	if (!keys_scope_is_named(scope) && *name != '\0')
		return refuse_section(build, line, kind, name, "this section takes no name");
	r = section_find(build->settings, scope, name, &at);
	if (r == -ENOENT)
		r = add_section(build->settings, scope, name, &at);
	if (r == -E2BIG)
		return refuse_section(build, line, kind, name, "too many sections of this kind");
	if (r == 0)
		r = origins_enter(build->settings->origins, scope, at, &section);
	if (r < 0)
		return r;
	build->current = section;
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

static int refuse_twice(
	struct build *build, struct origin here, struct origin before, const char *name)
{
	return build_refuse(build, -EINVAL, here, build->current, name, NULL,
		"stands in line %u already", (unsigned)before.line);
}

/* A key that is not every handler's: whose it is, is known when the type is. */
static int keep_extra(
	struct build *build, struct origin origin, const char *name, const char *value)
{
	const struct origin_section *section = build->current;
	struct settings_handler *handler = &build->settings->handlers[section->at];
	const struct extra *known = extras_find(handler->extras, name);
	int r;

	if (known != NULL && known->origin.file == origin.file)
		return refuse_twice(build, origin, known->origin, name);
	r = extras_set(&handler->extras, name, value, origin);
	if (r == -E2BIG)
		return build_refuse(build, -EINVAL, origin, section, name, NULL,
			"one more than the %d keys that a handler can have of its own", EXTRAS_MAX);
	return r;
}

static int on_key(void *user, uint32_t line, const char *name, const char *value)
{
	struct build *build = user;
	struct origin origin = here(build, line);
	struct origin_section *section = build->current;
	const struct config_key *key;
	int r;

	if (section == NULL)
		return build_refuse(build, -EINVAL, origin, NULL, name, NULL,
			"a key before the first [section]");
	key = keys_find(section->scope, name);
	if (section->scope == CONFIG_HANDLER && (key == NULL || key->types != CONFIG_ALL_HANDLERS))
		return keep_extra(build, origin, name, value);
	if (key == NULL)
		return build_refuse(build, -EINVAL, origin, section, name, NULL, "unknown key");
	if (section->keys[keys_place(key)].line != 0 &&
		section->keys[keys_place(key)].file == origin.file)
		return refuse_twice(build, origin, section->keys[keys_place(key)], name);
	if ((key->flags & CONFIG_SECRET) != 0 && !build->is_private && has_password(value))
		return build_refuse(build, -EACCES, origin, section, name, NULL,
			"a file with a password must have mode 0600");
	r = value_set(key, section_base(build->settings, section->scope, section->at), value);
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

	int r = origins_add_file(build->settings->origins, file, &build->file);

	if (r < 0)
		return r;
	build->current = NULL;
	build->is_private = is_private;
	return lines_read(text, &sink);
}

int build_note(struct build *build, const struct config_key *key, const char *origin)
{
	struct origin_section *section;
	uint32_t file;
	int r = origins_enter(build->settings->origins, key->scope, 0, &section);

	if (r == 0)
		r = origins_add_file(build->settings->origins, origin, &file);
	if (r == 0)
		section->keys[keys_place(key)] = (struct origin){.file = file};
	return r;
}

int build_init(struct build *build, char *why)
{
	struct settings *settings = calloc(1, sizeof(*settings));
	size_t at;
	int r = 0;

	*build = (struct build){.why = why, .settings = settings};
	if (settings == NULL)
		return -ENOMEM;
	settings->origins = origins_new();
	if (settings->origins == NULL)
		return -ENOMEM;
	for (int scope = 0; scope < CONFIG_SCOPES && r == 0; scope++) {
		if (!keys_scope_is_named((enum config_scope)scope))
			r = set_defaults(settings, (enum config_scope)scope, 0);
	}
	if (r == 0)
		r = add_section(settings, CONFIG_POOL, "default", &at);
	for (size_t i = 0; i < BUILD_BUILTINS && r == 0; i++) {
		r = add_section(settings, CONFIG_HANDLER, builtins[i], &at);
		if (r == 0)
			r = value_set(keys_find(CONFIG_HANDLER, "type"), &settings->handlers[at],
				"builtin");
	}
	return r;
}

void build_done(struct build *build)
{
	settings_free(build->settings);
	*build = (struct build){0};
}
