/*
 * watch: see watch.h. While a list is fired a mark stands in it: those that were fired go behind it, so that any may be removed.
 */
#include "core/watch.h"

#include <stddef.h>

void watch_list_init(struct watch_list *list)
{
	TAILQ_INIT(&list->watches);
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
	TAILQ_REMOVE(&list->watches, watch, link);
	watch->list = NULL;
}

/* The mark, which nobody fires, is no watch. */
bool watch_list_is_empty(const struct watch_list *list)
{
	const struct watch *first = TAILQ_FIRST(&list->watches);

	return first == NULL || (first->fire == NULL && TAILQ_NEXT(first, link) == NULL);
}

void watch_list_fire(struct watch_list *list, struct task *task, int error)
{
	struct watch mark = {.list = list}, *watch;

	if (TAILQ_EMPTY(&list->watches))
		return;
	TAILQ_INSERT_TAIL(&list->watches, &mark, link);
	while ((watch = TAILQ_FIRST(&list->watches)) != &mark) {
		TAILQ_REMOVE(&list->watches, watch, link);
		TAILQ_INSERT_TAIL(&list->watches, watch, link);
		watch->fire(watch, task, error);
	}
	TAILQ_REMOVE(&list->watches, &mark, link);
}

void watch_list_done(struct watch_list *list)
{
	struct watch *watch;

	while ((watch = TAILQ_FIRST(&list->watches)) != NULL)
		watch_remove(watch);
}
