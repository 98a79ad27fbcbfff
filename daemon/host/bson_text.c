/*
 * bson_text: see bson_text.h. Called by mongo_op.c from any worker thread. A server is not trusted: lengths are checked by libbson's
 * iterators, which stop where they are wrong, and depth here. What has no row in the table below, libbson writes.
 */
#include "host/bson_text.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define EXACT_MAX    9007199254740992.0 /* 2^53: whole numbers below it are exact */
#define DECIMALS_MAX 6

static int put_value(struct buf *out, const bson_iter_t *at, unsigned depth);

static int put_key(struct buf *out, const bson_iter_t *at)
{
	int r = buf_append_json_string(
		out, mongolib.bson_iter_key(at), mongolib.bson_iter_key_len(at));

	return r == 0 ? buf_append(out, ":", 1) : r;
}

/* The values that the iterator, which is before the first one, comes to. */
static int put_all(struct buf *out, bson_iter_t *at, bool is_array, unsigned depth)
{
	int r = buf_append(out, is_array ? "[" : "{", 1);

	for (bool is_first = true; r == 0 && mongolib.bson_iter_next(at); is_first = false) {
		if (!is_first)
			r = buf_append(out, ",", 1);
		if (r == 0 && !is_array)
			r = put_key(out, at);
		if (r == 0)
			r = put_value(out, at, depth);
	}
	if (r == 0 && at->err_off != 0)
		r = -EBADMSG;
	return r == 0 ? buf_append(out, is_array ? "]" : "}", 1) : r;
}

static int put_inner(struct buf *out, const bson_iter_t *at, unsigned depth)
{
	bson_iter_t inner;

	if (depth >= BSON_TEXT_DEPTH_MAX || !mongolib.bson_iter_recurse(at, &inner))
		return -EBADMSG;
	return put_all(out, &inner, mongolib.bson_iter_type(at) == BSON_TYPE_ARRAY, depth + 1);
}

/* digits / 10^decimals; at least one decimal, so that it is read as a real number again. */
static int put_decimal(struct buf *out, int64_t digits, unsigned decimals, int64_t power)
{
	char text[1 + STR_U64_SIZE + 1 + DECIMALS_MAX] = "-";
	bool is_negative = digits < 0;
	uint64_t size = (uint64_t)(is_negative ? -digits : digits), rest = size % (uint64_t)power;
	size_t len = 1 + str_from_u64(size / (uint64_t)power, text + 1);

	text[len++] = '.';
	decimals = decimals > 0 ? decimals : 1;
	for (unsigned i = decimals; i > 0; i--, rest /= 10)
		text[len + i - 1] = (char)('0' + rest % 10);
	return buf_append(out, text + !is_negative, len + decimals - !is_negative);
}

/*
 * As few digits as are read as the same number again. Those with few decimals are found by trying: where digits and power are exact, so
 * is the reading of their quotient (IEEE 754 rounds both the same way). Others take the 17 digits that always suffice.
 */
static int put_double(struct buf *out, const bson_iter_t *at, unsigned depth)
{
	double value = mongolib.bson_iter_double(at);
	int64_t power = 1;
	char text[32];

	(void)depth;
	if (value == 0 && signbit(value))
		return buf_append(out, "-0.0", 4);
	for (unsigned i = 0; i <= DECIMALS_MAX; i++, power *= 10) {
		double scaled = value * (double)power;
		if (!(fabs(scaled) < EXACT_MAX - 1))
			break;
		int64_t digits = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
		if ((double)digits / (double)power == value)
			return put_decimal(out, digits, i, power);
	}
	(void)snprintf(text, sizeof text, "%.17g", value);
	return buf_printf(out, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

static int put_string(struct buf *out, const bson_iter_t *at, unsigned depth)
{
	uint32_t len;
	const char *text = mongolib.bson_iter_utf8(at, &len);

	(void)depth;
	return buf_append_json_string(out, text, len);
}

static int put_oid(struct buf *out, const bson_iter_t *at, unsigned depth)
{
	char text[] = "{\"$oid\":\"000000000000000000000000\"}";

	(void)depth;
	mongolib.bson_oid_to_string(mongolib.bson_iter_oid(at), text + 9); /* and a NUL behind it */
	text[9 + 24] = '"';
	return buf_append(out, text, sizeof text - 1);
}

static int put_bool(struct buf *out, const bson_iter_t *at, unsigned depth)
{
	(void)depth;
	return mongolib.bson_iter_bool(at) ? buf_append(out, "true", 4)
					   : buf_append(out, "false", 5);
}

static int put_null(struct buf *out, const bson_iter_t *at, unsigned depth)
{
	(void)at;
	(void)depth;
	return buf_append(out, "null", 4);
}

static int put_int(struct buf *out, const bson_iter_t *at, unsigned depth)
{
	(void)depth;
	return buf_append_i64(out, mongolib.bson_iter_as_int64(at));
}

/* { "v" : VALUE } without what is around it. */
static int put_by_libbson(struct buf *out, const bson_iter_t *at)
{
	bson_t one = BSON_INITIALIZER;
	char *text = mongolib.bson_append_iter(&one, "v", 1, at)
			     ? mongolib.bson_as_relaxed_extended_json(&one, NULL)
			     : NULL;
	const char *from = text ? strchr(text, ':') : NULL;
	const char *to = from ? strrchr(from, '}') : NULL;
	int r = to ? buf_append(out, from + 1, (size_t)(to - from - 1)) : -EBADMSG;

	mongolib.bson_free(text);
	mongolib.bson_destroy(&one);
	return r;
}

static int (*const writers[])(struct buf *out, const bson_iter_t *at, unsigned depth) = {
	[BSON_TYPE_DOUBLE] = put_double,
	[BSON_TYPE_UTF8] = put_string,
	[BSON_TYPE_DOCUMENT] = put_inner,
	[BSON_TYPE_ARRAY] = put_inner,
	[BSON_TYPE_OID] = put_oid,
	[BSON_TYPE_BOOL] = put_bool,
	[BSON_TYPE_NULL] = put_null,
	[BSON_TYPE_INT32] = put_int,
	[BSON_TYPE_INT64] = put_int,
};

static int put_value(struct buf *out, const bson_iter_t *at, unsigned depth)
{
	unsigned type = mongolib.bson_iter_type(at);
	bool is_finite = type != BSON_TYPE_DOUBLE || isfinite(mongolib.bson_iter_double(at));

	if (type < ARRAY_SIZE(writers) && writers[type] && is_finite)
		return writers[type](out, at, depth);
	return put_by_libbson(out, at);
}

int bson_text_value(struct buf *out, const bson_iter_t *at)
{
	return put_value(out, at, 0);
}

int bson_text_document(struct buf *out, const bson_t *document)
{
	bson_iter_t at;

	return mongolib.bson_iter_init(&at, document) ? put_all(out, &at, false, 0) : -EBADMSG;
}
