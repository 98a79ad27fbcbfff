/*
 * hdef: see hdef.h. A host is not trusted: what it says is copied, bounded, and can only describe handlers that the
 * configuration has.
 */
#include "api/hdef.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "api/api.h"
#include "base/log.h"
#include "base/str.h"
#include "net/daemon.h"
#include "net/hostlink.h"
#include "wire/json.h"

/* link->offers: one for each settings->handlers, and which one the PARAMs belong to. */
struct offers {
	size_t n;
	struct hdef *last; /* NULL: no OFFER yet */
	struct sandbox_news sandbox;
	struct hdef all[];
};

void hdef_done(struct hdef *hdef)
{
	for (size_t i = 0; i < hdef->n_params; i++) {
		free((char *)hdef->params[i].name);
		free((char *)hdef->params[i].words);
		free((char *)hdef->params[i].text);
	}
	free(hdef->params);
	free(hdef->text);
	free(hdef->refused);
	*hdef = (struct hdef){0};
}

void hdef_forget(struct hostlink *link)
{
	struct offers *offers = link->offers;

	if (offers == NULL)
		return;
	for (size_t i = 0; i < offers->n; i++)
		hdef_done(&offers->all[i]);
	free(offers->sandbox.on);
	free(offers->sandbox.off);
	free(offers);
	link->offers = NULL;
}

/* Names and sentences that go to clients as they are. */
static bool is_fit(struct view text, size_t max)
{
	return text.len <= max && str_is_utf8(text) &&
	       (text.len == 0 || memchr(text.data, '\0', text.len) == NULL);
}

static int take_hello(struct hostlink *link, const struct hostmsg *msg)
{
	size_t n = link->daemon->settings->n_handlers;
	struct offers *offers;

	(void)msg;
	hdef_forget(link);
	offers = calloc(1, sizeof *offers + n * sizeof offers->all[0]);
	if (offers == NULL)
		return -ENOMEM;
	offers->n = n;
	link->offers = offers;
	return 0;
}

static int take_sandbox(struct hostlink *link, const struct hostmsg *msg)
{
	struct offers *offers = link->offers;
	struct view on = msg->sandbox.on, off = msg->sandbox.off;

	if (offers == NULL || offers->sandbox.is_known || !is_fit(on, HOSTMSG_TEXT_MAX) ||
		!is_fit(off, HOSTMSG_TEXT_MAX))
		return -EPROTO;
	offers->sandbox = (struct sandbox_news){.is_known = true,
		.landlock = msg->sandbox.landlock,
		.on = mem_dup(on.data, on.len),
		.off = mem_dup(off.data, off.len)};
	return offers->sandbox.on != NULL && offers->sandbox.off != NULL ? 0 : -ENOMEM;
}

/* The handler's index in the settings, or -ENOENT. */
static ssize_t find_handler(const struct daemon *daemon, struct view name)
{
	for (size_t i = 0; i < daemon->settings->n_handlers; i++)
		if (view_is_equal(name, view_of(daemon->settings->handlers[i].name)))
			return (ssize_t)i;
	return -ENOENT;
}

static int take_offer(struct hostlink *link, const struct hostmsg *msg)
{
	struct offers *offers = link->offers;
	ssize_t i = find_handler(link->daemon, msg->offer.handler);

	if (offers == NULL || i < 0 || !is_fit(msg->offer.text, HOSTMSG_TEXT_MAX))
		return -EPROTO;
	offers->last = &offers->all[i];
	if (offers->last->is_known)
		return -EPROTO;
	offers->last->text = mem_dup(msg->offer.text.data, msg->offer.text.len);
	offers->last->is_known = true;
	offers->last->is_checked = msg->offer.checked != 0;
	return offers->last->text != NULL ? 0 : -ENOMEM;
}

static int take_param(struct hostlink *link, const struct hostmsg *msg)
{
	struct offers *offers = link->offers;
	struct hdef *hdef = offers != NULL ? offers->last : NULL;
	struct param *params, *param;

	if (hdef == NULL || hdef->n_params >= HOSTMSG_PARAMS_MAX || msg->param.type > PARAM_ENUM)
		return -EPROTO;
	if (!is_fit(msg->param.name, JSON_KEY_LIMIT) ||
		!is_fit(msg->param.words, HOSTMSG_TEXT_MAX) ||
		!is_fit(msg->param.text, HOSTMSG_TEXT_MAX))
		return -EPROTO;
	params = realloc(hdef->params, (hdef->n_params + 1) * sizeof *params);
	if (params == NULL)
		return -ENOMEM;
	hdef->params = params;
	param = &params[hdef->n_params++];
	*param = (struct param){
		.name = mem_dup(msg->param.name.data, msg->param.name.len),
		.type = (enum param_type)msg->param.type,
		.flags = msg->param.required ? PARAM_REQUIRED : 0,
		.offset = PARAM_NO_FIELD,
		.min = msg->param.min,
		.max = msg->param.max,
		.words = mem_dup(msg->param.words.data, msg->param.words.len),
		.text = mem_dup(msg->param.text.data, msg->param.text.len),
	};
	return param->name != NULL && param->words != NULL && param->text != NULL ? 0 : -ENOMEM;
}

/* The host is one of the pool that the handler's tasks go to. */
static bool is_own(const struct hostlink *link, size_t handler)
{
	return link->daemon->board->handlers[handler].pool == link->pool;
}

/* The first host that gets READY tells for all: they run the same program with the same configuration. But what is in a
 * file of its own may be another one by now. */
static void adopt(struct hostlink *link, size_t i, struct hdef *told)
{
	struct hdef *hdef = &((struct api *)link->daemon->api)->hdefs[i];

	if (told->is_known && is_own(link, i))
		free(take(hdef->refused));
	if (told->refused != NULL && is_own(link, i)) {
		free(hdef->refused);
		hdef->refused = take(told->refused);
	}
	if (told->is_known &&
		(!hdef->is_known || settings_is_bound(&link->daemon->settings->handlers[i]))) {
		char *refused = take(hdef->refused); /* its own pool's host still says so */

		hdef_done(hdef);
		*hdef = *told;
		hdef->refused = refused;
		*told = (struct hdef){0};
	}
}

static int take_ready(struct hostlink *link, const struct hostmsg *msg)
{
	struct api *api = link->daemon->api;
	struct offers *offers = link->offers;

	(void)msg;
	if (offers == NULL)
		return -EPROTO;
	for (size_t i = 0; i < offers->n; i++)
		adopt(link, i, &offers->all[i]);
	if (!api->sandbox.is_known) {
		api->sandbox = offers->sandbox;
		offers->sandbox = (struct sandbox_news){0};
	}
	hdef_forget(link);
	return 0;
}

/* A handler whose settings no host can use: a wrong configuration, found out late. */
static int take_refused(struct hostlink *link, const struct hostmsg *msg)
{
	struct daemon *daemon = link->daemon;
	struct offers *offers = link->offers;
	ssize_t i = find_handler(daemon, msg->refused.handler);
	char name[LOG_QUOTE_MAX + 1], why[LOG_QUOTE_MAX + 1];

	if (offers == NULL || i < 0 || !is_fit(msg->refused.why, HOSTMSG_TEXT_MAX))
		return -EPROTO;
	free(offers->all[i].refused);
	offers->all[i].refused = mem_dup(msg->refused.why.data, msg->refused.why.len);
	if (offers->all[i].refused == NULL)
		return -ENOMEM;
	log_error("handler_refused", "[handler %s] %s",
		log_quote(msg->refused.handler.data, msg->refused.handler.len, name),
		log_quote(msg->refused.why.data, msg->refused.why.len, why));
	if (!daemon->is_serving) {
		daemon->exit_code = EX_CONFIG;
		daemon->done = true;
	}
	return 0;
}

static const struct {
	enum hostmsg_type type;
	int (*accept)(struct hostlink *, const struct hostmsg *);
} takers[] = {
	{HOSTMSG_HELLO, take_hello},
	{HOSTMSG_SANDBOX, take_sandbox},
	{HOSTMSG_OFFER, take_offer},
	{HOSTMSG_PARAM, take_param},
	{HOSTMSG_READY, take_ready},
	{HOSTMSG_REFUSED, take_refused},
};

int hdef_on_hello(struct hostlink *link, const struct hostmsg *msg)
{
	for (size_t i = 0; i < ARRAY_SIZE(takers); i++)
		if (takers[i].type == msg->type)
			return takers[i].accept(link, msg);
	return -EPROTO;
}

int hdef_check(const struct hdef *hdef, const json_t *args, const char **ret_param,
	char ret_why[PARAM_WHY_SIZE])
{
	if (!hdef->is_checked)
		return 0;
	return param_read(args, hdef->params, hdef->n_params, NULL, ret_param, ret_why);
}
