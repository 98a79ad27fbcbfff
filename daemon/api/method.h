/*
 * method: a method of the control socket is one row: what it is called, who may call it, what it takes and answers, and
 * the function that does it. Interface description, role check, parameter check and the manual come from the row.
 */
#ifndef WORKPOOL_API_METHOD_H
#define WORKPOOL_API_METHOD_H

#include <stddef.h>

#include "api/call.h"
#include "net/peer.h"
#include "wire/param.h"
#include "wire/scan.h"

#define METHOD_INTERFACE "org.workpool"
#define METHOD_SERVICE   "org.varlink.service"

/* Runs when the turn's commit has succeeded or failed, not before: what it tells is then true. For all that only reads. */
#define METHOD_READS 1u
/* May answer several times to a call with "more". */
#define METHOD_STREAMS 2u
/* Its answer may be long in coming: the calls behind it on its connection wait, as behind one that streams. */
#define METHOD_HOLDS 4u
/* Many come, and run() is through with what the parameters borrow: they may be read without a tree (wire/scan.h). */
#define METHOD_SCANS 8u

struct method {
	const char *interface;
	const char *name;
	enum role role; /* the least that may call it */
	unsigned flags;
	const struct param *params;
	size_t n_params;
	size_t values_size;   /* of the struct that params are read into */
	const void *defaults; /* what that struct begins as; NULL: all zero */
	const char *
		reply; /* fields, as the interface description says them: "id: string, state: TaskState" */
	const char *text; /* what it does, for people; one or two lines */
	void (*run)(struct call *call);
	void (*done)(struct
		call *call); /* the call ends, answered or not: gives back what run() took; may be NULL */
};

#define METHOD_PARAMS(table, values)                                                               \
	.params = (table), .n_params = ARRAY_SIZE(table), .values_size = sizeof(struct values)
#define METHOD_FIELD(values, field) .offset = offsetof(struct values, field)

extern const struct method *const method_rows[];
extern const size_t method_n_rows;

/* By its full name, "org.workpool.Post"; NULL: none. */
const struct method *method_find(const char *full_name);
/* Checks role and parameters, then runs the call, now or at the turn's end. */
void method_dispatch(struct call *call);
/* The call's parameters out of a scan, if it is as simple as that; else the same is for method_dispatch() to tell. */
bool method_scan(struct call *call, const struct scan *scan) MUST_CHECK;

#define METHOD(name) extern const struct method method_##name;
#include "api/methods.def"
#undef METHOD

#endif
