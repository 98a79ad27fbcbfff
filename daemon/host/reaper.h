/*
 * reaper: the spawner process: starts children when the host asks for it, signals them, reaps them, and sees to it that
 * nothing of theirs outlives them.
 */
#ifndef WORKPOOL_HOST_REAPER_H
#define WORKPOOL_HOST_REAPER_H

#define REAPER_CHILDREN_MAX 4096

/* Serves the host at the other end of `fd` until that is gone, then KILLs all that is left. In a process of its own with
 * one thread. Does not return. */
void reaper_run(int fd) __attribute__((noreturn));

#endif
