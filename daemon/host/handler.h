/*
 * handler: what a task can be run by. A `struct handler` is a kind (noop, exec, mongodb …): code and a table of
 * parameters, constant, one line in handlers.def. A `struct offer` is a kind with a name and settings: what the
 * daemon may name in a RUN. Offers are made at the start, before the first thread, and never change afterwards,
 * so that every thread reads them without a lock.
 */
#ifndef WORKPOOL_HOST_HANDLER_H
#define WORKPOOL_HOST_HANDLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/tailq.h"
#include "host/setting.h"
#include "wire/param.h"

struct keeper;
struct mongo;
struct offer;
struct result;
struct sandbox;
struct spawner;
struct work;

struct handler {
	const char *name; /* a built-in handler's name, else the type of the configuration */
	const char *text; /* one line for people, no full stop */
	const struct param *params; /* all that a task's args may hold, if `checked` */
	size_t n_params;
	bool checked;
	bool builtin; /* offered under its own name without being configured */
	bool quick; /* never waits for anything: run at once by whoever reads, without waking a thread */
	bool foreign; /* start() runs code that is not ours, and takes settings that `settings` does not have */
	const struct setting *settings; /* for start() */
	size_t n_settings;
	size_t config_bytes;  /* of the struct that `settings` fill … */
	const void *defaults; /* … which begins as a copy of this; NULL: as zeros */
	/* Checks *offer->config and opens what is needed; may set the offer's params. -errno and a sentence. NULL: nothing. */
	int (*start)(struct offer *offer, char ret_why[SETTING_WHY_SIZE]);
	void (*stop)(struct offer *offer);                     /* of a started one; NULL: nothing */
	void (*run)(struct work *task, struct result *result); /* any thread; sets the result */
	/* Asks a running task to end; called with the lock of work.c held: never waits. NULL: run() looks for itself. */
	void (*cancel)(struct work *task);
	/* The task is followed, or there is room for more of its output: called as cancel(). NULL: it has no output. */
	void (*follow)(struct work *task);
};

struct offer {
	const struct handler *handler; /* borrows: constant */
	struct registry *registry;     /* borrows: owns us */
	char *name;                    /* owns */
	const char *text;              /* borrows: constant */
	const struct param *params;    /* borrows: constant, or part of config */
	size_t n_params;
	bool checked;
	bool started;
	uint64_t max_output_bytes; /* of one result; never above the daemon's own */
	uint64_t kill_after_us;
	void *config;                 /* owns: config_bytes of the handler */
	struct setting_extras extras; /* owns; of a foreign handler, in their order */
	size_t n_extras;
	TAILQ_ENTRY(offer) link; /* in: registry->offers */
};

TAILQ_HEAD(mongo_list, mongo);

struct registry {
	TAILQ_HEAD(, offer) offers;
	uint64_t max_output_bytes; /* the daemon's bound for every handler */
	struct spawner *spawner;   /* borrows: lives as long as the host */
	struct sandbox *sandbox;   /* borrows: likewise */
	bool needs_spawner;
	bool has_free_programs; /* some are in no sandbox */
	struct keeper *
		keeper; /* owns: of programs that outlive their task; NULL: no offer has such ones */
	struct mongo_list mongos; /* owns: what the offers of type mongodb share */
};

/* With the built-in handlers. -ENOMEM. */
int handler_init(struct registry *registry, uint64_t max_output_bytes, struct spawner *spawner,
	struct sandbox *sandbox) MUST_CHECK;
void handler_done(struct registry *registry);
/* The host ends, and no task runs: code that is not ours may put its things in order. */
void handler_stop_foreign(struct registry *registry);
/* One HANDLER message. -EINVAL: ret_why is a sentence without secrets; -ENOMEM. */
int handler_add(struct registry *registry, struct view name, struct view type, struct view settings,
	char ret_why[SETTING_WHY_SIZE]) MUST_CHECK;
/* The kind is one whose start() runs code that is not ours. */
bool handler_is_foreign(struct view name, struct view type);
/* NULL: not offered. */
const struct offer *handler_find(const struct registry *registry, struct view name);

#endif
