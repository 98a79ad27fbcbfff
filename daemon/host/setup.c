/*
 * setup: see setup.h. Called by host.c while there is one thread, so there is no lock.
 */
#include "host/setup.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"

static int take_setup(struct host *host, struct hostmsg *msg)
{
	int r = link_wait(&host->link, msg);

	if (r < 0)
		return r;
	if (msg->type != HOSTMSG_SETUP)
		return -EPROTO;
	if (msg->setup.version != HOSTMSG_VERSION) {
		log_error("host_version", "the daemon speaks version %u, this host %u",
			msg->setup.version, HOSTMSG_VERSION);
		return -EPROTONOSUPPORT;
	}
	if (msg->setup.workers == 0 || msg->setup.workers >= WORK_THREADS_MAX)
		return -EPROTO;
	host->n_workers = msg->setup.workers;
	return handler_init(&host->registry, msg->setup.max_output, &host->spawner);
}

static int take_handler(struct host *host, const struct hostmsg *msg)
{
	char why[SETTING_WHY_SIZE];
	char name[LOG_QUOTE_MAX + 1];

	int r = handler_add(
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

int setup_take(struct host *host)
{
	struct hostmsg msg;
	uint32_t handlers = 0;

	int r = take_setup(host, &msg);
	if (r < 0)
		return r;
	struct hostmsg hello = {
		.type = HOSTMSG_HELLO, .hello = {HOSTMSG_VERSION, (uint32_t)getpid()}};
	r = link_put(&host->link, &hello);
	while (r == 0 && (r = link_wait(&host->link, &msg)) == 0 && msg.type == HOSTMSG_HANDLER) {
		handlers++;
		r = take_handler(host, &msg);
	}
	if (r < 0)
		return r;
	if (msg.type != HOSTMSG_GO || msg.go.handlers != handlers)
		return -EPROTO;
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
