/*
 * plugin: a handler of type plugin that was started: its module's struct, its state, its tasks in hand, and the thread
 * that asks them to end. `struct plugin_task` is what the module sees as a struct workpool_task (plugin_api.c).
 */
#ifndef WORKPOOL_HOST_PLUGIN_H
#define WORKPOOL_HOST_PLUGIN_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/tailq.h"
#include "host/handler.h"
#include "host/workpool-plugin.h"

struct plugin;

/* Text that was made for the module, until the task ends. */
struct plugin_text {
	struct plugin_text *next; /* owns */
	char data[];
};

struct plugin_task {
	struct workpool_task seen; /* first: the module's pointer is ours */
	struct plugin *plugin;     /* borrows: owns us */
	uint64_t id;
	uint32_t attempt, worker;
	atomic_bool cancelled; /* also once it has ended */
	struct work *
		work; /* borrows: while run() runs; this and what follows: of the thread that runs it */
	struct result *result;     /* borrows: the same */
	const json_t *args;        /* borrows: work's; NULL: there are none */
	bool has_end;              /* result says what the module said */
	struct plugin_text *texts; /* owns */
	int cancel_fd; /* owns; -1: nobody wanted one; this and what follows: guarded by plugin->lock */
	bool asked;                        /* in plugin->asked */
	bool in_cancel;                    /* the module's cancel() runs */
	TAILQ_ENTRY(plugin_task) in_asked; /* in: plugin->asked */
	TAILQ_ENTRY(plugin_task) in_spare; /* in: plugin->spare, between tasks */
};

TAILQ_HEAD(plugin_tasks, plugin_task);

struct plugin {
	const struct offer *offer;              /* borrows: owns us */
	const struct workpool_handler *handler; /* borrows: the module's */
	struct workpool_settings settings;
	struct workpool_setting *at; /* owns: settings.at */
	struct param *params;        /* owns: the offer's */
	void *state;                 /* the module's */
	bool is_started;

	pthread_mutex_t
		lock; /* guards what follows; taken with the lock of work.c held, never the other way round */
	pthread_cond_t news; /* for the canceller: somebody was asked, or it is to end */
	pthread_cond_t done; /* for who waits for a cancel() to return */
	struct plugin_tasks asked;
	struct plugin_tasks spare; /* owns */
	bool has_canceller, closes;
	pthread_t canceller;
};

/* The plugin for a module that was opened; its start() has not been called. NULL: no memory. */
struct plugin *plugin_new(
	const struct offer *offer, const struct workpool_handler *handler) MUST_CHECK;
/* Stops it if it was started; it has no task in hand. */
void plugin_free(struct plugin *plugin);
/* Starts the canceller, if the module has a cancel(). -errno. */
int plugin_begin(struct plugin *plugin) MUST_CHECK;

/* For the thread that is to call run(). NULL: no memory. */
struct plugin_task *plugin_task_begin(
	struct plugin *plugin, struct work *work, struct result *result) MUST_CHECK;
/* run() has returned: the module has nothing of the task any more when this has. */
void plugin_task_end(struct plugin_task *task);
/* Asks for its end; called with the lock of work.c held: never waits. */
void plugin_task_ask(struct plugin_task *task);
/* The calling thread runs this task, in this process: it alone may say anything of it. */
bool plugin_task_is_mine(const struct plugin_task *task);

/*
 * A process that a module forks is no host: it lets go of the link at once, may say nothing, and ends when it comes back
 * from run(). Called once, when the host's own processes have been forked.
 */
void plugin_guard_forks(int link_fd);
bool plugin_is_forked(void);

/* What every module gets: plugin_api.c. */
extern const struct workpool_host plugin_api;

#endif
