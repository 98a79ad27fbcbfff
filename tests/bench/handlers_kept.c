/*
 * handlers_kept: the smallest program of type coprocess, for tests/bench/handlers: it answers null, and takes no more of a
 * task than its id.
 */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	char *line = NULL;
	size_t size = 0;
	unsigned long long id;

	while (getline(&line, &size, stdin) > 0) {
		if (sscanf(line, "{\"id\":%llu", &id) != 1)
			return 1;
		(void)printf("{\"id\":%llu,\"result\":null}\n", id);
		(void)fflush(stdout);
	}
	free(line);
	return 0;
}
