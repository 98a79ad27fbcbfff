/*
 * proto: see proto.h. The bytes are those of beanstalkd's doc/protocol.txt, of redis' RESP2 and of
 * workpoold-protocol(7); the echo is sent what workpoold is sent. Answers are parsed as far as a
 * client must in order to find their end and to notice a refusal.
 */
#include "proto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY                                                          \
	"{\"order\":471108,\"customer\":\"c-20931\",\"amount\":1999," \
	"\"items\":[1,2,3],\"gift\":1}"

#define BODY_BYTES (sizeof BODY - 1)

_Static_assert(BODY_BYTES >= 76 && BODY_BYTES <= 80, "about as long as the other measurements'");

/* What snprintf() returns, for formats that fit by construction. */
static size_t fits(int n)
{
	if (n < 0 || n >= CALL_MAX)
		abort();
	return (size_t)n;
}

static int starts_with(const char *in, size_t len, const char *start)
{
	size_t n = strlen(start);

	return len >= n && memcmp(in, start, n) == 0;
}

/* workpoold, and the echo */

static size_t workpool_call(char *out, const char *method, const char *params)
{
	int n = snprintf(out, CALL_MAX, "{\"method\":\"org.workpool.%s\",\"parameters\":%s}",
		method, params);

	return fits(n) + 1; /* its NUL is the message's end */
}

static size_t workpool_post(char *out)
{
	return workpool_call(out, "Post", "{\"handler\":\"noop\",\"args\":" BODY "}");
}

static size_t workpool_drain(char *out)
{
	return workpool_call(out, "Drain", "{}");
}

/* Where others wait for ever nothing drains: a task behind all of the batch, which does not count as done. */
static size_t workpool_last(char *out)
{
	return workpool_call(
		out, "Post", "{\"handler\":\"fail\",\"priority\":9,\"wait\":true}");
}

size_t proto_stats(char *out)
{
	return workpool_call(out, "Stats", "{}");
}

static struct said workpool_hear(const char *in, size_t len)
{
	const char *end = memchr(in, '\0', len);
	size_t n;

	if (end == NULL)
		return (struct said){.kind = SAID_PART};
	n = (size_t)(end - in) + 1;
	return (struct said){starts_with(in, n, "{\"parameters\"") ? SAID_ACK : SAID_NO, n, {0}};
}

/* beanstalkd */

static size_t beanstalk_post(char *out)
{
	return fits(snprintf(out, CALL_MAX, "put 0 0 60 %zu\r\n%s\r\n", BODY_BYTES, BODY));
}

static size_t beanstalk_take(char *out, unsigned worker)
{
	(void)worker;
	return fits(snprintf(out, CALL_MAX, "reserve\r\n"));
}

static size_t beanstalk_end(char *out, unsigned worker, struct text task)
{
	(void)worker;
	return fits(snprintf(out, CALL_MAX, "delete %.*s\r\n", (int)task.len, task.data));
}

/* RESERVED <id> <bytes>\r\n<data>\r\n; `line`: the length of its first line. */
static struct said beanstalk_reserved(const char *in, size_t len, size_t line)
{
	const char *id = in + strlen("RESERVED ");
	const char *blank = memchr(id, ' ', line - strlen("RESERVED "));
	size_t whole;

	if (blank == NULL)
		return (struct said){.kind = SAID_NO, .len = line};
	whole = line + strtoul(blank, NULL, 10) + 2;
	if (len < whole)
		return (struct said){.kind = SAID_PART};
	return (struct said){SAID_TASK, whole, {id, (size_t)(blank - id)}};
}

static struct said beanstalk_hear(const char *in, size_t len)
{
	const char *end = memchr(in, '\n', len);
	size_t line;

	if (end == NULL)
		return (struct said){.kind = SAID_PART};
	line = (size_t)(end - in) + 1;
	if (starts_with(in, line, "RESERVED "))
		return beanstalk_reserved(in, len, line);
	if (starts_with(in, line, "INSERTED ") || starts_with(in, line, "DELETED"))
		return (struct said){SAID_ACK, line, {0}};
	return (struct said){SAID_NO, line, {0}};
}

/* redis */

#define BULK "$%zu\r\n%.*s\r\n"

static size_t redis_post(char *out)
{
	return fits(snprintf(out, CALL_MAX, "*3\r\n$5\r\nLPUSH\r\n$1\r\nq\r\n" BULK, BODY_BYTES,
		(int)BODY_BYTES, BODY));
}

/* The reliable form: the task goes to a list of the worker's own, and off it when it has ended. */
static size_t redis_take(char *out, unsigned worker)
{
	return fits(snprintf(out, CALL_MAX,
		"*6\r\n$6\r\nBLMOVE\r\n$1\r\nq\r\n$3\r\np%02u\r\n$5\r\nRIGHT\r\n$4\r\nLEFT\r\n"
		"$1\r\n0\r\n",
		worker));
}

static size_t redis_end(char *out, unsigned worker, struct text task)
{
	return fits(snprintf(out, CALL_MAX,
		"*4\r\n$4\r\nLREM\r\n$3\r\np%02u\r\n$1\r\n1\r\n" BULK, worker, task.len,
		(int)task.len, task.data));
}

static size_t redis_pop(char *out, unsigned worker)
{
	(void)worker;
	return fits(snprintf(out, CALL_MAX, "*3\r\n$5\r\nBRPOP\r\n$1\r\nq\r\n$1\r\n0\r\n"));
}

/* :<number>\r\n, $<bytes>\r\n<data>\r\n, or *<n>\r\n and so many bulks of which the last counts. */
static struct said redis_hear(const char *in, size_t len)
{
	const char *end = memchr(in, '\n', len);
	struct said said;
	long n;
	size_t line;

	if (end == NULL)
		return (struct said){.kind = SAID_PART};
	line = (size_t)(end - in) + 1;
	n = strtol(in + 1, NULL, 10);
	if (in[0] == ':')
		return (struct said){SAID_ACK, line, {0}};
	if (in[0] == '$' && n >= 0) {
		if (len < line + (size_t)n + 2)
			return (struct said){.kind = SAID_PART};
		return (struct said){SAID_TASK, line + (size_t)n + 2, {in + line, (size_t)n}};
	}
	if (in[0] != '*' || n < 1)
		return (struct said){SAID_NO, line, {0}};
	for (size_t at = line;; at += said.len) {
		said = redis_hear(in + at, len - at);
		if (said.kind != SAID_TASK)
			return said;
		if (--n == 0) {
			said.len += at;
			return said;
		}
	}
}

static const struct proto protos[] = {
	{.name = "echo", .post = workpool_post, .hear = workpool_hear},
	{.name = "workpoold", .post = workpool_post, .drain = workpool_drain,
		.hear = workpool_hear},
	{.name = "workpoold-held", .post = workpool_post, .drain = workpool_last,
		.hear = workpool_hear},
	{.name = "beanstalkd", .post = beanstalk_post, .take = beanstalk_take, .end = beanstalk_end,
		.hear = beanstalk_hear},
	{.name = "redis", .post = redis_post, .take = redis_take, .end = redis_end,
		.hear = redis_hear},
	{.name = "redis-pop", .post = redis_post, .take = redis_pop, .hear = redis_hear},
};

const struct proto *proto_find(const char *name)
{
	for (size_t i = 0; i < sizeof protos / sizeof protos[0]; i++)
		if (strcmp(protos[i].name, name) == 0)
			return &protos[i];
	return NULL;
}
