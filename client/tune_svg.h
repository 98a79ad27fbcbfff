/*
 * tune_svg: what `wpctl tune` found as a drawing: tasks a second with error bars and p99 over the number of workers, and the number to
 * use. Pure. Called by verb_tune.c.
 */
#ifndef WORKPOOL_CLIENT_TUNE_SVG_H
#define WORKPOOL_CLIENT_TUNE_SVG_H

#include "base/buf.h"
#include "client/tune.h"

/* title: any UTF-8 text. -ENOMEM, -EMSGSIZE. */
int tune_svg_append(struct buf *out, const struct tune *tune, const char *title) MUST_CHECK;

#endif
