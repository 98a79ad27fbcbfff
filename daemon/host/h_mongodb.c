/*
 * h_mongodb: one operation on one collection for a task. What a client sends becomes BSON by bson.c only; operators
 * reach the server only where the configuration says `operators = yes`.
 * A server that is away, silent or stopped fails the task within the timeouts of mongo.c and holds this worker only.
 * libmongoc cannot be interrupted, so a cancel is seen between documents and when the operation is over.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "host/bson.h"
#include "host/handler.h"
#include "host/mongo.h"
#include "host/result.h"
#include "host/task.h"

#define MAX_DOCUMENTS 1000
#define FRAME_BYTES   128 /* of a result beside its documents */

struct operation;

struct mongodb_config {
	char *uri; /* gone after start */
	char *operation_name;
	char *database;
	char *collection;
	struct mongo_timeouts timeouts;
	uint64_t max_pool_size;
	uint64_t max_documents;
	uint64_t max_time_us;
	bool operators;
	const struct operation *operation;
	struct mongo *mongo; /* borrows: the registry owns it */
};

/* What a task may say. */
struct mongodb_args {
	json_t *filter, *projection, *sort, *document, *documents, *pipeline;
	int64_t limit, skip;
};

/* One task under way. */
struct request {
	struct work *task;
	const struct mongodb_config *config;
	struct mongodb_args args;
	mongoc_collection_t *collection;
	bson_t body; /* filter or pipeline */
	bson_t opts;
	struct result *result;
};

struct operation {
	const char *name;
	const char *text; /* for people */
	const struct param *params;
	size_t n_params;
	bool needs_operators;
	int (*prepare)(struct request
			*request); /* args into body and opts; on failure the result is set */
	void (*run)(struct request *request);
};

#define FIELD(f) offsetof(struct mongodb_config, f)

static const struct setting settings[] = {
	{"uri", SETTING_TEXT, FIELD(uri), 0},
	{"server_selection_timeout", SETTING_U64, FIELD(timeouts.server_selection_us), 0},
	{"connect_timeout", SETTING_U64, FIELD(timeouts.connect_us), 0},
	{"socket_timeout", SETTING_U64, FIELD(timeouts.socket_us), 0},
	{"max_pool_size", SETTING_U64, FIELD(max_pool_size), 0},
	{"operation", SETTING_TEXT, FIELD(operation_name), 0},
	{"database", SETTING_TEXT, FIELD(database), 0},
	{"collection", SETTING_TEXT, FIELD(collection), 0},
	{"max_documents", SETTING_U64, FIELD(max_documents), 0},
	{"max_time", SETTING_U64, FIELD(max_time_us), 0},
	{"operators", SETTING_BOOL, FIELD(operators), 0},
};

static const struct mongodb_config defaults = {
	.timeouts = {2 * US_PER_SEC, 1 * US_PER_SEC, 3 * US_PER_SEC},
	.max_pool_size = 100,
	.max_documents = MAX_DOCUMENTS,
};

/* Args into BSON. */

static int refuse(struct request *request, int r, const char *param, const char *why)
{
	if (r == -EINVAL)
		result_fail(request->result, "refused", "%s: %s", param, why);
	else
		result_fail(request->result, "args", "%s: too large", param);
	return r;
}

static int convert(struct request *request, const char *param, const json_t *json, bson_t *ret_bson)
{
	char why[BSON_WHY_SIZE];
	int r = bson_from_json(
		json, request->config->operators ? BSON_OPERATORS : BSON_PLAIN, ret_bson, why);

	return r < 0 ? refuse(request, r, param, why) : 0;
}

/* opts.name = json, if it was given. */
static int put_object(struct request *request, const char *name, const json_t *json)
{
	bson_t child;

	if (!json)
		return 0;
	if (!bson_append_document_begin(&request->opts, name, -1, &child))
		return refuse(request, -E2BIG, name, "");
	int r = convert(request, name, json, &child);
	if (!bson_append_document_end(&request->opts, &child) && r == 0)
		r = refuse(request, -E2BIG, name, "");
	return r;
}

static int put_int(struct request *request, const char *name, int64_t value)
{
	if (value > 0 && !BSON_APPEND_INT64(&request->opts, name, value))
		return refuse(request, -E2BIG, name, "");
	return 0;
}

/* What the server may take: max_time, or what is left until the task's deadline. So it gives up too, and soon enough. */
static int put_max_time(struct request *request)
{
	uint64_t us = request->config->max_time_us, deadline_us = task_deadline_us(request->task),
		 now_us = clock_now_us();

	if (deadline_us > 0 && deadline_us <= now_us) {
		result_fail(request->result, "timeout",
			"the time of the task was over before it began");
		return -ETIMEDOUT;
	}
	if (deadline_us > 0 && (us == 0 || deadline_us - now_us < us))
		us = deadline_us - now_us;
	/* Rounded up: 0 would mean none. The server takes no more than 31 bits. */
	uint64_t ms = (us + US_PER_MS - 1) / US_PER_MS;
	return put_int(request, "maxTimeMS", ms > INT32_MAX ? INT32_MAX : (int64_t)ms);
}

static int prepare_filter(struct request *request)
{
	return convert(request, "filter", request->args.filter, &request->body);
}

static int prepare_find(struct request *request)
{
	struct mongodb_args *args = &request->args;
	int64_t most = (int64_t)request->config->max_documents;

	int r = prepare_filter(request);
	if (r == 0)
		r = put_object(request, "projection", args->projection);
	if (r == 0)
		r = put_object(request, "sort", args->sort);
	if (r == 0)
		r = put_int(request, "skip", args->skip);
	/* One more than is given out: so it is known whether there are more. */
	if (r == 0)
		r = put_int(request, "limit",
			args->limit > 0 && args->limit <= most ? args->limit : most + 1);
	return r;
}

static int prepare_aggregate(struct request *request)
{
	if (!json_is_array(request->args.pipeline)) {
		result_fail(request->result, "args", "pipeline: an array");
		return -EINVAL;
	}
	return convert(request, "pipeline", request->args.pipeline, &request->body);
}

static int prepare_insert(struct request *request)
{
	struct mongodb_args *args = &request->args;

	if (!args->document == !args->documents ||
		(args->documents && !json_is_array(args->documents))) {
		result_fail(request->result, "args",
			"either document, an object, or documents, an array of objects");
		return -EINVAL;
	}
	size_t n = args->document ? 1 : json_array_size(args->documents);
	if (n == 0 || n > request->config->max_documents) {
		result_fail(request->result, "args", "documents: from 1 to %" PRIu64,
			request->config->max_documents);
		return -EINVAL;
	}
	return 0;
}

/* Operations. */

/* Documents of a cursor as {"documents":[…],"count":n,"truncated":bool}; takes the cursor. */
static void give_documents(struct request *request, mongoc_cursor_t *cursor)
{
	struct buf json;
	const bson_t *doc;
	bson_error_t error;
	uint64_t n = 0;
	bool truncated = false;

	buf_init(&json, task_offer(request->task)->max_output_bytes + FRAME_BYTES);
	int r = buf_printf(&json, "{\"documents\":[");
	while (r == 0 && !truncated && !task_is_cancelled(request->task) &&
		mongoc_cursor_next(cursor, &doc)) {
		size_t len, before = buf_len(&json);
		char *text = bson_as_relaxed_extended_json(doc, &len);

		r = !text ? -EBADMSG : n > 0 ? buf_append(&json, ",", 1) : 0;
		if (r == 0)
			r = buf_append(&json, text, len);
		bson_free(text);
		truncated = r == -EMSGSIZE || n >= request->config->max_documents ||
			    buf_len(&json) > json.limit - FRAME_BYTES / 2;
		if (truncated)
			buf_truncate(&json, before);
		else
			n++;
		if (r == -EMSGSIZE)
			r = 0;
	}
	if (r == 0)
		r = buf_printf(&json, "],\"count\":%" PRIu64 ",\"truncated\":%s}", n,
			truncated ? "true" : "false");
	if (mongoc_cursor_error(cursor, &error)) {
		mongo_on_failure(
			request->config->mongo, &error, (struct view){NULL, 0}, request->result);
	} else {
		mongo_on_success(request->config->mongo);
		if (task_is_cancelled(request->task))
			result_cancel(request->result, (struct view){NULL, 0});
		else if (r == 0)
			result_ok_buf(request->result, &json);
		else
			result_fail(request->result, "failed", "the documents cannot be told: %s",
				strerror(-r));
	}
	buf_done(&json);
	mongoc_cursor_destroy(cursor);
}

static void run_find(struct request *request)
{
	give_documents(request, mongoc_collection_find_with_opts(
					request->collection, &request->body, &request->opts, NULL));
}

static void run_aggregate(struct request *request)
{
	give_documents(request, mongoc_collection_aggregate(request->collection, MONGOC_QUERY_NONE,
					&request->body, &request->opts, NULL));
}

static void give_number(struct request *request, const char *name, int64_t number)
{
	struct buf json;

	buf_init(&json, FRAME_BYTES);
	if (buf_printf(&json, "{\"%s\":%" PRId64 "}", name, number) == 0)
		result_ok_buf(request->result, &json);
	else
		result_fail(request->result, "failed", "no memory");
	buf_done(&json);
}

static void run_count(struct request *request)
{
	bson_error_t error;
	int64_t n = mongoc_collection_count_documents(
		request->collection, &request->body, &request->opts, NULL, NULL, &error);

	if (n < 0) {
		mongo_on_failure(
			request->config->mongo, &error, (struct view){NULL, 0}, request->result);
		return;
	}
	mongo_on_success(request->config->mongo);
	give_number(request, "count", n);
}

static void insert_all(struct request *request, const bson_t **docs, size_t n)
{
	char told[FRAME_BYTES];
	bson_error_t error;
	bson_t reply;
	bson_iter_t at;

	bool is_done = mongoc_collection_insert_many(
		request->collection, docs, n, &request->opts, &reply, &error);
	int64_t inserted =
		bson_iter_init_find(&at, &reply, "insertedCount") ? bson_iter_as_int64(&at) : 0;
	bson_destroy(&reply);
	if (is_done) {
		mongo_on_success(request->config->mongo);
		give_number(request, "inserted", inserted);
		return;
	}
	(void)snprintf(told, sizeof(told), "{\"inserted\":%" PRId64 "}", inserted);
	mongo_on_failure(request->config->mongo, &error, view_of(told), request->result);
}

static int make_documents(struct request *request, bson_t **docs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const json_t *json = request->args.document
					     ? request->args.document
					     : json_array_get(request->args.documents, i);
		if (!json_is_object(json)) {
			result_fail(request->result, "args", "documents: an array of objects");
			return -EINVAL;
		}
		docs[i] = bson_new();
		int r = convert(request, "document", json, docs[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static void run_insert(struct request *request)
{
	size_t n = request->args.document ? 1 : json_array_size(request->args.documents);
	bson_t **docs = calloc(n, sizeof(*docs));

	if (!docs) {
		result_fail(request->result, "failed", "no memory");
		return;
	}
	if (make_documents(request, docs, n) == 0)
		insert_all(request, (const bson_t **)docs, n);
	for (size_t i = 0; i < n; i++) {
		if (docs[i])
			bson_destroy(docs[i]);
	}
	free(docs);
}

#define ARG(n, t, ...)                                                                             \
	{                                                                                          \
		.name = #n, .type = t, .offset = offsetof(struct mongodb_args, n), __VA_ARGS__     \
	}

static const struct param find_params[] = {
	ARG(filter, PARAM_OBJECT, .text = "which documents; all when it is not given"),
	ARG(projection, PARAM_OBJECT, .text = "which of their fields"),
	ARG(sort, PARAM_OBJECT, .text = "in which order"),
	ARG(limit, PARAM_INT, .min = 1, .max = INT32_MAX, .text = "documents at most"),
	ARG(skip, PARAM_INT, .min = 0, .max = INT32_MAX, .text = "documents to leave out first"),
};
static const struct param count_params[] = {
	ARG(filter, PARAM_OBJECT, .text = "which documents; all when it is not given"),
};
static const struct param insert_params[] = {
	ARG(document, PARAM_OBJECT, .text = "one document"),
	ARG(documents, PARAM_ANY, .text = "an array of documents, instead of document"),
};
static const struct param aggregate_params[] = {
	ARG(pipeline, PARAM_ANY, .flags = PARAM_REQUIRED, .text = "an array of stages"),
};

static const struct operation operations[] = {
	{"find", "finds documents of a MongoDB collection", find_params, ARRAY_SIZE(find_params),
		false, prepare_find, run_find},
	{"count", "counts documents of a MongoDB collection", count_params,
		ARRAY_SIZE(count_params), false, prepare_filter, run_count},
	{"insert", "adds documents to a MongoDB collection", insert_params,
		ARRAY_SIZE(insert_params), false, prepare_insert, run_insert},
	{"aggregate", "runs a pipeline over a MongoDB collection", aggregate_params,
		ARRAY_SIZE(aggregate_params), true, prepare_aggregate, run_aggregate},
};

static void run_with_client(struct request *request)
{
	const struct mongodb_config *config = request->config;
	mongoc_client_t *client = mongo_pop(config->mongo);

	if (!client) {
		result_fail(request->result, "unavailable", "MongoDB: all connections are in use");
		return;
	}
	/* Here, for the wait for a connection took its part of the time. */
	if (put_max_time(request) == 0) {
		request->collection =
			mongoc_client_get_collection(client, config->database, config->collection);
		config->operation->run(request);
		mongoc_collection_destroy(request->collection);
	}
	mongo_push(config->mongo, client);
}

static void mongodb_run(struct work *task, struct result *result)
{
	struct request request = {
		.task = task, .config = task_offer(task)->config, .result = result};

	if (task_read_args(task, &request.args, result) < 0)
		return;
	bson_init(&request.body);
	bson_init(&request.opts);
	int r = request.config->operation->prepare(&request);
	if (r == 0)
		run_with_client(&request);
	bson_destroy(&request.body);
	bson_destroy(&request.opts);
	if (task_is_cancelled(task) && result->outcome != OUTCOME_OK)
		result_cancel(result, (struct view){NULL, 0});
}

static const struct operation *find_operation(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(operations); i++) {
		if (strcmp(operations[i].name, name) == 0)
			return &operations[i];
	}
	return NULL;
}

/* What is missing, or NULL. */
static const char *find_fault(const struct mongodb_config *config)
{
	if (!config->operation)
		return "operation: find, count, insert or aggregate";
	if (config->operation->needs_operators && !config->operators)
		return "a pipeline is made of operators: aggregate needs operators = yes";
	if (!config->uri || !config->database || !config->collection || !*config->uri ||
		!*config->database || !*config->collection)
		return "needs a uri, a database and a collection";
	if (config->max_documents == 0 || config->max_documents >= INT32_MAX)
		return "max_documents: not a value for it";
	return NULL;
}

static int mongodb_start(struct offer *offer, char ret_why[SETTING_WHY_SIZE])
{
	struct mongodb_config *config = offer->config;

	config->operation = find_operation(config->operation_name);
	const char *fault = find_fault(config);
	if (fault) {
		(void)snprintf(ret_why, SETTING_WHY_SIZE, "%s", fault);
		return -EINVAL;
	}
	int r = mongo_get(&offer->registry->mongos, config->uri, &config->timeouts,
		config->max_pool_size, &config->mongo, ret_why);
	explicit_bzero(config->uri, strlen(config->uri));
	free(take(config->uri));
	offer->params = config->operation->params;
	offer->n_params = config->operation->n_params;
	offer->text = config->operation->text;
	return r;
}

const struct handler handler_mongodb = {
	.name = "mongodb",
	.text = "one operation on a collection of a MongoDB server",
	.checked = true,
	.settings = settings,
	.n_settings = ARRAY_SIZE(settings),
	.config_bytes = sizeof(struct mongodb_config),
	.defaults = &defaults,
	.start = mongodb_start,
	.run = mongodb_run,
};
