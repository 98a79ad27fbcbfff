/*
 * lookup: see lookup.h.
 */
#include "api/lookup.h"

#include <errno.h>
#include <string.h>

#include "api/tojson.h"

struct task *lookup_id(const struct call *call, const char *id)
{
	return board_find_task(call->conn->daemon->board, tojson_id_parse(id));
}

struct task *lookup_name(const struct call *call, const char *name)
{
	const struct board *board = call->conn->daemon->board;
	struct task *task = board_below(board, UINT64_MAX);

	for (unsigned n = 0; task != NULL && n < LOOKUP_TASKS_MAX; n++) {
		if (task->name_len > 0 && strcmp(task_name(task), name) == 0)
			return task;
		task = board_below(board, task->id);
	}
	return NULL;
}

/* Where a name stands in the array, the last one of several equal ones; NULL: nowhere. -ENOMEM. */
static int index_names(json_t *names, json_t **ret_places)
{
	json_t *places = json_object(), *name;
	int r = places != NULL ? 0 : -ENOMEM;
	size_t i;

	json_array_foreach (names, i, name)
		if (r == 0 && json_object_set_new_nocheck(places, json_string_value(name),
				      json_integer((json_int_t)i)) < 0)
			r = -ENOMEM;
	if (r < 0)
		json_decref(places);
	else
		*ret_places = places;
	return r;
}

int lookup_own_names(const struct call *call, json_t *names, struct task **ret_tasks)
{
	const struct board *board = call->conn->daemon->board;
	struct task *task = board_below(board, UINT64_MAX);
	size_t i, left;
	json_t *places, *name;
	int r = index_names(names, &places);

	if (r < 0)
		return r;
	left = json_object_size(places);
	for (unsigned n = 0; task != NULL && left > 0 && n < LOOKUP_TASKS_MAX; n++) {
		const json_t *place =
			task->name_len > 0 ? json_object_get(places, task_name(task)) : NULL;
		size_t at = (size_t)json_integer_value(place);

		if (place != NULL && ret_tasks[at] == NULL && tojson_may_see(call, task)) {
			ret_tasks[at] = task;
			left--;
		}
		task = board_below(board, task->id);
	}
	json_array_foreach (names, i, name)
		ret_tasks[i] = ret_tasks[json_integer_value(
			json_object_get(places, json_string_value(name)))];
	json_decref(places);
	return 0;
}
