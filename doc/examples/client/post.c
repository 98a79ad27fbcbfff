/*
 * post HANDLER: reads lines from standard input, each the arguments of one task as a JSON object. Posts them all, as fast as the
 * daemon takes them, waits, and prints how each ended, in the order of the lines.
 *
 *     printf '%s\n' '{"n": 1}' '{"n": 2}' | ./post echo
 *
 * Exit status: 0 if all tasks are done; 1 if one was refused or has ended otherwise; 2 if it could not be tried.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <workpool.h>

#define OPEN_MS   5000  /* a daemon that starts right now is waited for */
#define ANSWER_MS 30000 /* to a post, which may wait for room in the queue */

/* What the daemon said to the posts so far. */
struct ids {
	char **ids; /* NULL: refused */
	size_t n;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "post: %s: %s\n", what, why);
	exit(2);
}

/* The answer to the oldest post that has none yet. */
static void take_answer(struct workpool *wp, struct ids *ids)
{
	struct workpool_reply *reply;
	const char *id;

	if (workpool_receive(wp, ANSWER_MS, &reply) != 0)
		die(workpool_socket(wp), workpool_error_text(wp));
	if (workpool_reply_code(reply) != 0)
		fprintf(stderr, "post: line %lu: %s %s\n", (unsigned long)ids->n + 1,
			workpool_code_text(workpool_reply_code(reply)),
			workpool_reply_params(reply));
	id = workpool_reply_text(reply, "id");
	ids->ids = realloc(ids->ids, (ids->n + 1) * sizeof(*ids->ids));
	if (!ids->ids)
		die("memory", "there is none");
	ids->ids[ids->n++] = id ? strdup(id) : NULL;
	workpool_reply_free(reply);
}

/* Sends without waiting for answers, until so much is under way that some have to be taken. */
static void post_lines(struct workpool *wp, const char *handler, struct ids *ids)
{
	char *line = NULL;
	size_t size = 0;
	int code;

	while (getline(&line, &size, stdin) > 0) {
		while ((code = workpool_send_post(wp, handler, line, NULL, NULL)) == WORKPOOL_FULL)
			take_answer(wp, ids);
		if (code != 0)
			die(handler, workpool_error_text(wp));
	}
	free(line);
	while (workpool_pending(wp) > 0)
		take_answer(wp, ids);
}

/* 0: it is done. */
static int show_end(struct workpool *wp, const char *id)
{
	struct workpool_reply *reply;
	const char *state, *result;
	int is_done;

	if (workpool_wait(wp, id, -1, &reply) != 0)
		die(id, workpool_error_text(wp));
	state = workpool_reply_text(reply, "tasks.0.state");
	result = workpool_reply_text(reply, "tasks.0.result");
	is_done = state && strcmp(state, "done") == 0;
	printf("%s %s %s\n", id, state ? state : "?", result ? result : "-");
	workpool_reply_free(reply);
	return !is_done;
}

int main(int argc, char **argv)
{
	struct ids ids = {NULL, 0};
	struct workpool *wp = workpool_new(NULL);
	int failed = 0;
	size_t i;

	if (argc != 2)
		die("usage", "post HANDLER <lines");
	if (!wp)
		die("memory", "there is none");
	if (workpool_open(wp, OPEN_MS) != 0)
		die("cannot reach the daemon", workpool_error_text(wp));
	post_lines(wp, argv[1], &ids);
	for (i = 0; i < ids.n; i++) {
		failed |= ids.ids[i] ? show_end(wp, ids.ids[i]) : 1;
		free(ids.ids[i]);
	}
	free(ids.ids);
	workpool_free(wp);
	return failed;
}
