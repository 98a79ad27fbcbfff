/*
 * events: what happens, as it happens. A stream for each who listens, told at the end of the turn, when it is true. Nothing
 * is kept for a client that reads too slowly: what it has missed is counted, and told with the next event it gets.
 */
#include "api/events.h"

#include <string.h>

#include "api/method.h"
#include "api/tojson.h"
#include "base/clock.h"

/* A task's kinds, in the order in which they can happen in one turn; then those of notices. */
static const struct {
	const char *word;
	unsigned news; /* bits 1 << enum task_event */
} task_kinds[] = {
	{"posted", 1u << EV_POST | 1u << EV_POST_LATER},
	{"retried", 1u << EV_RETRY},
	{"returned", 1u << EV_RETURN | 1u << EV_RETURN_LATER},
	{"started", 1u << EV_START},
	{"done", 1u << EV_OK},
	{"failed", 1u << EV_FAIL},
	{"cancelled", 1u << EV_CANCEL},
	{"expired", 1u << EV_EXPIRE},
	{"lost", 1u << EV_LOSE},
};

static const struct {
	const char *word;
	const char *number; /* what the notice's number is called; NULL: it has none */
} notice_kinds[NOTICE_KINDS] = {
	[NOTICE_PROGRESS] = {"progress", NULL},
	[NOTICE_RESIZED] = {"resized", "workers"},
	[NOTICE_PAUSED] = {"paused", NULL},
	[NOTICE_RESUMED] = {"resumed", NULL},
	[NOTICE_HOST_STARTED] = {"host_started", "pid"},
	[NOTICE_HOST_GONE] = {"host_gone", "pid"},
	[NOTICE_BREAKER_OPEN] = {"breaker_open", NULL},
	[NOTICE_BREAKER_CLOSED] = {"breaker_closed", NULL},
	[NOTICE_STORE_FAILED] = {"store_failed", NULL},
};

#define TASK_KINDS ARRAY_SIZE(task_kinds)
#define ALL_KINDS  (TASK_KINDS + NOTICE_KINDS)

struct events_values {
	const char *pool_name;
	json_t *kinds;
	uint32_t wanted;         /* bits: a place in task_kinds, TASK_KINDS + enum notice_kind */
	const struct pool *pool; /* borrows: lives as long as the board; NULL: all */
	struct watch changed;    /* on board->changed; call->watch is on board->settled */
	struct call *call;       /* borrows: owns us */
	uint64_t missed;
};

static const struct param events_params[] = {
	{.name = "pool",
		.type = PARAM_STRING,
		METHOD_FIELD(events_values, pool_name),
		.min = 1,
		.max = SETTINGS_NAME_MAX,
		.text = "only its events, and those of no pool; all if not given"},
	{.name = "kinds",
		.type = PARAM_STRINGS,
		METHOD_FIELD(events_values, kinds),
		.max = ALL_KINDS,
		.text = "only these; all if not given"},
};

static const char *kind_word(size_t kind)
{
	return kind < TASK_KINDS ? task_kinds[kind].word : notice_kinds[kind - TASK_KINDS].word;
}

static bool events_wants(const struct events_values *values, size_t kind, const struct pool *pool)
{
	return (values->wanted & 1u << kind) != 0 &&
	       (values->pool == NULL || pool == NULL || values->pool == pool);
}

/* Takes the event. A client that does not read gets a count instead. */
static void events_tell(struct call *call, json_t *event)
{
	struct events_values *values = call->values;
	const struct daemon *daemon = call->conn->daemon;

	if (buf_len(&call->conn->out) >= daemon->settings->daemon.max_output_bytes) {
		values->missed++;
		json_decref(event);
		return;
	}
	call_reply_more(call,
		json_pack("{s:o*, s:I}", "event", event, "missed", (json_int_t)values->missed));
	values->missed = 0;
}

static json_t *event_make(const struct daemon *daemon, size_t kind, const struct pool *pool)
{
	return json_pack("{s:f, s:s, s:s*}", "at",
		(double)(daemon->now_us + daemon->wall_offset_us) / US_PER_SEC, "kind",
		kind_word(kind), "pool", pool != NULL ? pool->settings->name : NULL);
}

/* What is told of a task: where and whose it is, never what it was given or gave. NULL: no memory. */
static json_t *event_of_task(const struct daemon *daemon, size_t kind, const struct task *task)
{
	json_t *event = event_make(daemon, kind, task->pool), *rest;
	const char *reason = task->end != NULL ? task_reason(task) : "";
	const struct slot *slot = task->slot;
	const struct slot_progress *progress = slot != NULL ? slot->progress : NULL;
	char id[TASK_ID_SIZE];

	rest = json_pack("{s:s, s:s, s:s*, s:I, s:I, s:s*, s:o*, s:o*, s:s*}", "id",
		tojson_id_text(task->id, id), "handler", task->handler->settings->name, "name",
		*task_name(task) != '\0' ? task_name(task) : NULL, "owner",
		(json_int_t)task->owner_uid, "attempt", (json_int_t)task->attempt, "reason",
		*reason != '\0' ? reason : NULL, "worker",
		slot != NULL ? json_integer((json_int_t)slot->id) : NULL, "permille",
		progress != NULL ? json_integer((json_int_t)progress->permille) : NULL, "note",
		progress != NULL && *progress->note != '\0' ? progress->note : NULL);
	if (event != NULL && rest != NULL && json_object_update_missing(event, rest) < 0) {
		json_decref(event);
		event = NULL;
	}
	json_decref(rest);
	return event;
}

static void events_on_changed(struct watch *watch, struct task *task, int error)
{
	const struct events_values *values = container_of(watch, struct events_values, changed);
	struct call *call = values->call;

	if (error < 0)
		return;
	for (size_t kind = 0; kind < TASK_KINDS && !call->ended; kind++)
		if ((task->news & task_kinds[kind].news) != 0 &&
			events_wants(values, kind, task->pool))
			events_tell(call, event_of_task(call->conn->daemon, kind, task));
}

static json_t *event_of_notice(const struct daemon *daemon, const struct notice *notice)
{
	size_t kind = TASK_KINDS + notice->kind;
	const char *number = notice_kinds[notice->kind].number;
	json_t *event;
	int r = 0;

	if (notice->task != NULL)
		return event_of_task(daemon, kind, notice->task);
	event = event_make(daemon, kind, notice->pool);
	if (number != NULL)
		r = json_object_set_new(event, number, json_integer((json_int_t)notice->number));
	if (r == 0 && notice->resource != NULL)
		r = json_object_set_new(event, "resource", json_string(notice->resource->name));
	if (r == 0)
		return event;
	json_decref(event);
	return NULL;
}

/* Of tasks alone there will be none that is true. */
static bool events_is_over(const struct board *board, const struct events_values *values)
{
	return board->broken < 0 && values->wanted >> TASK_KINDS == 0;
}

static void events_on_settled(struct watch *watch, struct task *task, int error)
{
	struct call *call = container_of(watch, struct call, watch);
	const struct daemon *daemon = call->conn->daemon;
	struct events_values *values = call->values;
	const struct board *board = daemon->board;

	(void)task;
	(void)error; /* what is told here has happened, whatever the store says */
	for (size_t i = 0; i < board->n_notices && !call->ended; i++) {
		const struct notice *notice = &board->notices[i];

		if (events_wants(values, TASK_KINDS + notice->kind, notice->pool))
			events_tell(call, event_of_notice(daemon, notice));
	}
	values->missed += board->n_lost_notices;
	if (events_is_over(board, values))
		call_refuse_store(call, board->broken);
}

/* The bits of `kinds`; false: one is none, and the call was refused. */
static bool events_read_kinds(struct call *call)
{
	struct events_values *values = call->values;
	json_t *word;
	size_t i, kind;

	json_array_foreach (values->kinds, i, word) {
		for (kind = 0; kind < ALL_KINDS; kind++)
			if (strcmp(kind_word(kind), json_string_value(word)) == 0)
				break;
		if (kind == ALL_KINDS) {
			call_refuse_parameter(call, "kinds", "there is no such kind of event");
			return false;
		}
		values->wanted |= 1u << kind;
	}
	if (values->wanted == 0)
		values->wanted = (1u << ALL_KINDS) - 1;
	return true;
}

static void events_run(struct call *call)
{
	struct events_values *values = call->values;
	struct board *board = call->conn->daemon->board;

	if (values->pool_name != NULL) {
		values->pool = board_find_pool(board, values->pool_name);
		if (values->pool == NULL) {
			call_refuse_no_such_pool(call, values->pool_name);
			return;
		}
	}
	if (!events_read_kinds(call))
		return;
	if (!call->msg.more) {
		call_refuse_expected_more(call);
		return;
	}
	if (events_is_over(board, values)) {
		call_refuse_store(call, board->broken);
		return;
	}
	call_drop_params(call); /* a call that lasts holds no tree */
	values->call = call;
	values->changed.fire = events_on_changed;
	watch_add(&board->changed, &values->changed);
	call->watch.fire = events_on_settled;
	watch_add(&board->settled, &call->watch);
	events_tell(call, NULL); /* from here on nothing is missed unsaid */
}

static void events_done(struct call *call)
{
	struct events_values *values = call->values;

	watch_remove(&values->changed);
}

const struct method method_events = {
	.interface = METHOD_INTERFACE,
	.name = "Events",
	.role = ROLE_READ,
	.flags = METHOD_STREAMS,
	METHOD_PARAMS(events_params, events_values),
	.reply = "event: ?Event, missed: int",
	.text = "Only with more: what happens, as it happens. The first answer has no event: from "
		"then on all are told. A client that reads too slowly misses some; `missed` says "
		"how many since the last answer. After store_failed nothing of tasks is told any "
		"more but progress.",
	.run = events_run,
	.done = events_done,
};

const char events_types[] =
	"# What happened. Of a task: posted, retried (by somebody), returned (for another "
	"attempt), "
	"started, done, failed,\n"
	"# cancelled, expired, lost, progress; of a pool: resized, paused, resumed, host_started, "
	"host_gone; of a resource:\n"
	"# breaker_open, breaker_closed; of the store: store_failed.\n"
	"type Event (\n  at: float,\n  kind: string,\n  pool: ?string,\n  id: ?string,\n  "
	"handler: ?string,\n  name: ?string,\n"
	"  owner: ?int,\n  attempt: ?int,\n  worker: ?int,\n  reason: ?string,\n  permille: "
	"?int,\n  note: ?string,\n"
	"  workers: ?int,\n  pid: ?int,\n  resource: ?string\n)\n\n";
