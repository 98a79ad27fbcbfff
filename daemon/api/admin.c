/*
 * admin: what is done to the daemon as a whole: Shutdown.
 */
#include <string.h>

#include "api/method.h"
#include "base/clock.h"
#include "net/stop.h"

struct shutdown_values {
	const char *mode;
	int64_t timeout_ms;
	bool drains;
	uint64_t told; /* what the last progress reply said was left */
};

static const struct shutdown_values shutdown_defaults = {.told = UINT64_MAX};

static const char *const mode_names[] = {
	[STOP_DRAIN] = "drain", [STOP_FINISH] = "finish", [STOP_NOW] = "now"};

static const struct param shutdown_params[] = {
	{.name = "mode",
		.type = PARAM_ENUM,
		METHOD_FIELD(shutdown_values, mode),
		.words = "drain finish now",
		.text = "run all that is queued first, let running tasks finish, or end them; "
			"stop_mode if not given"},
	{.name = "timeout_ms",
		.type = PARAM_INT,
		METHOD_FIELD(shutdown_values, timeout_ms),
		.min = 1,
		.max = 86400000,
		.text = "then running tasks are ended; stop_timeout if not given"},
};

/* The sums over all pools that the replies tell. */
static json_t *shutdown_counts(const struct board *board, uint64_t *ret_left)
{
	uint64_t sums[TASK_STATES] = {0};
	const struct pool *pool;

	TAILQ_FOREACH (pool, &board->pools, link)
		for (unsigned state = TASK_QUEUED; state < TASK_STATES; state++)
			sums[state] += pool->count[state];
	*ret_left = sums[TASK_QUEUED] + sums[TASK_DELAYED] + sums[TASK_ACTIVE];
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "queued",
		(json_int_t)(sums[TASK_QUEUED] + sums[TASK_DELAYED]), "active",
		(json_int_t)sums[TASK_ACTIVE], "done", (json_int_t)sums[TASK_DONE], "failed",
		(json_int_t)sums[TASK_FAILED], "cancelled", (json_int_t)sums[TASK_CANCELLED]);
}

/* The daemon stops, but not as it was told to: what has ended is not written down, or what was to run first cannot. */
static bool shutdown_is_in_vain(
	const struct board *board, const struct shutdown_values *values, uint64_t left)
{
	return board->broken < 0 && (!TAILQ_EMPTY(&board->dirty) || (values->drains && left > 0));
}

static void shutdown_on_settled(struct watch *watch, struct task *task, int error)
{
	struct call *call = container_of(watch, struct call, watch);
	const struct board *board = call->conn->daemon->board;
	struct shutdown_values *values = call->values;
	uint64_t left;
	json_t *json = shutdown_counts(board, &left);

	(void)task;
	(void)error;
	if (board_is_stopped(board) && shutdown_is_in_vain(board, values, left)) {
		json_decref(json);
		call_refuse_store(call, board->broken);
	} else if (board_is_stopped(board)) {
		call_reply(call, json);
	} else if (call->msg.more && left != values->told &&
		   buf_len(&call->conn->out) <
			   call->conn->daemon->settings->daemon.max_output_bytes) {
		values->told = left;
		call_reply_more(call, json);
	} else {
		json_decref(json);
	}
}

static void shutdown_run(struct call *call)
{
	struct shutdown_values *values = call->values;
	struct daemon *daemon = call->conn->daemon;
	enum stop_mode mode = (enum stop_mode)daemon->settings->daemon.stop_mode;

	for (unsigned i = 0; values->mode != NULL && i < ARRAY_SIZE(mode_names); i++)
		if (strcmp(mode_names[i], values->mode) == 0)
			mode = (enum stop_mode)i;
	values->drains = mode == STOP_DRAIN;
	stop_begin(daemon, mode, (uint64_t)values->timeout_ms * US_PER_MS);
	if (call->msg.oneway) {
		call_reply_text(call, VIEW_LIT("{}")); /* nobody would hear the end of it */
		return;
	}
	call->watch.fire = shutdown_on_settled;
	watch_add(&daemon->board->settled, &call->watch);
}

const struct method method_shutdown = {
	.interface = METHOD_INTERFACE,
	.name = "Shutdown",
	.role = ROLE_ADMIN,
	.flags = METHOD_STREAMS | METHOD_HOLDS,
	METHOD_PARAMS(shutdown_params, shutdown_values),
	.defaults = &shutdown_defaults,
	.reply = "queued: int, active: int, done: int, failed: int, cancelled: int",
	.text = "Takes no more posts, does what the mode says, answers with the final counts, and "
		"ends the daemon. With more, "
		"tells what is left as it changes.",
	.run = shutdown_run,
};
