/*
 * mongolib: libmongoc's and libbson's headers, whose inline functions do not keep to our warnings, and the libraries
 * themselves: loaded when the first handler wants them, not with the program. For they get ready for work as soon as they
 * are loaded, TLS, SASL and all: that takes longer than all else at a host's start, and nine parts in ten of its own memory
 * (measured), and many hosts have no MongoDB to talk to.
 */
#ifndef WORKPOOL_HOST_MONGOLIB_H
#define WORKPOOL_HOST_MONGOLIB_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <mongoc/mongoc.h>
#pragma GCC diagnostic pop

#include "base/mem.h"
#include "host/setting.h"

/* Called as mongolib.bson_init(…), after mongolib_open(). */
struct mongolib {
#define MONGOLIB(name) __typeof__(name) *name;
#include "host/mongolib.def"
#undef MONGOLIB
};

extern struct mongolib mongolib;

/* Once is enough, more do no harm. Before the first thread. -ENOENT: ret_why, a sentence. */
int mongolib_open(char ret_why[SETTING_WHY_SIZE]) MUST_CHECK;

#endif
