/*
 * unique: see unique.h. tsearch(3) is a balanced tree: no key that a client chooses makes it slow.
 */
#include "core/unique.h"

#include <errno.h>
#include <search.h>
#include <string.h>

#include "core/board.h"

struct key {
	const struct handler *handler;
	uint32_t owner_uid;
	struct view text;
};

/* What the tree holds, and what is looked for in it, begins with its key. */
struct holding {
	struct key key; /* borrows the task's text */
	struct task *task;
};

static int compare(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	if (x->handler != y->handler)
		return x->handler < y->handler ? -1 : 1;
	if (x->owner_uid != y->owner_uid)
		return x->owner_uid < y->owner_uid ? -1 : 1;
	if (x->text.len != y->text.len)
		return x->text.len < y->text.len ? -1 : 1;
	return memcmp(x->text.data, y->text.data, x->text.len);
}

static struct key key_of(const struct task *task)
{
	return (struct key){task->handler, task->owner_uid, {task_unique(task), task->unique_len}};
}

struct task *unique_find(const struct board *board, const struct handler *handler,
	uint32_t owner_uid, struct view key)
{
	const struct key wanted = {handler, owner_uid, key};
	struct holding *const *found = tfind(&wanted, &board->uniques, compare);

	return found != NULL ? (*found)->task : NULL;
}

int unique_take(struct board *board, struct task *task)
{
	struct holding *entry, **found;

	if (task->unique_len == 0)
		return 0;
	entry = malloc(sizeof *entry);
	if (entry == NULL)
		return -ENOMEM;
	*entry = (struct holding){key_of(task), task};
	found = tsearch(entry, &board->uniques, compare);
	if (found != NULL && *found == entry)
		return 0;
	free(entry);
	return found != NULL ? -EEXIST : -ENOMEM;
}

void unique_drop(struct board *board, struct task *task)
{
	const struct key key = key_of(task);
	struct holding **found, *entry;

	if (task->unique_len == 0)
		return;
	found = tfind(&key, &board->uniques, compare);
	if (found == NULL || (*found)->task != task)
		return;
	entry = *found;
	(void)tdelete(&key, &board->uniques, compare);
	free(entry);
}

void unique_done(struct board *board)
{
	tdestroy(board->uniques, free);
	board->uniques = NULL;
}
