/*
 * walk: JSON text looked at where it is: is it a value, and where in it are its members. RFC 8259 with UTF-8; \u0000 and halves of
 * surrogate pairs, which stand for no text, are refused, and more than 512 levels. No tree, no memory, no recursion.
 */
#ifndef WORKPOOL_CLIENT_LIB_WALK_H
#define WORKPOOL_CLIENT_LIB_WALK_H

#include <stdbool.h>

#include "base/buf.h"

struct walk {
	const char *at; /* borrows: the text; all before it is good */
	const char *end;
	bool is_first; /* no member or element of the object or array that was begun has been taken yet */
};

struct walk walk_of(struct view text);
/* Takes one whole value, without the white space around it. false: `at` is where it stops being one. */
bool walk_value(struct walk *walk, struct view *ret_value) MUST_CHECK;
bool walk_is_at_end(struct walk *walk) MUST_CHECK; /* only white space is left */
/* The text is one object and nothing else; ret_object is without the white space around it. *ret_bad: the byte, from 1, where it is
 * none. */
bool walk_is_object(struct view text, struct view *ret_object, size_t *ret_bad) MUST_CHECK;

/* Into an object ('{') or array ('['); then its members or elements one by one: 1, 0: that was all, -1: no JSON.
 * ret_key: as it is between its quotes. */
bool walk_begin(struct walk *walk, char bracket) MUST_CHECK;
int walk_member(struct walk *walk, struct view *ret_key, struct view *ret_value) MUST_CHECK;
int walk_element(struct walk *walk, struct view *ret_value) MUST_CHECK;

/* The value at "name.name.3" inside of JSON that was looked at before; a name with dots or escapes is not found. */
bool walk_find(struct view json, const char *path, struct view *ret_value) MUST_CHECK;
/* A string with its quotes, looked at before, as characters and a NUL: at most string.len - 1 bytes. How many without the NUL. */
size_t walk_unescape(struct view string, char *to);

#endif
