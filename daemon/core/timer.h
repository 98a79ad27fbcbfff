/*
 * timer: what a task's one timer means: the end of its delay or its expiry while it waits, its time limit while a worker has
 * it, and then the time by which it must have ended after it was asked to; for a post that waits for room, the end of that.
 */
#ifndef WORKPOOL_CORE_TIMER_H
#define WORKPOOL_CORE_TIMER_H

#include <stdint.h>

struct deadline;
struct task;

void timer_init(struct task *task);
/* Sets it for the state that the task is in now. Who cannot do without it calls deadlines_reserve() before the change; else
 * without memory it is not set. */
void timer_arm(struct task *task);
void timer_clear(struct task *task);

#endif
