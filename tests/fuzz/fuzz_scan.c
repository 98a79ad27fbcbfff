/*
 * fuzz_scan: what the quick way takes means the same to the parser, which is jansson; as it comes, as the args of a
 * post, so that most inputs get deep, and as a value alone.
 */
#include <stdio.h>
#include <stdlib.h>

#include "scan_judge.h"

#define BUF_LIMIT (1 << 24)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(struct scan *scan, struct view message)
{
	if (scan_call(scan, message) < 0)
		return;
	const char *fault = scan_judge(scan, message);
	if (!fault)
		return;
	fprintf(stderr, "%s: %.*s\n", fault, (int)message.len, message.data);
	abort();
}

static void judge_value(struct view text)
{
	char why[JSON_WHY_SIZE];
	struct buf ours, theirs;
	json_t *tree = NULL;

	buf_init(&ours, BUF_LIMIT);
	buf_init(&theirs, BUF_LIMIT);
	if (scan_value(text, &ours) == 0 &&
		(json_parse(text, &tree, why) < 0 || json_write(tree, &theirs) < 0 ||
			!view_is_equal(buf_view(&ours), buf_view(&theirs)))) {
		fprintf(stderr, "value: %.*s\n", (int)text.len, text.data);
		abort();
	}
	json_decref(tree);
	buf_done(&ours);
	buf_done(&theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char head[] =
		"{\"method\":\"a.B\",\"parameters\":{\"handler\":\"x\",\"args\":";
	struct view raw = {(const char *)data, size};
	struct scan scan;
	struct buf post;

	scan_init(&scan);
	judge(&scan, raw);
	judge_value(raw);
	buf_init(&post, BUF_LIMIT);
	if (buf_append(&post, head, sizeof(head) - 1) == 0 && buf_append(&post, data, size) == 0 &&
		buf_append(&post, "}}", 2) == 0)
		judge(&scan, buf_view(&post));
	buf_done(&post);
	scan_done(&scan);
	return 0;
}
