/*
 * config: the order of things: defaults, main file, conf.d, secrets from elsewhere, rules. The work
 * is done in source.c (files), lines.c (INI), build.c (settings), rules.c (all keys together).
 */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "config/build.h"
#include "config/refuse.h"
#include "config/rules.h"
#include "config/source.h"
#include "config/value.h"

#define CREDENTIAL      "mongodb-uri"
#define URI_ENVIRONMENT "WORKPOOL_MONGODB_URI"

static int no_memory(char *why, int error)
{
	if (error == -ENOMEM)
		(void)snprintf(why, CONFIG_WHY_SIZE, "out of memory");
	return error;
}

/* name within dir; shown: its name in messages. */
static int add_file(struct build *build, int dir, const char *name, const char *shown)
{
	struct source source;
	const char *reason;
	int r = source_read(dir, name, &source, &reason);

	if (r < 0)
		return refuse_file(build->why, r, shown, reason);
	r = build_add(build, shown, (struct view){source.data, source.len}, source.is_private);
	source_done(&source);
	return r;
}

/* conf.d beside the main file; without it there is nothing to do. */
static int add_directory(struct build *build, const char *main_file)
{
	const char *slash = strrchr(main_file, '/');
	int parent = slash == NULL ? 0 : (int)(slash - main_file) + 1;
	auto_free char *path = NULL;
	struct source_list list;
	const char *reason;
	int r;

	if (asprintf(&path, "%.*sconf.d", parent, main_file) < 0) {
		path = NULL; /* asprintf(3) says nothing of it after a failure */
		return -ENOMEM;
	}
	r = source_list_open(path, &list, &reason);
	if (r < 0 && r != -ENOENT)
		(void)refuse_file(build->why, r, path, reason); /* r it is already */
	for (size_t i = 0; r == 0 && i < list.n; i++) {
		auto_free char *shown = NULL;

		if (asprintf(&shown, "%s/%s", path, list.names[i]) < 0) {
			shown = NULL;
			r = -ENOMEM;
		} else {
			r = add_file(build, list.dir, list.names[i], shown);
		}
	}
	source_list_done(&list);
	return r == -ENOENT && build->why[0] == '\0' ? 0 : r;
}

/* A uri from outside the files; origin: what it came from. Neither it nor a part of it is ever in a message. */
static int set_uri(struct build *build, const char *shown, const char *origin, char *text)
{
	const struct config_key *key = keys_find(CONFIG_MONGODB, "uri");
	size_t len = strlen(text);
	int r;

	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		text[--len] = '\0';
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return refuse_file(
				build->why, -EINVAL, shown, "holds blanks or control characters");
	}
	if (len == 0)
		return refuse_file(build->why, -EINVAL, shown, "is empty");
	r = value_set(key, &build->settings->mongodb, text);
	if (r == -EINVAL)
		return refuse_file(build->why, r, shown,
			"is not a URI that begins with mongodb:// or mongodb+srv://");
	return r == 0 ? build_note(build, key, origin) : r;
}

/* -ENOENT: there is no such credential, and why is as it was. */
static int read_credential(struct build *build)
{
	const char *directory = secure_getenv("CREDENTIALS_DIRECTORY");
	auto_free char *path = NULL;
	struct source source;
	const char *reason;
	int r;

	if (directory == NULL || directory[0] != '/')
		return -ENOENT;
	if (asprintf(&path, "%s/" CREDENTIAL, directory) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = source_read(AT_FDCWD, path, &source, &reason);
	if (r == -ENOENT)
		return r;
	if (r < 0)
		return refuse_file(build->why, r, path, reason);
	if (!source.is_hidden)
		r = refuse_file(build->why, -EACCES, path, "must not be readable by others");
	else if (strlen(source.data) != source.len)
		r = refuse_file(build->why, -EINVAL, path, "holds a NUL");
	else
		r = set_uri(build, path, "credential", source.data);
	source_done(&source);
	return r;
}

/* The environment comes last: whoever may look into /proc/PID/environ sees it. For private
 * instances. */
static int find_uri(struct build *build)
{
	const char *value;
	auto_free char *copy = NULL;
	int r;

	if (*build->settings->mongodb.uri != '\0' || !rules_is_mongodb_used(build->settings))
		return 0;
	r = read_credential(build);
	if (r != -ENOENT)
		return r;
	value = secure_getenv(URI_ENVIRONMENT);
	if (value == NULL || *value == '\0')
		return 0;
	copy = strdup(value);
	if (copy == NULL)
		return -ENOMEM;
	r = set_uri(build, URI_ENVIRONMENT, "environment", copy);
	explicit_bzero(copy, strlen(copy));
	return r;
}

/* Takes build apart. */
static int finish(struct build *build, int error, struct settings **ret_settings)
{
	if (error == 0)
		error = rules_check(build);
	if (error == 0)
		*ret_settings = take(build->settings);
	error = no_memory(build->why, error);
	build_done(build);
	return error;
}

int config_load(const char *path, struct settings **ret_settings, char ret_why[CONFIG_WHY_SIZE])
{
	struct build build;
	int r;

	ret_why[0] = '\0';
	r = build_init(&build, ret_why);
	if (r == 0 && path != NULL)
		r = add_file(&build, AT_FDCWD, path, path);
	if (r == 0 && path != NULL)
		r = add_directory(&build, path);
	if (r == 0)
		r = find_uri(&build);
	return finish(&build, r, ret_settings);
}

int config_load_text(struct view text, const char *file, struct settings **ret_settings,
	char ret_why[CONFIG_WHY_SIZE])
{
	struct build build;
	int r;

	ret_why[0] = '\0';
	r = build_init(&build, ret_why);
	if (r == 0)
		r = build_add(&build, file, text, true);
	return finish(&build, r, ret_settings);
}
