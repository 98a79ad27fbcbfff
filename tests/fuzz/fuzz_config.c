/*
 * fuzz_config: any bytes as a configuration file. Either they are refused with one clean line that
 * names the file, or the settings that come out keep their promises: no NULL strings, pools that
 * exist, host lines one a key; and a reload from other settings or to them keeps the rules.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/config_show.h"
#include "config/keys.h"
#include "config/reload.h"
#include "config/section.h"
#include "config/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
	if (!is_so)
		abort();
}

static void check_why(const char why[CONFIG_WHY_SIZE])
{
	must(strncmp(why, "fuzz:", 5) == 0);
	for (const char *c = why; *c != '\0'; c++)
		must(isprint((unsigned char)*c));
}

/* One line a key, though values come from outside. */
static void check_host_lines(
	const struct settings *settings, const struct settings_handler *handler)
{
	struct buf out;
	struct view lines;

	buf_init(&out, 1 << 20);
	must(config_write_host_lines(settings, handler, &out) == 0);
	lines = buf_view(&out);
	must(lines.len > 0 && lines.data[lines.len - 1] == '\n');
	while (lines.len > 0) {
		size_t n =
			(size_t)((const char *)memchr(lines.data, '\n', lines.len) - lines.data) +
			1;

		must(memchr(lines.data, '=', n) != NULL && memchr(lines.data, '\0', n) == NULL);
		lines = (struct view){lines.data + n, lines.len - n};
	}
	buf_done(&out);
}

static void write_text(const struct config_key *key, const void *base, struct buf *out)
{
	buf_init(out, 65536);
	must(value_write_text(key, base, out) == 0 && buf_append(out, "", 1) == 0);
}

/* What a value is written as, is read as the same. */
static void check_values(const struct settings *settings, enum config_scope scope, size_t at)
{
	size_t n;
	const struct config_key *keys = keys_table(&n);
	struct settings_resource resource = {0};
	struct settings_pool pool = {0};
	struct settings_handler handler = {0};
	struct settings copy = {.resources = &resource, .pools = &pool, .handlers = &handler};
	void *to = section_base(&copy, scope, 0);

	for (size_t i = 0; i < n; i++) {
		const void *from = section_const_base(settings, scope, at);
		struct buf one, two;

		if (keys[i].scope != scope || (keys[i].flags & CONFIG_SECRET) != 0)
			continue;
		write_text(&keys[i], from, &one);
		must(value_set(&keys[i], to, buf_view(&one).data) == 0);
		must(value_is_equal(&keys[i], from, to));
		write_text(&keys[i], to, &two);
		must(strcmp(buf_view(&one).data, buf_view(&two).data) == 0);
		value_unset(&keys[i], to);
		buf_done(&one);
		buf_done(&two);
	}
}

static void check_sections(const struct settings *settings)
{
	for (int scope = 0; scope < CONFIG_SCOPES; scope++) {
		size_t n = section_count(settings, (enum config_scope)scope);

		for (size_t at = 0; at < n && at < 16; at++)
			check_values(settings, (enum config_scope)scope, at);
	}
}

/* The rules over several keys. */
static void check_rules(const struct settings *settings)
{
	for (size_t i = 0; i < settings->n_handlers; i++) {
		const struct settings_handler *handler = &settings->handlers[i];
		const struct settings_pool *pool = settings_find_pool(settings, handler->pool);

		must(pool != NULL && !pool->leaving);
		must(handler->backoff_min_us <= handler->backoff_max_us);
		must(handler->max_output_bytes <= settings->daemon.max_output_bytes);
		must(handler->max_args_bytes <= settings->daemon.max_message_bytes);
		must(handler->n_resources <= SETTINGS_USED_MAX);
		for (size_t n = 0; n < handler->n_resources; n++) {
			uint32_t at = handler->resource_at[n];

			must(at < settings->n_resources);
			must(settings->resources[at].max_active == 0 ||
				handler->weight <= settings->resources[at].max_active);
		}
	}
}

/* Nothing secret, and an origin that is a line of this file. */
static int check_shown(void *user, const struct config_shown *shown)
{
	(void)user;
	must(strncmp(shown->origin, "fuzz:", 5) == 0 || strcmp(shown->origin, "default") == 0);
	/* A plugin may have a key of that name, which is no secret of ours. */
	must(strcmp(shown->section, "mongodb") != 0 || strcmp(shown->key, "uri") != 0 ||
		strcmp(shown->value, "***") == 0 || *shown->value == '\0');
	return 0;
}

static int count(void *user, const struct config_change *change)
{
	must(change->key != NULL && change->before != NULL && change->after != NULL);
	++*(size_t *)user;
	return 0;
}

static size_t changes(const struct settings *old, const struct settings *new)
{
	size_t n = 0;

	must(config_diff(old, new, count, &n) == 0);
	return n;
}

/* After a reload the places are the old ones, and all rules hold. Takes new. */
static void check_reload(const struct settings *old, struct settings *new)
{
	char why[CONFIG_WHY_SIZE];

	must(new != NULL);
	(void)changes(old, new);
	if (config_apply_live(new, old, why) < 0) {
		check_why(why);
	} else {
		must(new->n_handlers == old->n_handlers &&new->n_resources == old->n_resources);
		for (size_t i = 0; i < old->n_handlers; i++)
			must(strcmp(new->handlers[i].name, old->handlers[i].name) == 0);
		must(new->n_pools >= old->n_pools);
		for (size_t i = 0; i < old->n_pools; i++)
			must(strcmp(new->pools[i].name, old->pools[i].name) == 0);
		must(new->pools[0].leaving == false);
		check_rules(new);
		check_sections(new);
		must(config_show_keys(new, NULL, check_shown, NULL) == 0);
	}
	settings_free(new);
}

/* Settings that many inputs share names with; data NULL: these, else what a file holds. */
static struct settings *load(const uint8_t *data, size_t size, char why[CONFIG_WHY_SIZE])
{
	static const char other[] =
		"[resource db]\nmax_active = 3\n[resource disk]\n[pool mail]\n"
		"[handler x]\ntype = exec\ncommand = /x\npool = mail\n"
		"resources = db\nweight = 2\n[handler echo]\nresources = disk\n";
	struct view text = data != NULL ? (struct view){(const char *)data, size} : view_of(other);
	struct settings *settings = NULL;

	if (config_load_text(text, "fuzz", &settings, why) < 0)
		must(settings == NULL);
	return settings;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[CONFIG_WHY_SIZE];
	const uint8_t *bytes = data != NULL ? data : (const uint8_t *)""; /* empty input */
	struct settings *settings = load(bytes, size, why);
	struct settings *other;

	if (settings == NULL) {
		check_why(why);
		return 0;
	}
	must(settings_find_pool(settings, "default") != NULL);
	for (size_t i = 0; i < settings->n_handlers; i++)
		check_host_lines(settings, &settings->handlers[i]);
	check_rules(settings);
	check_sections(settings);
	must(config_show_keys(settings, NULL, check_shown, NULL) == 0);
	must(changes(settings, settings) == 0);
	other = load(NULL, 0, why);
	check_reload(other, load(bytes, size, why));
	settings_free(other);
	check_reload(settings, load(NULL, 0, why));
	settings_free(settings);
	return 0;
}
