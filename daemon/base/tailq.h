/*
 * tailq: queue(3)'s doubly linked lists, and the loop that glibc's copy lacks.
 */
#ifndef WORKPOOL_BASE_TAILQ_H
#define WORKPOOL_BASE_TAILQ_H

#include <sys/queue.h>

/* As TAILQ_FOREACH; var may be removed and freed inside the loop. */
#ifndef TAILQ_FOREACH_SAFE
#define TAILQ_FOREACH_SAFE(var, head, field, next)                                                 \
	for ((var) = TAILQ_FIRST(head); (var) && ((next) = TAILQ_NEXT(var, field), 1);             \
		(var) = (next))
#endif

#endif
