/*
 * verb_tune: the least number of workers that gives the best result, found by measuring a pool with its own work (tune.h).
 * Invariant: workers and capacity of the pool are put back on every way out, signals included: signals are held while it runs
 * (wait.h), and sizing_restore() comes before everything else then.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "client/fault.h"
#include "client/input.h"
#include "client/json.h"
#include "client/sizing.h"
#include "client/text.h"
#include "client/tune.h"
#include "client/tune_load.h"
#include "client/tune_print.h"
#include "client/tune_svg.h"
#include "client/verb.h"
#include "client/wait.h"

#define MAX_DEFAULT   64
#define TASKS_DEFAULT 400 /* in a window */
#define WINDOW_US     (2 * US_PER_SEC)
#define TOLERANCE_DEFAULT                                                                          \
	20000 /* millionths: means that lie that far apart can be told apart in a few minutes */
#define BUDGET_DEFAULT (300 * US_PER_SEC)
#define ROUNDS         6
#define ROUNDS_BURST   10
#define SIZES_ABOUT    10               /* of a fine search, for what is told before */
#define PATIENCE_US    (5 * US_PER_SEC) /* until what is left at the end is cancelled */
#define ARGS_SHOWN     200              /* characters */

struct tuning {
	struct ctl *ctl; /* borrows: outlives the verb */
	const char *handler;
	struct sizing sizing;
	struct tune_options options;
	struct tune *tune; /* owns */
	struct tune_load load;
	json_t *args; /* owns; NULL: none */
	int plot_fd;
	bool is_loaded;  /* load has to be ended */
	bool is_applied; /* the pool keeps the number that was found */
};

static uint64_t given_or(uint64_t value, uint64_t otherwise)
{
	return value == OPT_NOT_GIVEN ? otherwise : value;
}

static void read_options(struct tuning *tuning)
{
	const struct opts *opts = &tuning->ctl->opts;
	bool is_burst = opts->burst != OPT_NOT_GIVEN;

	tuning->options = (struct tune_options){
		.workers_max = (uint32_t)given_or(opts->workers_max, MAX_DEFAULT),
		.tasks = is_burst ? opts->burst : given_or(opts->count, TASKS_DEFAULT),
		.is_burst = is_burst,
		.window_us = WINDOW_US,
		.p99_us = (int64_t)given_or(opts->p99_us, 0),
		.tolerance = (double)given_or(opts->tolerance, TOLERANCE_DEFAULT) / 1e6,
		.rounds = is_burst ? ROUNDS_BURST : ROUNDS,
		.budget_us = given_or(opts->budget_us, BUDGET_DEFAULT),
	};
}

/* Before the load: that it cannot be written is not to be known after minutes. Nothing is lost if it comes to nothing. */
static int open_plot(struct tuning *tuning, const char *path)
{
	if (!path)
		return 0;
	tuning->plot_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	return tuning->plot_fd < 0 ? fault_say(CODE_USAGE, "--plot: %s: %s", path, strerror(errno))
				   : 0;
}

static uint64_t tasks_about(const struct tune_options *options)
{
	double doublings = floor(log2(options->workers_max)) + 1;
	double windows = options->is_burst ? doublings * options->rounds
					   : 2 * doublings + SIZES_ABOUT * options->rounds;

	return (uint64_t)(windows * (double)options->tasks);
}

static int say_plan(const struct tuning *tuning, const json_t *handler)
{
	const struct sizing *sizing = &tuning->sizing;
	auto_free char *args = tuning->args ? json_dumps(tuning->args, JSON_COMPACT) : NULL;

	if (tuning->args && !args)
		return fault_no_memory();
	(void)fault_say(0,
		"tune: posts about %ju tasks to pool \"%s\", all of handler \"%s\" (%s) %s%.*s%s",
		(uintmax_t)tasks_about(&tuning->options), sizing->pool, tuning->handler,
		print_text(handler, "type"), args ? "with " : "without arguments", ARGS_SHOWN,
		args ? args : "", args && strlen(args) > ARGS_SHOWN ? "…" : "");
	(void)fault_say(0,
		"tune: the pool has from 1 to %u workers meanwhile, and then %jd again; other "
		"tasks in it "
		"go on",
		tuning->options.workers_max, (intmax_t)sizing->workers);
	return 0;
}

static int ask(const struct tuning *tuning)
{
	char answer[16];

	if (tuning->ctl->opts.is_yes)
		return 0;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return fault_say(
			CODE_USAGE, "tune: nobody can be asked here: --yes says that it may");
	(void)fputs("Go on? [y/N] ", stderr);
	(void)fflush(stderr);
	if (fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y'))
		return 0;
	return fault_say(CODE_INTERRUPTED, "tune: nothing was sent");
}

static int look(struct tuning *tuning)
{
	struct ctl *ctl = tuning->ctl;
	auto_reply struct link_reply reply = {0};
	const json_t *handler;

	int code = sizing_find_handler(&ctl->link, tuning->handler, &reply, &handler);
	if (code == 0)
		code = sizing_init(&tuning->sizing, &ctl->link, "tune", ctl->names[0]);
	if (code == 0 && !tuning->sizing.is_admin)
		code = fault_report("org.varlink.service.PermissionDenied", NULL);
	if (code == 0 && (!ctl->opts.is_yes || !ctl->opts.is_quiet))
		code = say_plan(tuning, handler);
	return code ? code : ask(tuning);
}

static int prepare(struct tuning *tuning)
{
	const struct opts *opts = &tuning->ctl->opts;
	int code = 0;

	read_options(tuning);
	if (!tuning->handler)
		return fault_say(CODE_USAGE, "tune: --handler says what is posted");
	if (opts->args)
		code = input_read_object(opts->args, "--args", &tuning->args);
	if (code == 0)
		code = look(tuning);
	if (code == 0)
		code = open_plot(tuning, opts->plot);
	return code;
}

static int measure(struct tuning *tuning)
{
	struct ctl *ctl = tuning->ctl;
	const struct opts *opts = &ctl->opts;
	struct load_options options = {
		.verb = "tune",
		.socket = opts->socket,
		.timeout_us = opts->timeout_us,
		.handler = tuning->handler,
		.pool = tuning->sizing.pool,
		.args = tuning->args,
		.n_posters = 1,
		.tries_once = true,
	};

	tuning->tune = malloc(sizeof(*tuning->tune));
	if (!tuning->tune)
		return fault_no_memory();
	tune_init(tuning->tune, &tuning->options, (uint32_t)tuning->sizing.workers);
	wait_set_mode(WAIT_HOLD);
	tuning->is_loaded = true;
	int code = tune_load_init(&tuning->load, &tuning->sizing, &ctl->print, options,
		tuning->options.is_burst ? tuning->options.tasks : 0);
	return code ? code
		    : tune_run(
			      tuning->tune, tune_load_measure, tune_load_elapsed_us, &tuning->load);
}

/* The number that was found takes the place of the one that was there. */
static int put_back(struct tuning *tuning, bool is_whole)
{
	wait_set_mode(WAIT_SHIELD);
	print_progress_end(&tuning->ctl->print);
	tuning->is_applied =
		is_whole && tuning->ctl->opts.is_applied && tune_is_found(tuning->tune);
	if (tuning->is_applied)
		tuning->sizing.workers = tuning->tune->points[tuning->tune->chosen].workers;
	int code = sizing_restore(&tuning->sizing);
	if (tuning->is_loaded && code == 0)
		load_clear(&tuning->load.load, &tuning->ctl->link, is_whole ? PATIENCE_US : 0);
	if (tuning->is_loaded)
		tune_load_done(&tuning->load);
	return code;
}

static int show_json(struct tuning *tuning, int64_t workers_before)
{
	auto_json json_t *json = json_pack("{s:s, s:s, s:I, s:b}", "pool", tuning->sizing.pool,
		"handler", tuning->handler, "workers_before", (json_int_t)workers_before, "applied",
		tuning->is_applied);
	auto_json json_t *found = tune_print_to_json(tuning->tune);

	if (!json || !found || json_object_update(json, found) < 0)
		return fault_no_memory();
	return print_json(&tuning->ctl->print, json);
}

static int show_table(struct tuning *tuning)
{
	const struct print *print = &tuning->ctl->print;
	struct buf out;

	buf_init(&out, TEXT_LIMIT);
	int r = tune_print_table(&out, tuning->tune, print->is_terminal, print->has_legend);
	if (r == 0)
		r = buf_append(&out, "\n", 1);
	if (r == 0)
		r = tune_print_sentence(&out, tuning->tune);
	if (r == 0)
		r = buf_append(&out, "\n", 1);
	if (r == 0)
		(void)fwrite(buf_view(&out).data, 1, buf_len(&out), stdout);
	buf_done(&out);
	return r < 0 ? fault_no_memory() : 0;
}

static int write_plot(struct tuning *tuning)
{
	const char *path = tuning->ctl->opts.plot;
	struct buf out, title;

	if (tuning->plot_fd < 0)
		return 0;
	buf_init(&out, TEXT_LIMIT);
	buf_init(&title, TEXT_LIMIT);
	int r = buf_printf(&title, "%s in pool %s: ", tuning->handler, tuning->sizing.pool);
	if (r == 0)
		r = tune_print_sentence(&title, tuning->tune);
	if (r == 0)
		r = buf_append(&title, "", 1);
	if (r == 0)
		r = tune_svg_append(&out, tuning->tune, buf_view(&title).data);
	if (r == 0 && ftruncate(tuning->plot_fd, 0) < 0 &&
		errno != EINVAL) /* EINVAL: no file, a pipe */
		r = -errno;
	if (r == 0)
		r = fd_write_all(tuning->plot_fd, buf_view(&out).data, buf_len(&out));
	buf_done(&title);
	buf_done(&out);
	return r < 0 ? fault_say(CODE_TASK, "--plot: %s: %s", path, strerror(-r)) : 0;
}

static int report(struct tuning *tuning, int64_t workers_before)
{
	struct ctl *ctl = tuning->ctl;

	int code = ctl->print.is_json ? show_json(tuning, workers_before) : show_table(tuning);
	if (code == 0)
		code = print_flush(&ctl->print);
	if (code == 0)
		code = write_plot(tuning);
	if (code == 0 && ctl->opts.is_applied && !tuning->is_applied)
		code = fault_say(CODE_AGAIN, "tune: pool \"%s\" keeps its %jd workers",
			tuning->sizing.pool, (intmax_t)workers_before);
	else if (tuning->is_applied && !ctl->opts.is_quiet)
		(void)fault_say(0, "tune: pool \"%s\" has %jd workers now, it had %jd",
			tuning->sizing.pool, (intmax_t)tuning->sizing.workers,
			(intmax_t)workers_before);
	return code;
}

int verb_tune(struct ctl *ctl)
{
	struct tuning tuning = {.ctl = ctl, .handler = ctl->opts.handler, .plot_fd = -1};

	int code = prepare(&tuning);
	int64_t workers_before = tuning.sizing.workers;
	if (code == 0)
		code = measure(&tuning);
	bool is_whole = code == 0;
	int restored = put_back(&tuning, is_whole);
	if (is_whole)
		code = restored ? restored : report(&tuning, workers_before);
	if (tuning.plot_fd >= 0)
		(void)close(tuning.plot_fd);
	json_decref(tuning.args);
	free(tuning.tune);
	sizing_done(&tuning.sizing);
	return code ? code : restored;
}
