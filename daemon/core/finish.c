/*
 * finish: how an attempt ends, and what becomes of the task: its end, or another attempt. The rules, first match first:
 *
 *   it succeeded                                done
 *   somebody cancelled it                       cancelled
 *   its time limit had passed                   failed, reason "timeout", unless it may be retried
 *   the daemon stops and asked it to end        back to the queue if the store keeps it, else cancelled, reason "shutdown"
 *   its program died, or its host with it alone a crash: up to crash_max of them run again, unless on_crash says lost
 *   its host died with others in it             nobody is to blame: each is a suspect and runs alone next
 *   its host was ended because another was stuck  back to its place
 *   its host died before it was told of it      it has not begun: back to its place
 *   it failed                                   failed, unless a breaker answers for it or it may be retried
 *
 * A breaker answers for whoever was under way when it opened, which goes back to its place; and for a trial, which goes
 * behind those of its priority: so another task tries next, and one that is itself to blame does not fail all the trials.
 *
 * While the daemon stops nothing is tried again, unless the store keeps it for the next start.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "core/board.h"
#include "core/finish.h"
#include "core/timer.h"
#include "core/unique.h"

#define TRIALS_MAX                                                                                 \
	3 /* failures of one task that breakers answer for: it may be the one that is to blame */

static struct task_end *end_new(struct view reason, struct view result)
{
	struct task_end *end = malloc(sizeof *end + result.len);
	size_t len = reason.len < TASK_REASON_SIZE ? reason.len : TASK_REASON_SIZE - 1;

	if (end == NULL)
		return NULL;
	if (len > 0)
		memcpy(end->reason, reason.data, len);
	end->reason[len] = '\0';
	end->result_len = result.len;
	if (result.len > 0)
		memcpy(end->result, result.data, result.len);
	return end;
}

/* What its attempt, or the task, ended with; without memory nothing: -ENOMEM. */
int finish_set_end(struct task *task, struct view reason, struct view result)
{
	free(task->end);
	task->end = end_new(reason, result);
	if (task->end == NULL)
		return -ENOMEM;
	task->end->started_us = task->started_us;
	task->end->ended_us = task->ended_us;
	return 0;
}

static void count_attempt(const struct task *task, uint64_t now_us)
{
	struct handler *handler = task->handler;

	if (handler->times == NULL)
		handler->times = calloc(1, sizeof *handler->times);
	if (handler->times != NULL)
		times_attempt(handler->times, task->queued_us, task->started_us, now_us);
	times_attempt(&task->pool->stats.times, task->queued_us, task->started_us, now_us);
}

static void count_end(const struct task *task, uint64_t now_us)
{
	if (task->handler->times != NULL)
		hist_add(&task->handler->times->total, now_us - task->posted_us);
	hist_add(&task->pool->stats.times.total, now_us - task->posted_us);
	rate_add(&task->pool->stats.ended, now_us);
}

/* Out of wherever it waits or runs; its state is still the old one. */
static void leave_place(struct board *board, struct task *task, uint64_t now_us)
{
	struct pool *pool = task->pool;

	if (task->state == TASK_ACTIVE) {
		if (task->on_starts) /* settled, but not handed over yet */
			TAILQ_REMOVE(&board->starts, task, in_place);
		if (task->on_asks)
			TAILQ_REMOVE(&board->asks, task, in_place);
		if (task->on_stuck)
			TAILQ_REMOVE(&board->stuck, task, in_place);
		task->on_starts = task->on_asks = task->on_stuck = false;
		if (!task->unsent)
			count_attempt(task, now_us);
		pool_release(pool, task);
	} else if (task->state == TASK_QUEUED) {
		queue_remove(&pool->queue, task);
	}
	timer_clear(task);
}

/* A task that waits or runs ends. -ENOMEM: it ended, but without a word of how; what was done is failed. */
static int board_end(struct board *board, struct task *task, enum task_event event,
	struct view reason, struct view result, uint64_t now_us)
{
	bool had_run = task->state == TASK_ACTIVE && !task->unsent;
	int r, step;

	leave_place(board, task, now_us);
	if (had_run)
		count_end(task, now_us);
	task->ended_us = now_us;
	r = finish_set_end(task, reason, result);
	if (r < 0 && event == EV_OK)
		event = EV_FAIL;
	step = task_step(task, event);
	assert(step == 0); /* whoever waits or runs can end */
	(void)step;        /* with NDEBUG */
	unique_drop(board, task);
	return r;
}

/* For another attempt: at its old place, or after a pause. */
static void board_return(struct board *board, struct task *task, uint64_t pause_us, uint64_t now_us)
{
	bool waits = pause_us > 0 && deadlines_reserve(&board->deadlines) == 0;
	int r;

	leave_place(board, task, now_us);
	task->started_us = 0;
	task->asked = task->overdue = task->stopped = task->cancelled = task->stuck = false;
	task->queued_us = now_us;
	task->due_us = now_us + pause_us;
	r = task_step(task, waits ? EV_RETURN_LATER : EV_RETURN);
	assert(r == 0); /* it was active */
	(void)r;
	if (!waits)
		queue_push_back(&task->pool->queue, task);
	timer_arm(task);
}

/* There will be another attempt: in this pool, or after the next start. */
static bool may_return(const struct task *task)
{
	const struct board *board = task->pool->board;

	return board->keeps || board->stop == STOP_RUNNING ||
	       (board->stop == STOP_DRAINING && !task->pool->paused);
}

/* backoff_min, doubled for each try before, up to backoff_max; up to a fifth less, so that what failed together does not come
 * back together. The same for the same task and try. */
static uint64_t backoff_us(const struct task *task, uint32_t tries)
{
	const struct settings_handler *settings = task->handler->settings;
	uint64_t pause_us = settings->backoff_min_us;
	uint64_t z = task->id * UINT64_C(0x9e3779b97f4a7c15) + tries;

	while (--tries > 0 && pause_us < settings->backoff_max_us)
		pause_us *= 2;
	if (pause_us > settings->backoff_max_us)
		pause_us = settings->backoff_max_us;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9); /* splitmix64's mixer */
	z ^= z >> 31;
	return pause_us - (pause_us / 5) * (z & 1023) / 1023;
}

/* Tells the breakers; true: one of them answers for a failure. */
static bool note_outcome(const struct task *task, bool is_ok, uint64_t now_us)
{
	const struct handler *handler = task->handler;
	bool is_excused = false;

	for (size_t i = 0; i < handler->n_claims; i++)
		is_excused |= resource_note(handler->claims[i].resource, task->id, is_ok, now_us);
	return is_excused;
}

static bool is_trial(const struct task *task)
{
	const struct handler *handler = task->handler;

	for (size_t i = 0; i < handler->n_claims; i++)
		if (resource_is_trial(handler->claims[i].resource, task->id))
			return true;
	return false;
}

/* A breaker answers for its failure. */
static void return_excused(struct board *board, struct task *task, bool was_trial, uint64_t now_us)
{
	struct queue *queue = &task->pool->queue;

	task->trials++;
	task->pool->stats.counters.returned++;
	board_return(board, task, 0, now_us);
	if (was_trial) {
		queue_remove(queue, task);
		queue_push(queue, task);
	}
}

static int on_failure(struct board *board, struct task *task, struct view reason,
	struct view result, uint64_t now_us)
{
	struct counters *counters = &task->pool->stats.counters;
	bool was_trial = is_trial(task);
	bool is_excused = note_outcome(task, false, now_us) && task->trials < TRIALS_MAX;

	task->suspect = false;
	if (may_return(task) && is_excused) {
		return_excused(board, task, was_trial, now_us);
		return finish_set_end(task, reason, result);
	}
	if (may_return(task) && task->failures < task->retries) {
		task->failures++;
		counters->retried++;
		board_return(board, task, backoff_us(task, task->failures), now_us);
		return finish_set_end(task, reason, result);
	}
	return board_end(board, task, EV_FAIL, reason, result, now_us);
}

/* is_host: with its host, so it runs alone from here on; where each runs alone anyway it waits as after a failure. */
static int on_crash(
	struct board *board, struct task *task, struct view result, bool is_host, uint64_t now_us)
{
	const struct settings_handler *settings = task->handler->settings;
	const struct view reason = VIEW_LIT("crashed");

	task->suspect = is_host && !pool_is_isolated(task->pool);
	task->crashes++;
	if (settings->on_crash == ON_CRASH_LOST)
		return board_end(board, task, EV_LOSE, reason, result, now_us);
	if (!may_return(task) || task->crashes >= settings->crash_max)
		return board_end(board, task, EV_FAIL, reason, result, now_us);
	task->pool->stats.counters.retried++;
	board_return(board, task, task->suspect ? 0 : backoff_us(task, task->crashes), now_us);
	return finish_set_end(task, reason, result);
}

/* It is not to blame; but what may not run twice is lost. */
static int on_innocent(struct board *board, struct task *task, struct view result, bool is_suspect,
	uint64_t now_us)
{
	const struct view reason = VIEW_LIT("crashed");

	if (task->handler->settings->on_crash == ON_CRASH_LOST)
		return board_end(board, task, EV_LOSE, reason, result, now_us);
	if (!may_return(task))
		return board_end(board, task, EV_FAIL, reason, result, now_us);
	task->suspect |= is_suspect;
	task->pool->stats.counters.returned++;
	board_return(board, task, 0, now_us);
	return finish_set_end(task, reason, result);
}

/* It was started, but its host is gone before it was told. */
static int on_unsent(struct board *board, struct task *task, struct view result, uint64_t now_us)
{
	if (task->cancelled)
		return board_end(board, task, EV_CANCEL, VIEW_LIT("cancelled"), result, now_us);
	if (!may_return(task))
		return board_end(board, task, EV_CANCEL, VIEW_LIT("shutdown"), result, now_us);
	task->pool->stats.counters.returned++;
	board_return(board, task, 0, now_us);
	return 0;
}

/* It was asked to end because the daemon stops. */
static int on_stopped(struct board *board, struct task *task, struct view result, uint64_t now_us)
{
	if (!board->keeps)
		return board_end(board, task, EV_CANCEL, VIEW_LIT("shutdown"), result, now_us);
	task->pool->stats.counters.returned++;
	board_return(board, task, 0, now_us);
	return 0;
}

/* Those ends that do not depend on how it ended; false: none of them. */
static bool take_asked_end(struct board *board, struct task *task, struct view result,
	bool is_ended, uint64_t now_us, int *ret_r)
{
	if (task->cancelled) {
		*ret_r = board_end(board, task, EV_CANCEL, VIEW_LIT("cancelled"), result, now_us);
	} else if (task->overdue) {
		task->pool->stats.counters.timed_out++;
		*ret_r = on_failure(board, task, VIEW_LIT("timeout"), result, now_us);
	} else if (task->stopped && is_ended) {
		*ret_r = on_stopped(board, task, result, now_us);
	} else {
		return false;
	}
	return true;
}

int board_finish(struct board *board, uint64_t id, uint32_t attempt, const struct result *result,
	uint64_t now_us)
{
	struct task *task = board_find_task(board, id);
	struct view reason = result->reason;
	int r;

	if (task == NULL)
		return -ENOENT;
	if (task->state != TASK_ACTIVE || task->attempt != attempt) {
		task->pool->stats.counters.stale++;
		return -ENOENT;
	}
	if (result->outcome >= RESULT_OUTCOMES || task->unsent)
		return -EPROTO;
	if (result->outcome == RESULT_OK) {
		(void)note_outcome(task, true, now_us);
		return board_end(board, task, EV_OK, VIEW_LIT(""), result->result, now_us);
	}
	if (result->outcome == RESULT_CRASHED)
		task->pool->stats.counters.crashed++;
	if (take_asked_end(
		    board, task, result->result, result->outcome != RESULT_FAILED, now_us, &r))
		return r;
	if (result->outcome == RESULT_CRASHED)
		return on_crash(board, task, result->result, false, now_us);
	if (result->outcome == RESULT_CANCELLED)
		return board_end(board, task, EV_CANCEL,
			reason.len > 0 ? reason : VIEW_LIT("cancelled"), result->result, now_us);
	return on_failure(
		board, task, reason.len > 0 ? reason : VIEW_LIT("failed"), result->result, now_us);
}

/* One task of a host that is gone; is_guilty: of those that had begun it was the only one. */
static int finish_gone(
	struct board *board, struct task *task, bool by_us, bool is_guilty, uint64_t now_us)
{
	const struct view result = VIEW_LIT(
		"{\"error\":\"the host process of the pool died while the task was in it\"}");
	int r;

	if (task->unsent)
		return on_unsent(board, task, result, now_us);
	task->pool->stats.counters.crashed++;
	if (take_asked_end(board, task, result, true, now_us, &r))
		return r;
	if (is_guilty)
		return on_crash(board, task, result, true, now_us);
	return on_innocent(board, task, result, !by_us, now_us);
}

uint32_t board_host_gone(
	struct board *board, struct pool *pool, void *host, bool by_us, uint64_t now_us)
{
	uint32_t n = slots_count_of(&pool->slots, host), n_begun = 0;
	struct slot *slot;

	slots_down(&pool->slots, host);
	for (uint32_t i = 0; i < pool->slots.len; i++) {
		slot = pool->slots.all[i];
		n_begun += slot->state == SLOT_BUSY && slot->host == host && !slot->task->unsent;
	}
	while ((slot = slots_busy_of(&pool->slots, host)) != NULL)
		IGNORE(finish_gone(board, slot->task, by_us, n_begun == 1 && !by_us,
			now_us)); /* it ends even without memory for why */
	return n;
}

int board_cancel(struct board *board, struct task *task, uint64_t now_us)
{
	int r;

	if (task_is_ended(task) || task->state == TASK_NEW)
		return -EPROTO;
	if (task->state != TASK_ACTIVE) {
		IGNORE(board_end(board, task, EV_CANCEL, VIEW_LIT("cancelled"),
			VIEW_LIT("{\"error\":\"it was cancelled before a worker had it\"}"),
			now_us)); /* it ends even without memory for why */
		return 0;
	}
	if (task->cancelled)
		return -EALREADY;
	r = task_step(task, EV_ASK);
	assert(r == 0); /* it is active */
	task->cancelled = true;
	board_ask(board, task, now_us);
	return r;
}

int board_progress(
	struct board *board, uint64_t id, uint32_t attempt, uint32_t permille, struct view note)
{
	struct task *task = board_find_task(board, id);
	struct slot_progress *progress;

	if (task == NULL || task->state != TASK_ACTIVE || task->attempt != attempt || task->unsent)
		return -ENOENT;
	progress = malloc(sizeof *progress + note.len + 1);
	if (progress == NULL)
		return -ENOMEM;
	progress->permille = permille;
	if (note.len > 0)
		memcpy(progress->note, note.data, note.len);
	progress->note[note.len] = '\0';
	free(task->slot->progress);
	task->slot->progress = progress;
	board_notice(
		board, &(struct notice){.kind = NOTICE_PROGRESS, .pool = task->pool, .task = task});
	return 0;
}

void board_due(struct board *board, struct task *task, uint64_t now_us)
{
	int r = task_step(task, EV_DUE);

	(void)board;
	assert(r == 0); /* it was delayed */
	(void)r;
	task->queued_us = now_us;
	queue_push(&task->pool->queue, task);
	timer_arm(task);
}

void board_expire(struct board *board, struct task *task, uint64_t now_us)
{
	IGNORE(board_end(board, task, EV_EXPIRE, VIEW_LIT("expired"),
		VIEW_LIT("{\"error\":\"no worker had it in time\"}"),
		now_us)); /* it ends even without memory for why */
}

void board_cancel_waiting(struct board *board, struct pool *pool, uint64_t now_us)
{
	struct task *task;

	BOARD_FOREACH(task, board)
	if (task->pool == pool && (task->state == TASK_QUEUED || task->state == TASK_DELAYED))
		IGNORE(board_end(board, task, EV_CANCEL, VIEW_LIT("shutdown"),
			VIEW_LIT("{\"error\":\"the daemon stopped before a worker was "
				 "free\"}"),
			now_us)); /* it ends even without memory for why */
}
