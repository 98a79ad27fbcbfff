/*
 * follow: replies of Log onto standard output and standard error. Called by verb_log.c and verb_post.c.
 * Nothing but the task's own bytes reaches standard output; words of ours go to standard error: notes on how far it is
 * for a person only, what was cut off and how it failed for everybody.
 */
#include "client/follow.h"

#include <stdio.h>
#include <string.h>

#include "client/fault.h"
#include "client/outcome.h"
#include "client/verb.h"
#include "client/wait.h"

#define STREAMS 2

static const struct {
	const char *key;
	const char *total;
	const char *name;
} streams[STREAMS] = {
	{"stdout", "stdout_bytes", "standard output"},
	{"stderr", "stderr_bytes", "standard error"},
};

struct follow {
	struct ctl *ctl; /* borrows: outlives us */
	const char *id;  /* borrows: the caller's */
	char state[16];  /* that was told last */
	int64_t attempt;
	uint64_t told[STREAMS]; /* bytes of this attempt */
	uint64_t total[STREAMS];
	bool has_written;
};

/* What the program wrote beyond max_output is counted by the daemon, not kept. */
static void tell_lost(const struct follow *follow)
{
	for (size_t i = 0; i < STREAMS; i++) {
		if (follow->total[i] > follow->told[i])
			(void)fault_say(0, "%s of task %s: %ju more bytes were not kept",
				streams[i].name, follow->id,
				(uintmax_t)(follow->total[i] - follow->told[i]));
	}
}

static void note_state(struct follow *follow, const json_t *params)
{
	const char *state = print_text(params, "state");
	int64_t attempt = print_int(params, "attempt");
	bool is_new = attempt != follow->attempt;

	if (is_new && follow->attempt > 0) {
		tell_lost(follow);
		if (follow->ctl->print.has_progress)
			(void)fault_say(0, "attempt %jd of task %s", (intmax_t)attempt, follow->id);
	}
	if (is_new) {
		memset(follow->told, 0, sizeof(follow->told));
		memset(follow->total, 0, sizeof(follow->total));
	}
	follow->attempt = attempt;
	(void)snprintf(follow->state, sizeof(follow->state), "%s", state);
}

static int write_output(struct follow *follow, const json_t *params)
{
	FILE *const to[STREAMS] = {stdout, stderr};

	print_progress_end(&follow->ctl->print);
	for (size_t i = 0; i < STREAMS; i++) {
		const json_t *text = json_object_get(params, streams[i].key);
		size_t len = json_string_length(text);
		if (!text)
			continue;
		if (len > 0)
			(void)fwrite(json_string_value(text), 1, len, to[i]);
		follow->has_written |= len > 0;
		follow->told[i] += len;
		follow->total[i] = (uint64_t)print_int(params, streams[i].total);
	}
	return print_flush(&follow->ctl->print);
}

static int take_reply(struct follow *follow, const json_t *params)
{
	struct print *print = &follow->ctl->print;

	if (print->is_json) {
		int code = print_json(print, params);
		note_state(follow, params);
		return code ? code : print_flush(print);
	}
	note_state(follow, params);
	int code = write_output(follow, params);
	/* Behind output it could overwrite a line that is not ended yet. */
	if (!follow->has_written)
		print_progress(print, "task %s: %s", follow->id, follow->state);
	return code;
}

/* The code of its end, and one line if it is not the one that was wished for. */
static int tell_end(struct follow *follow)
{
	struct ctl *ctl = follow->ctl;
	bool is_talking = !ctl->print.is_json && !ctl->opts.is_quiet;
	auto_reply struct link_reply reply = {0};

	if (strcmp(follow->state, "done") == 0) {
		if (is_talking && ctl->print.has_progress)
			(void)fault_say(0, "task %s is done", follow->id);
		return 0;
	}
	int code = link_call(&ctl->link, "Show", json_pack("{s:s}", "id", follow->id), &reply);
	if (code)
		return code;
	const json_t *task = json_object_get(reply.params, "task");
	const char *error = print_text(task, "error");
	if (is_talking)
		(void)fault_say(
			0, "task %s: %s%s%s", follow->id, follow->state, *error ? ": " : "", error);
	return outcome_code(task, ctl->opts.propagate);
}

int follow_task(struct ctl *ctl, const char *id, bool to_end)
{
	struct follow follow = {.ctl = ctl, .id = id};
	bool continues = true;
	int code = link_put(
		&ctl->link, "Log", json_pack("{s:s}", "id", id), to_end ? WORKPOOL_MORE : 0);

	while (code == 0 && continues) {
		auto_reply struct link_reply reply = {0};
		code = link_expect(
			&ctl->link, to_end ? WAIT_FOREVER : link_answer_until(&ctl->link), &reply);
		if (code)
			break;
		continues = reply.continues;
		code = take_reply(&follow, reply.params);
	}
	print_progress_end(&ctl->print);
	if (code == 0 && !ctl->print.is_json)
		tell_lost(&follow);
	return code == 0 && to_end ? tell_end(&follow) : code;
}
