/*
 * keys: the rows. The macros below take a field's type from settings.h and do not compile when a
 * row's type is another one.
 */
#include "config/keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

/* The offset of a field that must be of type `ctype`. */
#define AT(scope, field, ctype)                                                                    \
	.offset = _Generic(&((struct settings_##scope *)0)->field, ctype *                         \
			   : offsetof(struct settings_##scope, field))

#define BOOL(scope, field)        .type = CONFIG_BOOL, AT(scope, field, bool)
#define INT(scope, field)         .type = CONFIG_INT, AT(scope, field, int64_t)
#define U64(scope, field)         .type = CONFIG_U64, AT(scope, field, uint64_t)
#define BYTES(scope, field)       .type = CONFIG_BYTES, AT(scope, field, uint64_t)
#define DURATION(scope, field)    .type = CONFIG_DURATION, AT(scope, field, uint64_t)
#define OCTAL(scope, field)       .type = CONFIG_OCTAL, AT(scope, field, uint64_t)
#define WORKERS(scope, field)     .type = CONFIG_WORKERS, AT(scope, field, struct workers_rule)
#define ENUM(scope, field)        .type = CONFIG_ENUM, AT(scope, field, int)
#define WORD(scope, field)        .type = CONFIG_WORD, AT(scope, field, char *)
#define NAME(scope, field)        .type = CONFIG_NAME, AT(scope, field, char *)
#define STRING(scope, field)      .type = CONFIG_STRING, AT(scope, field, char *)
#define JSON(scope, field)        .type = CONFIG_JSON, AT(scope, field, char *)
#define URI(scope, field)         .type = CONFIG_URI, AT(scope, field, char *)
#define LIST(scope, field)        .type = CONFIG_LIST, AT(scope, field, char *)
#define NAMES(scope, field)       .type = CONFIG_NAMES, AT(scope, field, char *)
#define PATH(scope, field)        .type = CONFIG_PATH, AT(scope, field, char *)
#define COMMAND(scope, field)     .type = CONFIG_COMMAND, AT(scope, field, char *)
#define ENVIRONMENT(scope, field) .type = CONFIG_ENVIRONMENT, AT(scope, field, char *)
#define PATHS(scope, field)       .type = CONFIG_PATHS, AT(scope, field, char *)

#define LIVE      CONFIG_LIVE
#define HOST      CONFIG_HOST
#define SECRET    CONFIG_SECRET
#define ZERO      CONFIG_ZERO
#define ALL       CONFIG_ALL_HANDLERS
#define EXEC      CONFIG_EXEC
#define COPROCESS CONFIG_COPROCESS
#define PROGRAM   CONFIG_PROGRAMS
#define MONGO     CONFIG_MONGO
#define PLUGIN    CONFIG_PLUGIN

#define KIB  INT64_C(1024)
#define MIB  (1024 * KIB)
#define TIB  (MIB * MIB)
#define MS   INT64_C(1000)
#define SEC  (1000 * MS)
#define MIN  (60 * SEC)
#define HOUR (60 * MIN)
#define DAY  (24 * HOUR)

/* A row: what it is; what it may hold; what it is for. */
static const struct config_key rows[] = {
	{CONFIG_DAEMON, "socket", PATH(daemon, socket), .initial = "", .max = 107,
		.example = "/run/workpoold/control.sock",
		.text = "Unix socket of the control protocol; without it systemd's, else "
			"$XDG_RUNTIME_DIR/workpoold/control.sock or "
			"/run/workpoold/control.sock"},
	{CONFIG_DAEMON, "state_dir", PATH(daemon, state_dir), .initial = "", .max = 3900,
		.example = "/var/lib/workpoold",
		.text = "the folder of the store's file; without it systemd's $STATE_DIRECTORY, "
			"else "
			"/var/lib/workpoold for root and $XDG_STATE_HOME/workpoold for others"},
	{CONFIG_DAEMON, "log", ENUM(daemon, log), .initial = "auto", .min = LOG_AUTO,
		.words = "auto stderr journal",
		.text = "where the log goes; auto: the journal if standard error goes there"},
	{CONFIG_DAEMON, "log_level", ENUM(daemon, log_level), .initial = "info", .min = LOG_L_ERROR,
		.words = "error warning notice info debug", .flags = LIVE,
		.text = "the least important events that are still logged"},
	{CONFIG_DAEMON, "max_active", U64(daemon, max_active), .initial = "0", .min = 0,
		.max = 1000000, .unit = "tasks", .flags = LIVE,
		.text = "tasks of all pools together that run at the same time; 0: no cap"},
	{CONFIG_DAEMON, "max_connections", U64(daemon, max_connections), .initial = "1024",
		.min = 1, .max = 65536, .unit = "connections", .flags = LIVE,
		.text = "connections of all users together; one more is refused with Busy"},
	{CONFIG_DAEMON, "max_connections_per_uid", U64(daemon, max_connections_per_uid),
		.initial = "256", .min = 1, .max = 65536, .unit = "connections", .flags = LIVE,
		.text = "connections of one user"},
	{CONFIG_DAEMON, "max_message", BYTES(daemon, max_message_bytes), .initial = "1M",
		.min = 4 * KIB, .max = 4 * MIB,
		.text = "longest message of a client; the bound of every handler's max_args"},
	{CONFIG_DAEMON, "max_output", BYTES(daemon, max_output_bytes), .initial = "1M", .min = KIB,
		.max = 4 * MIB, .flags = LIVE,
		.text = "longest result of a task, the bound of every handler's max_output; and "
			"how much of its replies a client may leave unread before its calls wait"},
	{CONFIG_DAEMON, "receive_timeout", DURATION(daemon, receive_timeout_us), .initial = "10s",
		.min = 100 * MS, .max = HOUR, .flags = LIVE | ZERO,
		.text = "how long a message that has begun may take to arrive"},
	{CONFIG_DAEMON, "stop_timeout", DURATION(daemon, stop_timeout_us), .initial = "80s",
		.min = 100 * MS, .max = DAY, .flags = LIVE | ZERO,
		.text = "how long stopping waits for active tasks before it ends them"},
	{CONFIG_DAEMON, "stop_mode", ENUM(daemon, stop_mode), .initial = "finish",
		.min = STOP_DRAIN, .words = "drain finish now", .flags = LIVE,
		.text = "what a stop does: drain runs all that is queued, finish only what is "
			"active, now ends that too"},
	{CONFIG_DAEMON, "history_max", U64(daemon, history_max), .initial = "10000", .min = 0,
		.max = 1000000, .unit = "tasks", .flags = LIVE,
		.text = "ended tasks that can still be asked about"},
	{CONFIG_DAEMON, "history_age", DURATION(daemon, history_age_us), .initial = "1h",
		.min = SEC, .max = 30 * DAY, .flags = LIVE,
		.text = "how long an ended task can be asked about"},

	{CONFIG_ACCESS, "admin", LIST(access, admin), .initial = "", .max = 4096, .flags = LIVE,
		.example = "root, @adm",
		.text = "may do everything: resize, pause, drain, stop, and see any task"},
	{CONFIG_ACCESS, "post", LIST(access, post), .initial = "", .max = 4096, .flags = LIVE,
		.example = "www-data, @staff",
		.text = "may post tasks and wait for their own, and what read may"},
	{CONFIG_ACCESS, "read", LIST(access, read), .initial = "", .max = 4096, .flags = LIVE,
		.example = "@users",
		.text = "may see statistics and lists, without the payloads of others"},

	{CONFIG_STORE, "type", ENUM(store, type), .initial = "memory", .min = STORE_MEMORY,
		.words = "memory sqlite", .shipped = "sqlite",
		.text = "where tasks are kept; memory: a killed daemon loses what has not ended; "
			"sqlite: in a file, and a post is answered when it is on disk"},
	{CONFIG_STORE, "sync", ENUM(store, sync), .initial = "full", .min = STORE_SYNC_FULL,
		.words = "full normal",
		.text = "full: what is answered is on the disk; normal: it survives the daemon, "
			"but a "
			"power cut may lose the last of it"},
	{CONFIG_STORE, "max_size", BYTES(store, max_size_bytes), .initial = "1G", .min = MIB,
		.max = TIB,
		.text = "how large the file may grow; then posts get the error StorageFull"},
	{CONFIG_STORE, "reserve", BYTES(store, reserve_bytes), .initial = "16M", .min = 0,
		.max = TIB,
		.text = "how much of max_size, and of the disk, posts leave for results; at most a "
			"quarter of max_size"},

	{CONFIG_MONGODB, "uri", URI(mongodb, uri), .initial = "", .max = 2048,
		.words = "mongodb:// mongodb+srv://", .flags = HOST | SECRET,
		.example = "mongodb://localhost:27017",
		.text = "the server; better given as the systemd credential mongodb-uri; a file "
			"with a password must have mode 0600"},
	{CONFIG_MONGODB, "server_selection_timeout", DURATION(mongodb, server_selection_timeout_us),
		.initial = "2s", .min = 10 * MS, .max = 5 * MIN, .flags = HOST,
		.text = "how long a task waits for a server that answers"},
	{CONFIG_MONGODB, "connect_timeout", DURATION(mongodb, connect_timeout_us), .initial = "1s",
		.min = 10 * MS, .max = MIN, .flags = HOST,
		.text = "how long opening one connection may take"},
	{CONFIG_MONGODB, "socket_timeout", DURATION(mongodb, socket_timeout_us), .initial = "3s",
		.min = 10 * MS, .max = HOUR, .flags = HOST,
		.text = "how long a server may stay silent"},
	{CONFIG_MONGODB, "max_pool_size", U64(mongodb, max_pool_size), .initial = "1024", .min = 1,
		.max = 4096, .unit = "connections", .flags = HOST,
		.text = "connections that one host process has at most; there is one for each busy "
			"worker"},

	{CONFIG_RESOURCE, "max_active", U64(resource, max_active), .initial = "0", .min = 0,
		.max = 1000000, .unit = "weights", .flags = LIVE,
		.text = "tasks that use it at the same time, each counted by its handler's weight; "
			"0: no cap"},
	{CONFIG_RESOURCE, "rate", U64(resource, rate), .initial = "0", .min = 0, .max = 1000000,
		.unit = "tasks", .flags = LIVE,
		.text = "tasks that use it and start within one second; 0: no limit"},
	{CONFIG_RESOURCE, "burst", U64(resource, burst), .initial = "1", .min = 1, .max = 1000000,
		.unit = "tasks", .flags = LIVE,
		.text = "tasks that may start at once after a quiet time, before rate parts them"},
	{CONFIG_RESOURCE, "breaker_failures", U64(resource, breaker_failures), .initial = "5",
		.min = 0, .max = 1000000, .unit = "failures", .flags = LIVE,
		.text = "failures in a row of tasks that use it, after which none starts for the "
			"time breaker_pause; 0: no such breaker"},
	{CONFIG_RESOURCE, "breaker_pause", DURATION(resource, breaker_pause_us), .initial = "5s",
		.min = 10 * MS, .max = HOUR, .flags = LIVE,
		.text = "how long none starts before a single one tries; twice as long after each "
			"try that fails, up to 1min"},

	{CONFIG_POOL, "workers", WORKERS(pool, workers), .initial = "3/core", .min = 1,
		.max = SETTINGS_WORKERS_MAX, .unit = "workers", .flags = LIVE,
		.text = "tasks that run at the same time; N/core: N for every processor that the "
			"daemon may use"},
	{CONFIG_POOL, "capacity", U64(pool, capacity), .initial = "100", .min = 0, .max = 1000000,
		.unit = "tasks", .flags = LIVE,
		.text = "tasks that may wait for a worker; 0: run at once or refuse"},
	{CONFIG_POOL, "on_full", ENUM(pool, on_full), .initial = "refuse", .min = ON_FULL_REFUSE,
		.words = "refuse wait", .flags = LIVE,
		.text = "what a post to a full queue gets: refuse: the error AtCapacity at once; "
			"wait: its answer when there is room, or that error after wait_max"},
	{CONFIG_POOL, "wait_max", DURATION(pool, wait_max_us), .initial = "30s", .min = MS,
		.max = DAY, .flags = LIVE, .text = "how long a post waits for room at most"},
	{CONFIG_POOL, "paused", BOOL(pool, paused), .initial = "no",
		.text = "start without taking tasks off the queue, until wpctl resume"},
	{CONFIG_POOL, "isolation", ENUM(pool, isolation), .initial = "shared",
		.min = ISOLATION_SHARED, .words = "shared task", .flags = LIVE,
		.text = "shared: one host process with a thread for each worker; task: a host "
			"process for each worker, so that a crash costs one task only"},

	{CONFIG_HANDLER, "type", WORD(handler, type), .initial = "",
		.words = "builtin exec coprocess mongodb plugin", .types = ALL, .example = "exec",
		.text = "what runs the tasks: a program for each (exec), a program that is kept "
			"for the next one (coprocess), an operation of MongoDB (mongodb) or a "
			"shared object (plugin); must be given; builtin is only for the built-in "
			"ones"},
	{CONFIG_HANDLER, "pool", NAME(handler, pool), .initial = "default",
		.max = SETTINGS_NAME_MAX, .types = ALL, .text = "the pool whose workers run it"},
	{CONFIG_HANDLER, "timeout", DURATION(handler, timeout_us), .initial = "30min", .min = MS,
		.max = 30 * DAY, .flags = LIVE | ZERO, .types = ALL,
		.text = "how long a task may run"},
	{CONFIG_HANDLER, "max_args", BYTES(handler, max_args_bytes), .initial = "1M", .min = 2,
		.max = 4 * MIB, .types = ALL,
		.text = "longest arguments of a task, as JSON; at most the daemon's max_message"},
	{CONFIG_HANDLER, "max_output", BYTES(handler, max_output_bytes), .initial = "64K", .min = 0,
		.max = 4 * MIB, .flags = HOST, .types = ALL,
		.text = "longest result; a longer one is cut, and said so; at most the daemon's "
			"max_output"},
	{CONFIG_HANDLER, "kill_after", DURATION(handler, kill_after_us), .initial = "5s", .min = 0,
		.max = 10 * MIN, .flags = HOST, .types = ALL,
		.text = "between asking a task to end (SIGTERM) and making it (SIGKILL)"},
	{CONFIG_HANDLER, "allow", LIST(handler, allow), .initial = "", .max = 4096, .flags = LIVE,
		.types = ALL, .example = "www-data, @staff",
		.text = "who may post to it; without it whoever may post at all"},
	{CONFIG_HANDLER, "retries", U64(handler, retries), .initial = "0", .min = 0, .max = 1000000,
		.unit = "runs", .flags = LIVE, .types = ALL,
		.text = "how often a task that failed is run again"},
	{CONFIG_HANDLER, "backoff_min", DURATION(handler, backoff_min_us), .initial = "1s",
		.min = MS, .max = DAY, .flags = LIVE, .types = ALL,
		.text = "how long a failed task waits for its second run; twice as long for each "
			"one after it, give or take 20 %; at most backoff_max"},
	{CONFIG_HANDLER, "backoff_max", DURATION(handler, backoff_max_us), .initial = "10min",
		.min = MS, .max = 30 * DAY, .flags = LIVE, .types = ALL,
		.text = "how long a failed task waits for its next run at most"},
	{CONFIG_HANDLER, "on_crash", ENUM(handler, on_crash), .initial = "retry",
		.min = ON_CRASH_RETRY, .words = "retry lost", .flags = LIVE, .types = ALL,
		.text = "what becomes of a task whose process died: retry: it is run again; lost: "
			"it ends as lost"},
	{CONFIG_HANDLER, "crash_max", U64(handler, crash_max), .initial = "2", .min = 1,
		.max = 1000, .unit = "crashes", .flags = LIVE, .types = ALL,
		.text = "crashes with which a task ends as failed and is not run again"},
	{CONFIG_HANDLER, "max_active", U64(handler, max_active), .initial = "0", .min = 0,
		.max = 1000000, .unit = "tasks", .flags = LIVE, .types = ALL,
		.text = "tasks of this handler that run at the same time; 0: no cap"},
	{CONFIG_HANDLER, "weight", U64(handler, weight), .initial = "1", .min = 1, .max = 1000000,
		.flags = LIVE, .types = ALL,
		.text = "what one task counts for in the max_active of its resources"},
	{CONFIG_HANDLER, "priority", U64(handler, priority), .initial = "5", .min = 0, .max = 9,
		.flags = LIVE, .types = ALL,
		.text = "the priority of a task whose post says none: 0 is first, 9 last"},
	{CONFIG_HANDLER, "expires", DURATION(handler, expires_us), .initial = "0", .min = MS,
		.max = 30 * DAY, .flags = LIVE | ZERO, .types = ALL,
		.text = "a task that has not started this long after its post, or its delay, ends "
			"as "
			"expired"},
	{CONFIG_HANDLER, "unique", ENUM(handler, unique), .initial = "join", .min = UNIQUE_JOIN,
		.words = "join refuse", .flags = LIVE, .types = ALL,
		.text = "what a post gets whose unique key belongs to a task that has not ended: "
			"join: that task's id; refuse: the error Duplicate"},
	{CONFIG_HANDLER, "resources", NAMES(handler, resources), .initial = "", .max = 1024,
		.types = ALL, .example = "database",
		.text = "the resources that a task uses, at most 8: it starts when all bear it"},
	{CONFIG_HANDLER, "command", COMMAND(handler, command), .initial = "", .max = 4096,
		.flags = HOST, .types = PROGRAM, .example = "/usr/local/bin/thumbnail --size 200",
		.text = "the program and its fixed arguments, quoted as for a "
			"shell, but run without one; must be given"},
	{CONFIG_HANDLER, "stdin", WORD(handler, standard_input), .initial = "args",
		.words = "args none", .flags = HOST, .types = EXEC,
		.text = "what the program reads: the task's arguments as JSON ({} if it has none), "
			"or nothing"},
	{CONFIG_HANDLER, "environment", ENVIRONMENT(handler, environment), .initial = "",
		.max = 4096, .flags = HOST, .types = PROGRAM, .example = "TZ=UTC TITLE='two words'",
		.text = "NAME=value words that are added to the program's "
			"otherwise clean environment"},
	{CONFIG_HANDLER, "working_directory", PATH(handler, working_directory), .initial = "",
		.max = 4095, .flags = HOST, .types = PROGRAM, .example = "/var/lib/thumbnails",
		.text = "where the program starts; without it in a directory of "
			"its own that goes with the task, or with the program if that is kept"},
	{CONFIG_HANDLER, "sandbox", BOOL(handler, sandbox), .initial = "yes", .flags = HOST,
		.types = PROGRAM,
		.text = "keep the program from writing anywhere but to its directory and "
			"write_paths, and from the daemon's files, signals and processes, as far "
			"as the kernel can"},
	{CONFIG_HANDLER, "write_paths", PATHS(handler, write_paths), .initial = "", .max = 4096,
		.flags = HOST, .types = PROGRAM, .example = "/var/lib/thumbnails /dev/shm",
		.text = "what else the program may write to in its sandbox, with all that is "
			"below"},
	{CONFIG_HANDLER, "umask", OCTAL(handler, umask), .initial = "077", .min = 0, .max = 0777,
		.flags = HOST, .types = PROGRAM,
		.text = "the permission bits that files of the program do not get"},
	{CONFIG_HANDLER, "memory_max", BYTES(handler, memory_max_bytes), .initial = "0", .min = MIB,
		.max = TIB, .flags = HOST | ZERO, .types = PROGRAM,
		.text = "address space of the program (RLIMIT_AS)"},
	{CONFIG_HANDLER, "cpu_time", DURATION(handler, cpu_time_us), .initial = "0", .min = SEC,
		.max = 30 * DAY, .flags = HOST | ZERO, .types = PROGRAM,
		.text = "processor time of the program, in whole seconds (RLIMIT_CPU)"},
	{CONFIG_HANDLER, "file_size_max", BYTES(handler, file_size_max_bytes), .initial = "0",
		.min = 1, .max = TIB, .flags = HOST | ZERO, .types = PROGRAM,
		.text = "longest file that the program may write (RLIMIT_FSIZE)"},
	{CONFIG_HANDLER, "open_files_max", U64(handler, open_files_max), .initial = "0", .min = 8,
		.max = 1048576, .unit = "descriptors", .flags = HOST | ZERO, .types = PROGRAM,
		.text = "open files of the program (RLIMIT_NOFILE)"},
	{CONFIG_HANDLER, "nice", INT(handler, nice), .initial = "0", .min = -20, .max = 19,
		.flags = HOST, .types = PROGRAM,
		.text = "priority of the program, 19 the lowest; below 0 takes privilege"},
	{CONFIG_HANDLER, "recycle_tasks", U64(handler, recycle_tasks), .initial = "0", .min = 0,
		.max = 1000000000, .unit = "tasks", .flags = HOST, .types = COPROCESS,
		.text = "a program that has answered so many tasks is ended, and the next task has "
			"a new one; 0: any number"},
	{CONFIG_HANDLER, "recycle_rss", BYTES(handler, recycle_rss_bytes), .initial = "0",
		.min = MIB, .max = TIB, .flags = HOST | ZERO, .types = COPROCESS,
		.text = "the same for a program that has more than this in memory (RSS, without "
			"its children) after a task"},
	{CONFIG_HANDLER, "operation", WORD(handler, operation), .initial = "",
		.words = "find count aggregate insert update delete", .flags = HOST, .types = MONGO,
		.example = "find", .text = "what a task does with the collection; must be given"},
	{CONFIG_HANDLER, "database", STRING(handler, database), .initial = "", .max = 63,
		.words = "/\\. \"$*<>:|?", .flags = HOST, .types = MONGO, .example = "shop",
		.text = "the database's name; must be given"},
	{CONFIG_HANDLER, "collection", STRING(handler, collection), .initial = "", .max = 120,
		.words = "$", .flags = HOST, .types = MONGO, .example = "orders",
		.text = "the collection's name; must be given"},
	{CONFIG_HANDLER, "filter", JSON(handler, filter), .initial = "", .max = 4096, .flags = HOST,
		.types = MONGO, .example = "{\"customer\": \"$args.customer\"}",
		.text = "find, count, update, delete: which documents, as JSON; \"$args.NAME\" is "
			"the value of that argument, which a task must give then; without it a "
			"task gives the filter"},
	{CONFIG_HANDLER, "projection", JSON(handler, projection), .initial = "", .max = 4096,
		.flags = HOST, .types = MONGO, .example = "{\"_id\": 0, \"total\": 1}",
		.text = "find: which of their fields, as filter"},
	{CONFIG_HANDLER, "sort", JSON(handler, sort), .initial = "", .max = 4096, .flags = HOST,
		.types = MONGO, .example = "{\"date\": -1}",
		.text = "find: in which order, as filter"},
	{CONFIG_HANDLER, "update", JSON(handler, update), .initial = "", .max = 4096, .flags = HOST,
		.types = MONGO, .example = "{\"$set\": {\"state\": \"$args.state\"}}",
		.text = "update: operators, or a document that takes the old one's place, as "
			"filter"},
	{CONFIG_HANDLER, "document", JSON(handler, document), .initial = "", .max = 4096,
		.flags = HOST, .types = MONGO, .example = "{\"text\": \"$args.text\"}",
		.text = "insert: the document, as filter"},
	{CONFIG_HANDLER, "pipeline", JSON(handler, pipeline), .initial = "", .max = 4096,
		.flags = HOST, .types = MONGO,
		.example = "[{\"$match\": {\"customer\": \"$args.customer\"}}]",
		.text = "aggregate: a JSON array of stages, as filter; without it a task gives it, "
			"which needs operators = yes"},
	{CONFIG_HANDLER, "many", BOOL(handler, many), .initial = "no", .flags = HOST,
		.types = MONGO,
		.text = "update, delete: all documents that the filter finds, not only one"},
	{CONFIG_HANDLER, "upsert", BOOL(handler, upsert), .initial = "no", .flags = HOST,
		.types = MONGO, .text = "update: put a document in if the filter finds none"},
	{CONFIG_HANDLER, "read_concern", WORD(handler, read_concern), .initial = "",
		.words = "local available majority linearizable snapshot", .flags = HOST,
		.types = MONGO, .example = "majority",
		.text = "what a read may see; without it as the uri or the server says"},
	{CONFIG_HANDLER, "write_concern", WORD(handler, write_concern), .initial = "",
		.words = "majority 1 2 3 4 5 6 7", .flags = HOST, .types = MONGO,
		.example = "majority",
		.text = "how many servers must have a write before it is done; without it as the "
			"uri or the server says"},
	{CONFIG_HANDLER, "max_documents", U64(handler, max_documents), .initial = "1000", .min = 1,
		.max = 100000, .unit = "documents", .flags = HOST, .types = MONGO,
		.text = "documents in one result or one insert at most"},
	{CONFIG_HANDLER, "max_time", DURATION(handler, max_time_us), .initial = "0", .min = MS,
		.max = HOUR, .flags = HOST | ZERO, .types = MONGO,
		.text = "what the server itself gives a find, count, aggregate or insert "
			"(maxTimeMS)"},
	{CONFIG_HANDLER, "operators", BOOL(handler, operators), .initial = "no", .flags = HOST,
		.types = MONGO,
		.text = "take keys that begin with $ or hold a dot from clients, who may then do "
			"whatever the operation can"},
	{CONFIG_HANDLER, "module", PATH(handler, module), .initial = "", .max = 4095, .flags = HOST,
		.types = PLUGIN, .example = "/usr/lib/workpoold/primes.so",
		.text = "the shared object; it, and the folder it is in, must belong to root or to "
			"the daemon's user and be writable by nobody else; must be given"},
	{CONFIG_HANDLER, "symbol", STRING(handler, symbol), .initial = "workpool_handler",
		.max = 255, .words = "$ \"/\\", .flags = HOST, .types = PLUGIN,
		.text = "the name of the struct in the shared object; every further key of the "
			"section "
			"goes to the plugin"},
};

static const struct {
	const char *name;
	bool named;
	const char *text;
} scopes[CONFIG_SCOPES] = {
	[CONFIG_DAEMON] = {"daemon", false, "The daemon itself."},
	[CONFIG_ACCESS] = {"access", false,
		"Who may do what: lists of users and @groups. Without this section root and "
		"whoever started the "
		"daemon may do everything, and everybody else who can open the socket may post."},
	[CONFIG_STORE] = {"store", false, "The store of all tasks."},
	[CONFIG_MONGODB] = {"mongodb", false, "The server of all handlers of type mongodb."},
	[CONFIG_RESOURCE] = {"resource", true,
		"A resource: what something outside bears, such as a server, no matter which pools "
		"and handlers use it. One section a resource; handlers name it in \"resources\"."},
	[CONFIG_POOL] = {"pool", true,
		"A pool: its workers and its queue. One section a pool; the pool \"default\" is "
		"always there."},
	[CONFIG_HANDLER] = {"handler", true,
		"A handler: what a task can be posted for. One section a handler. noop, echo, "
		"sleep and fail are "
		"always there; a section of their name changes them."},
};

const struct config_key *keys_table(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(rows);
	return rows;
}

const struct config_key *keys_find(enum config_scope scope, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].scope == scope && strcmp(rows[i].name, name) == 0)
			return &rows[i];
	}
	return NULL;
}

size_t keys_place(const struct config_key *key)
{
	size_t place = 0;

	while (key - place > rows && (key - place - 1)->scope == key->scope)
		place++;
	return place;
}

const char *keys_scope_name(enum config_scope scope)
{
	return scopes[scope].name;
}

bool keys_scope_is_named(enum config_scope scope)
{
	return scopes[scope].named;
}

const char *keys_scope_text(enum config_scope scope)
{
	return scopes[scope].text;
}

int keys_find_scope(const char *name, enum config_scope *ret_scope)
{
	for (int i = 0; i < CONFIG_SCOPES; i++) {
		if (strcmp(scopes[i].name, name) == 0) {
			*ret_scope = (enum config_scope)i;
			return 0;
		}
	}
	return -ENOENT;
}

static const struct {
	const char *word;
	unsigned type;
} handler_types[] = {
	{"builtin", CONFIG_BUILTIN},
	{"exec", CONFIG_EXEC},
	{"coprocess", CONFIG_COPROCESS},
	{"mongodb", CONFIG_MONGO},
	{"plugin", CONFIG_PLUGIN},
};

unsigned keys_handler_type(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(handler_types); i++) {
		if (strcmp(word, handler_types[i].word) == 0)
			return handler_types[i].type;
	}
	return 0;
}

const char *keys_handler_types(unsigned types, char ret_text[KEYS_TYPES_SIZE])
{
	size_t len = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(handler_types); i++) {
		if ((types & handler_types[i].type) != 0 && len < KEYS_TYPES_SIZE)
			len += (size_t)snprintf(ret_text + len, KEYS_TYPES_SIZE - len, "%s%s",
				len > 0 ? " or " : "", handler_types[i].word);
	}
	return ret_text;
}
