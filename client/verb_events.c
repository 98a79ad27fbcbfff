/*
 * verb_events: what happens in the daemon, as it happens.
 */
#include <string.h>

#include "client/fault.h"
#include "client/json.h"
#include "client/sentence.h"
#include "client/text.h"
#include "client/verb.h"
#include "client/wait.h"

/* Programs get every field at a place of its own; people what there is, in words. */
static const struct print_column columns[] = {
	{"at", "at", PRINT_TIME},
	{"kind", "kind", PRINT_STATE},
	{"pool", "pool", PRINT_TEXT},
	{"id", "id", PRINT_TEXT},
	{"handler", "handler", PRINT_TEXT},
	{"name", "name", PRINT_TEXT},
	{"owner", "owner", PRINT_NUMBER},
	{"attempt", "attempt", PRINT_NUMBER},
	{"worker", "worker", PRINT_NUMBER},
	{"reason", "reason", PRINT_TEXT},
	{"permille", "permille", PRINT_PERMILLE},
	{"note", "note", PRINT_TEXT},
	{"workers", "workers", PRINT_NUMBER},
	{"pid", "pid", PRINT_NUMBER},
	{"resource", "resource", PRINT_TEXT},
};

static const struct print_column short_columns[] = {
	{"at", "at", PRINT_CLOCK},
	{"kind", "kind", PRINT_STATE},
	{"pool", "pool", PRINT_TEXT},
	{"id", "id", PRINT_TEXT},
	{"handler", "handler", PRINT_TEXT},
	{"what", "what", PRINT_TEXT},
};

/* Of the short columns: the rows come one by one, and their columns should not jump. */
static const size_t usual_widths[] = {8, 13, 8, 6, 10, 0};

/* What a person is told of an event; each that has its fields, in this order. */
static const char *const words[] = {
	"\"{name}\"",
	"{reason}",
	"attempt {attempt} in worker {worker}",
	"{permille} of 1000",
	"{note}",
	"{workers} workers",
	"process {pid}",
	"resource {resource}",
};

/* The kinds of all --kind, each of which may be a list. NULL: no memory. */
static json_t *read_kinds(const struct opt_list *list)
{
	json_t *kinds = json_array();

	for (size_t i = 0; i < list->n; i++) {
		const char *text = list->texts[i];
		while (kinds && *text) {
			size_t len = strcspn(text, ",");
			if (len > 0 && json_array_append_new(kinds, json_stringn(text, len)) < 0) {
				json_decref(kinds);
				return NULL;
			}
			text += len + (text[len] == ',');
		}
	}
	return kinds;
}

static int put_events(struct ctl *ctl)
{
	json_t *kinds = read_kinds(&ctl->opts.kinds);
	json_t *params = kinds ? json_pack("{s:s*}", "pool", ctl->opts.pool) : NULL;

	/* Only commas are no kind: the daemon would take an empty list for all. */
	if (ctl->opts.kinds.n > 0 && kinds && json_array_size(kinds) == 0) {
		json_decref(kinds);
		json_decref(params);
		return fault_say(CODE_USAGE, "--kind: there is none in it");
	}
	if (!params || (ctl->opts.kinds.n > 0 && json_object_set(params, "kinds", kinds) < 0)) {
		json_decref(params);
		params = NULL;
	}
	json_decref(kinds);
	return link_put(&ctl->link, "Events", params, WORKPOOL_MORE);
}

/* All words of `event` that are there, as its field "what". */
static int add_words(json_t *event)
{
	struct buf text;
	int r = 0;

	buf_init(&text, TEXT_LIMIT);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(words); i++) {
		if (!sentence_is_full(words[i], event))
			continue;
		if (buf_len(&text) > 0)
			r = buf_append(&text, ", ", 2);
		if (r == 0)
			r = sentence_append(&text, words[i], event);
	}
	if (r == 0 && buf_len(&text) > 0)
		r = json_object_set_new(
			event, "what", json_stringn(buf_view(&text).data, buf_len(&text)));
	buf_done(&text);
	return r < 0 ? fault_no_memory() : 0;
}

static int show_event(struct ctl *ctl, struct print_table *table, json_t *event)
{
	int code = event && ctl->print.is_terminal ? add_words(event) : 0;
	auto_json json_t *rows = event ? json_pack("[O]", event) : json_array();

	if (!rows)
		return fault_no_memory();
	return code ? code : print_rows(&ctl->print, table, rows);
}

int verb_events(struct ctl *ctl)
{
	struct print_table table = PRINT_TABLE(columns);
	int code = put_events(ctl);

	if (ctl->print.is_terminal) {
		table = PRINT_TABLE(short_columns);
		memcpy(table.widths, usual_widths, sizeof(usual_widths));
	}
	/* It has no end of its own: a signal, --timeout or the daemon's end it. */
	while (code == 0) {
		auto_reply struct link_reply reply = {0};
		code = link_expect(&ctl->link, WAIT_FOREVER, &reply);
		if (code)
			break;
		int64_t missed = print_int(reply.params, "missed");
		code = ctl->print.is_json
			       ? print_json(&ctl->print, reply.params)
			       : show_event(ctl, &table, json_object_get(reply.params, "event"));
		if (code == 0)
			code = print_flush(&ctl->print);
		if (missed > 0)
			(void)fault_say(0, "events: %jd missed", (intmax_t)missed);
	}
	return code;
}
