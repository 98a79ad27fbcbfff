/*
 * bson_text: see bson_text.h. Called by mongo_op.c from any worker thread. A server is not trusted: no byte is read that is not known
 * to be in its document, and depth is bounded. What has no row in the table below, libbson finds and writes.
 *
 * A document (bsonspec.org): its length, 4 bytes; elements, each a byte of type, a key up to a NUL and a value; a NUL. All numbers
 * begin with their least byte.
 */
#include "host/bson_text.h"

#include <endian.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define EXACT_MAX     9007199254740992.0 /* 2^53: whole numbers below it are exact */
#define DECIMALS_MAX  6
#define DOCUMENT_SIZE 5 /* of an empty one */
#define OID_BYTES     12

/* A way through the elements of one document. */
struct walk {
	const uint8_t *document; /* borrows */
	const uint8_t *element;  /* its type */
	const uint8_t *at;       /* what is to be read next */
	const uint8_t *end;      /* the last NUL */
	size_t key_len;          /* of the element */
};

static int put_value(struct buf *out, struct walk *walk, unsigned depth);

/* The next n bytes; NULL: so many are not there. */
static const uint8_t *next_bytes(struct walk *walk, size_t n)
{
	const uint8_t *bytes = walk->at;

	if (n > (size_t)(walk->end - bytes))
		return NULL;
	walk->at += n;
	return bytes;
}

static int next_u32(struct walk *walk, uint32_t *ret_value)
{
	const uint8_t *bytes = next_bytes(walk, sizeof(*ret_value));

	if (!bytes)
		return -EBADMSG;
	memcpy(ret_value, bytes, sizeof(*ret_value));
	*ret_value = le32toh(*ret_value);
	return 0;
}

static int next_u64(struct walk *walk, uint64_t *ret_value)
{
	const uint8_t *bytes = next_bytes(walk, sizeof(*ret_value));

	if (!bytes)
		return -EBADMSG;
	memcpy(ret_value, bytes, sizeof(*ret_value));
	*ret_value = le64toh(*ret_value);
	return 0;
}

/* -EBADMSG: this is no document. */
static int walk_begin(struct walk *walk, const uint8_t *document, size_t len)
{
	uint32_t says;

	*walk = (struct walk){.document = document, .at = document, .end = document + len};
	if (next_u32(walk, &says) < 0 || says != len || len < DOCUMENT_SIZE ||
		document[len - 1] != '\0')
		return -EBADMSG;
	walk->end--;
	return 0;
}

/* To the value of the next element. -ENOENT: there is none; -EBADMSG. */
static int walk_next(struct walk *walk)
{
	if (walk->at >= walk->end)
		return -ENOENT;
	walk->element = walk->at++;
	const uint8_t *key = walk->at, *nul = memchr(key, '\0', (size_t)(walk->end - key));
	if (!nul)
		return -EBADMSG;
	walk->key_len = (size_t)(nul - key);
	walk->at = nul + 1;
	return 0;
}

static int put_key(struct buf *out, const struct walk *walk)
{
	int r = buf_append_json_string(out, (const char *)walk->element + 1, walk->key_len);

	return r == 0 ? buf_append_char(out, ':') : r;
}

/* All values, from the first one on. */
static int put_all(struct buf *out, struct walk *walk, bool is_array, unsigned depth)
{
	int r = buf_append_char(out, is_array ? '[' : '{');

	for (bool is_first = true; r == 0 && (r = walk_next(walk)) == 0; is_first = false) {
		if (!is_first)
			r = buf_append_char(out, ',');
		if (r == 0 && !is_array)
			r = put_key(out, walk);
		if (r == 0)
			r = put_value(out, walk, depth);
	}
	return r == -ENOENT ? buf_append_char(out, is_array ? ']' : '}') : r;
}

static int put_inner(struct buf *out, struct walk *walk, unsigned depth)
{
	const uint8_t *document = walk->at;
	struct walk inner;
	uint32_t len;

	int r = depth >= BSON_TEXT_DEPTH_MAX ? -EBADMSG : next_u32(walk, &len);
	if (r == 0 && (len < DOCUMENT_SIZE || !next_bytes(walk, len - sizeof(len))))
		r = -EBADMSG;
	if (r == 0)
		r = walk_begin(&inner, document, len);
	return r == 0 ? put_all(out, &inner, *walk->element == BSON_TYPE_ARRAY, depth + 1) : r;
}

/* { "v" : VALUE } without what is around it. */
static int put_by_libbson(struct buf *out, struct walk *walk)
{
	size_t len = (size_t)(walk->end + 1 - walk->document);
	bson_t one = BSON_INITIALIZER;
	bson_iter_t at;

	if (!mongolib.bson_iter_init_from_data_at_offset(&at, walk->document, len,
		    (uint32_t)(walk->element - walk->document), (uint32_t)walk->key_len))
		return -EBADMSG;
	char *text = mongolib.bson_append_iter(&one, "v", 1, &at)
			     ? mongolib.bson_as_relaxed_extended_json(&one, NULL)
			     : NULL;
	const char *from = text ? strchr(text, ':') : NULL;
	const char *to = from ? strrchr(from, '}') : NULL;
	int r = to ? buf_append(out, from + 1, (size_t)(to - from - 1)) : -EBADMSG;

	walk->at = walk->document + at.next_off;
	mongolib.bson_free(text);
	mongolib.bson_destroy(&one);
	return r;
}

/* digits / 10^decimals; at least one decimal, so that it is read as a real number again. */
static int put_decimal(struct buf *out, int64_t digits, unsigned decimals)
{
	char text[1 + STR_U64_SIZE + DECIMALS_MAX], *end = text + sizeof(text), *at = end;
	uint64_t rest = (uint64_t)(digits < 0 ? -digits : digits);

	if (decimals == 0)
		*--at = '0';
	for (; decimals > 0; decimals--, rest /= 10)
		*--at = (char)('0' + rest % 10);
	*--at = '.';
	do
		*--at = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (digits < 0)
		*--at = '-';
	return buf_append(out, at, (size_t)(end - at));
}

/*
 * As few digits as are read as the same number again. Those with few decimals are found by trying: where digits and power are exact, so
 * is the reading of their quotient (IEEE 754 rounds both the same way). Others take the 17 digits that always suffice.
 */
static int put_double(struct buf *out, struct walk *walk, unsigned depth)
{
	int64_t power = 1;
	uint64_t bits;
	double value;
	char text[32];

	(void)depth;
	int r = next_u64(walk, &bits);
	if (r < 0)
		return r;
	memcpy(&value, &bits, sizeof(value));
	if (!isfinite(value))
		return put_by_libbson(out, walk);
	if (value == 0 && signbit(value))
		return buf_append(out, "-0.0", 4);
	for (unsigned i = 0; i <= DECIMALS_MAX; i++, power *= 10) {
		double scaled = value * (double)power;
		if (!(fabs(scaled) < EXACT_MAX - 1))
			break;
		int64_t digits = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
		if ((double)digits / (double)power == value)
			return put_decimal(out, digits, i);
	}
	(void)snprintf(text, sizeof text, "%.17g", value);
	return buf_printf(out, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

static int put_string(struct buf *out, struct walk *walk, unsigned depth)
{
	const uint8_t *text = NULL;
	uint32_t len;

	(void)depth;
	int r = next_u32(walk, &len);
	if (r == 0 && (len == 0 || !(text = next_bytes(walk, len)) || text[len - 1] != '\0'))
		r = -EBADMSG;
	return r == 0 ? buf_append_json_string(out, (const char *)text, len - 1) : r;
}

static int put_oid(struct buf *out, struct walk *walk, unsigned depth)
{
	static const char digits[] = "0123456789abcdef";
	char text[] = "{\"$oid\":\"000000000000000000000000\"}", *to = text + 9;
	const uint8_t *oid = next_bytes(walk, OID_BYTES);

	(void)depth;
	if (!oid)
		return -EBADMSG;
	for (size_t i = 0; i < OID_BYTES; i++) {
		*to++ = digits[oid[i] >> 4];
		*to++ = digits[oid[i] & 15];
	}
	return buf_append(out, text, sizeof text - 1);
}

static int put_bool(struct buf *out, struct walk *walk, unsigned depth)
{
	const uint8_t *value = next_bytes(walk, 1);

	(void)depth;
	if (!value || *value > 1)
		return -EBADMSG;
	return *value ? buf_append(out, "true", 4) : buf_append(out, "false", 5);
}

static int put_null(struct buf *out, struct walk *walk, unsigned depth)
{
	(void)walk;
	(void)depth;
	return buf_append(out, "null", 4);
}

static int put_int32(struct buf *out, struct walk *walk, unsigned depth)
{
	uint32_t bits;

	(void)depth;
	int r = next_u32(walk, &bits);
	return r == 0 ? buf_append_i64(out, (int32_t)bits) : r;
}

static int put_int64(struct buf *out, struct walk *walk, unsigned depth)
{
	uint64_t bits;

	(void)depth;
	int r = next_u64(walk, &bits);
	return r == 0 ? buf_append_i64(out, (int64_t)bits) : r;
}

static int (*const writers[])(struct buf *out, struct walk *walk, unsigned depth) = {
	[BSON_TYPE_DOUBLE] = put_double,
	[BSON_TYPE_UTF8] = put_string,
	[BSON_TYPE_DOCUMENT] = put_inner,
	[BSON_TYPE_ARRAY] = put_inner,
	[BSON_TYPE_OID] = put_oid,
	[BSON_TYPE_BOOL] = put_bool,
	[BSON_TYPE_NULL] = put_null,
	[BSON_TYPE_INT32] = put_int32,
	[BSON_TYPE_INT64] = put_int64,
};

static int put_value(struct buf *out, struct walk *walk, unsigned depth)
{
	uint8_t type = *walk->element;

	if (type < ARRAY_SIZE(writers) && writers[type])
		return writers[type](out, walk, depth);
	return put_by_libbson(out, walk);
}

int bson_text_value(struct buf *out, const bson_iter_t *at)
{
	bson_t one = BSON_INITIALIZER;
	struct walk walk;

	int r = mongolib.bson_append_iter(&one, "v", 1, at)
			? walk_begin(&walk, mongolib.bson_get_data(&one), one.len)
			: -EBADMSG;
	if (r == 0 && walk_next(&walk) == 0)
		r = put_value(out, &walk, 0);
	mongolib.bson_destroy(&one);
	return r;
}

int bson_text_document(struct buf *out, const bson_t *document)
{
	struct walk walk;

	int r = walk_begin(&walk, mongolib.bson_get_data(document), document->len);
	return r == 0 ? put_all(out, &walk, false, 0) : r;
}
