/*
 * h_coprocess: runs a task in a program that is kept for the tasks of its worker: a line of JSON to its standard input, lines
 * from its standard output until one is the answer (wire/coproc.h); what it writes to standard error is the task's output.
 *
 * The program is started for the first task and, without one, is the keeper's. A task never gets one of which it is known
 * that it cannot answer: whether it is there and silent is looked at first, and one that has closed its end before it read
 * a byte is replaced and the task begun anew. What happens after the first byte was written happens in the task: nobody
 * can know how far the program got.
 *
 * It goes after the task when it said what is no answer, or more than that; when the task was cancelled, which ends it as it
 * does a program of exec; when it has answered as many tasks, or has as much memory, as its handler allows.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "host/attend.h"
#include "host/exec_config.h"
#include "host/exec_report.h"
#include "host/handler.h"
#include "host/keeper.h"
#include "wire/coproc.h"

#define READ_BYTES (64u * 1024)
#define REST_READS 32               /* more than a pipe holds */
#define GONE_US    (1 * US_PER_SEC) /* from the end of a pipe to its own */
#define HEAD_BYTES 4096u

/* How far a task has come in its program. */
enum stage {
	STAGE_OPEN,     /* it has not answered */
	STAGE_ANSWERED, /* `answer` is it */
	STAGE_WRONG,    /* it said or did what it must not: `reason` and `why` */
	STAGE_UNREAD, /* its standard input was closed before a byte of the task came: this is no program for it */
};

struct talk {
	struct attend attend;
	struct coprocess *coprocess; /* borrows: put back, or retired, behind us */
	enum stage stage;
	struct coproc_line answer; /* owns, when ANSWERED; borrows from coprocess->lines */
	const char *reason;
	char why[COPROC_WHY_SIZE + 64];
	uint64_t
		gone_at_us; /* a pipe is closed, so its end is near: not waited for any longer than this; 0: none is */
};

static void set_stage(struct talk *talk, enum stage stage)
{
	talk->stage = stage;
	talk->attend.is_over = true;
}

static void go_wrong(struct talk *talk, const char *reason, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void go_wrong(struct talk *talk, const char *reason, const char *fmt, ...)
{
	va_list args;

	talk->reason = reason;
	va_start(args, fmt);
	(void)vsnprintf(talk->why, sizeof(talk->why), fmt, args);
	va_end(args);
	set_stage(talk, STAGE_WRONG);
}

/* What it says. */

static void take_answer(struct talk *talk, const struct coproc_line *line)
{
	uint64_t limit = task_offer(talk->attend.task)->max_output_bytes;

	if (line->type == COPROC_RESULT && line->result.len > limit)
		go_wrong(talk, "output_too_long",
			"the result has %zu bytes, %" PRIu64 " are allowed", line->result.len,
			limit);
	else
		set_stage(talk, STAGE_ANSWERED);
}

static void take_line(struct talk *talk, struct view text)
{
	struct coproc_line *line = &talk->answer;
	char why[COPROC_WHY_SIZE];

	int r = coproc_parse(text, line, why);
	if (r < 0) {
		go_wrong(talk, r == -ENOMEM ? "failed" : "protocol",
			"the program wrote a line that is no answer: %s",
			r == -ENOMEM ? strerror(ENOMEM) : why);
		return;
	}
	if (line->id != task_id(talk->attend.task))
		go_wrong(talk, "protocol", "the program answered for task %" PRIu64, line->id);
	else if (line->type == COPROC_PROGRESS)
		task_progress(talk->attend.task, line->permille, line->note);
	else
		take_answer(talk, line);
	if (talk->stage != STAGE_ANSWERED)
		coproc_done(line);
}

/* Lines that are there, up to the answer. from: so many bytes are known to hold no newline. */
static void take_lines(struct talk *talk, size_t from)
{
	struct buf *lines = &talk->coprocess->lines;

	while (talk->stage == STAGE_OPEN) {
		struct view all = buf_view(lines);
		const char *end = memchr(all.data + from, '\n', all.len - from);

		if (!end)
			break;
		size_t len = (size_t)(end - all.data);
		take_line(talk, (struct view){all.data, len});
		buf_consume(lines, len + 1);
		from = 0;
	}
	if (talk->stage == STAGE_OPEN && buf_len(lines) == lines->limit)
		go_wrong(talk, "output_too_long", "the program wrote a line of more than %zu bytes",
			lines->limit);
}

/* One read of its standard output, of which nothing is taken any more when the task was asked to end. false: nothing was there. */
static bool read_lines(struct talk *talk)
{
	struct buf *lines = &talk->coprocess->lines;
	int *fd = &talk->coprocess->program.out.fd;
	size_t before = buf_len(lines), left = lines->limit - before, room;
	char *to;

	int r = buf_reserve(lines, left < READ_BYTES ? left : READ_BYTES, &to, &room);
	if (r < 0) {
		go_wrong(talk, "failed", "the program's answer: %s", strerror(-r));
		return false;
	}
	ssize_t n = read(*fd, to, room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		*fd = fd_close(*fd);
		return false;
	}
	buf_commit(lines, (size_t)n);
	if (talk->attend.kill_at_us == 0)
		take_lines(talk, before);
	else
		buf_consume(lines, buf_len(lines));
	return true;
}

static void on_out(struct attend *attend)
{
	(void)read_lines(container_of(attend, struct talk, attend));
}

/* What it has written before it ended. */
static void read_rest(struct talk *talk)
{
	/* Somebody who still writes must not keep us here. */
	for (size_t i = 0; i < REST_READS && talk->stage == STAGE_OPEN; i++) {
		if (talk->coprocess->program.out.fd < 0 || !read_lines(talk))
			break;
	}
}

/* What its pipes tell. Who ends closes them first, so for a while it may be that. */
static void look_at_pipes(struct talk *talk)
{
	const struct program *program = &talk->coprocess->program;

	if (program->out.fd >= 0 && program->in_fd >= 0)
		return;
	if (program->in_fd < 0 && talk->attend.fed_bytes == 0 && talk->coprocess->n_tasks > 0) {
		set_stage(talk, STAGE_UNREAD);
		return;
	}
	uint64_t now_us = clock_now_us();
	if (talk->gone_at_us == 0)
		talk->attend.due_us = talk->gone_at_us = now_us + GONE_US;
	if (now_us >= talk->gone_at_us)
		go_wrong(talk, "protocol", "the program closed its standard %s",
			program->out.fd < 0 ? "output" : "input");
}

/* Until it has answered, gone wrong or ended. -errno: of poll(2). */
static int converse(struct talk *talk)
{
	struct attend *attend = &talk->attend;
	int r = 0;

	while (r == 0 && talk->stage == STAGE_OPEN) {
		if (attend->kill_at_us > 0)
			attend->due_us = UINT64_MAX;
		else
			look_at_pipes(talk);
		if (talk->stage != STAGE_OPEN)
			break;
		if (program_has_ended(attend->program)) {
			read_rest(talk);
			break;
		}
		r = attend_turn(attend);
	}
	return r;
}

/*
 * The answer may be there before the word of the start, which is on its way then. Only after that a closed pipe is one that
 * the program has closed, and so a death that is known before the next task.
 */
static int wait_for_start(struct talk *talk)
{
	int r = 0;

	while (r == 0 && program_look(talk->attend.program).state == CHILD_STARTING)
		r = attend_turn(&talk->attend);
	return r;
}

/* What comes of it. */

static void set_answer(struct talk *talk, struct result *result)
{
	const struct coproc_line *answer = &talk->answer;
	struct buf json;

	if (answer->type == COPROC_ERROR) {
		exec_report_failure(
			&talk->coprocess->program.err, "failed", answer->error.data, result);
		return;
	}
	buf_init(&json, SIZE_MAX / 4);
	if (buf_append(&json, answer->result.data, answer->result.len) == 0)
		result_ok_buf(result, &json);
	else
		result_fail(result, "failed", "the result: %s", strerror(ENOMEM));
	buf_done(&json);
}

/* Somebody is told what it wrote to standard error. Else what is still in that pipe is the keeper's to drop. */
static bool tells_err(const struct talk *talk)
{
	return talk->stage != STAGE_ANSWERED || talk->answer.type == COPROC_ERROR ||
	       task_is_followed(talk->attend.task);
}

static void set_result(struct talk *talk, int r, struct result *result)
{
	const struct capture *err = &talk->coprocess->program.err;
	struct child child = program_look(&talk->coprocess->program);

	if (talk->stage == STAGE_ANSWERED)
		set_answer(talk, result);
	else if (talk->stage == STAGE_WRONG)
		exec_report_failure(err, talk->reason, talk->why, result);
	else if (r < 0)
		result_fail(result, "failed", "waiting for the program: %s", strerror(-r));
	else
		exec_report_set(&child, NULL, err, talk->attend.kill_at_us > 0, result);
}

/* Of a program that has answered: what it did beside that; NULL: nothing. */
static const char *find_fault(const struct talk *talk)
{
	if (buf_len(&talk->coprocess->lines) > 0)
		return "wrote more than its answer";
	if (!attend_is_fed(&talk->attend))
		return "answered before it had read its task";
	return NULL;
}

static bool is_worn(const struct coprocess *coprocess)
{
	const struct exec_config *config = coprocess->offer->config;

	if (config->recycle_tasks > 0 && coprocess->n_tasks >= config->recycle_tasks)
		return true;
	return config->recycle_rss_bytes > 0 &&
	       program_rss_bytes(&coprocess->program) > config->recycle_rss_bytes;
}

/* The program is kept for the next task, or goes. */
static void let_go(struct talk *talk)
{
	struct coprocess *coprocess = talk->coprocess;
	struct keeper *keeper = coprocess->offer->registry->keeper;
	const struct program *program = &coprocess->program;
	const char *fault = talk->stage == STAGE_ANSWERED ? find_fault(talk) : NULL;

	coproc_done(&talk->answer);
	coprocess->n_tasks++;
	if (fault)
		log_warning("coprocess_replaced",
			"handler \"%s\", worker %" PRIu32
			": its program (pid %d) %s: it is replaced",
			coprocess->offer->name, coprocess->worker, (int)program_look(program).pid,
			fault);
	if (fault || talk->stage != STAGE_ANSWERED)
		keeper_retire(keeper, coprocess, RETIRE_NOW);
	else if (program->out.fd < 0 || is_worn(coprocess))
		keeper_retire(keeper, coprocess, RETIRE_KINDLY);
	else
		keeper_put(keeper, coprocess);
}

/* Runs the task in this program. false: nothing of it was read, and no result is set. */
static bool run_in(
	struct coprocess *coprocess, struct work *task, struct view head, struct result *result)
{
	struct view args = task_args(task);
	struct talk talk = {.coprocess = coprocess};

	capture_reset(&coprocess->program.err);
	attend_init(&talk.attend, task, &coprocess->program);
	talk.attend.on_out = on_out;
	talk.attend.feed[0] = head;
	talk.attend.feed[1] = args.len > 0 ? args : VIEW_LIT("{}");
	talk.attend.feed[2] = VIEW_LIT(COPROC_TASK_END);
	attend_feed(&talk.attend);
	attend_begin(&talk.attend);
	int r = converse(&talk);
	if (r == 0)
		r = wait_for_start(&talk);
	if (tells_err(&talk))
		capture_catch_up(&coprocess->program.err);
	attend_end(&talk.attend);
	bool is_run = talk.stage != STAGE_UNREAD;
	if (is_run)
		set_result(&talk, r, result);
	let_go(&talk);
	return is_run;
}

static int start(struct coprocess *coprocess, char ret_why[SETTING_WHY_SIZE])
{
	const struct exec_config *config = coprocess->offer->config;
	struct words env;

	int r = program_open(&coprocess->program, config, ret_why);
	if (r < 0)
		return r;
	r = exec_config_kept_words(coprocess->worker, coprocess->number, &env);
	if (r == 0) {
		coprocess->program.child.hears_start = true;
		r = program_start(&coprocess->program, config, &env);
		exec_config_free_words(&env);
	}
	if (r < 0)
		(void)snprintf(ret_why, SETTING_WHY_SIZE, "%s", strerror(-r));
	return r;
}

/* A program that waits for a task, or a new one; -errno and why: none could be started. */
static int find_program(
	struct work *task, struct coprocess **ret_coprocess, char ret_why[SETTING_WHY_SIZE])
{
	const struct offer *offer = task_offer(task);
	struct keeper *keeper = offer->registry->keeper;

	struct coprocess *coprocess = keeper_take(keeper, offer, task_worker(task));
	if (coprocess) {
		*ret_coprocess = coprocess;
		return 0;
	}
	(void)snprintf(ret_why, SETTING_WHY_SIZE, "%s", strerror(ENOMEM));
	coprocess = keeper_new(keeper, offer, task_worker(task));
	if (!coprocess)
		return -ENOMEM;
	int r = start(coprocess, ret_why);
	if (r < 0)
		keeper_retire(keeper, coprocess, RETIRE_NOW);
	else
		*ret_coprocess = coprocess;
	return r;
}

static void coprocess_run(struct work *task, struct result *result)
{
	struct coproc_task about = {
		.id = task_id(task),
		.handler = view_of(task_offer(task)->name),
		.worker = task_worker(task),
		.attempt = task_attempt(task),
		.deadline_wall_us = task_deadline_wall_us(task),
	};
	struct coprocess *coprocess = NULL;
	char why[SETTING_WHY_SIZE];
	struct buf head;
	bool is_run;

	buf_init(&head, HEAD_BYTES);
	int r = coproc_write_task(&about, &head);
	if (r < 0)
		(void)snprintf(why, sizeof(why), "%s", strerror(-r));
	do {
		if (r == 0)
			r = find_program(task, &coprocess, why);
		if (r < 0)
			result_fail(result, "start", "the program cannot be started: %s", why);
		is_run = r < 0 || run_in(coprocess, task, buf_view(&head), result);
	} while (!is_run); /* a new program cannot have been closed before */
	buf_done(&head);
}

static int coprocess_start(struct offer *offer, char ret_why[SETTING_WHY_SIZE])
{
	int r = exec_config_start(offer, ret_why);

	if (r < 0 || offer->registry->keeper)
		return r;
	r = keeper_open(&offer->registry->keeper);
	if (r < 0) {
		exec_config_stop(offer);
		(void)snprintf(
			ret_why, SETTING_WHY_SIZE, "its programs cannot be kept: %s", strerror(-r));
	}
	return r;
}

const struct handler handler_coprocess = {
	.name = "coprocess",
	.text = "runs tasks in a program that is kept",
	.settings = exec_config_settings,
	.n_settings = EXEC_CONFIG_SETTINGS,
	.config_bytes = sizeof(struct exec_config),
	.defaults = &exec_config_defaults,
	.start = coprocess_start,
	.stop = exec_config_stop,
	.run = coprocess_run,
	.cancel = attend_wake,
	.follow = attend_wake,
};
