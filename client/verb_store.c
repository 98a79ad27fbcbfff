/*
 * verb_store: what can be done with the store's file while no daemon has it. workpoold does it, as its options --store-check,
 * --store-export and --store-import: wpctl knows no more of the file than its name.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/fault.h"
#include "client/verb.h"

#define CONFIG PKGSYSCONFDIR "/workpoold.conf"

/* Beside wpctl where both were built, else where they were installed. */
static const char *find_workpoold(char path[PATH_MAX + 16])
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

	if (len > 0) {
		self[len] = '\0';
		(void)snprintf(path, PATH_MAX + 16, "%s/workpoold", dirname(self));
		if (access(path, X_OK) == 0)
			return path;
	}
	return SBINDIR "/workpoold";
}

int verb_store(struct ctl *ctl)
{
	static const char *const options[][2] = {{"check", "--store-check"},
		{"export", "--store-export"}, {"import", "--store-import"}};
	const char *argv[6], *option = NULL;
	char path[PATH_MAX + 16];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (strcmp(ctl->names[0], options[i][0]) == 0)
			option = options[i][1];
	if (option == NULL)
		return fault_say(
			CODE_USAGE, "store: \"%s\": check, export or import", ctl->names[0]);
	argv[n++] = find_workpoold(path);
	if (ctl->n_names < 2 && access(CONFIG, R_OK) == 0) {
		argv[n++] = "--config";
		argv[n++] = CONFIG;
	}
	argv[n++] = option;
	if (ctl->n_names > 1)
		argv[n++] = ctl->names[1];
	argv[n] = NULL;
	(void)execv(argv[0], (char *const *)argv);
	return fault_say(CODE_INTERNAL, "%s: %s", argv[0], strerror(errno));
}
