/*
 * section: see section.h. The only place that knows which array of settings a scope's structs are
 * in.
 */
#include "config/section.h"

#include <errno.h>
#include <string.h>

/* An array of structs of settings, each of which begins with its name. */
struct array {
	void *data;
	size_t n;
	size_t size; /* bytes of a struct */
	size_t max;  /* structs */
};

static struct array array_of(const struct settings *settings, enum config_scope scope)
{
	switch (scope) {
	case CONFIG_RESOURCE:
		return (struct array){settings->resources, settings->n_resources,
			sizeof(*settings->resources), SETTINGS_RESOURCES_MAX};
	case CONFIG_POOL:
		return (struct array){settings->pools, settings->n_pools, sizeof(*settings->pools),
			SETTINGS_POOLS_MAX};
	case CONFIG_HANDLER:
		return (struct array){settings->handlers, settings->n_handlers,
			sizeof(*settings->handlers), SETTINGS_HANDLERS_MAX};
	default:
		return (struct array){.n = 1};
	}
}

size_t section_count(const struct settings *settings, enum config_scope scope)
{
	return array_of(settings, scope).n;
}

const char *section_name(const struct settings *settings, enum config_scope scope, size_t at)
{
	switch (scope) {
	case CONFIG_RESOURCE:
		return settings->resources[at].name;
	case CONFIG_POOL:
		return settings->pools[at].name;
	case CONFIG_HANDLER:
		return settings->handlers[at].name;
	default:
		return NULL;
	}
}

void *section_base(struct settings *settings, enum config_scope scope, size_t at)
{
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

const void *section_const_base(const struct settings *settings, enum config_scope scope, size_t at)
{
	return section_base((struct settings *)(uintptr_t)settings, scope, at);
}

bool section_has_key(const struct settings *settings, const struct config_key *key, size_t at)
{
	return key->scope != CONFIG_HANDLER ||
	       (key->types & keys_handler_type(settings->handlers[at].type)) != 0;
}

int section_find(
	const struct settings *settings, enum config_scope scope, const char *name, size_t *ret_at)
{
	size_t n = section_count(settings, scope);

	if (!keys_scope_is_named(scope)) {
		*ret_at = 0;
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		if (strcmp(section_name(settings, scope, i), name) == 0) {
			*ret_at = i;
			return 0;
		}
	}
	return -ENOENT;
}

/* The array of scope is `data` now and has one more, called `name`. */
static void add_named(struct settings *settings, enum config_scope scope, void *data, char *name)
{
	if (scope == CONFIG_RESOURCE) {
		settings->resources = data;
		settings->resources[settings->n_resources++] =
			(struct settings_resource){.name = name};
	} else if (scope == CONFIG_POOL) {
		settings->pools = data;
		settings->pools[settings->n_pools++] = (struct settings_pool){.name = name};
	} else {
		settings->handlers = data;
		settings->handlers[settings->n_handlers++] =
			(struct settings_handler){.name = name};
	}
}

int section_add(
	struct settings *settings, enum config_scope scope, const char *name, size_t *ret_at)
{
	struct array array = array_of(settings, scope);
	auto_free char *copy = NULL;
	void *data;

	if (array.n == array.max)
		return -E2BIG;
	copy = strdup(name);
	if (copy == NULL)
		return -ENOMEM;
	data = reallocarray(array.data, array.n + 1, array.size);
	if (data == NULL)
		return -ENOMEM;
	add_named(settings, scope, data, take(copy));
	*ret_at = array.n;
	return 0;
}

int section_write(
	const struct settings *settings, enum config_scope scope, size_t at, struct buf *out)
{
	const char *name = section_name(settings, scope, at);

	return name == NULL ? buf_printf(out, "%s", keys_scope_name(scope))
			    : buf_printf(out, "%s %s", keys_scope_name(scope), name);
}
