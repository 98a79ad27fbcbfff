/*
 * private: see private.h. Called by linkmsg.c for each host that starts.
 */
#include "net/private.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "config/origins.h"
#include "net/daemon.h"
#include "net/listen.h"

/* Paths that are said relative to the working directory are made absolute; a name that is none ("credential") is not there. */
static void tell(const char *path, void (*fn)(const char *path, void *arg), void *arg)
{
	char real[PATH_MAX];

	if (path[0] == '/')
		fn(path, arg);
	else if (realpath(path, real) != NULL)
		fn(real, arg);
}

/* Those of an abstract socket are nowhere. */
static void each_of_socket(
	const struct daemon *daemon, void (*fn)(const char *path, void *arg), void *arg)
{
	const char *path = listen_path(daemon->listener);
	char lock[PATH_MAX];

	tell(path, fn, arg);
	if (snprintf(lock, sizeof lock, "%s.lock", path) < (int)sizeof lock)
		tell(lock, fn, arg);
}

static void each_of_config(
	const struct daemon *daemon, void (*fn)(const char *path, void *arg), void *arg)
{
	const struct origins *origins = daemon->settings->origins;
	struct stat st;

	for (uint32_t i = 0; origins != NULL && i < origins->n_files; i++)
		if (stat(origins->files[i], &st) == 0 && (st.st_mode & S_IROTH) == 0)
			tell(origins->files[i], fn, arg);
}

void private_each(const struct daemon *daemon, void (*fn)(const char *path, void *arg), void *arg)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	char store[PATH_MAX];

	each_of_socket(daemon, fn, arg);
	each_of_config(daemon, fn, arg);
	if (store_path(daemon->settings, store, sizeof store) == 0)
		tell(dirname(store), fn, arg);
	if (credentials != NULL)
		tell(credentials, fn, arg);
}
