/*
 * reload: see reload.h. The settings to go on with are made anew from copies of both sides, so that
 * a failure half way leaves both as they were.
 */
#include "config/reload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "config/extras.h"
#include "config/origins.h"
#include "config/refuse.h"
#include "config/section.h"
#include "config/value.h"

#define TEXT_MAX 8192 /* bytes of a value or a title: all have lower limits */

/* What differs. */

struct diff {
	const struct settings *old, *new; /* borrows: config_diff()'s caller's */
	int (*on_change)(void *user, const struct config_change *change);
	void *user;
	struct buf title, before, after;
};

static const char *text_of(struct buf *buf)
{
	return buf_view(buf).data;
}

static int write_title(
	struct diff *diff, const struct settings *settings, enum config_scope scope, size_t at)
{
	int r;

	buf_truncate(&diff->title, 0);
	r = section_write(settings, scope, at, &diff->title);
	return r == 0 ? buf_append(&diff->title, "", 1) : r;
}

static int write_value(struct buf *buf, const struct config_key *key, const void *base)
{
	int r;

	buf_truncate(buf, 0);
	r = value_write_text(key, base, buf);
	return r == 0 ? buf_append(buf, "", 1) : r;
}

/* A section came or went; its title is written. */
static int tell_section(struct diff *diff, enum config_change_kind kind, bool is_there)
{
	return diff->on_change(diff->user, &(struct config_change){.kind = kind,
						   .section = text_of(&diff->title),
						   .key = "",
						   .before = is_there ? "absent" : "present",
						   .after = is_there ? "present" : "absent"});
}

static int diff_key(
	struct diff *diff, const struct config_key *key, const void *old, const void *new)
{
	bool is_live = (key->flags & CONFIG_LIVE) != 0;
	int r;

	if (value_is_equal(key, old, new))
		return 0;
	r = write_value(&diff->before, key, old);
	if (r == 0)
		r = write_value(&diff->after, key, new);
	if (r < 0)
		return r;
	return diff->on_change(
		diff->user, &(struct config_change){.kind = is_live ? CHANGE_LIVE : CHANGE_RESTART,
				    .section = text_of(&diff->title),
				    .key = key->name,
				    .before = text_of(&diff->before),
				    .after = text_of(&diff->after)});
}

static int tell_extra(struct diff *diff, const char *name, const char *before, const char *after)
{
	return diff->on_change(diff->user, &(struct config_change){.kind = CHANGE_RESTART,
						   .section = text_of(&diff->title),
						   .key = name,
						   .before = before,
						   .after = after});
}

/* A plugin's own settings. */
static int diff_extras(struct diff *diff, const struct extras *old, const struct extras *new)
{
	int r = 0;

	for (size_t i = 0; i < extras_count(old) && r == 0; i++) {
		const struct extra *same = extras_find(new, old->at[i].name);

		if (same == NULL || strcmp(same->value, old->at[i].value) != 0)
			r = tell_extra(diff, old->at[i].name, old->at[i].value,
				same == NULL ? "" : same->value);
	}
	for (size_t i = 0; i < extras_count(new) && r == 0; i++) {
		if (extras_find(old, new->at[i].name) == NULL)
			r = tell_extra(diff, new->at[i].name, "", new->at[i].value);
	}
	return r;
}

/* A section that both have. */
static int diff_section(struct diff *diff, enum config_scope scope, size_t old_at, size_t new_at)
{
	size_t n;
	const struct config_key *keys = keys_table(&n);
	int r = write_title(diff, diff->old, scope, old_at);

	if (r == 0 && scope == CONFIG_ACCESS && diff->old->access.given != diff->new->access.given)
		r = tell_section(diff, CHANGE_LIVE, diff->new->access.given);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (keys[i].scope == scope)
			r = diff_key(diff, &keys[i], section_const_base(diff->old, scope, old_at),
				section_const_base(diff->new, scope, new_at));
	}
	if (r == 0 && scope == CONFIG_HANDLER)
		r = diff_extras(diff, diff->old->handlers[old_at].extras,
			diff->new->handlers[new_at].extras);
	return r;
}

static bool is_leaving(const struct settings *settings, enum config_scope scope, size_t at)
{
	return scope == CONFIG_POOL && settings->pools[at].leaving;
}

/* The place of the section that is called as the one at `at` in `named`; -ENOENT: there is none, or
 * it is leaving. */
static int find_same(const struct settings *settings, const struct settings *named,
	enum config_scope scope, size_t at, size_t *ret_at)
{
	int r = section_find(settings, scope, section_name(named, scope, at), ret_at);

	return r == 0 && is_leaving(settings, scope, *ret_at) ? -ENOENT : r;
}

static int diff_scope(struct diff *diff, enum config_scope scope)
{
	size_t n = section_count(diff->old, scope), other;
	int r = 0;

	for (size_t at = 0; at < n && r == 0; at++) {
		if (is_leaving(diff->old, scope, at))
			continue;
		if (find_same(diff->new, diff->old, scope, at, &other) == 0) {
			r = diff_section(diff, scope, at, other);
			continue;
		}
		r = write_title(diff, diff->old, scope, at);
		if (r == 0)
			r = tell_section(diff,
				scope == CONFIG_POOL ? CHANGE_POOL_GONE : CHANGE_RESTART, false);
	}
	n = section_count(diff->new, scope);
	for (size_t at = 0; at < n && r == 0; at++) {
		if (find_same(diff->old, diff->new, scope, at, &other) == 0)
			continue;
		r = write_title(diff, diff->new, scope, at);
		if (r == 0)
			r = tell_section(diff,
				scope == CONFIG_POOL ? CHANGE_POOL_NEW : CHANGE_RESTART, true);
	}
	return r;
}

int config_diff(const struct settings *old, const struct settings *new,
	int (*on_change)(void *user, const struct config_change *change), void *user)
{
	struct diff diff = {.old = old, .new = new, .on_change = on_change, .user = user};
	int r = 0;

	buf_init(&diff.title, TEXT_MAX);
	buf_init(&diff.before, TEXT_MAX);
	buf_init(&diff.after, TEXT_MAX);
	for (int scope = 0; scope < CONFIG_SCOPES && r == 0; scope++)
		r = diff_scope(&diff, (enum config_scope)scope);
	buf_done(&diff.title);
	buf_done(&diff.before);
	buf_done(&diff.after);
	return r;
}

/* What goes on. */

struct merge {
	const struct settings *old, *new; /* borrows: config_apply_live()'s caller's */
	struct settings *merged;          /* owns */
	char *why;                        /* borrows: as above */
};

/* A section of one side. */
struct side {
	const struct settings *settings; /* borrows; NULL: the side does not have it */
	size_t at;
	const struct origin_section *said; /* borrows: settings'; NULL: all default */
};

static struct side side_of(const struct settings *settings, enum config_scope scope, size_t at)
{
	return (struct side){settings, at, origins_find(settings->origins, scope, at)};
}

static int merge_origin(struct merge *merge, const struct side *from, const struct config_key *key,
	struct origin_section *to)
{
	if (to == NULL || from->said == NULL)
		return 0;
	return origins_adopt(merge->merged->origins, from->settings->origins,
		from->said->keys[keys_place(key)], &to->keys[keys_place(key)]);
}

/* The origins' section of a merged one; NULL: nobody said anything of it. */
static int merge_said(struct merge *merge, enum config_scope scope, size_t to,
	const struct side *old, const struct side *new, struct origin_section **ret_said)
{
	const struct side *from = new->said != NULL ? new : old;
	struct origin_section *said;
	int r;

	*ret_said = NULL;
	if (from->said == NULL)
		return 0;
	r = origins_enter(merge->merged->origins, scope, to, &said);
	if (r == 0)
		r = origins_adopt(merge->merged->origins, from->settings->origins,
			from->said->origin, &said->origin);
	if (r == 0)
		*ret_said = said;
	return r;
}

/* Fills the section at `to`: with live keys of `new` and the others of `old`; if only one side has
 * it, with all of that. */
static int merge_section(struct merge *merge, enum config_scope scope, size_t to,
	const struct side *old, const struct side *new)
{
	void *base = section_base(merge->merged, scope, to);
	size_t n;
	const struct config_key *keys = keys_table(&n);
	struct origin_section *said;
	int r = merge_said(merge, scope, to, old, new, &said);

	for (size_t i = 0; i < n && r == 0; i++) {
		bool is_new = new->settings != NULL &&
			      (old->settings == NULL || (keys[i].flags & CONFIG_LIVE) != 0);
		const struct side *from = is_new ? new : old;

		if (keys[i].scope != scope)
			continue;
		r = value_copy(&keys[i], base, section_const_base(from->settings, scope, from->at));
		if (r == 0)
			r = merge_origin(merge, from, &keys[i], said);
	}
	return r;
}

/* `resources` is not live, and resources keep their places: so do those of a handler. */
static int copy_used(struct settings_handler *to, const struct settings_handler *from)
{
	if (from->n_resources == 0)
		return 0;
	to->resource_at = calloc(SETTINGS_USED_MAX, sizeof(*to->resource_at));
	if (to->resource_at == NULL)
		return -ENOMEM;
	memcpy(to->resource_at, from->resource_at, from->n_resources * sizeof(*to->resource_at));
	to->n_resources = from->n_resources;
	return 0;
}

/* One that `old` has, in its place. */
static int merge_old(struct merge *merge, enum config_scope scope, size_t at)
{
	const char *name = section_name(merge->old, scope, at);
	struct side old = side_of(merge->old, scope, at);
	struct side new = {0};
	size_t to, other;
	int r = section_add(merge->merged, scope, name, &to);

	if (r < 0)
		return r;
	if (section_find(merge->new, scope, name, &other) == 0) {
		new = side_of(merge->new, scope, other);
		if (is_leaving(merge->old, scope, at))
			old = (struct side){0}; /* it comes back: nothing of it goes on */
	} else if (scope == CONFIG_POOL) {
		merge->merged->pools[to].leaving = true;
	}
	r = merge_section(merge, scope, to, &old, &new);
	if (r == 0 && scope == CONFIG_HANDLER)
		r = copy_used(&merge->merged->handlers[to], &merge->old->handlers[at]);
	if (r == 0 && scope == CONFIG_HANDLER) /* none of them is live */
		r = extras_adopt(&merge->merged->handlers[to].extras, merge->merged->origins,
			merge->old->handlers[at].extras, merge->old->origins);
	return r;
}

static int merge_new_pool(struct merge *merge, size_t at)
{
	const char *name = merge->new->pools[at].name;
	struct side new = side_of(merge->new, CONFIG_POOL, at);
	size_t to;
	int r;

	if (section_find(merge->old, CONFIG_POOL, name, &to) == 0)
		return 0;
	r = section_add(merge->merged, CONFIG_POOL, name, &to);
	if (r == -E2BIG)
		return refuse_line(merge->why, -EINVAL,
			(struct refuse_section){merge->new, CONFIG_POOL, at}, new.said->origin,
			NULL, NULL, "too many pools, with those that stay until a restart");
	return r == 0 ? merge_section(merge, CONFIG_POOL, to, &(struct side){0}, &new) : r;
}

static int merge_all(struct merge *merge)
{
	int r = 0;

	for (int i = 0; i < CONFIG_SCOPES; i++) {
		enum config_scope scope = (enum config_scope)i;
		size_t n = section_count(merge->old, scope);

		if (!keys_scope_is_named(scope)) {
			struct side old = side_of(merge->old, scope, 0);
			struct side new = side_of(merge->new, scope, 0);

			r = merge_section(merge, scope, 0, &old, &new);
		}
		for (size_t at = 0; keys_scope_is_named(scope) && at < n && r == 0; at++)
			r = merge_old(merge, scope, at);
		if (r < 0)
			return r;
	}
	for (size_t at = 0; at < merge->new->n_pools &&r == 0; at++)
		r = merge_new_pool(merge, at);
	merge->merged->access.given = merge->new->access.given;
	return r;
}

/* Rules between what goes on and what is new. Each side has kept them for itself. */

/* Says what is wrong with a key of the new files; where they do not have it, the old file's name
 * must do, whose lines have moved. */
static int refuse_key(const struct merge *merge, const struct config_key *key, const char *name,
	const char *value, const char *reason)
{
	struct refuse_section shown = {merge->new, key->scope, 0};
	const struct origin_section *said = NULL;
	struct origin origin = {0};

	if (section_find(merge->new, key->scope, name, &shown.at) == 0)
		said = origins_find(merge->new->origins, key->scope, shown.at);
	if (said == NULL) {
		shown.settings = merge->old;
		if (section_find(merge->old, key->scope, name, &shown.at) == 0)
			said = origins_find(merge->old->origins, key->scope, shown.at);
	}
	if (said != NULL)
		origin = said->keys[keys_place(key)].file != 0 ? said->keys[keys_place(key)]
							       : said->origin;
	if (shown.settings == merge->old)
		origin.line = 0;
	return refuse_line(merge->why, -EINVAL, shown, origin, key->name, value, "%s", reason);
}

static int check_pool(const struct merge *merge, const struct settings_handler *handler)
{
	const struct settings_pool *pool = settings_find_pool(merge->merged, handler->pool);
	char reason[CONFIG_WHY_SIZE];

	if (pool == NULL || !pool->leaving)
		return 0;
	(void)snprintf(reason, sizeof(reason),
		"there is no section [pool %s], which this handler keeps until a restart",
		handler->pool);
	return refuse_key(
		merge, keys_find(CONFIG_HANDLER, "pool"), handler->name, handler->pool, reason);
}

static int check_weight(const struct merge *merge, const struct settings_handler *handler)
{
	for (size_t i = 0; i < handler->n_resources; i++) {
		const struct settings_resource *resource =
			&merge->merged->resources[handler->resource_at[i]];
		char reason[CONFIG_WHY_SIZE], value[STR_DURATION_MAX];

		if (resource->max_active == 0 || handler->weight <= resource->max_active)
			continue;
		(void)snprintf(value, sizeof(value), "%" PRIu64, handler->weight);
		(void)snprintf(reason, sizeof(reason),
			"more than max_active of [resource %s], which is %" PRIu64
			" and which this handler keeps until a restart",
			resource->name, resource->max_active);
		return refuse_key(
			merge, keys_find(CONFIG_HANDLER, "weight"), handler->name, value, reason);
	}
	return 0;
}

/* The hosts were told the handler's bound when they started. */
static int check_output(const struct merge *merge, const struct settings_handler *handler)
{
	uint64_t limit = merge->merged->daemon.max_output_bytes;
	char reason[CONFIG_WHY_SIZE], value[STR_DURATION_MAX], kept[STR_DURATION_MAX];

	if (handler->max_output_bytes <= limit)
		return 0;
	(void)snprintf(reason, sizeof(reason),
		"less than max_output of [handler %s], which is %s until a restart", handler->name,
		str_from_bytes(handler->max_output_bytes, kept));
	return refuse_key(merge, keys_find(CONFIG_DAEMON, "max_output"), "",
		str_from_bytes(limit, value), reason);
}

static int check_merged(const struct merge *merge)
{
	int r = 0;

	for (size_t i = 0; i < merge->merged->n_handlers && r == 0; i++) {
		const struct settings_handler *handler = &merge->merged->handlers[i];

		r = check_pool(merge, handler);
		if (r == 0)
			r = check_weight(merge, handler);
		if (r == 0)
			r = check_output(merge, handler);
	}
	return r;
}

int config_apply_live(
	struct settings *new, const struct settings *old, char ret_why[CONFIG_WHY_SIZE])
{
	struct settings *merged = calloc(1, sizeof(*merged));
	struct merge merge = {.old = old, .new = new, .merged = merged, .why = ret_why};
	int r = -ENOMEM;

	ret_why[0] = '\0';
	if (merged != NULL)
		merged->origins = origins_new();
	if (merged != NULL && merged->origins != NULL)
		r = merge_all(&merge);
	if (r == 0)
		r = check_merged(&merge);
	if (r == 0) {
		struct settings replaced = *new;

		*new = *merged;
		*merged = replaced;
	}
	if (r == -ENOMEM)
		(void)snprintf(ret_why, CONFIG_WHY_SIZE, "out of memory");
	settings_free(merged);
	return r;
}
