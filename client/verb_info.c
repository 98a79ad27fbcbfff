/*
 * verb_info: what there is (pools, handlers), is it there (ping), how is it called (describe), and any call.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/fault.h"
#include "client/input.h"
#include "client/json.h"
#include "client/verb.h"
#include "client/wait.h"

#define PINGS 9 /* odd: the median is one of them */

static const struct print_column pool_columns[] = {
	{"pool", "name", PRINT_TEXT},
	{"workers", "workers", PRINT_NUMBER},
	{"rule", "workers_rule", PRINT_TEXT},
	{"leaving", "leaving", PRINT_NUMBER},
	{"capacity", "capacity", PRINT_NUMBER},
	{"paused", "paused", PRINT_YES},
	{"isolation", "isolation", PRINT_TEXT},
	{"host", "host", PRINT_STATE},
	{"hosts", "hosts", PRINT_NUMBER},
	{"hosts_up", "hosts_up", PRINT_NUMBER},
	{"host_pid", "host_pid", PRINT_NUMBER},
	{"restarts", "host_restarts", PRINT_NUMBER},
	{"active", "active", PRINT_NUMBER},
	{"queued", "queued", PRINT_NUMBER},
};

static const struct print_column handler_columns[] = {
	{"handler", "name", PRINT_TEXT},
	{"type", "type", PRINT_TEXT},
	{"pool", "pool", PRINT_TEXT},
	{"timeout", "timeout_ms", PRINT_MS},
	{"active", "active", PRINT_NUMBER},
	{"queued", "queued", PRINT_NUMBER},
	{"done", "done", PRINT_NUMBER},
	{"failed", "failed", PRINT_NUMBER},
	{"text", "text", PRINT_TEXT},
};

static const struct print_column limit_columns[] = {
	{"handler", "name", PRINT_TEXT},
	{"priority", "priority", PRINT_NUMBER},
	{"retries", "retries", PRINT_NUMBER},
	{"crash_max", "crash_max", PRINT_NUMBER},
	{"expires", "expires_ms", PRINT_MS},
	{"max_active", "max_active", PRINT_NUMBER},
	{"weight", "weight", PRINT_NUMBER},
	{"unique", "unique", PRINT_TEXT},
	{"resources", "resources", PRINT_LIST},
};

static const struct print_column param_columns[] = {
	{"handler", "handler", PRINT_TEXT},
	{"argument", "name", PRINT_TEXT},
	{"type", "type", PRINT_TEXT},
	{"required", "required", PRINT_YES},
	{"min", "min", PRINT_NUMBER},
	{"max", "max", PRINT_NUMBER},
	{"words", "words", PRINT_TEXT},
	{"text", "text", PRINT_TEXT},
};

int verb_pools(struct ctl *ctl)
{
	struct print_table table = PRINT_TABLE(pool_columns);
	auto_reply struct link_reply reply = {0};

	int code = link_call(&ctl->link, "Stats", json_object(), &reply);
	if (code)
		return code;
	if (ctl->print.is_json)
		return print_json(&ctl->print, reply.params);
	return print_rows(&ctl->print, &table, json_object_get(reply.params, "pools"));
}

/* The arguments of all handlers as rows of one table. */
static int print_params(struct ctl *ctl, const json_t *handlers)
{
	struct print_table table = PRINT_TABLE(param_columns);
	auto_json json_t *rows = json_array();
	size_t h, p;
	json_t *handler;
	json_t *param;

	if (!rows)
		return fault_no_memory();
	json_array_foreach (handlers, h, handler) {
		json_array_foreach (json_object_get(handler, "params"), p, param) {
			auto_json json_t *row = json_copy(param);
			if (!row ||
				json_object_set(row, "handler", json_object_get(handler, "name")) <
					0 ||
				json_array_append(rows, row) < 0)
				return fault_no_memory();
		}
	}
	if (json_array_size(rows) == 0)
		return 0;
	(void)putchar('\n');
	return print_rows(&ctl->print, &table, rows);
}

/* What posts get that do not say it, and what holds their tasks back. */
static int print_limits(struct ctl *ctl, const json_t *handlers)
{
	struct print_table table = PRINT_TABLE(limit_columns);

	(void)putchar('\n');
	return print_rows(&ctl->print, &table, handlers);
}

int verb_handlers(struct ctl *ctl)
{
	struct print_table table = PRINT_TABLE(handler_columns);
	auto_reply struct link_reply reply = {0};

	int code = link_call(&ctl->link, "Handlers", json_object(), &reply);
	if (code)
		return code;
	if (ctl->print.is_json)
		return print_json(&ctl->print, reply.params);
	const json_t *handlers = json_object_get(reply.params, "handlers");
	code = print_rows(&ctl->print, &table, handlers);
	if (code == 0 && ctl->opts.is_verbose)
		code = print_params(ctl, handlers);
	return code == 0 && ctl->opts.is_verbose ? print_limits(ctl, handlers) : code;
}

static int compare_us(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a;
	uint64_t right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

int verb_ping(struct ctl *ctl)
{
	static const struct print_column columns[] = {
		{"product", "product", PRINT_TEXT},
		{"version", "version", PRINT_TEXT},
		{"round_trip", "p50", PRINT_US},
	};
	uint64_t spans_us[PINGS];
	auto_json json_t *info = NULL;
	int code = link_open(&ctl->link);

	for (size_t i = 0; code == 0 && i < PINGS; i++) {
		auto_reply struct link_reply reply = {0};
		uint64_t start_us = clock_now_us();
		code = link_call(&ctl->link, "org.varlink.service.GetInfo", json_object(), &reply);
		spans_us[i] = clock_now_us() - start_us;
		json_decref(info);
		info = json_incref((json_t *)(uintptr_t)reply.params);
	}
	if (code)
		return code;
	if (ctl->print.is_json)
		return print_json(&ctl->print, info);
	qsort(spans_us, PINGS, sizeof(spans_us[0]), compare_us);
	if (json_object_set_new(info, "p50", json_integer((json_int_t)spans_us[PINGS / 2])) < 0)
		return fault_no_memory();
	return print_fields(&ctl->print, columns, ARRAY_SIZE(columns), info);
}

int verb_describe(struct ctl *ctl)
{
	auto_reply struct link_reply reply = {0};
	const char *interface = ctl->n_names > 0 ? ctl->names[0] : "org.workpool";

	int code = link_call(&ctl->link, "org.varlink.service.GetInterfaceDescription",
		json_pack("{s:s}", "interface", interface), &reply);
	if (code)
		return code;
	if (ctl->print.is_json)
		return print_json(&ctl->print, reply.params);
	return print_block(&ctl->print, print_text(reply.params, "description"));
}

int verb_call(struct ctl *ctl)
{
	const struct opts *opts = &ctl->opts;
	auto_json json_t *params = ctl->n_names < 2 ? json_object() : NULL;
	unsigned flags = (opts->more ? WORKPOOL_MORE : 0) | (opts->oneway ? WORKPOOL_ONEWAY : 0);
	bool continues = true;

	if (opts->more && opts->oneway)
		return fault_say(CODE_USAGE, "call: either --more or --oneway");
	int code = 0;
	if (ctl->n_names > 1)
		code = input_read_object(ctl->names[1], "parameters", &params);
	if (code == 0)
		code = link_put(&ctl->link, ctl->names[0], take(params), flags);
	if (code == 0 && opts->oneway)
		return link_finish(&ctl->link);
	while (code == 0 && continues) {
		auto_reply struct link_reply reply = {0};
		/* Whether this method waits is not known here: only --timeout ends it. */
		code = link_expect(&ctl->link, WAIT_FOREVER, &reply);
		if (code)
			break;
		continues = reply.continues;
		code = print_json(&ctl->print, reply.params);
		if (code == 0)
			code = print_flush(&ctl->print);
	}
	return code;
}
