/*
 * check_bson: the walk from a client's JSON to BSON: types, nesting, keys that are refused; and what a mongodb handler
 * says without any server.
 */
#include "host_fixture.h"

#include <dlfcn.h>

#include "base/clock.h"
#include "host/bson.h"
#include "host/bson_text.h"

/* The BSON as canonical extended JSON, or the refusal. */
static void expect(const char *json_text, enum bson_keys keys, int expected, const char *text)
{
	char why[BSON_WHY_SIZE] = "", parse_why[JSON_WHY_SIZE] = "";
	auto_json json_t *json = NULL;
	bson_t bson;

	ck_assert_msg(json_parse(view_of(json_text), &json, parse_why) == 0, "%s", parse_why);
	bson_init(&bson);
	int r = bson_from_json(json, keys, &bson, why);
	ck_assert_msg(r == expected, "%s: %d, %s", json_text, r, why);
	if (r == 0) {
		char *got = bson_as_canonical_extended_json(&bson, NULL);
		ck_assert_str_eq(got, text);
		ck_assert(bson_validate(&bson, BSON_VALIDATE_UTF8, NULL));
		bson_free(got);
	} else {
		ck_assert_str_eq(why, text);
	}
	bson_destroy(&bson);
}

START_TEST(test_bson_types)
{
	static const struct {
		const char *json, *bson;
	} rows[] = {
		{"{}", "{ }"},
		{"{\"a\":null,\"b\":true,\"c\":false}",
			"{ \"a\" : null, \"b\" : true, \"c\" : false }"},
		{"{\"a\":0}", "{ \"a\" : { \"$numberInt\" : \"0\" } }"},
		{"{\"a\":2147483647}", "{ \"a\" : { \"$numberInt\" : \"2147483647\" } }"},
		{"{\"a\":-2147483648}", "{ \"a\" : { \"$numberInt\" : \"-2147483648\" } }"},
		{"{\"a\":2147483648}", "{ \"a\" : { \"$numberLong\" : \"2147483648\" } }"},
		{"{\"a\":-2147483649}", "{ \"a\" : { \"$numberLong\" : \"-2147483649\" } }"},
		{"{\"a\":9007199254740991}",
			"{ \"a\" : { \"$numberLong\" : \"9007199254740991\" } }"},
		{"{\"a\":1.5}", "{ \"a\" : { \"$numberDouble\" : \"1.5\" } }"},
		{"{\"a\":\"\\u00e9\\\"\"}", "{ \"a\" : \"\xc3\xa9\\\"\" }"},
		{"{\"a\":[]}", "{ \"a\" : [  ] }"},
		{"{\"z\":1,\"a\":2}", "{ \"z\" : { \"$numberInt\" : \"1\" }, \"a\" : { "
				      "\"$numberInt\" : \"2\" } }"},
		{"[{\"a\":true},[false]]", "{ \"0\" : { \"a\" : true }, \"1\" : [ false ] }"},
		{"{\"a\":{\"b\":[{\"c\":{}}]}}", "{ \"a\" : { \"b\" : [ { \"c\" : {  } } ] } }"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect(rows[i].json, BSON_PLAIN, 0, rows[i].bson);
}
END_TEST

START_TEST(test_bson_refuses_keys_at_every_depth)
{
	static const struct {
		const char *json, *why;
	} rows[] = {
		{"{\"$gt\":1}", "the key \"$gt\" begins with $"},
		{"{\"a\":{\"$ne\":null}}", "the key \"$ne\" begins with $"},
		{"{\"a\":[1,{\"b\":{\"$oid\":\"x\"}}]}", "the key \"$oid\" begins with $"},
		{"{\"a.b\":1}", "the key \"a.b\" holds a dot"},
		{"[[{\"x.\":1}]]", "the key \"x.\" holds a dot"},
		{"{\"\":1}", "the key \"\" is empty"},
		{"{\"a\":{\"$where\":\"1\"}}", "the key \"$where\" is never allowed"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect(rows[i].json, BSON_PLAIN, -EINVAL, rows[i].why);
}
END_TEST

START_TEST(test_bson_operators_never_run_code_or_write)
{
	static const char *const never[] = {
		"$where", "$function", "$accumulator", "$out", "$merge"};
	char json[128], why[128];

	expect("{\"a.b\":{\"$gt\":1}}", BSON_OPERATORS, 0,
		"{ \"a.b\" : { \"$gt\" : { \"$numberInt\" : \"1\" } } }");
	expect("{\"\":1}", BSON_OPERATORS, -EINVAL, "the key \"\" is empty");
	for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
		(void)snprintf(json, sizeof(json), "[{\"$match\":{\"x\":[{\"%s\":1}]}}]", never[i]);
		(void)snprintf(why, sizeof(why), "the key \"%s\" is never allowed", never[i]);
		expect(json, BSON_OPERATORS, -EINVAL, why);
	}
}
END_TEST

START_TEST(test_bson_refusal_names_hostile_keys_safely)
{
	expect("{\"$\\u0001\\u001b[2J\":1}", BSON_PLAIN, -EINVAL,
		"the key \"$??[2J\" begins with $");
}
END_TEST

START_TEST(test_bson_nothing_is_an_empty_document)
{
	char why[BSON_WHY_SIZE];
	bson_t bson;

	bson_init(&bson);
	ck_assert_int_eq(bson_from_json(NULL, BSON_PLAIN, &bson, why), 0);
	ck_assert_uint_eq(bson_count_keys(&bson), 0);
	bson_destroy(&bson);
}
END_TEST

/* Templates: what they become with these args, or the refusal. */
static const struct {
	const char *template, *args;
	enum bson_keys keys;
	int expected;
	const char *text;
} templates[] = {
	{"{\"a\":\"$args.x\"}", "{\"x\":1}", BSON_PLAIN, 0,
		"{ \"a\" : { \"$numberInt\" : \"1\" } }"},
	{"{\"a\":\"$args.x.y\"}", "{\"x\":{\"y\":\"z\"}}", BSON_PLAIN, 0, "{ \"a\" : \"z\" }"},
	/* As values: what looks like an operator, a path or another value is none. */
	{"{\"a\":\"$args.x\"}", "{\"x\":\"$args.y\",\"y\":1}", BSON_PLAIN, 0,
		"{ \"a\" : \"$args.y\" }"},
	{"{\"a\":\"$args.x\"}", "{\"x\":\"\\\", \\\"$ne\\\": 1\"}", BSON_PLAIN, 0,
		"{ \"a\" : \"\\\", \\\"$ne\\\": 1\" }"},
	{"{\"a\":\"$args.x\"}", "{\"x\":{\"$ne\":null}}", BSON_PLAIN, -EINVAL,
		"the key \"$ne\" begins with $"},
	{"{\"a\":\"$args.x\"}", "{\"x\":{\"$ne\":null}}", BSON_OPERATORS, 0,
		"{ \"a\" : { \"$ne\" : null } }"},
	{"{\"a\":\"$args.x\"}", "{\"x\":{\"$where\":\"1\"}}", BSON_OPERATORS, -EINVAL,
		"the key \"$where\" is never allowed"},
	/* The configuration may have operators and paths, and strings that only look alike. */
	{"{\"$set\":{\"a.b\":\"$args.x\"}}", "{\"x\":[1]}", BSON_PLAIN, 0,
		"{ \"$set\" : { \"a.b\" : [ { \"$numberInt\" : \"1\" } ] } }"},
	{"[{\"$group\":{\"_id\":\"$town\"}},{\"a\":[\"$args.x\",\"$args\"]}]", "{\"x\":null}",
		BSON_PLAIN, 0,
		"{ \"0\" : { \"$group\" : { \"_id\" : \"$town\" } }, \"1\" : { \"a\" : [ null, "
		"\"$args\" ] } }"},
	{"{\"a\":{\"$where\":\"1\"}}", "{}", BSON_PLAIN, -EINVAL,
		"the key \"$where\" is never allowed"},
	/* What is not there. */
	{"{\"a\":\"$args.x\"}", "{}", BSON_PLAIN, -ENOENT, "there is no \"args.x\""},
	{"{\"a\":\"$args.x.y\"}", "{\"x\":1}", BSON_PLAIN, -ENOENT, "there is no \"args.x.y\""},
	{"{\"a\":\"$args.x.\"}", "{\"x\":{}}", BSON_PLAIN, -ENOENT, "there is no \"args.x.\""},
};

START_TEST(test_bson_template_takes_values_as_values)
{
	char why[BSON_WHY_SIZE] = "", parse_why[JSON_WHY_SIZE];
	auto_json json_t *template = NULL, *args = NULL;
	bson_t bson;

	ck_assert_int_eq(json_parse(view_of(templates[_i].template), &template, parse_why), 0);
	ck_assert_int_eq(json_parse(view_of(templates[_i].args), &args, parse_why), 0);
	bson_init(&bson);
	int r = bson_from_template(template, args, templates[_i].keys, &bson, why);
	ck_assert_msg(r == templates[_i].expected, "%s: %d, %s", templates[_i].template, r, why);
	if (r == 0) {
		char *got = bson_as_canonical_extended_json(&bson, NULL);
		ck_assert_str_eq(got, templates[_i].text);
		bson_free(got);
	} else {
		ck_assert_str_eq(why, templates[_i].text);
	}
	bson_destroy(&bson);
}
END_TEST

/* What bson_text_document() says; the caller frees it. */
static char *told(const bson_t *document)
{
	struct buf out;
	char *text;

	buf_init(&out, 1 << 20);
	ck_assert_int_eq(bson_text_document(&out, document), 0);
	text = mem_dup(out.data, buf_len(&out));
	ck_assert_ptr_nonnull(text);
	buf_done(&out);
	return text;
}

/* Every type that there is, by its extended JSON. */
static const char *const documents[] = {
	"{}", "{\"a\":{},\"b\":[],\"c\":[[{}],{\"d\":[1,\"x\",null]}],\"\":true,\"e\":false}",
	"{\"a\":\"\",\"b\":\"q\\\"\\\\ \\n\\t\\u0001 \\u00e9 \\ud83d\\ude00\",\"k\\\"\":1}",
	"{\"a\":{\"$numberInt\":\"-2147483648\"},\"b\":{\"$numberLong\":\"-9223372036854775808\"},"
	"\"c\":{\"$numberLong\":\"9223372036854775807\"},\"d\":{\"$numberLong\":\"7\"}}",
	"{\"a\":{\"$numberDouble\":\"NaN\"},\"b\":{\"$numberDouble\":\"Infinity\"},"
	"\"c\":{\"$numberDouble\":\"-Infinity\"},\"d\":{\"$numberDecimal\":\"1.5\"}}",
	"{\"_id\":{\"$oid\":\"65f0c0ffee65f0c0ffee0123\"},\"at\":{\"$date\":\"2024-03-01T12:00:00."
	"5Z\"},"
	"\"old\":{\"$date\":{\"$numberLong\":\"-1\"}}}",
	"{\"a\":{\"$binary\":{\"base64\":\"AQID\",\"subType\":\"00\"}},\"b\":{\"$"
	"regularExpression\":"
	"{\"pattern\":\"^}:\",\"options\":\"i\"}},\"c\":{\"$timestamp\":{\"t\":1,\"i\":2}}}",
	"{\"a\":{\"$minKey\":1},\"b\":{\"$maxKey\":1},\"c\":{\"$undefined\":true},\"d\":{\"$"
	"symbol\":\"s:}\"},\"e\":{\"$code\":\"f(){}\"}}",
	"{\"f\":{\"$code\":\"g\",\"$scope\":{\"x\":1}}}", /* the last: damaged, libbson tells it in two ways */
};

START_TEST(test_bson_text_says_what_libbson_says)
{
	bson_t *document = bson_new_from_json((const uint8_t *)documents[_i], -1, NULL);
	auto_json json_t *ours = NULL, *theirs = NULL;
	char *text, *other;

	ck_assert_ptr_nonnull(document);
	text = told(document);
	other = bson_as_relaxed_extended_json(document, NULL);
	ours = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	theirs = json_loads(other, 0, NULL);
	ck_assert_msg(json_equal(ours, theirs), "%s is not %s", text, other);
	free(text);
	bson_free(other);
	bson_destroy(document);
}
END_TEST

/* Whether libbson finds its way through, and to the end. */
static bool is_sound(bson_iter_t *at)
{
	bson_iter_t inner;

	while (bson_iter_next(at)) {
		if ((BSON_ITER_HOLDS_DOCUMENT(at) || BSON_ITER_HOLDS_ARRAY(at)) &&
			(!bson_iter_recurse(at, &inner) || !is_sound(&inner)))
			return false;
	}
	return at->err_off == 0;
}

/* Nothing is told of what libbson cannot walk through; what is told is what libbson tells. It also tells of some that is no BSON. */
static bool is_told_as_by_libbson(const uint8_t *bytes, size_t len)
{
	bson_iter_t at;
	bson_t document;
	struct buf out;

	if (!bson_init_static(&document, bytes, len))
		return false;
	buf_init(&out, 1 << 20);
	int r = bson_text_document(&out, &document);
	ck_assert(r == 0 || r == -EBADMSG);
	if (r == 0) {
		ck_assert(bson_iter_init(&at, &document) && is_sound(&at));
		char *other = bson_as_relaxed_extended_json(&document, NULL);
		auto_json json_t *theirs = other ? json_loads(other, 0, NULL) : NULL;
		auto_json json_t *ours = json_loadb(out.data, buf_len(&out), JSON_ALLOW_NUL, NULL);
		ck_assert_msg(ours != NULL, "%.*s", (int)buf_len(&out), out.data);
		ck_assert_msg(!theirs || json_equal(ours, theirs), "%.*s is not %s",
			(int)buf_len(&out), out.data, other);
		bson_free(other);
	}
	buf_done(&out);
	return r == 0;
}

/* Any byte of a document may be another one. */
START_TEST(test_bson_text_of_damaged_documents_is_libbsons_or_none)
{
	bson_t *document = bson_new_from_json((const uint8_t *)documents[_i], -1, NULL);
	const size_t len = document->len;
	size_t n_told = 0;

	for (size_t at = 0; at < len; at++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			/* Memory of its own, so that a sanitizer sees a read behind it. */
			auto_free uint8_t *bytes = malloc(len);
			ck_assert_ptr_nonnull(bytes);
			memcpy(bytes, bson_get_data(document), len);
			bytes[at] = (uint8_t)byte;
			n_told += is_told_as_by_libbson(bytes, len);
		}
	}
	ck_assert_uint_ge(n_told, len); /* at least where it is the same byte */
	bson_destroy(document);
}
END_TEST

/* What is told of a number, without {"a": and }. */
static void tell_number(double number, char ret_text[40])
{
	bson_t document = BSON_INITIALIZER;
	char *text;

	BSON_APPEND_DOUBLE(&document, "a", number);
	text = told(&document);
	ck_assert_uint_lt(strlen(text), 40);
	(void)snprintf(ret_text, 40, "%.*s", (int)strlen(text) - 6, text + 5);
	free(text);
	bson_destroy(&document);
}

START_TEST(test_bson_text_tells_numbers_exactly_and_shortly)
{
	static const struct {
		double number;
		const char *text;
	} rows[] = {{0, "0.0"}, {-0.0, "-0.0"}, {1, "1.0"}, {-3, "-3.0"}, {-0.5, "-0.5"},
		{-80.1, "-80.1"}, {25.05, "25.05"}, {0.000001, "0.000001"},
		{1e15, "1000000000000000.0"}, {0.1 + 0.2, "0.30000000000000004"},
		{1e300, "1.0000000000000001e+300"}};
	uint64_t z = 1, bits;
	char text[40];
	double number;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		tell_number(rows[i].number, text);
		ck_assert_str_eq(text, rows[i].text);
	}
	for (unsigned i = 0; i < 200000; i++) {
		z = z * UINT64_C(6364136223846793005) + 1442695040888963407u;
		bits = z ^ z >> 29;
		memcpy(&number, &bits, sizeof number);
		if (i % 2 == 0) /* as people write them */
			number = (double)((int64_t)bits >> (bits % 50 + 10)) /
				 (double)(1 + i % 1000);
		if (number - number != 0)
			continue; /* no number */
		tell_number(number, text);
		ck_assert_msg(strtod(text, NULL) == number, "%s is not %.17g", text, number);
		ck_assert_msg(strpbrk(text, ".e") != NULL, "%s reads as a whole number", text);
	}
}
END_TEST

START_TEST(test_bson_text_refuses_what_is_no_bson)
{
	static const uint8_t wrong[][16] = {
		{16, 0, 0, 0, 0x02, 'a', 0, 200, 0, 0, 0, 'x', 'y', 'z', 0,
			0}, /* a string too long */
		{16, 0, 0, 0, 0x03, 'a', 0, 90, 0, 0, 0, 0x0a, 'b', 0, 0, 0}, /* an inner one */
		{16, 0, 0, 0, 0x6e, 'a', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},       /* no such type */
	};
	struct buf out;
	bson_t document, deep = BSON_INITIALIZER;

	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		ck_assert(bson_init_static(&document, wrong[i], sizeof wrong[i]));
		ck_assert_int_eq(bson_text_document(&out, &document), -EBADMSG);
	}
	for (unsigned i = 0; i <= BSON_TEXT_DEPTH_MAX; i++) {
		bson_t outer = BSON_INITIALIZER;

		ck_assert_int_eq(bson_text_document(&out, &deep), 0);
		BSON_APPEND_DOCUMENT(&outer, "a", &deep);
		bson_destroy(&deep);
		bson_steal(&deep, &outer);
	}
	ck_assert_int_eq(bson_text_document(&out, &deep), -EBADMSG);
	bson_destroy(&deep);
	buf_done(&out);
	buf_init(&out, 8);
	bson_init(&deep);
	BSON_APPEND_UTF8(&deep, "a", "too long for it");
	ck_assert_int_eq(bson_text_document(&out, &deep), -EMSGSIZE);
	bson_destroy(&deep);
	buf_done(&out);
}
END_TEST

#define URI "mongodb://user:S3cretWord@127.0.0.1:1/?authSource=admin"

static struct hostmsg offer_mongodb(struct fake *fake, const char *settings)
{
	struct hostmsg go = {.type = HOSTMSG_GO, .go = {1}}, msg;

	fake_fork(fake);
	fake_setup(fake, 1);
	fake_handler(fake, "m", "mongodb", settings);
	fake_put(fake, &go);
	fake_flush(fake);
	do
		ck_assert(fake_next(fake, &msg));
	while (msg.type != HOSTMSG_REFUSED && msg.type != HOSTMSG_READY);
	return msg;
}

START_TEST(test_mongodb_refuses_settings_without_telling_the_uri)
{
	static const char *const rows[] = {
		"uri=" URI "\ndatabase=d\ncollection=c\n",
		"uri=" URI "\noperation=drop\ndatabase=d\ncollection=c\n",
		"uri=" URI "\noperation=find\ndatabase=d\ncollection=c\nfilter={\n",
		"uri=" URI "\noperation=find\ndatabase=d\ncollection=c\nfilter=[]\n",
		"uri=" URI "\noperation=aggregate\ndatabase=d\ncollection=c\npipeline={}\n",
		"uri=" URI
		"\noperation=find\ndatabase=d\ncollection=c\nfilter={\"a\":\"$args.\"}\n",
		"uri=" URI
		"\noperation=find\ndatabase=d\ncollection=c\nfilter={\"a\":\"$args.limit\"}\n",
		"uri=" URI "\noperation=aggregate\ndatabase=d\ncollection=c\n",
		"uri=" URI "\noperation=find\ncollection=c\n",
		"uri=mongodb://user:S3cretWord@\noperation=find\ndatabase=d\ncollection=c\n",
		"uri=S3cretWord\noperation=find\ndatabase=d\ncollection=c\n",
		"operation=find\ndatabase=d\ncollection=c\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fake fake;
		struct hostmsg msg = offer_mongodb(&fake, rows[i]);
		ck_assert_str_eq(hostmsg_name(msg.type), "REFUSED");
		ck_assert_ptr_null(
			memmem(msg.refused.why.data, msg.refused.why.len, "S3cretWord", 10));
		fake_end(&fake);
	}
}
END_TEST

static const char
	*library; /* that is loaded instead of the one that is asked for; NULL: that one */

/* In place of libc's, which is behind it. */
void *dlopen(const char *name, int mode)
{
	void *next = dlsym(RTLD_NEXT, "dlopen"), *(*open_it)(const char *, int);

	memcpy(&open_it, &next, sizeof(open_it));
	return open_it(library && name ? library : name, mode);
}

/* Told, with what is wrong with it; the host itself is up. */
START_TEST(test_mongodb_library_that_cannot_be_used_refuses_the_handler)
{
	static const struct {
		const char *library, *word;
	} rows[] = {{"libnosuch.so.0", "libnosuch.so.0"}, {"libm.so.6", "undefined symbol: "}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fake fake;

		library = rows[i].library;
		struct hostmsg msg = offer_mongodb(
			&fake, "uri=" URI "\noperation=find\ndatabase=d\ncollection=c\n");
		ck_assert_str_eq(hostmsg_name(msg.type), "REFUSED");
		auto_free char *why = mem_dup(msg.refused.why.data, msg.refused.why.len);
		ck_assert_ptr_nonnull(strstr(why, "the MongoDB library cannot be used: "));
		ck_assert_msg(strstr(why, rows[i].word) != NULL, "%s", why);
		fake_end(&fake);
	}
}
END_TEST

/* Nobody listens there: bounded time, the right word, no secret; and the host ends at once. */
START_TEST(test_mongodb_away_fails_in_bounded_time)
{
	struct fake fake;
	uint64_t before_us = clock_now_us();

	ck_assert_str_eq(
		hostmsg_name(offer_mongodb(&fake,
			"uri=" URI "\nserver_selection_timeout=300000\nconnect_timeout=200000\n"
			"operation=find\ndatabase=d\ncollection=c\n")
				     .type),
		"READY");
	auto_json json_t *json = fake_one(&fake, "m", "{}", OUTCOME_FAILED, "unavailable");
	ck_assert_ptr_null(strstr(json_string_value(json_object_get(json, "error")), "S3cretWord"));
	ck_assert_uint_lt(clock_now_us() - before_us, 10 * US_PER_SEC);
	before_us = clock_now_us();
	fake_end(&fake);
	ck_assert_uint_lt(clock_now_us() - before_us, 2 * US_PER_SEC);
}
END_TEST

/* What is refused is refused before any server is asked: there is none. */
START_TEST(test_mongodb_refuses_args_before_it_asks)
{
	static const struct {
		const char *operation, *args, *reason;
	} rows[] = {
		{"find", "{\"filter\":{\"$where\":\"1\"}}", "refused"},
		{"find", "{\"filter\":{\"a\":{\"$gt\":1}}}", "refused"},
		{"find", "{\"projection\":{\"a.b\":1}}", "refused"},
		{"find", "{\"sort\":{\"\":1}}", "refused"},
		{"find", "{\"limit\":0}", "args"},
		{"find", "{\"collection\":\"other\"}", "args"},
		{"find", "[]", "args"},
		{"count", "{\"filter\":{\"$or\":[]}}", "refused"},
		{"insert", "{\"document\":{\"a\":{\"$oid\":\"0\"}}}", "refused"},
		{"insert", "{\"document\":{},\"documents\":[]}", "args"},
		{"insert", "{\"documents\":[]}", "args"},
		{"insert", "{\"documents\":[1]}", "args"},
		{"insert", "{}", "args"},
		{"aggregate\noperators=yes", "{\"pipeline\":[{\"$out\":\"x\"}]}", "refused"},
		{"aggregate\noperators=yes", "{\"pipeline\":{}}", "args"},
		{"aggregate\noperators=yes", "{}", "args"},
	};
	char settings[512];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fake fake;
		(void)snprintf(settings, sizeof(settings),
			"uri=" URI "\nserver_selection_timeout=50000\noperation=%s\ndatabase="
			"d\ncollection=c\n",
			rows[i].operation);
		ck_assert_str_eq(hostmsg_name(offer_mongodb(&fake, settings).type), "READY");
		json_decref(fake_one(&fake, "m", rows[i].args, OUTCOME_FAILED, rows[i].reason));
		fake_end(&fake);
	}
}
END_TEST

int main(void)
{
	char why[SETTING_WHY_SIZE];

	if (mongolib_open(why) < 0) {
		(void)fprintf(stderr, "%s\n", why);
		return 1;
	}
	Suite *suite = suite_create("bson");
	TCase *tcase = tcase_create("bson");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_bson_types);
	tcase_add_test(tcase, test_bson_refuses_keys_at_every_depth);
	tcase_add_test(tcase, test_bson_operators_never_run_code_or_write);
	tcase_add_test(tcase, test_bson_refusal_names_hostile_keys_safely);
	tcase_add_test(tcase, test_bson_nothing_is_an_empty_document);
	tcase_add_loop_test(
		tcase, test_bson_template_takes_values_as_values, 0, (int)ARRAY_SIZE(templates));
	tcase_add_loop_test(
		tcase, test_bson_text_says_what_libbson_says, 0, (int)ARRAY_SIZE(documents));
	tcase_add_loop_test(tcase, test_bson_text_of_damaged_documents_is_libbsons_or_none, 0,
		(int)ARRAY_SIZE(documents) - 1);
	tcase_add_test(tcase, test_bson_text_tells_numbers_exactly_and_shortly);
	tcase_add_test(tcase, test_bson_text_refuses_what_is_no_bson);
	tcase_add_test(tcase, test_mongodb_refuses_settings_without_telling_the_uri);
	tcase_add_test(tcase, test_mongodb_library_that_cannot_be_used_refuses_the_handler);
	tcase_add_test(tcase, test_mongodb_away_fails_in_bounded_time);
	tcase_add_test(tcase, test_mongodb_refuses_args_before_it_asks);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
