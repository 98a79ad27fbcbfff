/*
 * fuzz_msg: a call that was taken is the same after writing and reading again; both writers of
 * replies write the same bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "wire/msg.h"

#define BUF_LIMIT (1 << 24)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

static void check_call(const struct msg *msg)
{
	char why[JSON_WHY_SIZE];
	struct msg again;
	struct buf out;

	buf_init(&out, BUF_LIMIT);
	must(msg_write_call(&out, msg->method, msg->params, msg->more, msg->oneway, '\0') == 0);
	struct view text = buf_view(&out);
	must(memchr(text.data, '\0', text.len) == text.data + text.len - 1);
	must(!memchr(text.data, '\n', text.len));
	text.len--;
	must(msg_parse(text, &again, why) == 0);
	must(strcmp(again.method, msg->method) == 0);
	must(again.more == msg->more && again.oneway == msg->oneway && !again.upgrade);
	if (msg->params)
		must(json_equal(again.params, msg->params));
	else
		must(json_object_size(again.params) == 0);
	msg_done(&again);
	buf_done(&out);
}

static void check_replies(const json_t *params)
{
	struct buf text, a, b;

	buf_init(&text, BUF_LIMIT);
	buf_init(&a, BUF_LIMIT);
	buf_init(&b, BUF_LIMIT);
	must(json_write(params, &text) == 0);
	must(msg_write_reply(&a, params, true, '\n') == 0);
	must(msg_write_reply_text(&b, buf_view(&text), true, '\n') == 0);
	must(view_is_equal(buf_view(&a), buf_view(&b)));
	/* One byte less than it needs: nothing at all. */
	struct buf small;
	buf_init(&small, buf_len(&a) - 1);
	must(msg_write_reply(&small, params, true, '\n') == -EMSGSIZE && buf_len(&small) == 0);
	must(msg_write_reply_text(&small, buf_view(&text), true, '\n') == -EMSGSIZE);
	must(buf_len(&small) == 0);
	buf_done(&small);
	buf_done(&text);
	buf_done(&a);
	buf_done(&b);
}

static void check_error(const char *error, const json_t *params)
{
	char why[JSON_WHY_SIZE];
	auto_json json_t *json = NULL;
	struct buf out;

	buf_init(&out, BUF_LIMIT);
	must(msg_write_error(&out, error, params, '\0') == 0);
	struct view text = buf_view(&out);
	text.len--;
	/* The parameters of a call at the depth limit are one level deep in an error too. */
	must(json_parse(text, &json, why) == 0);
	must(strcmp(json_string_value(json_object_get(json, "error")), error) == 0);
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view text = {(const char *)data, size};
	char why[JSON_WHY_SIZE] = "";
	struct view interface;
	struct msg msg = {0};
	const char *name;

	int r = msg_parse(text, &msg, why);
	must(r == 0 || r == -EBADMSG);
	if (r < 0) {
		must(!msg.json && why[0] != '\0' && str_is_utf8(view_of(why)));
		return 0;
	}
	must(msg.method[0] != '\0');
	if (msg_split_method(msg.method, &interface, &name) == 0) {
		must(interface.len > 0 && name[0] != '\0' && !strchr(name, '.'));
		must(interface.data + interface.len + 1 == name);
	}
	check_call(&msg);
	if (msg.params)
		check_replies(msg.params);
	check_error(msg.method, msg.params);
	msg_done(&msg);
	return 0;
}
