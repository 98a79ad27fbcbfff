/*
 * verb_pool: what an operator does to pools: resize, pause, resume, drain. None of them means "all" by itself.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "client/fault.h"
#include "client/json.h"
#include "client/verb.h"
#include "client/wait.h"

#define SETTLE_INTERVAL_MS 100

static const struct print_column resize_columns[] = {
	{"pool", "pool", PRINT_TEXT},
	{"workers_before", "workers_before", PRINT_NUMBER},
	{"workers", "workers", PRINT_NUMBER},
	{"capacity_before", "capacity_before", PRINT_NUMBER},
	{"capacity", "capacity", PRINT_NUMBER},
};

static const struct print_column drain_columns[] = {
	{"pool", "pool", PRINT_TEXT},
	{"drained", "drained", PRINT_YES},
	{"queued", "queued", PRINT_NUMBER},
	{"active", "active", PRINT_NUMBER},
};

/* The pool's workers as they are now. */
static int ask_workers(struct ctl *ctl, int64_t *ret_workers)
{
	auto_reply struct link_reply reply = {0};

	int code =
		link_call(&ctl->link, "Stats", json_pack("{s:s}", "pool", ctl->names[0]), &reply);
	if (code)
		return code;
	*ret_workers =
		print_int(json_array_get(json_object_get(reply.params, "pools"), 0), "workers");
	return 0;
}

/* "24", "+8" or "-8", the latter two from what is now. */
static int read_workers(struct ctl *ctl, const char *text, int64_t *ret_workers)
{
	bool is_relative = *text == '+' || *text == '-';
	int64_t base = 0;
	uint64_t number;
	int code = 0;

	if (str_to_u64(text + is_relative, &number) < 0 || number > INT32_MAX)
		return fault_say(CODE_USAGE, "resize: N, +N or -N workers, not \"%s\"", text);
	if (is_relative)
		code = ask_workers(ctl, &base);
	if (code)
		return code;
	*ret_workers = *text == '-' ? base - (int64_t)number : base + (int64_t)number;
	return 0;
}

/* Until the workers that were one too many have ended their tasks and are gone. */
static int wait_settled(struct ctl *ctl)
{
	bool is_settled = false;

	int code = link_put(&ctl->link, "Stats",
		json_pack("{s:s, s:i}", "pool", ctl->names[0], "interval_ms", SETTLE_INTERVAL_MS),
		WORKPOOL_MORE);
	while (code == 0 && !is_settled) {
		auto_reply struct link_reply reply = {0};
		code = link_expect(&ctl->link, link_answer_until(&ctl->link), &reply);
		if (code)
			break;
		const json_t *pool = json_array_get(json_object_get(reply.params, "pools"), 0);
		int64_t leaving = print_int(pool, "leaving");
		is_settled = leaving == 0 || !reply.continues;
		print_progress(
			&ctl->print, "%jd workers leave after their task", (intmax_t)leaving);
	}
	print_progress_end(&ctl->print);
	/* The stream has no other end. */
	link_close(&ctl->link);
	return code;
}

int verb_resize(struct ctl *ctl)
{
	struct print_table table = PRINT_TABLE(resize_columns);
	auto_reply struct link_reply reply = {0};
	const struct opts *opts = &ctl->opts;
	json_t *workers = NULL;
	json_t *capacity = NULL;
	int64_t number = 0;
	int code = 0;

	if (ctl->n_names < 2 && opts->capacity == OPT_NOT_GIVEN)
		return fault_say(CODE_USAGE, "resize: a number of workers, --capacity N or both");
	if (ctl->n_names > 1)
		code = read_workers(ctl, ctl->names[1], &number);
	if (code)
		return code;
	if (ctl->n_names > 1)
		workers = json_integer(number);
	if (opts->capacity != OPT_NOT_GIVEN)
		capacity = json_integer((json_int_t)opts->capacity);
	code = link_call(&ctl->link, "Resize",
		json_pack("{s:s, s:o*, s:o*}", "pool", ctl->names[0], "workers", workers,
			"capacity", capacity),
		&reply);
	if (code == 0 && opts->wants_settled)
		code = wait_settled(ctl);
	if (code)
		return code;
	if (ctl->print.is_json)
		return print_json(&ctl->print, reply.params);
	auto_json json_t *rows = json_pack("[O]", reply.params);
	return rows ? print_rows(&ctl->print, &table, rows) : fault_no_memory();
}

/* The n-th pool of the command line; NULL: all of them at once. */
static const char *pool_at(const struct ctl *ctl, size_t n)
{
	return ctl->opts.is_all ? NULL : ctl->names[n];
}

static size_t pools_given(const struct ctl *ctl)
{
	return ctl->opts.is_all ? 1 : ctl->n_names;
}

/* Pause or Resume. All pools are tried, the first failure counts. */
static int call_for_pools(struct ctl *ctl, const char *method)
{
	int first = 0;

	for (size_t i = 0; i < pools_given(ctl); i++) {
		auto_reply struct link_reply reply = {0};
		int code = link_call(
			&ctl->link, method, json_pack("{s:s*}", "pool", pool_at(ctl, i)), &reply);
		if (code == 0 && ctl->print.is_json)
			code = print_json(&ctl->print, reply.params);
		first = first ? first : code;
	}
	return first;
}

/* Nothing is left paused when the time has come, a signal came or one of several pools could not be paused. */
static int pause_for(struct ctl *ctl)
{
	wait_set_mode(WAIT_HOLD);
	int code = call_for_pools(ctl, "Pause");
	if (code == 0)
		code = print_flush(&ctl->print);
	if (code == 0 && wait_until(wait_deadline(ctl->opts.for_us)) < 0)
		code = wait_signal_code();
	wait_set_mode(WAIT_SHIELD);
	ctl->link.whole_until_us = WAIT_FOREVER;
	/* The daemon may have been started again meanwhile. */
	link_close(&ctl->link);
	int resumed = call_for_pools(ctl, "Resume");
	return code ? code : resumed;
}

int verb_pause(struct ctl *ctl)
{
	return ctl->opts.for_us == OPT_NOT_GIVEN ? call_for_pools(ctl, "Pause") : pause_for(ctl);
}

int verb_resume(struct ctl *ctl)
{
	return call_for_pools(ctl, "Resume");
}

/* What is left of --timeout for one more pool, as a JSON number or NULL. */
static json_t *left_ms(const struct ctl *ctl, uint64_t until_us)
{
	uint64_t now_us = clock_now_us();

	if (ctl->opts.timeout_us == OPT_NOT_GIVEN)
		return NULL;
	return json_integer(until_us > now_us ? (json_int_t)((until_us - now_us) / US_PER_MS) : 0);
}

static int show_drained(
	struct ctl *ctl, struct print_table *table, const char *pool, const json_t *params)
{
	if (ctl->print.is_json)
		return print_json(&ctl->print, params);
	auto_json json_t *row = json_copy((json_t *)(uintptr_t)params);
	if (!row || json_object_set_new(row, "pool", json_string(pool ? pool : "all")) < 0)
		return fault_no_memory();
	auto_json json_t *rows = json_pack("[O]", row);
	return rows ? print_rows(&ctl->print, table, rows) : fault_no_memory();
}

/* One pool (NULL: all). */
static int drain_one(
	struct ctl *ctl, const char *pool, uint64_t until_us, struct print_table *table)
{
	bool continues = true;
	int code = link_put(&ctl->link, "Drain",
		json_pack("{s:s*, s:o*}", "pool", pool, "timeout_ms", left_ms(ctl, until_us)),
		WORKPOOL_MORE);

	while (code == 0 && continues) {
		auto_reply struct link_reply reply = {0};
		code = link_expect(&ctl->link, WAIT_FOREVER, &reply);
		if (code)
			break;
		continues = reply.continues;
		print_progress(&ctl->print, "%s: %jd queued, %jd active", pool ? pool : "all pools",
			(intmax_t)print_int(reply.params, "queued"),
			(intmax_t)print_int(reply.params, "active"));
		if (!continues || ctl->print.is_json)
			code = show_drained(ctl, table, pool, reply.params);
		if (code == 0 && ctl->print.is_json)
			code = print_flush(&ctl->print); /* progress is seen while it goes on */
		if (code == 0 && !continues &&
			!json_is_true(json_object_get(reply.params, "drained")))
			code = fault_say(CODE_DEADLINE, "drain: %s: not empty in time",
				pool ? pool : "all pools");
	}
	return code;
}

int verb_drain(struct ctl *ctl)
{
	struct print_table table = PRINT_TABLE(drain_columns);
	uint64_t until_us = ctl->link.whole_until_us;
	int code = 0;

	/* The daemon keeps the time and says what is left; ours only guards against its silence. */
	if (until_us != WAIT_FOREVER)
		ctl->link.whole_until_us = wait_deadline(ctl->opts.timeout_us + 2 * US_PER_SEC);
	for (size_t i = 0; code == 0 && i < pools_given(ctl); i++)
		code = drain_one(ctl, pool_at(ctl, i), until_us, &table);
	return code;
}
