/*
 * idl: see idl.h.
 */
#include "api/idl.h"

#include <errno.h>
#include <string.h>

#include "api/config.h"
#include "api/events.h"
#include "api/method.h"
#include "api/tojson.h"

static const struct {
	const char *name, *fields, *text;
} errors[] = {
#define ERROR(NAME, name, PARAMS, PACK, fields, text) {#NAME, fields, text},
#include "api/errors.def"
#undef ERROR
};

static const struct {
	const char *name, *fields;
} service_errors[] = {
	{"InterfaceNotFound", "interface: string"},
	{"MethodNotFound", "method: string"},
	{"MethodNotImplemented", "method: string"},
	{"InvalidParameter", "parameter: string"},
	{"PermissionDenied", ""},
	{"ExpectedMore", ""},
};

/* "a b c" as "(a, b, c)". */
static int write_words(struct buf *out, const char *words)
{
	int r = buf_append(out, "(", 1);

	for (const char *at = words; r == 0 && *at != '\0'; at++)
		r = *at == ' ' ? buf_append(out, ", ", 2) : buf_append(out, at, 1);
	return r < 0 ? r : buf_append(out, ")", 1);
}

static int write_param(struct buf *out, const struct param *param)
{
	int r = buf_printf(out, "%s: %s", param->name, param->flags & PARAM_REQUIRED ? "" : "?");

	if (r < 0)
		return r;
	if (param->type == PARAM_ENUM)
		return write_words(out, param->words);
	return buf_printf(out, "%s", param_type_name(param->type));
}

static int write_method(struct buf *out, const struct method *method)
{
	int r = buf_printf(out, "\n# %s\n", method->text);

	for (size_t i = 0; r == 0 && i < method->n_params; i++)
		r = buf_printf(out, "#   %s: %s\n", method->params[i].name, method->params[i].text);
	if (r == 0)
		r = buf_printf(out, "# For the role \"%s\".\nmethod %s(",
			peer_role_name(method->role), method->name);
	for (size_t i = 0; r == 0 && i < method->n_params; i++) {
		r = i > 0 ? buf_append(out, ", ", 2) : 0;
		if (r == 0)
			r = write_param(out, &method->params[i]);
	}
	return r < 0 ? r : buf_printf(out, ") -> (%s)\n", method->reply);
}

static int write_workpool_errors(struct buf *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(errors); i++)
		r = buf_printf(out, "\n# %s\nerror %s (%s)\n", errors[i].text, errors[i].name,
			errors[i].fields);
	return r;
}

static int write_service_errors(struct buf *out)
{
	int r = buf_append(out, "\n", 1);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(service_errors); i++)
		r = buf_printf(
			out, "error %s (%s)\n", service_errors[i].name, service_errors[i].fields);
	return r;
}

#define TYPE_TEXTS 3 /* of one interface at most */

static const struct {
	const char *interface, *head;
	const char *types[TYPE_TEXTS]; /* in the order in which they are written; NULL: no more */
	int (*write_errors)(struct buf *out);
} interfaces[] = {
	{METHOD_INTERFACE,
		"# Pools with a bounded number of workers: post tasks, watch them, size the "
		"pools.\n",
		{config_types, events_types, tojson_types}, write_workpool_errors},
	{METHOD_SERVICE, "# The Varlink service interface.\n", {NULL}, write_service_errors},
};

int idl_write(const char *interface, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(interfaces); i++) {
		int r;

		if (strcmp(interfaces[i].interface, interface) != 0)
			continue;
		r = buf_printf(out, "%sinterface %s\n\n", interfaces[i].head, interface);
		for (size_t k = 0; r == 0 && k < TYPE_TEXTS && interfaces[i].types[k] != NULL; k++)
			r = buf_printf(out, "%s", interfaces[i].types[k]);
		for (size_t k = 0; r == 0 && k < method_n_rows; k++)
			if (strcmp(method_rows[k]->interface, interface) == 0)
				r = write_method(out, method_rows[k]);
		return r < 0 ? r : interfaces[i].write_errors(out);
	}
	return -ENOENT;
}
