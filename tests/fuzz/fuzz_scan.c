/*
 * fuzz_scan: what the quick way takes means the same to the parser, which is jansson; both as it comes and as the args of a
 * post, so that most inputs get deep.
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char head[] =
		"{\"method\":\"a.B\",\"parameters\":{\"handler\":\"x\",\"args\":";
	struct view raw = {(const char *)data, size};
	struct scan scan;
	struct buf post;

	scan_init(&scan);
	judge(&scan, raw);
	buf_init(&post, BUF_LIMIT);
	if (buf_append(&post, head, sizeof(head) - 1) == 0 && buf_append(&post, data, size) == 0 &&
		buf_append(&post, "}}", 2) == 0)
		judge(&scan, buf_view(&post));
	buf_done(&post);
	scan_done(&scan);
	return 0;
}
