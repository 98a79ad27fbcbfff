/*
 * workpool-host: the process that runs a pool's tasks. Started by workpoold with one end of a socketpair as descriptor 3
 * and the pool's name as argument, which is for ps(1) only. Not for people.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "host/host.h"

#define LINK_FD    3
#define EXIT_USAGE 64 /* EX_USAGE of sysexits.h */

int main(int argc, char **argv)
{
	struct stat st;

	(void)argc;
	(void)argv;
	if (fstat(LINK_FD, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		(void)fprintf(stderr, "workpool-host: started by workpoold only\n");
		return EXIT_USAGE;
	}
	/* What is in memory, descriptors and environment is for no process of the same user to see: programs of tasks are. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)fcntl(LINK_FD, F_SETFD, FD_CLOEXEC);
	/* Nothing else was promised; what came by mistake goes no further. */
	(void)close_range(LINK_FD + 1, ~0U, 0);
	log_open(LOG_AUTO, "workpool-host");
	host_run(LINK_FD);
}
