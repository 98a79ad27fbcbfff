/*
 * text: escaping and units for people. Called by print.c, fault.c and the verbs that write whole sentences.
 */
#include "client/text.h"

#include <time.h>

#include "base/clock.h"
#include "base/str.h"

#define SEC_PER_MIN  60
#define SEC_PER_HOUR 3600
#define SEC_PER_DAY  86400

/* Bytes of the printable character at the front of `text`, 0 if there is none. */
static size_t printable_len(struct view text)
{
	unsigned char c = (unsigned char)text.data[0];
	size_t len = str_utf8_step(text.data, text.len);

	if (len == 1)
		return c >= 0x20 && c != 0x7f ? 1 : 0;
	/* U+0080 to U+009F are control characters too (ECMA-48, C1): some terminals obey them. */
	if (len == 2 && c == 0xc2 && (unsigned char)text.data[1] < 0xa0)
		return 0;
	return len;
}

int text_append_safe(struct buf *out, struct view text)
{
	int r = 0;

	while (r == 0 && text.len > 0) {
		size_t len = printable_len(text);
		if (len > 0)
			r = buf_append(out, text.data, len);
		else
			r = buf_printf(out, "\\x%02x", (unsigned char)text.data[0]);
		len = len > 0 ? len : 1;
		text.data += len;
		text.len -= len;
	}
	return r;
}

size_t text_width(struct view text)
{
	size_t width = 0;

	for (size_t i = 0; i < text.len; i++)
		width += ((unsigned char)text.data[i] & 0xc0) != 0x80;
	return width;
}

/* Three significant digits: 1.23, 12.3, 123. */
static int append_three_digits(struct buf *out, double value, const char *unit)
{
	int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;

	return buf_printf(out, "%.*f %s", decimals, value, unit);
}

int text_append_duration(struct buf *out, uint64_t us)
{
	static const struct {
		uint64_t large_sec;
		uint64_t small_sec;
		const char *large;
		const char *small;
	} pairs[] = {
		{SEC_PER_DAY, SEC_PER_HOUR, "d", "h"},
		{SEC_PER_HOUR, SEC_PER_MIN, "h", "min"},
		{SEC_PER_MIN, 1, "min", "s"},
	};
	uint64_t sec = us / US_PER_SEC;

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		if (sec < pairs[i].large_sec)
			continue;
		return buf_printf(out, "%ju%s %ju%s", (uintmax_t)(sec / pairs[i].large_sec),
			pairs[i].large, (uintmax_t)(sec % pairs[i].large_sec / pairs[i].small_sec),
			pairs[i].small);
	}
	if (us < US_PER_MS)
		return buf_printf(out, "%ju us", (uintmax_t)us);
	if (us < US_PER_SEC)
		return append_three_digits(out, (double)us / (double)US_PER_MS, "ms");
	return append_three_digits(out, (double)us / (double)US_PER_SEC, "s");
}

int text_append_time(struct buf *out, double seconds)
{
	time_t when = (time_t)seconds;
	struct tm local;
	char text[32];

	if (!localtime_r(&when, &local) ||
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local) == 0)
		return buf_printf(out, "%.3f", seconds);
	return buf_append(out, text, sizeof("2026-01-31 12:00:00") - 1);
}

int text_append_clock(struct buf *out, double seconds, double now)
{
	time_t when = (time_t)seconds;
	time_t present = (time_t)now;
	struct tm local, today;
	char text[32];

	if (!localtime_r(&when, &local) || !localtime_r(&present, &today))
		return buf_printf(out, "%.3f", seconds);
	bool is_today = local.tm_year == today.tm_year && local.tm_yday == today.tm_yday;
	size_t len = strftime(text, sizeof(text), is_today ? "%H:%M:%S" : "%m-%d %H:%M", &local);
	return buf_append(out, text, len);
}
