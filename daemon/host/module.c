/*
 * module: see module.h. Called by h_plugin.c while the host has one thread.
 * Whoever can write the file, or put another one in its place, decides what runs here: so file and folder must be as safe
 * as a configuration file. Farther up it is the administrator's business: /usr/local/lib belongs to a group on some systems.
 * What a module says of itself is checked as far as the daemon will check it, so that a mistake in it is told, and does
 * not look like a host that talks nonsense. A pointer that leads nowhere is a crash, and costs this process.
 */
#include "host/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "wire/hostmsg.h"
#include "wire/json.h"

#define SHOWN_PATH_MAX 100 /* bytes of a path in a sentence: its end counts */

static int refuse(char *ret_why, const char *path, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* module "/x.so": why */
static int refuse(char *ret_why, const char *path, const char *fmt, ...)
{
	size_t len = strlen(path);
	bool is_cut = len > SHOWN_PATH_MAX;
	va_list args;

	int n = snprintf(ret_why, SETTING_WHY_SIZE, "module \"%s%s\": ", is_cut ? "..." : "",
		is_cut ? path + len - SHOWN_PATH_MAX : path);
	va_start(args, fmt);
	(void)vsnprintf(ret_why + n, SETTING_WHY_SIZE - (size_t)n, fmt, args);
	va_end(args);
	str_make_safe(ret_why);
	return -EINVAL;
}

/* The file. */

static const char *fault_of_owner(const struct stat *st)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "must belong to root or to the user that loads it";
	/* Where nobody can take away what is another's, as in /tmp, the file's own mode is enough. */
	if (S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX) != 0)
		return NULL;
	return (st->st_mode & (S_IWGRP | S_IWOTH)) != 0
		       ? "must not be writable by its group or by others"
		       : NULL;
}

static int check_folder(const char *path, char *ret_why)
{
	const char *slash = strrchr(path, '/');
	auto_free char *folder = mem_dup(path, slash == path ? 1 : (size_t)(slash - path));
	struct stat st;

	if (!folder)
		return -ENOMEM;
	if (stat(folder, &st) < 0)
		return refuse(ret_why, path, "%s", strerror(errno));
	const char *fault = fault_of_owner(&st);
	return fault ? refuse(ret_why, path, "its folder %s", fault) : 0;
}

static int check_file(const char *path, char *ret_why)
{
	struct stat st;

	if (path[0] != '/')
		return refuse(ret_why, path, "needs an absolute path");
	/* O_NONBLOCK: a FIFO must not hold us. */
	auto_fd int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return refuse(ret_why, path, "%s",
			errno == ELOOP ? "is a symbolic link" : strerror(errno));
	if (fstat(fd, &st) < 0)
		return refuse(ret_why, path, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(ret_why, path, "is not a regular file");
	const char *fault = fault_of_owner(&st);
	return fault ? refuse(ret_why, path, "%s", fault) : check_folder(path, ret_why);
}

/* What dlerror(3) says, without the path that it begins with. */
static const char *load_error(const char *path)
{
	const char *error = dlerror();
	size_t len = strlen(path);

	if (!error)
		return "cannot be loaded";
	return strncmp(error, path, len) == 0 && strncmp(error + len, ": ", 2) == 0
		       ? error + len + 2
		       : error;
}

/* The struct. */

/* The symbol is data, and so large as the struct of its ABI. */
static int check_symbol(
	const char *path, const char *symbol, const struct workpool_handler *handler, char *ret_why)
{
	ElfW(Sym) *entry = NULL;
	Dl_info info;

	if (dladdr1(handler, &info, (void **)&entry, RTLD_DL_SYMENT) == 0 || !entry ||
		ELF64_ST_TYPE(entry->st_info) != STT_OBJECT ||
		entry->st_size < sizeof(handler->abi))
		return refuse(ret_why, path, "\"%.64s\" is no struct workpool_handler", symbol);
	if (handler->abi > WORKPOOL_PLUGIN_ABI)
		return refuse(ret_why, path, "made for ABI %u, this host has %u", handler->abi,
			WORKPOOL_PLUGIN_ABI);
	if (handler->abi == 0 || entry->st_size < sizeof(*handler))
		return refuse(ret_why, path, "\"%.64s\" is no struct workpool_handler of ABI %u",
			symbol, handler->abi);
	return 0;
}

static bool is_text(const char *text, size_t max)
{
	size_t len = strnlen(text, max + 1);

	return len <= max && str_is_utf8((struct view){text, len});
}

/* Why the daemon, or a user, could make nothing of it; NULL: they can. */
static const char *fault_of_param(const struct workpool_param *param)
{
	if (!param->name || *param->name == '\0' || !is_text(param->name, JSON_KEY_LIMIT))
		return "a parameter's name is not 1 to 256 bytes of UTF-8";
	if (param->type > PARAM_ENUM)
		return "is of a type that is not known";
	if ((param->flags & ~WORKPOOL_REQUIRED) != 0)
		return "has a flag that is not known";
	if (param->min > param->max && !(param->type == WORKPOOL_STRING && param->max == 0))
		return "min is above max";
	if (param->type == WORKPOOL_INT && param->min == 0 && param->max == 0)
		return "needs min and max";
	if (param->min < 0 && param->type != WORKPOOL_INT)
		return "min is below 0";
	if (param->type == WORKPOOL_ENUM && (!param->words || *param->words == '\0'))
		return "needs words";
	if ((param->words && !is_text(param->words, HOSTMSG_TEXT_MAX)) ||
		(param->text && !is_text(param->text, HOSTMSG_TEXT_MAX)))
		return "words or text are not at most 4096 bytes of UTF-8";
	return NULL;
}

static int check_params(const char *path, const struct workpool_handler *handler, char *ret_why)
{
	if (handler->n_params > HOSTMSG_PARAMS_MAX)
		return refuse(ret_why, path, "more than %u parameters", HOSTMSG_PARAMS_MAX);
	if (handler->n_params > 0 && !handler->params)
		return refuse(ret_why, path, "n_params without params");
	for (size_t i = 0; i < handler->n_params; i++) {
		const struct workpool_param *param = &handler->params[i];
		const char *fault = fault_of_param(param);

		for (size_t k = 0; !fault && k < i; k++) {
			if (strcmp(handler->params[k].name, param->name) == 0)
				fault = "is there twice";
		}
		if (fault)
			return refuse(ret_why, path, "parameter %zu (%.64s): %s", i + 1,
				param->name ? param->name : "", fault);
	}
	return 0;
}

static int check_handler(const char *path, const struct workpool_handler *handler, char *ret_why)
{
	if (!handler->run)
		return refuse(ret_why, path, "has no run()");
	if ((handler->flags & ~WORKPOOL_ANY_ARGS) != 0)
		return refuse(ret_why, path, "has a flag that is not known");
	if (!handler->name || !is_text(handler->name, SHOWN_PATH_MAX) || !handler->text ||
		!is_text(handler->text, HOSTMSG_TEXT_MAX))
		return refuse(ret_why, path, "its name or text is missing, too long or no UTF-8");
	if ((handler->flags & WORKPOOL_ANY_ARGS) != 0 && handler->n_params > 0)
		return refuse(ret_why, path, "has parameters, and a flag that says it has none");
	return check_params(path, handler, ret_why);
}

int module_open(const char *path, const char *symbol, const struct workpool_handler **ret_handler,
	char ret_why[SETTING_WHY_SIZE])
{
	int r = check_file(path, ret_why);

	if (r < 0)
		return r;
	/* All it needs now, so that nothing is missing later; its own symbols are for nobody else. */
	void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!module)
		return refuse(ret_why, path, "%s", load_error(path));
	const struct workpool_handler *handler = dlsym(module, symbol);
	if (!handler)
		return refuse(ret_why, path, "has no symbol \"%.64s\"", symbol);
	r = check_symbol(path, symbol, handler, ret_why);
	if (r == 0)
		r = check_handler(path, handler, ret_why);
	if (r == 0)
		*ret_handler = handler;
	return r;
}

struct param *module_params(const struct workpool_handler *handler)
{
	static const enum param_type types[] = {
		[WORKPOOL_BOOL] = PARAM_BOOL,
		[WORKPOOL_INT] = PARAM_INT,
		[WORKPOOL_STRING] = PARAM_STRING,
		[WORKPOOL_STRINGS] = PARAM_STRINGS,
		[WORKPOOL_OBJECT] = PARAM_OBJECT,
		[WORKPOOL_ANY] = PARAM_ANY,
		[WORKPOOL_ENUM] = PARAM_ENUM,
	};
	struct param *params = calloc(handler->n_params + 1, sizeof(*params)); /* never nothing */

	for (size_t i = 0; params && i < handler->n_params; i++) {
		const struct workpool_param *from = &handler->params[i];

		params[i] = (struct param){
			.name = from->name,
			.type = types[from->type],
			.flags = (from->flags & WORKPOOL_REQUIRED) != 0 ? PARAM_REQUIRED : 0,
			.offset = PARAM_NO_FIELD,
			.min = from->min,
			.max = from->max,
			.words = from->words,
			.text = from->text,
		};
	}
	return params;
}

bool module_knows_setting(const struct workpool_handler *handler, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = handler->settings ? handler->settings : ""; *at != '\0';
		at += strspn(at, " ")) {
		size_t n = strcspn(at, " ");

		if ((n == 1 && *at == '*') || (n == len && memcmp(at, name, n) == 0))
			return true;
		at += n;
	}
	return false;
}
