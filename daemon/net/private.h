/*
 * private: which files are the daemon's own, so that no task may see or write them.
 */
#ifndef WORKPOOL_NET_PRIVATE_H
#define WORKPOOL_NET_PRIVATE_H

struct daemon;

/* Calls for each absolute path, which lives as long as the call: the control socket and its lock, the folder of the store,
 * files of the configuration that not everybody may read, the folder of systemd's credentials. */
void private_each(const struct daemon *daemon, void (*fn)(const char *path, void *arg), void *arg);

#endif
