/*
 * sandbox: see sandbox.h. Called by verb_status.c.
 */
#include "client/sandbox.h"

#include "base/buf.h"
#include "client/fault.h"
#include "client/print.h"
#include "client/text.h"

/* "files, signals"; the words of an array. */
static int append_names(struct buf *out, const json_t *names)
{
	size_t i;
	json_t *name;
	int r = 0;

	json_array_foreach (names, i, name) {
		if (r == 0)
			r = buf_printf(out, "%s%s", i > 0 ? ", " : "", json_string_value(name));
	}
	return r;
}

int sandbox_set_text(json_t *daemon)
{
	const json_t *sandbox = json_object_get(daemon, "sandbox");
	json_int_t abi = print_int(sandbox, "landlock");
	struct buf text, lacks;

	if (!sandbox)
		return 0;
	buf_init(&text, TEXT_LIMIT);
	buf_init(&lacks, TEXT_LIMIT);
	int r = abi > 0 ? buf_printf(&text, "landlock %lld (", (long long)abi)
			: buf_printf(&text, "no landlock (");
	if (r == 0)
		r = append_names(&text, json_object_get(sandbox, "on"));
	if (r == 0)
		r = buf_append(&text, ")", 1);
	if (r == 0)
		r = append_names(&lacks, json_object_get(sandbox, "off"));
	if (r == 0)
		r = json_object_set_new(daemon, "sandbox",
			json_pack("{s:s%, s:s%}", "text", buf_view(&text).data, buf_len(&text),
				"lacks", buf_view(&lacks).data, buf_len(&lacks)));
	buf_done(&text);
	buf_done(&lacks);
	return r < 0 ? fault_no_memory() : 0;
}
