/*
 * plugin: see plugin.h. Called by h_plugin.c and plugin_api.c, from all threads.
 *
 * A struct plugin_task is used for one task after the other and is freed with its plugin only: a module that keeps the
 * pointer of a task that has ended reads what may be another's number, and nothing worse.
 *
 * cancel() is foreign code and may stay as long as it likes. So it is called with no lock held, by a thread that has
 * nothing else to do: if it hangs, that costs its own task, whose end waits for it, and later the host; meanwhile the
 * others in it go on.
 */
#include "host/plugin.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "host/task.h"

static _Thread_local struct plugin_task *current; /* what this thread runs; NULL: nothing */
static int guarded_fd = -1;
static atomic_bool forked;

/* Forks. */

static void on_forked(void)
{
	atomic_store(&forked, true);
	(void)close(guarded_fd);
	(void)prctl(PR_SET_PDEATHSIG,
		SIGKILL); /* when the daemon cannot end the host's group any more */
}

void plugin_guard_forks(int link_fd)
{
	guarded_fd = link_fd;
	/* Without memory for it a module's child can do harm to its own host only. */
	(void)pthread_atfork(NULL, NULL, on_forked);
}

bool plugin_is_forked(void)
{
	return atomic_load(&forked);
}

/* The plugin. */

static int set_settings(struct plugin *plugin)
{
	const struct offer *offer = plugin->offer;
	const struct setting_extra *extra;
	size_t n = 0;

	plugin->at = calloc(offer->n_extras + 1, sizeof(*plugin->at));
	if (!plugin->at)
		return -ENOMEM;
	TAILQ_FOREACH (extra, &offer->extras, link)
		plugin->at[n++] = (struct workpool_setting){extra->key, extra->value};
	plugin->settings = (struct workpool_settings){&plugin_api, offer->name, n, plugin->at};
	return 0;
}

struct plugin *plugin_new(const struct offer *offer, const struct workpool_handler *handler)
{
	struct plugin *plugin = calloc(1, sizeof(*plugin));

	if (!plugin)
		return NULL;
	plugin->offer = offer;
	plugin->handler = handler;
	TAILQ_INIT(&plugin->asked);
	TAILQ_INIT(&plugin->spare);
	(void)pthread_mutex_init(&plugin->lock, NULL);
	(void)pthread_cond_init(&plugin->news, NULL);
	(void)pthread_cond_init(&plugin->done, NULL);
	if (set_settings(plugin) == 0)
		return plugin;
	plugin_free(plugin);
	return NULL;
}

static void end_canceller(struct plugin *plugin)
{
	(void)pthread_mutex_lock(&plugin->lock);
	plugin->closes = true;
	(void)pthread_cond_signal(&plugin->news);
	(void)pthread_mutex_unlock(&plugin->lock);
	(void)pthread_join(plugin->canceller, NULL);
}

void plugin_free(struct plugin *plugin)
{
	struct plugin_task *task, *next;

	if (!plugin)
		return;
	if (plugin->has_canceller)
		end_canceller(plugin);
	if (plugin->is_started && plugin->handler->stop)
		plugin->handler->stop(plugin->state);
	TAILQ_FOREACH_SAFE (task, &plugin->spare, in_spare, next)
		free(task);
	(void)pthread_cond_destroy(&plugin->news);
	(void)pthread_cond_destroy(&plugin->done);
	(void)pthread_mutex_destroy(&plugin->lock);
	free(plugin->params);
	free(plugin->at);
	free(plugin);
}

/* Cancels. */

static void *cancel_all(void *arg)
{
	struct plugin *plugin = arg;
	struct plugin_task *task;

	(void)pthread_mutex_lock(&plugin->lock);
	while (!plugin->closes) {
		task = TAILQ_FIRST(&plugin->asked);
		if (!task) {
			(void)pthread_cond_wait(&plugin->news, &plugin->lock);
			continue;
		}
		TAILQ_REMOVE(&plugin->asked, task, in_asked);
		task->asked = false;
		task->in_cancel = true;
		(void)pthread_mutex_unlock(&plugin->lock);
		plugin->handler->cancel(&task->seen);
		(void)pthread_mutex_lock(&plugin->lock);
		task->in_cancel = false;
		(void)pthread_cond_broadcast(&plugin->done);
	}
	(void)pthread_mutex_unlock(&plugin->lock);
	return NULL;
}

int plugin_begin(struct plugin *plugin)
{
	int error = 0;

	if (plugin->handler->cancel) {
		error = pthread_create(&plugin->canceller, NULL, cancel_all, plugin);
		plugin->has_canceller = error == 0;
	}
	return -error;
}

void plugin_task_ask(struct plugin_task *task)
{
	struct plugin *plugin = task->plugin;
	const uint64_t one = 1;

	(void)pthread_mutex_lock(&plugin->lock);
	if (!atomic_exchange(&task->cancelled, true)) {
		if (task->cancel_fd >= 0) /* fails only when the counter is full */
			(void)!write(task->cancel_fd, &one, sizeof(one));
		if (plugin->has_canceller) {
			TAILQ_INSERT_TAIL(&plugin->asked, task, in_asked);
			task->asked = true;
			(void)pthread_cond_signal(&plugin->news);
		}
	}
	(void)pthread_mutex_unlock(&plugin->lock);
}

/* Tasks. */

/* One that is not in use, or a new one. */
static struct plugin_task *take_spare(struct plugin *plugin)
{
	(void)pthread_mutex_lock(&plugin->lock);
	struct plugin_task *task = TAILQ_FIRST(&plugin->spare);
	if (task)
		TAILQ_REMOVE(&plugin->spare, task, in_spare);
	(void)pthread_mutex_unlock(&plugin->lock);
	if (task)
		return task;
	task = calloc(1, sizeof(*task));
	if (task) {
		task->seen.host = &plugin_api;
		task->plugin = plugin;
		task->cancel_fd = -1;
	}
	return task;
}

struct plugin_task *plugin_task_begin(
	struct plugin *plugin, struct work *work, struct result *result)
{
	struct plugin_task *task = take_spare(plugin);

	if (!task)
		return NULL;
	task->id = task_id(work);
	task->attempt = task_attempt(work);
	task->worker = task_worker(work);
	task->work = work;
	task->result = result;
	task->has_end = false;
	atomic_store(&task->cancelled, false);
	current = task;
	task_set_state(work, task);
	if (task_is_cancelled(work)) /* a cancel that came before the state */
		plugin_task_ask(task);
	return task;
}

bool plugin_task_is_mine(const struct plugin_task *task)
{
	return task == current && !plugin_is_forked();
}

/* Nobody asks it any more; waits for a cancel() that runs. */
static void leave_canceller(struct plugin_task *task)
{
	struct plugin *plugin = task->plugin;

	(void)pthread_mutex_lock(&plugin->lock);
	if (task->asked)
		TAILQ_REMOVE(&plugin->asked, task, in_asked);
	task->asked = false;
	while (task->in_cancel)
		(void)pthread_cond_wait(&plugin->done, &plugin->lock);
	task->cancel_fd = fd_close(task->cancel_fd);
	(void)pthread_mutex_unlock(&plugin->lock);
}

void plugin_task_end(struct plugin_task *task)
{
	struct plugin *plugin = task->plugin;
	struct plugin_text *text;

	task_set_state(task->work, NULL);
	leave_canceller(task);
	current = NULL;
	atomic_store(&task->cancelled, true);
	task->work = NULL;
	task->result = NULL;
	task->args = NULL;
	while ((text = task->texts)) {
		task->texts = text->next;
		free(text);
	}
	(void)pthread_mutex_lock(&plugin->lock);
	TAILQ_INSERT_HEAD(&plugin->spare, task, in_spare);
	(void)pthread_mutex_unlock(&plugin->lock);
}
