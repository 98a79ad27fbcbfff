/*
 * load: see load.h. Called by bench_steady.c and tune_load.c.
 * A task is found by its name, which ends with the number of its slot. A slot is free again when both have come, the post's answer
 * and the task's end: they take different connections, so either may be first.
 */
#include "client/load.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "client/fault.h"
#include "client/json.h"
#include "client/print.h"
#include "client/text.h"
#include "client/wait.h"

#define SLOTS_FIRST     64
#define ID_SIZE         32
#define CANCEL_MAX      1000 /* ids in one Cancel */
#define CLEAR_ANSWER_US (1 * US_PER_SEC)

struct load_slot {
	uint64_t due_us, posted_us, started_us, mark;
	size_t next_free;
	bool is_answered, is_ended;
	char id[ID_SIZE]; /* "": not known, or too long to be kept */
};

/* Without the brace at its end. Retries are left to the handler or forbidden. */
static int make_post(struct load *load, const struct load_options *options)
{
	auto_json json_t *params = json_pack("{s:s, s:s, s:O*, s:o*}", "handler", options->handler,
		"pool", options->pool, "args", (json_t *)(uintptr_t)options->args, "retries",
		options->tries_once ? json_integer(0) : NULL);
	auto_free char *text = params ? json_dumps(params, JSON_COMPACT) : NULL;

	if (!text)
		return fault_no_memory();
	text[strlen(text) - 1] = '\0';
	load->post = take(text);
	(void)snprintf(load->name, sizeof(load->name), "wpctl-%s.%jd.%jx.", options->verb,
		(intmax_t)getpid(), (uintmax_t)clock_wall_us());
	return 0;
}

/* From its answer on nothing is missed unsaid. */
static int listen_to_events(struct load *load)
{
	auto_reply struct link_reply reply = {0};

	int code = link_put(&load->events, "Events",
		json_pack("{s:s, s:[s, s, s, s, s, s, s, s]}", "pool", load->pool, "kinds",
			"started", "done", "failed", "cancelled", "expired", "lost", "paused",
			"store_failed"),
		WORKPOOL_MORE);
	return code ? code : link_expect(&load->events, link_answer_until(&load->events), &reply);
}

int load_init(struct load *load, const struct load_options *options)
{
	*load = (struct load){
		.verb = options->verb,
		.pool = options->pool,
		.on_end = options->on_end,
		.arg = options->arg,
		.posters = calloc(options->n_posters, sizeof(*load->posters)),
		.wall_ahead_us = clock_wall_us() - clock_now_us(),
	};
	if (!load->posters)
		return fault_no_memory();
	int code = make_post(load, options);
	for (; code == 0 && load->n_posters < options->n_posters; load->n_posters++) {
		struct link *poster = &load->posters[load->n_posters];
		code = link_init(poster, options->socket, options->timeout_us);
		if (code)
			return code;
	}
	if (code == 0)
		code = link_init(&load->events, options->socket, options->timeout_us);
	if (code == 0)
		code = listen_to_events(load);
	for (size_t i = 0; code == 0 && i < load->n_posters; i++)
		code = link_open(&load->posters[i]);
	return code;
}

void load_done(struct load *load)
{
	for (size_t i = 0; i < load->n_posters; i++)
		link_done(&load->posters[i]);
	link_done(&load->events);
	free(load->posters);
	free(load->post);
	free(load->slots);
	*load = (struct load){0};
}

static int grow(struct load *load)
{
	size_t n = load->n_slots > 0 ? 2 * load->n_slots : SLOTS_FIRST;
	struct load_slot *slots = reallocarray(load->slots, n, sizeof(*slots));

	if (!slots)
		return fault_no_memory();
	for (size_t i = load->n_slots; i < n; i++)
		slots[i] = (struct load_slot){.next_free = i + 1};
	load->first_free = load->n_slots;
	load->slots = slots;
	load->n_slots = n;
	return 0;
}

static void free_slot(struct load *load, size_t at)
{
	if (!load->slots[at].is_answered || !load->slots[at].is_ended)
		return;
	load->slots[at].next_free = load->first_free;
	load->first_free = at;
}

static int put_post(struct load *load, size_t at)
{
	struct link *poster = &load->posters[load->next_poster];
	struct buf text;

	load->next_poster = (load->next_poster + 1) % load->n_posters;
	buf_init(&text, TEXT_LIMIT);
	int r = buf_printf(&text, "%s,\"name\":\"%s%zu\"}", load->post, load->name, at);
	if (r == 0)
		r = buf_append(&text, "", 1);
	int code = r < 0 ? fault_no_memory()
			 : link_put_text(poster, "Post", buf_view(&text).data, 0,
				   (void *)(uintptr_t)(at + 1));
	buf_done(&text);
	return code;
}

int load_post(struct load *load, uint64_t due_us, uint64_t mark)
{
	int code = load->first_free == load->n_slots ? grow(load) : 0;

	if (code)
		return code;
	size_t at = load->first_free;
	struct load_slot *slot = &load->slots[at];
	load->first_free = slot->next_free;
	*slot = (struct load_slot){.due_us = due_us, .posted_us = clock_now_us(), .mark = mark};
	load->n_under_way++;
	load->n_unanswered++;
	return put_post(load, at);
}

static void end_slot(struct load *load, struct load_slot *slot)
{
	slot->is_ended = true;
	load->n_under_way--;
}

static int tell_end(struct load *load, struct load_slot *slot, const struct load_end *how)
{
	struct load_end end = *how;

	end.due_us = slot->due_us;
	end.posted_us = slot->posted_us;
	end.started_us = slot->started_us;
	end.mark = slot->mark;
	if (end.ended_us < end.started_us) /* the calendar was set back */
		end.ended_us = end.started_us;
	end_slot(load, slot);
	return load->on_end ? load->on_end(load->arg, &end) : 0;
}

/* A full queue is a result; every other error will meet all posts, and is told once. */
static int take_answer(struct load *load, const struct link_reply *reply)
{
	size_t at = (size_t)(uintptr_t)workpool_reply_data(reply->raw) - 1;
	struct load_slot *slot = &load->slots[at];
	struct load_end end = {.ended_us = clock_now_us(), .is_refused = true, .id = ""};
	int code = 0;

	load->n_unanswered--;
	slot->is_answered = true;
	if (!reply->error) {
		(void)snprintf(slot->id, ID_SIZE, "%s", print_text(reply->params, "id"));
	} else if (strcmp(reply->error, "org.workpool.AtCapacity") == 0) {
		code = tell_end(load, slot, &end);
	} else {
		end_slot(load, slot);
		code = load->on_end ? fault_report(reply->error, reply->params) : 0;
	}
	free_slot(load, at);
	return code;
}

static int take_answers(struct load *load, struct link *poster)
{
	while (workpool_pending(poster->wp) + poster->n_early > 0) {
		auto_reply struct link_reply reply = {0};
		int r = link_take(poster, &reply);
		if (r == -EAGAIN)
			return 0;
		int code = r < 0 ? link_fail(poster, r) : take_answer(load, &reply);
		if (code)
			return code;
	}
	return 0;
}

/* The slot of one of our tasks; n_slots: it is somebody else's. */
static size_t slot_of(const struct load *load, const json_t *event)
{
	const char *name = print_text(event, "name");
	size_t len = strlen(load->name);
	uint64_t at;

	if (strncmp(name, load->name, len) != 0 || str_to_u64(name + len, &at) < 0 ||
		at >= load->n_slots)
		return load->n_slots;
	return load->slots[at].is_ended ? load->n_slots : (size_t)at;
}

/* The event's time by our clock; not before the post and not after now, whatever was done to the calendar. */
static uint64_t time_of(const struct load *load, const struct load_slot *slot, const json_t *event)
{
	double at_us = json_number_value(json_object_get(event, "at")) * (double)US_PER_SEC -
		       (double)load->wall_ahead_us;
	uint64_t now_us = clock_now_us();

	if (at_us >= (double)now_us)
		return now_us;
	return at_us > (double)slot->posted_us ? (uint64_t)at_us : slot->posted_us;
}

static int take_task_event(struct load *load, const json_t *event, const char *kind)
{
	size_t at = slot_of(load, event);
	struct load_slot *slot = &load->slots[at];

	if (at == load->n_slots)
		return 0;
	uint64_t at_us = time_of(load, slot, event);
	if (strcmp(kind, "started") == 0) {
		slot->started_us = at_us;
		return 0;
	}
	struct load_end end = {.ended_us = at_us,
		.is_done = strcmp(kind, "done") == 0,
		.id = print_text(event, "id")};
	int code = tell_end(load, slot, &end);
	free_slot(load, at);
	return code;
}

/* What makes that no more ends come. */
static int take_event(struct load *load, const struct link_reply *reply)
{
	const json_t *event = json_object_get(reply->params, "event");
	const char *kind = print_text(event, "kind");
	int64_t missed = print_int(reply->params, "missed");

	if (reply->error)
		return fault_report(reply->error, reply->params);
	if (missed > 0)
		return fault_say(CODE_AGAIN,
			"%s: the daemon told more than could be read: %jd events were missed",
			load->verb, (intmax_t)missed);
	if (strcmp(kind, "paused") == 0)
		return fault_say(
			CODE_INACTIVE, "%s: pool \"%s\" was paused", load->verb, load->pool);
	if (strcmp(kind, "store_failed") == 0)
		return fault_say(CODE_INTERNAL, "%s: the daemon's storage failed", load->verb);
	return event ? take_task_event(load, event, kind) : 0;
}

static int take_events(struct load *load)
{
	for (;;) {
		auto_reply struct link_reply reply = {0};
		int r = link_take(&load->events, &reply);
		if (r == -EAGAIN)
			return 0;
		int code = r < 0 ? link_fail(&load->events, r) : take_event(load, &reply);
		if (code)
			return code;
	}
}

static int take_all(struct load *load)
{
	int code = take_events(load);

	for (size_t i = 0; code == 0 && i < load->n_posters; i++)
		code = take_answers(load, &load->posters[i]);
	return code;
}

int load_turn(struct load *load, uint64_t until_us)
{
	struct link *links[LINK_TURN_MAX];
	uint64_t whole_us = load->events.whole_until_us;
	size_t n = 0;

	if (clock_now_us() >= whole_us)
		return link_fail(&load->events, -ETIMEDOUT);
	for (; n < load->n_posters; n++)
		links[n] = &load->posters[n];
	links[n++] = &load->events;
	int r = link_turn(links, n, -1, until_us < whole_us ? until_us : whole_us, NULL);
	return r < 0 ? link_fail(&load->events, r) : take_all(load);
}

static bool is_broken(const struct load *load)
{
	bool is_over = load->events.is_over;

	for (size_t i = 0; i < load->n_posters; i++)
		is_over = is_over || load->posters[i].is_over;
	return is_over;
}

/* Until none of `*n` is left, or until then. What was read before but not looked at comes first: nothing wakes us for it. */
static int wait_for_none(struct load *load, const size_t *n, uint64_t until_us)
{
	int code = is_broken(load) ? 0 : take_all(load);

	while (code == 0 && !is_broken(load) && *n > 0 && clock_now_us() < until_us)
		code = load_turn(load, until_us);
	return code;
}

/* Cancels the tasks from slot *at on that are under way, as many as one call takes; *at moves on. */
static int cancel_some(struct load *load, struct link *control, size_t *at)
{
	auto_reply struct link_reply reply = {0};
	auto_json json_t *ids = json_array();

	for (; *at < load->n_slots && json_array_size(ids) < CANCEL_MAX; ++*at) {
		const struct load_slot *slot = &load->slots[*at];
		if (slot->posted_us == 0 || slot->is_ended || *slot->id == '\0')
			continue;
		if (json_array_append_new(ids, json_string(slot->id)) < 0)
			return fault_no_memory();
	}
	if (json_array_size(ids) == 0)
		return 0;
	return link_call(control, "Cancel", json_pack("{s:O}", "ids", ids), &reply);
}

void load_clear(struct load *load, struct link *control, uint64_t patience_us)
{
	uint64_t until_us = wait_deadline(patience_us);
	size_t at = 0;

	if (load->n_slots == 0) /* nothing was ever posted */
		return;
	load->on_end = NULL;
	load->events.whole_until_us = control->whole_until_us = WAIT_FOREVER;
	int code = wait_for_none(load, &load->n_under_way, until_us);
	/* Their answers say what can be cancelled. */
	if (code == 0)
		code = wait_for_none(load, &load->n_unanswered, wait_deadline(CLEAR_ANSWER_US));
	/* Also without the rest: what is known of can be cancelled. */
	for (code = 0; code == 0 && at < load->n_slots;)
		code = cancel_some(load, control, &at);
	if (code)
		(void)fault_say(
			0, "%s: %zu tasks could not be cancelled", load->verb, load->n_under_way);
}
