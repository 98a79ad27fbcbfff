/*
 * rules: see rules.h. Only handlers that stand in a file are looked at: the built-in ones are right
 * by themselves.
 */
#include "config/rules.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "config/extras.h"
#include "config/value.h"

/* Keys without a default that a type of handler cannot do without. */
static const struct {
	unsigned types;
	const char *key;
} needs[] = {
	{CONFIG_PROGRAMS, "command"},
	{CONFIG_MONGO, "operation"},
	{CONFIG_MONGO, "database"},
	{CONFIG_MONGO, "collection"},
	{CONFIG_PLUGIN, "module"},
};

/* Keys that only some operations have. */
static const struct {
	const char *key;
	const char *operations;
} parts[] = {
	{"filter", "find count update delete"},
	{"projection", "find"},
	{"sort", "find"},
	{"update", "update"},
	{"document", "insert"},
	{"pipeline", "aggregate"},
	{"many", "update delete"},
	{"upsert", "update"},
};

/* A handler's key that the daemon's bounds: said and greater is an error, a default is lowered. */
static const struct {
	const char *key;
	const char *bound;
} bounds[] = {
	{"max_args", "max_message"},
	{"max_output", "max_output"},
};

/* A handler, and the section that it has in a file. */
struct subject {
	struct build *build;              /* borrows */
	struct origin_section *section;   /* borrows; NULL: it stands in no file */
	struct settings_handler *handler; /* borrows */
	unsigned type;
};

/* Where the key was said, or else the section. */
static struct origin origin_of(const struct subject *subject, const struct config_key *key)
{
	struct origin origin = subject->section->keys[keys_place(key)];

	return origin.line != 0 ? origin : subject->section->origin;
}

static int check_type(const struct subject *subject)
{
	const struct config_key *key = keys_find(CONFIG_HANDLER, "type");
	bool is_builtin = subject->section->at < BUILD_BUILTINS;

	if (subject->type == 0)
		return build_refuse(subject->build, -EINVAL, subject->section->origin,
			subject->section, NULL, NULL,
			"the key \"type\" is missing: exec, coprocess, mongodb or plugin");
	if (is_builtin && subject->type != CONFIG_BUILTIN)
		return build_refuse(subject->build, -EINVAL, origin_of(subject, key),
			subject->section, key->name, subject->handler->type,
			"this handler is built in: its type cannot be changed");
	if (!is_builtin && subject->type == CONFIG_BUILTIN)
		return build_refuse(subject->build, -EINVAL, origin_of(subject, key),
			subject->section, key->name, subject->handler->type,
			"only noop, echo, sleep and fail are built in: exec, coprocess, "
			"mongodb or plugin");
	return 0;
}

/* A key that no handler has is a plugin's, or a mistake: of the type, too, if that is missing. */
static int check_unknown_keys(const struct subject *subject)
{
	const struct extras *extras = subject->handler->extras;

	for (size_t i = 0; i < extras_count(extras); i++) {
		const struct extra *extra = &extras->at[i];

		if (subject->type == CONFIG_PLUGIN && !value_is_name(extra->name))
			return build_refuse(subject->build, -EINVAL, extra->origin,
				subject->section, extra->name, NULL,
				"a plugin's key has 1 to 64 letters, digits, \"-\", \"_\" and "
				"\".\"");
		if (subject->type != CONFIG_PLUGIN &&
			keys_find(CONFIG_HANDLER, extra->name) == NULL)
			return build_refuse(subject->build, -EINVAL, extra->origin,
				subject->section, extra->name, NULL, "unknown key");
	}
	return 0;
}

/* A key of some type becomes what the type of this handler makes of it. 0; 1: it is the plugin's own. */
static int take_own_key(const struct subject *subject, const struct extra *extra)
{
	const struct config_key *key = keys_find(CONFIG_HANDLER, extra->name);
	int r;

	if (key == NULL || (key->types & subject->type) == 0)
		return subject->type == CONFIG_PLUGIN
			       ? 1
			       : build_refuse(subject->build, -EINVAL, extra->origin,
					 subject->section, extra->name, NULL,
					 "a handler of type %s does not have this key",
					 subject->handler->type);
	r = value_set(key, subject->handler, extra->value);
	if (r == -EINVAL)
		return build_refuse_value(
			subject->build, extra->origin, subject->section, key, extra->value);
	if (r == 0)
		subject->section->keys[keys_place(key)] = extra->origin;
	return r;
}

static int check_own_keys(const struct subject *subject)
{
	struct extras *extras = subject->handler->extras;

	for (size_t i = 0; i < extras_count(extras);) {
		int r = take_own_key(subject, &extras->at[i]);

		if (r < 0)
			return r;
		if (r == 0)
			extras_remove(extras, i);
		else
			i++;
	}
	return 0;
}

static int check_needs(const struct subject *subject)
{
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		const struct config_key *key = keys_find(CONFIG_HANDLER, needs[i].key);
		const char *text;

		if ((needs[i].types & subject->type) == 0)
			continue;
		text = *(char *const *)(const void *)((const char *)subject->handler + key->offset);
		if (*text == '\0')
			return build_refuse(subject->build, -EINVAL, origin_of(subject, key),
				subject->section, NULL, NULL, "type %s needs the key \"%s\"",
				subject->handler->type, key->name);
	}
	return 0;
}

static int check_pool(const struct subject *subject)
{
	const struct config_key *key = keys_find(CONFIG_HANDLER, "pool");

	if (settings_find_pool(subject->build->settings, subject->handler->pool) != NULL)
		return 0;
	return build_refuse(subject->build, -EINVAL, origin_of(subject, key), subject->section,
		key->name, subject->handler->pool, "there is no section [pool %s]",
		subject->handler->pool);
}

static int check_uri(const struct subject *subject)
{
	if (subject->type != CONFIG_MONGO || *subject->build->settings->mongodb.uri != '\0')
		return 0;
	return build_refuse(subject->build, -EINVAL, subject->section->origin, subject->section,
		NULL, NULL,
		"type mongodb needs a server: the credential mongodb-uri, or uri in [mongodb]");
}

/* A pipeline is made of operators: without them there is nothing that aggregate could take of a task. */
static int check_operation(const struct subject *subject)
{
	const struct config_key *key = keys_find(CONFIG_HANDLER, "operation");
	const struct settings_handler *handler = subject->handler;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const struct config_key *part = keys_find(CONFIG_HANDLER, parts[i].key);

		if (subject->section->keys[keys_place(part)].line != 0 &&
			strstr(parts[i].operations, handler->operation) == NULL)
			return build_refuse(subject->build, -EINVAL, origin_of(subject, part),
				subject->section, part->name, NULL,
				"the operation %s does not have this key", handler->operation);
	}
	if (strcmp(handler->operation, "aggregate") != 0 || handler->operators ||
		*handler->pipeline != '\0')
		return 0;
	return build_refuse(subject->build, -EINVAL, origin_of(subject, key), subject->section,
		key->name, handler->operation,
		"needs a \"pipeline\", or \"operators = yes\" to take those of tasks");
}

static int check_bounds(const struct subject *subject)
{
	struct settings *settings = subject->build->settings;

	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
		const struct config_key *key = keys_find(CONFIG_HANDLER, bounds[i].key);
		const struct config_key *bound = keys_find(CONFIG_DAEMON, bounds[i].bound);
		uint64_t *value = (void *)((char *)subject->handler + key->offset);
		const uint64_t *limit = (void *)((char *)&settings->daemon + bound->offset);

		if (*value <= *limit)
			continue;
		if (subject->section != NULL && subject->section->keys[keys_place(key)].line != 0)
			return build_refuse(subject->build, -EINVAL, origin_of(subject, key),
				subject->section, key->name, NULL, "more than [daemon] %s allows",
				bound->name);
		*value = *limit;
	}
	return 0;
}

/* Blames the key that was said; if both were, the lower one. A limit that nobody said is named. */
static int check_backoff(const struct subject *subject)
{
	const struct config_key *low = keys_find(CONFIG_HANDLER, "backoff_min");
	const struct config_key *high = keys_find(CONFIG_HANDLER, "backoff_max");
	char low_text[STR_DURATION_MAX], high_text[STR_DURATION_MAX];

	if (subject->handler->backoff_min_us <= subject->handler->backoff_max_us)
		return 0;
	(void)str_from_us(subject->handler->backoff_min_us, low_text);
	(void)str_from_us(subject->handler->backoff_max_us, high_text);
	if (subject->section->keys[keys_place(low)].line != 0)
		return build_refuse(subject->build, -EINVAL, origin_of(subject, low),
			subject->section, low->name, low_text, "more than backoff_max, which is %s",
			high_text);
	return build_refuse(subject->build, -EINVAL, origin_of(subject, high), subject->section,
		high->name, high_text, "less than backoff_min, which is %s", low_text);
}

/* A task that weighs more than one of its resources bears would never start. */
static int check_weight(const struct subject *subject, const struct settings_resource *resource)
{
	const struct config_key *key = keys_find(CONFIG_HANDLER, "weight");
	char text[STR_DURATION_MAX];

	if (resource->max_active == 0 || subject->handler->weight <= resource->max_active)
		return 0;
	(void)snprintf(text, sizeof(text), "%" PRIu64, subject->handler->weight);
	return build_refuse(subject->build, -EINVAL, origin_of(subject, key), subject->section,
		key->name, text, "more than max_active of [resource %s], which is %" PRIu64,
		resource->name, resource->max_active);
}

/* One name of the list becomes a place. */
static int add_used(const struct subject *subject, const char *name)
{
	const struct config_key *key = keys_find(CONFIG_HANDLER, "resources");
	const struct settings *settings = subject->build->settings;
	struct settings_handler *handler = subject->handler;
	const struct settings_resource *resource = settings_find_resource(settings, name);
	struct origin origin = origin_of(subject, key);
	uint32_t at;

	if (resource == NULL)
		return build_refuse(subject->build, -EINVAL, origin, subject->section, key->name,
			name, "there is no section [resource %s]", name);
	at = (uint32_t)(resource - settings->resources);
	for (size_t i = 0; i < handler->n_resources; i++) {
		if (handler->resource_at[i] == at)
			return build_refuse(subject->build, -EINVAL, origin, subject->section,
				key->name, name, "stands there twice");
	}
	if (handler->n_resources == SETTINGS_USED_MAX)
		return build_refuse(subject->build, -EINVAL, origin, subject->section, key->name,
			name, "one more than %d resources", SETTINGS_USED_MAX);
	handler->resource_at[handler->n_resources++] = at;
	return check_weight(subject, resource);
}

static int check_resources(const struct subject *subject)
{
	struct settings_handler *handler = subject->handler;
	const char *text = handler->resources;
	int r = 0;

	text += strspn(text, VALUE_NAMES_PARTED);
	if (*text == '\0')
		return 0;
	handler->resource_at = calloc(SETTINGS_USED_MAX, sizeof(*handler->resource_at));
	if (handler->resource_at == NULL)
		return -ENOMEM;
	while (*text != '\0' && r == 0) {
		size_t n = strcspn(text, VALUE_NAMES_PARTED);
		auto_free char *name = mem_dup(text, n);

		r = name == NULL ? -ENOMEM : add_used(subject, name);
		text += n;
		text += strspn(text, VALUE_NAMES_PARTED);
	}
	return r;
}

static int check_handler(const struct subject *subject)
{
	static int (*const checks[])(const struct subject *) = {check_unknown_keys, check_type,
		check_own_keys, check_needs, check_pool, check_uri, check_operation, check_backoff,
		check_resources};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(checks) && subject->section != NULL && r == 0; i++)
		r = checks[i](subject);
	return r == 0 ? check_bounds(subject) : r;
}

int rules_check(struct build *build)
{
	struct settings *settings = build->settings;
	const struct origins *origins = settings->origins;
	auto_free struct origin_section **sections =
		calloc(settings->n_handlers, sizeof(*sections));
	int r = 0;

	if (sections == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < origins->n_sections; i++) {
		if (origins->sections[i].scope == CONFIG_HANDLER)
			sections[origins->sections[i].at] = &origins->sections[i];
	}
	for (size_t i = 0; i < settings->n_handlers && r == 0; i++) {
		struct settings_handler *handler = &settings->handlers[i];

		r = check_handler(&(struct subject){.build = build,
			.section = sections[i],
			.handler = handler,
			.type = keys_handler_type(handler->type)});
	}
	return r;
}

bool rules_is_mongodb_used(const struct settings *settings)
{
	for (size_t i = 0; i < settings->n_handlers; i++) {
		if (keys_handler_type(settings->handlers[i].type) == CONFIG_MONGO)
			return true;
	}
	return false;
}
