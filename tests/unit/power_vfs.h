/*
 * power_vfs: SQLite's own file system, and beside each file what of it is on the disk. When the power is cut, what was written since a
 * file's last flush is there, or not, or in part: each piece of 512 bytes as the dice say, in any order, the last one perhaps torn.
 * A file that begins to be there, or not, is so at once: SQLite flushes the folder.
 */
#ifndef WORKPOOL_TESTS_UNIT_POWER_VFS_H
#define WORKPOOL_TESTS_UNIT_POWER_VFS_H

#include <stdbool.h>
#include <stdint.h>

#define POWER_VFS "power"

struct power {
	uint64_t seed; /* of the dice */
	unsigned in;   /* calls that change a file until the cut; 0: none is to come */
	bool is_cut;   /* the image is there */
	bool is_lying; /* a planted fault: a flush that says it was one */
	char to[256];  /* the folder of the image */
	uint64_t calls, flushes;
};

extern struct power power;

void power_register(void);
/* Writes the disk's image into power.to: now, or when `in` calls have been made. */
void power_cut(void);

#endif
