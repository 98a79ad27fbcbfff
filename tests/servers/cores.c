/*
 * cores: a stand-in for a MongoDB server whose limit is known: so many cores, each busy with one find for so long.
 *
 *   cores K MS        K cores, MS milliseconds a find
 *   cores K MS SEED   times with a heavy tail (Pareto, 1.6), of 0.8 MS in the mean; SEED gives the same ones
 *
 * Listens on 127.0.0.1 and a free port, which it prints. Takes requests first come, first served: what comes gets the core that is
 * free first, from then on when that is free. So a core that has work never rests, however late the machine wakes us. Ends with its
 * standard input. Needs no library; as much of the protocol as libmongoc uses for a find.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { OP_REPLY = 1, OP_QUERY = 2004, OP_MSG = 2013 };

#define PEERS_MAX 1024
#define CORES_MAX 256
#define IN_MAX    65536
#define HEAD      16 /* bytes: length, request, response to, operation */
#define TAIL      1.6

struct peer {
	int fd;
	size_t n;
	char in[IN_MAX];
	uint64_t ends_ns; /* 0: no find is under way; libmongoc has one at a time on a connection */
	int32_t request;
};

struct doc {
	char data[512];
	int32_t len;
};

static struct peer peers[PEERS_MAX];
static size_t n_peers;
static uint64_t free_ns[CORES_MAX]; /* when each core is */
static size_t n_cores;
static double service_ns;
static uint64_t seed; /* 0: all alike */
static struct doc hello, found, fine;

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* BSON: a document is its length, elements, a zero byte; see bsonspec.org. */
static void put(struct doc *doc, const void *data, size_t len)
{
	if ((size_t)doc->len + len > sizeof(doc->data))
		abort();
	memcpy(doc->data + doc->len, data, len);
	doc->len += (int32_t)len;
}

static void put_element(struct doc *doc, char type, const char *name, const void *value, size_t len)
{
	put(doc, &type, 1);
	put(doc, name, strlen(name) + 1);
	put(doc, value, len);
}

static void put_i32(struct doc *doc, const char *name, int32_t value)
{
	put_element(doc, 0x10, name, &value, sizeof(value));
}

static void put_bool(struct doc *doc, const char *name, bool value)
{
	put_element(doc, 0x08, name, &value, 1);
}

static int32_t begin(struct doc *doc)
{
	int32_t at = doc->len;

	put(doc, &at, sizeof(at));
	return at;
}

static void end(struct doc *doc, int32_t at)
{
	int32_t len;

	put(doc, "", 1);
	len = doc->len - at;
	memcpy(doc->data + at, &len, sizeof(len));
}

static void end_ok(struct doc *doc)
{
	double ok = 1;

	put_element(doc, 0x01, "ok", &ok, sizeof(ok));
	end(doc, 0);
}

static void build(void)
{
	static const char ns[] =
		"\x05\0\0\0d.c1"; /* a string: its length with the zero byte, its characters */
	int64_t id = 0;
	int32_t cursor, batch, document;

	(void)begin(&hello);
	put_bool(&hello, "isWritablePrimary", true);
	put_bool(&hello, "ismaster", true);
	put_i32(&hello, "maxBsonObjectSize", 16777216);
	put_i32(&hello, "maxMessageSizeBytes", 48000000);
	put_i32(&hello, "maxWriteBatchSize", 100000);
	put_i32(&hello, "minWireVersion", 0);
	put_i32(&hello, "maxWireVersion", 17);
	put_bool(&hello, "readOnly", false);
	end_ok(&hello);
	(void)begin(&fine);
	end_ok(&fine);
	(void)begin(&found);
	put_element(&found, 0x03, "cursor", "", 0);
	cursor = begin(&found);
	put_element(&found, 0x04, "firstBatch", "", 0);
	batch = begin(&found);
	put_element(&found, 0x03, "0", "", 0);
	document = begin(&found);
	put_i32(&found, "_id", 1);
	end(&found, document);
	end(&found, batch);
	put_element(&found, 0x12, "id", &id, sizeof(id));
	put_element(&found, 0x02, "ns", ns, sizeof(ns));
	end(&found, cursor);
	end_ok(&found);
}

static void answer(const struct peer *peer, int32_t to, int32_t op, const struct doc *doc)
{
	static const int32_t reply[5] = {
		8, 0, 0, 0, 1}; /* of OP_REPLY: flags, cursor, from, documents */
	size_t n_fixed =
		op == OP_REPLY ? sizeof(reply) : 5; /* of OP_MSG: flags, kind of the section */
	char out[HEAD + sizeof(reply) + sizeof(doc->data)] = {0};
	int32_t head[4] = {(int32_t)(HEAD + n_fixed) + doc->len, 0, to, op};

	memcpy(out, head, HEAD);
	if (op == OP_REPLY)
		memcpy(out + HEAD, reply, sizeof(reply));
	memcpy(out + HEAD + n_fixed, doc->data, (size_t)doc->len);
	/* Who does not read is found out by the next read. */
	(void)!send(peer->fd, out, (size_t)head[0], MSG_NOSIGNAL | MSG_DONTWAIT);
}

static double next_service_ns(void)
{
	if (seed == 0)
		return service_ns;
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return service_ns * 0.3 / pow((double)(seed >> 11) / 9007199254740992.0 + 1e-9, 1 / TAIL);
}

static void take_find(struct peer *peer, int32_t request)
{
	uint64_t now = now_ns();
	size_t core = 0;

	for (size_t i = 1; i < n_cores; i++) {
		if (free_ns[i] < free_ns[core])
			core = i;
	}
	uint64_t begins = free_ns[core] > now ? free_ns[core] : now;
	peer->ends_ns = free_ns[core] = begins + (uint64_t)next_service_ns();
	peer->request = request;
}

/* The first key of a command's document is its name. */
static void take_message(struct peer *peer, const int32_t head[4], const char *body, size_t len)
{
	const char *name = body + 4 + 1 + 4 + 1;

	if (head[3] == OP_QUERY)
		answer(peer, head[1], OP_REPLY, &hello);
	else if (len > 20 && strcmp(name, "find") == 0)
		take_find(peer, head[1]);
	else if (len > 20 && (strcasecmp(name, "hello") == 0 || strcasecmp(name, "ismaster") == 0))
		answer(peer, head[1], OP_MSG, &hello);
	else
		answer(peer, head[1], OP_MSG, &fine);
}

/* false: it is gone, or says what we do not understand. */
static bool serve(struct peer *peer)
{
	ssize_t n = recv(peer->fd, peer->in + peer->n, IN_MAX - peer->n, MSG_DONTWAIT);
	int32_t head[4];

	if (n < 0 && errno == EAGAIN)
		return true;
	if (n <= 0)
		return false;
	peer->n += (size_t)n;
	while (peer->n >= HEAD) {
		memcpy(head, peer->in, HEAD);
		if (head[0] <= HEAD || head[0] > IN_MAX)
			return false;
		if (peer->n < (size_t)head[0])
			break;
		take_message(peer, head, peer->in + HEAD, (size_t)head[0] - HEAD);
		peer->n -= (size_t)head[0];
		memmove(peer->in, peer->in + head[0], peer->n);
	}
	return true;
}

static void take_peer(int listener)
{
	int fd = accept(listener, NULL, NULL), one = 1;

	if (fd < 0)
		return;
	if (n_peers == PEERS_MAX) {
		(void)close(fd);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	peers[n_peers].fd = fd;
	peers[n_peers].n = 0;
	peers[n_peers].ends_ns = 0;
	n_peers++;
}

/* Answers what has ended; when the next one will, 0: none is under way. */
static uint64_t answer_finds(void)
{
	uint64_t now = now_ns(), next = 0;

	for (size_t i = 0; i < n_peers; i++) {
		struct peer *peer = &peers[i];
		if (peer->ends_ns > 0 && peer->ends_ns <= now) {
			answer(peer, peer->request, OP_MSG, &found);
			peer->ends_ns = 0;
		}
		if (peer->ends_ns > 0 && (next == 0 || peer->ends_ns < next))
			next = peer->ends_ns;
	}
	return next;
}

/* Until standard input ends. */
static void run(int listener)
{
	static struct pollfd fds[PEERS_MAX + 2];

	for (;;) {
		uint64_t next = answer_finds(), now = now_ns();
		uint64_t wait = next > now ? next - now : 0;
		struct timespec span = {(time_t)(wait / 1000000000u), (long)(wait % 1000000000u)};

		fds[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
		fds[1] = (struct pollfd){.fd = listener, .events = POLLIN};
		for (size_t i = 0; i < n_peers; i++)
			fds[i + 2] = (struct pollfd){.fd = peers[i].fd, .events = POLLIN};
		if (ppoll(fds, n_peers + 2, next > 0 ? &span : NULL, NULL) < 0)
			continue;
		if (fds[0].revents)
			return;
		for (size_t i = n_peers; i-- > 0;) {
			if (fds[i + 2].revents && !serve(&peers[i])) {
				(void)close(peers[i].fd);
				peers[i] = peers[--n_peers];
			}
		}
		if (fds[1].revents)
			take_peer(listener);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	n_cores = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	service_ns = argc > 2 ? strtod(argv[2], NULL) * 1e6 : 0;
	seed = argc > 3 ? strtoul(argv[3], NULL, 10) * 2654435761u + 88172645463325252u : 0;
	if (n_cores < 1 || n_cores > CORES_MAX || service_ns <= 0) {
		(void)fputs("usage: cores K MS [SEED]\n", stderr);
		return 2;
	}
	/* Otherwise the kernel wakes us up to 50 us late. */
	(void)prctl(PR_SET_TIMERSLACK, 1);
	build();
	if (bind(listener, (struct sockaddr *)&at, len) < 0 || listen(listener, PEERS_MAX) < 0 ||
		getsockname(listener, (struct sockaddr *)&at, &len) < 0) {
		perror("cores");
		return 1;
	}
	(void)printf("%d\n", ntohs(at.sin_port));
	(void)fflush(stdout);
	run(listener);
	return 0;
}
