/*
 * utf8: see utf8.h. Pure. Called by stream.c and exec_report.c, so that what was told on the way is what the report says,
 * and by tell.c.
 */
#include "host/utf8.h"

#include <string.h>

#include "base/str.h"

#define CHARACTER_BYTES 4 /* at most */
#define REPLACEMENT     "\xef\xbf\xbd"

/* Whether bytes could follow that make a character of these. */
static bool is_begun(const char *data, size_t len)
{
	/* One of these can stand in second place behind any first byte (RFC 3629, 4), 80 in every later one. */
	static const char seconds[] = "\x80\xa0";

	for (size_t i = 0; i < 2; i++) {
		char full[CHARACTER_BYTES];
		memset(full, seconds[0], sizeof(full));
		full[1] = seconds[i];
		memcpy(full, data, len);
		if (str_utf8_step(full, sizeof(full)) > len)
			return true;
	}
	return false;
}

size_t utf8_whole(struct view text)
{
	for (size_t n = 1; n < CHARACTER_BYTES && n <= text.len; n++) {
		if (is_begun(text.data + text.len - n, n))
			return text.len - n;
	}
	return text.len;
}

/* Bytes up to the first that cannot stay as it is. */
static size_t good_bytes(const char *data, size_t len)
{
	size_t at = 0, n;

	while (at < len && data[at] != '\0' && (n = str_utf8_step(data + at, len - at)) > 0)
		at += n;
	return at;
}

size_t utf8_clean(struct view bytes, struct buf *text)
{
	size_t at = 0;

	while (at < bytes.len) {
		size_t n = good_bytes(bytes.data + at, bytes.len - at);
		size_t room = text->limit - buf_len(text);
		if (n > room)
			n = utf8_whole((struct view){bytes.data + at, room});
		else if (n == 0 && buf_append(text, REPLACEMENT, 3) == 0) {
			at++;
			continue;
		}
		if (n == 0 || buf_append(text, bytes.data + at, n) < 0)
			break;
		at += n;
	}
	return at;
}
