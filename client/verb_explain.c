/*
 * verb_explain: what a task waits for: a sentence for people, fields for programs.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "client/fault.h"
#include "client/json.h"
#include "client/sentence.h"
#include "client/text.h"
#include "client/verb.h"

static const struct print_column columns[] = {
	{"id", "id", PRINT_TEXT},
	{"state", "state", PRINT_STATE},
	{"pool", "pool", PRINT_TEXT},
	{"handler", "handler", PRINT_TEXT},
	{"waits_for", "waits_for", PRINT_TEXT},
	{"resource", "resource", PRINT_TEXT},
	{"position", "position", PRINT_NUMBER},
	{"is_least", "position_is_least", PRINT_YES},
	{"until", "until", PRINT_TIME},
	{"estimate", "estimate_ms", PRINT_MS},
};

/* What a task in a queue waits for, in the daemon's words and in ours. {workers} comes from Stats. */
static const struct {
	const char *waits_for;
	const char *pattern;
} reasons[] = {
	{"nothing", "starts at once"},
	{"delay", "waits until it is due"},
	{"paused", "waits until its pool is resumed"},
	{"host", "waits for its pool's host process"},
	{"alone", "waits for its turn to run alone, because it was in a host that died"},
	{"daemon", "waits until fewer tasks are active (max_active of the daemon)"},
	{"handler", "waits until fewer tasks of handler {handler} are active (its max_active)"},
	{"resource", "waits for resource {resource} (its max_active)"},
	{"rate", "waits for resource {resource} (its rate)"},
	{"breaker", "waits for resource {resource} (its breaker is open)"},
	{"store", "waits until the daemon is started again, because its storage failed"},
	{"workers", "waits for a worker (all {workers} busy)|waits for a worker"},
};

static const char *ordinal_end(int64_t number)
{
	static const char *const ends[] = {"th", "st", "nd", "rd"};
	int64_t last = number % 10;

	return number / 10 % 10 == 1 || last > 3 ? ends[0] : ends[last];
}

/* "queued, 3rd in pool mail" */
static int append_place(struct buf *out, const json_t *params)
{
	int64_t position = print_int(params, "position");
	bool is_least = json_is_true(json_object_get(params, "position_is_least"));
	int r = sentence_append(out, "{state}", params);

	if (r == 0 && position > 0)
		r = buf_printf(out, ", %s%jd%s in pool ", is_least ? "at least " : "",
			(intmax_t)position, ordinal_end(position));
	return r == 0 && position > 0 ? sentence_append(out, "{pool}", params) : r;
}

static int append_reason(struct buf *out, const json_t *params)
{
	const char *waits_for = print_text(params, "waits_for");

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		if (strcmp(reasons[i].waits_for, waits_for) == 0)
			return sentence_append(out, reasons[i].pattern, params);
	}
	return sentence_append(out, "waits for {waits_for}", params);
}

static int append_time(struct buf *out, const json_t *params)
{
	const json_t *until = json_object_get(params, "until");
	const json_t *estimate = json_object_get(params, "estimate_ms");
	int r = 0;

	if (until)
		r = buf_append(out, ", until ", 8);
	if (r == 0 && until)
		r = text_append_clock(out, json_number_value(until), (double)time(NULL));
	if (r == 0 && estimate)
		r = buf_append(out, ", about ", 8);
	if (r == 0 && estimate)
		r = text_append_duration(out, (uint64_t)json_integer_value(estimate) * US_PER_MS);
	return r;
}

/* "queued, 3rd in pool mail: waits for a worker (all 4 busy), about 1.20 s" */
static int append_explanation(struct buf *out, const json_t *params)
{
	const char *state = print_text(params, "state");
	bool is_waiting = strcmp(state, "queued") == 0 || strcmp(state, "delayed") == 0;
	int r = append_place(out, params);

	if (r == 0)
		r = buf_append(out, ": ", 2);
	if (r == 0 && !is_waiting)
		return buf_printf(out, "waits for nothing");
	if (r == 0)
		r = append_reason(out, params);
	return r == 0 ? append_time(out, params) : r;
}

/* How many workers the pool has; an error only means that they are not told. */
static int add_workers(struct ctl *ctl, json_t *params)
{
	auto_reply struct link_reply reply = {0};

	if (strcmp(print_text(params, "waits_for"), "workers") != 0)
		return 0;
	int code = link_put(
		&ctl->link, "Stats", json_pack("{s:s}", "pool", print_text(params, "pool")), 0);
	if (code == 0)
		code = link_receive(&ctl->link, link_answer_until(&ctl->link), &reply);
	if (code || reply.error)
		return code;
	json_t *workers = json_object_get(
		json_array_get(json_object_get(reply.params, "pools"), 0), "workers");
	if (workers && json_object_set(params, "workers", workers) < 0)
		return fault_no_memory();
	return 0;
}

static int show_sentence(struct ctl *ctl, const char *id, const json_t *params)
{
	auto_json json_t *known = json_copy((json_t *)(uintptr_t)params);
	struct buf text, line;
	int code = known ? add_workers(ctl, known) : fault_no_memory();

	if (code)
		return code;
	buf_init(&text, TEXT_LIMIT);
	buf_init(&line, TEXT_LIMIT);
	int r = ctl->n_names > 1 ? buf_printf(&text, "%s: ", id) : 0;
	if (r == 0)
		r = append_explanation(&text, known);
	if (r == 0)
		r = text_append_safe(&line, buf_view(&text));
	if (r == 0)
		(void)printf("%.*s\n", (int)buf_len(&line), buf_view(&line).data);
	buf_done(&text);
	buf_done(&line);
	return r < 0 ? fault_no_memory() : 0;
}

static int explain_one(struct ctl *ctl, const char *id, struct print_table *table)
{
	auto_reply struct link_reply reply = {0};

	int code = link_call(&ctl->link, "Explain", json_pack("{s:s}", "id", id), &reply);
	if (code)
		return code;
	if (ctl->print.is_json)
		return print_json(&ctl->print, reply.params);
	if (ctl->print.is_terminal)
		return show_sentence(ctl, id, reply.params);
	auto_json json_t *rows = json_pack("[O]", reply.params);
	return rows ? print_rows(&ctl->print, table, rows) : fault_no_memory();
}

int verb_explain(struct ctl *ctl)
{
	struct print_table table = PRINT_TABLE(columns);
	int first = 0;

	for (size_t i = 0; i < ctl->n_names; i++) {
		int code = explain_one(ctl, ctl->names[i], &table);
		/* A task that is gone does not hide the others; a daemon that is gone does. */
		first = first ? first : code;
		if (code && code != CODE_ABSENT)
			break;
	}
	return first;
}
