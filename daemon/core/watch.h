/*
 * watch: the only way from core back up. Who wants to hear of a change puts a watch on a list; the list is fired from
 * board_settle() and board_undo(), and nowhere else, when what it tells is true. fire() must not change the board: that
 * would be a change without a commit.
 */
#ifndef WORKPOOL_CORE_WATCH_H
#define WORKPOOL_CORE_WATCH_H

#include <stdbool.h>

#include "base/tailq.h"

struct task;
struct watch_list;

struct watch {
	/* task: the one that changed, NULL on a list that is not a task's. error: 0, or -errno of the commit that failed:
	 * then the change was taken back, and a task that was posted in this turn is gone with the turn's sweep. With
	 * board->broken also for a task without a change, once: none of what it does from here on will be told. */
	void (*fire)(struct watch *watch, struct task *task, int error);
	struct watch_list *list; /* borrows: the list it is on, NULL: on none */
	TAILQ_ENTRY(watch) link; /* in: list->watches */
};

struct watch_list {
	TAILQ_HEAD(, watch) watches;
};

void watch_list_init(struct watch_list *list);
void watch_add(struct watch_list *list,
	struct watch *watch); /* at the end; must be on no list; not from fire() for its own list */
void watch_remove(struct watch *watch); /* also from inside fire(); fine when on no list */
bool watch_list_is_empty(const struct watch_list *list);
/* Fires each once, in order of watch_add(). A callback may remove any watch. Not to be nested for one list. */
void watch_list_fire(struct watch_list *list, struct task *task, int error);
/* Takes all off: their owners' watches are on no list afterwards. */
void watch_list_done(struct watch_list *list);

#endif
