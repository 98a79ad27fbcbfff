/*
 * service: org.varlink.service: who we are, and what can be called (varlink.org, "Service").
 */
#include <errno.h>

#include "api/idl.h"
#include "api/method.h"

static void get_info_run(struct call *call)
{
	call_reply(call, json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor", "workpool",
				 "product", "workpoold", "version", PACKAGE_VERSION, "url", "",
				 "interfaces", METHOD_SERVICE, METHOD_INTERFACE));
}

const struct method method_get_info = {
	.interface = METHOD_SERVICE,
	.name = "GetInfo",
	.role = ROLE_READ,
	.reply = "vendor: string, product: string, version: string, url: string, interfaces: "
		 "[]string",
	.text = "Who answers, and its interfaces.",
	.run = get_info_run,
};

struct description_values {
	const char *interface;
};

static const struct param description_params[] = {
	{.name = "interface",
		.type = PARAM_STRING,
		.flags = PARAM_REQUIRED,
		METHOD_FIELD(description_values, interface),
		.min = 1,
		.max = 256,
		.text = "its name"},
};

static void get_interface_description_run(struct call *call)
{
	const struct description_values *values = call->values;
	struct buf text;
	int r;

	buf_init(&text, SIZE_MAX / 4);
	r = idl_write(values->interface, &text);
	if (r == -ENOENT)
		call_refuse_service(call, "InterfaceNotFound", "interface", values->interface);
	else if (r < 0)
		call_refuse_internal(call, "out of memory");
	else
		call_reply(call,
			json_pack("{s:s%}", "description", buf_view(&text).data, buf_len(&text)));
	buf_done(&text);
}

const struct method method_get_interface_description = {
	.interface = METHOD_SERVICE,
	.name = "GetInterfaceDescription",
	.role = ROLE_READ,
	METHOD_PARAMS(description_params, description_values),
	.reply = "description: string",
	.text = "An interface's methods, types and errors.",
	.run = get_interface_description_run,
};
