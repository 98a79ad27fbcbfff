/*
 * flusher: a thread that waits for the disk, so that the loop need not. It runs one function of one argument, one time after the
 * other, and touches nothing else; the loop says when, and learns by a descriptor when that has ended.
 *
 *   flusher_begin()  ->  flusher_fd() is readable  ->  flusher_end()
 *
 * The loop may go on with all that the function does not touch. Both sides meet in two eventfd(2)s, which order their memory too.
 */
#ifndef WORKPOOL_STORE_FLUSHER_H
#define WORKPOOL_STORE_FLUSHER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

struct flusher;

/* work: runs in the thread, which gets no signal. -errno: no thread, no descriptor, no memory. */
int flusher_new(int (*work)(void *arg), void *arg, struct flusher **ret_flusher) MUST_CHECK;
/* Waits for what is under way. NULL is fine. */
void flusher_free(struct flusher *flusher);
/* Not while one is under way. */
void flusher_begin(struct flusher *flusher);
bool flusher_is_busy(const struct flusher *flusher);
int flusher_fd(const struct flusher *flusher);
/* Waits for what is under way, and returns what work() did; ret_us: microseconds that it took. */
int flusher_end(struct flusher *flusher, uint64_t *ret_us) MUST_CHECK;

#endif
