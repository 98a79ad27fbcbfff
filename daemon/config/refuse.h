/*
 * refuse: the one line for people that says what is wrong with the configuration, and where.
 * Foreign text in it is escaped and cut. Called by all of config; `why` is always the caller's, of
 * CONFIG_WHY_SIZE bytes, and every function returns `error`.
 */
#ifndef WORKPOOL_CONFIG_REFUSE_H
#define WORKPOOL_CONFIG_REFUSE_H

#include <stdarg.h>

#include "config/config.h"
#include "config/origins.h"

/* A section of settings, for messages. */
struct refuse_section {
	const struct settings *settings; /* borrows: until the call returns; has the origins */
	enum config_scope scope;         /* CONFIG_SCOPES: no section */
	size_t at;
};

/*
 * FILE:LINE: [pool mail] workers: "x": reason. key and value may be NULL; whoever calls leaves a
 * secret's value out.
 */
int refuse_line(char *why, int error, struct refuse_section section, struct origin origin,
	const char *key, const char *value, const char *fmt, ...) PRINTF_LIKE(7, 8);
int refuse_line_va(char *why, int error, struct refuse_section section, struct origin origin,
	const char *key, const char *value, const char *fmt, va_list args) PRINTF_LIKE(7, 0);

/* FILE: reason, for a file that could not be read. */
int refuse_file(char *why, int error, const char *file, const char *reason);

#endif
