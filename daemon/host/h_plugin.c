/*
 * h_plugin: a handler in a shared object, run by the host's own threads. module.c loads it, plugin.c keeps it,
 * plugin_api.c is what it calls; here is what the host asks of it.
 *
 * It may do what it likes to this process, and it costs this process only: the daemon tells of a plugin only the hosts of
 * its handler's pool, and takes a host's end for what it is. What a plugin can do by mistake has an answer here: a run()
 * that says nothing, that ends its thread, or that comes back twice since it forked.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "host/module.h"
#include "host/plugin.h"
#include "host/result.h"
#include "host/task.h"
#include "host/work.h"

#define SYMBOL "workpool_handler"

struct plugin_config {
	/* As configured; NULL: not given. */
	char *module;
	char *symbol;
	/* Made of these. */
	struct plugin *plugin; /* owns */
};

#define FIELD(f) offsetof(struct plugin_config, f)

static const struct setting plugin_settings[] = {
	{"module", SETTING_TEXT, FIELD(module), 0},
	{"symbol", SETTING_TEXT, FIELD(symbol), 0},
};

static int check_extras(
	const struct offer *offer, const struct workpool_handler *handler, char *ret_why)
{
	const struct setting_extra *extra;

	TAILQ_FOREACH (extra, &offer->extras, link) {
		if (module_knows_setting(handler, extra->key))
			continue;
		(void)snprintf(ret_why, SETTING_WHY_SIZE,
			"plugin \"%s\" does not know the key \"%s\"", handler->name, extra->key);
		return -EINVAL;
	}
	return 0;
}

/* The module's own start(). */
static int call_start(struct plugin *plugin, char *ret_why)
{
	const struct workpool_handler *handler = plugin->handler;
	char why[WORKPOOL_WHY_SIZE] = "";

	if (!handler->start)
		return 0;
	int error = handler->start(&plugin->settings, &plugin->state, why);
	if (error == 0)
		return 0;
	why[sizeof(why) - 1] = '\0';
	str_make_safe(why);
	if (*why != '\0')
		(void)snprintf(ret_why, SETTING_WHY_SIZE, "%s: %.200s", handler->name, why);
	else
		(void)snprintf(ret_why, SETTING_WHY_SIZE, "plugin \"%s\" did not start: %d",
			handler->name, error);
	return -EINVAL;
}

static int begin(struct offer *offer, const struct workpool_handler *handler,
	struct plugin_config *config, char *ret_why)
{
	struct plugin *plugin = plugin_new(offer, handler);

	config->plugin = plugin;
	if (plugin)
		plugin->params = module_params(handler);
	if (!plugin || !plugin->params)
		return -ENOMEM;
	int r = plugin_begin(plugin);
	if (r == 0)
		r = call_start(plugin, ret_why);
	plugin->is_started = r == 0;
	return r;
}

static int plugin_start(struct offer *offer, char ret_why[SETTING_WHY_SIZE])
{
	struct plugin_config *config = offer->config;
	const struct workpool_handler *handler = NULL;

	if (!config->module) {
		(void)snprintf(ret_why, SETTING_WHY_SIZE, "module: must be given");
		return -EINVAL;
	}
	int r = module_open(
		config->module, config->symbol ? config->symbol : SYMBOL, &handler, ret_why);
	if (r == 0)
		r = check_extras(offer, handler, ret_why);
	if (r == 0)
		r = begin(offer, handler, config, ret_why);
	if (r < 0) {
		plugin_free(take(config->plugin));
		return r;
	}
	offer->text = handler->text;
	offer->params = config->plugin->params;
	offer->n_params = handler->n_params;
	offer->checked = (handler->flags & WORKPOOL_ANY_ARGS) == 0;
	log_info("plugin_up", "handler \"%s\": %s, from %s", offer->name, handler->name,
		config->module);
	return 0;
}

static void plugin_stop(struct offer *offer)
{
	struct plugin_config *config = offer->config;

	plugin_free(take(config->plugin));
}

/* The module has ended the thread that was lent to it (pthread_exit(3)): with it the host has lost the task's end. */
static void on_thread_ends(void *arg)
{
	const struct plugin_task *task = arg;

	log_error("plugin_thread", "handler \"%s\", task %llu: it has ended the host's thread",
		task->plugin->offer->name, (unsigned long long)task->id);
	log_flush();
	_exit(WORK_EXIT_BROKEN);
}

static void call_run(struct plugin_task *task)
{
	pthread_cleanup_push(on_thread_ends, task);
	task->plugin->handler->run(&task->seen);
	pthread_cleanup_pop(0);
	if (plugin_is_forked())
		_exit(0); /* a child that comes back where only its parent should */
}

static void plugin_run(struct work *work, struct result *result)
{
	const struct offer *offer = task_offer(work);
	const struct plugin_config *config = offer->config;
	json_t *args;

	/* Of a task that was posted for another module of this name they may be wrong by now. */
	int r = offer->checked ? task_read_args(work, NULL, result) : 0;
	if (r == 0)
		r = task_read_json(work, result, &args);
	if (r < 0)
		return;
	struct plugin_task *task = plugin_task_begin(config->plugin, work, result);
	if (!task) {
		result_fail(result, "failed", "%s", strerror(ENOMEM));
		return;
	}
	task->args = args;
	call_run(task);
	bool has_end = task->has_end;
	plugin_task_end(task);
	if (!has_end && task_is_cancelled(work))
		result_cancel(result, (struct view){NULL, 0});
	else if (!has_end)
		result_fail(result, "no_result", "the handler has ended without a result");
}

/* With the lock of work.c held. */
static void plugin_cancel(struct work *work)
{
	plugin_task_ask(work->state);
}

const struct handler handler_plugin = {
	.name = "plugin",
	.text = "runs a shared object",
	.foreign = true,
	.settings = plugin_settings,
	.n_settings = ARRAY_SIZE(plugin_settings),
	.config_bytes = sizeof(struct plugin_config),
	.start = plugin_start,
	.stop = plugin_stop,
	.run = plugin_run,
	.cancel = plugin_cancel,
};
