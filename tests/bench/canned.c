/*
 * canned DELAY_MS: stands in for a server of MongoDB's protocol. Prints the port of the loopback where it
 * listens. A handshake is answered at once; a find, whatever it asks for, after the delay, with the same
 * documents; everything else with "ok". It costs next to nothing, so that what is measured is who asks. A
 * thread for each connection: what waits is as many finds as are asked. It believes its clients, and ends
 * with a signal.
 *
 * A message: its length, number, the number it answers and what it is (4 bytes each, least significant
 * first); OP_MSG then has flags (4), a kind (1) and a document, whose first key is the command.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "stations.h"

#define MESSAGE_MAX (1 << 20)

enum { OP_REPLY = 1, OP_QUERY = 2004, OP_MSG = 2013 };

struct head {
	int32_t len, id, answers, op;
};

static struct timespec delay;
static bson_t *hello, *found, *fine;

static bson_t *make_found(void)
{
	bson_t *reply = bson_new(), cursor, batch;

	bson_append_document_begin(reply, "cursor", -1, &cursor);
	bson_append_array_begin(&cursor, "firstBatch", -1, &batch);
	for (int i = 0; i < STATIONS; i++) {
		bson_t *station = stations_new(i);
		char key[16];

		(void)snprintf(key, sizeof key, "%d", i);
		BSON_APPEND_DOCUMENT(&batch, key, station);
		bson_destroy(station);
	}
	bson_append_array_end(&cursor, &batch);
	BCON_APPEND(&cursor, "id", BCON_INT64(0), "ns",
		BCON_UTF8(STATIONS_DATABASE "." STATIONS_COLLECTION));
	bson_append_document_end(reply, &cursor);
	BCON_APPEND(reply, "ok", BCON_DOUBLE(1));
	return reply;
}

static void make_replies(void)
{
	hello = BCON_NEW("isWritablePrimary", BCON_BOOL(true), "ismaster", BCON_BOOL(true),
		"helloOk", BCON_BOOL(true), "maxBsonObjectSize", BCON_INT32(16777216),
		"maxMessageSizeBytes", BCON_INT32(48000000), "maxWriteBatchSize",
		BCON_INT32(100000), "minWireVersion", BCON_INT32(0), "maxWireVersion",
		BCON_INT32(17), "readOnly", BCON_BOOL(false), "ok", BCON_DOUBLE(1));
	fine = BCON_NEW("ok", BCON_DOUBLE(1));
	found = make_found();
}

/* What the command in this OP_MSG gets, now. */
static const bson_t *reply_to(const char *body)
{
	const char *command =
		body + 4 + 1 + 4 + 1; /* behind the document's length and its first type */

	if (strcasecmp(command, "hello") == 0 || strcasecmp(command, "ismaster") == 0)
		return hello;
	if (strcmp(command, "find") != 0)
		return fine;
	while (nanosleep(&delay, NULL) < 0 && errno == EINTR)
		;
	return found;
}

/* `fixed`: what stands between the head and the document. */
static bool answer(int fd, const struct head *to, int32_t op, const void *fixed, size_t n_fixed,
	const bson_t *reply)
{
	struct head head = {(int32_t)(sizeof head + n_fixed + reply->len), to->id, to->id, op};
	struct iovec parts[] = {{&head, sizeof head}, {(void *)(uintptr_t)fixed, n_fixed},
		{(void *)(uintptr_t)bson_get_data(reply), reply->len}};

	return writev(fd, parts, 3) == head.len; /* it blocks */
}

static bool answer_message(int fd, const struct head *head, const char *body)
{
	static const int32_t query_fixed[5] = {
		8, 0, 0, 0, 1};               /* flags, a cursor (8), from, how many */
	static const char msg_fixed[5] = {0}; /* flags, kind */

	if (head->op == OP_QUERY) /* an old handshake */
		return answer(fd, head, OP_REPLY, query_fixed, sizeof query_fixed, hello);
	return head->op == OP_MSG &&
	       answer(fd, head, OP_MSG, msg_fixed, sizeof msg_fixed, reply_to(body));
}

static bool read_all(int fd, void *buf, size_t n)
{
	return recv(fd, buf, n, MSG_WAITALL) == (ssize_t)n;
}

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg, on = 1;
	char *body = malloc(MESSAGE_MAX);
	struct head head;

	if (body == NULL || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
		err(1, "a connection");
	while (read_all(fd, &head, sizeof head) && head.len > (int32_t)sizeof head + 10 &&
		head.len < MESSAGE_MAX && read_all(fd, body, (size_t)head.len - sizeof head) &&
		answer_message(fd, &head, body))
		;
	free(body);
	(void)close(fd);
	return NULL;
}

static int listen_somewhere(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) < 0 || listen(fd, 1024) < 0 ||
		getsockname(fd, (struct sockaddr *)&at, &size) < 0)
		err(1, "a port");
	(void)printf("%u\n", (unsigned)ntohs(at.sin_port));
	(void)fflush(stdout);
	return fd;
}

int main(int argc, char **argv)
{
	int fd, ms = argc == 2 ? atoi(argv[1]) : 0;
	pthread_t thread;

	if (ms <= 0)
		errx(64, "usage: canned DELAY_MS");
	delay = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
	(void)signal(SIGPIPE, SIG_IGN);
	make_replies();
	for (fd = listen_somewhere();;) {
		int client = accept(fd, NULL, NULL);

		if (client < 0)
			err(1, "accept");
		if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)client) != 0)
			errx(1, "no thread");
		(void)pthread_detach(thread);
	}
}
