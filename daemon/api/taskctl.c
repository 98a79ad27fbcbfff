/*
 * taskctl: what is done to tasks that are there: Cancel, Retry. By ids all is done at once; by a filter in slices, one a
 * turn, so that nobody waits for a long queue. The answer leaves with the turn's end.
 */
#include <errno.h>
#include <string.h>

#include "api/lookup.h"
#include "api/method.h"
#include "api/tojson.h"

#define IDS_MAX     1000
#define IDS_WHY     "an array of 1 to 1000 strings"
#define SLICE_LOOKS 20000 /* of a turn: so many tasks are looked at … */
#define CANCEL_COST 10    /* … where a cancelled one counts for so many */

/* What became of one id. */
struct outcome {
	const char *word;
	uint8_t was; /* enum task_state; TASK_NEW: not told */
};

/* What both methods begin with. */
struct ids_values {
	json_t *ids;
	struct outcome *outcomes; /* owns: one for each id */
	bool is_pending;          /* what is to be told must be written down first */
};

static json_t *outcomes_answer(const struct ids_values *values)
{
	json_t *rows = json_array(), *id;
	size_t i;

	json_array_foreach (values->ids, i, id) {
		const struct outcome *outcome = &values->outcomes[i];
		json_t *row = json_pack("{s:O, s:s*, s:s}", "id", id, "was",
			outcome->was != TASK_NEW ? task_state_name((enum task_state)outcome->was)
						 : NULL,
			"result", outcome->word);

		if (json_array_append_new(rows, row) < 0) {
			json_decref(rows);
			return NULL;
		}
	}
	return rows;
}

static void ids_done(struct call *call)
{
	struct ids_values *values = call->values;

	free(values->outcomes);
	values->outcomes = NULL;
}

/* One outcome for each id; false: the call was refused. */
static bool ids_begin(struct call *call)
{
	struct ids_values *values = call->values;
	size_t n = json_array_size(values->ids);

	if (n == 0) {
		call_refuse_parameter(call, "ids", IDS_WHY);
		return false;
	}
	values->outcomes = calloc(n, sizeof *values->outcomes);
	if (values->outcomes == NULL)
		call_refuse_internal(call, "out of memory");
	return values->outcomes != NULL;
}

static void ids_run_each(
	struct call *call, struct outcome (*act)(struct call *call, struct task *task))
{
	struct ids_values *values = call->values;
	json_t *id;
	size_t i;

	json_array_foreach (values->ids, i, id) {
		struct task *task = lookup_id(call, json_string_value(id));

		values->outcomes[i] = task == NULL ? (struct outcome){"unknown", TASK_NEW}
				      : !tojson_may_see(call, task)
					      ? (struct outcome){"denied", TASK_NEW}
					      : act(call, task);
		values->is_pending |= task != NULL && task->dirty;
	}
}

/* The end of the turn, if what was done in it is written down; else the call is refused. */
static bool ids_is_written(struct call *call, int error)
{
	const struct ids_values *values = call->values;

	if (error == 0 || !values->is_pending)
		return true;
	call_refuse_store(call, error);
	return false;
}

/* --- Cancel -------------------------------------------------------------------------------- */

struct cancel_values {
	struct ids_values by_id;
	const char *handler_name, *pool_name, *state_name;
	const struct handler *handler; /* borrows: lives as long as the board; NULL: any */
	const struct pool *pool;       /* borrows: the same */
	unsigned states;               /* bits: 1 << enum task_state */
	uint64_t below; /* of the filter: ids from here on were looked at; 0: none was */
	uint64_t left;  /* tasks that it fits, at most */
	bool goes_on;   /* there are more to look at */
	uint64_t cancelled, asked;
};

static const struct param cancel_params[] = {
	{.name = "ids",
		.type = PARAM_STRINGS,
		METHOD_FIELD(cancel_values, by_id.ids),
		.max = IDS_MAX,
		.text = "tasks: the caller's own, any for an admin"},
	{.name = "handler",
		.type = PARAM_STRING,
		METHOD_FIELD(cancel_values, handler_name),
		.min = 1,
		.max = SETTINGS_NAME_MAX,
		.text = "instead of ids: all of these tasks that are its"},
	{.name = "pool",
		.type = PARAM_STRING,
		METHOD_FIELD(cancel_values, pool_name),
		.min = 1,
		.max = SETTINGS_NAME_MAX,
		.text = "as handler, or with it"},
	{.name = "state",
		.type = PARAM_ENUM,
		METHOD_FIELD(cancel_values, state_name),
		.words = "queued delayed active",
		.text = "as handler, or with it; all three if not given"},
};

static struct outcome cancel_task(struct call *call, struct task *task)
{
	struct cancel_values *values = call->values;
	struct outcome outcome = {"ended", task->state};

	if (task_is_ended(task))
		return outcome;
	outcome.word = task->state == TASK_ACTIVE ? "asked" : "cancelled";
	IGNORE(board_cancel(call->conn->daemon->board, task,
		call->conn->daemon->now_us)); /* asked before is asked, too */
	if (outcome.was == TASK_ACTIVE)
		values->asked++;
	else
		values->cancelled++;
	return outcome;
}

static bool cancel_fits(const struct cancel_values *values, const struct task *task)
{
	return (values->states & 1u << task->state) != 0 &&
	       (values->handler == NULL || values->handler == task->handler) &&
	       (values->pool == NULL || values->pool == task->pool);
}

/* The newest first: the workers take the oldest meanwhile. */
static void cancel_slice(struct call *call)
{
	struct cancel_values *values = call->values;
	struct task *task = board_below(
		call->conn->daemon->board, values->below != 0 ? values->below : UINT64_MAX);

	for (unsigned cost = 0; task != NULL && values->left > 0 && cost < SLICE_LOOKS; cost++) {
		values->below = task->id;
		if (cancel_fits(values, task)) {
			values->left--;
			if (tojson_may_see(call, task)) {
				(void)cancel_task(call, task);
				values->by_id.is_pending |= task->dirty;
				cost += CANCEL_COST;
			}
		}
		task = board_below(call->conn->daemon->board, task->id);
	}
	values->goes_on = task != NULL && values->left > 0;
}

static void cancel_go_on(struct deadline *deadline, uint64_t now_us)
{
	(void)now_us;
	cancel_slice(container_of(deadline, struct call, deadline));
}

static void cancel_on_settled(struct watch *watch, struct task *task, int error)
{
	struct call *call = container_of(watch, struct call, watch);
	struct cancel_values *values = call->values;
	const struct daemon *daemon = call->conn->daemon;
	json_t *answer;

	(void)task;
	if (!ids_is_written(call, error))
		return;
	values->by_id.is_pending = false;
	if (values->goes_on) {
		if (deadline_set(&daemon->board->deadlines, &call->deadline, daemon->now_us) < 0)
			call_refuse_internal(call, "out of memory");
		return;
	}
	answer = json_pack("{s:I, s:I}", "cancelled", (json_int_t)values->cancelled, "asked",
		(json_int_t)values->asked);
	if (answer != NULL && values->by_id.ids != NULL &&
		json_object_set_new(answer, "tasks", outcomes_answer(&values->by_id)) < 0) {
		json_decref(answer);
		answer = NULL;
	}
	call_reply(call, answer);
}

/* How many tasks the filter can fit at most: when so many were seen nobody looks on. */
static uint64_t cancel_count(const struct board *board, const struct cancel_values *values)
{
	const struct pool *pool;
	uint64_t sum = 0;

	for (unsigned state = TASK_QUEUED; state <= TASK_ACTIVE; state++) {
		if ((values->states & 1u << state) == 0)
			continue;
		if (values->handler != NULL) {
			sum += values->handler->count[state];
			continue;
		}
		TAILQ_FOREACH (pool, &board->pools, link)
			if (values->pool == NULL || values->pool == pool)
				sum += pool->count[state];
	}
	return sum;
}

/* false: the call was refused. */
static bool cancel_read_filter(struct call *call)
{
	struct cancel_values *values = call->values;
	const struct board *board = call->conn->daemon->board;

	if (values->handler_name != NULL) {
		values->handler = board_find_handler(board, values->handler_name);
		if (values->handler == NULL) {
			call_refuse_no_such_handler(call, values->handler_name);
			return false;
		}
	}
	if (values->pool_name != NULL) {
		values->pool = board_find_pool(board, values->pool_name);
		if (values->pool == NULL) {
			call_refuse_no_such_pool(call, values->pool_name);
			return false;
		}
	}
	values->states = values->state_name != NULL
				 ? 1u << task_state_by_name(values->state_name)
				 : 1u << TASK_QUEUED | 1u << TASK_DELAYED | 1u << TASK_ACTIVE;
	values->left = cancel_count(board, values);
	return true;
}

static void cancel_run(struct call *call)
{
	struct cancel_values *values = call->values;
	bool has_filter = values->handler_name != NULL || values->pool_name != NULL ||
			  values->state_name != NULL;

	if (has_filter == (values->by_id.ids != NULL)) {
		call_refuse_parameter(call, "ids",
			has_filter ? "not together with handler, pool or state"
				   : "required, or handler, pool or state is");
		return;
	}
	if (has_filter) {
		if (!cancel_read_filter(call))
			return;
		cancel_slice(call);
	} else {
		if (!ids_begin(call))
			return;
		ids_run_each(call, cancel_task);
	}
	/* Also when nobody hears the answer: the calls behind it must not pile up. */
	call->holds = call->conn->held = true;
	call->deadline.fire = cancel_go_on;
	call->watch.fire = cancel_on_settled;
	watch_add(&call->conn->daemon->board->settled, &call->watch);
}

const struct method method_cancel = {
	.interface = METHOD_INTERFACE,
	.name = "Cancel",
	.role = ROLE_POST,
	METHOD_PARAMS(cancel_params, cancel_values),
	.reply = "cancelled: int, asked: int, tasks: ?[]Outcome",
	.text = "Tasks that wait end as cancelled at once; the workers of active ones are asked to "
		"end them, which may take a while. Of ids, `tasks` tells what became of each: "
		"cancelled, asked, ended (before), unknown, denied.",
	.run = cancel_run,
	.done = ids_done,
};

/* --- Retry --------------------------------------------------------------------------------- */

static const struct param retry_params[] = {
	{.name = "ids",
		.type = PARAM_STRINGS,
		.flags = PARAM_REQUIRED,
		METHOD_FIELD(ids_values, ids),
		.max = IDS_MAX,
		.text = "tasks: the caller's own, any for an admin"},
};

static const char *retry_word(int r, const struct task *task)
{
	switch (r) {
	case 0:
		return "queued";
	case -EPROTO:
		return task->state == TASK_DONE ? "done" : "not_ended";
	case -EBUSY: /* its end is still to be written down */
		return "not_ended";
	case -EEXIST:
		return "duplicate";
	case -EAGAIN:
		return "at_capacity";
	case -ESHUTDOWN:
		return "shutting_down";
	case -ENOMEM:
		return "no_memory";
	default: /* board->store_error */
		return r == -ENOSPC ? "storage_full" : "storage_failed";
	}
}

static struct outcome retry_task(struct call *call, struct task *task)
{
	struct daemon *daemon = call->conn->daemon;
	struct outcome outcome = {"denied", task->state};

	/* As a post: whoever may not post to the handler any more does not run it again either. */
	if (!peer_is_allowed(&call->conn->peer, daemon->access, task->handler->index))
		return outcome;
	outcome.word = retry_word(board_retry(daemon->board, task, daemon->now_us), task);
	return outcome;
}

static void retry_on_settled(struct watch *watch, struct task *task, int error)
{
	struct call *call = container_of(watch, struct call, watch);
	json_t *rows;

	(void)task;
	if (!ids_is_written(call, error))
		return;
	rows = outcomes_answer(call->values);
	call_reply(call, rows != NULL ? json_pack("{s:o}", "tasks", rows) : NULL);
}

static void retry_run(struct call *call)
{
	if (!ids_begin(call))
		return;
	ids_run_each(call, retry_task);
	call_hold(call);
	call->watch.fire = retry_on_settled;
	watch_add(&call->conn->daemon->board->settled, &call->watch);
}

const struct method method_retry = {
	.interface = METHOD_INTERFACE,
	.name = "Retry",
	.role = ROLE_POST,
	METHOD_PARAMS(retry_params, ids_values),
	.reply = "tasks: []Outcome",
	.text = "Tasks that failed, were cancelled, expired or were lost are queued again, with "
		"all "
		"their retries and no expiry. Of each: queued, or why not: done, not_ended, "
		"duplicate (another task has its unique key), at_capacity, shutting_down, unknown, "
		"denied, no_memory.",
	.run = retry_run,
	.done = ids_done,
};
