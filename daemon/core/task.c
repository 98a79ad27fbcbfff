/*
 * task: see task.h. The table below is the whole life of a task; a cell that is not written is -EPROTO.
 */
#include "core/task.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "core/board.h"
#include "core/handler.h"
#include "core/pool.h"

/* next_state[state][event] - 1: the row's index is where the task is, 0 where the event cannot happen. */
#define TO(state) ((state) + 1)
#define TO_SAVED  TO(TASK_STATES) /* what the store holds */

_Static_assert(TASK_EVENTS <= 16, "task->news");

static const uint8_t next_state[TASK_STATES][TASK_EVENTS] = {
	[TASK_NEW] = {[EV_POST] = TO(TASK_QUEUED), [EV_POST_LATER] = TO(TASK_DELAYED)},
	[TASK_QUEUED] = {[EV_START] = TO(TASK_ACTIVE),
		[EV_CANCEL] = TO(TASK_CANCELLED),
		[EV_EXPIRE] = TO(TASK_EXPIRED),
		[EV_UNPOST] = TO(TASK_NEW),
		[EV_UNRETRY] = TO_SAVED},
	[TASK_DELAYED] = {[EV_DUE] = TO(TASK_QUEUED),
		[EV_CANCEL] = TO(TASK_CANCELLED),
		[EV_EXPIRE] = TO(TASK_EXPIRED),
		[EV_UNPOST] = TO(TASK_NEW)},
	[TASK_ACTIVE] = {[EV_OK] = TO(TASK_DONE),
		[EV_FAIL] = TO(TASK_FAILED),
		[EV_ASK] = TO(TASK_ACTIVE),
		[EV_CANCEL] = TO(TASK_CANCELLED),
		[EV_RETURN] = TO(TASK_QUEUED),
		[EV_RETURN_LATER] = TO(TASK_DELAYED),
		[EV_LOSE] = TO(TASK_LOST),
		[EV_UNSTART] = TO(TASK_QUEUED)},
	[TASK_FAILED] = {[EV_RETRY] = TO(TASK_QUEUED)},
	[TASK_CANCELLED] = {[EV_RETRY] = TO(TASK_QUEUED), [EV_UNPOST] = TO(TASK_NEW)},
	[TASK_EXPIRED] = {[EV_RETRY] = TO(TASK_QUEUED), [EV_UNPOST] = TO(TASK_NEW)},
	[TASK_LOST] = {[EV_RETRY] = TO(TASK_QUEUED)},
};

static const char *const state_names[TASK_STATES] = {
	"new", "queued", "delayed", "active", "done", "failed", "cancelled", "expired", "lost"};

struct task *task_new(struct view name, struct view unique, struct view args)
{
	const struct view parts[] = {name, unique, args};
	size_t len = 0;
	struct task *task;
	char *to;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (parts[i].len > (i < ARRAY_SIZE(parts) - 1 ? UINT16_MAX : UINT32_MAX))
			return NULL;
		len += parts[i].len + 1;
	}
	task = calloc(1, sizeof *task + len);
	if (task == NULL)
		return NULL;
	to = task->text;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (parts[i].len > 0)
			memcpy(to, parts[i].data, parts[i].len);
		to += parts[i].len + 1;
	}
	task->name_len = (uint16_t)name.len;
	task->unique_len = (uint16_t)unique.len;
	task->args_len = (uint32_t)args.len;
	watch_list_init(&task->watches);
	return task;
}

void task_free(struct task *task)
{
	if (task == NULL)
		return;
	watch_list_done(&task->watches);
	free(task->end);
	free(task);
}

int task_step(struct task *task, enum task_event event)
{
	struct board *board = task->pool->board;
	unsigned next = next_state[task->state][event];

	assert(!board->is_telling); /* fire() must not change the board */
	if (next == 0)
		return -EPROTO;
	task->pool->count[task->state]--;
	task->handler->count[task->state]--;
	task->state = (uint8_t)(next == TO_SAVED ? task->saved : next - 1);
	task->pool->count[task->state]++;
	task->handler->count[task->state]++;
	task->news |= (uint16_t)(1u << event);
	board->n_steps++;
	/* In order of the last change: tasks that start in one turn are handed over in the order in which they were started. */
	if (task->dirty)
		TAILQ_REMOVE(&board->dirty, task, in_dirty);
	task->dirty = true;
	TAILQ_INSERT_TAIL(&board->dirty, task, in_dirty);
	return 0;
}

void task_restore(struct task *task, enum task_state state)
{
	assert(task->state == TASK_NEW && !task->dirty);
	task->state = task->saved = (uint8_t)state;
	task->pool->count[state]++;
	task->handler->count[state]++;
}

void task_unsettle(struct task *task, enum task_state saved)
{
	struct board *board = task->pool->board;

	task->saved = (uint8_t)saved;
	if (!task->dirty)
		TAILQ_INSERT_TAIL(&board->dirty, task, in_dirty);
	task->dirty = true;
}

bool task_is_ended(const struct task *task)
{
	return task->state >= TASK_DONE;
}

enum task_state task_told_state(const struct task *task)
{
	return (enum task_state)(task->dirty && task_is_ended(task) ? task->saved : task->state);
}

const char *task_name(const struct task *task)
{
	return task->text;
}

const char *task_unique(const struct task *task)
{
	return task->text + task->name_len + 1;
}

struct view task_args(const struct task *task)
{
	return (struct view){task->text + task->name_len + task->unique_len + 2, task->args_len};
}

struct view task_result(const struct task *task)
{
	return task->end != NULL ? (struct view){task->end->result, task->end->result_len}
				 : (struct view){NULL, 0};
}

const char *task_reason(const struct task *task)
{
	if (task->end != NULL)
		return task->end->reason;
	return task->state == TASK_FAILED ? "no_memory" : ""; /* its end could not be kept */
}

const char *task_state_name(enum task_state state)
{
	return (unsigned)state < TASK_STATES ? state_names[state] : "?";
}

enum task_state task_state_by_name(const char *name)
{
	for (unsigned i = TASK_QUEUED; i < TASK_STATES; i++)
		if (strcmp(state_names[i], name) == 0)
			return (enum task_state)i;
	return TASK_STATES;
}
