/*
 * bench: posts as fast as the daemon answers, then waits for every single task. Called by verb_bench.c.
 * The end of the last task is what the task itself says, so that neither the reading of the replies nor the asking
 * for tasks that ended long ago counts.
 */
#include "client/bench.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "client/fault.h"
#include "client/json.h"
#include "client/print.h"
#include "client/sizing.h"
#include "client/wait.h"

#define WINDOW   256  /* posts of one connection without an answer */
#define WAIT_MAX 1000 /* ids in one Wait */

struct bench_poster {
	struct link link;
	uint64_t quota; /* posts of this run */
	uint64_t sent;
	uint64_t answered;
};

int bench_init(struct bench *bench, struct link *control, struct print *print, json_t *post,
	uint64_t n, size_t n_posters, const char *socket, uint64_t timeout_us)
{
	*bench = (struct bench){
		.control = control,
		.print = print,
		.post = post,
		.pool = json_string_value(json_object_get(post, "pool")),
		.n = n,
		.posters = calloc(n_posters, sizeof(*bench->posters)),
		.ids = calloc(n, sizeof(*bench->ids)),
	};
	if (!post || !bench->posters || !bench->ids)
		return fault_no_memory();
	for (; bench->n_posters < n_posters; bench->n_posters++) {
		int code = link_init(&bench->posters[bench->n_posters].link, socket, timeout_us);
		if (code)
			return code;
	}
	return 0;
}

static void forget_ids(struct bench *bench)
{
	for (size_t i = 0; i < bench->n_ids; i++)
		free(bench->ids[i]);
	bench->n_ids = 0;
}

void bench_done(struct bench *bench)
{
	for (size_t i = 0; i < bench->n_posters; i++)
		link_done(&bench->posters[i].link);
	forget_ids(bench);
	free(bench->posters);
	free(bench->ids);
	json_decref(bench->post);
	*bench = (struct bench){0};
}

static void show_progress(struct bench *bench, const struct bench_run *run)
{
	if (print_progress_is_due(bench->print))
		print_progress(bench->print, "bench: %zu of %ju posted, %ju ended, %ju refused",
			bench->n_ids, (uintmax_t)bench->n,
			(uintmax_t)(run->n_done + run->n_failed + run->n_unseen),
			(uintmax_t)run->n_refused);
}

/* A full queue is a result; every other error will meet all posts. */
static int take_answer(struct bench *bench, const struct link_reply *reply, struct bench_run *run)
{
	if (reply->error && fault_code(reply->error) == CODE_AGAIN) {
		run->n_refused++;
		return 0;
	}
	if (reply->error)
		return fault_report(reply->error, reply->params);
	char *id = strdup(print_text(reply->params, "id"));
	if (!id)
		return fault_no_memory();
	bench->ids[bench->n_ids++] = id;
	return 0;
}

/* What this connection can send and has received. */
static int serve_poster(struct bench *bench, struct bench_poster *poster, struct bench_run *run)
{
	int code = 0;

	while (code == 0 && poster->answered < poster->sent) {
		auto_reply struct link_reply reply = {0};
		int r = link_take(&poster->link, &reply);
		if (r == -EAGAIN)
			break;
		code = r < 0 ? link_fail(&poster->link, r) : take_answer(bench, &reply, run);
		poster->answered++;
	}
	while (code == 0 && poster->sent < poster->quota &&
		poster->sent - poster->answered < WINDOW) {
		code = link_put(&poster->link, "Post", json_incref(bench->post), 0);
		poster->sent++;
	}
	return code;
}

static int serve_all(struct bench *bench, struct bench_run *run, bool *ret_answered)
{
	bool is_answered = true;

	for (size_t i = 0; i < bench->n_posters; i++) {
		struct bench_poster *poster = &bench->posters[i];
		int code = serve_poster(bench, poster, run);
		if (code)
			return code;
		is_answered = is_answered && poster->answered == poster->quota;
	}
	*ret_answered = is_answered;
	return 0;
}

static int post_all(struct bench *bench, struct bench_run *run)
{
	struct link *links[LINK_TURN_MAX];
	bool is_answered = false;

	for (size_t i = 0; i < bench->n_posters; i++) {
		struct bench_poster *poster = &bench->posters[i];
		links[i] = &poster->link;
		poster->sent = poster->answered = 0;
		poster->quota = bench->n / bench->n_posters + (i < bench->n % bench->n_posters);
	}
	int code = serve_all(bench, run, &is_answered);
	while (code == 0 && !is_answered) {
		uint64_t until_us = link_answer_until(links[0]);
		int r = link_turn(links, bench->n_posters, -1, until_us, NULL);
		/* Woken by the clock and not by an answer. */
		if (r == 0 && clock_now_us() >= until_us)
			r = -ETIMEDOUT;
		code = r < 0 ? link_fail(links[0], r) : serve_all(bench, run, &is_answered);
		show_progress(bench, run);
	}
	return code;
}

static void note_end(struct bench *bench, const json_t *task, struct bench_run *run)
{
	double ended_at = json_number_value(json_object_get(task, "ended_at"));

	if (strcmp(print_text(task, "state"), "done") == 0)
		run->n_done++;
	else
		run->n_failed++;
	if (ended_at > bench->last_ended_at)
		bench->last_ended_at = ended_at;
}

static int put_wait(struct link *link, char **ids, size_t n)
{
	auto_json json_t *array = json_array();

	for (size_t i = 0; array && i < n; i++) {
		if (json_array_append_new(array, json_string(ids[i])) < 0)
			return fault_no_memory();
	}
	return link_put(link, "Wait", json_pack("{s:O}", "ids", array), WORKPOOL_MORE);
}

/* A portion that is known to hold a forgotten task: one call for each, all at once. */
static int wait_each(struct bench *bench, char **ids, size_t n, struct bench_run *run)
{
	int code = 0;

	for (size_t i = 0; code == 0 && i < n; i++)
		code = link_put(bench->control, "Wait", json_pack("{s:[s]}", "ids", ids[i]), 0);
	for (size_t i = 0; code == 0 && i < n; i++) {
		auto_reply struct link_reply reply = {0};
		code = link_receive(bench->control, WAIT_FOREVER, &reply);
		if (code)
			break;
		/* The daemon never forgets a task that has not ended. */
		if (reply.error && fault_code(reply.error) == CODE_ABSENT)
			run->n_unseen++;
		else if (reply.error)
			code = fault_report(reply.error, reply.params);
		else
			note_end(bench, json_array_get(json_object_get(reply.params, "tasks"), 0),
				run);
	}
	return code;
}

/* One call for all of them; it is refused as a whole if one is forgotten. */
static int wait_some(struct bench *bench, char **ids, size_t n, struct bench_run *run)
{
	bool continues = true;
	int code = put_wait(bench->control, ids, n);

	while (code == 0 && continues) {
		auto_reply struct link_reply reply = {0};
		code = link_receive(bench->control, WAIT_FOREVER, &reply);
		if (code)
			break;
		if (reply.error && fault_code(reply.error) == CODE_ABSENT)
			return wait_each(bench, ids, n, run);
		if (reply.error)
			return fault_report(reply.error, reply.params);
		continues = reply.continues;
		note_end(bench, json_object_get(reply.params, "task"), run);
		show_progress(bench, run);
	}
	return code;
}

static int wait_all(struct bench *bench, struct bench_run *run)
{
	int code = 0;

	for (size_t i = 0; code == 0 && i < bench->n_ids; i += WAIT_MAX) {
		size_t n = bench->n_ids - i < WAIT_MAX ? bench->n_ids - i : WAIT_MAX;
		code = wait_some(bench, bench->ids + i, n, run);
	}
	return code;
}

static uint64_t count_failed(const json_t *pool)
{
	return (uint64_t)(print_int(pool, "failed") + print_int(pool, "cancelled") +
			  print_int(pool, "expired") + print_int(pool, "lost"));
}

/* Both are times of this computer's calendar clock; if that was set meanwhile, ours counts. */
static double duration(const struct bench *bench, double started_at, double elapsed)
{
	double seconds = bench->last_ended_at - started_at;

	return seconds > 0 && seconds < elapsed ? seconds : elapsed;
}

/* Marks and times after the run; tasks that nobody saw end have failed if the pool's counters say so. */
static int read_marks(struct bench *bench, uint64_t failed_before, struct bench_run *run)
{
	auto_reply struct link_reply reply = {0};
	const json_t *pool;

	int code = sizing_ask(bench->control, bench->pool, &reply, &pool);
	if (code)
		return code;
	uint64_t n_failed = count_failed(pool) - failed_before;
	uint64_t n_hidden = n_failed > run->n_failed ? n_failed - run->n_failed : 0;
	run->n_failed += n_hidden < run->n_unseen ? n_hidden : run->n_unseen;
	run->workers = print_int(pool, "workers");
	run->max_active = print_int(pool, "max_active");
	run->max_queued = print_int(pool, "max_queued");
	run->total_us = (struct spread){.p50 = print_int(pool, "total_us.p50"),
		.p90 = print_int(pool, "total_us.p90"),
		.p99 = print_int(pool, "total_us.p99"),
		.max = print_int(pool, "total_us.max")};
	return 0;
}

static int prepare(struct bench *bench, uint64_t *ret_failed)
{
	auto_reply struct link_reply stats = {0};
	auto_reply struct link_reply reset = {0};
	const json_t *pool;
	int code = 0;

	forget_ids(bench);
	bench->last_ended_at = 0;
	for (size_t i = 0; code == 0 && i < bench->n_posters; i++)
		code = link_open(&bench->posters[i].link);
	if (code == 0 && bench->may_reset)
		code = link_call(bench->control, "ResetMarks",
			json_pack("{s:s}", "pool", bench->pool), &reset);
	if (code == 0)
		code = sizing_ask(bench->control, bench->pool, &stats, &pool);
	if (code == 0)
		*ret_failed = count_failed(pool);
	return code;
}

int bench_run(struct bench *bench, struct bench_run *ret_run)
{
	struct bench_run run = {0};
	uint64_t failed_before = 0;

	int code = prepare(bench, &failed_before);
	double started_at = (double)clock_wall_us() / (double)US_PER_SEC;
	uint64_t start_us = clock_now_us();
	if (code == 0)
		code = post_all(bench, &run);
	if (code == 0)
		code = wait_all(bench, &run);
	uint64_t elapsed_us = clock_now_us() - start_us;
	print_progress_end(bench->print);
	if (code == 0)
		code = read_marks(bench, failed_before, &run);
	if (code)
		return code;
	run.seconds = duration(bench, started_at, (double)elapsed_us / (double)US_PER_SEC);
	*ret_run = run;
	return 0;
}
