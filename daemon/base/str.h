/*
 * str: numbers, sizes and durations from text, as people write them in files and on command lines.
 * All parsers take the whole text: leading or trailing characters are -EINVAL, too large is -ERANGE.
 */
#ifndef WORKPOOL_BASE_STR_H
#define WORKPOOL_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"

int str_to_u64(const char *text, uint64_t *ret_value) MUST_CHECK; /* decimal digits only, no sign */
int str_to_i64(const char *text, int64_t *ret_value) MUST_CHECK;
int str_to_bytes(const char *text,
	uint64_t *ret_bytes) MUST_CHECK; /* "65536", "64K", "1M", "2G", "1T": powers of 1024 */
/* "250us", "500ms", "10s", "5min", "2h", "1d", "1.5s"; a bare number is seconds. Finer than 1 us is -EINVAL. */
int str_to_us(const char *text, uint64_t *ret_us) MUST_CHECK;
int str_to_bool(const char *text,
	bool *ret_value) MUST_CHECK; /* yes/no, true/false, on/off, 1/0; in any case */

#define STR_U64_SIZE 21
/* Decimal digits and a NUL; returns how many digits. */
size_t str_from_u64(uint64_t value, char ret_text[STR_U64_SIZE]);

#define STR_DURATION_MAX 32
/* The shortest exact form that str_to_us() reads: "500ms", "10s", "5min". Returns ret_text. */
const char *str_from_us(uint64_t us, char ret_text[STR_DURATION_MAX]);
const char *str_from_bytes(uint64_t bytes, char ret_text[STR_DURATION_MAX]);

/* Bytes of the UTF-8 character that data begins with (1 to 4); 0: it begins with none. */
size_t str_utf8_step(const char *data, size_t len);
/* Makes text fit for a message to people: what is no UTF-8 (a character that was cut) and control characters become '?'. */
void str_make_safe(char *text);
bool str_is_utf8(struct
	view text); /* no surrogates, no overlong forms, up to U+10FFFF (RFC 3629); NUL is allowed */
/* The first word at *rest, words parted by blanks (shell-like: '…', "…" and \ quote); *rest moves on.
 * 0 and ret_word (the caller frees it); -ENOENT: no more; -EINVAL: a quote is open or nothing behind \; -ENOMEM. */
int str_next_word(const char **rest, char **ret_word) MUST_CHECK;

#endif
