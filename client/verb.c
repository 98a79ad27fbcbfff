/*
 * verb: the table of verbs and the command line against it. Called by main.c only.
 * Own parser instead of getopt_long(3), because `resize mail -2` is a number, flags may stand behind names, a verb's
 * own --timeout hides the global one, and all of it comes from the rows of flags.def.
 */
#include "client/verb.h"

#include <assert.h>
#include <string.h>

#include "base/str.h"
#include "client/fault.h"
#include "client/text.h"

enum flag_name {
#define FLAG(NAME, letter, name, kind, field, min, max, arg, text) FLAG_NAME_##NAME,
#include "client/flags.def"
#undef FLAG
	FLAG_NAMES
};

static_assert(FLAG_NAMES <= 64, "a verb's flags are bits of an uint64_t");

static const struct flag flags[FLAG_NAMES] = {
#define FLAG(NAME, letter, name, kind, field, min, max, arg, text)                                 \
	{letter, name, FLAG_##kind, offsetof(struct opts, field), min, max, arg, text},
#include "client/flags.def"
#undef FLAG
};

#define USAGE_WIDTH 32 /* of verb and arguments in the overview */
#define FLAG_WIDTH  20 /* of "--name ARGUMENT" */

#define PERCENT_UNIT 1e4 /* millionths */

#define MANY         SIZE_MAX
#define F(NAME)      (UINT64_C(1) << FLAG_NAME_##NAME)
#define GLOBAL_FLAGS (F(POOL) - 1) /* the rows before that one */

static const struct verb verbs[] = {
#define VERB(name, min, max, flags, usage, text) {#name, min, max, flags, usage, text, verb_##name},
#include "client/verbs.def"
#undef VERB
};

static int read_set(const struct flag *flag, const char *value, void *field)
{
	(void)flag;
	(void)value;
	*(bool *)field = true;
	return 0;
}

static int read_text(const struct flag *flag, const char *value, void *field)
{
	if (*value == '\0')
		return fault_say(CODE_USAGE, "--%s: %s is empty", flag->name, flag->arg);
	*(const char **)field = value;
	return 0;
}

static int read_when(const struct flag *flag, const char *value, void *field)
{
	static const char *const words[] = {"auto", "always", "never"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(value, words[i]) == 0) {
			*(const char **)field = words[i];
			return 0;
		}
	}
	return fault_say(CODE_USAGE, "--%s: auto, always or never, not \"%s\"", flag->name, value);
}

static int read_word(const struct flag *flag, const char *value, void *field)
{
	const char **word = field;

	(void)value;
	if (*word && *word != flag->name)
		return fault_say(CODE_USAGE, "either --%s or --%s", *word, flag->name);
	*word = flag->name;
	return 0;
}

static int read_list(const struct flag *flag, const char *value, void *field)
{
	struct opt_list *list = field;

	if (list->n == OPT_LIST_MAX)
		return fault_say(CODE_USAGE, "--%s: %d times at most", flag->name, OPT_LIST_MAX);
	int code = read_text(flag, value, &list->texts[list->n]);
	list->n += code == 0;
	return code;
}

static int read_number(const struct flag *flag, const char *value, void *field)
{
	uint64_t number;

	if (str_to_u64(value, &number) < 0 || number < flag->min || number > flag->max)
		return fault_say(CODE_USAGE, "--%s: a number from %ju to %ju, not \"%s\"",
			flag->name, (uintmax_t)flag->min, (uintmax_t)flag->max, value);
	*(uint64_t *)field = number;
	return 0;
}

static int read_percent(const struct flag *flag, const char *value, void *field)
{
	char *end = NULL;
	/* No locale is set: the point is a point. */
	double percent = value[0] >= '0' && value[0] <= '9' ? strtod(value, &end) : -1;
	double least = (double)flag->min / PERCENT_UNIT, most = (double)flag->max / PERCENT_UNIT;

	if (!(percent >= least && percent <= most) || strcmp(end + (*end == '%'), "") != 0)
		return fault_say(CODE_USAGE, "--%s: from %g%% to %g%%, not \"%s\"", flag->name,
			least, most, value);
	*(uint64_t *)field = (uint64_t)(percent * PERCENT_UNIT + 0.5);
	return 0;
}

static int read_duration(const struct flag *flag, const char *value, void *field)
{
	uint64_t us = 0;

	if ((value || flag->kind != FLAG_DURATION_OPT) &&
		(str_to_us(value, &us) < 0 || us > INT64_MAX))
		return fault_say(CODE_USAGE, "--%s: a duration as 500ms, 10s, 5min, 2h, not \"%s\"",
			flag->name, value);
	*(uint64_t *)field = us;
	return 0;
}

static const struct {
	int (*read)(const struct flag *flag, const char *value, void *field);
	bool has_value;   /* --flag VALUE or --flag=VALUE */
	bool may_have_it; /* only --flag=VALUE */
} kinds[FLAG_KINDS] = {
	[FLAG_SET] = {read_set, false, false},
	[FLAG_TEXT] = {read_text, true, true},
	[FLAG_WHEN] = {read_when, true, true},
	[FLAG_WORD] = {read_word, false, false},
	[FLAG_LIST] = {read_list, true, true},
	[FLAG_NUMBER] = {read_number, true, true},
	[FLAG_PERCENT] = {read_percent, true, true},
	[FLAG_DURATION] = {read_duration, true, true},
	[FLAG_DURATION_OPT] = {read_duration, false, true},
};

/* What is left of the command line. */
struct args {
	char **next;
	char **end;
};

/* The row for a long name (letter 0) or a letter; the verb's own rows first. */
static const struct flag *find_flag(const struct verb *verb, struct view name, char letter)
{
	uint64_t masks[] = {verb ? verb->flags : 0, GLOBAL_FLAGS};

	for (size_t m = 0; m < ARRAY_SIZE(masks); m++) {
		for (size_t i = 0; i < FLAG_NAMES; i++) {
			bool is_it = letter ? flags[i].letter == letter
					    : view_is_equal(view_of(flags[i].name), name);
			if (is_it && (masks[m] >> i & 1))
				return &flags[i];
		}
	}
	return NULL;
}

static int read_flag(struct ctl *ctl, const struct flag *flag, const char *value)
{
	return kinds[flag->kind].read(flag, value, (char *)&ctl->opts + flag->offset);
}

static int bad_flag(const struct ctl *ctl, const char *what, const char *text)
{
	return fault_say(CODE_USAGE, "%s %s (see wpctl %s%s--help)", what, text,
		ctl->verb ? ctl->verb->name : "", ctl->verb ? " " : "");
}

/* "--name", "--name=value" or "--name value". */
static int read_long(struct ctl *ctl, const char *text, struct args *args)
{
	const char *equal = strchr(text, '=');
	struct view name = {text + 2, equal ? (size_t)(equal - text) - 2 : strlen(text + 2)};
	const struct flag *flag = find_flag(ctl->verb, name, '\0');
	const char *value = equal ? equal + 1 : NULL;

	if (!flag)
		return bad_flag(ctl, "there is no flag", text);
	if (value && !kinds[flag->kind].may_have_it)
		return bad_flag(ctl, "a value is not wanted by", text);
	if (!value && kinds[flag->kind].has_value) {
		if (args->next == args->end)
			return bad_flag(ctl, "a value is wanted by", text);
		value = *args->next++;
	}
	return read_flag(ctl, flag, value);
}

/* "-jq", "-n100" or "-n 100". */
static int read_letters(struct ctl *ctl, const char *text, struct args *args)
{
	for (const char *letter = text + 1; *letter; letter++) {
		const struct flag *flag = find_flag(ctl->verb, (struct view){0}, *letter);
		const char *value = NULL;
		if (!flag)
			return bad_flag(ctl, "there is no flag", text);
		if (kinds[flag->kind].has_value) {
			if (!letter[1] && args->next == args->end)
				return bad_flag(ctl, "a value is wanted by", text);
			value = letter[1] ? letter + 1 : *args->next++;
		}
		int code = read_flag(ctl, flag, value);
		if (code || value)
			return code;
	}
	return 0;
}

static int read_name(struct ctl *ctl, const char *text)
{
	if (ctl->verb) {
		ctl->names[ctl->n_names++] = text;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].name, text) == 0) {
			ctl->verb = &verbs[i];
			return 0;
		}
	}
	return fault_say(CODE_USAGE, "there is no verb \"%s\" (see wpctl --help)", text);
}

static int read_args(struct ctl *ctl, struct args *args)
{
	bool is_flag_possible = true;
	int code = 0;

	while (code == 0 && args->next < args->end) {
		const char *text = *args->next++;
		bool is_flag = is_flag_possible && text[0] == '-' && text[1] != '\0' &&
			       !(text[1] >= '0' && text[1] <= '9');
		if (!str_is_utf8(view_of(text)))
			code = fault_say(CODE_USAGE, "an argument is not UTF-8: %s", text);
		else if (!is_flag)
			code = read_name(ctl, text);
		else if (strcmp(text, "--") == 0)
			is_flag_possible = false;
		else if (text[1] == '-')
			code = read_long(ctl, text, args);
		else
			code = read_letters(ctl, text, args);
	}
	return code;
}

static int check_names(const struct ctl *ctl)
{
	const struct verb *verb = ctl->verb;

	if ((verb->flags & F(ALL)) && ctl->opts.is_all == (ctl->n_names > 0))
		return fault_say(CODE_USAGE, "%s: either names of pools or --all", verb->name);
	if (ctl->n_names + ctl->opts.by_name.n < verb->min)
		return fault_say(CODE_USAGE, "%s: too few arguments, usage: wpctl %s %s",
			verb->name, verb->name, verb->usage);
	if (ctl->n_names > verb->max)
		return fault_say(CODE_USAGE, "%s: one argument too many: \"%s\"", verb->name,
			ctl->names[verb->max]);
	return 0;
}

int verb_parse(struct ctl *ctl, int argc, char **argv)
{
	struct args args = {.next = argv + (argc > 0), .end = argv + argc};

	ctl->names = calloc((size_t)argc + 1, sizeof(*ctl->names));
	if (!ctl->names)
		return fault_no_memory();
	ctl->opts.colour = "auto";
	for (size_t i = 0; i < FLAG_NAMES; i++) {
		/* The kinds whose field is a number. */
		if (flags[i].kind >= FLAG_NUMBER)
			*(uint64_t *)(void *)((char *)&ctl->opts + flags[i].offset) = OPT_NOT_GIVEN;
	}
	int code = read_args(ctl, &args);
	if (code || ctl->opts.wants_help || ctl->opts.wants_version)
		return code;
	if (!ctl->verb)
		ctl->verb = &verbs[0];
	return check_names(ctl);
}

static void write_flags(uint64_t mask, FILE *to)
{
	char name[64];

	for (size_t i = 0; i < FLAG_NAMES; i++) {
		const struct flag *flag = &flags[i];
		bool is_optional = flag->kind == FLAG_DURATION_OPT;
		size_t width;
		if (!(mask >> i & 1))
			continue;
		(void)snprintf(name, sizeof(name), "--%s%s%s%s", flag->name,
			is_optional ? "[="
			: flag->arg ? " "
				    : "",
			flag->arg ? flag->arg : "", is_optional ? "]" : "");
		width = text_width(view_of(name));
		(void)fprintf(to, "  %c%c%c %s%*s %s\n", flag->letter ? '-' : ' ',
			flag->letter ? flag->letter : ' ', flag->letter ? ',' : ' ', name,
			width < FLAG_WIDTH ? (int)(FLAG_WIDTH - width) : 0, "", flag->text);
	}
}

void verb_write_help(const struct verb *verb, FILE *to)
{
	(void)fprintf(to, "Usage: wpctl %s%s%s%s\n\n%s\n", verb->name,
		verb->flags ? " [FLAGS]" : "", *verb->usage ? " " : "", verb->usage, verb->text);
	if (verb->flags) {
		(void)fputs("\nFlags:\n", to);
		write_flags(verb->flags, to);
	}
	(void)fputs("\nFlags of all verbs: see wpctl --help\n", to);
}

void verb_write_overview(FILE *to)
{
	static const struct {
		int code;
		const char *text;
	} exits[] = {
#define EXIT_CODE(NAME, code, text) {code, text},
#include "client/exits.def"
#undef EXIT_CODE
	};
	(void)fputs("Usage: wpctl [FLAGS] [VERB] [ARGUMENTS]\n\n"
		    "Talks to workpoold, the work-pool daemon. Without a verb: status.\n\nVerbs:\n",
		to);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		size_t width = strlen(verbs[i].name) + text_width(view_of(verbs[i].usage));
		(void)fprintf(to, "  %s %s%*s %s\n", verbs[i].name, verbs[i].usage,
			width < USAGE_WIDTH ? (int)(USAGE_WIDTH - width) : 0, "", verbs[i].text);
	}
	(void)fputs("\nFlags of all verbs (wpctl VERB --help tells the others):\n", to);
	write_flags(GLOBAL_FLAGS, to);
	(void)fputs("\nExit codes:\n", to);
	for (size_t i = 0; i < ARRAY_SIZE(exits); i++)
		(void)fprintf(to, "  %3d  %s\n", exits[i].code, exits[i].text);
}
