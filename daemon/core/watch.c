/*
 * watch: see watch.h. The cursor `next` makes removal safe while the list is fired.
 */
#include "core/watch.h"

#include <stddef.h>

void watch_list_init(struct watch_list *list)
{
	TAILQ_INIT(&list->watches);
	list->next = NULL;
}

void watch_add(struct watch_list *list, struct watch *watch)
{
	watch->list = list;
	TAILQ_INSERT_TAIL(&list->watches, watch, link);
}

void watch_remove(struct watch *watch)
{
	struct watch_list *list = watch->list;

	if (list == NULL)
		return;
	if (list->next == watch)
		list->next = TAILQ_NEXT(watch, link);
	TAILQ_REMOVE(&list->watches, watch, link);
	watch->list = NULL;
}

bool watch_list_is_empty(const struct watch_list *list)
{
	return TAILQ_EMPTY(&list->watches);
}

void watch_list_fire(struct watch_list *list, struct task *task, int error)
{
	struct watch *watch;

	for (watch = TAILQ_FIRST(&list->watches); watch != NULL; watch = list->next) {
		list->next = TAILQ_NEXT(watch, link);
		watch->fire(watch, task, error);
	}
	list->next = NULL;
}

void watch_list_done(struct watch_list *list)
{
	struct watch *watch;

	while ((watch = TAILQ_FIRST(&list->watches)) != NULL)
		watch_remove(watch);
}
