/*
 * offline: see offline.h.
 */
#include "root/offline.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "store/store_file.h"

static int exit_status(int error)
{
	switch (error) {
	case 0:
		return 0;
	case -EUCLEAN:
	case -ENOTSUP:
	case -EINVAL:
	case -EEXIST:
		return EX_DATAERR;
	case -ENOENT:
		return EX_NOINPUT;
	case -EBUSY:
		return EX_TEMPFAIL;
	default:
		return EX_IOERR;
	}
}

int offline_run(enum offline_act act, const struct settings *settings, const char *path)
{
	char why[STORE_WHY_SIZE] = "out of memory", own[STORE_PATH_MAX];
	uint64_t n_tasks = 0;
	int r = 0;

	if (path == NULL) {
		r = store_path(settings, own, sizeof own);
		path = own;
	}
	if (r == 0 && act == OFFLINE_CHECK)
		r = store_file_check(path, stdout, why);
	else if (r == 0 && act == OFFLINE_EXPORT)
		r = store_file_export(path, stdout, why);
	else if (r == 0)
		r = store_file_import(path, stdin, &n_tasks, why);
	if (r < 0)
		(void)fprintf(stderr, "workpoold: %s\n", why);
	else if (act == OFFLINE_IMPORT)
		(void)fprintf(stderr, "workpoold: %s: %llu tasks were imported\n", path,
			(unsigned long long)n_tasks);
	return fflush(stdout) == 0 || r < 0 ? exit_status(r) : EX_IOERR;
}
