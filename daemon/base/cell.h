/*
 * cell: small blocks of memory that stay at hand when they are given back: for trees of JSON, which come and go with every
 * message. As malloc(3) and free(3), for a program with one thread.
 */
#ifndef WORKPOOL_BASE_CELL_H
#define WORKPOOL_BASE_CELL_H

#include <stddef.h>

#include "base/mem.h"

void *cell_alloc(size_t size) MUST_CHECK; /* NULL: no memory */
void cell_free(void *data);               /* of cell_alloc(), or NULL */

#endif
