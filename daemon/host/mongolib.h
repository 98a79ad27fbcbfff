/*
 * mongolib: libmongoc's and libbson's headers, whose inline functions do not keep to our warnings.
 */
#ifndef WORKPOOL_HOST_MONGOLIB_H
#define WORKPOOL_HOST_MONGOLIB_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <mongoc/mongoc.h>
#pragma GCC diagnostic pop

#endif
