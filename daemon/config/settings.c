/*
 * settings: giving back, finding by name, and the one figure that depends on the host.
 */
#include "config/settings.h"

#include <string.h>

#include "base/mem.h"
#include "config/extras.h"
#include "config/keys.h"
#include "config/origins.h"
#include "config/section.h"
#include "config/value.h"

static void unset_all(enum config_scope scope, void *base)
{
	size_t n;
	const struct config_key *keys = keys_table(&n);

	for (size_t i = 0; i < n; i++) {
		if (keys[i].scope == scope)
			value_unset(&keys[i], base);
	}
}

void settings_free(struct settings *settings)
{
	if (settings == NULL)
		return;
	for (int scope = 0; scope < CONFIG_SCOPES; scope++) {
		for (size_t at = 0; at < section_count(settings, (enum config_scope)scope); at++)
			unset_all((enum config_scope)scope,
				section_base(settings, (enum config_scope)scope, at));
	}
	for (size_t i = 0; i < settings->n_resources; i++)
		free(settings->resources[i].name);
	for (size_t i = 0; i < settings->n_pools; i++)
		free(settings->pools[i].name);
	for (size_t i = 0; i < settings->n_handlers; i++) {
		free(settings->handlers[i].name);
		free(settings->handlers[i].resource_at);
		extras_free(settings->handlers[i].extras);
	}
	free(settings->resources);
	free(settings->pools);
	free(settings->handlers);
	origins_free(settings->origins);
	free(settings);
}

const struct settings_resource *settings_find_resource(
	const struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->n_resources; i++) {
		if (strcmp(settings->resources[i].name, name) == 0)
			return &settings->resources[i];
	}
	return NULL;
}

const struct settings_pool *settings_find_pool(const struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->n_pools; i++) {
		if (strcmp(settings->pools[i].name, name) == 0)
			return &settings->pools[i];
	}
	return NULL;
}

const struct settings_handler *settings_find_handler(
	const struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->n_handlers; i++) {
		if (strcmp(settings->handlers[i].name, name) == 0)
			return &settings->handlers[i];
	}
	return NULL;
}

bool settings_is_bound(const struct settings_handler *handler)
{
	return keys_handler_type(handler->type) == CONFIG_PLUGIN;
}

uint32_t settings_workers(struct workers_rule rule, uint32_t cores)
{
	uint64_t number = rule.number;

	if (rule.per_core)
		number *= cores;
	if (number < 1)
		return 1;
	return number > SETTINGS_WORKERS_MAX ? SETTINGS_WORKERS_MAX : (uint32_t)number;
}
