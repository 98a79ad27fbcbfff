/*
 * verb_shutdown: ends the daemon, shows what it still does, and returns when it is gone.
 */
#include <string.h>

#include "base/clock.h"
#include "client/fault.h"
#include "client/verb.h"
#include "client/wait.h"

static const struct print_column final_columns[] = {
	{"done", "done", PRINT_NUMBER},
	{"failed", "failed", PRINT_NUMBER},
	{"cancelled", "cancelled", PRINT_NUMBER},
	{"queued", "queued", PRINT_NUMBER},
	{"active", "active", PRINT_NUMBER},
};

static int ask(struct ctl *ctl)
{
	const struct opts *opts = &ctl->opts;
	json_t *timeout_ms = NULL;

	if (opts->stop_us != OPT_NOT_GIVEN)
		timeout_ms = json_integer((json_int_t)(opts->stop_us / US_PER_MS));
	return link_put(&ctl->link, "Shutdown",
		json_pack("{s:s*, s:o*}", "mode", opts->mode, "timeout_ms", timeout_ms),
		WORKPOOL_MORE);
}

int verb_shutdown(struct ctl *ctl)
{
	bool continues = true;
	int code = ask(ctl);

	while (code == 0 && continues) {
		auto_reply struct link_reply reply = {0};
		code = link_expect(&ctl->link, WAIT_FOREVER, &reply);
		if (code)
			return code;
		continues = reply.continues;
		print_progress(&ctl->print,
			"stopping: %jd queued, %jd active, %jd done, %jd failed",
			(intmax_t)print_int(reply.params, "queued"),
			(intmax_t)print_int(reply.params, "active"),
			(intmax_t)print_int(reply.params, "done"),
			(intmax_t)print_int(reply.params, "failed"));
		if (ctl->print.is_json)
			code = print_json(&ctl->print, reply.params);
		else if (!continues && !ctl->opts.is_quiet)
			code = print_fields(&ctl->print, final_columns, ARRAY_SIZE(final_columns),
				reply.params);
		if (code == 0 && ctl->print.is_json)
			code = print_flush(&ctl->print); /* progress is seen while it goes on */
	}
	/* Gone is the daemon only when it has closed. */
	return code ? code : link_finish(&ctl->link);
}
