/*
 * die: nine ways for a process to end that nobody wants; for test_dying.py, in programs and in modules.
 */
#ifndef WORKPOOL_TESTS_DIE_H
#define WORKPOOL_TESTS_DIE_H

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DIE_ROOM (64u << 20) /* of address space, until there is no more */

static void die_by_segv(void)
{
	*(volatile int *)8 = 1;
}

static void die_by_fpe(void)
{
	volatile int zero = 0;

	zero = 1 / zero;
	(void)raise(SIGFPE); /* where the processor does not mind */
}

static __attribute__((noinline)) int die_deeper(volatile char *above)
{
	volatile char here[4096];

	here[0] = above ? above[0] : 0;
	return die_deeper(here) + here[0];
}

static void die_by_stack(void)
{
	(void)die_deeper(NULL);
}

/* Not of the machine's memory, but of its own: as a program that does not look at what malloc(3) says. */
static void die_by_memory(void)
{
	struct rlimit limit = {DIE_ROOM, DIE_ROOM};

	(void)setrlimit(RLIMIT_AS, &limit);
	for (;;) {
		volatile char *more = malloc(1 << 20);
		more[0] = 1;
	}
}

static void die_by_under_exit(void)
{
	_exit(3);
}

static void die_by_exit(void)
{
	exit(3);
}

static void die_by_kill(void)
{
	(void)kill(getpid(), SIGKILL);
}

static void die_by_stop(void)
{
	(void)kill(getpid(), SIGSTOP);
	for (;;)
		(void)pause();
}

static const struct {
	const char *word;
	void (*die)(void);
} die_ways[] = {
	{"segv", die_by_segv},
	{"abort", abort},
	{"fpe", die_by_fpe},
	{"stack", die_by_stack},
	{"memory", die_by_memory},
	{"_exit", die_by_under_exit},
	{"exit", die_by_exit},
	{"kill", die_by_kill},
	{"stop", die_by_stop},
};

/* args: JSON that holds {"die":"word"}; returns when it holds none of the words. */
static void die_if_asked(const char *args)
{
	static const char name[] = "\"die\":\"";
	const char *at = strstr(args, name);

	for (size_t i = 0; at && i < sizeof(die_ways) / sizeof(die_ways[0]); i++) {
		size_t len = strlen(die_ways[i].word);
		const char *word = at + sizeof(name) - 1;
		if (strncmp(word, die_ways[i].word, len) == 0 && word[len] == '"')
			die_ways[i].die();
	}
}

#endif
