/*
 * program: a program with our ends of its pipes and its pass through the sandbox, which has the directory that goes with it.
 * Not for what is said to it and when it has to end: attend.h does that while a task runs in it, keeper.h for one that is
 * kept.
 */
#ifndef WORKPOOL_HOST_PROGRAM_H
#define WORKPOOL_HOST_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "host/capture.h"
#include "host/exec_config.h"
#include "host/spawner.h"

struct program {
	struct spawner *spawner; /* borrows: as long as the host */
	struct child child;
	bool is_started; /* the spawner knows the child */
	int event_fd;    /* owns: news of the child; others who have any write to it, too */
	int in_fd;       /* owns: non-blocking; -1: nobody reads, or all was written */
	struct capture out, err;
	int theirs[SPAWN_STDIO];       /* own: its ends, until it has started; -1: none */
	struct sandbox_policy *policy; /* borrows: of its handler */
	struct sandbox_pass *pass;     /* owns; NULL: none yet */
};

/* limit: bytes of each output that are kept. */
void program_init(struct program *program, struct spawner *spawner, size_t limit);
/* The program is KILLed if it still runs. What it had goes. */
void program_done(struct program *program);
/* All that it needs: from here on in_fd takes what it is to read. -errno and why. */
int program_open(struct program *program, const struct exec_config *config,
	char ret_why[SETTING_WHY_SIZE]) MUST_CHECK;
/* env: begins with the words of exec_config.h, and gets more; stays the caller's. -errno. */
int program_start(
	struct program *program, const struct exec_config *config, struct words *env) MUST_CHECK;
struct child program_look(const struct program *program);
bool program_has_ended(const struct program *program); /* or could not be started */
/* To its whole process group. */
void program_signal(const struct program *program, int signal);
void program_wake(const struct program *program); /* whoever waits for event_fd */
void program_hear(
	const struct program *program); /* takes the news, so that it can be waited for the next */
/* What is in memory of it, not of its children; 0: nobody can tell. */
uint64_t program_rss_bytes(const struct program *program);

#endif
