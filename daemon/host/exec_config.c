/*
 * exec_config: see exec_config.h. Called by h_exec.c, h_coprocess.c and program.c. Invariant: what a client sends is in none of it; it goes to the
 * program's standard input only.
 */
#include "host/exec_config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "host/spawner.h"
#include "host/task.h"

#define UMASK_MAX 0777
#define NICE_MAX  20
#define PATH      "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define LANG      "C.UTF-8"

#define FIELD(f) offsetof(struct exec_config, f)

const struct setting exec_config_settings[EXEC_CONFIG_SETTINGS] = {
	{"command", SETTING_TEXT, FIELD(command), 0},
	{"stdin", SETTING_TEXT, FIELD(standard_input), 0},
	{"environment", SETTING_TEXT, FIELD(environment), 0},
	{"working_directory", SETTING_TEXT, FIELD(directory), 0},
	{"umask", SETTING_U64, FIELD(umask), UMASK_MAX},
	{"memory_max", SETTING_U64, FIELD(memory_max_bytes), 0},
	{"cpu_time", SETTING_U64, FIELD(cpu_time_us), 0},
	{"file_size_max", SETTING_U64, FIELD(file_size_max_bytes), 0},
	{"open_files_max", SETTING_U64, FIELD(open_files_max), 0},
	{"nice", SETTING_I64, FIELD(nice), NICE_MAX},
	{"sandbox", SETTING_BOOL, FIELD(sandbox), 0},
	{"write_paths", SETTING_TEXT, FIELD(write_paths), 0},
	{"recycle_tasks", SETTING_U64, FIELD(recycle_tasks), 0},
	{"recycle_rss", SETTING_U64, FIELD(recycle_rss_bytes), 0},
};

/* What the program makes is its own user's business, unless the configuration says more. */
const struct exec_config exec_config_defaults = {.umask = 077, .sandbox = true};

void exec_config_free_words(struct words *words)
{
	for (size_t i = 0; i < words->n; i++)
		free(words->at[i]);
	free(words->at);
	*words = (struct words){NULL, 0};
}

/* Takes the word, also when it fails; NULL: -ENOMEM. */
static int add_word(struct words *words, char *word)
{
	char **at = word ? realloc(words->at, (words->n + 2) * sizeof(*at)) : NULL;

	if (!at) {
		free(word);
		return -ENOMEM;
	}
	at[words->n++] = word;
	at[words->n] = NULL;
	words->at = at;
	return 0;
}

static int add_printf(struct words *words, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int add_printf(struct words *words, const char *fmt, ...)
{
	va_list args;
	char *word;

	va_start(args, fmt);
	int n = vasprintf(&word, fmt, args);
	va_end(args);
	return add_word(words, n < 0 ? NULL : word);
}

static int split(const char *text, struct words *ret_words)
{
	int r = 0;

	while (text && r == 0) {
		char *word;
		r = str_next_word(&text, &word);
		if (r == 0)
			r = add_word(ret_words, word);
	}
	return r == -ENOENT ? 0 : r;
}

static int refuse(char *ret_why, const char *why)
{
	(void)snprintf(ret_why, SETTING_WHY_SIZE, "%s", why);
	return -EINVAL;
}

/* The directory that is configured, and write_paths. */
static int make_policy(struct offer *offer, char ret_why[SETTING_WHY_SIZE])
{
	struct exec_config *config = offer->config;
	struct words writable = {NULL, 0};

	int r = split(config->write_paths, &writable);
	/* Who starts in / has nothing of its own there. */
	if (r == 0 && !config->needs_scratch && strcmp(config->directory, "/") != 0)
		r = add_word(&writable, strdup(config->directory));
	for (size_t i = 0; r == 0 && i < writable.n; i++) {
		if (writable.at[i][0] != '/')
			r = refuse(ret_why, "write_paths: needs absolute paths");
	}
	if (r == 0)
		r = sandbox_policy_new(offer->registry->sandbox, writable.at,
			config->sandbox ? writable.n : 0,
			config->sandbox ? config->argv.at[0] : NULL, &config->policy, ret_why);
	exec_config_free_words(&writable);
	return r;
}

int exec_config_start(struct offer *offer, char ret_why[SETTING_WHY_SIZE])
{
	struct exec_config *config = offer->config;
	const char *input = config->standard_input ? config->standard_input : "args";

	config->gets_args = strcmp(input, "args") == 0;
	config->needs_scratch = !config->directory || *config->directory == '\0';
	int r = split(config->command, &config->argv);
	if (r == 0)
		r = split(config->environment, &config->env);
	if (r == -EINVAL)
		r = refuse(ret_why, "command or environment: a quote is open");
	if (r == 0 && (config->argv.n == 0 || config->argv.at[0][0] != '/'))
		r = refuse(ret_why, "command: needs an absolute path");
	if (r == 0 && !config->gets_args && strcmp(input, "none") != 0)
		r = refuse(ret_why, "stdin: args or none");
	for (size_t i = 0; r == 0 && i < config->env.n; i++) {
		if (!strchr(config->env.at[i], '=') || config->env.at[i][0] == '=')
			r = refuse(ret_why, "environment: NAME=value words");
	}
	if (r == 0)
		r = make_policy(offer, ret_why);
	if (r == 0 && config->needs_scratch) {
		r = spawner_make_home(offer->registry->spawner);
		if (r < 0)
			(void)snprintf(ret_why, SETTING_WHY_SIZE, "no directory for its tasks: %s",
				strerror(-r));
	}
	if (r < 0) {
		exec_config_stop(offer);
		return r;
	}
	offer->registry->needs_spawner = true;
	offer->registry->has_free_programs |= !config->sandbox;
	return 0;
}

void exec_config_stop(struct offer *offer)
{
	struct exec_config *config = offer->config;

	exec_config_free_words(&config->argv);
	exec_config_free_words(&config->env);
	sandbox_policy_free(take(config->policy));
}

static bool is_configured(const struct exec_config *config, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < config->env.n; i++) {
		if (strncmp(config->env.at[i], name, len) == 0 && config->env.at[i][len] == '=')
			return true;
	}
	return false;
}

static int finish_words(int r, struct words *env, struct words *ret_env)
{
	if (r < 0)
		exec_config_free_words(env);
	else
		*ret_env = *env;
	return r;
}

/* reaper.c tells by the first two whose descendant a process is: the task's id and its attempt. */
int exec_config_task_words(const struct work *task, struct words *ret_env)
{
	struct words env = {NULL, 0};
	uint64_t deadline_us = task_deadline_wall_us(task);

	int r = add_printf(&env, "WORKPOOL_TASK_ID=%" PRIu64, task_id(task));
	if (r == 0)
		r = add_printf(&env, "WORKPOOL_ATTEMPT=%" PRIu32, task_attempt(task));
	if (r == 0)
		r = add_printf(&env, "WORKPOOL_WORKER=%" PRIu32, task_worker(task));
	if (r == 0 && deadline_us > 0)
		r = add_printf(&env, "WORKPOOL_DEADLINE=%" PRIu64 ".%06" PRIu64,
			deadline_us / US_PER_SEC, deadline_us % US_PER_SEC);
	return finish_words(r, &env, ret_env);
}

/* Marked by a name that a task's program does not have, so that neither is taken for the other. */
int exec_config_kept_words(uint32_t worker, uint64_t number, struct words *ret_env)
{
	struct words env = {NULL, 0};

	int r = add_printf(&env, "WORKPOOL_PROGRAM=%" PRIu64, number);
	if (r == 0)
		r = add_printf(&env, "WORKPOOL_WORKER=%" PRIu32, worker);
	return finish_words(r, &env, ret_env);
}

/* What is configured wins. */
static int add_common(const struct exec_config *config, const char *directory, struct words *env)
{
	const char *const pairs[][2] = {{"PATH", PATH}, {"LANG", LANG}, {"TMPDIR", directory}};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(pairs); i++) {
		if (!is_configured(config, pairs[i][0]) && strcmp(pairs[i][1], "/") != 0)
			r = add_printf(env, "%s=%s", pairs[i][0], pairs[i][1]);
	}
	for (size_t i = 0; r == 0 && i < config->env.n; i++)
		r = add_printf(env, "%s", config->env.at[i]);
	return r;
}

int exec_config_order(const struct exec_config *config, const char *directory, struct words *env,
	struct spawn_order *ret_order)
{
	uint64_t cpu_seconds = (config->cpu_time_us + US_PER_SEC - 1) / US_PER_SEC;
	const char *start_in = directory ? directory : config->directory;

	int r = add_common(config, start_in, env);
	if (r < 0)
		return r;
	*ret_order = (struct spawn_order){
		.argv = (const char *const *)config->argv.at,
		.env = (const char *const *)env->at,
		.directory = start_in,
		.umask = (uint32_t)config->umask,
		.nice = (int32_t)config->nice,
		.is_confined = config->sandbox,
		.limits = {[SPAWN_MEMORY] = config->memory_max_bytes,
			[SPAWN_CPU_SECONDS] = cpu_seconds,
			[SPAWN_FILE_SIZE] = config->file_size_max_bytes,
			[SPAWN_OPEN_FILES] = config->open_files_max},
	};
	return 0;
}
