/*
 * turn: one round of the daemon's only loop.
 */
#ifndef WORKPOOL_NET_TURN_H
#define WORKPOOL_NET_TURN_H

#include <stdint.h>

struct daemon;

void turn_once(struct daemon *daemon);

#endif
