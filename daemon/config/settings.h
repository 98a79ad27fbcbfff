/*
 * settings: what the configuration says, as plain data. Filled by config.c from the table in keys.c
 * (every field below has its row there, with default, range and unit); read by everybody, changed
 * by nobody: a reload makes a new one. Strings are never NULL: what is not given is "".
 */
#ifndef WORKPOOL_CONFIG_SETTINGS_H
#define WORKPOOL_CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_NAME_MAX      64   /* bytes of a name: letters, digits, "-", "_", "." */
#define SETTINGS_WORKERS_MAX   1024 /* workers of one pool */
#define SETTINGS_POOLS_MAX     256
#define SETTINGS_HANDLERS_MAX  1024 /* the built-in ones counted */
#define SETTINGS_RESOURCES_MAX 64
#define SETTINGS_USED_MAX      8 /* resources of one handler */

struct extras;
struct origins;

enum stop_mode { STOP_DRAIN, STOP_FINISH, STOP_NOW };
enum store_type { STORE_MEMORY, STORE_SQLITE };
enum store_sync { STORE_SYNC_FULL, STORE_SYNC_NORMAL };
enum on_full { ON_FULL_REFUSE, ON_FULL_WAIT };
enum isolation { ISOLATION_SHARED, ISOLATION_TASK };
enum on_crash { ON_CRASH_RETRY, ON_CRASH_LOST };
enum unique_policy { UNIQUE_JOIN, UNIQUE_REFUSE };

/* `workers = 24` or `workers = 3/core`. */
struct workers_rule {
	uint32_t number;
	bool per_core;
};

struct settings_daemon {
	char *socket;        /* "": chosen by net/listen */
	char *state_dir;     /* "": chosen by store/store.c */
	int log;             /* enum log_target */
	int log_level;       /* enum log_level */
	uint64_t max_active; /* tasks of all pools together; 0: no cap */
	uint64_t max_connections;
	uint64_t max_connections_per_uid;
	uint64_t max_message_bytes;
	uint64_t max_output_bytes;
	uint64_t receive_timeout_us;
	uint64_t stop_timeout_us;
	int stop_mode;        /* enum stop_mode */
	uint64_t history_max; /* ended tasks that are kept */
	uint64_t history_age_us;
};

/* Lists of words: "alice, @admins": a user or an @group, parted by commas or blanks. */
struct settings_access {
	bool given; /* the section is there */
	char *admin;
	char *post;
	char *read;
};

struct settings_store {
	int type; /* enum store_type */
	int sync; /* enum store_sync */
	uint64_t max_size_bytes;
	uint64_t reserve_bytes; /* of max_size, for what is no post */
};

struct settings_mongodb {
	char *uri; /* secret: never shown or logged */
	uint64_t server_selection_timeout_us;
	uint64_t connect_timeout_us;
	uint64_t socket_timeout_us;
	uint64_t max_pool_size;
};

/* What something outside bears, whichever pools and handlers use it. */
struct settings_resource {
	char *name;
	uint64_t max_active;       /* weights of active tasks together; 0: no cap */
	uint64_t rate;             /* starts a second; 0: no limit */
	uint64_t burst;            /* starts at once */
	uint64_t breaker_failures; /* in a row; 0: no breaker */
	uint64_t breaker_pause_us; /* the first one */
};

struct settings_pool {
	char *name;
	struct workers_rule workers;
	uint64_t capacity;
	int on_full;          /* enum on_full */
	uint64_t wait_max_us; /* of a post, for room */
	bool paused;
	int isolation; /* enum isolation */
	bool leaving;  /* no file has it any more: see reload.h */
};

struct settings_handler {
	char *name;
	char *type; /* builtin, exec, coprocess, mongodb, plugin */
	char *pool;
	uint64_t timeout_us; /* 0: none */
	uint64_t max_args_bytes;
	uint64_t max_output_bytes;
	uint64_t kill_after_us;
	char *allow; /* as settings_access; "": whoever may post */
	uint64_t retries;
	uint64_t backoff_min_us; /* at most backoff_max_us */
	uint64_t backoff_max_us;
	int on_crash; /* enum on_crash */
	uint64_t crash_max;
	uint64_t max_active;   /* 0: no cap */
	uint64_t weight;       /* at most max_active of each of its resources that has a cap */
	uint64_t priority;     /* 0: first … 9 */
	uint64_t expires_us;   /* 0: never */
	int unique;            /* enum unique_policy */
	char *resources;       /* names, parted by commas or blanks */
	uint32_t *resource_at; /* owns; the same as places in settings->resources, none twice */
	size_t n_resources;    /* at most SETTINGS_USED_MAX */
	/* exec, coprocess */
	char *command;
	char *standard_input; /* exec: args, none (the key is "stdin") */
	char *environment;
	char *working_directory;
	bool sandbox;
	char *write_paths; /* words, as in a command */
	uint64_t umask;
	uint64_t memory_max_bytes;
	uint64_t cpu_time_us;
	uint64_t file_size_max_bytes;
	uint64_t open_files_max;
	int64_t nice;
	uint64_t recycle_tasks;     /* coprocess; 0: any number */
	uint64_t recycle_rss_bytes; /* coprocess; 0: any size */
	/* mongodb */
	char *operation;
	char *database;
	char *collection;
	uint64_t max_documents;
	uint64_t max_time_us;
	char *filter; /* JSON, as those that follow; "": a task gives it */
	char *projection;
	char *sort;
	char *update;
	char *document;
	char *pipeline;
	bool many;
	bool upsert;
	char *read_concern;
	char *write_concern;
	bool operators; /* keys with "$" and "." are taken from a client */
	/* plugin */
	char *module;
	char *symbol;
	struct extras *extras; /* owns: its own settings, see extras.h; NULL: none */
};

struct settings {
	struct settings_daemon daemon;
	struct settings_access access;
	struct settings_store store;
	struct settings_mongodb mongodb;
	struct settings_resource *resources; /* owns */
	size_t n_resources;
	struct settings_pool *pools; /* owns; at least "default" */
	size_t n_pools;
	struct settings_handler *handlers; /* owns; the built-in ones first */
	size_t n_handlers;
	struct origins *origins; /* owns: where each value was said; see origins.h */
};

void settings_free(struct settings *settings);
const struct settings_resource *settings_find_resource(
	const struct settings *settings, const char *name);
const struct settings_pool *settings_find_pool(const struct settings *settings, const char *name);
const struct settings_handler *settings_find_handler(
	const struct settings *settings, const char *name);
/* Its tasks run in its own pool only: other pools' hosts are not told of it, since it could bring them down. */
bool settings_is_bound(const struct settings_handler *handler);
/* The number that a rule gives on a host with `cores` cores, within 1 … SETTINGS_WORKERS_MAX. */
uint32_t settings_workers(struct workers_rule rule, uint32_t cores);

#endif
