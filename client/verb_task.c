/*
 * verb_task: looking at tasks: list, show, wait.
 */
#include <string.h>

#include "base/clock.h"
#include "client/fault.h"
#include "client/outcome.h"
#include "client/verb.h"
#include "client/wait.h"
#include "wire/json.h"

#define LIST_DEFAULT 100
#define PAGE_MAX     1000 /* tasks in one reply of List, ids in one Wait */

static const struct print_column list_columns[] = {
	{"id", "id", PRINT_TEXT},
	{"state", "state", PRINT_STATE},
	{"pool", "pool", PRINT_TEXT},
	{"handler", "handler", PRINT_TEXT},
	{"posted", "posted_at", PRINT_TIME},
	{"wait", "wait_us", PRINT_US},
	{"run", "run_us", PRINT_US},
	{"worker", "worker", PRINT_NUMBER},
	{"owner", "owner", PRINT_NUMBER},
	{"name", "name", PRINT_TEXT},
	{"reason", "reason", PRINT_TEXT},
};

static const struct print_column show_columns[] = {
	{"id", "id", PRINT_TEXT},
	{"name", "name", PRINT_TEXT},
	{"state", "state", PRINT_STATE},
	{"pool", "pool", PRINT_TEXT},
	{"handler", "handler", PRINT_TEXT},
	{"attempt", "attempt", PRINT_NUMBER},
	{"worker", "worker", PRINT_NUMBER},
	{"owner", "owner", PRINT_NUMBER},
	{"posted", "posted_at", PRINT_TIME},
	{"started", "started_at", PRINT_TIME},
	{"ended", "ended_at", PRINT_TIME},
	{"wait", "wait_us", PRINT_US},
	{"run", "run_us", PRINT_US},
	{"timeout", "timeout_ms", PRINT_MS},
	{"reason", "reason", PRINT_TEXT},
	{"error", "error", PRINT_TEXT},
	{"args", "args", PRINT_JSON},
	{"result", "result", PRINT_JSON},
};

static int put_list(struct ctl *ctl, const char *after, uint64_t limit)
{
	const struct opts *opts = &ctl->opts;
	json_t *mine = opts->is_mine ? json_true() : NULL;

	return link_put(&ctl->link, "List",
		json_pack("{s:s*, s:s*, s:s*, s:o*, s:I, s:s*}", "pool", opts->pool, "state",
			opts->state, "handler", opts->handler, "mine", mine, "limit",
			(json_int_t)(limit < PAGE_MAX ? limit : PAGE_MAX), "after", after),
		0);
}

int verb_list(struct ctl *ctl)
{
	struct print_table table = PRINT_TABLE(list_columns);
	uint64_t left = ctl->opts.limit == OPT_NOT_GIVEN ? LIST_DEFAULT : ctl->opts.limit;
	auto_free char *after = NULL;
	int code = 0;

	do {
		auto_reply struct link_reply reply = {0};
		code = put_list(ctl, after, left);
		if (code == 0)
			code = link_expect(&ctl->link, link_answer_until(&ctl->link), &reply);
		if (code)
			return code;
		const json_t *tasks = json_object_get(reply.params, "tasks");
		const char *next = json_string_value(json_object_get(reply.params, "next"));
		size_t n = json_array_size(tasks);
		code = ctl->print.is_json ? print_json(&ctl->print, reply.params)
					  : print_rows(&ctl->print, &table, tasks);
		if (code == 0)
			code = print_flush(&ctl->print);
		left -= n < left ? n : left;
		free(after);
		after = next ? strdup(next) : NULL;
		if (next && !after)
			return fault_no_memory();
	} while (code == 0 && after && left > 0);
	return code;
}

int verb_show(struct ctl *ctl)
{
	int first = 0;

	for (size_t i = 0; i < ctl->n_names; i++) {
		auto_reply struct link_reply reply = {0};
		int code = link_call(
			&ctl->link, "Show", json_pack("{s:s}", "id", ctl->names[i]), &reply);
		if (code == 0 && ctl->print.is_json) {
			code = print_json(&ctl->print, reply.params);
		} else if (code == 0) {
			if (i > 0)
				(void)putchar('\n');
			code = print_fields(&ctl->print, show_columns, ARRAY_SIZE(show_columns),
				json_object_get(reply.params, "task"));
		}
		/* A task that is gone does not hide the others; a daemon that is gone does. */
		first = first ? first : code;
		if (code && code != CODE_ABSENT)
			break;
	}
	return first;
}

static int put_wait(struct ctl *ctl, const char **ids, size_t n, uint64_t until_us)
{
	json_t *array = json_array();
	json_t *timeout_ms = NULL;
	uint64_t now_us = clock_now_us();

	for (size_t i = 0; array && i < n; i++) {
		if (json_array_append_new(array, json_string(ids[i])) < 0) {
			json_decref(array);
			array = NULL;
		}
	}
	if (until_us != WAIT_FOREVER)
		timeout_ms = json_integer(
			until_us > now_us ? (json_int_t)((until_us - now_us) / US_PER_MS) : 0);
	return link_put(&ctl->link, "Wait",
		json_pack("{s:o, s:o*}", "ids", array, "timeout_ms", timeout_ms), LINK_MORE);
}

/* Up to PAGE_MAX ids: a line for each as it ends. */
static int wait_page(
	struct ctl *ctl, const char **ids, size_t n, uint64_t until_us, struct outcome *outcome)
{
	bool continues = true;
	int code = put_wait(ctl, ids, n, until_us);

	while (code == 0 && continues) {
		auto_reply struct link_reply reply = {0};
		code = link_expect(&ctl->link, WAIT_FOREVER, &reply);
		if (code)
			break;
		const json_t *task = json_object_get(reply.params, "task");
		continues = reply.continues;
		if (ctl->print.is_json)
			code = print_json(&ctl->print, reply.params);
		if (code == 0 && task)
			code = outcome_add(outcome, task);
		if (code == 0)
			code = print_flush(&ctl->print);
		if (code == 0 && json_is_true(json_object_get(reply.params, "timed_out")))
			code = fault_say(CODE_DEADLINE, "wait: not all tasks have ended in time");
	}
	return code;
}

int verb_wait(struct ctl *ctl)
{
	uint64_t until_us = ctl->link.whole_until_us;
	struct outcome outcome;
	int code = 0;

	/* The daemon keeps the time; ours only guards against its silence. */
	if (until_us != WAIT_FOREVER)
		ctl->link.whole_until_us = wait_deadline(ctl->opts.timeout_us + 2 * US_PER_SEC);
	outcome_init(&outcome, &ctl->print, ctl->opts.propagate);
	for (size_t i = 0; code == 0 && i < ctl->n_names; i += PAGE_MAX) {
		size_t n = ctl->n_names - i < PAGE_MAX ? ctl->n_names - i : PAGE_MAX;
		code = wait_page(ctl, ctl->names + i, n, until_us, &outcome);
	}
	return code ? code : outcome.code;
}
