/*
 * tune_load: see tune_load.h.
 * A task's time goes from its start to when the daemon knew its end, without the queue: how long a task waits behind our own says
 * nothing about the pool, and what more workers cost those that run is what a limit of p99 is for.
 * A window counts tasks that were posted after the pool had its new size; so what was under way before is in none.
 */
#include "client/tune_load.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "client/fault.h"
#include "client/json.h"
#include "client/spread.h"
#include "client/text.h"
#include "client/wait.h"

#define QUEUE_LEAST 8   /* tasks behind those that run; as many as workers, and at least so many */
#define ENDS_LEAST  2   /* a worker: else a window that ends by time sees bursts only */
#define FAILED_PART 20  /* one in so many is too many … */
#define FAILED_OF   100 /* … of so many at least */
#define FULL_US     (10 * US_PER_MS) /* somebody else fills the queue */
#define PROGRESS_US (200 * US_PER_MS)

/* What the latest task that failed says, after `text`; nothing if that cannot be known. */
static void append_why(const struct tune_load *tune_load, struct buf *text)
{
	struct link *link = tune_load->sizing->link;
	auto_reply struct link_reply reply = {0};

	if (link_put(link, "Show", json_pack("{s:s}", "id", tune_load->failed_id), 0) ||
		link_receive(link, link_answer_until(link), &reply))
		return;
	const char *error = print_text(reply.params, "task.error");
	if (*error)
		IGNORE(buf_printf(text, ": %s", error)); /* then it is not told */
}

/* At the first 5 %: what makes tasks fail is not to be measured but to be stopped. */
static int judge_failures(const struct tune_load *tune_load)
{
	uint64_t of = tune_load->n_ended > FAILED_OF ? tune_load->n_ended : FAILED_OF;
	uint32_t workers = tune_load->window->workers;
	struct buf why;

	if (tune_load->n_failed * FAILED_PART < of)
		return 0;
	buf_init(&why, TEXT_LIMIT);
	append_why(tune_load, &why);
	int code = fault_say(CODE_TASK,
		"tune: stopped: %ju of %ju tasks failed with %u worker%s; task %s%.*s",
		(uintmax_t)tune_load->n_failed, (uintmax_t)tune_load->n_ended, workers,
		workers == 1 ? "" : "s", tune_load->failed_id, (int)buf_len(&why),
		buf_len(&why) > 0 ? buf_view(&why).data : "");
	buf_done(&why);
	return code;
}

static void keep_end(struct tune_load *tune_load, const struct load_end *end)
{
	uint64_t run_us = end->ended_us - (end->started_us > 0 ? end->started_us : end->posted_us);

	if (tune_load->n_ends == tune_load->n_room)
		return;
	size_t n = tune_load->n_ends++;
	/* In order, also when the calendar is set back meanwhile. */
	tune_load->ends_us[n] = n > 0 && end->ended_us < tune_load->ends_us[n - 1]
					? tune_load->ends_us[n - 1]
					: end->ended_us;
	tune_load->runs_us[n] = (int64_t)run_us;
}

static int on_end(void *arg, const struct load_end *end)
{
	struct tune_load *tune_load = arg;

	if (end->is_refused) {
		tune_load->post_from_us = wait_deadline(FULL_US);
		return 0;
	}
	tune_load->n_all++;
	if (end->mark != tune_load->n_windows)
		return 0;
	tune_load->n_ended++;
	if (tune_load->n_settled < tune_load->window->settle_tasks)
		tune_load->n_settled++;
	else
		keep_end(tune_load, end);
	if (end->is_done)
		return 0;
	tune_load->n_failed++;
	(void)snprintf(tune_load->failed_id, sizeof(tune_load->failed_id), "%s", end->id);
	return judge_failures(tune_load);
}

int tune_load_init(struct tune_load *tune_load, struct sizing *sizing, struct print *print,
	struct load_options options, uint64_t burst)
{
	*tune_load = (struct tune_load){
		.sizing = sizing, .print = print, .burst = burst, .start_us = clock_now_us()};
	options.on_end = on_end;
	options.arg = tune_load;
	return load_init(&tune_load->load, &options);
}

void tune_load_done(struct tune_load *tune_load)
{
	load_done(&tune_load->load);
	free(tune_load->ends_us);
	free(tune_load->runs_us);
	*tune_load = (struct tune_load){0};
}

static int make_room(struct tune_load *tune_load, size_t n)
{
	if (n <= tune_load->n_room)
		return 0;
	uint64_t *ends_us = reallocarray(tune_load->ends_us, n, sizeof(*ends_us));
	if (ends_us)
		tune_load->ends_us = ends_us;
	int64_t *runs_us = reallocarray(tune_load->runs_us, n, sizeof(*runs_us));
	if (runs_us)
		tune_load->runs_us = runs_us;
	if (!ends_us || !runs_us)
		return fault_no_memory();
	tune_load->n_room = n;
	return 0;
}

static uint64_t queue_of(const struct tune_load *tune_load, uint32_t workers)
{
	if (tune_load->burst > 0)
		return tune_load->burst;
	return workers > QUEUE_LEAST ? workers : QUEUE_LEAST;
}

static void show_progress(struct tune_load *tune_load)
{
	if (print_progress_is_due(tune_load->print))
		print_progress(tune_load->print,
			"tune: %u workers: %zu of %ju tasks (%ju since the start, %ju s)",
			tune_load->window->workers, tune_load->n_ends,
			(uintmax_t)tune_load->window->tasks, (uintmax_t)tune_load->n_all,
			(uintmax_t)((clock_now_us() - tune_load->start_us) / US_PER_SEC));
}

static int turn(struct tune_load *tune_load, uint64_t until_us)
{
	uint64_t show_us =
		tune_load->print->has_progress ? wait_deadline(PROGRESS_US) : WAIT_FOREVER;

	show_progress(tune_load);
	return load_turn(&tune_load->load, until_us < show_us ? until_us : show_us);
}

/* Posts until `n` are under way, or until it has posted `most`. */
static int post_up_to(struct tune_load *tune_load, uint64_t n, uint64_t *most)
{
	uint64_t now_us = clock_now_us();
	int code = 0;

	while (code == 0 && now_us >= tune_load->post_from_us && *most > 0 &&
		tune_load->load.n_under_way < n) {
		code = load_post(&tune_load->load, now_us, tune_load->n_windows);
		--*most;
	}
	return code;
}

static bool is_over(const struct tune_load *tune_load)
{
	const struct tune_window *window = tune_load->window;
	size_t n = tune_load->n_ends;

	if (n >= window->tasks)
		return true;
	return window->window_us > 0 && n >= (size_t)ENDS_LEAST * window->workers &&
	       n >= QUEUE_LEAST &&
	       tune_load->ends_us[n - 1] - tune_load->ends_us[0] >= window->window_us;
}

static int measure_steady(struct tune_load *tune_load)
{
	const struct tune_window *window = tune_load->window;
	uint64_t under_way = window->workers + queue_of(tune_load, window->workers);
	uint64_t endless = UINT64_MAX;
	int code = 0;

	while (code == 0 && !is_over(tune_load)) {
		code = post_up_to(tune_load, under_way, &endless);
		if (code == 0)
			code = turn(tune_load, tune_load->load.n_under_way < under_way
						       ? tune_load->post_from_us
						       : WAIT_FOREVER);
	}
	return code;
}

/* All at once, after everything before has ended; a refused post is one too few, and the queue has room for all. */
static int measure_burst(struct tune_load *tune_load)
{
	uint64_t left = tune_load->burst;
	int code = post_up_to(tune_load, UINT64_MAX, &left);

	while (code == 0 && tune_load->load.n_under_way > 0)
		code = turn(tune_load, WAIT_FOREVER);
	return code;
}

static double cv2_of(const int64_t *values, size_t n)
{
	double sum = 0, squares = 0;

	for (size_t i = 0; i < n; i++) {
		sum += (double)values[i];
		squares += (double)values[i] * (double)values[i];
	}
	double mean = n > 0 ? sum / (double)n : 0;
	double variance = n > 0 ? squares / (double)n - mean * mean : 0;
	return mean > 0 && variance > 0 ? variance / (mean * mean) : 0;
}

static double per_s_of(const struct tune_load *tune_load, uint64_t posted_us)
{
	size_t n = tune_load->n_ends;
	uint64_t last_us = posted_us;

	if (tune_load->burst == 0)
		return n > 0 ? tune_rate(tune_load->ends_us, n) : 0;
	for (size_t i = 0; i < n; i++)
		last_us = tune_load->ends_us[i] > last_us ? tune_load->ends_us[i] : last_us;
	return last_us > posted_us ? (double)n * 1e6 / (double)(last_us - posted_us) : 0;
}

int tune_load_measure(void *arg, const struct tune_window *window, struct tune_sample *ret_sample)
{
	struct tune_load *tune_load = arg;
	const struct sizing *sizing = tune_load->sizing;

	tune_load->window = window;
	tune_load->n_windows++;
	tune_load->n_settled = tune_load->n_ended = tune_load->n_failed = 0;
	tune_load->n_ends = 0;
	tune_load->post_from_us = 0;
	/* What we queue takes nobody's room. */
	int code = sizing_set(tune_load->sizing, window->workers,
		sizing->capacity + (int64_t)queue_of(tune_load, window->workers));
	if (code == 0)
		code = make_room(tune_load, window->tasks);
	uint64_t posted_us = clock_now_us();
	if (code == 0)
		code = tune_load->burst > 0 ? measure_burst(tune_load) : measure_steady(tune_load);
	if (code)
		return code;
	*ret_sample = (struct tune_sample){
		.per_s = per_s_of(tune_load, posted_us),
		.cv2 = cv2_of(tune_load->runs_us, tune_load->n_ends),
		.n = tune_load->n_ends,
		.n_failed = tune_load->n_failed,
	};
	struct spread spread = spread_of(tune_load->runs_us, tune_load->n_ends);
	ret_sample->p50_us = spread.p50;
	ret_sample->p99_us = spread.p99;
	return 0;
}

uint64_t tune_load_elapsed_us(void *arg)
{
	const struct tune_load *tune_load = arg;

	return clock_now_us() - tune_load->start_us;
}
