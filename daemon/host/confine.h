/*
 * confine: what a program in a sandbox gives up beside files: capabilities that lead out of it, and system calls that act
 * on other processes and that Landlock does not know.
 */
#ifndef WORKPOOL_HOST_CONFINE_H
#define WORKPOOL_HOST_CONFINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

struct confine;

bool confine_can_filter(void); /* this kernel takes filters of system calls */
/* What is to be done on this kernel, found out once; a constant from then on. landlock_abi: 0: none. */
const struct confine *confine_new(uint32_t landlock_abi);
/* Programs that this process executes from now on, and those that its children do; needs no_new_privs. What it may itself
 * stays, but for the calls. Only system calls: for between vfork(2) and execve(2), or for once and all. 0, or -1 with errno. */
int confine_capabilities(const struct confine *confine) MUST_CHECK;
int confine_calls(const struct confine *confine) MUST_CHECK;

#endif
