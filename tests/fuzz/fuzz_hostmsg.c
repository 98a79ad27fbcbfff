/*
 * fuzz_hostmsg: what was unpacked packs to the same bytes; what was refused was left where it
 * was; what is not whole is never a message.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "wire/hostmsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

/* Every shorter piece of a good message must be waited for. */
static void check_pieces(struct view bytes)
{
	for (size_t len = 0; len < bytes.len; len += 1 + len / 8) {
		struct hostmsg msg = {.type = HOSTMSG_TYPES};
		struct buf in;
		buf_init(&in, bytes.len);
		must(buf_append(&in, bytes.data, len) == 0);
		must(hostmsg_unpack(&in, &msg) == -EAGAIN);
		must(msg.type == HOSTMSG_TYPES);
		buf_done(&in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in, out;
	int r;

	buf_init(&in, size + 1);
	buf_init(&out, size + 1);
	must(buf_append(&in, data, size) == 0);
	for (;;) {
		struct hostmsg msg = {.type = HOSTMSG_TYPES};
		struct view before = buf_view(&in);
		r = hostmsg_unpack(&in, &msg);
		if (r < 0) {
			must(r == -EAGAIN || r == -EBADMSG);
			must(msg.type == HOSTMSG_TYPES && buf_len(&in) == before.len);
			break;
		}
		must(msg.type > HOSTMSG_NONE && msg.type < HOSTMSG_TYPES);
		must(hostmsg_name(msg.type)[0] != '?');
		size_t used = before.len - buf_len(&in);
		buf_truncate(&out, 0);
		must(hostmsg_pack(&out, &msg) == 0);
		must(view_is_equal(buf_view(&out), (struct view){before.data, used}));
		check_pieces(buf_view(&out));
	}
	buf_done(&in);
	buf_done(&out);
	return 0;
}
