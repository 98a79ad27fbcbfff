/*
 * config_write: what the key table says, written down: for a host, for the shipped file, for the
 * manual page. The two texts are generated into conf/workpoold.conf and doc/workpoold.conf.5; a
 * test fails while they are stale.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "config/extras.h"
#include "config/keys.h"
#include "config/value.h"

#define WRAP      100 /* columns of the shipped file */
#define ROFF_WRAP 72  /* bytes of a line of the manual: room for one long word's escapes up to 80 */

/* Host lines. */

static int write_host_line(const struct config_key *key, const void *base, struct buf *out)
{
	int r = buf_printf(out, "%s=", key->name);

	if (r == 0)
		r = value_write(key, base, out);
	return r == 0 ? buf_append(out, "\n", 1) : r;
}

int config_write_host_lines(
	const struct settings *settings, const struct settings_handler *handler, struct buf *out)
{
	unsigned type = keys_handler_type(handler->type);
	size_t before = buf_len(out);
	size_t n;
	const struct config_key *keys = keys_table(&n);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		if ((keys[i].flags & CONFIG_HOST) == 0)
			continue;
		if (keys[i].scope == CONFIG_HANDLER && (keys[i].types & type) != 0)
			r = write_host_line(&keys[i], handler, out);
		else if (keys[i].scope == CONFIG_MONGODB && type == CONFIG_MONGO)
			r = write_host_line(&keys[i], &settings->mongodb, out);
	}
	if (r == 0)
		r = extras_write_lines(handler->extras, out);
	if (r < 0)
		buf_truncate(out, before);
	return r;
}

/* The shipped file. */

/* Text as comment lines "# …" of at most WRAP columns. */
static int write_comment(const char *text, struct buf *out)
{
	size_t column = 0;
	int r = 0;

	while (r == 0 && *text != '\0') {
		size_t n = strcspn(text, " ");

		if (column == 0 || column + 1 + n > WRAP) {
			r = buf_printf(out, "%s# %.*s", column == 0 ? "" : "\n", (int)n, text);
			column = 2 + n;
		} else {
			r = buf_printf(out, " %.*s", (int)n, text);
			column += 1 + n;
		}
		text += n;
		text += strspn(text, " ");
	}
	return r == 0 ? buf_append(out, "\n", 1) : r;
}

/* "Value: a number from 1 to 65536; counts connections; default 1024; needs a restart." and a NUL.
 */
static int write_facts(const struct config_key *key, struct buf *out)
{
	int r = buf_printf(out, "Value: ");

	if (r == 0)
		r = value_write_range(key, out);
	if (r == 0 && key->unit != NULL)
		r = buf_printf(out, "; counts %s", key->unit);
	if (r == 0)
		r = *key->initial != '\0' ? buf_printf(out, "; default %s", key->initial)
					  : buf_printf(out, "; no default");
	if (r == 0 && (key->flags & CONFIG_LIVE) == 0)
		r = buf_printf(out, "; needs a restart");
	if (r == 0)
		r = buf_append(out, ".", 1);
	return r == 0 ? buf_append(out, "", 1) : r;
}

/* "Text." and a NUL. */
static int write_text(const struct config_key *key, struct buf *out)
{
	int r = buf_printf(out, "%s.", key->text);

	if (r == 0 && key->text[0] >= 'a' && key->text[0] <= 'z')
		out->data[out->head] = (char)(key->text[0] - 'a' + 'A');
	return r == 0 ? buf_append(out, "", 1) : r;
}

/* Text and facts, each by `write`. */
static int write_help(
	const struct config_key *key, int (*write)(const char *, struct buf *), struct buf *out)
{
	static int (*const parts[])(const struct config_key *, struct buf *) = {
		write_text, write_facts};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(parts) && r == 0; i++) {
		struct buf text;

		buf_init(&text, 4096);
		r = parts[i](key, &text);
		if (r == 0)
			r = write(buf_view(&text).data, out);
		buf_done(&text);
	}
	return r;
}

/* value NULL: the default, or the example where there is none. */
static int write_shipped_key(const struct config_key *key, const char *value, struct buf *out)
{
	int r = write_help(key, write_comment, out);

	if (r == 0 && key->shipped != NULL)
		return buf_printf(out, "%s = %s\n\n", key->name, key->shipped);
	if (value == NULL)
		value = *key->initial != '\0' ? key->initial : key->example;
	return r == 0 ? buf_printf(out, "#%s = %s\n\n", key->name, value) : r;
}

/* The rows of a scope; of handlers those that one of the types has and none of `others`. type: that
 * key's value. */
static int write_shipped_keys(
	enum config_scope scope, unsigned types, unsigned others, const char *type, struct buf *out)
{
	size_t n;
	const struct config_key *keys = keys_table(&n);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		bool is_type = scope == CONFIG_HANDLER && strcmp(keys[i].name, "type") == 0;

		if (keys[i].scope != scope)
			continue;
		if (scope == CONFIG_HANDLER && !is_type &&
			((keys[i].types & types) == 0 || (keys[i].types & others) != 0))
			continue;
		if (is_type && others != 0)
			r = buf_printf(out, "#type = %s\n\n", type);
		else
			r = write_shipped_key(&keys[i], is_type ? type : NULL, out);
	}
	return r;
}

/* [access] is commented out: that it stands there takes rights away; [resource]: it is an example. */
static int write_shipped_scope(enum config_scope scope, struct buf *out)
{
	int r = write_comment(keys_scope_text(scope), out);

	if (r == 0)
		r = buf_printf(out, "%s[%s%s]\n\n",
			scope == CONFIG_ACCESS || scope == CONFIG_RESOURCE ? "#" : "",
			keys_scope_name(scope),
			scope == CONFIG_POOL       ? " default"
			: scope == CONFIG_RESOURCE ? " database"
						   : "");
	return r == 0 ? write_shipped_keys(scope, 0, 0, NULL, out) : r;
}

static int write_shipped_examples(struct buf *out)
{
	int r = buf_printf(out,
		"# A pool of its own, for work that must not wait behind other work:\n"
		"#[pool mail]\n#workers = 8\n#capacity = 1000\n\n");

	if (r == 0)
		r = write_comment(keys_scope_text(CONFIG_HANDLER), out);
	if (r == 0)
		r = buf_printf(out,
			"#\n# A handler that runs a program, with all keys that it can have:\n"
			"#[handler thumbnail]\n\n");
	if (r == 0)
		r = write_shipped_keys(CONFIG_HANDLER, CONFIG_EXEC, 0, "exec", out);
	if (r == 0)
		r = write_comment(
			"A handler that runs tasks in programs that are kept, one a "
			"worker (see COPROCESSES in workpoold.conf(5)), with the keys "
			"that only such a handler has; it has those of exec, too, but for "
			"stdin:",
			out);
	if (r == 0)
		r = buf_printf(out, "#[handler classify]\n\n"
				    "#command = /usr/local/bin/classify\n\n");
	if (r == 0)
		r = write_shipped_keys(
			CONFIG_HANDLER, CONFIG_COPROCESS, CONFIG_EXEC, "coprocess", out);
	if (r == 0)
		r = write_comment("A handler that asks a MongoDB server, with the keys that only "
				  "such a handler has; it needs a uri (see [mongodb]):",
			out);
	if (r == 0)
		r = buf_printf(out, "#[handler find-order]\n\n");
	if (r == 0)
		r = write_shipped_keys(CONFIG_HANDLER, CONFIG_MONGO, CONFIG_EXEC, "mongodb", out);
	if (r == 0)
		r = write_comment(
			"A handler in a shared object, with the keys that only such a "
			"handler has; all further keys go to it (see workpool-plugin(7)):",
			out);
	if (r == 0)
		r = buf_printf(out, "#[handler primes]\n\n");
	if (r == 0)
		r = write_shipped_keys(
			CONFIG_HANDLER, CONFIG_PLUGIN, CONFIG_EXEC | CONFIG_MONGO, "plugin", out);
	if (r == 0)
		r = buf_printf(out, "# The built-in handlers can be changed, too:\n"
				    "#[handler sleep]\n#timeout = 1min\n");
	return r;
}

int config_write_shipped(struct buf *out)
{
	static const char head[] =
		"workpoold.conf: see workpoold.conf(5). Every key stands here, commented out, with "
		"its default, or with an example where it has none; but for the store, which is a "
		"file here. The daemon reads it when it "
		"starts and at every wpctl reload, which leaves keys as they were whose "
		"description says that they need a restart. Files conf.d/*.conf beside this one "
		"are read after it, in the order of "
		"their names; a later value wins. A comment needs a line of its own. To check: "
		"workpoold -c FILE --check-config";
	int r = write_comment(head, out);

	if (r == 0)
		r = buf_append(out, "\n", 1);
	for (int scope = 0; scope < CONFIG_HANDLER && r == 0; scope++)
		r = write_shipped_scope((enum config_scope)scope, out);
	return r == 0 ? write_shipped_examples(out) : r;
}

/* The manual. */

/* One character as roff, of which "-", "\" and quotes are special. */
static int write_roff_char(char c, struct buf *out)
{
	static const struct {
		char c;
		const char *roff;
	} special[] = {{'\\', "\\e"}, {'-', "\\-"}, {'"', "\\(dq"}, {'\'', "\\(aq"}};

	for (size_t i = 0; i < ARRAY_SIZE(special); i++) {
		if (special[i].c == c)
			return buf_printf(out, "%s", special[i].roff);
	}
	return buf_append(out, &c, 1);
}

/* Text as roff, in lines of about ROFF_WRAP bytes; a full stop at the beginning of one would be a request. */
static int write_roff(const char *text, struct buf *out)
{
	size_t line = buf_len(out); /* where it begins */
	int r = 0;

	for (; *text != '\0' && r == 0; text++) {
		bool is_break =
			*text == ' ' && buf_len(out) - line + strcspn(text + 1, " ") > ROFF_WRAP;

		if (buf_len(out) == line && *text == '.')
			r = buf_printf(out, "\\&");
		if (r == 0)
			r = is_break ? buf_append(out, "\n", 1) : write_roff_char(*text, out);
		if (is_break)
			line = buf_len(out);
	}
	return r == 0 ? buf_append(out, "\n", 1) : r;
}

static int write_manual_key(const struct config_key *key, struct buf *out)
{
	int r = buf_printf(out, ".TP\n.B %s", key->name);

	char types[KEYS_TYPES_SIZE];

	if (r == 0 && key->scope == CONFIG_HANDLER && key->types != CONFIG_ALL_HANDLERS)
		r = buf_printf(out, " \\fR(type %s)", keys_handler_types(key->types, types));
	if (r == 0)
		r = buf_printf(out, "\n");
	return r == 0 ? write_help(key, write_roff, out) : r;
}

static int write_manual_scope(enum config_scope scope, struct buf *out)
{
	size_t n;
	const struct config_key *keys = keys_table(&n);
	int r = buf_printf(out, ".SS [%s%s]\n", keys_scope_name(scope),
		keys_scope_is_named(scope) ? " NAME" : "");

	if (r == 0)
		r = write_roff(keys_scope_text(scope), out);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (keys[i].scope == scope)
			r = write_manual_key(&keys[i], out);
	}
	return r;
}

int config_write_manual(struct buf *out)
{
	int r = 0;

	for (int scope = 0; scope < CONFIG_SCOPES && r == 0; scope++)
		r = write_manual_scope((enum config_scope)scope, out);
	return r;
}
