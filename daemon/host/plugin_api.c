/*
 * plugin_api: the functions that a module is given, as a table (workpool-plugin.h says what each does). Called by modules,
 * from any thread, with whatever they like to pass; pointers that lead nowhere are a crash of this process, all else has
 * an answer. Nothing here waits, but sleep_us().
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/plugin.h"
#include "host/result.h"
#include "host/task.h"
#include "wire/json.h"

#define SLEEP_MAX_US (UINT64_C(1) << 52) /* 142 years: no sum of times overflows */

/* The task, seen from this side; NULL: the calling thread does not run it. */
static struct plugin_task *mine(const struct workpool_task *seen)
{
	struct plugin_task *task = (struct plugin_task *)(uintptr_t)seen;

	return plugin_task_is_mine(task) ? task : NULL;
}

static const struct plugin_task *any(const struct workpool_task *seen)
{
	return (const struct plugin_task *)(const void *)seen;
}

/* What the task is. */

static uint64_t api_id(const struct workpool_task *seen)
{
	return any(seen)->id;
}

static uint32_t api_attempt(const struct workpool_task *seen)
{
	return any(seen)->attempt;
}

static uint32_t api_worker(const struct workpool_task *seen)
{
	return any(seen)->worker;
}

static void *api_state(const struct workpool_task *seen)
{
	return any(seen)->plugin->state;
}

static bool api_cancelled(const struct workpool_task *seen)
{
	return atomic_load(&any(seen)->cancelled);
}

static int api_cancel_fd(struct workpool_task *seen)
{
	struct plugin_task *task = mine(seen);

	if (!task)
		return -EPERM;
	(void)pthread_mutex_lock(&task->plugin->lock);
	if (task->cancel_fd < 0)
		task->cancel_fd =
			eventfd(atomic_load(&task->cancelled), EFD_CLOEXEC | EFD_NONBLOCK);
	int fd = task->cancel_fd < 0 ? -errno : task->cancel_fd;
	(void)pthread_mutex_unlock(&task->plugin->lock);
	return fd;
}

/* Our clock is ahead of the one that a module knows. */
static uint64_t api_deadline_us(const struct workpool_task *seen)
{
	const struct plugin_task *task = mine(seen);
	uint64_t at_us = task ? task_deadline_us(task->work) : 0;

	return at_us > CLOCK_AHEAD_US ? at_us - CLOCK_AHEAD_US : at_us;
}

static uint64_t api_remaining_us(const struct workpool_task *seen)
{
	const struct plugin_task *task = mine(seen);
	uint64_t at_us = task ? task_deadline_us(task->work) : 0, now_us = clock_now_us();

	if (!task || (at_us > 0 && at_us <= now_us))
		return 0;
	return at_us == 0 ? UINT64_MAX : at_us - now_us;
}

static bool api_sleep_us(struct workpool_task *seen, uint64_t us)
{
	struct plugin_task *task = mine(seen);

	if (!task)
		return false;
	return task_sleep_until(
		task->work, clock_now_us() + (us < SLEEP_MAX_US ? us : SLEEP_MAX_US));
}

/* Its args. */

static const char *api_args(const struct workpool_task *seen)
{
	const struct plugin_task *task = mine(seen);

	return task ? task_args(task->work).data : NULL;
}

/* NULL: not given. */
static const json_t *arg(const struct workpool_task *seen, const char *name)
{
	const struct plugin_task *task = mine(seen);

	return task && name ? json_object_get(task->args, name) : NULL;
}

static bool api_get_bool(const struct workpool_task *seen, const char *name, bool *ret_value)
{
	const json_t *value = arg(seen, name);

	if (!json_is_boolean(value))
		return false;
	*ret_value = json_is_true(value);
	return true;
}

static bool api_get_int(const struct workpool_task *seen, const char *name, int64_t *ret_value)
{
	const json_t *value = arg(seen, name);

	if (!json_is_integer(value))
		return false;
	*ret_value = json_integer_value(value);
	return true;
}

static bool api_get_real(const struct workpool_task *seen, const char *name, double *ret_value)
{
	const json_t *value = arg(seen, name);

	if (!json_is_number(value))
		return false;
	*ret_value = json_number_value(value);
	return true;
}

static bool api_get_string(
	const struct workpool_task *seen, const char *name, const char **ret_value)
{
	const json_t *value = arg(seen, name);

	if (!json_is_string(value))
		return false;
	*ret_value = json_string_value(value);
	return true;
}

static const char *api_get_item(const struct workpool_task *seen, const char *name, size_t at)
{
	return json_string_value(json_array_get(arg(seen, name), at));
}

static const char *api_get_json(struct workpool_task *seen, const char *name)
{
	struct plugin_task *task = mine(seen);
	const json_t *value = arg(seen, name);
	struct plugin_text *text = NULL;
	struct buf out;

	if (!value)
		return NULL;
	buf_init(&out, HOSTMSG_LIMIT);
	if (json_write(value, &out) == 0)
		text = malloc(sizeof(*text) + buf_len(&out) + 1);
	if (text) {
		memcpy(text->data, buf_view(&out).data, buf_len(&out));
		text->data[buf_len(&out)] = '\0';
		text->next = task->texts;
		task->texts = text;
	}
	buf_done(&out);
	return text ? text->data : NULL;
}

/* Its end. */

static int fail_too_long(struct plugin_task *task, size_t len)
{
	result_fail(task->result, "output_too_long", "the result has %zu bytes, %llu are allowed",
		len, (unsigned long long)task_offer(task->work)->max_output_bytes);
	return -EMSGSIZE;
}

/* The longest that a result may be, before it is looked at. */
static bool is_too_long(const struct plugin_task *task, size_t len)
{
	return len > task_offer(task->work)->max_output_bytes;
}

static int api_result(struct workpool_task *seen, const char *text, size_t len)
{
	struct plugin_task *task = mine(seen);
	char why[JSON_WHY_SIZE];
	auto_json json_t *json = NULL;

	if (!task)
		return -EPERM;
	task->has_end = true;
	if (!text) {
		result_ok(task->result, (struct view){NULL, 0});
		return 0;
	}
	if (is_too_long(task, len))
		return fail_too_long(task, len);
	int r = json_parse((struct view){text, len}, &json, why);
	if (r < 0) {
		result_fail(task->result, "bad_result", "the result is no JSON: %s",
			r == -ENOMEM ? "no memory to read it" : why);
		return r == -ENOMEM ? r : -EINVAL;
	}
	/* As we write it: one line, without the blanks of the module. */
	result_ok_json(task->result, json);
	if (is_too_long(task, task->result->json.len))
		return fail_too_long(task, task->result->json.len);
	return task->result->outcome == OUTCOME_OK ? 0 : -ENOMEM;
}

static int api_result_text(struct workpool_task *seen, const char *text, size_t len)
{
	struct plugin_task *task = mine(seen);
	struct buf json;

	if (!task)
		return -EPERM;
	task->has_end = true;
	buf_init(&json, HOSTMSG_LIMIT);
	int r = buf_append_json_string(&json, text ? text : "", text ? len : 0);
	if (r == -EMSGSIZE || (r == 0 && is_too_long(task, buf_len(&json))))
		r = fail_too_long(task, r == 0 ? buf_len(&json) : len);
	else if (r < 0)
		result_fail(task->result, "no_memory", "no memory for the result");
	else
		result_ok_buf(task->result, &json);
	buf_done(&json);
	return r;
}

/* A word that programs can tell apart, and that is whole when it has come to them. */
static bool is_code(const char *code)
{
	size_t len = strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return code[len] == '\0' && len > 0 && len <= WORKPOOL_CODE_MAX;
}

static int api_fail(struct workpool_task *seen, const char *code, const char *text)
{
	struct plugin_task *task = mine(seen);

	if (!task)
		return -EPERM;
	task->has_end = true;
	result_fail(task->result, code && is_code(code) ? code : "failed", "%s", text ? text : "");
	return 0;
}

static int api_progress(struct workpool_task *seen, unsigned permille, const char *note)
{
	struct plugin_task *task = mine(seen);

	if (!task)
		return -EPERM;
	task_progress(task->work, permille, note);
	return 0;
}

/* The log. */

static void log_text(const char *handler, uint64_t id, int level, const char *text)
{
	char quoted[LOG_QUOTE_MAX + 1], task[32] = "";

	if (level < LOG_L_ERROR || level > LOG_L_DEBUG)
		level = LOG_L_INFO;
	if (id > 0)
		(void)snprintf(task, sizeof(task), ", task %llu", (unsigned long long)id);
	if (!text)
		text = "";
	log_event((enum log_level)level, "plugin", "handler \"%s\"%s: %s", handler, task,
		log_quote(text, strlen(text), quoted));
}

static void api_log(const struct workpool_task *seen, int level, const char *text)
{
	log_text(any(seen)->plugin->offer->name, any(seen)->id, level, text);
}

static void api_log_of(const struct workpool_settings *settings, int level, const char *text)
{
	log_text(settings->handler, 0, level, text);
}

const struct workpool_host plugin_api = {
	.abi = WORKPOOL_PLUGIN_ABI,
	.id = api_id,
	.attempt = api_attempt,
	.worker = api_worker,
	.state = api_state,
	.cancelled = api_cancelled,
	.cancel_fd = api_cancel_fd,
	.deadline_us = api_deadline_us,
	.remaining_us = api_remaining_us,
	.sleep_us = api_sleep_us,
	.args = api_args,
	.get_bool = api_get_bool,
	.get_int = api_get_int,
	.get_real = api_get_real,
	.get_string = api_get_string,
	.get_item = api_get_item,
	.get_json = api_get_json,
	.result = api_result,
	.result_text = api_result_text,
	.fail = api_fail,
	.progress = api_progress,
	.log = api_log,
	.log_of = api_log_of,
};
