/*
 * exec_config: the settings of a handler of type exec, read once, and what they make of a task: the order to start it.
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
	/* Made of these. */
	struct words argv;
	struct words env; /* configured only */
	bool gets_args;
	bool needs_scratch;            /* no directory is configured */
	struct sandbox_policy *policy; /* owns */
};

#define EXEC_CONFIG_SETTINGS 12
extern const struct setting exec_config_settings[EXEC_CONFIG_SETTINGS];

extern const struct exec_config exec_config_defaults;

int exec_config_start(struct offer *offer, char ret_why[SETTING_WHY_SIZE]) MUST_CHECK;
void exec_config_stop(struct offer *offer);

/*
 * The order for one task; it borrows from the configuration, and from *ret_env, which words_free() gives back.
 * directory: where to start instead of the configured one; NULL: there.
 */
int exec_config_order(const struct exec_config *config, const struct work *task,
	const char *directory, struct words *ret_env, struct spawn_order *ret_order) MUST_CHECK;
void exec_config_free_words(struct words *words);

#endif
