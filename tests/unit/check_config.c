/*
 * check_config: the key table, every row of it, and what is written from it. The generated texts stand in
 * conf/workpoold.conf and doc/workpoold.conf.5 (between its marks) of $srcdir; WORKPOOL_UPDATE=1 writes them anew instead of
 * comparing.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "config/keys.h"
#include "config/section.h"
#include "config/value.h"
#include "config_fixture.h"

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

/* One that has the key. */
static const char *operation_of(const struct config_key *key)
{
	static const struct {
		const char *key;
		const char *operation;
	} rows[] = {
		{"update", "operation = update\n"},
		{"many", "operation = delete\n"},
		{"upsert", "operation = update\n"},
		{"document", "operation = insert\n"},
		{"pipeline", "operation = aggregate\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strcmp(rows[i].key, key->name) == 0)
			return rows[i].operation;
	return "operation = find\n";
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
	} else if (key->types == CONFIG_PLUGIN) {
		*ret_line = 3;
		r = asprintf(&text, "[handler x]\ntype = plugin\n%s = %s\n%s", key->name, value,
			strcmp(key->name, "module") != 0 ? "module = /x.so\n" : "");
	} else if (key->scope == CONFIG_HANDLER && (key->types & CONFIG_PROGRAMS) == 0) {
		*ret_line = 5;
		r = asprintf(&text, SOME_URI "[handler x]\ntype = mongodb\n%s = %s\n%s%s%s%s",
			key->name, value,
			strcmp(key->name, "operators") != 0 ? "operators = yes\n" : "",
			strcmp(key->name, "operation") != 0 ? operation_of(key) : "",
			strcmp(key->name, "database") != 0 ? "database = d\n" : "",
			strcmp(key->name, "collection") != 0 ? "collection = c\n" : "");
	} else if (key->scope == CONFIG_HANDLER) {
		*ret_line = 3;
		r = asprintf(&text, "[handler x]\ntype = %s\n%s = %s\n%s%s",
			(key->types & CONFIG_EXEC) != 0 ? "exec" : "coprocess", key->name, value,
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
	size_t at;

	ck_assert_int_eq(section_find(settings, key->scope, "x", &at), 0);
	return section_const_base(settings, key->scope, at);
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
	{CONFIG_JSON, true, "{\"a\": \"$args.a\"}"}, {CONFIG_JSON, true, "[]"},
	{CONFIG_JSON, false, "a"}, {CONFIG_JSON, false, "{]"}, {CONFIG_JSON, false, "{"},
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
	{CONFIG_PATHS, true, "/a"}, {CONFIG_PATHS, true, "/a '/b c' \"/d\""}, {CONFIG_PATHS, true, "/a	/b"},
	{CONFIG_PATHS, false, "a"}, {CONFIG_PATHS, false, "/a b"}, {CONFIG_PATHS, false, "/a '/b"},
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
			     : key->type == CONFIG_JSON        ? "{"
			     : key->type == CONFIG_NAME || key->type == CONFIG_STRING ||
					     key->type == CONFIG_LIST || key->type == CONFIG_NAMES
				     ? ""
				     : "/";
	size_t len = (size_t)key->max + 1;
	auto_free char *value = malloc(len + 1);
	struct settings settings = {0};
	struct settings_handler handler = {0};
	void *base =
		key->scope == CONFIG_HANDLER ? &handler : section_base(&settings, key->scope, 0);

	ck_assert_ptr_nonnull(value);
	memset(value, 'a', len);
	memcpy(value, prefix, strlen(prefix));
	for (size_t i = SETTINGS_NAME_MAX; key->type == CONFIG_NAMES && i < len;
		i += SETTINGS_NAME_MAX)
		value[i] = ','; /* many names: a single one has a limit of its own */
	value[len] = '\0';
	ck_assert_int_eq(value_set(key, base, value), -EINVAL);
	value[len - 1] = '\0';
	if (key->type == CONFIG_JSON)
		value[len - 2] = '}';
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
		"environment=A=b\nworking_directory=/"
		"tmp\nsandbox=yes\nwrite_paths=\numask=18\nmemory_max=2147483648\n"
		"cpu_time=60000000\nfile_size_max=0\nopen_files_max=64\nnice=-5\n");
	host_lines_are("[handler x]\ntype = coprocess\ncommand = /bin/cat\nrecycle_tasks = 7\n"
		       "recycle_rss = 64M\n",
		"x",
		"max_output=65536\nkill_after=5000000\ncommand=/bin/cat\nenvironment=\n"
		"working_directory=\nsandbox=yes\nwrite_paths=\numask=63\nmemory_max=0\ncpu_time="
		"0\nfile_size_max=0\n"
		"open_files_max=0\nnice=0\nrecycle_tasks=7\nrecycle_rss=67108864\n");
	host_lines_are("[mongodb]\nuri = mongodb://u:p@h\n[handler x]\ntype = mongodb\n" SOME_MONGO
		       "operators = yes\nmax_time = 250ms\nfilter = {\"a\": \"$args.a\"}\n",
		"x",
		"uri=mongodb://u:p@h\nserver_selection_timeout=2000000\nconnect_timeout=1000000\n"
		"socket_timeout=3000000\nmax_pool_size=1024\nmax_output=65536\nkill_after=5000000\n"
		"operation=find\ndatabase=d\ncollection=c\nfilter={\"a\": "
		"\"$args.a\"}\nprojection=\n"
		"sort=\nupdate=\ndocument=\npipeline=\nmany=no\nupsert=no\nread_concern=\n"
		"write_concern=\nmax_documents=1000\nmax_time=250000\noperators=yes\n");
	/* What is no handler's key, or another type's, is the plugin's, in the order of the file. */
	host_lines_are("[handler x]\ndatabase = a = b\nx-1.y = 'q' \\n\ntype = plugin\nnice = \n"
		       "module = /m.so\nstdin = none\n",
		"x",
		"max_output=65536\nkill_after=5000000\nmodule=/m.so\nsymbol=workpool_handler\n"
		"database=a = b\nx-1.y='q' \\n\nnice=\nstdin=none\n");
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
			ck_assert_str_eq(buf_view(&out).data, "***");
		else if (*keys[i].initial != '\0' && strcmp(keys[i].initial, "0") != 0)
			ck_assert_str_eq(buf_view(&out).data, keys[i].initial);
		buf_done(&out);
	}
	settings_free(settings);
}
END_TEST

/* Keys of operations that the shipped example, a find, is none of. */
static bool is_of_another_operation(const char *line)
{
	static const char *const keys[] = {
		"#update =", "#document =", "#pipeline =", "#many =", "#upsert ="};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strncmp(line, keys[i], strlen(keys[i])) == 0)
			return true;
	return false;
}

/* Lines "#key = value" and "#[section]" lose their "#". */
static char *uncommented(const char *text)
{
	char *copy = strdup(text), *to = copy;

	ck_assert_ptr_nonnull(copy);
	for (const char *at = text; *at != '\0'; at++) {
		if (*at == '#' && (at == text || at[-1] == '\n') && at[1] != ' ' && at[1] != '\n' &&
			!is_of_another_operation(at))
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
	ck_assert_ptr_nonnull(settings_find_handler(settings, "classify"));
	ck_assert_ptr_nonnull(settings_find_handler(settings, "find-order"));
	ck_assert_ptr_nonnull(settings_find_handler(settings, "primes"));
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
	static const char *const words[] = {"workers_min", "workers_max"};
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
	TCase *texts = tcase_create("texts");

	tcase_set_timeout(keys, 60);
	tcase_add_test(keys, test_config_every_key_is_set_and_refused);
	tcase_add_test(keys, test_config_every_row_is_whole);
	tcase_add_test(keys, test_config_without_a_file_has_defaults);
	tcase_add_test(keys, test_config_workers_depend_on_cores);
	suite_add_tcase(suite, keys);
	tcase_add_test(texts, test_config_host_lines_are_canonical);
	tcase_add_test(texts, test_config_values_read_back_as_text);
	tcase_add_test(texts, test_config_shipped_file_loads_with_and_without_comments);
	tcase_add_test(texts, test_config_shipped_file_is_not_stale);
	tcase_add_test(texts, test_config_texts_promise_nothing_that_is_not_there);
	tcase_add_test(texts, test_config_manual_is_not_stale);
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
