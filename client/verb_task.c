/*
 * verb_task: looking at tasks: list, show, wait.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "client/fault.h"
#include "client/json.h"
#include "client/outcome.h"
#include "client/verb.h"
#include "client/wait.h"

#define LIST_DEFAULT 100
#define PAGE_MAX     1000 /* tasks in one reply of List, ids in one Wait */
#define LIST_WIDTH   80   /* on a terminal, but for -v */

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
	{"priority", "priority", PRINT_NUMBER},
	{"due", "due_at", PRINT_TIME},
};

/* On a terminal, where not all of them fit into a line: what matters most comes first. */
static const struct print_column short_columns[] = {
	{"id", "id", PRINT_TEXT},
	{"state", "state", PRINT_STATE},
	{"handler", "handler", PRINT_TEXT},
	{"pool", "pool", PRINT_TEXT},
	{"prio", "priority", PRINT_NUMBER},
	{"posted", "posted_at", PRINT_CLOCK},
	{"due", "due_at", PRINT_CLOCK},
	{"run", "run_us", PRINT_US},
	{"reason", "reason", PRINT_TEXT},
	{"name", "name", PRINT_TEXT},
	{"wait", "wait_us", PRINT_US},
	{"worker", "worker", PRINT_NUMBER},
	{"owner", "owner", PRINT_NUMBER},
};

static const struct print_column show_columns[] = {
	{"id", "id", PRINT_TEXT},
	{"name", "name", PRINT_TEXT},
	{"state", "state", PRINT_STATE},
	{"pool", "pool", PRINT_TEXT},
	{"handler", "handler", PRINT_TEXT},
	{"priority", "priority", PRINT_NUMBER},
	{"attempt", "attempt", PRINT_NUMBER},
	{"retries", "retries", PRINT_NUMBER},
	{"failures", "failures", PRINT_NUMBER},
	{"crashes", "crashes", PRINT_NUMBER},
	{"suspect", "suspect", PRINT_YES},
	{"asked", "asked", PRINT_TEXT},
	{"worker", "worker", PRINT_NUMBER},
	{"host_pid", "host_pid", PRINT_NUMBER},
	{"owner", "owner", PRINT_NUMBER},
	{"unique", "unique", PRINT_TEXT},
	{"posted", "posted_at", PRINT_TIME},
	{"due", "due_at", PRINT_TIME},
	{"expires", "expires_at", PRINT_TIME},
	{"started", "started_at", PRINT_TIME},
	{"ended", "ended_at", PRINT_TIME},
	{"wait", "wait_us", PRINT_US},
	{"run", "run_us", PRINT_US},
	{"timeout", "timeout_ms", PRINT_MS},
	{"progress", "progress.permille", PRINT_PERMILLE},
	{"note", "progress.note", PRINT_TEXT},
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

	if (ctl->print.is_terminal && !ctl->opts.is_verbose) {
		table = PRINT_TABLE(short_columns);
		table.max_width = LIST_WIDTH;
	}
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

/* key: "id" or "name". */
static int show_one(struct ctl *ctl, const char *key, const char *value, bool is_first)
{
	auto_reply struct link_reply reply = {0};

	int code = link_call(&ctl->link, "Show", json_pack("{s:s}", key, value), &reply);
	if (code)
		return code;
	if (ctl->print.is_json)
		return print_json(&ctl->print, reply.params);
	if (!is_first)
		(void)putchar('\n');
	return print_fields(&ctl->print, show_columns, ARRAY_SIZE(show_columns),
		json_object_get(reply.params, "task"));
}

int verb_show(struct ctl *ctl)
{
	const struct opt_list *by_name = &ctl->opts.by_name;
	int first = 0;

	for (size_t i = 0; i < ctl->n_names + by_name->n; i++) {
		int code = i < ctl->n_names ? show_one(ctl, "id", ctl->names[i], i == 0)
					    : show_one(ctl, "name",
						      by_name->texts[i - ctl->n_names], i == 0);
		/* A task that is gone does not hide the others; a daemon that is gone does. */
		first = first ? first : code;
		if (code && code != CODE_ABSENT)
			break;
	}
	return first;
}

/* What one call waits for. */
struct page {
	const char *const *ids;
	size_t n_ids;
	const struct opt_list *names;
};

/* NULL: there are none, or no memory. */
static json_t *array_of(const char *const *texts, size_t n)
{
	json_t *array = n > 0 ? json_array() : NULL;

	for (size_t i = 0; array && i < n; i++) {
		if (json_array_append_new(array, json_string(texts[i])) < 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

static int put_wait(struct ctl *ctl, const struct page *page, uint64_t until_us)
{
	auto_json json_t *ids = array_of(page->ids, page->n_ids);
	auto_json json_t *names = array_of(page->names->texts, page->names->n);
	json_t *timeout_ms = NULL;
	uint64_t now_us = clock_now_us();

	if ((!ids && page->n_ids > 0) || (!names && page->names->n > 0))
		return fault_no_memory();
	if (until_us != WAIT_FOREVER)
		timeout_ms = json_integer(
			until_us > now_us ? (json_int_t)((until_us - now_us) / US_PER_MS) : 0);
	return link_put(&ctl->link, "Wait",
		json_pack(
			"{s:O*, s:O*, s:o*}", "ids", ids, "names", names, "timeout_ms", timeout_ms),
		WORKPOOL_MORE);
}

/* A line for each task as it ends. */
static int wait_page(
	struct ctl *ctl, const struct page *page, uint64_t until_us, struct outcome *outcome)
{
	bool continues = true;
	int code = put_wait(ctl, page, until_us);

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
	static const struct opt_list no_names;
	struct outcome outcome;
	int code = 0;

	/* The daemon keeps the time; ours only guards against its silence. */
	if (until_us != WAIT_FOREVER)
		ctl->link.whole_until_us = wait_deadline(ctl->opts.timeout_us + 2 * US_PER_SEC);
	outcome_init(&outcome, &ctl->print, ctl->opts.propagate);
	/* The names go with the first ids. */
	for (size_t i = 0; code == 0 && (i == 0 || i < ctl->n_names); i += PAGE_MAX) {
		const struct page page = {
			.ids = ctl->names + i,
			.n_ids = ctl->n_names - i < PAGE_MAX ? ctl->n_names - i : PAGE_MAX,
			.names = i == 0 ? &ctl->opts.by_name : &no_names,
		};
		code = wait_page(ctl, &page, until_us, &outcome);
	}
	return code ? code : outcome.code;
}
