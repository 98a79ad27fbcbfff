/*
 * mongo_op: see mongo_op.h. Called by h_mongodb.c from any worker thread. What a client sends becomes BSON by bson.c only;
 * operators reach the server only out of the configuration, or where it says `operators = yes`.
 * libmongoc cannot be interrupted, so a cancel is seen between documents and when the operation is over.
 */
#include "host/mongo_op.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "host/bson.h"
#include "host/bson_text.h"
#include "host/handler.h"
#include "host/task.h"

#define FRAME_BYTES 128 /* of a result beside its documents */

/* Args into BSON. */

static int refuse(struct mongo_request *request, int r, const char *param, const char *why)
{
	if (r == -EINVAL)
		result_fail(request->result, "refused", "%s: %s", param, why);
	else if (r == -ENOENT)
		result_fail(request->result, "args", "%s", why);
	else
		result_fail(request->result, "args", "%s: too large", param);
	return r;
}

static enum bson_keys keys_of(const struct mongo_request *request)
{
	return request->config->operators ? BSON_OPERATORS : BSON_PLAIN;
}

static int convert(
	struct mongo_request *request, const char *name, const json_t *json, bson_t *ret_bson)
{
	char why[BSON_WHY_SIZE];
	int r = bson_from_json(json, keys_of(request), ret_bson, why);

	return r < 0 ? refuse(request, r, name, why) : 0;
}

/* The configuration's, else the task's; nothing is as {}. */
static int convert_part(struct mongo_request *request, enum mongo_part part, bson_t *ret_bson)
{
	const json_t *fixed = request->config->parts[part];
	const char *name = mongo_part_name(part);
	char why[BSON_WHY_SIZE];

	if (!fixed)
		return convert(request, name, request->args.parts[part], ret_bson);
	int r = bson_from_template(fixed, request->json, keys_of(request), ret_bson, why);
	return r < 0 ? refuse(request, r, name, why) : 0;
}

static bool has_part(const struct mongo_request *request, enum mongo_part part)
{
	return request->config->parts[part] || request->args.parts[part];
}

/* opts.name = the part, if it was given. */
static int put_part(struct mongo_request *request, enum mongo_part part)
{
	const char *name = mongo_part_name(part);
	bson_t child;

	if (!has_part(request, part))
		return 0;
	if (!mongolib.bson_append_document_begin(&request->opts, name, -1, &child))
		return refuse(request, -E2BIG, name, "");
	int r = convert_part(request, part, &child);
	if (!mongolib.bson_append_document_end(&request->opts, &child) && r == 0)
		r = refuse(request, -E2BIG, name, "");
	return r;
}

static int put_int(struct mongo_request *request, const char *name, int64_t value)
{
	if (value > 0 && !mongolib.bson_append_int64(&request->opts, name, -1, value))
		return refuse(request, -E2BIG, name, "");
	return 0;
}

static int prepare_filter(struct mongo_request *request)
{
	return convert_part(request, PART_FILTER, &request->body);
}

static int prepare_find(struct mongo_request *request)
{
	struct mongo_args *args = &request->args;
	int64_t most = (int64_t)request->config->max_documents;

	int r = prepare_filter(request);
	if (r == 0)
		r = put_part(request, PART_PROJECTION);
	if (r == 0)
		r = put_part(request, PART_SORT);
	if (r == 0)
		r = put_int(request, "skip", args->skip);
	/* One more than is given out: so it is known whether there are more. */
	if (r == 0)
		r = put_int(request, "limit",
			args->limit > 0 && args->limit <= most ? args->limit : most + 1);
	return r;
}

static int prepare_aggregate(struct mongo_request *request)
{
	const json_t *given = request->args.parts[PART_PIPELINE];

	if (given && !json_is_array(given)) {
		result_fail(request->result, "args", "pipeline: an array");
		return -EINVAL;
	}
	return convert_part(request, PART_PIPELINE, &request->body);
}

/* Either one document, which may be the configuration's, or an array of them. */
static int prepare_insert(struct mongo_request *request)
{
	bool is_one = has_part(request, PART_DOCUMENT);
	const json_t *documents = request->args.documents;

	if (is_one == (documents != NULL) || (documents && !json_is_array(documents))) {
		result_fail(request->result, "args",
			"either document, an object, or documents, an array of objects");
		return -EINVAL;
	}
	size_t n = is_one ? 1 : json_array_size(documents);
	if (n == 0 || n > request->config->max_documents) {
		result_fail(request->result, "args", "documents: from 1 to %" PRIu64,
			request->config->max_documents);
		return -EINVAL;
	}
	return 0;
}

static int prepare_update(struct mongo_request *request)
{
	if (request->config->upsert &&
		!mongolib.bson_append_bool(&request->opts, "upsert", -1, true))
		return refuse(request, -E2BIG, "upsert", "");
	return prepare_filter(request);
}

/* Answers. */

static void give_failure(struct mongo_request *request, const bson_error_t *error, const char *json)
{
	mongo_on_failure(request->config->mongo, error, view_of(json), request->result);
}

static void give_done(struct mongo_request *request, struct buf *json, int r)
{
	mongo_on_success(request->config->mongo);
	if (r == 0)
		result_ok_buf(request->result, json);
	else
		result_fail(
			request->result, "failed", "the result cannot be told: %s", strerror(-r));
}

/* {"name":number}. */
static void give_number(struct mongo_request *request, const char *name, int64_t number)
{
	struct buf json;

	buf_init(&json, FRAME_BYTES);
	give_done(request, &json, buf_printf(&json, "{\"%s\":%" PRId64 "}", name, number));
	buf_done(&json);
}

static int64_t number_of(const bson_t *reply, const char *name)
{
	bson_iter_t at;

	return mongolib.bson_iter_init_find(&at, reply, name) ? mongolib.bson_iter_as_int64(&at)
							      : 0;
}

/* Documents of a cursor onto `json` up to its limit; how many. */
static int put_documents(struct mongo_request *request, mongoc_cursor_t *cursor, struct buf *json,
	uint64_t *ret_n, bool *ret_truncated)
{
	bool truncated = false;
	const bson_t *doc;
	uint64_t n = 0;
	int r = 0;

	while (r == 0 && !truncated && !task_is_cancelled(request->task) &&
		mongolib.mongoc_cursor_next(cursor, &doc)) {
		size_t before = buf_len(json);

		r = n > 0 ? buf_append(json, ",", 1) : 0;
		if (r == 0)
			r = bson_text_document(json, doc);
		truncated = r == -EMSGSIZE || n >= request->config->max_documents ||
			    buf_len(json) > json->limit - FRAME_BYTES / 2;
		if (truncated)
			buf_truncate(json, before);
		else
			n++;
		if (r == -EMSGSIZE)
			r = 0;
	}
	*ret_n = n;
	*ret_truncated = truncated;
	return r;
}

/* {"documents":[…],"count":n,"truncated":bool}; takes the cursor. */
static void give_documents(struct mongo_request *request, mongoc_cursor_t *cursor)
{
	bool truncated = false;
	struct buf json;
	bson_error_t error;
	uint64_t n = 0;

	buf_init(&json, task_offer(request->task)->max_output_bytes + FRAME_BYTES);
	int r = buf_printf(&json, "{\"documents\":[");
	if (r == 0)
		r = put_documents(request, cursor, &json, &n, &truncated);
	if (r == 0)
		r = buf_printf(&json, "],\"count\":%" PRIu64 ",\"truncated\":%s}", n,
			truncated ? "true" : "false");
	if (mongolib.mongoc_cursor_error(cursor, &error))
		give_failure(request, &error, NULL);
	else if (task_is_cancelled(request->task))
		result_cancel(request->result, (struct view){NULL, 0});
	else
		give_done(request, &json, r);
	buf_done(&json);
	mongolib.mongoc_cursor_destroy(cursor);
}

/* Operations. */

static void run_find(struct mongo_request *request)
{
	give_documents(request, mongolib.mongoc_collection_find_with_opts(
					request->collection, &request->body, &request->opts, NULL));
}

static void run_aggregate(struct mongo_request *request)
{
	give_documents(request, mongolib.mongoc_collection_aggregate(request->collection,
					MONGOC_QUERY_NONE, &request->body, &request->opts, NULL));
}

static void run_count(struct mongo_request *request)
{
	bson_error_t error;
	int64_t n = mongolib.mongoc_collection_count_documents(
		request->collection, &request->body, &request->opts, NULL, NULL, &error);

	if (n < 0)
		give_failure(request, &error, NULL);
	else
		give_number(request, "count", n);
}

static void insert_all(struct mongo_request *request, const bson_t **docs, size_t n)
{
	char told[FRAME_BYTES];
	bson_error_t error;
	bson_t reply;

	bool is_done = mongolib.mongoc_collection_insert_many(
		request->collection, docs, n, &request->opts, &reply, &error);
	int64_t inserted = number_of(&reply, "insertedCount");
	mongolib.bson_destroy(&reply);
	if (is_done) {
		give_number(request, "inserted", inserted);
		return;
	}
	(void)snprintf(told, sizeof(told), "{\"inserted\":%" PRId64 "}", inserted);
	give_failure(request, &error, told);
}

static int make_document(struct mongo_request *request, size_t i, bson_t *doc)
{
	if (!request->args.documents)
		return convert_part(request, PART_DOCUMENT, doc);
	const json_t *json = json_array_get(request->args.documents, i);
	if (json_is_object(json))
		return convert(request, "document", json, doc);
	result_fail(request->result, "args", "documents: an array of objects");
	return -EINVAL;
}

static void run_insert(struct mongo_request *request)
{
	size_t n = request->args.documents ? json_array_size(request->args.documents) : 1;
	bson_t **docs = calloc(n, sizeof(*docs));
	int r = 0;

	if (!docs) {
		result_fail(request->result, "failed", "no memory");
		return;
	}
	for (size_t i = 0; r == 0 && i < n; i++) {
		docs[i] = mongolib.bson_new();
		r = make_document(request, i, docs[i]);
	}
	if (r == 0)
		insert_all(request, (const bson_t **)docs, n);
	for (size_t i = 0; i < n && docs[i]; i++)
		mongolib.bson_destroy(docs[i]);
	free(docs);
}

/* {"matched":n,"modified":n}, and the id of what was put in: {"upserted":…}. */
static int put_update(struct buf *json, const bson_t *reply)
{
	bson_iter_t at;

	int r = buf_printf(json, "{\"matched\":%" PRId64 ",\"modified\":%" PRId64,
		number_of(reply, "matchedCount"), number_of(reply, "modifiedCount"));
	if (r == 0 && mongolib.bson_iter_init_find(&at, reply, "upsertedId")) {
		r = buf_printf(json, ",\"upserted\":");
		if (r == 0)
			r = bson_text_value(json, &at);
	}
	return r == 0 ? buf_append(json, "}", 1) : r;
}

/* A document whose first key is no operator takes the place of the one that is found. */
static bool is_replacement(const bson_t *update)
{
	bson_iter_t at;

	return !mongolib.bson_iter_init(&at, update) || !mongolib.bson_iter_next(&at) ||
	       *mongolib.bson_iter_key(&at) != '$';
}

static void update_by(struct mongo_request *request, const bson_t *update)
{
	bool replaces = is_replacement(update), is_done;
	struct buf json;
	bson_error_t error;
	bson_t reply;

	if (replaces && request->config->many) {
		result_fail(request->result, "refused",
			"update: with many = yes it is made of operators, such as $set");
		return;
	}
	if (replaces)
		is_done = mongolib.mongoc_collection_replace_one(request->collection,
			&request->body, update, &request->opts, &reply, &error);
	else if (request->config->many)
		is_done = mongolib.mongoc_collection_update_many(request->collection,
			&request->body, update, &request->opts, &reply, &error);
	else
		is_done = mongolib.mongoc_collection_update_one(request->collection, &request->body,
			update, &request->opts, &reply, &error);
	if (is_done) {
		buf_init(&json, task_offer(request->task)->max_output_bytes + FRAME_BYTES);
		give_done(request, &json, put_update(&json, &reply));
		buf_done(&json);
	} else {
		give_failure(request, &error, NULL);
	}
	mongolib.bson_destroy(&reply);
}

static void run_update(struct mongo_request *request)
{
	bson_t update = BSON_INITIALIZER;

	if (convert_part(request, PART_UPDATE, &update) == 0)
		update_by(request, &update);
	mongolib.bson_destroy(&update);
}

static void run_delete(struct mongo_request *request)
{
	bson_error_t error;
	bson_t reply;
	bool is_done;

	if (request->config->many)
		is_done = mongolib.mongoc_collection_delete_many(
			request->collection, &request->body, &request->opts, &reply, &error);
	else
		is_done = mongolib.mongoc_collection_delete_one(
			request->collection, &request->body, &request->opts, &reply, &error);
	if (is_done)
		give_number(request, "deleted", number_of(&reply, "deletedCount"));
	else
		give_failure(request, &error, NULL);
	mongolib.bson_destroy(&reply);
}

#define ARG(n, field, t, ...)                                                                      \
	{                                                                                          \
		.name = n, .type = t, .offset = offsetof(struct mongo_args, field), __VA_ARGS__    \
	}
#define FILTER(...) ARG("filter", parts[PART_FILTER], PARAM_OBJECT, __VA_ARGS__)
#define ALL_TEXT    .text = "which documents; all when it is not given"
#define ONE_TEXT    .flags = PARAM_REQUIRED, .text = "which documents"

static const struct param find_params[] = {
	FILTER(ALL_TEXT),
	ARG("projection", parts[PART_PROJECTION], PARAM_OBJECT, .text = "which of their fields"),
	ARG("sort", parts[PART_SORT], PARAM_OBJECT, .text = "in which order"),
	ARG("limit", limit, PARAM_INT, .min = 1, .max = INT32_MAX, .text = "documents at most"),
	ARG("skip", skip, PARAM_INT, .min = 0, .max = INT32_MAX,
		.text = "documents to leave out first"),
};
static const struct param count_params[] = {FILTER(ALL_TEXT)};
static const struct param aggregate_params[] = {
	ARG("pipeline", parts[PART_PIPELINE], PARAM_ANY, .flags = PARAM_REQUIRED,
		.text = "an array of stages"),
};
static const struct param insert_params[] = {
	ARG("document", parts[PART_DOCUMENT], PARAM_OBJECT, .text = "one document"),
	ARG("documents", documents, PARAM_ANY,
		.text = "an array of documents, instead of document"),
};
static const struct param update_params[] = {
	FILTER(ONE_TEXT),
	ARG("update", parts[PART_UPDATE], PARAM_OBJECT, .flags = PARAM_REQUIRED,
		.text = "operators, or a document that takes the old one's place"),
};
static const struct param delete_params[] = {FILTER(ONE_TEXT)};

#define PARAMS(table) (table), ARRAY_SIZE(table)

static const struct mongo_op ops[] = {
	{"find", "finds documents of a MongoDB collection", PARAMS(find_params), false, true,
		prepare_find, run_find},
	{"count", "counts documents of a MongoDB collection", PARAMS(count_params), false, true,
		prepare_filter, run_count},
	{"aggregate", "runs a pipeline over a MongoDB collection", PARAMS(aggregate_params), true,
		true, prepare_aggregate, run_aggregate},
	{"insert", "adds documents to a MongoDB collection", PARAMS(insert_params), false, true,
		prepare_insert, run_insert},
	{"update", "changes documents of a MongoDB collection", PARAMS(update_params), false, false,
		prepare_update, run_update},
	{"delete", "removes documents from a MongoDB collection", PARAMS(delete_params), false,
		false, prepare_filter, run_delete},
};

const struct mongo_op *mongo_op_find(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(ops); i++) {
		if (strcmp(ops[i].name, name) == 0)
			return &ops[i];
	}
	return NULL;
}
