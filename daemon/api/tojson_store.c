/*
 * tojson_store: the store as the interface shows it; see tojson.h.
 */
#include <string.h>

#include "api/tojson.h"
#include "base/clock.h"

static json_t *oldest(const struct daemon *daemon, const struct task *task)
{
	uint64_t age_us = daemon->now_us - task->posted_us;
	char id[TASK_ID_SIZE];

	return json_pack("{s:s, s:I}", "id", tojson_id_text(task->id, id), "age_ms",
		(json_int_t)(age_us / US_PER_MS));
}

/* What a store in a file has to tell. */
static void put_file(json_t *object, const struct store_status *status, int *failed)
{
	double per_post = status->posts > 0 ? (double)status->flushes / (double)status->posts : 0;

	tojson_put(object, "path", json_string(status->path), failed);
	tojson_put_int(object, "size", status->size_bytes, failed);
	tojson_put_int(object, "used", status->used_bytes, failed);
	tojson_put_int(object, "max_size", status->max_bytes, failed);
	tojson_put_int(object, "posts", status->posts, failed);
	tojson_put_int(object, "commits", status->commits, failed);
	tojson_put_int(object, "flushes", status->flushes, failed);
	tojson_put(object, "flushes_per_post", json_real(per_post), failed);
	tojson_put_int(object, "last_flush_us", status->last_flush_us, failed);
	tojson_put(object, "flush_us", tojson_times(status->flush), failed);
	tojson_put_int(object, "unknown_tasks", status->unknown, failed);
}

json_t *tojson_store(const struct daemon *daemon)
{
	const struct store_status status = store_status(daemon->store);
	const struct task *task = board_oldest(daemon->board);
	json_t *object = json_pack("{s:s}", "type", daemon->store->ops->name);
	int failed = 0;

	if (object == NULL)
		return NULL;
	if (status.path != NULL)
		put_file(object, &status, &failed);
	if (task != NULL)
		tojson_put(object, "oldest", oldest(daemon, task), &failed);
	if (status.why[0] != '\0')
		tojson_put(object, "error", json_string(status.why), &failed);
	else if (daemon->store_error != 0)
		tojson_put(object, "error", json_string(strerror(-daemon->store_error)), &failed);
	return tojson_finish(object, failed);
}
