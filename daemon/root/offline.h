/*
 * offline: what workpoold does with its store's file instead of running: --store-check, --store-export, --store-import.
 */
#ifndef WORKPOOL_ROOT_OFFLINE_H
#define WORKPOOL_ROOT_OFFLINE_H

struct settings;

enum offline_act { OFFLINE_NONE, OFFLINE_CHECK, OFFLINE_EXPORT, OFFLINE_IMPORT };

/* path NULL: the file that the settings mean. Returns the exit status; what is wrong is told on standard error. */
int offline_run(enum offline_act act, const struct settings *settings, const char *path);

#endif
