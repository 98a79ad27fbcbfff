/*
 * buf: bytes that come in at the end and leave at the front.
 *
 *      data          data+head            data+tail        data+cap
 *       | already used  |  waiting to be used  |    room       |
 *
 * Invariants: head <= tail <= cap; cap <= limit; an empty buf may hold no memory.
 */
#ifndef WORKPOOL_BASE_BUF_H
#define WORKPOOL_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

/* Bytes that somebody else owns. data may be NULL when len is 0. Not NUL-terminated. */
struct view {
	const char *data; /* borrows */
	size_t len;
};

#define VIEW_LIT(s) ((struct view){(s), sizeof(s) - 1})

struct view view_of(const char *text); /* NULL gives the empty view */
bool view_is_equal(struct view a, struct view b);

struct buf {
	char *data; /* owns */
	size_t head;
	size_t tail;
	size_t cap;
	size_t limit; /* bytes that may wait at most */
};

void buf_init(struct buf *buf, size_t limit);
void buf_done(struct buf *buf);
size_t buf_len(const struct buf *buf); /* bytes waiting */
struct view buf_view(const struct buf *buf);
/* Makes room for `want` more bytes at the tail; ret_room gets at least that much (all that there is up to the limit).
 * -ENOMEM; -EMSGSIZE: the limit would be passed (nothing changed). */
int buf_reserve(struct buf *buf, size_t want, char **ret_data, size_t *ret_room) MUST_CHECK;
void buf_commit(struct buf *buf, size_t len); /* len bytes were written into the reserved room */
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
