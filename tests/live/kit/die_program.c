/*
 * die_program: dies as the args of its task say, and else succeeds: as a program of type coprocess, or of type exec.
 */
#include <stdio.h>

#include "die.h"

int main(void)
{
	char *line = NULL;
	size_t size = 0;
	unsigned long long id;

	while (getline(&line, &size, stdin) > 0) {
		die_if_asked(line);
		if (sscanf(line, "{\"id\":%llu", &id) != 1)
			return 0; /* args and no more: it is exec's */
		(void)printf("{\"id\":%llu,\"result\":%d}\n", id, (int)getpid());
		(void)fflush(stdout);
	}
	return 0;
}
