/*
 * mongo: see mongo.h. Called by h_mongodb.c: mongo_get() at the start, the rest from any worker thread.
 * libmongoc waits 30 s for a server by default, and without end for one that is stopped: here every URI gets bounds.
 * Secrets: a URI is in no message: neither ours, nor libmongoc's, whose log is off while it reads one.
 */
#include "host/mongo.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"

#define ERROR_API     2   /* all errors of the server in one domain, with the server's codes */
#define MESSAGE_SIZE  640 /* a bson_error_t's message and our words */
#define CODE_MAX_TIME 50  /* MaxTimeMSExpired */

/* Codes of a server that is there but cannot serve now (error_codes.yml of MongoDB). */
static const uint32_t away_codes[] = {6 /* HostUnreachable */, 7 /* HostNotFound */,
	89 /* NetworkTimeout */, 91 /* ShutdownInProgress */, 189 /* PrimarySteppedDown */,
	9001 /* SocketException */, 10107 /* NotWritablePrimary */,
	11600 /* InterruptedAtShutdown */, 11602 /* InterruptedDueToReplStateChange */,
	13435 /* NotPrimaryNoSecondaryOk */, 13436 /* NotPrimaryOrSecondary */};

static void on_log(mongoc_log_level_t level, const char *domain, const char *message, void *arg)
{
	char text[LOG_QUOTE_MAX + 1];

	(void)arg;
	(void)log_quote(message, strlen(message), text);
	if (level < MONGOC_LOG_LEVEL_WARNING) /* of a server that is away it warns with each task */
		log_warning("mongoc", "%s: %s", domain, text);
	else
		log_debug("mongoc", "%s: %s", domain, text);
}

static int32_t ms_of(uint64_t us)
{
	uint64_t ms = us / US_PER_MS;

	return ms < 1 ? 1 : ms > INT32_MAX ? INT32_MAX : (int32_t)ms;
}

static bool set_timeouts(mongoc_uri_t *uri, const struct mongo_timeouts *timeouts)
{
	const struct {
		const char *key;
		uint64_t us;
	} rows[] = {
		{MONGOC_URI_SERVERSELECTIONTIMEOUTMS, timeouts->server_selection_us},
		{MONGOC_URI_CONNECTTIMEOUTMS, timeouts->connect_us},
		{MONGOC_URI_SOCKETTIMEOUTMS, timeouts->socket_us},
		{MONGOC_URI_WAITQUEUETIMEOUTMS, timeouts->server_selection_us},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!mongolib.mongoc_uri_has_option(uri, rows[i].key) &&
			!mongolib.mongoc_uri_set_option_as_int32(
				uri, rows[i].key, ms_of(rows[i].us)))
			return false;
	}
	return mongolib.mongoc_uri_set_appname(uri, "workpool-host") ||
	       mongolib.mongoc_uri_get_appname(uri);
}

/* A process that knows a password leaves no core and cannot be looked into by others of its user. */
static void hide_memory(void)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		log_warning("mongodb_core", "cannot turn core files off: %s", strerror(errno));
}

/* NULL: no memory. */
static char *name_hosts(const mongoc_uri_t *uri)
{
	struct buf names;

	buf_init(&names, 4096);
	/* A list that is too long for a log line is cut: -EMSGSIZE. */
	for (const mongoc_host_list_t *host = mongolib.mongoc_uri_get_hosts(uri); host;
		host = host->next)
		IGNORE(buf_printf(
			&names, "%s%s", buf_len(&names) > 0 ? ", " : "", host->host_and_port));
	struct view text = buf_view(&names);
	char *copy = mem_dup(text.data, text.len);
	buf_done(&names);
	return copy;
}

static void mongo_free(struct mongo *mongo)
{
	if (mongo->pool)
		mongoc_client_pool_destroy(mongo->pool);
	if (mongo->uri)
		explicit_bzero(mongo->uri, strlen(mongo->uri));
	free(mongo->uri);
	free(mongo->hosts);
	free(mongo);
}

static struct mongo *mongo_new(const char *text, const mongoc_uri_t *uri, uint64_t max_pool_size)
{
	struct mongo *mongo = calloc(1, sizeof(*mongo));

	if (!mongo)
		return NULL;
	mongo->uri = strdup(text);
	mongo->hosts = name_hosts(uri);
	if (mongo->uri && mongo->hosts)
		mongo->pool = mongolib.mongoc_client_pool_new(uri);
	if (!mongo->pool) {
		mongo_free(mongo);
		return NULL;
	}
	if (!mongolib.mongoc_uri_has_option(uri, MONGOC_URI_MAXPOOLSIZE) && max_pool_size > 0)
		mongolib.mongoc_client_pool_max_size(mongo->pool,
			max_pool_size > UINT32_MAX ? UINT32_MAX : (uint32_t)max_pool_size);
	(void)mongolib.mongoc_client_pool_set_error_api(mongo->pool, ERROR_API);
	return mongo;
}

int mongo_get(struct mongo_list *list, const char *text, const struct mongo_timeouts *timeouts,
	uint64_t max_pool_size, struct mongo **ret_mongo, char ret_why[SETTING_WHY_SIZE])
{
	struct mongo *mongo;
	bson_error_t error;

	TAILQ_FOREACH (mongo, list, link) {
		if (strcmp(mongo->uri, text) == 0) {
			*ret_mongo = mongo;
			return 0;
		}
	}
	int r = mongolib_open(ret_why);
	if (r < 0)
		return r;
	mongolib.mongoc_init();
	mongolib.mongoc_log_set_handler(NULL, NULL);
	mongoc_uri_t *uri = mongolib.mongoc_uri_new_with_error(text, &error);
	bool is_good = uri && set_timeouts(uri, timeouts);
	mongolib.mongoc_log_set_handler(on_log, NULL);
	mongo = is_good ? mongo_new(text, uri, max_pool_size) : NULL;
	if (mongo && mongolib.mongoc_uri_get_password(uri))
		hide_memory();
	if (uri)
		mongolib.mongoc_uri_destroy(uri);
	if (!mongo) {
		(void)snprintf(ret_why, SETTING_WHY_SIZE,
			"uri: this is not one that the MongoDB library can use");
		return -EINVAL;
	}
	TAILQ_INSERT_TAIL(list, mongo, link);
	*ret_mongo = mongo;
	return 0;
}

mongoc_client_t *mongo_pop(struct mongo *mongo)
{
	return mongolib.mongoc_client_pool_pop(mongo->pool);
}

void mongo_push(struct mongo *mongo, mongoc_client_t *client)
{
	mongolib.mongoc_client_pool_push(mongo->pool, client);
}

void mongo_on_success(struct mongo *mongo)
{
	if (atomic_exchange(&mongo->is_away, false))
		log_notice("mongodb_back", "MongoDB at %s is back", mongo->hosts);
}

static bool is_away(const bson_error_t *error)
{
	if (error->domain == MONGOC_ERROR_SERVER_SELECTION || error->domain == MONGOC_ERROR_STREAM)
		return true;
	if (error->domain == MONGOC_ERROR_SERVER) {
		for (size_t i = 0; i < ARRAY_SIZE(away_codes); i++) {
			if (error->code == away_codes[i])
				return true;
		}
	}
	return false;
}

void mongo_on_failure(
	struct mongo *mongo, const bson_error_t *error, struct view json, struct result *result)
{
	bool away = is_away(error);
	bool is_timeout = error->domain == MONGOC_ERROR_SERVER && error->code == CODE_MAX_TIME;
	char sentence[MESSAGE_SIZE], text[LOG_QUOTE_MAX + 1];

	if (!away)
		mongo_on_success(mongo); /* it has answered */
	else if (!atomic_exchange(&mongo->is_away, true))
		log_warning("mongodb_away", "MongoDB at %s is not available: %s", mongo->hosts,
			log_quote(error->message, strlen(error->message), text));
	(void)snprintf(sentence, sizeof(sentence), "MongoDB: %s", error->message);
	result_fail_with(result,
		away         ? "unavailable"
		: is_timeout ? "timeout"
			     : "failed",
		json, sentence);
}
