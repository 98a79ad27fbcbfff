/*
 * mem: ownership helpers over malloc(3). Every allocation of the program can
 * fail and is checked; this room only makes giving back hard to forget.
 */
#ifndef WORKPOOL_BASE_MEM_H
#define WORKPOOL_BASE_MEM_H

#include <stddef.h>
#include <stdlib.h>

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define UNUSED            __attribute__((unused))

/* Drops the result of a MUST_CHECK function; say why beside it. */
#define IGNORE(expr)                                                                               \
	do {                                                                                       \
		__auto_type ignore_value = (expr);                                                 \
		(void)ignore_value;                                                                \
	} while (0)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The struct of type `type` whose member `member` is at `ptr`. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void mem_freep(void *p)
{
	free(*(void **)p);
}

/* Freed at the end of the scope: auto_free char *s = strdup(…); */
#define auto_free __attribute__((cleanup(mem_freep)))

/* Hands the pointer on: its value, and the variable becomes NULL. */
#define take(p)                                                                                    \
	({                                                                                         \
		__auto_type take_value = (p);                                                      \
		(p) = NULL;                                                                        \
		take_value;                                                                        \
	})

/* A copy of len bytes with a NUL after them; NULL: no memory. The caller frees it. */
char *mem_dup(const char *data, size_t len) MUST_CHECK;

#endif
