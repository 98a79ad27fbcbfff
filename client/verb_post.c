/*
 * verb_post: one task, and on request its end.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "client/fault.h"
#include "client/input.h"
#include "client/outcome.h"
#include "client/verb.h"
#include "client/wait.h"
#include "wire/json.h"

static json_t *ms_or_null(uint64_t us)
{
	return us == OPT_NOT_GIVEN ? NULL : json_integer((json_int_t)(us / US_PER_MS));
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
	json_t *params = json_pack("{s:s, s:O*, s:s*, s:s*, s:o*, s:o*}", "handler", ctl->names[0],
		"args", args, "pool", opts->pool, "name", opts->name, "timeout_ms",
		ms_or_null(opts->task_us), "wait", wait);
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

int verb_post(struct ctl *ctl)
{
	auto_reply struct link_reply reply = {0};
	struct outcome outcome;
	json_t *params = NULL;
	bool is_waited = ctl->opts.wait_us != OPT_NOT_GIVEN;

	outcome_init(&outcome, &ctl->print, false);
	int code = build_params(ctl, &params);
	if (code == 0)
		code = link_put(&ctl->link, "Post", params, 0);
	if (code == 0)
		code = link_expect(&ctl->link,
			ctl->opts.wait_us == 0 ? WAIT_FOREVER : link_answer_until(&ctl->link),
			&reply);
	if (code == 0 && ctl->print.is_json)
		code = print_json(&ctl->print, reply.params);
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
	show_id(ctl, id);
	return 0;
}
