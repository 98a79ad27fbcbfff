/*
 * stations: the documents that are found, the same from the stand-in (canned.c) as from a server (finds.c).
 */
#ifndef WORKPOOL_BENCH_STATIONS_H
#define WORKPOOL_BENCH_STATIONS_H

#include <bson/bson.h>

#define STATIONS            200 /* documents, which one find reads all of */
#define STATIONS_DATABASE   "bench"
#define STATIONS_COLLECTION "stations"

/* Some 300 bytes; the caller destroys it. */
bson_t *stations_new(int number);

#endif
