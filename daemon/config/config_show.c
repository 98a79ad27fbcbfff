/*
 * config_show: see config_show.h.
 */
#include "config/config_show.h"

#include <errno.h>
#include <string.h>

#include "config/config.h"
#include "config/extras.h"
#include "config/origins.h"
#include "config/section.h"
#include "config/value.h"

#define TEXT_MAX 8192 /* bytes of a value, a file's name or a title: all have lower limits */

struct show {
	const struct settings *settings; /* borrows: config_show_keys()'s caller's */
	int (*show)(void *user, const struct config_shown *shown);
	void *user;
	struct buf title, value, origin;
};

static int show_key(struct show *show, const struct config_key *key, size_t at,
	const struct origin_section *section)
{
	const void *base = section_const_base(show->settings, key->scope, at);
	struct origin origin =
		section != NULL ? section->keys[keys_place(key)] : (struct origin){0};
	int r;

	buf_truncate(&show->value, 0);
	buf_truncate(&show->origin, 0);
	r = value_write_text(key, base, &show->value);
	if (r == 0)
		r = buf_append(&show->value, "", 1);
	if (r == 0)
		r = origins_write(show->settings->origins, origin, &show->origin);
	if (r == 0)
		r = buf_append(&show->origin, "", 1);
	if (r < 0)
		return r;
	return show->show(show->user, &(struct config_shown){
					      .section = buf_view(&show->title).data,
					      .key = key->name,
					      .value = buf_view(&show->value).data,
					      .origin = buf_view(&show->origin).data,
					      .is_live = (key->flags & CONFIG_LIVE) != 0,
				      });
}

/* A setting of a plugin. */
static int show_extra(struct show *show, const struct extra *extra)
{
	int r;

	buf_truncate(&show->origin, 0);
	r = origins_write(show->settings->origins, extra->origin, &show->origin);
	if (r == 0)
		r = buf_append(&show->origin, "", 1);
	if (r < 0)
		return r;
	return show->show(show->user, &(struct config_shown){
					      .section = buf_view(&show->title).data,
					      .key = extra->name,
					      .value = extra->value,
					      .origin = buf_view(&show->origin).data,
				      });
}

static bool is_there(const struct settings *settings, enum config_scope scope, size_t at)
{
	if (scope == CONFIG_ACCESS)
		return settings->access.given;
	return scope != CONFIG_POOL || !settings->pools[at].leaving;
}

static int show_section(struct show *show, enum config_scope scope, size_t at)
{
	const struct origin_section *section = origins_find(show->settings->origins, scope, at);
	size_t n;
	const struct config_key *keys = keys_table(&n);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		if (keys[i].scope == scope && section_has_key(show->settings, &keys[i], at))
			r = show_key(show, &keys[i], at, section);
	}
	if (scope != CONFIG_HANDLER)
		return r;
	const struct extras *extras = show->settings->handlers[at].extras;
	for (size_t i = 0; i < extras_count(extras) && r == 0; i++)
		r = show_extra(show, &extras->at[i]);
	return r;
}

/* The title of a section, and whether it is asked for. */
static int write_title(struct show *show, enum config_scope scope, size_t at, const char *wanted,
	bool *ret_is_wanted)
{
	int r;

	buf_truncate(&show->title, 0);
	r = section_write(show->settings, scope, at, &show->title);
	if (r == 0)
		r = buf_append(&show->title, "", 1);
	if (r == 0)
		*ret_is_wanted = wanted == NULL || strcmp(wanted, keys_scope_name(scope)) == 0 ||
				 strcmp(wanted, buf_view(&show->title).data) == 0;
	return r;
}

/* *ret_found becomes true if a section is asked for. */
static int show_scope(
	struct show *show, enum config_scope scope, const char *wanted, bool *ret_found)
{
	size_t n = section_count(show->settings, scope);
	int r = 0;

	if (wanted != NULL && strcmp(wanted, keys_scope_name(scope)) == 0)
		*ret_found = true; /* also if there is none of this kind */
	for (size_t at = 0; at < n && r == 0; at++) {
		bool is_wanted = false;

		if (!is_there(show->settings, scope, at))
			continue;
		r = write_title(show, scope, at, wanted, &is_wanted);
		if (r == 0 && is_wanted) {
			*ret_found = true;
			r = show_section(show, scope, at);
		}
	}
	return r;
}

int config_show_keys(const struct settings *settings, const char *section,
	int (*show)(void *user, const struct config_shown *shown), void *user)
{
	struct show state = {.settings = settings, .show = show, .user = user};
	bool found = section == NULL;
	int r = 0;

	buf_init(&state.title, TEXT_MAX);
	buf_init(&state.value, TEXT_MAX);
	buf_init(&state.origin, TEXT_MAX);
	for (int scope = 0; scope < CONFIG_SCOPES && r == 0; scope++)
		r = show_scope(&state, (enum config_scope)scope, section, &found);
	buf_done(&state.title);
	buf_done(&state.value);
	buf_done(&state.origin);
	return r == 0 && !found ? -ENOENT : r;
}
