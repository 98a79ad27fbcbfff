/*
 * mongo: the servers that this host talks to: one pool of connections for each, bounds on every wait, and the words in
 * which a failure is told. Not for what is asked of them (h_mongodb.c).
 */
#ifndef WORKPOOL_HOST_MONGO_H
#define WORKPOOL_HOST_MONGO_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/tailq.h"
#include "host/handler.h"
#include "host/mongolib.h"
#include "host/result.h"
#include "host/setting.h"

struct mongo_timeouts {
	uint64_t server_selection_us;
	uint64_t connect_us;
	uint64_t socket_us;
};

struct mongo {
	char *uri;                  /* owns: secret; what makes two of them the same */
	char *hosts;                /* owns: "a:27017, b:27017", for the log */
	mongoc_client_pool_t *pool; /* owns; has its own lock; open until the process ends */
	atomic_bool is_away;        /* the last operation found no server */
	TAILQ_ENTRY(mongo) link;    /* in: the list */
};

/*
 * The server of this URI, from the list or new; what the URI says about timeouts wins. Loads libmongoc at first. Connects to
 * nothing yet. Before the first thread. -EINVAL: ret_why, without the URI; -ENOENT: ret_why, no library; -ENOMEM.
 */
int mongo_get(struct mongo_list *list, const char *uri, const struct mongo_timeouts *timeouts,
	uint64_t max_pool_size, struct mongo **ret_mongo,
	char ret_why[SETTING_WHY_SIZE]) MUST_CHECK;

/* A connection, waiting no longer than the server selection timeout; NULL: all are in use all the time. */
mongoc_client_t *mongo_pop(struct mongo *mongo) MUST_CHECK;
void mongo_push(struct mongo *mongo, mongoc_client_t *client);

/* What happened to an operation; the first failure in a row and the first success after it are logged. */
void mongo_on_success(struct mongo *mongo);
/* Sets the result: reason "unavailable", "timeout" or "failed"; json as in result_fail_with(). */
void mongo_on_failure(
	struct mongo *mongo, const bson_error_t *error, struct view json, struct result *result);

#endif
