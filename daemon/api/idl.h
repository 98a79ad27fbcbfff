/*
 * idl: the interface description (varlink.org, "Interface Definition"), made from the method rows, the error rows and the
 * types of tojson. doc/org.workpool.varlink is this text; a test compares them.
 */
#ifndef WORKPOOL_API_IDL_H
#define WORKPOOL_API_IDL_H

#include "base/buf.h"

/* Of METHOD_INTERFACE or METHOD_SERVICE. -ENOENT: no such interface; -ENOMEM. */
int idl_write(const char *interface, struct buf *out) MUST_CHECK;

#endif
