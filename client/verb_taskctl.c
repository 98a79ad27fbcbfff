/*
 * verb_taskctl: what is done to tasks: cancel, retry. One line for each id with what became of it; the exit code is the
 * first in exits.def that applies to one of them.
 */
#include <string.h>

#include "client/fault.h"
#include "client/json.h"
#include "client/verb.h"

#define PAGE_MAX 1000 /* ids in one call, tasks in one reply of List */

static const struct print_column outcome_columns[] = {
	{"id", "id", PRINT_TEXT},
	{"was", "was", PRINT_STATE},
	{"result", "result", PRINT_STATE},
};

static const struct print_column count_columns[] = {
	{"cancelled", "cancelled", PRINT_NUMBER},
	{"asked", "asked", PRINT_NUMBER},
};

static const struct {
	const char *result; /* as the daemon says it */
	int code;
} results[] = {
	{"cancelled", 0},
	{"asked", 0},
	{"queued", 0},
	{"unknown", CODE_ABSENT},
	{"ended", CODE_STATE},
	{"done", CODE_STATE},
	{"not_ended", CODE_STATE},
	{"duplicate", CODE_STATE},
	{"no_memory", CODE_INTERNAL},
	{"at_capacity", CODE_AGAIN},
	{"shutting_down", CODE_AGAIN},
	{"denied", CODE_DENIED},
};

/* Cancel or Retry, over any number of pages. */
struct act {
	struct ctl *ctl; /* borrows: outlives the verb */
	const char *method;
	struct print_table table;
	int code; /* 0, or the first in the order of exits.def */
};

static int code_of(const char *result)
{
	for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
		if (strcmp(results[i].result, result) == 0)
			return results[i].code;
	}
	return CODE_TASK;
}

static void note_codes(struct act *act, const json_t *tasks)
{
	size_t i;
	const json_t *task;

	json_array_foreach (tasks, i, task) {
		int code = code_of(print_text(task, "result"));
		if (code && (act->code == 0 || code < act->code))
			act->code = code;
	}
}

static int act_on(struct act *act, json_t *ids)
{
	struct ctl *ctl = act->ctl;
	auto_reply struct link_reply reply = {0};

	int code = link_call(&ctl->link, act->method, json_pack("{s:o}", "ids", ids), &reply);
	if (code)
		return code;
	const json_t *tasks = json_object_get(reply.params, "tasks");
	note_codes(act, tasks);
	code = ctl->print.is_json ? print_json(&ctl->print, reply.params)
				  : print_rows(&ctl->print, &act->table, tasks);
	return code ? code : print_flush(&ctl->print);
}

static int act_on_names(struct ctl *ctl, const char *method)
{
	struct act act = {.ctl = ctl, .method = method, .table = PRINT_TABLE(outcome_columns)};
	int code = 0;

	for (size_t i = 0; code == 0 && i < ctl->n_names;) {
		auto_json json_t *ids = json_array();
		size_t end = ctl->n_names - i < PAGE_MAX ? ctl->n_names : i + PAGE_MAX;
		for (; ids && i < end; i++) {
			if (json_array_append_new(ids, json_string(ctl->names[i])) < 0)
				return fault_no_memory();
		}
		code = ids ? act_on(&act, take(ids)) : fault_no_memory();
	}
	return code ? code : act.code;
}

/* By handler, state and pool the daemon does it at once, and tells how many there were. */
static int cancel_all(struct ctl *ctl)
{
	struct print_table table = PRINT_TABLE(count_columns);
	const struct opts *opts = &ctl->opts;
	auto_reply struct link_reply reply = {0};

	int code = link_call(&ctl->link, "Cancel",
		json_pack("{s:s*, s:s*, s:s*}", "handler", opts->handler, "state", opts->state,
			"pool", opts->pool),
		&reply);
	if (code)
		return code;
	if (ctl->print.is_json)
		return print_json(&ctl->print, reply.params);
	auto_json json_t *rows = json_pack("[O]", reply.params);
	return rows ? print_rows(&ctl->print, &table, rows) : fault_no_memory();
}

/* The ids of a page; what has ended is none of them. */
static json_t *ids_of(const json_t *tasks)
{
	static const char *const states[] = {"queued", "delayed", "active"};
	json_t *ids = json_array();
	size_t i;
	const json_t *task;

	json_array_foreach (tasks, i, task) {
		for (size_t s = 0; s < ARRAY_SIZE(states); s++) {
			if (strcmp(print_text(task, "state"), states[s]) == 0 &&
				json_array_append(ids, json_object_get(task, "id")) < 0) {
				json_decref(ids);
				return NULL;
			}
		}
	}
	return ids;
}

/* One page of my tasks from behind `*after` on, which is moved on, to NULL with the last one. */
static int cancel_page(struct act *act, char **after)
{
	struct ctl *ctl = act->ctl;
	const struct opts *opts = &ctl->opts;
	auto_reply struct link_reply reply = {0};

	int code = link_call(&ctl->link, "List",
		json_pack("{s:b, s:s*, s:s*, s:s*, s:i, s:s*}", "mine", true, "handler",
			opts->handler, "state", opts->state, "pool", opts->pool, "limit", PAGE_MAX,
			"after", *after),
		&reply);
	if (code)
		return code;
	const char *next = json_string_value(json_object_get(reply.params, "next"));
	free(*after);
	*after = next ? strdup(next) : NULL;
	auto_json json_t *ids = ids_of(json_object_get(reply.params, "tasks"));
	if (!ids || (next && !*after))
		return fault_no_memory();
	return json_array_size(ids) > 0 ? act_on(act, take(ids)) : 0;
}

/* The filter of Cancel takes an admin's own tasks for no others: they are looked for, and cancelled by their ids. */
static int cancel_mine(struct ctl *ctl)
{
	struct act act = {.ctl = ctl, .method = "Cancel", .table = PRINT_TABLE(outcome_columns)};
	auto_free char *after = NULL;
	int code;

	do
		code = cancel_page(&act, &after);
	while (code == 0 && after);
	return code ? code : act.code;
}

int verb_cancel(struct ctl *ctl)
{
	const struct opts *opts = &ctl->opts;
	bool has_filter = opts->handler || opts->state || opts->pool;

	if (has_filter == (ctl->n_names > 0) || (opts->is_mine && !has_filter))
		return fault_say(CODE_USAGE, "cancel: either ids, or --handler, --state or --pool");
	if (!has_filter)
		return act_on_names(ctl, "Cancel");
	return opts->is_mine ? cancel_mine(ctl) : cancel_all(ctl);
}

int verb_retry(struct ctl *ctl)
{
	return act_on_names(ctl, "Retry");
}
