/* verb_status: status and stats, two views of the daemon's Stats. */
#include <string.h>

#include "base/clock.h"
#include "client/fault.h"
#include "client/json.h"
#include "client/sandbox.h"
#include "client/sentence.h"
#include "client/text.h"
#include "client/verb.h"
#include "client/wait.h"

#define SUSPECTS_MAX 1000 /* tasks in one reply of List */

static const struct print_column daemon_columns[] = {
	{"daemon", "state", PRINT_STATE},
	{"version", "version", PRINT_TEXT},
	{"pid", "pid", PRINT_NUMBER},
	{"socket", "socket", PRINT_TEXT},
	{"up", "uptime_ms", PRINT_MS},
	{"store", "store.type", PRINT_TEXT},
	{"store_file", "store.path", PRINT_TEXT},
	{"store_size", "store.size", PRINT_NUMBER},
	{"store_used", "store.used", PRINT_NUMBER},
	{"store_max", "store.max_size", PRINT_NUMBER},
	{"flushes", "store.flushes", PRINT_NUMBER},
	{"flushes_per_post", "store.flushes_per_post", PRINT_NUMBER},
	{"last_flush", "store.last_flush_us", PRINT_US},
	{"unknown_tasks", "store.unknown_tasks", PRINT_NUMBER},
	{"oldest_task", "store.oldest.id", PRINT_TEXT},
	{"oldest_age", "store.oldest.age_ms", PRINT_MS},
	{"sandbox", "sandbox.text", PRINT_TEXT},
	{"not_available", "sandbox.lacks", PRINT_TEXT},
	{"role", "role", PRINT_TEXT},
	{"uid", "uid", PRINT_NUMBER},
	{"active", "active", PRINT_NUMBER},
	{"max_active", "max_active", PRINT_NUMBER},
	{"connections", "connections", PRINT_NUMBER},
	{"max_connections", "max_connections", PRINT_NUMBER},
	{"refused_connections", "refused_connections", PRINT_NUMBER},
};

static const struct print_column status_columns[] = {
	{"pool", "name", PRINT_TEXT},
	{"state", "state", PRINT_STATE},
	{"workers", "workers", PRINT_NUMBER},
	{"rule", "workers_rule", PRINT_TEXT},
	{"hosts", "hosts", PRINT_NUMBER},
	{"hosts_up", "hosts_up", PRINT_NUMBER},
	{"active", "active", PRINT_NUMBER},
	{"queued", "queued", PRINT_NUMBER},
	{"capacity", "capacity", PRINT_NUMBER},
	{"max_active", "max_active", PRINT_NUMBER},
	{"max_queued", "max_queued", PRINT_NUMBER},
	{"done", "done", PRINT_NUMBER},
	{"failed", "failed", PRINT_NUMBER},
	{"refused", "refused", PRINT_NUMBER},
	{"per_s", "rate_1min", PRINT_NUMBER},
};

static const struct print_column level_columns[] = {
	{"pool", "name", PRINT_TEXT},
	{"workers", "workers", PRINT_NUMBER},
	{"active", "active", PRINT_NUMBER},
	{"max_active", "max_active", PRINT_NUMBER},
	{"capacity", "capacity", PRINT_NUMBER},
	{"queued", "queued", PRINT_NUMBER},
	{"max_queued", "max_queued", PRINT_NUMBER},
	{"delayed", "delayed", PRINT_NUMBER},
	{"room", "room", PRINT_NUMBER},
	{"per_s_now", "rate_1s", PRINT_NUMBER},
	{"per_s_1min", "rate_1min", PRINT_NUMBER},
};

/* Numbers of a pool that count nothing. */
static const char *const no_counters[] = {
	"leaving", "hosts", "hosts_up", "host_pid", "host_restarts", "host_retry_ms"};

static const struct print_column time_columns[] = {
	{"pool", "pool", PRINT_TEXT},
	{"time", "time", PRINT_TEXT},
	{"count", "count", PRINT_NUMBER},
	{"mean", "mean", PRINT_US},
	{"p50", "p50", PRINT_US},
	{"p90", "p90", PRINT_US},
	{"p99", "p99", PRINT_US},
	{"max", "max", PRINT_US},
};

static const struct print_column resource_columns[] = {
	{"resource", "name", PRINT_TEXT},
	{"active", "active", PRINT_NUMBER},
	{"max_active", "max_active", PRINT_NUMBER},
	{"rate", "rate", PRINT_NUMBER},
	{"burst", "burst", PRINT_NUMBER},
	{"breaker", "breaker", PRINT_STATE},
	{"failures", "failures", PRINT_NUMBER},
	{"until", "until", PRINT_CLOCK},
};

static bool is_paused(const json_t *pool)
{
	return json_is_true(json_object_get(pool, "paused"));
}

static bool is_without_host(const json_t *pool)
{
	return strcmp(print_text(pool, "host"), "down") == 0;
}

static bool has_host_error(const json_t *pool)
{
	return *print_text(pool, "host_error") != '\0';
}

static bool is_waited_for(const json_t *pool)
{
	return print_int(pool, "room") > 0;
}

static bool is_full(const json_t *pool)
{
	return !is_waited_for(pool) && print_int(pool, "capacity") > 0 &&
	       print_int(pool, "queued") >= print_int(pool, "capacity");
}

/* What can be wrong with a pool; the first one that is gives the word in the table. */
static const struct {
	bool (*is_wrong)(const json_t *pool);
	const char *state;
	const char *text; /* a sentence (sentence.h) about the pool */
} troubles[] = {
	{is_without_host, "down", "pool \"{name}\" has no host: no task runs"},
	{has_host_error, "failing",
		"the host of pool \"{name}\": {host_error}; next try in {host_retry_ms} ms|"
		"the host of pool \"{name}\": {host_error}"},
	{is_paused, "paused", "pool \"{name}\" is paused (wpctl resume)"},
	{is_waited_for, "full", "pool \"{name}\" is full: posts that wait for room: {room}"},
	{is_full, "full", "pool \"{name}\" is full: posts are refused"},
};

static int set_states(const json_t *pools)
{
	size_t i;
	json_t *pool;

	json_array_foreach (pools, i, pool) {
		const char *state = "running";
		for (size_t t = ARRAY_SIZE(troubles); t-- > 0;) {
			if (troubles[t].is_wrong(pool))
				state = troubles[t].state;
		}
		if (json_object_set_new(pool, "state", json_string(state)) < 0)
			return fault_no_memory();
	}
	return 0;
}

/* One line that says what is wrong: the pattern (sentence.h) filled with the words of `params`. */
static int print_wrong(struct ctl *ctl, const char *pattern, const json_t *params)
{
	static const struct print_column column = {"wrong", "text", PRINT_TEXT};
	struct buf text;

	buf_init(&text, TEXT_LIMIT);
	int r = sentence_append(&text, pattern, params);
	auto_json json_t *object =
		r == 0 ? json_pack("{s:s%}", "text", buf_view(&text).data, buf_len(&text)) : NULL;
	buf_done(&text);
	return object ? print_fields(&ctl->print, &column, 1, object) : fault_no_memory();
}

/* Is one of the tasks of this state a suspect, among the first SUSPECTS_MAX? */
static int find_suspect(struct ctl *ctl, const char *pool, const char *state, bool *ret_found)
{
	auto_reply struct link_reply reply = {0};
	size_t i;
	const json_t *task;
	bool found = false;

	int code = link_call(&ctl->link, "List",
		json_pack("{s:s, s:s, s:i}", "pool", pool, "state", state, "limit", SUSPECTS_MAX),
		&reply);
	if (code)
		return code;
	json_array_foreach (json_object_get(reply.params, "tasks"), i, task)
		found = found || json_is_true(json_object_get(task, "suspect"));
	*ret_found = found;
	return 0;
}

/* Only a pool in which something has crashed can have any: the others are not asked. In the order in which a task goes
 * on, so that none slips through between two calls. */
static int print_suspects(struct ctl *ctl, const json_t *pool)
{
	static const char *const states[] = {"delayed", "queued", "active"};
	bool found = false;
	int code = 0;

	if (print_int(pool, "crashed") == 0)
		return 0;
	for (size_t i = 0; code == 0 && !found && i < ARRAY_SIZE(states); i++)
		code = find_suspect(ctl, print_text(pool, "name"), states[i], &found);
	if (code || !found)
		return code;
	return print_wrong(ctl,
		"pool \"{name}\" has suspects: tasks that were in a host that died run alone",
		pool);
}

static int print_pool_troubles(struct ctl *ctl, const json_t *pools)
{
	size_t i;
	json_t *pool;
	int code = 0;

	json_array_foreach (pools, i, pool) {
		for (size_t t = 0; code == 0 && t < ARRAY_SIZE(troubles); t++) {
			if (troubles[t].is_wrong(pool))
				code = print_wrong(ctl, troubles[t].text, pool);
		}
		if (code == 0)
			code = print_suspects(ctl, pool);
	}
	return code;
}

static int print_troubles(struct ctl *ctl, const json_t *params, const json_t *pools)
{
	const json_t *daemon = json_object_get(params, "daemon");
	size_t i;
	json_t *resource;
	int code = 0;

	if (strcmp(print_text(daemon, "state"), "running") != 0)
		code = print_wrong(ctl, "the daemon is {state}", daemon);
	if (code == 0 && *print_text(daemon, "store.error"))
		code = print_wrong(ctl, "the store: {error}", json_object_get(daemon, "store"));
	if (code == 0)
		code = print_pool_troubles(ctl, pools);
	json_array_foreach (json_object_get(params, "resources"), i, resource) {
		const char *breaker = print_text(resource, "breaker");
		if (code == 0 && strcmp(breaker, "open") == 0)
			code = print_wrong(ctl,
				"the breaker of resource \"{name}\" is open: no task that uses it "
				"starts",
				resource);
		if (code == 0 && strcmp(breaker, "half_open") == 0)
			code = print_wrong(ctl,
				"the breaker of resource \"{name}\" is half open: one task tries "
				"it",
				resource);
	}
	return code;
}

/* What of the replies a verb shows: of the first one all that is no pool; the pools of all. */
typedef int show_stats(struct ctl *ctl, const json_t *params, const json_t *pools);

static int show_status(struct ctl *ctl, const json_t *params, const json_t *pools)
{
	struct print_table table = PRINT_TABLE(status_columns);
	auto_json json_t *shown = json_copy(json_object_get(params, "daemon"));

	if (!shown || json_object_set_new(shown, "socket", json_string(link_path(&ctl->link))) < 0)
		return fault_no_memory();
	int code = sandbox_set_text(shown);
	if (code == 0)
		code = set_states(pools);
	if (code == 0)
		code = print_fields(&ctl->print, daemon_columns, ARRAY_SIZE(daemon_columns), shown);
	if (code == 0 && ctl->print.is_terminal)
		(void)putchar('\n');
	if (code == 0)
		code = print_rows(&ctl->print, &table, pools);
	return code ? code : print_troubles(ctl, params, pools);
}

/* The three histograms of one pool as rows. */
static int add_times(json_t *rows, const json_t *pool)
{
	static const struct {
		const char *key;
		const char *name;
	} times[] = {{"wait_us", "wait"}, {"run_us", "run"}, {"total_us", "total"}};

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		auto_json json_t *row = json_pack(
			"{s:s, s:s}", "pool", print_text(pool, "name"), "time", times[i].name);
		json_t *values = json_object_get(pool, times[i].key);
		if (!row || (values && json_object_update(row, values) < 0) ||
			json_array_append(rows, row) < 0)
			return fault_no_memory();
	}
	return 0;
}

static bool is_counter(const char *key, const json_t *value)
{
	if (!json_is_integer(value))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(level_columns); i++) {
		if (strcmp(key, level_columns[i].key) == 0)
			return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(no_counters); i++) {
		if (strcmp(key, no_counters[i]) == 0)
			return false;
	}
	return true;
}

/* The counters that this daemon has, whichever they are: its table is not ours to repeat. */
static int print_counters(struct ctl *ctl, const json_t *pools)
{
	struct print_column columns[PRINT_COLUMNS_MAX] = {{"pool", "name", PRINT_TEXT}};
	struct print_table table = {.columns = columns, .n = 1};
	const char *key;
	json_t *value;

	json_object_foreach (json_array_get(pools, 0), key, value) {
		if (is_counter(key, value) && table.n < PRINT_COLUMNS_MAX)
			columns[table.n++] = (struct print_column){key, key, PRINT_NUMBER};
	}
	(void)putchar('\n');
	return print_rows(&ctl->print, &table, pools);
}

static int print_times(struct ctl *ctl, const json_t *pools)
{
	struct print_table table = PRINT_TABLE(time_columns);
	auto_json json_t *rows = json_array();
	size_t i;
	json_t *pool;
	int code = rows ? 0 : fault_no_memory();

	json_array_foreach (pools, i, pool) {
		if (code == 0)
			code = add_times(rows, pool);
	}
	(void)putchar('\n');
	return code ? code : print_rows(&ctl->print, &table, rows);
}

static int print_resources(struct ctl *ctl, const json_t *resources)
{
	struct print_table table = PRINT_TABLE(resource_columns);

	if (json_array_size(resources) == 0)
		return 0;
	(void)putchar('\n');
	return print_rows(&ctl->print, &table, resources);
}

static int show_counters(struct ctl *ctl, const json_t *params, const json_t *pools)
{
	struct print_table levels = PRINT_TABLE(level_columns);

	int code = print_rows(&ctl->print, &levels, pools);
	if (code == 0)
		code = print_counters(ctl, pools);
	if (code == 0)
		code = print_times(ctl, pools);
	return code ? code : print_resources(ctl, json_object_get(params, "resources"));
}

/* The pools of all replies into one array; the first reply's daemon. */
static int collect(struct ctl *ctl, size_t n, json_t *pools, struct link_reply *ret_first)
{
	for (size_t i = 0; i < n; i++) {
		auto_reply struct link_reply reply = {0};
		int code = link_expect(&ctl->link, link_answer_until(&ctl->link), &reply);
		if (code)
			return code;
		json_t *some = json_object_get(reply.params, "pools");
		if (ctl->print.is_json)
			code = print_json(&ctl->print, reply.params);
		if (code)
			return code;
		if (json_is_array(some) && json_array_extend(pools, some) < 0)
			return fault_no_memory();
		if (i == 0) {
			*ret_first = reply;
			reply = (struct link_reply){0};
		}
	}
	return 0;
}

/* One call for each name, one for all pools without names. */
static int put_for_names(struct ctl *ctl, const char *method)
{
	int code = 0;

	if (ctl->n_names == 0)
		return link_put(&ctl->link, method, json_object(), 0);
	for (size_t i = 0; code == 0 && i < ctl->n_names; i++)
		code = link_put(&ctl->link, method, json_pack("{s:s}", "pool", ctl->names[i]), 0);
	return code;
}

/* Asks once and shows. ret_inactive (may be NULL): the daemon stops, or one of the pools is paused. */
static int show_once(struct ctl *ctl, show_stats *show, bool *ret_inactive)
{
	auto_reply struct link_reply first = {0};
	auto_json json_t *pools = json_array();
	size_t n = ctl->n_names > 0 ? ctl->n_names : 1;
	size_t i;
	json_t *pool;

	if (!pools)
		return fault_no_memory();
	int code = put_for_names(ctl, "Stats");
	if (code == 0)
		code = collect(ctl, n, pools, &first);
	if (code)
		return code;
	const json_t *daemon = json_object_get(first.params, "daemon");
	if (!ctl->print.is_json)
		code = show(ctl, first.params, pools);
	if (ret_inactive) {
		*ret_inactive = strcmp(print_text(daemon, "state"), "stopping") == 0;
		json_array_foreach (pools, i, pool)
			*ret_inactive = *ret_inactive || is_paused(pool);
	}
	return code;
}

int verb_status(struct ctl *ctl)
{
	bool is_inactive = false;
	int code = show_once(ctl, show_status, &is_inactive);

	if (code)
		return code;
	return is_inactive ? CODE_INACTIVE : 0;
}

/* The stream of Stats, until somebody ends it. */
static int watch(struct ctl *ctl)
{
	uint64_t us = ctl->opts.watch_us > 0 ? ctl->opts.watch_us : US_PER_SEC;
	json_int_t ms = (json_int_t)(us / US_PER_MS);
	const char *name = ctl->n_names > 0 ? ctl->names[0] : NULL;
	bool continues = true;

	if (ctl->n_names > 1)
		return fault_say(CODE_USAGE, "stats: --watch takes one pool, or all");
	int code = link_put(&ctl->link, "Stats",
		json_pack("{s:s*, s:I}", "pool", name, "interval_ms", ms), WORKPOOL_MORE);
	while (code == 0 && continues) {
		auto_reply struct link_reply reply = {0};
		uint64_t until_us = wait_deadline(us);
		until_us = until_us < WAIT_FOREVER - ctl->link.answer_us
				   ? until_us + ctl->link.answer_us
				   : WAIT_FOREVER;
		code = link_expect(&ctl->link, until_us, &reply);
		if (code)
			break;
		continues = reply.continues;
		if (ctl->print.is_json) {
			code = print_json(&ctl->print, reply.params);
		} else {
			if (ctl->print.is_terminal)
				(void)fputs("\033[H\033[J", stdout);
			code = show_counters(
				ctl, reply.params, json_object_get(reply.params, "pools"));
		}
		if (code == 0)
			code = print_flush(&ctl->print);
	}
	return code;
}

static int reset_marks(struct ctl *ctl)
{
	size_t n = ctl->n_names > 0 ? ctl->n_names : 1;
	int code = put_for_names(ctl, "ResetMarks");

	for (size_t i = 0; code == 0 && i < n; i++) {
		auto_reply struct link_reply reply = {0};
		code = link_expect(&ctl->link, link_answer_until(&ctl->link), &reply);
		if (code == 0 && ctl->print.is_json)
			code = print_json(&ctl->print, reply.params);
	}
	return code;
}

int verb_stats(struct ctl *ctl)
{
	bool watches = ctl->opts.watch_us != OPT_NOT_GIVEN;

	if (watches && ctl->opts.reset_marks)
		return fault_say(CODE_USAGE, "stats: either --watch or --reset-marks");
	if (watches)
		return watch(ctl);
	int code = show_once(ctl, show_counters, NULL);
	return code == 0 && ctl->opts.reset_marks ? reset_marks(ctl) : code;
}
