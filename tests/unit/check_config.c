/*
 * check_config: the key table, every row of it; the files; the rules over several keys; the
 * generated texts. The generated texts stand in conf/workpoold.conf and doc/workpoold.conf.5
 * (between its marks) of $srcdir; WORKPOOL_UPDATE=1 writes them anew instead of comparing.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "config/build.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/lines.h"
#include "config/value.h"

#define SOME_COMMAND "command = /bin/true\n"
#define SOME_MONGO   "operation = find\ndatabase = d\ncollection = c\n"
#define SOME_URI     "[mongodb]\nuri = mongodb://h\n"

static char why[CONFIG_WHY_SIZE];

/* Reading texts. */

static struct settings *load(const char *text)
{
	struct settings *settings = NULL;
	int r = config_load_text(view_of(text), "f", &settings, why);

	ck_assert_msg(r == 0, "%s: %s", text, why);
	ck_assert_str_eq(why, "");
	return settings;
}

static void load_fails(struct view text, int error, const char *expected)
{
	struct settings *settings = NULL;
	int r = config_load_text(text, "f", &settings, why);

	ck_assert_msg(r == error, "%.*s: %d", (int)text.len, text.data, r);
	ck_assert_ptr_null(settings);
	ck_assert_str_eq(why, expected);
}

static void refused(const char *text, const char *expected)
{
	load_fails(view_of(text), -EINVAL, expected);
}

/* What must stand behind some keys, so that any of their values is right. */
static const char *company_of(const struct config_key *key)
{
	static const struct {
		const char *key;
		const char *text;
	} rows[] = {
		{"max_args", "[daemon]\nmax_message = 4M\n"},
		{"max_output", "[daemon]\nmax_output = 4M\n"},
		{"backoff_min", "backoff_max = 30d\n"},
		{"backoff_max", "backoff_min = 1ms\n"},
		{"resources", "[resource a]\n[resource b-1]\n[resource c]\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].key, key->name) == 0)
			return rows[i].text;
	}
	return "";
}

/* A key of some handler type or section with whatever else it needs; `line` is the number of the
 * key's line. */
static char *text_for(const struct config_key *key, const char *value, unsigned *ret_line)
{
	char *text = NULL;
	int r;

	if (key->scope == CONFIG_HANDLER && strcmp(key->name, "type") == 0) {
		*ret_line = 4;
		r = asprintf(&text, SOME_URI "[handler x]\n%s = %s\n", key->name, value);
	} else if (key->scope == CONFIG_HANDLER && (key->types & CONFIG_EXEC) == 0) {
		*ret_line = 5;
		r = asprintf(&text, SOME_URI "[handler x]\ntype = mongodb\n%s = %s\n%s%s%s%s",
			key->name, value,
			strcmp(key->name, "operators") != 0 ? "operators = yes\n" : "",
			strcmp(key->name, "operation") != 0 ? "operation = find\n" : "",
			strcmp(key->name, "database") != 0 ? "database = d\n" : "",
			strcmp(key->name, "collection") != 0 ? "collection = c\n" : "");
	} else if (key->scope == CONFIG_HANDLER) {
		*ret_line = 3;
		r = asprintf(&text, "[handler x]\ntype = exec\n%s = %s\n%s%s", key->name, value,
			strcmp(key->name, "command") != 0 ? SOME_COMMAND : "", company_of(key));
	} else {
		*ret_line = 2;
		r = asprintf(&text, "[%s%s]\n%s = %s\n", keys_scope_name(key->scope),
			keys_scope_is_named(key->scope) ? " x" : "", key->name, value);
	}
	ck_assert_int_ge(r, 0);
	return text;
}

static const void *base_of(const struct settings *settings, const struct config_key *key)
{
	struct build build = {.settings = (struct settings *)(uintptr_t)settings};
	size_t at = 0;

	if (key->scope == CONFIG_RESOURCE)
		at = (size_t)(settings_find_resource(settings, "x") - settings->resources);
	if (key->scope == CONFIG_POOL)
		at = (size_t)(settings_find_pool(settings, "x") - settings->pools);
	if (key->scope == CONFIG_HANDLER)
		at = (size_t)(settings_find_handler(settings, "x") - settings->handlers);
	return build_base(&build, key->scope, at);
}

/* Sets value through the whole parser and compares what is then in the field. */
static void key_takes(const struct config_key *key, const char *value, const char *canonical)
{
	unsigned line;
	auto_free char *text = text_for(key, value, &line);
	struct settings *settings = load(text);
	struct buf out;

	buf_init(&out, 65536);
	ck_assert_int_eq(value_write(key, base_of(settings, key), &out), 0);
	ck_assert_int_eq(buf_append(&out, "", 1), 0);
	ck_assert_msg(strcmp(buf_view(&out).data, canonical) == 0, "%s = %s: \"%s\" is not \"%s\"",
		key->name, value, buf_view(&out).data, canonical);
	buf_done(&out);
	settings_free(settings);
}

static void key_refuses(const struct config_key *key, const char *value)
{
	unsigned line;
	auto_free char *text = text_for(key, value, &line);
	auto_free char *expected = NULL;
	auto_free char *quoted = NULL;
	struct buf range;
	int r;

	buf_init(&range, 1024);
	ck_assert_int_eq(value_write_range(key, &range), 0);
	ck_assert_int_eq(buf_append(&range, "", 1), 0);
	r = asprintf(&quoted, "\"%s\": ", value);
	ck_assert_int_ge(r, 0);
	r = asprintf(&expected, "f:%u: [%s%s] %s: %s%s", line, keys_scope_name(key->scope),
		keys_scope_is_named(key->scope) ? " x" : "", key->name,
		(key->flags & CONFIG_SECRET) != 0 ? "" : quoted, buf_view(&range).data);
	ck_assert_int_ge(r, 0);
	refused(text, expected);
	buf_done(&range);
}

/* Numbers of every type: the text of a canonical number. */
static const char *number_text(enum config_type type, int64_t number, char text[64])
{
	if (type == CONFIG_DURATION)
		(void)snprintf(text, 64, "%" PRId64 "us", number);
	else if (type == CONFIG_OCTAL)
		(void)snprintf(text, 64, "%" PRIo64, (uint64_t)number);
	else
		(void)snprintf(text, 64, "%" PRId64, number);
	return text;
}

static bool is_number(enum config_type type)
{
	return type == CONFIG_INT || type == CONFIG_U64 || type == CONFIG_BYTES ||
	       type == CONFIG_DURATION || type == CONFIG_OCTAL;
}

static void check_number(const struct config_key *key)
{
	static const char *const wrong[] = {
		"", "x", "1x", "1 2", "0x10", "+1", "99999999999999999999999999", "-99999999"};
	char text[64], canonical[64];

	for (int i = 0; i < 2; i++) {
		int64_t value = i == 0 ? key->min : key->max;

		(void)snprintf(canonical, sizeof(canonical), "%" PRId64, value);
		key_takes(key, number_text(key->type, value, text), canonical);
	}
	key_refuses(key, number_text(key->type, key->max + 1, text));
	if (key->min > 1 || key->min < 0 || (key->min == 1 && (key->flags & CONFIG_ZERO) == 0))
		key_refuses(key, number_text(key->type, key->min - 1, text));
	if ((key->flags & CONFIG_ZERO) != 0)
		key_takes(key, "0", "0");
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		key_refuses(key, wrong[i]);
}

static void check_words(const struct config_key *key)
{
	bool is_type = strcmp(key->name, "type") == 0 && key->scope == CONFIG_HANDLER;
	const char *at = key->words;

	while (*at != '\0') {
		size_t n = strcspn(at, " ");
		auto_free char *word = mem_dup(at, n);

		ck_assert_ptr_nonnull(word);
		if (!is_type)
			key_takes(key, word, word);
		at += n;
		at += strspn(at, " ");
	}
	key_refuses(key, "x");
	key_refuses(key, key->words[0] == 'd' ? "drai" : "Memory");
	if (key->type == CONFIG_ENUM)
		key_refuses(key, "");
}

struct sample {
	enum config_type type;
	bool good;
	const char *value;
};

/* clang-format off */
static const struct sample samples[] = {
	{CONFIG_STRING, true, "a"}, {CONFIG_STRING, true, "Größe"}, {CONFIG_STRING, false, "a$b"},
	{CONFIG_URI, true, "mongodb://h/d?w=1"}, {CONFIG_URI, true, "mongodb+srv://h"},
	{CONFIG_URI, false, "mongodb://"}, {CONFIG_URI, false, "http://h"},
	{CONFIG_URI, false, "mongodb://secret word"},
	{CONFIG_LIST, true, "alice"}, {CONFIG_LIST, true, "alice, @admins,bob	carol"},
	{CONFIG_LIST, true, "@a@example.org, DOM\\user, 1000, host$"},
	{CONFIG_LIST, false, "alice/bob"}, {CONFIG_LIST, false, "@"}, {CONFIG_LIST, false, "@@a"},
	{CONFIG_LIST, false, "-x"}, {CONFIG_LIST, false, "a:b"},
	{CONFIG_NAMES, true, "a"}, {CONFIG_NAMES, true, ",a, b-1	c,"}, {CONFIG_NAMES, false, "@a"},
	{CONFIG_NAMES, false, "a;b"}, {CONFIG_NAMES, false, "a, .b"},
	{CONFIG_PATH, true, "/"}, {CONFIG_PATH, true, "/a b/c"}, {CONFIG_PATH, false, "a"},
	{CONFIG_PATH, false, "./a"},
	{CONFIG_COMMAND, true, "/bin/true"}, {CONFIG_COMMAND, true, "/bin/echo 'a b' \"c\" d\\ e"},
	{CONFIG_COMMAND, false, "true"}, {CONFIG_COMMAND, false, "'true' /x"},
	{CONFIG_COMMAND, false, "/bin/echo 'a"},
	{CONFIG_ENVIRONMENT, true, "A=b"}, {CONFIG_ENVIRONMENT, true, "A= B='c d' _C1=x=y"},
	{CONFIG_ENVIRONMENT, false, "A"}, {CONFIG_ENVIRONMENT, false, "1A=b"},
	{CONFIG_ENVIRONMENT, false, "=b"}, {CONFIG_ENVIRONMENT, false, "A=b C"},
	{CONFIG_ENVIRONMENT, false, "WORKPOOL_TASK_ID=1"}, {CONFIG_ENVIRONMENT, false, "A='b"},
	{CONFIG_NAME, true, "default"}, {CONFIG_NAME, false, "a b"}, {CONFIG_NAME, false, ""},
	{CONFIG_NAME, false, ".a"}, {CONFIG_NAME, false, "a/b"},
	{CONFIG_BOOL, true, "yes"}, {CONFIG_BOOL, true, "no"}, {CONFIG_BOOL, false, "maybe"},
	{CONFIG_BOOL, false, ""}, {CONFIG_BOOL, false, "2"},
	{CONFIG_WORKERS, true, "1"}, {CONFIG_WORKERS, true, "1024"},
	{CONFIG_WORKERS, true, "3/core"},
	{CONFIG_WORKERS, true, "1024/core"}, {CONFIG_WORKERS, false, "0/core"},
	{CONFIG_WORKERS, false, "1025"}, {CONFIG_WORKERS, false, "1025/core"},
	{CONFIG_WORKERS, false, "0"}, {CONFIG_WORKERS, false, "/core"},
	{CONFIG_WORKERS, false, "3/cores"},
	{CONFIG_WORKERS, false, "3 /core"}, {CONFIG_WORKERS, false, "-3"},
	{CONFIG_WORKERS, false, "auto"},
	{CONFIG_WORKERS, false, "99999999999999999999/core"}, {CONFIG_WORKERS, false, ""},
};
/* clang-format on */

/* How many samples the type has. */
static size_t check_samples(const struct config_key *key)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		if (samples[i].type != key->type)
			continue;
		n++;
		if (samples[i].good)
			key_takes(key, samples[i].value, samples[i].value);
		else
			key_refuses(key, samples[i].value);
	}
	return n;
}

/* One byte more than max, made of whatever is right otherwise. */
static void check_length(const struct config_key *key)
{
	const char *prefix = key->type == CONFIG_URI           ? "mongodb://"
			     : key->type == CONFIG_ENVIRONMENT ? "A="
			     : key->type == CONFIG_NAME || key->type == CONFIG_STRING ||
					     key->type == CONFIG_LIST || key->type == CONFIG_NAMES
				     ? ""
				     : "/";
	size_t len = (size_t)key->max + 1;
	auto_free char *value = malloc(len + 1);
	struct settings settings = {0};
	struct build build = {.settings = &settings};
	struct settings_handler handler = {0};
	void *base = key->scope == CONFIG_HANDLER ? &handler : build_base(&build, key->scope, 0);

	ck_assert_ptr_nonnull(value);
	memset(value, 'a', len);
	memcpy(value, prefix, strlen(prefix));
	for (size_t i = SETTINGS_NAME_MAX; key->type == CONFIG_NAMES && i < len;
		i += SETTINGS_NAME_MAX)
		value[i] = ','; /* many names: a single one has a limit of its own */
	value[len] = '\0';
	ck_assert_int_eq(value_set(key, base, value), -EINVAL);
	value[len - 1] = '\0';
	ck_assert_int_eq(value_set(key, base, value), 0);
	value_unset(key, base);
}

START_TEST(test_config_every_key_is_set_and_refused)
{
	size_t n;
	const struct config_key *keys = keys_table(&n);

	for (size_t i = 0; i < n; i++) {
		const struct config_key *key = &keys[i];

		if (is_number(key->type)) {
			check_number(key);
		} else if (key->type == CONFIG_ENUM || key->type == CONFIG_WORD) {
			check_words(key);
		} else {
			ck_assert_msg(check_samples(key) >= 3, "%s: too few samples", key->name);
			if (key->type != CONFIG_BOOL && key->type != CONFIG_WORKERS)
				check_length(key);
		}
	}
}
END_TEST

START_TEST(test_config_every_row_is_whole)
{
	size_t n;
	const struct config_key *keys = keys_table(&n);

	for (size_t i = 0; i < n; i++) {
		const struct config_key *key = &keys[i];

		ck_assert_ptr_eq(keys_find(key->scope, key->name), key); /* no name twice */
		ck_assert_msg(i == 0 || keys[i - 1].scope <= key->scope, "%s: order", key->name);
		ck_assert_uint_lt(keys_place(key), CONFIG_SCOPE_KEYS_MAX);
		ck_assert_msg(key->text != NULL && key->text[strlen(key->text) - 1] != '.', "%s",
			key->name);
		ck_assert_msg(
			*key->initial != '\0' || key->example != NULL, "%s: no example", key->name);
		ck_assert_msg((key->scope == CONFIG_HANDLER) == (key->types != 0), "%s", key->name);
		ck_assert_msg(is_number(key->type) || key->min >= 0, "%s", key->name);
		ck_assert_uint_eq(
			strspn(key->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(key->name));
	}
	ck_assert_ptr_null(keys_find(CONFIG_POOL, "socket"));
}
END_TEST

START_TEST(test_config_without_a_file_has_defaults)
{
	struct settings *settings = NULL;
	const struct settings_handler *echo;

	ck_assert_int_eq(config_load(NULL, &settings, why), 0);
	ck_assert_uint_eq(settings->n_pools, 1);
	ck_assert_str_eq(settings->pools[0].name, "default");
	ck_assert_uint_eq(settings->pools[0].workers.number, 3);
	ck_assert(settings->pools[0].workers.per_core);
	ck_assert_uint_eq(settings->pools[0].capacity, 100);
	ck_assert(!settings->access.given);
	ck_assert_uint_eq(settings->n_handlers, 4);
	echo = settings_find_handler(settings, "echo");
	ck_assert_ptr_nonnull(echo);
	ck_assert_str_eq(echo->type, "builtin");
	ck_assert_str_eq(echo->pool, "default");
	ck_assert_uint_eq(echo->timeout_us, 1800 * US_PER_SEC);
	ck_assert_uint_eq(echo->umask, 077);
	ck_assert_str_eq(echo->command, "");
	ck_assert_str_eq(settings->daemon.socket, "");
	ck_assert_int_eq(settings->daemon.log, LOG_AUTO);
	ck_assert_int_eq(settings->daemon.log_level, LOG_L_INFO);
	ck_assert_int_eq(settings->daemon.stop_mode, STOP_FINISH);
	ck_assert_uint_eq(settings->daemon.stop_timeout_us, 80 * US_PER_SEC);
	ck_assert_ptr_null(settings_find_pool(settings, "x"));
	ck_assert_ptr_null(settings_find_handler(settings, "x"));
	settings_free(settings);
	settings_free(NULL);
}
END_TEST

START_TEST(test_config_workers_depend_on_cores)
{
	ck_assert_uint_eq(settings_workers((struct workers_rule){3, true}, 2), 6);
	ck_assert_uint_eq(settings_workers((struct workers_rule){3, false}, 2), 3);
	ck_assert_uint_eq(settings_workers((struct workers_rule){3, true}, 0), 1);
	ck_assert_uint_eq(settings_workers((struct workers_rule){1024, true}, UINT32_MAX), 1024);
	ck_assert_uint_eq(settings_workers((struct workers_rule){0, false}, 1), 1);
}
END_TEST

/* Lines. */

START_TEST(test_config_lines_are_taken_as_meant)
{
	struct settings *settings = load("\xef\xbb\xbf# BOM and CRLF\r\n"
					 "; another comment ; # with = and [x]\r\n"
					 "  [ pool \t mail ]  \r\n"
					 "\t workers=5 \r\n"
					 "\r\n"
					 "   capacity   =  0\r\n"
					 "[handler x]\n"
					 "type = exec\n"
					 "command = /bin/sh -c 'a=b;c: d#e [f]'\n"
					 "[access]");
	const struct settings_pool *mail = settings_find_pool(settings, "mail");

	ck_assert_ptr_nonnull(mail);
	ck_assert_uint_eq(mail->workers.number, 5);
	ck_assert_uint_eq(mail->capacity, 0);
	ck_assert_str_eq(
		settings_find_handler(settings, "x")->command, "/bin/sh -c 'a=b;c: d#e [f]'");
	ck_assert(settings->access.given);
	settings_free(settings);
}
END_TEST

START_TEST(test_config_lines_that_mean_nothing_are_refused)
{
	static const char pair[] = "neither [section], nor key = value, nor a comment";
	static const char comment[] =
		"a \";\" or \"#\" behind a blank: a comment needs a line of its own";
	static const char section[] = "a section is a line of its own: [name] or [name NAME]";
	static const struct {
		const char *text;
		unsigned line;
		const char *reason;
	} cases[] = {
		{"[daemon]\nfoo\n", 2, pair},
		{"[daemon]\n= x\n", 2, pair},
		{"[daemon]\nlog: stderr\n", 2, pair},
		{"[access]\nadmin = a,\n  b\n", 3, pair},
		{"[daemon]\nlog = stderr ; why\n", 2, comment},
		{"[daemon]\nlog = stderr\t# why\n", 2, comment},
		{"[daemon]\nsocket = ;\n", 2, comment},
		{"[daemon\n", 1, section},
		{"[daemon] log = stderr\n", 1, section},
		{"[pool a]b]\n", 1, section},
		{"[\n", 1, section},
		{"\n[daemon]\nlog = std\x01err\n", 3, "a NUL or another control character"},
		{"# a\rb = c\n", 1, "a NUL or another control character"},
		{"# \x7f\n", 1, "a NUL or another control character"},
		{"[daemon]\nsocket = /\xff\n", 2, "the line is not UTF-8"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char expected[CONFIG_WHY_SIZE];

		(void)snprintf(
			expected, sizeof(expected), "f:%u: %s", cases[i].line, cases[i].reason);
		refused(cases[i].text, expected);
	}
	load_fails(VIEW_LIT("[daemon]\nlog = std\0err\n"), -EINVAL,
		"f:2: a NUL or another control character");
	load_fails(VIEW_LIT("[daemon]\n\0"), -EINVAL, "f:2: a NUL or another control character");
}
END_TEST

START_TEST(test_config_lines_have_a_length)
{
	static char text[LINES_MAX + 64];
	struct settings *settings;
	size_t head = strlen("[handler x]\ntype = exec\n");

	memset(text, 'a', sizeof(text));
	memcpy(text, "[handler x]\ntype = exec\n", head);
	memcpy(text + head, "command = /", 11);
	memcpy(text + head + LINES_MAX, "\n", 2);
	settings = load(text); /* the longest line comes back whole */
	ck_assert_uint_eq(strlen(settings_find_handler(settings, "x")->command), LINES_MAX - 10);
	settings_free(settings);
	memcpy(text + head + LINES_MAX, "a\n", 3);
	refused(text, "f:3: the line is longer than 4096 bytes");
	text[head] = '#';
	refused(text, "f:3: the line is longer than 4096 bytes");
}
END_TEST

START_TEST(test_config_sections_and_keys_must_be_known)
{
	static const struct {
		const char *text;
		const char *expected;
	} cases[] = {
		{"x = y\n", "f:1: x: a key before the first [section]"},
		{"[foo]\n", "f:1: [foo]: unknown section"},
		{"[plugin db]\n", "f:1: [plugin db]: unknown section"},
		{"[resource]\n", "f:1: [resource]: a name of 1 to 64 letters, digits, \"-\", "
				 "\"_\" and \".\" belongs here"},
		{"[]\n", "f:1: []: unknown section"},
		{"[Pool x]\n", "f:1: [Pool x]: unknown section"},
		{"[daemon x]\n", "f:1: [daemon x]: this section takes no name"},
		{"[pool]\n", "f:1: [pool]: a name of 1 to 64 letters, digits, \"-\", \"_\" and "
			     "\".\" belongs here"},
		{"[pool a b]\n", "f:1: [pool a b]: a name of 1 to 64 letters, digits, \"-\", \"_\" "
				 "and \".\" belongs here"},
		{"[daemon]\nworkers = 1\n", "f:2: [daemon] workers: unknown key"},
		{"[pool mail]\nwrokers = 1\n", "f:2: [pool mail] wrokers: unknown key"},
		{"[pool mail]\n# unbuilt\nisolation = shared\n",
			"f:3: [pool mail] isolation: unknown key"},
		{"[daemon]\nname = x\n", "f:2: [daemon] name: unknown key"},
		{"[pool mail]\nname = x\n", "f:2: [pool mail] name: unknown key"},
		{"[access]\ngiven = yes\n", "f:2: [access] given: unknown key"},
		{"[pool mail]\nworkers = x\n",
			"f:2: [pool mail] workers: \"x\": a number from 1 to 1024 or \"3/core\""},
		{"[pool a]\n[pool b]\n[pool a]\n", "f:3: [pool a]: stands in line 1 already"},
		{"[daemon]\n[daemon]\n", "f:2: [daemon]: stands in line 1 already"},
		{"[pool a]\nworkers = 1\nworkers = 1\n",
			"f:3: [pool a] workers: stands in line 2 already"},
		{"[store]\ntype = sqlite\n", "f:2: [store] type: \"sqlite\": memory"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		refused(cases[i].text, cases[i].expected);
}
END_TEST

START_TEST(test_config_names_are_not_cut)
{
	static const char a[] =
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; /* 64 */
	char text[256];
	struct settings *settings;

	(void)snprintf(text, sizeof(text), "[pool %s]\n[pool %.63s]\n", a, a);
	settings = load(text);
	ck_assert_uint_eq(settings->n_pools, 3);
	ck_assert_ptr_nonnull(settings_find_pool(settings, a));
	settings_free(settings);
	(void)snprintf(text, sizeof(text), "[pool %sb]\n", a);
	ck_assert_int_eq(config_load_text(view_of(text), "f", &settings, why), -EINVAL);
	(void)snprintf(
		text, sizeof(text), "[resource %s]\n[handler echo]\nresources = %sb\n", a, a);
	ck_assert_int_eq(config_load_text(view_of(text), "f", &settings, why), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "...\": names, parted by commas or blanks"));
}
END_TEST

START_TEST(test_config_sections_have_a_limit)
{
	struct buf text;

	buf_init(&text, 1 << 20);
	for (int i = 1; i < SETTINGS_POOLS_MAX; i++)
		ck_assert_int_eq(buf_printf(&text, "[pool p%d]\n", i), 0);
	settings_free(load("[pool p1]"));
	ck_assert_int_eq(buf_append(&text, "[pool one-more]\n", 17), 0);
	refused(buf_view(&text).data, "f:256: [pool one-more]: too many sections of this kind");
	buf_done(&text);
	buf_init(&text, 1 << 20);
	for (int i = 0; i < SETTINGS_RESOURCES_MAX; i++)
		ck_assert_int_eq(buf_printf(&text, "[resource r%d]\n", i), 0);
	ck_assert_int_eq(buf_append(&text, "[resource one-more]\n", 21), 0);
	refused(buf_view(&text).data, "f:65: [resource one-more]: too many sections of this kind");
	buf_done(&text);
	buf_init(&text, 1 << 20);
	for (int i = BUILD_BUILTINS; i < SETTINGS_HANDLERS_MAX; i++)
		ck_assert_int_eq(buf_printf(&text, "[handler h%d]\n", i), 0);
	ck_assert_int_eq(buf_append(&text, "[handler one-more]\n", 20), 0);
	refused(buf_view(&text).data, "f:1021: [handler one-more]: too many sections of this kind");
	buf_done(&text);
}
END_TEST

START_TEST(test_config_errors_quote_safely)
{
	static const char secret[] = "hunter2:@";
	struct settings *settings = NULL;
	char text[4000];

	refused("[daemon]\nlog = \xc3\xa4\n",
		"f:2: [daemon] log: \"\\xc3\\xa4\": auto, stderr or journal");
	memset(text, 'x', sizeof(text));
	memcpy(text, "[daemon]\nlog = ", 15);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(config_load_text(view_of(text), "f", &settings, why), -EINVAL);
	ck_assert_uint_lt(strlen(why), 200);
	ck_assert_ptr_nonnull(strstr(why, "xxx...\": auto, stderr or journal"));
	(void)snprintf(text, sizeof(text), "[mongodb]\nuri = http://%s\n", secret);
	ck_assert_int_eq(config_load_text(view_of(text), "f", &settings, why), -EINVAL);
	ck_assert_ptr_null(strstr(why, "hunter2"));
}
END_TEST

/* Rules. */

START_TEST(test_config_rules_bind_keys_together)
{
	static const struct {
		const char *text;
		const char *expected;
	} cases[] = {
		{"[handler x]\n", "f:1: [handler x]: the key \"type\" is missing: exec or mongodb"},
		{"[handler x]\ntype =\n",
			"f:1: [handler x]: the key \"type\" is missing: exec or mongodb"},
		{"[handler x]\ntype = builtin\n", "f:2: [handler x] type: \"builtin\": only noop, "
						  "echo, sleep and fail are built in: "
						  "exec or mongodb"},
		{"[handler sleep]\ntype = exec\ncommand = /x\n",
			"f:2: [handler sleep] type: \"exec\": this handler is built in: its type "
			"cannot be "
			"changed"},
		{"[handler sleep]\ncommand = /x\n", "f:2: [handler sleep] command: a handler of "
						    "type builtin does not have this key"},
		{"[handler x]\ndatabase = d\ntype = exec\ncommand = /x\n",
			"f:2: [handler x] database: a handler of type exec does not have this key"},
		{SOME_URI "[handler x]\ntype = mongodb\n" SOME_MONGO "nice = 1\n",
			"f:8: [handler x] nice: a handler of type mongodb does not have this key"},
		{"[handler x]\ntype = exec\n",
			"f:1: [handler x]: type exec needs the key \"command\""},
		{"[handler x]\ntype = exec\ncommand =\n",
			"f:3: [handler x]: type exec needs the key \"command\""},
		{SOME_URI "[handler x]\ntype = mongodb\ndatabase = d\ncollection = c\n",
			"f:3: [handler x]: type mongodb needs the key \"operation\""},
		{SOME_URI "[handler x]\ntype = mongodb\noperation = find\ncollection = c\n",
			"f:3: [handler x]: type mongodb needs the key \"database\""},
		{SOME_URI "[handler x]\ntype = mongodb\noperation = find\ndatabase = d\n",
			"f:3: [handler x]: type mongodb needs the key \"collection\""},
		{SOME_URI "[handler x]\ntype = mongodb\noperation = aggregate\ndatabase = d\n"
			  "collection = c\n",
			"f:5: [handler x] operation: \"aggregate\": needs \"operators = yes\""},
		{"[handler x]\ntype = mongodb\n" SOME_MONGO,
			"f:1: [handler x]: type mongodb needs a server: the credential "
			"mongodb-uri, or uri in "
			"[mongodb]"},
		{"[handler x]\ntype = exec\ncommand = /x\npool = mail\n",
			"f:4: [handler x] pool: \"mail\": there is no section [pool mail]"},
		{"[handler echo]\npool = mail\n",
			"f:2: [handler echo] pool: \"mail\": there is no section [pool mail]"},
		{"[handler echo]\nmax_output = 2M\n",
			"f:2: [handler echo] max_output: more than [daemon] max_output allows"},
		{"[handler echo]\nmax_args = 2M\n",
			"f:2: [handler echo] max_args: more than [daemon] max_message allows"},
		{"[handler echo]\nbackoff_min = 2s\nbackoff_max = 1500ms\n",
			"f:2: [handler echo] backoff_min: \"2s\": more than backoff_max, which is "
			"1500ms"},
		{"[handler echo]\n\nbackoff_min = 11min\n",
			"f:3: [handler echo] backoff_min: \"11min\": more than backoff_max, which "
			"is 10min"},
		{"[handler echo]\nbackoff_max = 10ms\n",
			"f:2: [handler echo] backoff_max: \"10ms\": less than backoff_min, which "
			"is 1s"},
		{"[handler echo]\nresources = db, disk\n[resource db]\n",
			"f:2: [handler echo] resources: \"disk\": there is no section [resource "
			"disk]"},
		{"[handler echo]\nresources = db db\n[resource db]\n",
			"f:2: [handler echo] resources: \"db\": stands there twice"},
		{"[handler echo]\nresources = db\nweight = 3\n[resource db]\nmax_active = 2\n",
			"f:3: [handler echo] weight: \"3\": more than max_active of [resource db], "
			"which is 2"},
		{"[resource a]\n[resource b]\n[resource c]\n[resource d]\n[resource e]\n"
		 "[resource f]\n[resource g]\n[resource h]\n[resource i]\n"
		 "[handler echo]\nresources = a b c d e f g h i\n",
			"f:11: [handler echo] resources: \"i\": one more than 8 resources"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		refused(cases[i].text, cases[i].expected);
}
END_TEST

START_TEST(test_config_rules_lower_defaults_to_their_bounds)
{
	struct settings *settings = load("[daemon]\nmax_message = 64K\nmax_output = 32K\n"
					 "[handler x]\ntype = exec\n" SOME_COMMAND);

	for (size_t i = 0; i < settings->n_handlers; i++) {
		ck_assert_uint_eq(settings->handlers[i].max_args_bytes, 64 * 1024);
		ck_assert_uint_eq(settings->handlers[i].max_output_bytes, 32 * 1024);
	}
	settings_free(settings);
}
END_TEST

START_TEST(test_config_resources_of_a_handler_become_places)
{
	struct settings *settings =
		load("[resource a]\n[handler echo]\nresources = c ,\ta\nweight = 7\n"
		     "[resource b]\n[resource c]\nmax_active = 7\n[handler noop]\nresources = ,\n");
	const struct settings_handler *echo = settings_find_handler(settings, "echo");

	ck_assert_uint_eq(settings->n_resources, 3);
	ck_assert_uint_eq(echo->n_resources, 2);
	ck_assert_str_eq(settings->resources[echo->resource_at[0]].name, "c");
	ck_assert_str_eq(settings->resources[echo->resource_at[1]].name, "a");
	ck_assert_uint_eq(settings_find_handler(settings, "noop")->n_resources, 0);
	ck_assert_ptr_null(settings_find_resource(settings, "d"));
	settings_free(settings);
}
END_TEST

START_TEST(test_config_builtin_handlers_can_be_changed)
{
	struct settings *settings = load(
		"[handler sleep]\ntimeout = 1min\npool = mail\n[pool mail]\n[handler noop]\ntype = "
		"builtin\n");

	ck_assert_uint_eq(settings->n_handlers, 4);
	ck_assert_uint_eq(settings_find_handler(settings, "sleep")->timeout_us, 60 * US_PER_SEC);
	ck_assert_str_eq(settings_find_handler(settings, "sleep")->pool, "mail");
	ck_assert_uint_eq(settings_find_handler(settings, "echo")->timeout_us, 1800 * US_PER_SEC);
	settings_free(settings);
}
END_TEST

/* Files: a folder of its own for each test. */

static char folder[64];

static void folder_setup(void)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/check_config.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	ck_assert_int_eq(unsetenv("WORKPOOL_MONGODB_URI"), 0);
}

static void folder_teardown(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	ck_assert_int_eq(system(command), 0);
}

static const char *path_of(const char *name)
{
	static char paths[4][256]; /* for up to four in one expression */
	static unsigned next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static void put(const char *name, const char *text, mode_t mode)
{
	auto_fd int fd = -1;

	(void)unlink(path_of(name)); /* the old one may be read-only */
	fd = open(path_of(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fd_write_all(fd, text, strlen(text)), 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
}

static void file_refused(const char *name, int error, const char *at, const char *reason)
{
	struct settings *settings = NULL;
	char expected[CONFIG_WHY_SIZE];

	(void)snprintf(expected, sizeof(expected), "%s%s", path_of(at), reason);
	ck_assert_int_eq(config_load(path_of(name), &settings, why), error);
	ck_assert_ptr_null(settings);
	ck_assert_str_eq(why, expected);
}

static struct settings *load_file(const char *name)
{
	struct settings *settings = NULL;
	int r = config_load(path_of(name), &settings, why);

	ck_assert_msg(r == 0, "%s", why);
	return settings;
}

START_TEST(test_config_files_must_be_safe)
{
	file_refused("main", -ENOENT, "main", ": No such file or directory");
	put("main", "", 0644);
	settings_free(load_file("main"));
	put("main", "", 0664);
	file_refused("main", -EACCES, "main", ": must not be writable by its group or by others");
	put("main", "", 0602);
	file_refused("main", -EACCES, "main", ": must not be writable by its group or by others");
	put("main", "", 0600);
	ck_assert_int_eq(symlink("main", path_of("link")), 0);
	file_refused("link", -ELOOP, "link", ": is a symbolic link");
	ck_assert_int_eq(mkdir(path_of("dir"), 0700), 0);
	file_refused("dir", -EINVAL, "dir", ": is not a regular file");
	ck_assert_int_eq(mkfifo(path_of("fifo"), 0600), 0);
	file_refused("fifo", -EINVAL, "fifo", ": is not a regular file"); /* and does not hang */
	/* Only who may give a file away can show this: root, unless its capabilities were taken. */
	if (chown(path_of("main"), 12345, (gid_t)-1) < 0) {
		ck_assert_int_eq(errno, EPERM);
	} else {
		file_refused("main", -EACCES, "main",
			": must belong to root or to the user that reads it");
	}
}
END_TEST

START_TEST(test_config_files_have_a_limit)
{
	auto_free char *text = malloc(SOURCE_BYTES_MAX + 2);

	ck_assert_ptr_nonnull(text);
	memset(text, '\n', SOURCE_BYTES_MAX + 1);
	text[SOURCE_BYTES_MAX + 1] = '\0';
	put("main", text, 0600);
	file_refused("main", -EFBIG, "main", ": is longer than 1 MiB");
	put("main", text + 1, 0600);
	settings_free(load_file("main"));
}
END_TEST

START_TEST(test_config_directory_comes_after_the_file_in_name_order)
{
	struct settings *settings;

	put("main", "[pool a]\nworkers = 1\ncapacity = 7\n[daemon]\nlog_level = debug\n", 0600);
	ck_assert_int_eq(mkdir(path_of("conf.d"), 0755), 0);
	put("conf.d/20-b.conf", "[pool a]\nworkers = 3\n", 0600);
	put("conf.d/10-a.conf", "[pool a]\nworkers = 2\n[handler x]\ntype = exec\ntimeout = 5s\n",
		0600);
	put("conf.d/9-z.conf", "[pool a]\nworkers = 4\n[handler x]\ncommand = /bin/true\n", 0600);
	put("conf.d/.hidden.conf", "nonsense", 0600);
	put("conf.d/99.conf.bak", "nonsense", 0600);
	put("conf.d/.conf", "nonsense", 0600);
	settings = load_file("main");
	ck_assert_uint_eq(settings_find_pool(settings, "a")->workers.number, 4);
	ck_assert_uint_eq(settings_find_pool(settings, "a")->capacity, 7);
	ck_assert_uint_eq(settings_find_handler(settings, "x")->timeout_us, 5 * US_PER_SEC);
	ck_assert_str_eq(settings_find_handler(settings, "x")->command, "/bin/true");
	settings_free(settings);
}
END_TEST

START_TEST(test_config_directory_errors_name_the_file)
{
	put("main", "[pool a]\n", 0600);
	ck_assert_int_eq(mkdir(path_of("conf.d"), 0755), 0);
	put("conf.d/1.conf", "\n[pool a]\nworkers = 0\n", 0600);
	file_refused("main", -EINVAL, "conf.d/1.conf",
		":3: [pool a] workers: \"0\": a number from 1 to 1024 or \"3/core\"");
	put("conf.d/1.conf", "[handler echo]\npool = nowhere\n", 0600);
	put("conf.d/2.conf", "[handler echo]\n", 0600);
	file_refused("main", -EINVAL, "conf.d/1.conf",
		":2: [handler echo] pool: \"nowhere\": there is no section [pool nowhere]");
	put("conf.d/1.conf", "[pool b]\n[pool b]\n", 0600);
	file_refused("main", -EINVAL, "conf.d/1.conf", ":2: [pool b]: stands in line 1 already");
	put("conf.d/1.conf", "", 0666);
	file_refused("main", -EACCES, "conf.d/1.conf",
		": must not be writable by its group or by others");
	ck_assert_int_eq(unlink(path_of("conf.d/1.conf")), 0);
	ck_assert_int_eq(symlink("2.conf", path_of("conf.d/1.conf")), 0);
	file_refused("main", -ELOOP, "conf.d/1.conf", ": is a symbolic link");
	ck_assert_int_eq(unlink(path_of("conf.d/1.conf")), 0);
	ck_assert_int_eq(chmod(path_of("conf.d"), 0777), 0);
	file_refused("main", -EACCES, "conf.d", ": must not be writable by its group or by others");
}
END_TEST

START_TEST(test_config_file_with_a_password_is_private)
{
	static const char with[] = "[mongodb]\nuri = mongodb://u:pw@h/\n";

	put("main", with, 0644);
	file_refused("main", -EACCES, "main",
		":2: [mongodb] uri: a file with a password must have mode 0600");
	put("main", with, 0640);
	file_refused("main", -EACCES, "main",
		":2: [mongodb] uri: a file with a password must have mode 0600");
	put("main", with, 0600);
	settings_free(load_file("main"));
	put("main", with, 0400);
	settings_free(load_file("main"));
	put("main", "[mongodb]\nuri = mongodb://h/?tlsCertificateKeyFilePassword=x\n", 0644);
	file_refused("main", -EACCES, "main",
		":2: [mongodb] uri: a file with a password must have mode 0600");
	put("main", "[mongodb]\nuri = mongodb://h\n", 0644);
	settings_free(load_file("main"));
}
END_TEST

#define MONGO_HANDLER "[handler x]\ntype = mongodb\n" SOME_MONGO

static void uri_is(const char *expected)
{
	struct settings *settings = load_file("main");

	ck_assert_str_eq(settings->mongodb.uri, expected);
	settings_free(settings);
}

START_TEST(test_config_uri_comes_from_file_credential_or_environment)
{
	put("main", MONGO_HANDLER, 0600);
	ck_assert_int_eq(setenv("WORKPOOL_MONGODB_URI", "mongodb://env", 1), 0);
	ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
	uri_is("mongodb://env");
	put("mongodb-uri", "mongodb://u:p@credential\n", 0440);
	uri_is("mongodb://u:p@credential");
	put("main", MONGO_HANDLER SOME_URI, 0600);
	uri_is("mongodb://h");
	put("main", "", 0600);
	uri_is(""); /* nobody needs it: it is not read */
	put("main", MONGO_HANDLER, 0600);
	put("mongodb-uri", "mongodb://u:p@credential\n", 0444);
	file_refused("main", -EACCES, "mongodb-uri", ": must not be readable by others");
	put("mongodb-uri", "hunter2", 0400);
	file_refused("main", -EINVAL, "mongodb-uri",
		": is not a URI that begins with mongodb:// or mongodb+srv://");
	put("mongodb-uri", "mongodb://a\nuri=x", 0400);
	file_refused("main", -EINVAL, "mongodb-uri", ": holds blanks or control characters");
	put("mongodb-uri", "\n", 0400);
	file_refused("main", -EINVAL, "mongodb-uri", ": is empty");
	ck_assert_int_eq(unlink(path_of("mongodb-uri")), 0);
	ck_assert_int_eq(unsetenv("WORKPOOL_MONGODB_URI"), 0);
	file_refused("main", -EINVAL, "main",
		":1: [handler x]: type mongodb needs a server: the credential mongodb-uri, or uri "
		"in "
		"[mongodb]");
}
END_TEST

/* What is written. */

static void host_lines_are(const char *text, const char *name, const char *expected)
{
	struct settings *settings = load(text);
	struct buf out;

	buf_init(&out, 65536);
	ck_assert_int_eq(
		config_write_host_lines(settings, settings_find_handler(settings, name), &out), 0);
	ck_assert_int_eq(buf_append(&out, "", 1), 0);
	ck_assert_str_eq(buf_view(&out).data, expected);
	buf_done(&out);
	buf_init(&out, 10); /* too little: nothing at all */
	ck_assert_int_eq(
		config_write_host_lines(settings, settings_find_handler(settings, name), &out),
		-EMSGSIZE);
	ck_assert_uint_eq(buf_len(&out), 0);
	buf_done(&out);
	settings_free(settings);
}

START_TEST(test_config_host_lines_are_canonical)
{
	host_lines_are("", "echo", "max_output=65536\nkill_after=5000000\n");
	host_lines_are("[handler x]\ntype = exec\ncommand = /bin/cat 'a=b c'\nkill_after = 1.5s\n"
		       "umask = 022\nmemory_max = 2G\ncpu_time = 1min\nnice = -5\nstdin = none\n"
		       "environment = A=b\nworking_directory = /tmp\nopen_files_max = 64\n",
		"x",
		"max_output=65536\nkill_after=1500000\ncommand=/bin/cat 'a=b c'\nstdin=none\n"
		"environment=A=b\nworking_directory=/tmp\numask=18\nmemory_max=2147483648\n"
		"cpu_time=60000000\nfile_size_max=0\nopen_files_max=64\nnice=-5\n");
	host_lines_are("[mongodb]\nuri = mongodb://u:p@h\n[handler x]\ntype = mongodb\n" SOME_MONGO
		       "operators = yes\nmax_time = 250ms\n",
		"x",
		"uri=mongodb://u:p@h\nserver_selection_timeout=2000000\nconnect_timeout=1000000\n"
		"socket_timeout=3000000\nmax_pool_size=100\nmax_output=65536\nkill_after=5000000\n"
		"operation=find\ndatabase=d\ncollection=c\nmax_documents=1000\nmax_time=250000\n"
		"operators=yes\n");
}
END_TEST

START_TEST(test_config_values_read_back_as_text)
{
	size_t n;
	const struct config_key *keys = keys_table(&n);
	struct settings *settings =
		load(SOME_URI "[resource x]\n[pool x]\n[handler x]\ntype = exec\n" SOME_COMMAND);

	for (size_t i = 0; i < n; i++) {
		const void *base = base_of(settings, &keys[i]);
		struct buf out;

		buf_init(&out, 65536);
		ck_assert_int_eq(value_write_text(&keys[i], base, &out), 0);
		ck_assert_int_eq(buf_append(&out, "", 1), 0);
		if ((keys[i].flags & CONFIG_SECRET) != 0)
			ck_assert_str_eq(buf_view(&out).data, "(secret)");
		else if (*keys[i].initial != '\0' && strcmp(keys[i].initial, "0") != 0)
			ck_assert_str_eq(buf_view(&out).data, keys[i].initial);
		buf_done(&out);
	}
	settings_free(settings);
}
END_TEST

/* Lines "#key = value" and "#[section]" lose their "#". */
static char *uncommented(const char *text)
{
	char *copy = strdup(text), *to = copy;

	ck_assert_ptr_nonnull(copy);
	for (const char *at = text; *at != '\0'; at++) {
		if (*at == '#' && (at == text || at[-1] == '\n') && at[1] != ' ' && at[1] != '\n')
			continue;
		*to++ = *at;
	}
	*to = '\0';
	return copy;
}

START_TEST(test_config_shipped_file_loads_with_and_without_comments)
{
	struct settings *settings;
	struct buf out;
	auto_free char *text = NULL;
	size_t n;
	const struct config_key *keys = keys_table(&n);

	buf_init(&out, 1 << 20);
	ck_assert_int_eq(config_write_shipped(&out), 0);
	ck_assert_int_eq(buf_append(&out, "", 1), 0);
	settings = load(buf_view(&out).data);
	ck_assert_uint_eq(settings->n_handlers, 4);
	ck_assert(!settings->access.given);
	settings_free(settings);
	text = uncommented(buf_view(&out).data);
	settings = load(text);
	ck_assert_ptr_nonnull(settings_find_handler(settings, "thumbnail"));
	ck_assert_ptr_nonnull(settings_find_handler(settings, "find-order"));
	ck_assert_ptr_nonnull(settings_find_pool(settings, "mail"));
	ck_assert(settings->access.given);
	settings_free(settings);
	for (size_t i = 0; i < n; i++) {
		char line[128];

		(void)snprintf(line, sizeof(line), "\n#%s = ", keys[i].name);
		ck_assert_msg(strstr(buf_view(&out).data, line) != NULL, "%s", line);
	}
	buf_done(&out);
}
END_TEST

/* A file of the source tree. */
static char *source_text(const char *name, char path[512])
{
	const char *srcdir = getenv("srcdir");
	char *text = NULL;
	size_t len;
	int fd;

	(void)snprintf(path, 512, "%s/%s", srcdir != NULL ? srcdir : ".", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(fd_read_all(fd, 1 << 20, &text, &len), 0);
	(void)fd_close(fd);
	return text;
}

/* `text` is what the file should be. */
static void same_or_update(const char *path, const char *is, const char *should)
{
	if (getenv("WORKPOOL_UPDATE") != NULL && strcmp(is, should) != 0) {
		auto_fd int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(fd_write_all(fd, should, strlen(should)), 0);
		return;
	}
	ck_assert_msg(strcmp(is, should) == 0,
		"%s is stale: run check_config with WORKPOOL_UPDATE=1", path);
}

START_TEST(test_config_shipped_file_is_not_stale)
{
	char path[512];
	auto_free char *is = source_text("conf/workpoold.conf", path);
	struct buf out;

	buf_init(&out, 1 << 20);
	ck_assert_int_eq(config_write_shipped(&out), 0);
	ck_assert_int_eq(buf_append(&out, "", 1), 0);
	same_or_update(path, is, buf_view(&out).data);
	buf_done(&out);
}
END_TEST

/* What has no code yet has no word either. */
START_TEST(test_config_texts_promise_nothing_that_is_not_there)
{
	static const char *const words[] = {
		"reload", "cancel", "delayed", "live", "restart", "update", "delete"};
	static int (*const writers[])(struct buf *) = {config_write_shipped, config_write_manual};

	for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
		struct buf out;

		buf_init(&out, 1 << 20);
		ck_assert_int_eq(writers[i](&out), 0);
		ck_assert_int_eq(buf_append(&out, "", 1), 0);
		for (size_t n = 0; n < ARRAY_SIZE(words); n++)
			ck_assert_msg(
				strstr(buf_view(&out).data, words[n]) == NULL, "%s", words[n]);
		buf_done(&out);
	}
}
END_TEST

START_TEST(test_config_manual_is_not_stale)
{
	static const char begin[] = ".\\\" BEGIN GENERATED\n", end[] = ".\\\" END GENERATED\n";
	char path[512];
	auto_free char *is = source_text("doc/workpoold.conf.5", path);
	const char *from = strstr(is, begin), *to = strstr(is, end);
	struct buf out;

	ck_assert(from != NULL && to != NULL && from < to);
	buf_init(&out, 1 << 20);
	ck_assert_int_eq(buf_append(&out, is, (size_t)(from - is) + strlen(begin)), 0);
	ck_assert_int_eq(config_write_manual(&out), 0);
	ck_assert_int_eq(buf_append(&out, to, strlen(to) + 1), 0);
	same_or_update(path, is, buf_view(&out).data);
	buf_done(&out);
}
END_TEST

static Suite *config_suite(void)
{
	Suite *suite = suite_create("config");
	TCase *keys = tcase_create("keys");
	TCase *files = tcase_create("files");
	TCase *texts = tcase_create("texts");

	tcase_set_timeout(keys, 60);
	tcase_add_test(keys, test_config_every_key_is_set_and_refused);
	tcase_add_test(keys, test_config_every_row_is_whole);
	tcase_add_test(keys, test_config_without_a_file_has_defaults);
	tcase_add_test(keys, test_config_workers_depend_on_cores);
	tcase_add_test(keys, test_config_lines_are_taken_as_meant);
	tcase_add_test(keys, test_config_lines_that_mean_nothing_are_refused);
	tcase_add_test(keys, test_config_lines_have_a_length);
	tcase_add_test(keys, test_config_sections_and_keys_must_be_known);
	tcase_add_test(keys, test_config_names_are_not_cut);
	tcase_add_test(keys, test_config_sections_have_a_limit);
	tcase_add_test(keys, test_config_errors_quote_safely);
	tcase_add_test(keys, test_config_rules_bind_keys_together);
	tcase_add_test(keys, test_config_rules_lower_defaults_to_their_bounds);
	tcase_add_test(keys, test_config_resources_of_a_handler_become_places);
	tcase_add_test(keys, test_config_builtin_handlers_can_be_changed);
	suite_add_tcase(suite, keys);

	tcase_add_checked_fixture(files, folder_setup, folder_teardown);
	tcase_add_test(files, test_config_files_must_be_safe);
	tcase_add_test(files, test_config_files_have_a_limit);
	tcase_add_test(files, test_config_directory_comes_after_the_file_in_name_order);
	tcase_add_test(files, test_config_directory_errors_name_the_file);
	tcase_add_test(files, test_config_file_with_a_password_is_private);
	tcase_add_test(files, test_config_uri_comes_from_file_credential_or_environment);
	suite_add_tcase(suite, files);

	tcase_add_test(texts, test_config_host_lines_are_canonical);
	tcase_add_test(texts, test_config_values_read_back_as_text);
	tcase_add_test(texts, test_config_shipped_file_loads_with_and_without_comments);
	tcase_add_test(texts, test_config_shipped_file_is_not_stale);
	tcase_add_test(texts, test_config_manual_is_not_stale);
	tcase_add_test(texts, test_config_texts_promise_nothing_that_is_not_there);
	suite_add_tcase(suite, texts);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(config_suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
