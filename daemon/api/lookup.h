/*
 * lookup: the tasks that callers mean by an id or a name. A name is anybody's and any number of tasks': it means the newest
 * of them, among the LOOKUP_TASKS_MAX newest tasks of all.
 */
#ifndef WORKPOOL_API_LOOKUP_H
#define WORKPOOL_API_LOOKUP_H

#include <stdbool.h>

#include "api/call.h"
#include "core/board.h"

#define LOOKUP_TASKS_MAX 20000

/* NULL: there is none. */
struct task *lookup_id(const struct call *call, const char *id);
struct task *lookup_name(const struct call *call, const char *name);
/* All names at once, in one look at the tasks: only those that the caller may see into. ret_tasks[i] belongs to names[i],
 * NULL: none. -ENOMEM. */
int lookup_own_names(const struct call *call, json_t *names, struct task **ret_tasks) MUST_CHECK;

#endif
