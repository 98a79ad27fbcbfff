/*
 * handler: the kinds of handlers.def, and the offers made of them. Not for running (work.c) and not for what a kind
 * does (h_*.c). Called by host.c before the first thread; afterwards only handler_find() and reading.
 * Invariants: names are unique; every offer on the list was started; max_output_bytes never passes the daemon's bound.
 */
#include "host/handler.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

#define MAX_OUTPUT_BYTES 65536u
#define KILL_AFTER_US    (5 * US_PER_SEC)

#define HANDLER(name) extern const struct handler handler_##name;
#include "host/handlers.def"
#undef HANDLER

static const struct handler *const kinds[] = {
#define HANDLER(name) &handler_##name,
#include "host/handlers.def"
#undef HANDLER
};

/* Keys that every kind has; they fill the offer itself. */
static const struct setting common[] = {
	{"max_output", SETTING_U64, offsetof(struct offer, max_output_bytes), 0},
	{"kill_after", SETTING_U64, offsetof(struct offer, kill_after_us), 0},
};

static void offer_free(struct offer *offer)
{
	const struct handler *handler = offer->handler;

	if (offer->started && handler->stop)
		handler->stop(offer);
	if (offer->config)
		setting_done(handler->settings, handler->n_settings, offer->config);
	setting_free_extras(&offer->extras);
	free(offer->config);
	free(offer->name);
	free(offer);
}

static struct offer *offer_new(
	struct registry *registry, const struct handler *handler, struct view name)
{
	struct offer *offer = calloc(1, sizeof(*offer));

	if (!offer)
		return NULL;
	*offer = (struct offer){
		.handler = handler,
		.registry = registry,
		.name = mem_dup(name.data, name.len),
		.text = handler->text,
		.params = handler->params,
		.n_params = handler->n_params,
		.checked = handler->checked,
		.max_output_bytes = MAX_OUTPUT_BYTES,
		.kill_after_us = KILL_AFTER_US,
		.config = calloc(1, handler->config_bytes + 1), /* + 1: never nothing */
	};
	TAILQ_INIT(&offer->extras);
	if (offer->config && handler->defaults)
		memcpy(offer->config, handler->defaults, handler->config_bytes);
	if (offer->name && offer->config)
		return offer;
	offer_free(offer);
	return NULL;
}

static int take_line(struct view line, struct offer *offer, struct buf *ret_rest, char *ret_why)
{
	const struct handler *handler = offer->handler;

	if (setting_is_known(line, common, ARRAY_SIZE(common)))
		return setting_read(line, common, ARRAY_SIZE(common), offer, ret_why);
	if (!handler->foreign || setting_is_known(line, handler->settings, handler->n_settings))
		return buf_append(ret_rest, line.data, line.len);
	if (line.len == 1 && line.data[0] == '\n')
		return 0;
	(void)snprintf(ret_why, SETTING_WHY_SIZE, "one of its settings is no setting");
	offer->n_extras++;
	return setting_add_extra(line, &offer->extras);
}

/* The common keys of `lines` into the offer, a foreign handler's own beside it; the others, as lines, to `ret_rest`. */
static int split_settings(
	struct view lines, struct offer *offer, struct buf *ret_rest, char *ret_why)
{
	int r = 0;

	for (size_t at = 0; at < lines.len && r == 0;) {
		const char *line = lines.data + at;
		const char *newline = memchr(line, '\n', lines.len - at);
		size_t len = newline ? (size_t)(newline - line) + 1 : lines.len - at;

		r = take_line((struct view){line, len}, offer, ret_rest, ret_why);
		at += len;
	}
	return r;
}

static int configure(struct offer *offer, struct view lines, char *ret_why)
{
	const struct handler *handler = offer->handler;
	struct buf rest;

	buf_init(&rest, lines.len + 1);
	int r = split_settings(lines, offer, &rest, ret_why);
	if (r == 0)
		r = setting_read(buf_view(&rest), handler->settings, handler->n_settings,
			offer->config, ret_why);
	if (rest.data)
		explicit_bzero(rest.data, rest.cap); /* it may hold the password of a URI */
	buf_done(&rest);
	if (offer->max_output_bytes > offer->registry->max_output_bytes)
		offer->max_output_bytes = offer->registry->max_output_bytes;
	return r;
}

static int start(struct registry *registry, struct offer *offer, char *ret_why)
{
	if (offer->handler->start) {
		int r = offer->handler->start(offer, ret_why);
		if (r < 0)
			return r;
	}
	offer->started = true;
	TAILQ_INSERT_TAIL(&registry->offers, offer, link);
	return 0;
}

int handler_init(struct registry *registry, uint64_t max_output_bytes, struct spawner *spawner,
	struct sandbox *sandbox)
{
	*registry = (struct registry){
		.max_output_bytes = max_output_bytes, .spawner = spawner, .sandbox = sandbox};
	TAILQ_INIT(&registry->offers);
	TAILQ_INIT(&registry->mongos);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		char why[SETTING_WHY_SIZE];

		if (!kinds[i]->builtin)
			continue;
		struct offer *offer = offer_new(registry, kinds[i], view_of(kinds[i]->name));
		if (!offer || configure(offer, (struct view){NULL, 0}, why) < 0 ||
			start(registry, offer, why) < 0) {
			if (offer)
				offer_free(offer);
			handler_done(registry);
			return -ENOMEM;
		}
	}
	return 0;
}

void handler_done(struct registry *registry)
{
	struct offer *offer, *next;

	TAILQ_FOREACH_SAFE (offer, &registry->offers, link, next) {
		TAILQ_REMOVE(&registry->offers, offer, link);
		offer_free(offer);
	}
}

void handler_stop_foreign(struct registry *registry)
{
	struct offer *offer;

	TAILQ_FOREACH (offer, &registry->offers, link) {
		if (offer->handler->foreign && offer->started)
			offer->handler->stop(offer);
	}
}

/* The kind for a HANDLER: of type "builtin" the one with this name, else the one that is called like the type. */
static const struct handler *find_kind(struct view name, struct view type)
{
	bool builtin = view_is_equal(type, VIEW_LIT("builtin"));

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i]->builtin == builtin &&
			view_is_equal(view_of(kinds[i]->name), builtin ? name : type))
			return kinds[i];
	}
	return NULL;
}

bool handler_is_foreign(struct view name, struct view type)
{
	const struct handler *kind = find_kind(name, type);

	return kind && kind->foreign;
}

static struct offer *find_offer(const struct registry *registry, struct view name)
{
	struct offer *offer;

	TAILQ_FOREACH (offer, &registry->offers, link) {
		if (view_is_equal(view_of(offer->name), name))
			return offer;
	}
	return NULL;
}

const struct offer *handler_find(const struct registry *registry, struct view name)
{
	return find_offer(registry, name);
}

int handler_add(struct registry *registry, struct view name, struct view type, struct view settings,
	char ret_why[SETTING_WHY_SIZE])
{
	const struct handler *kind = find_kind(name, type);
	struct offer *known = find_offer(registry, name);

	(void)snprintf(ret_why, SETTING_WHY_SIZE, "no memory");
	if (!kind) {
		(void)snprintf(ret_why, SETTING_WHY_SIZE, "there is no handler of this type");
		return -EINVAL;
	}
	if (known && kind->builtin)
		return configure(known, settings, ret_why);
	if (known || name.len == 0 || memchr(name.data, '\0', name.len)) {
		(void)snprintf(ret_why, SETTING_WHY_SIZE,
			known ? "there is another one of this name" : "it has no name");
		return -EINVAL;
	}
	struct offer *offer = offer_new(registry, kind, name);
	if (!offer)
		return -ENOMEM;
	int r = configure(offer, settings, ret_why);
	if (r == 0)
		r = start(registry, offer, ret_why);
	if (r < 0)
		offer_free(offer);
	return r;
}
