/*
 * finds run URI WORKERS SECS WARM_UP_SECS: what workpoold does when it runs finds, done by a plain program: so
 * many threads and one mongoc_client_pool. Batches of 100 tasks, each of which finds the documents of
 * stations.h, keeps them all and looks at every value. Prints a line as load.c does.
 * finds fill URI: puts the documents there.
 */
#include <err.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <mongoc/mongoc.h>

#include "cpu.h"
#include "figures.h"
#include "stations.h"

#define BATCH       100
#define SAMPLES_MAX 4096

struct work {
	mongoc_client_pool_t *clients;  /* owns */
	atomic_int left;                /* tasks that nobody has taken */
	atomic_long n_bytes;            /* that were looked at, so that nobody leaves it out */
	pthread_barrier_t begins, ends; /* a batch */
};

static long look_at(bson_iter_t *iter)
{
	long n = 0;

	while (bson_iter_next(iter)) {
		bson_iter_t inner;
		uint32_t len = 8;

		if (BSON_ITER_HOLDS_UTF8(iter))
			(void)bson_iter_utf8(iter, &len);
		else if (bson_iter_recurse(iter, &inner))
			len = (uint32_t)look_at(&inner);
		n += len;
	}
	return n;
}

static mongoc_collection_t *stations_of(mongoc_client_t *client)
{
	return mongoc_client_get_collection(client, STATIONS_DATABASE, STATIONS_COLLECTION);
}

static long find(mongoc_client_t *client)
{
	mongoc_collection_t *collection = stations_of(client);
	bson_t filter = BSON_INITIALIZER,
	       *opts = BCON_NEW("sort", "{", "station_id", BCON_INT32(1), "}");
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, &filter, opts, NULL);
	bson_t *kept[STATIONS];
	const bson_t *document;
	bson_error_t error;
	bson_iter_t iter;
	long n = 0;
	int n_kept = 0;

	while (n_kept < STATIONS && mongoc_cursor_next(cursor, &document)) {
		kept[n_kept++] = bson_copy(document);
		if (bson_iter_init(&iter, document))
			n += look_at(&iter);
	}
	if (mongoc_cursor_error(cursor, &error))
		errx(1, "find: %s", error.message);
	if (n_kept != STATIONS)
		errx(1, "%d documents", n_kept);
	while (n_kept > 0)
		bson_destroy(kept[--n_kept]);
	mongoc_cursor_destroy(cursor);
	bson_destroy(opts);
	mongoc_collection_destroy(collection);
	return n;
}

static void *worker(void *arg)
{
	struct work *work = arg;

	for (;;) {
		(void)pthread_barrier_wait(&work->begins);
		while (atomic_fetch_sub(&work->left, 1) > 0) {
			mongoc_client_t *client = mongoc_client_pool_pop(work->clients);

			atomic_fetch_add(&work->n_bytes, find(client));
			mongoc_client_pool_push(work->clients, client);
		}
		(void)pthread_barrier_wait(&work->ends);
	}
	return NULL;
}

static uint64_t run_until(struct work *work, struct samples *samples, uint64_t until_ns)
{
	uint64_t begun_ns, now_ns, n = 0;

	samples->n = 0;
	do {
		begun_ns = cpu_now_ns();
		atomic_store(&work->left, BATCH);
		(void)pthread_barrier_wait(&work->begins);
		(void)pthread_barrier_wait(&work->ends);
		now_ns = cpu_now_ns();
		if (samples->n < SAMPLES_MAX)
			samples->ns[samples->n++] = (uint32_t)(now_ns - begun_ns);
		n += BATCH;
	} while (now_ns < until_ns);
	return n;
}

/* The threads end with the process. */
static void run(const mongoc_uri_t *uri, unsigned n_workers, double secs, double warm_up_secs)
{
	static uint32_t times_ns[SAMPLES_MAX];
	static struct work work;
	struct samples samples = {.ns = times_ns};
	struct watched watched = {.cpu = cpu_pinned_to()};
	struct mark before, after;
	pthread_t thread;
	uint64_t n;

	work.clients = mongoc_client_pool_new(uri);
	mongoc_client_pool_max_size(work.clients, n_workers);
	(void)pthread_barrier_init(&work.begins, NULL, n_workers + 1);
	(void)pthread_barrier_init(&work.ends, NULL, n_workers + 1);
	for (unsigned i = 0; i < n_workers; i++)
		if (pthread_create(&thread, NULL, worker, &work) != 0)
			errx(1, "no thread");
	(void)run_until(&work, &samples, cpu_now_ns() + (uint64_t)(warm_up_secs * 1e9));
	figures_begin(&watched, &before);
	n = run_until(&work, &samples, before.at_ns + (uint64_t)(secs * 1e9));
	figures_end(&watched, &after);
	figures_print(&watched, &before, &after, &samples, (double)n);
}

static void fill(const mongoc_uri_t *uri)
{
	mongoc_client_t *client = mongoc_client_new_from_uri(uri);
	mongoc_collection_t *collection = stations_of(client);
	bson_error_t error;

	(void)mongoc_collection_drop(collection, NULL); /* it need not be there */
	for (int i = 0; i < STATIONS; i++) {
		bson_t *station = stations_new(i * 7919 % 100000); /* in no order */

		if (!mongoc_collection_insert_one(collection, station, NULL, NULL, &error))
			errx(1, "insert: %s", error.message);
		bson_destroy(station);
	}
	mongoc_collection_destroy(collection);
	mongoc_client_destroy(client);
}

int main(int argc, char **argv)
{
	mongoc_uri_t *uri;

	mongoc_init();
	mongoc_log_set_handler(
		NULL, NULL); /* some servers know no endSessions: a warning each time */
	uri = argc > 2 ? mongoc_uri_new(argv[2]) : NULL;
	if (uri != NULL && argc == 3 && strcmp(argv[1], "fill") == 0)
		fill(uri);
	else if (uri != NULL && argc == 6 && strcmp(argv[1], "run") == 0 && atoi(argv[3]) > 0)
		run(uri, (unsigned)atoi(argv[3]), atof(argv[4]), atof(argv[5]));
	else
		errx(64, "usage: finds run URI WORKERS SECS WARM_UP_SECS | finds fill URI");
	return 0;
}
