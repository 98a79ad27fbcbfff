/*
 * method: see method.h.
 */
#include "api/method.h"

#include <string.h>

#include "base/str.h"

const struct method *const method_rows[] = {
#define METHOD(name) &method_##name,
#include "api/methods.def"
#undef METHOD
};
const size_t method_n_rows = ARRAY_SIZE(method_rows);

const struct method *method_find(const char *full_name)
{
	for (size_t i = 0; i < method_n_rows; i++) {
		const struct method *row = method_rows[i];
		size_t len = strlen(row->interface);

		if (strncmp(full_name, row->interface, len) == 0 && full_name[len] == '.' &&
			strcmp(full_name + len + 1, row->name) == 0)
			return row;
	}
	return NULL;
}

static void method_run_settled(struct watch *watch, struct task *task, int error)
{
	struct call *call = container_of(watch, struct call, watch);

	(void)task;
	(void)error; /* after a failed commit too: what was posted and started in the turn was taken back */
	watch_remove(watch);
	call->method->run(call);
}

/* The word for a name that is none of ours. */
static void method_refuse_unknown(struct call *call)
{
	struct view interface;
	const char *name;
	char text[256];

	if (msg_split_method(call->msg.method, &interface, &name) < 0) {
		call_refuse_service(call, "MethodNotFound", "method", call->msg.method);
		return;
	}
	if (view_is_equal(interface, view_of(METHOD_INTERFACE)) ||
		view_is_equal(interface, view_of(METHOD_SERVICE))) {
		call_refuse_service(call, "MethodNotFound", "method", call->msg.method);
		return;
	}
	(void)snprintf(text, sizeof text, "%.*s", (int)(interface.len < 200 ? interface.len : 200),
		interface.data);
	str_make_safe(text); /* the cut may have left half a character */
	call_refuse_service(call, "InterfaceNotFound", "interface", text);
}

bool method_scan(struct call *call, const struct scan *scan)
{
	const struct method *method = call->method;

	if (call->conn->peer.role < method->role)
		return false;
	if (method->defaults != NULL)
		memcpy(call->values, method->defaults, method->values_size);
	if (scan_read_params(scan, method->params, method->n_params, call->values) < 0)
		return false;
	method->run(call);
	return true;
}

void method_dispatch(struct call *call)
{
	const struct method *method = call->method;
	const char *param;
	char why[PARAM_WHY_SIZE];

	if (call->conn->peer.role == ROLE_NONE) {
		call_refuse_permission(call);
		return;
	}
	if (call->msg.upgrade) {
		call_refuse_parameter(call, "upgrade", "not supported");
		return;
	}
	if (method == NULL) {
		method_refuse_unknown(call);
		return;
	}
	if (call->conn->peer.role < method->role) {
		call_refuse_permission(call);
		return;
	}
	if (method->defaults != NULL)
		memcpy(call->values, method->defaults, method->values_size);
	if (param_read(call->msg.params, method->params, method->n_params, call->values, &param,
		    why) < 0) {
		call_refuse_parameter(call, param, why);
		return;
	}
	/* Nobody would hear what it tells. */
	if (call->msg.oneway && (method->flags & METHOD_READS)) {
		call_reply_text(call, VIEW_LIT("{}"));
		return;
	}
	/* What reads may answer much: one at a time, so that max_output is looked at before each. */
	if ((method->flags & (METHOD_HOLDS | METHOD_READS)) ||
		((method->flags & METHOD_STREAMS) && call->msg.more))
		call_hold(call);
	if (method->flags & METHOD_READS) {
		call->watch.fire = method_run_settled;
		watch_add(&call->conn->daemon->board->settled, &call->watch);
	} else {
		method->run(call);
	}
}
