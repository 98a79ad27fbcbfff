/*
 * workpool-plugin.h: what a shared object needs to be a handler of workpoold. workpool-plugin(7) is its manual, with a
 * whole example.
 *
 * A plugin exports one `struct workpool_handler`, and links nothing: all that it may call is in the table `struct
 * workpool_host`, to which each task and the settings point; the functions below are only a shorter way to write that.
 * So nothing depends on which symbols the host process exports, on the order of libraries, or on another library that
 * has functions of the same name; -Wl,-z,defs works; and a test of the plugin can bring a table of its own.
 *
 * ABI: structs and table only ever grow at their ends, and then WORKPOOL_PLUGIN_ABI grows by one. A host runs plugins
 * of its own ABI and of all before it; one of a later ABI is refused before any of it is called.
 *
 * A C99 or C++ compiler is enough.
 */
#ifndef WORKPOOL_PLUGIN_H
#define WORKPOOL_PLUGIN_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WORKPOOL_PLUGIN_ABI 1u

#define WORKPOOL_WHY_SIZE  256  /* bytes of start()'s sentence, with its NUL */
#define WORKPOOL_TEXT_SIZE 1024 /* bytes of a sentence that is made here, with its NUL */
#define WORKPOOL_CODE_MAX  15   /* bytes of workpool_task_fail()'s word */

#if defined(__GNUC__)
#define WORKPOOL_EXPORT            __attribute__((visibility("default")))
#define WORKPOOL_PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#else
#define WORKPOOL_EXPORT
#define WORKPOOL_PRINTF_LIKE(f, a)
#endif

struct workpool_host;

/* A task, from the beginning of run() to its end. Every pointer that comes from a function of a task ends with it. */
struct workpool_task {
	const struct workpool_host *host;
};

/* A further key of the handler's section in the configuration. */
struct workpool_setting {
	const char *name;
	const char *value; /* as it stands there, without blanks around it; may be "" */
};

/* Good until stop() has returned. */
struct workpool_settings {
	const struct workpool_host *host;
	const char *handler; /* the name in the configuration */
	size_t n;
	const struct workpool_setting *at;
};

/* What a parameter of a task's args holds, and how it is read: */
enum workpool_type {
	WORKPOOL_BOOL = 0, /* workpool_task_bool() */
	WORKPOOL_INT = 1,  /* workpool_task_int(): from min to max, which must be given */
	WORKPOOL_STRING =
		2, /* workpool_task_string(): from min to max bytes (max 0: 256), no NUL in it */
	WORKPOOL_STRINGS =
		3, /* workpool_task_item(): an array of strings, at most max (max 0: 256) */
	WORKPOOL_OBJECT = 4, /* workpool_task_json(): an object */
	WORKPOOL_ANY = 5,    /* workpool_task_json(), workpool_task_real(): any JSON value */
	WORKPOOL_ENUM = 6    /* workpool_task_string(): one of `words` */
};

#define WORKPOOL_REQUIRED 1u /* a flag of a parameter: a task without it is refused */

struct workpool_param {
	const char *name;
	uint32_t type;  /* enum workpool_type */
	uint32_t flags; /* 0, WORKPOOL_REQUIRED */
	int64_t min;
	int64_t max;
	const char *words; /* WORKPOOL_ENUM: "fast good best", else NULL */
	const char *text;  /* one line for people, no full stop */
};

/* Flags of a handler. */
#define WORKPOOL_ANY_ARGS                                                                          \
	1u /* args hold whatever a client sends: there is no table, and nobody checks them */

/*
 * The plugin. Functions are called from threads of the host process: start() before any other, run() from as many
 * threads at once as the pool has workers, cancel() from a thread of its own. Pointers stay good for ever.
 */
struct workpool_handler {
	uint32_t abi;     /* WORKPOOL_PLUGIN_ABI */
	uint32_t flags;   /* 0, WORKPOOL_ANY_ARGS */
	const char *name; /* of the plugin, for people; must be given */
	const char *text; /* what a task does: one line for people, no full stop; must be given */
	const struct workpool_param *
		params; /* all that args may hold: who posts a task is told what is wrong with them */
	size_t n_params; /* at most 64 */
	const char *
		settings; /* the names of the settings that it knows, parted by blanks; "*": any; NULL: none */
	/* 0, or anything else: the handler cannot be used, and why says so in a sentence. NULL: nothing is to be done. */
	int (*start)(const struct workpool_settings *settings, void **ret_state,
		char ret_why[WORKPOOL_WHY_SIZE]);
	void (*run)(struct workpool_task *task); /* must be given */
	/* The task is to end: makes run() return soon. Only while that runs. NULL: run() looks for itself. */
	void (*cancel)(struct workpool_task *task);
	/* All tasks have ended, and the host ends in order; no time for long work. Not called when it crashes. NULL: nothing. */
	void (*stop)(void *state);
};

/* The name that the configuration expects unless `symbol` says another. C++ needs it declared before it is defined. */
extern WORKPOOL_EXPORT const struct workpool_handler workpool_handler;

/* As syslog(3). */
enum workpool_log_level {
	WORKPOOL_ERROR = 3,
	WORKPOOL_WARNING = 4,
	WORKPOOL_NOTICE = 5,
	WORKPOOL_INFO = 6,
	WORKPOOL_DEBUG = 7
};

/* See the functions of the same names below. */
struct workpool_host {
	uint32_t abi;
	uint32_t unused;
	uint64_t (*id)(const struct workpool_task *task);
	uint32_t (*attempt)(const struct workpool_task *task);
	uint32_t (*worker)(const struct workpool_task *task);
	void *(*state)(const struct workpool_task *task);
	bool (*cancelled)(const struct workpool_task *task);
	int (*cancel_fd)(struct workpool_task *task);
	uint64_t (*deadline_us)(const struct workpool_task *task);
	uint64_t (*remaining_us)(const struct workpool_task *task);
	bool (*sleep_us)(struct workpool_task *task, uint64_t us);
	const char *(*args)(const struct workpool_task *task);
	bool (*get_bool)(const struct workpool_task *task, const char *name, bool *ret_value);
	bool (*get_int)(const struct workpool_task *task, const char *name, int64_t *ret_value);
	bool (*get_real)(const struct workpool_task *task, const char *name, double *ret_value);
	bool (*get_string)(
		const struct workpool_task *task, const char *name, const char **ret_value);
	const char *(*get_item)(const struct workpool_task *task, const char *name, size_t at);
	const char *(*get_json)(struct workpool_task *task, const char *name);
	int (*result)(struct workpool_task *task, const char *json, size_t len);
	int (*result_text)(struct workpool_task *task, const char *text, size_t len);
	int (*fail)(struct workpool_task *task, const char *code, const char *text);
	int (*progress)(struct workpool_task *task, unsigned permille, const char *note);
	void (*log)(const struct workpool_task *task, int level, const char *text);
	void (*log_of)(const struct workpool_settings *settings, int level, const char *text);
};

/*
 * About a task. Of these any thread may ask, as long as run() has not returned; all the others are for the thread that
 * runs the task, while it does: from elsewhere they do nothing and answer -EPERM, false, NULL, or 0.
 */

static inline uint64_t workpool_task_id(const struct workpool_task *task)
{
	return task->host->id(task);
}

/* 1 the first time. */
static inline uint32_t workpool_task_attempt(const struct workpool_task *task)
{
	return task->host->attempt(task);
}

/* Which of the pool's workers runs it, from 0; no two tasks of a host process have the same at a time. */
static inline uint32_t workpool_task_worker(const struct workpool_task *task)
{
	return task->host->worker(task);
}

/* What start() has put in *ret_state; NULL: nothing. */
static inline void *workpool_task_state(const struct workpool_task *task)
{
	return task->host->state(task);
}

/* It is to end: somebody cancelled it, its time limit has passed, or the daemon stops. Cheap. */
static inline bool workpool_task_cancelled(const struct workpool_task *task)
{
	return task->host->cancelled(task);
}

/* A descriptor for poll(2) that can be read from when the task is to end; not to be read or closed. -errno. */
static inline int workpool_task_cancel_fd(struct workpool_task *task)
{
	return task->host->cancel_fd(task);
}

/* When its time limit passes, by CLOCK_MONOTONIC; 0: it has none. */
static inline uint64_t workpool_task_deadline_us(const struct workpool_task *task)
{
	return task->host->deadline_us(task);
}

/* Until then; UINT64_MAX: it has no time limit. */
static inline uint64_t workpool_task_remaining_us(const struct workpool_task *task)
{
	return task->host->remaining_us(task);
}

/* Waits so long, or until the task is to end: true. */
static inline bool workpool_task_sleep_us(struct workpool_task *task, uint64_t us)
{
	return task->host->sleep_us(task, us);
}

/*
 * Its args. They have been checked by the table. A parameter that is not given, or is null, or not of this type, leaves
 * *ret_value as it was: false.
 */

/* All of them as JSON text; "" when there were none. */
static inline const char *workpool_task_args(const struct workpool_task *task)
{
	return task->host->args(task);
}

static inline bool workpool_task_bool(
	const struct workpool_task *task, const char *name, bool *ret_value)
{
	return task->host->get_bool(task, name, ret_value);
}

static inline bool workpool_task_int(
	const struct workpool_task *task, const char *name, int64_t *ret_value)
{
	return task->host->get_int(task, name, ret_value);
}

/* Of an integer, too. */
static inline bool workpool_task_real(
	const struct workpool_task *task, const char *name, double *ret_value)
{
	return task->host->get_real(task, name, ret_value);
}

/* UTF-8. */
static inline bool workpool_task_string(
	const struct workpool_task *task, const char *name, const char **ret_value)
{
	return task->host->get_string(task, name, ret_value);
}

/* The string number `at`, from 0, of an array; NULL: there are not so many. */
static inline const char *workpool_task_item(
	const struct workpool_task *task, const char *name, size_t at)
{
	return task->host->get_item(task, name, at);
}

/* The value as JSON text, whatever it is; NULL: not given, or no memory. */
static inline const char *workpool_task_json(struct workpool_task *task, const char *name)
{
	return task->host->get_json(task, name);
}

/*
 * Its end. run() says it once, with workpool_task_result() or workpool_task_fail(); of several calls the last one counts.
 * A run() that says nothing has failed (reason "no_result"), or is cancelled if it was asked to end.
 */

/*
 * It has succeeded, with this JSON value of `len` bytes; NULL: without a result. What is no JSON, or longer than the
 * handler's max_output, is a failure (reason "bad_result" or "output_too_long") that says so: -EINVAL, -EMSGSIZE, -ENOMEM.
 */
static inline int workpool_task_result(struct workpool_task *task, const char *json, size_t len)
{
	return task->host->result(task, json, len);
}

/* The same with a JSON string of these bytes, which need no escapes; what is no UTF-8 becomes U+FFFD. */
static inline int workpool_task_result_text(
	struct workpool_task *task, const char *text, size_t len)
{
	return task->host->result_text(task, text, len);
}

/* It has failed. code: a word for programs, at most 15 letters a-z, digits, "_"; else, or NULL, it is "failed". */
static inline int workpool_task_fail(struct workpool_task *task, const char *code, const char *text)
{
	return task->host->fail(task, code, text);
}

/* How far it is, for whoever watches: of 1000. note: at most 256 bytes; NULL: none. Some ten a second are told, the newest. */
static inline int workpool_task_progress(
	struct workpool_task *task, unsigned permille, const char *note)
{
	return task->host->progress(task, permille, note);
}

/* A line in the daemon's log, with the names of handler and task. Any thread; at most 256 bytes of it are written. */
static inline void workpool_task_log(
	const struct workpool_task *task, enum workpool_log_level level, const char *text)
{
	task->host->log(task, (int)level, text);
}

/* The same without a task: for start(), stop() and threads of the plugin. */
static inline void workpool_log(
	const struct workpool_settings *settings, enum workpool_log_level level, const char *text)
{
	settings->host->log_of(settings, (int)level, text);
}

/* The setting's value; NULL: it is not given. */
static inline const char *workpool_setting(
	const struct workpool_settings *settings, const char *name)
{
	size_t i;

	for (i = 0; i < settings->n; i++) {
		const char *a = settings->at[i].name, *b = name;

		while (*a != '\0' && *a == *b) {
			a++;
			b++;
		}
		if (*a == *b)
			return settings->at[i].value;
	}
	return NULL;
}

/* As printf(3): the JSON text of a result, as long as it must be. */
static inline int WORKPOOL_PRINTF_LIKE(2, 3)
	workpool_task_resultf(struct workpool_task *task, const char *fmt, ...)
{
	va_list args;
	char *json;
	int n, r;

	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	json = n < 0 ? NULL : (char *)malloc((size_t)n + 1);
	if (json == NULL)
		return workpool_task_fail(task, "no_memory", "no memory for the result");
	va_start(args, fmt);
	(void)vsnprintf(json, (size_t)n + 1, fmt, args);
	va_end(args);
	r = workpool_task_result(task, json, (size_t)n);
	free(json);
	return r;
}

/* As printf(3), cut at WORKPOOL_TEXT_SIZE. */
static inline int WORKPOOL_PRINTF_LIKE(3, 4)
	workpool_task_failf(struct workpool_task *task, const char *code, const char *fmt, ...)
{
	char text[WORKPOOL_TEXT_SIZE];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return workpool_task_fail(task, code, text);
}

#ifdef __cplusplus
}
#endif

#endif
