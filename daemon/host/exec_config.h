/*
 * exec_config: the settings of a handler that runs programs (types exec and coprocess), read once, and what they make of
 * one: its environment and the order to start it.
 */
#ifndef WORKPOOL_HOST_EXEC_CONFIG_H
#define WORKPOOL_HOST_EXEC_CONFIG_H

#include <stdbool.h>

#include "host/handler.h"
#include "host/sandbox.h"
#include "host/spawnmsg.h"

/* A list of words with a NULL at its end. */
struct words {
	char **at; /* owns, and the words */
	size_t n;
};

struct exec_config {
	/* As configured; NULL: not given. */
	char *command;
	char *standard_input;
	char *environment;
	char *directory;
	uint64_t umask;
	uint64_t memory_max_bytes;
	uint64_t cpu_time_us;
	uint64_t file_size_max_bytes;
	uint64_t open_files_max;
	int64_t nice;
	bool sandbox;
	char *write_paths;
	uint64_t recycle_tasks;     /* coprocess; 0: any number */
	uint64_t recycle_rss_bytes; /* coprocess; 0: any size */
	/* Made of these. */
	struct words argv;
	struct words env; /* configured only */
	bool gets_args;
	bool needs_scratch;            /* no directory is configured */
	struct sandbox_policy *policy; /* owns */
};

#define EXEC_CONFIG_SETTINGS 14
extern const struct setting exec_config_settings[EXEC_CONFIG_SETTINGS];

extern const struct exec_config exec_config_defaults;

int exec_config_start(struct offer *offer, char ret_why[SETTING_WHY_SIZE]) MUST_CHECK;
void exec_config_stop(struct offer *offer);

/*
 * The words that an environment begins with, of a program that runs this task; the caller gives them back. The first of them,
 * SPAWN_MARKS, are no other program's. -ENOMEM.
 */
int exec_config_task_words(const struct work *task, struct words *ret_env) MUST_CHECK;
/* The same of a program that is kept for a worker; number: that no other one of this host has. */
int exec_config_kept_words(uint32_t worker, uint64_t number, struct words *ret_env) MUST_CHECK;
void exec_config_free_words(struct words *words);

/*
 * Adds what every program gets to env. The order borrows from all of these. directory: where to start instead of the
 * configured one; NULL: there. -ENOMEM.
 */
int exec_config_order(const struct exec_config *config, const char *directory, struct words *env,
	struct spawn_order *ret_order) MUST_CHECK;

#endif
