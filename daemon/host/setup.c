/*
 * setup: see setup.h. Called by host.c while there is one thread, so there is no lock.
 */
#include "host/setup.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "host/scratch.h"

#define FEATURES_BYTES 1024

static int put_hello(struct link *link)
{
	struct hostmsg hello = {
		.type = HOSTMSG_HELLO, .hello = {HOSTMSG_VERSION, (uint32_t)getpid()}};

	return link_put(link, &hello);
}

static int take_setup(struct host *host, struct hostmsg *msg)
{
	int r = link_wait(&host->link, msg);

	if (r < 0)
		return r;
	if (msg->type != HOSTMSG_SETUP)
		return -EPROTO;
	r = put_hello(&host->link);
	if (r < 0)
		return r;
	if (msg->setup.version != HOSTMSG_VERSION) {
		log_error("host_version", "the daemon speaks version %u, this host %u",
			msg->setup.version, HOSTMSG_VERSION);
		link_begin_send(&host->link); /* so that it can tell */
		IGNORE(link_send(&host->link, true));
		return -EPROTONOSUPPORT;
	}
	if (msg->setup.workers == 0 || msg->setup.workers >= WORK_THREADS_MAX)
		return -EPROTO;
	host->n_workers = msg->setup.workers;
	r = sandbox_init(&host->sandbox);
	/* Of all hosts, not only of this one. */
	if (r == 0)
		r = sandbox_hide(&host->sandbox, view_of(scratch_parent()));
	return r < 0 ? r
		     : handler_init(&host->registry, msg->setup.max_output, &host->spawner,
			       &host->sandbox);
}

static int take_private(struct host *host, const struct hostmsg *msg)
{
	return sandbox_hide(&host->sandbox, msg->private.path);
}

/* Told at once: afterwards there may be nobody to tell it. */
static int tell_starting(struct link *link, struct view handler)
{
	struct hostmsg msg = {.type = HOSTMSG_STARTING, .starting = {handler}};

	int r = link_put(link, &msg);
	if (r < 0)
		return r;
	link_begin_send(link);
	return link_send(link, true);
}

static int take_handler(struct host *host, const struct hostmsg *msg)
{
	char why[SETTING_WHY_SIZE];
	char name[LOG_QUOTE_MAX + 1];
	int r = 0;

	host->n_handlers++;
	if (handler_is_foreign(msg->handler.name, msg->handler.type))
		r = tell_starting(&host->link, msg->handler.name);
	if (r < 0)
		return r;
	r = handler_add(
		&host->registry, msg->handler.name, msg->handler.type, msg->handler.settings, why);
	if (r == 0)
		return 0;
	log_error("handler_refused", "handler \"%s\": %s",
		log_quote(msg->handler.name.data, msg->handler.name.len, name), why);
	struct hostmsg refused = {.type = HOSTMSG_REFUSED};
	refused.refused.handler = msg->handler.name;
	refused.refused.why = view_of(why);
	return link_put(&host->link, &refused);
}

static int put_param(struct link *link, const struct param *param)
{
	struct hostmsg msg = {.type = HOSTMSG_PARAM};

	msg.param.name = view_of(param->name);
	msg.param.type = (uint8_t)param->type;
	msg.param.required = (param->flags & PARAM_REQUIRED) != 0;
	msg.param.min = param->min;
	msg.param.max = param->max;
	msg.param.words = view_of(param->words);
	msg.param.text = view_of(param->text);
	return link_put(link, &msg);
}

static int put_offer(struct link *link, const struct offer *offer)
{
	struct hostmsg msg = {.type = HOSTMSG_OFFER};

	msg.offer.handler = view_of(offer->name);
	msg.offer.text = view_of(offer->text);
	msg.offer.checked = offer->checked;
	int r = link_put(link, &msg);
	for (size_t i = 0; r == 0 && offer->checked && i < offer->n_params; i++)
		r = put_param(link, &offer->params[i]);
	return r;
}

static int put_sandbox(struct host *host)
{
	struct hostmsg msg = {.type = HOSTMSG_SANDBOX, .sandbox = {.landlock = host->sandbox.abi}};
	struct buf on, off;

	buf_init(&on, FEATURES_BYTES);
	buf_init(&off, FEATURES_BYTES);
	int r = sandbox_features(&host->sandbox, true, &on);
	if (r == 0)
		r = sandbox_features(&host->sandbox, false, &off);
	msg.sandbox.on = buf_view(&on);
	msg.sandbox.off = buf_view(&off);
	if (r == 0)
		r = link_put(&host->link, &msg);
	buf_done(&on);
	buf_done(&off);
	return r;
}

/* What the daemon may say before GO. */
static int (*const takers[HOSTMSG_TYPES])(struct host *, const struct hostmsg *) = {
	[HOSTMSG_PRIVATE] = take_private,
	[HOSTMSG_HANDLER] = take_handler,
};

int setup_take(struct host *host)
{
	struct hostmsg msg;

	int r = take_setup(host, &msg);
	if (r < 0)
		return r;
	while (r == 0 && (r = link_wait(&host->link, &msg)) == 0 && takers[msg.type])
		r = takers[msg.type](host, &msg);
	if (r < 0)
		return r;
	if (msg.type != HOSTMSG_GO || msg.go.handlers != host->n_handlers)
		return -EPROTO;
	r = put_sandbox(host);
	if (r < 0)
		return r;
	const struct offer *offer;
	TAILQ_FOREACH (offer, &host->registry.offers, link) {
		r = put_offer(&host->link, offer);
		if (r < 0)
			return r;
	}
	return 0;
}

int setup_finish(struct host *host)
{
	struct hostmsg ready = {.type = HOSTMSG_READY, .ready = {host->n_workers}};

	return link_put(&host->link, &ready);
}
