/*
 * tojson: tasks, pools, resources and handlers as the interface shows them. Every function that makes one gives a new
 * reference, or NULL without memory; but tasks, of which there are many, are text at once.
 */
#ifndef WORKPOOL_API_TOJSON_H
#define WORKPOOL_API_TOJSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/call.h"
#include "core/board.h"
#include "wire/jsonout.h"

#define TASK_ID_SIZE 24

/* Decimal for tasks of this daemon; clients do not interpret it. Returns ret_text. */
const char *tojson_id_text(uint64_t id, char ret_text[TASK_ID_SIZE]);
/* 0: no such id can be. */
uint64_t tojson_id_parse(const char *text);

/* May this caller see what the task was given and gave? Its owner and admins may. */
bool tojson_may_see(const struct call *call, const struct task *task);
void tojson_task(struct jsonout *json, const char *key, const struct task *task, uint64_t now_us,
	bool with_payload);
/* What the task gave, or its last attempt: also when it failed. NULL: nothing. */
json_t *tojson_result(const struct task *task);
json_t *tojson_pool(const struct daemon *daemon, const struct pool *pool);
json_t *tojson_resource(const struct daemon *daemon, const struct resource *resource);
json_t *tojson_handler(const struct daemon *daemon, size_t handler);
json_t *tojson_daemon(const struct call *call);
json_t *tojson_store(const struct daemon *daemon);
json_t *tojson_times(const struct hist *hist);
/* Seconds since the epoch, as the calendar is now. */
json_t *tojson_wall(const struct daemon *daemon, uint64_t at_us);

/* For making objects: puts value, which it takes, under key; *failed becomes 1 when it could not. */
void tojson_put(json_t *object, const char *key, json_t *value, int *failed);
void tojson_put_int(json_t *object, const char *key, uint64_t value, int *failed);
/* The object, or NULL and it is gone. */
json_t *tojson_finish(json_t *object, int failed);

/* The types of the interface description that these make, as its text. */
extern const char tojson_types[];

#endif
