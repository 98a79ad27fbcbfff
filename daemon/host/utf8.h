/*
 * utf8: the output of a program as text: bytes that are no UTF-8, and NUL, become U+FFFD, as in a JSON string of buf.h.
 */
#ifndef WORKPOOL_HOST_UTF8_H
#define WORKPOOL_HOST_UTF8_H

#include "base/buf.h"

/* Bytes of the text without a character at its end that has begun and is not all there. */
size_t utf8_whole(struct view text);
/* Appends the bytes as text, whole characters, as far as the limit of `text` and memory allow; answers how many were used. */
size_t utf8_clean(struct view bytes, struct buf *text);

#endif
