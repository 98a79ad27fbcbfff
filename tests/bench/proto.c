/*
 * proto: see proto.h. The bytes are those of beanstalkd's doc/protocol.txt, of redis' RESP2, of
 * gearmand's PROTOCOL and of workpoold-protocol(7); the echo is sent what workpoold is sent. Answers
 * are parsed as far as a client must in order to find their end and to notice a refusal.
 */
#include "proto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char proto_body[] = "{\"order\":471108,\"customer\":\"c-20931\",\"amount\":1999,"
			  "\"items\":[1,2,3],\"gift\":1}";
const char proto_body_100[] = "{\"order\":471108,\"customer\":\"c-20931\",\"amount\":1999,"
			      "\"items\":[1,2,3],\"gift\":1,\"note\":\"leave at no. 7\"}";

const char proto_body_none[] = "{}";

_Static_assert(sizeof proto_body >= 76 + 1 && sizeof proto_body <= 80 + 1, "see proto.h");
_Static_assert(sizeof proto_body_100 == 100 + 1, "see proto.h");

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

/* more: further parameters, each behind a comma. */
static size_t workpool_post_to(char *out, const char *handler, const char *body, const char *more)
{
	char params[CALL_MAX];

	(void)fits(snprintf(
		params, sizeof params, "{\"handler\":\"%s\",\"args\":%s%s}", handler, body, more));
	return workpool_call(out, "Post", params);
}

static size_t workpool_post(char *out, const char *body)
{
	return workpool_post_to(out, "noop", body, "");
}

/* Answered when the task has ended, with its result. */
static size_t workpool_post_wait(char *out, const char *body)
{
	return workpool_post_to(out, "noop", body, ",\"wait\":true");
}

static size_t workpool_post_later(char *out, const char *body)
{
	return workpool_post_to(out, "noop", body, ",\"delay_ms\":86400000");
}

/* The handlers that tests/bench/run configures. */

static size_t workpool_post_kept(char *out, const char *body)
{
	return workpool_post_to(out, "kept", body, "");
}

static size_t workpool_post_exec(char *out, const char *body)
{
	return workpool_post_to(out, "true", body, "");
}

static size_t workpool_post_find(char *out, const char *body)
{
	return workpool_post_to(out, "find", body, "");
}

static size_t workpool_drain(char *out)
{
	return workpool_call(out, "Drain", "{}");
}

/* Where others wait for ever nothing drains: a task behind all of the batch, which does not count as done. */
static size_t workpool_last(char *out)
{
	return workpool_call(out, "Post", "{\"handler\":\"fail\",\"priority\":9,\"wait\":true}");
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

static size_t beanstalk_post(char *out, const char *body)
{
	return fits(snprintf(out, CALL_MAX, "put 0 0 60 %zu\r\n%s\r\n", strlen(body), body));
}

static size_t beanstalk_post_later(char *out, const char *body)
{
	return fits(snprintf(out, CALL_MAX, "put 0 86400 60 %zu\r\n%s\r\n", strlen(body), body));
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

static size_t redis_post(char *out, const char *body)
{
	return fits(snprintf(out, CALL_MAX, "*3\r\n$5\r\nLPUSH\r\n$1\r\nq\r\n" BULK, strlen(body),
		(int)strlen(body), body));
}

/* As clients of redis do it: a set ordered by time, whose members differ by a number in front. */
static size_t redis_post_later(char *out, const char *body)
{
	return fits(snprintf(out, CALL_MAX,
		"*4\r\n$4\r\nZADD\r\n$1\r\nd\r\n$10\r\n4000000000\r\n$%zu\r\n#%012llu%s\r\n",
		1 + 12 + strlen(body), 0ULL, body));
}

static void redis_stamp(char *post, uint64_t number)
{
	char id[32];

	(void)fits(snprintf(id, sizeof id, "%012llu", (unsigned long long)number));
	memcpy(strchr(post, '#') + 1, id, 12);
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
	return fits(snprintf(out, CALL_MAX, "*4\r\n$4\r\nLREM\r\n$3\r\np%02u\r\n$1\r\n1\r\n" BULK,
		worker, task.len, (int)task.len, task.data));
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

/* gearmand: a head of 12 bytes (NUL "REQ" or "RES", type, length of the rest; most significant byte
 * first), then fields parted by NUL bytes. */

enum gear_type {
	GEAR_CAN_DO = 1,
	GEAR_PRE_SLEEP = 4,
	GEAR_NOOP = 6,
	GEAR_SUBMIT_JOB = 7,
	GEAR_JOB_CREATED = 8,
	GEAR_GRAB_JOB = 9,
	GEAR_NO_JOB = 10,
	GEAR_JOB_ASSIGN = 11,
	GEAR_WORK_COMPLETE = 13,
	GEAR_SUBMIT_JOB_BG = 18,
};

#define GEAR_HEAD 12
#define GEAR_NAME "noop"
#define GEAR_ID   "%012llu" /* of one length, so that stamp() can write over it */

static void gear_put_number(char *out, size_t number)
{
	for (unsigned i = 0; i < 4; i++)
		out[i] = (char)(number >> (24 - 8 * i) & 0xff);
}

static size_t gear_number(const char *in)
{
	size_t number = 0;

	for (unsigned i = 0; i < 4; i++)
		number = number << 8 | (unsigned char)in[i];
	return number;
}

/* The head of a packet whose fields stand behind it. */
static size_t gear_packet(char *out, enum gear_type type, size_t fields)
{
	memcpy(out, "\0REQ", 4);
	gear_put_number(out + 4, type);
	gear_put_number(out + 8, fields);
	return fits((int)(GEAR_HEAD + fields));
}

/* With an id: of those without one the queue in a file keeps only the last. */
static size_t gear_submit(char *out, enum gear_type type, const char *body)
{
	return gear_packet(out, type,
		fits(snprintf(out + GEAR_HEAD, CALL_MAX - GEAR_HEAD, GEAR_NAME "%c" GEAR_ID "%c%s",
			0, 0ULL, 0, body)));
}

static size_t gear_post(char *out, const char *body)
{
	return gear_submit(out, GEAR_SUBMIT_JOB_BG, body);
}

/* The client hears of its end, and of its being taken before. */
static size_t gear_post_wait(char *out, const char *body)
{
	return gear_submit(out, GEAR_SUBMIT_JOB, body);
}

static void gear_stamp(char *post, uint64_t number)
{
	char id[32];
	size_t n = fits(snprintf(id, sizeof id, GEAR_ID, (unsigned long long)number));

	memcpy(post + GEAR_HEAD + sizeof GEAR_NAME, id, n);
}

static size_t gear_hello(char *out)
{
	memcpy(out + GEAR_HEAD, GEAR_NAME, strlen(GEAR_NAME));
	return gear_packet(out, GEAR_CAN_DO, strlen(GEAR_NAME));
}

static size_t gear_take(char *out, unsigned worker)
{
	(void)worker;
	return gear_packet(out, GEAR_GRAB_JOB, 0);
}

static size_t gear_end(char *out, unsigned worker, struct text task)
{
	(void)worker;
	return gear_packet(out, GEAR_WORK_COMPLETE,
		fits(snprintf(out + GEAR_HEAD, CALL_MAX - GEAR_HEAD, "%.*s%c", (int)task.len,
			task.data, 0)));
}

static size_t gear_sleep(char *out)
{
	return gear_packet(out, GEAR_PRE_SLEEP, 0);
}

static struct said gear_hear_as(const char *in, size_t len, enum said_kind created)
{
	const enum said_kind kinds[] = {
		[GEAR_NOOP] = SAID_WAKE,
		[GEAR_JOB_CREATED] = created,
		[GEAR_NO_JOB] = SAID_NONE,
		[GEAR_JOB_ASSIGN] = SAID_TASK,
		[GEAR_WORK_COMPLETE] = SAID_ACK,
	};
	size_t type, whole;
	enum said_kind kind = SAID_NO;

	if (len < GEAR_HEAD)
		return (struct said){.kind = SAID_PART};
	type = gear_number(in + 4);
	whole = GEAR_HEAD + gear_number(in + 8);
	if (len < whole)
		return (struct said){.kind = SAID_PART};
	if (type < sizeof kinds / sizeof kinds[0] && kinds[type] != SAID_PART)
		kind = kinds[type];
	/* A task's handle is its first field. */
	return (struct said){
		kind, whole, {in + GEAR_HEAD, strnlen(in + GEAR_HEAD, whole - GEAR_HEAD)}};
}

static struct said gear_hear(const char *in, size_t len)
{
	return gear_hear_as(in, len, SAID_ACK);
}

static struct said gear_hear_wait(const char *in, size_t len)
{
	return gear_hear_as(in, len, SAID_NOTE);
}

#define BEANSTALK                                                                                  \
	.post = beanstalk_post, .take = beanstalk_take, .end = beanstalk_end, .hear = beanstalk_hear
#define REDIS .post = redis_post, .take = redis_take, .end = redis_end, .hear = redis_hear
#define GEARMAND                                                                                   \
	.stamp = gear_stamp, .hello = gear_hello, .take = gear_take, .end = gear_end,              \
	.sleep = gear_sleep, .is_end_silent = true
#define WORKPOOLD .drain = workpool_drain, .hear = workpool_hear, .is_ours = true

static const struct proto protos[] = {
	{.name = "echo", .post = workpool_post, .hear = workpool_hear},
	{.name = "workpoold", .post = workpool_post, WORKPOOLD},
	{.name = "workpoold-later", .post = workpool_post_later, WORKPOOLD},
	{.name = "workpoold-kept", .post = workpool_post_kept, WORKPOOLD},
	{.name = "workpoold-exec", .post = workpool_post_exec, WORKPOOLD},
	{.name = "workpoold-find", .post = workpool_post_find, WORKPOOLD},
	{.name = "workpoold-wait",
		.post = workpool_post_wait,
		.hear = workpool_hear,
		.is_ours = true},
	{.name = "workpoold-held",
		.post = workpool_post,
		.drain = workpool_last,
		.hear = workpool_hear,
		.is_ours = true},
	{.name = "beanstalkd", BEANSTALK},
	{.name = "beanstalkd-later", .post = beanstalk_post_later, .hear = beanstalk_hear},
	{.name = "beanstalkd-steps", BEANSTALK, .is_stepwise = true},
	{.name = "redis", REDIS},
	{.name = "redis-later", .post = redis_post_later, .stamp = redis_stamp, .hear = redis_hear},
	{.name = "redis-steps", REDIS, .is_stepwise = true},
	{.name = "redis-pop", .post = redis_post, .take = redis_pop, .hear = redis_hear},
	{.name = "gearmand", .post = gear_post, .hear = gear_hear, GEARMAND},
	{.name = "gearmand-wait", .post = gear_post_wait, .hear = gear_hear_wait, GEARMAND},
};

const struct proto *proto_find(const char *name)
{
	for (size_t i = 0; i < sizeof protos / sizeof protos[0]; i++)
		if (strcmp(protos[i].name, name) == 0)
			return &protos[i];
	return NULL;
}
