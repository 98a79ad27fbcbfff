/*
 * h_mongodb: one operation on one collection for a task (mongo_op.c), with parts that the configuration gives
 * (mongo_part.c) on connections that all handlers of a server share (mongo.c).
 * A server that is away, silent or stopped fails the task within the timeouts of mongo.c and holds this worker only.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "host/handler.h"
#include "host/mongo_op.h"
#include "host/task.h"

#define MAX_DOCUMENTS 1000

#define FIELD(f) offsetof(struct mongo_config, f)

static const struct setting settings[] = {
	{"uri", SETTING_TEXT, FIELD(uri), 0},
	{"server_selection_timeout", SETTING_U64, FIELD(timeouts.server_selection_us), 0},
	{"connect_timeout", SETTING_U64, FIELD(timeouts.connect_us), 0},
	{"socket_timeout", SETTING_U64, FIELD(timeouts.socket_us), 0},
	{"max_pool_size", SETTING_U64, FIELD(max_pool_size), 0},
	{"operation", SETTING_TEXT, FIELD(operation_name), 0},
	{"database", SETTING_TEXT, FIELD(database), 0},
	{"collection", SETTING_TEXT, FIELD(collection), 0},
	{"filter", SETTING_TEXT, FIELD(part_texts[PART_FILTER]), 0},
	{"projection", SETTING_TEXT, FIELD(part_texts[PART_PROJECTION]), 0},
	{"sort", SETTING_TEXT, FIELD(part_texts[PART_SORT]), 0},
	{"update", SETTING_TEXT, FIELD(part_texts[PART_UPDATE]), 0},
	{"document", SETTING_TEXT, FIELD(part_texts[PART_DOCUMENT]), 0},
	{"pipeline", SETTING_TEXT, FIELD(part_texts[PART_PIPELINE]), 0},
	{"many", SETTING_BOOL, FIELD(many), 0},
	{"upsert", SETTING_BOOL, FIELD(upsert), 0},
	{"read_concern", SETTING_TEXT, FIELD(read_concern), 0},
	{"write_concern", SETTING_TEXT, FIELD(write_concern), 0},
	{"max_documents", SETTING_U64, FIELD(max_documents), 0},
	{"max_time", SETTING_U64, FIELD(max_time_us), 0},
	{"operators", SETTING_BOOL, FIELD(operators), 0},
};

static const struct mongo_config defaults = {
	.timeouts = {2 * US_PER_SEC, 1 * US_PER_SEC, 3 * US_PER_SEC},
	.max_pool_size = 1024,
	.max_documents = MAX_DOCUMENTS,
};

/* What the server may take: max_time, or what is left until the task's deadline. So it gives up too, and soon enough. */
static int put_max_time(struct mongo_request *request)
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
	if (ms > 0 && request->config->op->takes_time &&
		!mongolib.bson_append_int64(&request->opts, "maxTimeMS", -1,
			ms > INT32_MAX ? INT32_MAX : (int64_t)ms)) {
		result_fail(request->result, "failed", "no memory");
		return -ENOMEM;
	}
	return 0;
}

static void run_with_client(struct mongo_request *request)
{
	const struct mongo_config *config = request->config;
	mongoc_client_t *client = mongo_pop(config->mongo);

	if (!client) {
		result_fail(request->result, "unavailable", "MongoDB: all connections are in use");
		return;
	}
	/* Here, for the wait for a connection took its part of the time. */
	if (put_max_time(request) == 0) {
		request->collection = mongolib.mongoc_client_get_collection(
			client, config->database, config->collection);
		if (config->reads)
			mongolib.mongoc_collection_set_read_concern(
				request->collection, config->reads);
		if (config->writes)
			mongolib.mongoc_collection_set_write_concern(
				request->collection, config->writes);
		config->op->run(request);
		mongolib.mongoc_collection_destroy(request->collection);
	}
	mongo_push(config->mongo, client);
}

static void mongodb_run(struct work *task, struct result *result)
{
	struct mongo_request request = {
		.task = task, .config = task_offer(task)->config, .result = result};
	json_t *json;

	if (task_read_args(task, &request.args, result) < 0 ||
		task_read_json(task, result, &json) < 0)
		return;
	request.json = json;
	mongolib.bson_init(&request.body);
	mongolib.bson_init(&request.opts);
	int r = request.config->op->prepare(&request);
	if (r == 0)
		run_with_client(&request);
	mongolib.bson_destroy(&request.body);
	mongolib.bson_destroy(&request.opts);
	if (task_is_cancelled(task) && result->outcome != OUTCOME_OK)
		result_cancel(result, (struct view){NULL, 0});
}

static int read_parts(struct mongo_config *config, char ret_why[SETTING_WHY_SIZE])
{
	int r = 0;

	for (int i = 0; r == 0 && i < MONGO_PARTS; i++) {
		const char *text = config->part_texts[i];

		if (!text || !*text)
			continue;
		r = mongo_part_parse((enum mongo_part)i, text, &config->parts[i], ret_why);
	}
	return r;
}

/* What is missing, or NULL. */
static const char *find_fault(const struct mongo_config *config)
{
	if (config->op->needs_operators && !config->operators && !config->parts[PART_PIPELINE])
		return "a pipeline is made of operators: aggregate needs operators = yes, or a "
		       "pipeline of the configuration";
	if (!config->uri || !config->database || !config->collection || !*config->uri ||
		!*config->database || !*config->collection)
		return "needs a uri, a database and a collection";
	if (config->max_documents == 0 || config->max_documents >= INT32_MAX)
		return "max_documents: not a value for it";
	return NULL;
}

static void set_concerns(struct mongo_config *config)
{
	const char *reads = config->read_concern, *writes = config->write_concern;

	if (reads && *reads) {
		config->reads = mongolib.mongoc_read_concern_new();
		(void)mongolib.mongoc_read_concern_set_level(config->reads, reads);
	}
	if (writes && *writes) {
		config->writes = mongolib.mongoc_write_concern_new();
		mongolib.mongoc_write_concern_set_w(config->writes,
			strcmp(writes, "majority") == 0 ? MONGOC_WRITE_CONCERN_W_MAJORITY
							: atoi(writes));
	}
}

static void mongodb_stop(struct offer *offer)
{
	struct mongo_config *config = offer->config;

	for (size_t i = 0; i < MONGO_PARTS; i++)
		json_decref(config->parts[i]);
	mongo_part_params_done(&config->params);
	if (config->reads)
		mongolib.mongoc_read_concern_destroy(config->reads);
	if (config->writes)
		mongolib.mongoc_write_concern_destroy(config->writes);
}

/* On failure what was made stays for mongodb_stop(). */
static int make(struct offer *offer, struct mongo_config *config, char ret_why[SETTING_WHY_SIZE])
{
	config->op = mongo_op_find(config->operation_name);
	if (!config->op) {
		(void)snprintf(ret_why, SETTING_WHY_SIZE, "operation: " MONGO_OP_NAMES);
		return -EINVAL;
	}
	int r = read_parts(config, ret_why);
	const char *fault = r == 0 ? find_fault(config) : NULL;
	if (fault) {
		(void)snprintf(ret_why, SETTING_WHY_SIZE, "%s", fault);
		return -EINVAL;
	}
	if (r == 0)
		r = mongo_part_params(&config->params, config->op->params, config->op->n_params,
			config->parts, ret_why);
	if (r == 0)
		r = mongo_get(&offer->registry->mongos, config->uri, &config->timeouts,
			config->max_pool_size, &config->mongo, ret_why);
	if (r == 0)
		set_concerns(config);
	return r;
}

static int mongodb_start(struct offer *offer, char ret_why[SETTING_WHY_SIZE])
{
	struct mongo_config *config = offer->config;
	int r = make(offer, config, ret_why);

	if (config->uri)
		explicit_bzero(config->uri, strlen(config->uri));
	free(take(config->uri));
	if (r < 0) {
		mongodb_stop(offer);
		return r;
	}
	offer->params = config->params.rows;
	offer->n_params = config->params.n;
	offer->text = config->op->text;
	return 0;
}

const struct handler handler_mongodb = {
	.name = "mongodb",
	.text = "one operation on a collection of a MongoDB server",
	.checked = true,
	.settings = settings,
	.n_settings = ARRAY_SIZE(settings),
	.config_bytes = sizeof(struct mongo_config),
	.defaults = &defaults,
	.start = mongodb_start,
	.stop = mongodb_stop,
	.run = mongodb_run,
};
