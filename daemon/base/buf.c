/*
 * buf: the byte queue between descriptors and the parsers, and the place where replies are
 * composed. Not for many small buffers at once: an empty one holds memory until buf_release().
 * Called by wire/, net/, api/ and client/. Invariants: as drawn in buf.h; beyond data[cap - 1]
 * there is one byte more, which vsnprintf() uses for its NUL; every function appends whole or
 * not at all.
 */
#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define BUF_CAP_MIN 256

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

void buf_init(struct buf *buf, size_t limit)
{
	*buf = (struct buf){.limit = limit};
}

void buf_done(struct buf *buf)
{
	free(buf->data);
	buf_init(buf, buf->limit);
}

/* New memory for at least `need` bytes; the waiting bytes move to its front. */
static int grow(struct buf *buf, size_t need)
{
	size_t len = buf_len(buf);
	size_t cap = buf->cap >= buf->limit / 2 ? buf->limit : buf->cap * 2;

	/* Doubled, so that appending costs O(1) copies a byte; the limit has the last word. */
	if (cap < BUF_CAP_MIN)
		cap = BUF_CAP_MIN;
	if (cap < need)
		cap = need;
	if (cap > buf->limit)
		cap = buf->limit;
	if (cap == SIZE_MAX)
		return -ENOMEM;
	/* realloc() mostly finds room behind a large one, and copies nothing; but it would copy what is used up, too. */
	char *data = buf->head == 0 ? realloc(buf->data, cap + 1) : malloc(cap + 1);
	if (!data)
		return -ENOMEM;
	if (buf->head > 0) {
		memcpy(data, buf->data + buf->head, len);
		free(buf->data);
	}
	buf->data = data;
	buf->head = 0;
	buf->tail = len;
	buf->cap = cap;
	return 0;
}

int buf_make_room(struct buf *buf, size_t want)
{
	size_t len = buf_len(buf);

	/* head <= tail <= cap <= limit: none of these differences can wrap. */
	if (want > buf->limit - len)
		return -EMSGSIZE;
	/*
	 * Moving costs len bytes and wins head bytes: worth it when head is the larger one, so
	 * that every byte is moved a bounded number of times; or when there is no way to grow.
	 */
	if (want > buf->cap - len || (buf->head < len && buf->cap != buf->limit))
		return grow(buf, len + want);
	memmove(buf->data, buf->data + buf->head, len);
	buf->head = 0;
	buf->tail = len;
	return 0;
}

void buf_consume(struct buf *buf, size_t len)
{
	assert(len <= buf_len(buf));
	buf->head += len;
	/* The bytes stay where they are: a view of them is good until the next append. */
	if (buf->head == buf->tail)
		buf->head = buf->tail = 0;
}

void buf_truncate(struct buf *buf, size_t len)
{
	if (len < buf_len(buf))
		buf->tail = buf->head + len;
}

/* For idle connections: thousands of them shall cost no memory. */
void buf_release(struct buf *buf)
{
	if (buf_len(buf) == 0)
		buf_done(buf);
}

int buf_append(struct buf *buf, const void *data, size_t len)
{
	char *to;
	size_t room;
	int r = buf_reserve(buf, len, &to, &room);

	if (r < 0)
		return r;
	if (len > 0)
		memcpy(to, data, len);
	buf->tail += len;
	return 0;
}

int buf_append_i64(struct buf *buf, int64_t value)
{
	char text[1 + STR_U64_SIZE] = "-";
	bool is_negative = value < 0;
	/* In unsigned arithmetic: -2^63 has no positive twin. */
	size_t len = str_from_u64(is_negative ? 0 - (uint64_t)value : (uint64_t)value, text + 1);

	return buf_append(buf, text + !is_negative, len + is_negative);
}

int buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list ap;
	char *to;
	size_t room;

	/* Into the room that there is; the second try, if it was too small, cannot fail by size. */
	int r = buf_reserve(buf, 0, &to, &room);
	/* ap is used up by each try, so it is started anew. */
	for (int i = 0; r == 0 && i < 2; i++) {
		va_start(ap, fmt);
		int n = vsnprintf(to, to ? room + 1 : 0, fmt, ap);
		va_end(ap);
		/* Only for lack of memory inside of it: our formats and lengths are sound. */
		if (n < 0)
			return -ENOMEM;
		if ((size_t)n <= room) {
			buf->tail += (size_t)n;
			return 0;
		}
		r = buf_reserve(buf, (size_t)n, &to, &room);
	}
	return r;
}

/*
 * May stand in a JSON string as it is. DEL may (RFC 8259, 7); other characters are looked at
 * one by one.
 */
static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* One character that cannot be copied as it is; ret_used: how many bytes of the input it was. */
static int append_special(struct buf *buf, const char *data, size_t len, size_t *ret_used)
{
	static const char shorts[] = "\"\\\b\f\n\r\t";
	static const char letters[] = "\"\\bfnrt";
	unsigned char c = (unsigned char)data[0];
	const char *found = c ? strchr(shorts, c) : NULL;

	*ret_used = 1;
	if (found)
		return buf_append(buf, (char[]){'\\', letters[found - shorts]}, 2);
	/* A NUL too: the readers that we know, ours among them, refuse \u0000. */
	if (c == 0)
		return buf_append(buf, REPLACEMENT, 3);
	/* RFC 8259, 7: control characters must be escaped. */
	if (c < 0x20)
		return buf_printf(buf, "\\u%04x", c);
	size_t n = str_utf8_step(data, len);
	if (n == 0)
		return buf_append(buf, REPLACEMENT, 3);
	*ret_used = n;
	return buf_append(buf, data, n);
}

/*
 * All of eight bytes are plain: no top bit is set, none is below a blank, and none of them is '"' or '\\', which subtracting takes
 * below zero. A borrow out of a byte that is not plain may hide nothing but what is behind it.
 */
static bool are_plain(uint64_t eight)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t below = eight - 0x20 * ones, quote = (eight ^ '"' * ones) - ones,
		 backslash = (eight ^ '\\' * ones) - ones;

	return ((eight | below | quote | backslash) & 0x80 * ones) == 0;
}

static size_t plain_run(const char *data, size_t len)
{
	size_t run = 0;
	uint64_t eight;

	for (; len - run >= sizeof(eight); run += sizeof(eight)) {
		memcpy(&eight, data + run, sizeof(eight));
		if (!are_plain(eight))
			break;
	}
	while (run < len && is_plain((unsigned char)data[run]))
		run++;
	return run;
}

static int append_escaped(struct buf *buf, const char *data, size_t len)
{
	int r = buf_append(buf, "\"", 1);

	for (size_t at = 0; r == 0 && at < len;) {
		size_t run = plain_run(data + at, len - at);
		r = buf_append(buf, data + at, run);
		at += run;
		if (r == 0 && at < len) {
			size_t used;
			r = append_special(buf, data + at, len - at, &used);
			at += used;
		}
	}
	return r < 0 ? r : buf_append(buf, "\"", 1);
}

int buf_append_json_string(struct buf *buf, const char *data, size_t len)
{
	size_t before = buf_len(buf);
	char *to;
	size_t room;

	if (len > SIZE_MAX - 2)
		return -EMSGSIZE;
	/* Every byte becomes one byte or more: mostly this is all the room that is needed. */
	int r = buf_reserve(buf, len + 2, &to, &room);
	if (r < 0)
		return r;
	/* Most strings are one run of plain bytes. */
	if (plain_run(data, len) == len) {
		*to++ = '"';
		if (len > 0)
			memcpy(to, data, len);
		to[len] = '"';
		buf_commit(buf, len + 2);
		return 0;
	}
	r = append_escaped(buf, data, len);
	if (r < 0)
		buf_truncate(buf, before);
	return r;
}
