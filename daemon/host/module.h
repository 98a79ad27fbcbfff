/*
 * module: a shared object and the struct workpool_handler in it: whether the file may be loaded, whether it can be, and
 * whether what it says of itself makes sense. Not for calling it (h_plugin.c).
 */
#ifndef WORKPOOL_HOST_MODULE_H
#define WORKPOOL_HOST_MODULE_H

#include "base/mem.h"
#include "host/setting.h"
#include "host/workpool-plugin.h"
#include "wire/param.h"

/*
 * Runs the constructors of the shared object. It stays loaded until the process ends, also after a refusal: what it has
 * started may still run. -EINVAL with a sentence that names the file.
 */
int module_open(const char *path, const char *symbol, const struct workpool_handler **ret_handler,
	char ret_why[SETTING_WHY_SIZE]) MUST_CHECK;
/* Its table as one of ours: n_params rows, the caller frees them; their strings are the module's. NULL: no memory. */
struct param *module_params(const struct workpool_handler *handler) MUST_CHECK;
/* It takes a setting of this name. */
bool module_knows_setting(const struct workpool_handler *handler, const char *name);

#endif
