/*
 * buf: bytes that come in at the end and leave at the front.
 *
 *      data          data+head            data+tail        data+cap
 *       | already used  |  waiting to be used  |    room       |
 *
 * Invariants: head <= tail <= cap; cap <= limit; an empty buf may hold no memory.
 * What is called for each member of each message stands here, so that it is no call.
 */
#ifndef WORKPOOL_BASE_BUF_H
#define WORKPOOL_BASE_BUF_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

/* Bytes that somebody else owns. data may be NULL when len is 0. Not NUL-terminated. */
struct view {
	const char *data; /* borrows */
	size_t len;
};

#define VIEW_LIT(s) ((struct view){(s), sizeof(s) - 1})

/* NULL gives the empty view. */
static inline struct view view_of(const char *text)
{
	return (struct view){text, text ? strlen(text) : 0};
}

static inline bool view_is_equal(struct view a, struct view b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

struct buf {
	char *data; /* owns */
	size_t head;
	size_t tail;
	size_t cap;
	size_t limit; /* bytes that may wait at most */
};

void buf_init(struct buf *buf, size_t limit);
void buf_done(struct buf *buf);

/* Bytes waiting. */
static inline size_t buf_len(const struct buf *buf)
{
	return buf->tail - buf->head;
}

static inline struct view buf_view(const struct buf *buf)
{
	return (struct view){buf->data ? buf->data + buf->head : NULL, buf_len(buf)};
}

/* For buf_reserve(): room behind the tail that is not there yet. */
int buf_make_room(struct buf *buf, size_t want) MUST_CHECK;

/* Makes room for `want` more bytes at the tail; ret_room gets at least that much (all that there is up to the limit).
 * -ENOMEM; -EMSGSIZE: the limit would be passed (nothing changed). */
MUST_CHECK static inline int buf_reserve(
	struct buf *buf, size_t want, char **ret_data, size_t *ret_room)
{
	/* What fits behind the tail is within the limit, since cap is. */
	int r = want > buf->cap - buf->tail ? buf_make_room(buf, want) : 0;

	if (r < 0)
		return r;
	*ret_data = buf->data ? buf->data + buf->tail : NULL;
	*ret_room = buf->cap - buf->tail;
	return 0;
}

/* len bytes were written into the reserved room. More than that is a mistake of ours: it overran memory already. */
static inline void buf_commit(struct buf *buf, size_t len)
{
	assert(len <= buf->cap - buf->tail);
	buf->tail += len;
}

void buf_consume(struct buf *buf, size_t len);
void buf_truncate(
	struct buf *buf, size_t len); /* takes back what was appended beyond len waiting bytes */
void buf_release(struct buf *buf);    /* gives the memory back if nothing waits */
int buf_append(struct buf *buf, const void *data, size_t len) MUST_CHECK; /* as buf_reserve */
static inline int buf_append_char(struct buf *buf, char c) MUST_CHECK;
int buf_append_i64(struct buf *buf, int64_t value) MUST_CHECK; /* decimal */
int buf_printf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_CHECK;
/* As a JSON string with its quotes, escaped (RFC 8259, 7), whole or nothing. Bytes that are not UTF-8 become U+FFFD, and
 * so does NUL: the readers that we know refuse \u0000. */
int buf_append_json_string(struct buf *buf, const char *data, size_t len) MUST_CHECK;

static inline int buf_append_char(struct buf *buf, char c)
{
	if (buf->tail == buf->cap)
		return buf_append(buf, &c, 1);
	buf->data[buf->tail++] = c;
	return 0;
}

#endif
