/*
 * confine: see confine.h. Called by reaper.c (confine_new()), birth.c (what is between vfork and execve) and sandbox.c.
 *
 * Capabilities: only root's programs have any. They keep those that are about files, users and ports; with the others a
 * program could raise its limits, mount, trace, load, make device nodes, or look past Landlock.
 * System calls: prlimit(2) with another process's number could end the daemon, which has the same user; truncate(2) by
 * path is Landlock's only from an ABI on. A filter looks at numbers only, so setrlimit(2) and ftruncate(2) work as ever.
 */
#include "host/confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/landlock.h"

#define CAPABILITIES 64

static const unsigned kept[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_KILL,
	CAP_SETGID, CAP_SETUID, CAP_NET_BIND_SERVICE};

/* The calls' numbers, for each architecture whose programs the kernel may run. All of them are little endian. */
struct architecture {
	uint32_t audit;
	uint32_t number_mask;
	uint32_t prlimit;
	uint32_t truncate[2];
};

static const struct architecture architectures[] = {
#if defined(__x86_64__)
	{AUDIT_ARCH_X86_64, ~0x40000000u /* x32 */, 302, {76, 76}},
	{AUDIT_ARCH_I386, ~0u, 340, {92, 193}},
#elif defined(__aarch64__)
	{AUDIT_ARCH_AARCH64, ~0u, 261, {45, 45}},
	{AUDIT_ARCH_ARM, ~0u, 369, {92, 193}},
#else
	{0, 0, 0, {0, 0}}, /* matches none */
#endif
};

#define FILTER_BLOCK 14
#define FILTER_MAX   (1 + FILTER_BLOCK * ARRAY_SIZE(architectures) + 1)

/* Numbers of capabilities. */
struct capabilities {
	unsigned at[CAPABILITIES];
	size_t n;
};

struct confine {
	struct capabilities bounding,
		ambient;      /* what execve(2) would give to a program, and is to be taken away */
	bool has_inheritable; /* as well */
	struct __user_cap_data_struct sets[2]; /* with less of these */
	struct sock_filter filter[FILTER_MAX];
	struct sock_fprog program; /* of length 0: none */
};

static bool is_kept(unsigned capability)
{
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		if (kept[i] == capability)
			return true;
	}
	return false;
}

static void look_at_capabilities(struct confine *confine)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct *sets = confine->sets;
	struct capabilities *bounding = &confine->bounding, *ambient = &confine->ambient;

	if (syscall(SYS_capget, &head, sets) < 0)
		return;
	/* Without this one the bounding set has to stay as it is. */
	bool can_drop = (sets[0].effective & 1u << CAP_SETPCAP) != 0;
	for (unsigned i = 0; i < CAPABILITIES; i++) {
		uint32_t bit = 1u << i % 32;

		if (is_kept(i))
			continue;
		if (can_drop && prctl(PR_CAPBSET_READ, i) == 1)
			bounding->at[bounding->n++] = i;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) == 1)
			ambient->at[ambient->n++] = i;
		/* Only to root's programs does this one give anything: no file of others may, without new privileges. */
		confine->has_inheritable |= geteuid() == 0 && (sets[i / 32].inheritable & bit) != 0;
		sets[i / 32].inheritable &= ~bit;
	}
}

#define LOAD(field)                                                                                \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define HIGH               (uint32_t)sizeof(uint32_t)
#define IS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define RETURN(what)       BPF_STMT(BPF_RET | BPF_K, (what))

/* Jumps are counted from the next line. A foreign prlimit(2) that only asks is let through. */
static void add_block(struct confine *confine, const struct architecture *is, bool has_truncate)
{
	const struct sock_filter block[FILTER_BLOCK] = {
		IS(is->audit, 0, FILTER_BLOCK - 1),
		LOAD(nr),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, is->number_mask),
		IS(is->prlimit, 0, 6),
		LOAD(args[0]), /* whose limit: 0 is its own */
		IS(0, 6, 0),
		LOAD(args[2]), /* the new limit's address, low and high */
		IS(0, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			(uint32_t)offsetof(struct seccomp_data, args[2]) + HIGH),
		IS(0, 2, 3),
		IS(has_truncate ? is->prlimit : is->truncate[0], 2, 0),
		IS(has_truncate ? is->prlimit : is->truncate[1], 1, 0),
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(SECCOMP_RET_ERRNO | EPERM),
	};

	memcpy(&confine->filter[confine->program.len], block, sizeof(block));
	confine->program.len += FILTER_BLOCK;
}

bool confine_can_filter(void)
{
	/* Nobody has a filter at address 0. */
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) < 0 && errno == EFAULT;
}

const struct confine *confine_new(uint32_t landlock_abi)
{
	static const struct sock_filter first = LOAD(arch), last = RETURN(SECCOMP_RET_ALLOW);
	static struct confine
		confine; /* static: one a process, and children use it without memory of their own */

	confine = (struct confine){.program = {.len = 0, .filter = confine.filter}};
	look_at_capabilities(&confine);
	if (!confine_can_filter())
		return &confine;
	confine.filter[confine.program.len++] = first;
	for (size_t i = 0; i < ARRAY_SIZE(architectures); i++)
		add_block(&confine, &architectures[i], landlock_abi >= LANDLOCK_ABI_TRUNCATE);
	confine.filter[confine.program.len++] = last;
	return &confine;
}

int confine_capabilities(const struct confine *confine)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};

	for (size_t i = 0; i < confine->bounding.n; i++) {
		if (prctl(PR_CAPBSET_DROP, confine->bounding.at[i]) < 0)
			return -1;
	}
	for (size_t i = 0; i < confine->ambient.n; i++) {
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, confine->ambient.at[i], 0, 0) < 0)
			return -1;
	}
	return confine->has_inheritable ? (int)syscall(SYS_capset, &head, confine->sets) : 0;
}

int confine_calls(const struct confine *confine)
{
	if (confine->program.len == 0)
		return 0;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &confine->program);
}
