/*
 * exec_report: see exec_report.h. Called by h_exec.c.
 * Invariant: the result always fits into a message: output that grows too much as JSON (a control character takes six
 * bytes) is kept shorter; its own "_bytes" tells how much there was.
 */
#include "host/exec_report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "host/utf8.h"

/* Leaves room for the DONE, a sentence of control characters, and both their frames. */
#define REPORT_LIMIT (HOSTMSG_LIMIT - 8u * EXEC_REPORT_SENTENCE_MAX)

static uint64_t us_of(struct timeval time)
{
	return (uint64_t)time.tv_sec * US_PER_SEC + (uint64_t)time.tv_usec;
}

/* "name":"text","name_bytes":n, with at most max bytes of the text; a character that the cut has hurt is left out. */
static int put_output(struct buf *json, const char *name, const struct capture *capture, size_t max)
{
	struct view text = buf_view(&capture->kept);
	bool is_cut = text.len > max || capture->total_bytes > text.len;

	if (text.len > max)
		text.len = max;
	if (is_cut)
		text.len = utf8_whole(text);
	int r = buf_printf(json, "\"%s\":", name);
	if (r == 0)
		r = buf_append_json_string(json, text.data ? text.data : "", text.len);
	if (r == 0)
		r = buf_printf(json, ",\"%s_bytes\":%" PRIu64, name, capture->total_bytes);
	return r;
}

static int put_status(struct buf *json, int status)
{
	return WIFSIGNALED(status) ? buf_printf(json, "\"signal\":%d,", WTERMSIG(status))
				   : buf_printf(json, "\"exit\":%d,", WEXITSTATUS(status));
}

static int put_usage(struct buf *json, const struct rusage *usage)
{
	return buf_printf(json,
		",\"user_us\":%" PRIu64 ",\"system_us\":%" PRIu64 ",\"max_rss_bytes\":%" PRIu64,
		us_of(usage->ru_utime), us_of(usage->ru_stime), (uint64_t)usage->ru_maxrss * 1024);
}

/* child NULL: it goes on; out NULL: it is not told. */
static int put_report(struct buf *json, const struct child *child, const struct capture *out,
	const struct capture *err, size_t max)
{
	int r = buf_append(json, "{", 1);

	if (r == 0 && child)
		r = put_status(json, child->status);
	if (r == 0 && out)
		r = put_output(json, "stdout", out, max);
	if (r == 0 && out)
		r = buf_append(json, ",", 1);
	if (r == 0)
		r = put_output(json, "stderr", err, max);
	if (r == 0 && child)
		r = put_usage(json, &child->usage);
	return r == 0 ? buf_append(json, "}", 1) : r;
}

static int make_report(struct buf *json, const struct child *child, const struct capture *out,
	const struct capture *err)
{
	size_t max = REPORT_LIMIT;
	int r;

	do {
		buf_truncate(json, 0);
		r = put_report(json, child, out, err, max);
		max /= 2;
	} while (r == -EMSGSIZE && max > 0);
	return r;
}

static void set_end(const struct child *child, struct buf *json, bool cancelled, bool must_answer,
	struct result *result)
{
	int status = child->status;
	char sentence[64];

	if (cancelled) {
		result_cancel(result, buf_view(json));
	} else if (WIFSIGNALED(status)) {
		const char *name = sigabbrev_np(WTERMSIG(status));
		(void)snprintf(sentence, sizeof(sentence),
			"the program was ended by signal %d (%s)", WTERMSIG(status),
			name ? name : "?");
		result_crash(result, buf_view(json), sentence);
	} else if (WEXITSTATUS(status) != 0 || must_answer) {
		(void)snprintf(sentence, sizeof(sentence), "the program ended with status %d%s",
			WEXITSTATUS(status), must_answer ? " and no answer" : "");
		result_fail_with(result, "exit", buf_view(json), sentence);
	} else {
		result_ok_buf(result, json);
	}
}

void exec_report_set(const struct child *child, const struct capture *out,
	const struct capture *err, bool cancelled, struct result *result)
{
	struct buf json;

	if (child->state == CHILD_FAILED) {
		result_fail(result, "start", "the program cannot be started: %s: %s", child->step,
			strerror(child->error));
		return;
	}
	buf_init(&json, REPORT_LIMIT);
	int r = make_report(&json, child, out, err);
	if (r == 0)
		set_end(child, &json, cancelled, !out, result);
	else
		result_fail(result, "failed",
			"the program ended, but its output cannot be told: %s", strerror(-r));
	buf_done(&json);
}

void exec_report_failure(
	const struct capture *err, const char *reason, const char *sentence, struct result *result)
{
	size_t len = strlen(sentence);
	auto_free char *cut =
		len > EXEC_REPORT_SENTENCE_MAX
			? mem_dup(sentence,
				  utf8_whole((struct view){sentence, EXEC_REPORT_SENTENCE_MAX}))
			: NULL;
	struct buf json;

	buf_init(&json, REPORT_LIMIT);
	/* Without memory the sentence must do. */
	if (make_report(&json, NULL, NULL, err) < 0)
		buf_truncate(&json, 0);
	result_fail_with(result, reason, buf_view(&json), cut ? cut : sentence);
	buf_done(&json);
}
