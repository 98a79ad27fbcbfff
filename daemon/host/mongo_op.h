/*
 * mongo_op: the operations of a handler of type mongodb, a row each: what a task may say, and how it is done.
 */
#ifndef WORKPOOL_HOST_MONGO_OP_H
#define WORKPOOL_HOST_MONGO_OP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/mongo.h"
#include "host/mongo_part.h"
#include "host/result.h"

struct work;

/* What the configuration says of a handler. */
struct mongo_config {
	char *uri; /* gone after the start */
	char *operation_name;
	char *database;
	char *collection;
	char *part_texts[MONGO_PARTS];
	char *read_concern;  /* "" or NULL: the server's own, as all of these */
	char *write_concern; /* "majority", or a number of servers */
	struct mongo_timeouts timeouts;
	uint64_t max_pool_size;
	uint64_t max_documents;
	uint64_t max_time_us;
	bool operators; /* tasks may use them */
	bool many;      /* update, delete: all that the filter finds */
	bool upsert;
	/* From here on made at the start. */
	const struct mongo_op *op;
	json_t *parts[MONGO_PARTS]; /* own: NULL: a task may give it */
	struct mongo_params params;
	struct mongo *mongo; /* borrows: the registry owns it */
	mongoc_read_concern_t *reads;
	mongoc_write_concern_t *writes;
};

/* What a task may say. */
struct mongo_args {
	json_t *parts[MONGO_PARTS];
	json_t *documents;
	int64_t limit, skip;
};

/* One task under way. */
struct mongo_request {
	struct work *task;
	const struct mongo_config *config;
	const json_t *json; /* all that the task says */
	struct mongo_args args;
	mongoc_collection_t *collection;
	bson_t body; /* filter or pipeline */
	bson_t opts;
	struct result *result;
};

struct mongo_op {
	const char *name;
	const char *text; /* for people */
	const struct param *params;
	size_t n_params;
	bool needs_operators; /* unless the configuration gives its pipeline */
	bool takes_time; /* maxTimeMS; libmongoc puts an update's and a delete's where no server takes it */
	int (*prepare)(struct mongo_request
			*request); /* into body and opts; on failure the result is set */
	void (*run)(struct mongo_request *request);
};

/* NULL: there is none of that name. */
const struct mongo_op *mongo_op_find(const char *name);
#define MONGO_OP_NAMES "find, count, aggregate, insert, update or delete"

#endif
