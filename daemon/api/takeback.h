/*
 * takeback: replies that were composed, waited for the disk (net/gate.h), and are not true, because the flush has failed.
 */
#ifndef WORKPOOL_API_TAKEBACK_H
#define WORKPOOL_API_TAKEBACK_H

#include "base/buf.h"

struct conn;

/* The hook: for each last reply in `lost` StorageFailed goes to conn->out, with the id of a task that is in the store though its end is
 * not; refusals stay, as they promise nothing; a stream that was to go on ends with StorageFailed. */
void takeback_on_take_back(struct conn *conn, struct view lost);

#endif
