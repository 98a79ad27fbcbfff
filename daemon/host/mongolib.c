/*
 * mongolib: see mongolib.h. Called by mongo.c.
 */
#include "host/mongolib.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"

#define LIBRARY "libmongoc-1.0.so.0" /* libbson comes with it */

struct mongolib mongolib;

static const struct {
	const char *name;
	size_t at;
} functions[] = {
#define MONGOLIB(name) {#name, offsetof(struct mongolib, name)},
#include "host/mongolib.def"
#undef MONGOLIB
};

/*
 * As soon as it is loaded, libmongoc makes a file of counters in /dev/shm and counts on exit(3) to remove it, which this
 * process never calls.
 */
static void drop_counters(void)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "/mongoc-%u", (unsigned)getpid());
	(void)shm_unlink(name); /* there may be none */
}

int mongolib_open(char ret_why[SETTING_WHY_SIZE])
{
	void *library = dlopen(LIBRARY, RTLD_NOW);

	drop_counters();
	for (size_t i = 0; library && i < ARRAY_SIZE(functions); i++) {
		void *function = dlsym(library, functions[i].name);

		if (!function)
			library = NULL;
		else
			memcpy((char *)&mongolib + functions[i].at, &function, sizeof(function));
	}
	if (library)
		return 0;
	const char *why = dlerror();
	(void)snprintf(ret_why, SETTING_WHY_SIZE, "the MongoDB library cannot be used: %.150s",
		why ? why : LIBRARY);
	str_make_safe(ret_why);
	return -ENOENT;
}
