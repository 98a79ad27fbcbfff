/*
 * mem: the one helper over malloc(3) that does not fit into a header.
 * Called from every room. Nothing here ends the program: no memory is an answer.
 */
#include "base/mem.h"

#include <stdint.h>
#include <string.h>

char *mem_dup(const char *data, size_t len)
{
	if (len == SIZE_MAX)
		return NULL;
	char *copy = malloc(len + 1);
	if (!copy)
		return NULL;
	if (len > 0)
		memcpy(copy, data, len);
	copy[len] = '\0';
	return copy;
}
