/*
 * main: wpctl, the command line client of workpoold. The way of one run: command line -> row of verbs.def -> its
 * function in verb_*.c -> calls over link.c, words by print.c and fault.c -> exit code (exits.def).
 */
#include <stdio.h>

#include "client/fault.h"
#include "client/verb.h"
#include "client/wait.h"

static int run_verb(struct ctl *ctl)
{
	const struct opts *opts = &ctl->opts;

	int code = link_init(&ctl->link, opts->socket, opts->timeout_us);
	if (code)
		return code;
	if (opts->is_verbose)
		(void)fault_say(0, "socket %s", link_path(&ctl->link));
	code = ctl->verb->run(ctl);
	link_done(&ctl->link);
	return code;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const struct opts *opts = &ctl->opts;

	int code = verb_parse(ctl, argc, argv);
	if (code)
		return code;
	print_init(&ctl->print, opts->colour, opts->is_json, !opts->no_legend, opts->is_quiet);
	if (opts->wants_version)
		(void)puts("wpctl " PACKAGE_VERSION);
	else if (opts->wants_help && ctl->verb)
		verb_write_help(ctl->verb, stdout);
	else if (opts->wants_help)
		verb_write_overview(stdout);
	else
		code = run_verb(ctl);
	int flushed = print_flush(&ctl->print);
	return code ? code : flushed;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {0};

	if (wait_init() < 0)
		return fault_say(CODE_INTERNAL, "signals cannot be caught");
	int code = run(&ctl, argc, argv);
	free(ctl.names);
	return code;
}
