/*
 * verb_post: one task, and on request its output and its end.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "client/fault.h"
#include "client/follow.h"
#include "client/input.h"
#include "client/json.h"
#include "client/outcome.h"
#include "client/verb.h"
#include "client/wait.h"

#define ROOM_USUAL_US (30 * US_PER_SEC) /* wait_max of a pool that does not say it */

static json_t *number_or_null(uint64_t number)
{
	return number == OPT_NOT_GIVEN ? NULL : json_integer((json_int_t)number);
}

/* Rounded up: what is less than a millisecond must not become 0, which means something else. */
static json_t *ms_or_null(uint64_t us)
{
	return number_or_null(
		us == OPT_NOT_GIVEN ? us : us / US_PER_MS + (us % US_PER_MS > 0 ? 1 : 0));
}

static int build_params(const struct ctl *ctl, json_t **ret_params)
{
	const struct opts *opts = &ctl->opts;
	auto_json json_t *args = NULL;

	if (ctl->n_names > 1) {
		int code = input_read_object(ctl->names[1], "arguments", &args);
		if (code)
			return code;
	}
	/* With --wait=D the id is wanted even if D passes: then the waiting is a call of its own. */
	json_t *wait = opts->wait_us == 0 ? json_true() : NULL;
	json_t *params = json_pack("{s:s, s:O*, s:s*, s:s*, s:o*, s:o*, s:o*, s:o*, s:o*, s:s*, "
				   "s:o*, s:o*}",
		"handler", ctl->names[0], "args", args, "pool", opts->pool, "name", opts->name,
		"priority", number_or_null(opts->priority), "delay_ms", ms_or_null(opts->delay_us),
		"expires_ms", ms_or_null(opts->expires_us), "timeout_ms", ms_or_null(opts->task_us),
		"retries", number_or_null(opts->retries), "unique", opts->unique, "wait_room_ms",
		ms_or_null(opts->room_us), "wait", wait);
	if (!params)
		return fault_no_memory();
	*ret_params = params;
	return 0;
}

/* What post says without --wait, for whoever wants to go on waiting; with -j the reply said it. */
static void show_id(const struct ctl *ctl, const char *id)
{
	if (!ctl->print.is_json)
		(void)puts(id); /* print_flush() finds out whether it could be written */
}

/* For D at most, for the task that was posted: its row, or its id if there is none. */
static int wait_for(struct ctl *ctl, const char *id, struct outcome *outcome)
{
	auto_reply struct link_reply reply = {0};
	uint64_t wait_us = ctl->opts.wait_us;
	uint64_t grace_us = ctl->link.answer_us;
	uint64_t until_us = wait_deadline(
		wait_us < WAIT_FOREVER - grace_us ? wait_us + grace_us : WAIT_FOREVER);

	int code = link_put(&ctl->link, "Wait",
		json_pack(
			"{s:[s], s:I}", "ids", id, "timeout_ms", (json_int_t)(wait_us / US_PER_MS)),
		0);
	if (code == 0)
		code = link_expect(&ctl->link, until_us, &reply);
	if (code) {
		show_id(ctl, id);
		return code;
	}
	if (ctl->print.is_json)
		code = print_json(&ctl->print, reply.params);
	const json_t *task = json_array_get(json_object_get(reply.params, "tasks"), 0);
	if (code == 0 && task)
		code = outcome_add(outcome, task);
	if (!task)
		show_id(ctl, id);
	if (code == 0 && !task)
		code = fault_say(CODE_DEADLINE, "task %s has not ended in time and goes on", id);
	return code ? code : outcome->code;
}

/* Standard output is the task's alone. */
static int follow(struct ctl *ctl, const char *id, const char *state)
{
	int code = ctl->print.is_json ? print_flush(&ctl->print) : 0;

	if (code)
		return code;
	if (ctl->opts.is_verbose && !ctl->print.has_progress)
		(void)fault_say(0, "task %s", id);
	print_progress(&ctl->print, "task %s: %s", id, state);
	return follow_task(ctl, id, true);
}

/* Until when the answer to the post itself comes. The pool itself may make posts wait for room. */
static uint64_t answer_until(const struct ctl *ctl)
{
	uint64_t room_us = ctl->opts.room_us == OPT_NOT_GIVEN ? ROOM_USUAL_US : ctl->opts.room_us;
	uint64_t answer_us = ctl->link.answer_us;

	if (ctl->opts.wait_us == 0)
		return WAIT_FOREVER;
	return wait_deadline(
		room_us < WAIT_FOREVER - answer_us ? room_us + answer_us : WAIT_FOREVER);
}

static int post(struct ctl *ctl, struct link_reply *ret_reply)
{
	json_t *params = NULL;
	int code = build_params(ctl, &params);

	if (code == 0)
		code = link_put(&ctl->link, "Post", params, 0);
	if (code == 0)
		code = link_expect(&ctl->link, answer_until(ctl), ret_reply);
	if (code == 0 && ctl->print.is_json)
		code = print_json(&ctl->print, ret_reply->params);
	if (code == 0 && ctl->opts.is_verbose &&
		json_is_true(json_object_get(ret_reply->params, "joined")))
		(void)fault_say(0, "joined task %s, which has this key and has not ended",
			print_text(ret_reply->params, "id"));
	return code;
}

int verb_post(struct ctl *ctl)
{
	auto_reply struct link_reply reply = {0};
	struct outcome outcome;
	bool is_waited = ctl->opts.wait_us != OPT_NOT_GIVEN;

	if (is_waited && ctl->opts.is_followed)
		return fault_say(CODE_USAGE, "post: either --wait or --follow");
	if (ctl->opts.propagate && !is_waited && !ctl->opts.is_followed)
		return fault_say(CODE_USAGE, "post: --propagate wants --wait or --follow");
	outcome_init(&outcome, &ctl->print, ctl->opts.propagate);
	int code = post(ctl, &reply);
	if (code)
		return code;
	const char *id = print_text(reply.params, "id");
	const json_t *task = json_object_get(reply.params, "task");
	if (task) {
		code = outcome_add(&outcome, task);
		return code ? code : outcome.code;
	}
	if (is_waited)
		return wait_for(ctl, id, &outcome);
	if (ctl->opts.is_followed)
		return follow(ctl, id, print_text(reply.params, "state"));
	show_id(ctl, id);
	return 0;
}
