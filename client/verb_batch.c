/*
 * verb_batch: a stream of posts. Each line of the input is the parameters of one Post; each line of the output is
 * what became of it, in the same order. Blank lines are skipped: they have no line of output. So paste(1) can put
 * both side by side if the input has none; the numbers of lines in errors count them.
 *
 *        input            slots (a ring: sent or wrong, not yet answered)            output
 *     lines in ──▶ │ done … │ head: oldest without answer │ … │ tail: newest │ ──▶ lines out
 *
 * Invariants: at most WINDOW slots; the link's replies belong to the slots without an error of our own, in order.
 * One poll(2) serves the input and both directions of the link, so no side waits for the other with its hands full.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "client/fault.h"
#include "client/input.h"
#include "client/json.h"
#include "client/verb.h"
#include "client/wait.h"

#define WINDOW      256
#define READ_SIZE   ((size_t)64 * 1024)
#define CATCH_UP_US (50 * US_PER_MS)
#define PROGRESS_US (100 * US_PER_MS)
#define LINE_LIMIT  (INPUT_LIMIT - 128) /* bytes: the rest is for the call around it */
#define BAR_WIDTH   30

#define LINE_TOO_LONG "longer than a message may be"

struct slot {
	json_t *error; /* owns; NULL: the line was sent, and its reply is on the way */
};

struct batch {
	struct ctl *ctl;  /* borrows: outlives the verb */
	int fd;           /* borrows: the input */
	bool is_eof;      /* no more input */
	bool is_skipping; /* inside a line that is too long */
	struct buf in;
	struct slot slots[WINDOW];
	uint64_t head, tail; /* counts of lines; slots[n % WINDOW] */
	uint64_t line;       /* number of the line that was read last */
	uint64_t n_posted, n_refused, n_at_capacity;
	uint64_t read_bytes, size_bytes; /* of the input; size 0: not known */
	uint64_t start_us, shown_us;
	uint64_t next_post_us; /* for --rate; else 0 */
};

static json_t *line_error(uint64_t line, const char *reason)
{
	return json_pack("{s:s, s:{s:I, s:s}}", "error", "wpctl.MalformedLine", "parameters",
		"line", (json_int_t)line, "reason", reason);
}

/* A slot for a line that cannot be sent. */
static int add_error(struct batch *batch, const char *reason)
{
	json_t *error = line_error(batch->line, reason);

	if (!error)
		return fault_no_memory();
	batch->slots[batch->tail++ % WINDOW].error = error;
	return 0;
}

static bool is_blank(struct view line)
{
	for (size_t i = 0; i < line.len; i++) {
		char c = line.data[i];
		if (c != ' ' && c != '\t' && c != '\r')
			return false;
	}
	return true;
}

/* After a pause of the input not all that was missed is made up for at once. */
static void note_sent(struct batch *batch)
{
	uint64_t rate = batch->ctl->opts.rate;
	uint64_t least_us = clock_now_us() - CATCH_UP_US;

	if (rate == OPT_NOT_GIVEN)
		return;
	if (batch->next_post_us < least_us)
		batch->next_post_us = least_us;
	batch->next_post_us += US_PER_SEC / rate;
}

static int add_line(struct batch *batch, struct view line)
{
	char why[JSON_WHY_SIZE];
	auto_json json_t *params = NULL;

	batch->line++;
	if (is_blank(line))
		return 0;
	if (line.len > LINE_LIMIT)
		return add_error(batch, LINE_TOO_LONG);
	int r = json_parse(line, &params, why);
	if (r == -ENOMEM)
		return fault_no_memory();
	if (r < 0)
		return add_error(batch, why);
	if (!json_is_object(params))
		return add_error(batch, "not an object");
	auto_free char *text = mem_dup(line.data, line.len);
	if (!text)
		return fault_no_memory();
	int code = link_put_text(&batch->ctl->link, "Post", text, 0, NULL);
	if (code)
		return code;
	batch->slots[batch->tail++ % WINDOW].error = NULL;
	note_sent(batch);
	return 0;
}

/* The next whole line of the buffer, without its newline; at the end of the input also one without. */
static bool next_line(const struct batch *batch, struct view *ret_line)
{
	struct view all = buf_view(&batch->in);
	const char *end = all.len > 0 ? memchr(all.data, '\n', all.len) : NULL;

	if (!end && (!batch->is_eof || all.len == 0))
		return false;
	*ret_line = (struct view){all.data, end ? (size_t)(end - all.data) : all.len};
	return true;
}

/* A line that no daemon would take is thrown away while it comes in, and becomes one error. */
static int skip_long_line(struct batch *batch)
{
	struct view all = buf_view(&batch->in);
	const char *end = all.len > 0 ? memchr(all.data, '\n', all.len) : NULL;

	buf_consume(&batch->in, end ? (size_t)(end - all.data) + 1 : all.len);
	if (!end && !batch->is_eof)
		return 0;
	batch->is_skipping = false;
	batch->line++;
	return add_error(batch, LINE_TOO_LONG);
}

/* Lines become calls, as many as the window and the rate allow. */
static int send_lines(struct batch *batch)
{
	struct view line;
	int code = 0;

	if (batch->is_skipping && batch->tail - batch->head < WINDOW)
		code = skip_long_line(batch);
	while (code == 0 && !batch->is_skipping && batch->tail - batch->head < WINDOW &&
		batch->next_post_us <= clock_now_us() && next_line(batch, &line)) {
		bool has_newline = line.len < buf_len(&batch->in);
		code = add_line(batch, line);
		buf_consume(&batch->in, line.len + has_newline);
	}
	if (buf_len(&batch->in) > INPUT_LIMIT && !next_line(batch, &line))
		batch->is_skipping = true;
	return code;
}

static int read_input(struct batch *batch)
{
	char *to;
	size_t room;

	if (buf_reserve(&batch->in, READ_SIZE, &to, &room) < 0)
		return fault_no_memory();
	ssize_t n = read(batch->fd, to, room < READ_SIZE ? room : READ_SIZE);
	if (n < 0 && errno != EINTR && errno != EAGAIN)
		return fault_say(CODE_USAGE, "batch: %s", strerror(errno));
	if (n == 0)
		batch->is_eof = true;
	if (n > 0) {
		buf_commit(&batch->in, (size_t)n);
		batch->read_bytes += (uint64_t)n;
	}
	return 0;
}

/* One line of output; what is no error was posted. */
static int write_result(struct batch *batch, const json_t *json, const char *error)
{
	batch->n_posted += error == NULL;
	batch->n_refused += error != NULL;
	if (error && strcmp(error, "org.workpool.AtCapacity") == 0)
		batch->n_at_capacity++;
	return print_json(&batch->ctl->print, json);
}

static int write_reply(struct batch *batch, const struct link_reply *reply)
{
	if (!reply->error)
		return write_result(batch, reply->params, NULL);
	auto_json json_t *json =
		json_pack("{s:s, s:O}", "error", reply->error, "parameters", reply->params);
	return json ? write_result(batch, json, reply->error) : fault_no_memory();
}

/* Everything that is known leaves, in order, until a reply is not here yet. */
static int write_results(struct batch *batch)
{
	int code = 0;

	while (code == 0 && batch->head < batch->tail) {
		struct slot *slot = &batch->slots[batch->head % WINDOW];
		if (slot->error) {
			auto_json json_t *error = take(slot->error);
			code = write_result(batch, error, "wpctl.MalformedLine");
		} else {
			auto_reply struct link_reply reply = {0};
			int r = link_take(&batch->ctl->link, &reply);
			if (r == -EAGAIN)
				break;
			code = r < 0 ? link_fail(&batch->ctl->link, r) : write_reply(batch, &reply);
		}
		batch->head += code == 0;
	}
	return code;
}

static void show_progress(struct batch *batch)
{
	static const char bar[] = "##############################";
	uint64_t now_us = clock_now_us();

	if (!batch->ctl->print.has_progress || now_us - batch->shown_us < PROGRESS_US)
		return;
	batch->shown_us = now_us;
	double per_s = (double)batch->n_posted * (double)US_PER_SEC /
		       (double)(now_us - batch->start_us + 1);
	double part = batch->size_bytes > 0 ? (double)(batch->read_bytes - buf_len(&batch->in)) /
						      (double)batch->size_bytes
					    : 0;
	part = part > 1 ? 1 : part;
	if (batch->size_bytes > 0)
		print_progress(&batch->ctl->print,
			"[%-*.*s] %3.0f %%  %ju posted, %ju refused, %.0f/s", BAR_WIDTH,
			(int)(part * BAR_WIDTH), bar, part * 100, (uintmax_t)batch->n_posted,
			(uintmax_t)batch->n_refused, per_s);
	else
		print_progress(&batch->ctl->print, "%ju posted, %ju refused, %.0f/s",
			(uintmax_t)batch->n_posted, (uintmax_t)batch->n_refused, per_s);
}

/* Is there something in the buffer that send_lines() can take, now or as soon as the rate allows? */
static bool has_line(const struct batch *batch)
{
	struct view line;

	if (batch->tail - batch->head == WINDOW)
		return false;
	if (batch->is_skipping)
		return batch->is_eof || buf_len(&batch->in) > 0;
	return next_line(batch, &line);
}

/* When to wake up although nothing comes: for the next line, the progress or the end of the time given. */
static uint64_t wake_at_us(const struct batch *batch)
{
	uint64_t at_us = batch->ctl->link.whole_until_us;

	if (has_line(batch) && batch->next_post_us < at_us)
		at_us = batch->next_post_us;
	if (batch->ctl->print.has_progress) {
		uint64_t show_us = wait_deadline(PROGRESS_US);
		at_us = show_us < at_us ? show_us : at_us;
	}
	return at_us;
}

/* One turn: wait, read, send, write. */
static int turn(struct batch *batch)
{
	struct link *link = &batch->ctl->link;
	bool wants_input = !batch->is_eof && buf_len(&batch->in) <= INPUT_LIMIT;
	bool has_input = false;

	int r = link_turn(&link, 1, wants_input ? batch->fd : -1, wake_at_us(batch), &has_input);
	if (r < 0)
		return link_fail(link, r);
	if (clock_now_us() >= link->whole_until_us)
		return link_fail(link, -ETIMEDOUT);
	int code = has_input ? read_input(batch) : 0;
	if (code == 0)
		code = send_lines(batch);
	if (code == 0)
		code = write_results(batch);
	show_progress(batch);
	return code;
}

static int run(struct batch *batch)
{
	int code = link_open(&batch->ctl->link);

	while (code == 0 && !(batch->is_eof && buf_len(&batch->in) == 0 && !batch->is_skipping &&
				    batch->head == batch->tail)) {
		code = turn(batch);
		/* Nothing more to read in: the answers should not wait in our buffer for others. */
		if (code == 0 && batch->head == batch->tail)
			code = fflush(stdout) == 0 ? 0 : print_flush(&batch->ctl->print);
	}
	return code;
}

static int summary(struct batch *batch, int code)
{
	uint64_t open = batch->tail - batch->head;

	print_progress_end(&batch->ctl->print);
	if (!batch->ctl->opts.is_quiet && code != CODE_PIPE) {
		(void)fault_say(0, "batch: %ju posted, %ju refused in %.3f s",
			(uintmax_t)batch->n_posted, (uintmax_t)batch->n_refused,
			(double)(clock_now_us() - batch->start_us) / (double)US_PER_SEC);
		if (open > 0)
			(void)fault_say(0, "batch: %ju without an answer", (uintmax_t)open);
	}
	if (code || batch->n_refused == 0)
		return code;
	return batch->n_refused == batch->n_at_capacity ? CODE_AGAIN : CODE_TASK;
}

int verb_batch(struct ctl *ctl)
{
	auto_fd int file = -1;
	auto_free struct batch *batch = calloc(1, sizeof(*batch));
	struct stat stat;

	if (!batch)
		return fault_no_memory();
	if (ctl->n_names > 0 && strcmp(ctl->names[0], "-") != 0) {
		file = open(ctl->names[0], O_RDONLY | O_CLOEXEC);
		if (file < 0)
			return fault_say(CODE_USAGE, "%s: %s", ctl->names[0], strerror(errno));
	}
	batch->ctl = ctl;
	batch->fd = file < 0 ? STDIN_FILENO : file;
	batch->start_us = clock_now_us();
	if (fstat(batch->fd, &stat) == 0 && S_ISREG(stat.st_mode))
		batch->size_bytes = (uint64_t)stat.st_size;
	buf_init(&batch->in, INPUT_LIMIT + 2 * READ_SIZE);
	/* What was answered until then is written out before the end. */
	wait_set_mode(WAIT_HOLD);
	int code = summary(batch, run(batch));
	for (; batch->head < batch->tail; batch->head++)
		json_decref(batch->slots[batch->head % WINDOW].error);
	buf_done(&batch->in);
	return code;
}
