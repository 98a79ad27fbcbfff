/*
 * text: values as people read them. Pure: writes into a buf, knows no terminal and no descriptor.
 */
#ifndef WORKPOOL_CLIENT_TEXT_H
#define WORKPOOL_CLIENT_TEXT_H

#include <stdint.h>

#include "base/buf.h"

#define TEXT_LIMIT ((size_t)64 * 1024 * 1024) /* bytes of one line, cell or document at most */

/* Control characters and bytes that are not UTF-8 as \xNN, the rest as it is: no text from outside moves the cursor,
 * colours a line or starts a new one. -ENOMEM, -EMSGSIZE. */
int text_append_safe(struct buf *out, struct view text) MUST_CHECK;
/* How many columns a terminal needs for it: characters, not bytes. */
size_t text_width(struct view text);

/* Three digits and a unit up to a minute, then two units: "873 us", "1.23 ms", "4.60 s", "3min 12s", "5d 3h". */
int text_append_duration(struct buf *out, uint64_t us) MUST_CHECK;
/* Seconds since the epoch as local time, "2026-01-31 12:00:00". */
int text_append_time(struct buf *out, double seconds) MUST_CHECK;
/* In short: "12:00:00" on the day of `now`, else "01-31 12:00". */
int text_append_clock(struct buf *out, double seconds, double now) MUST_CHECK;

#endif
