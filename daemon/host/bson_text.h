/*
 * bson_text: BSON of a server as JSON text. Relaxed extended JSON, as libbson writes it, with the same values but without its
 * blanks, and numbers as short as they can be told. An own walk, because libbson's prints into strings that it copies and measures
 * again and again: a document of 300 bytes took it 8 us.
 */
#ifndef WORKPOOL_HOST_BSON_TEXT_H
#define WORKPOOL_HOST_BSON_TEXT_H

#include "base/buf.h"
#include "host/mongolib.h"

#define BSON_TEXT_DEPTH_MAX 100 /* as deep as servers take them */

/* Appends {"key":value,…}. -EMSGSIZE, -ENOMEM: by buf.h; -EBADMSG: this is no BSON, or too deep. On failure some of it may have been
 * appended. Strings that are not UTF-8 come with U+FFFD. */
int bson_text_document(struct buf *out, const bson_t *document) MUST_CHECK;
/* The same of the one value that the iterator is at. */
int bson_text_value(struct buf *out, const bson_iter_t *at) MUST_CHECK;

#endif
