/*
 * verb_log: what a task writes.
 */
#include "client/fault.h"
#include "client/follow.h"
#include "client/verb.h"

int verb_log(struct ctl *ctl)
{
	if (ctl->opts.propagate && !ctl->opts.is_followed)
		return fault_say(CODE_USAGE, "log: --propagate wants --follow");
	return follow_task(ctl, ctl->names[0], ctl->opts.is_followed);
}
