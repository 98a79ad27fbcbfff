/*
 * sizing: see sizing.h. Called by verb_bench.c and verb_tune.c.
 */
#include "client/sizing.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "client/fault.h"
#include "client/json.h"
#include "client/print.h"
#include "client/wait.h"

#define RESTORE_US     (10 * US_PER_SEC)
#define SETTLE_STEP_US (2 * US_PER_MS)
#define CAPACITY_MAX   10000000 /* what Resize takes */

int sizing_ask(
	struct link *link, const char *pool, struct link_reply *ret_reply, const json_t **ret_pool)
{
	int code = link_call(link, "Stats", json_pack("{s:s}", "pool", pool), ret_reply);

	if (code == 0)
		*ret_pool = json_array_get(json_object_get(ret_reply->params, "pools"), 0);
	return code;
}

int sizing_find_handler(
	struct link *link, const char *name, struct link_reply *ret_reply, const json_t **ret_row)
{
	size_t i;
	json_t *row;

	int code = link_call(link, "Handlers", json_object(), ret_reply);
	if (code)
		return code;
	json_array_foreach (json_object_get(ret_reply->params, "handlers"), i, row) {
		if (strcmp(print_text(row, "name"), name) == 0) {
			*ret_row = row;
			return 0;
		}
	}
	auto_json json_t *params = json_pack("{s:s}", "handler", name);
	return fault_report("org.workpool.NoSuchHandler", params);
}

int sizing_init(struct sizing *sizing, struct link *link, const char *verb, const char *name)
{
	auto_reply struct link_reply reply = {0};
	const json_t *pool;

	*sizing = (struct sizing){.link = link, .verb = verb, .pool = strdup(name)};
	if (!sizing->pool)
		return fault_no_memory();
	int code = sizing_ask(link, name, &reply, &pool);
	if (code)
		return code;
	if (json_is_true(json_object_get(pool, "paused")))
		return fault_say(CODE_INACTIVE, "%s: pool \"%s\" is paused", verb, name);
	if (strcmp(print_text(reply.params, "daemon.state"), "stopping") == 0)
		return fault_say(CODE_INACTIVE, "%s: the daemon is stopping", verb);
	sizing->workers = print_int(pool, "workers");
	sizing->capacity = print_int(pool, "capacity");
	sizing->is_admin = strcmp(print_text(reply.params, "daemon.role"), "admin") == 0;
	return 0;
}

void sizing_done(struct sizing *sizing)
{
	free(sizing->pool);
	sizing->pool = NULL;
}

static int resize(struct sizing *sizing, int64_t workers, int64_t capacity)
{
	auto_reply struct link_reply reply = {0};

	sizing->is_changed = true;
	return link_call(sizing->link, "Resize",
		json_pack("{s:s, s:I, s:I}", "pool", sizing->pool, "workers", (json_int_t)workers,
			"capacity", (json_int_t)capacity),
		&reply);
}

static int settle(struct sizing *sizing)
{
	struct link *link = sizing->link;

	for (;;) {
		auto_reply struct link_reply reply = {0};
		const json_t *pool;
		int code = sizing_ask(link, sizing->pool, &reply, &pool);
		if (code)
			return code;
		if (print_int(pool, "leaving") == 0 && strcmp(print_text(pool, "host"), "up") == 0)
			return 0;
		if (clock_now_us() >= link->whole_until_us)
			return link_fail(link, -ETIMEDOUT);
		if (wait_until(wait_deadline(SETTLE_STEP_US)) < 0)
			return wait_signal_code();
	}
}

int sizing_set(struct sizing *sizing, int64_t workers, int64_t capacity)
{
	int code = resize(sizing, workers, capacity < CAPACITY_MAX ? capacity : CAPACITY_MAX);

	return code ? code : settle(sizing);
}

int sizing_restore(struct sizing *sizing)
{
	struct link *link = sizing->link;

	if (!sizing->is_changed)
		return 0;
	wait_set_mode(WAIT_SHIELD);
	link_close(link);
	link->answer_us = link->absence_us = RESTORE_US;
	link->whole_until_us = WAIT_FOREVER;
	int code = resize(sizing, sizing->workers, sizing->capacity);
	if (code)
		return fault_say(code,
			"%s: pool \"%s\" could not be put back to %jd workers, capacity %jd",
			sizing->verb, sizing->pool, (intmax_t)sizing->workers,
			(intmax_t)sizing->capacity);
	sizing->is_changed = false;
	return 0;
}
