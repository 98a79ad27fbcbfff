/*
 * reload: what the settings say of what may change while the daemon runs, for the board itself; board.h has board_reload().
 */
#ifndef WORKPOOL_CORE_RELOAD_H
#define WORKPOOL_CORE_RELOAD_H

struct board;

/* The limits of all that holds tasks back, as board->settings say. */
void reload_set_limits(struct board *board);

#endif
