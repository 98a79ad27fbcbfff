/*
 * store_fixture: core_fixture's board with a store in SQLite behind it, in a folder of its own. box_crash() is what a killed daemon
 * leaves behind: its files are copied while it has them, and the copy is opened.
 */
#ifndef WORKPOOL_TESTS_UNIT_STORE_FIXTURE_H
#define WORKPOOL_TESTS_UNIT_STORE_FIXTURE_H

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "core_fixture.h"
#include "store/store_sqlite.h"

#define BOX_NOW_US  (UINT64_C(2000000000) * US_PER_SEC)
#define BOX_WALL_US (UINT64_C(1700000000) * US_PER_SEC)

struct box {
	struct fixture fx;
	struct store *store;
	char dir[64], path[STORE_PATH_MAX], why[STORE_WHY_SIZE];
	unsigned crashes;
	struct store_sqlite_options options;
	uint64_t wall_us; /* at BOX_NOW_US */
};

static inline void box_shell(const char *format, ...) PRINTF_LIKE(1, 2);
static inline void box_shell(const char *format, ...)
{
	char command[4 * STORE_PATH_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(command, sizeof command, format, args);
	va_end(args);
	ck_assert_msg(system(command) == 0, "%s", command);
}

static inline uint64_t box_wall_us(const struct box *box)
{
	return box->fx.now_us - BOX_NOW_US + box->wall_us;
}

/* Settings may be changed between box_init() and box_open(). */
static inline void box_init(struct box *box, uint32_t workers, uint64_t capacity)
{
	*box = (struct box){.dir = "/tmp/workpool-store-XXXXXX", .wall_us = BOX_WALL_US};
	ck_assert_ptr_nonnull(mkdtemp(box->dir));
	(void)snprintf(box->path, sizeof box->path, "%s/tasks.db", box->dir);
	box->options = (struct store_sqlite_options){
		.is_full_sync = true, .max_bytes = 1u << 30, .reserve_bytes = 1u << 20};
	log_set_level((enum log_level)0);
	fixture_init(&box->fx, workers, capacity);
	box->fx.now_us = BOX_NOW_US;
}

/* What the opening says; on 0 the board is there. */
static inline int box_try_open(struct box *box)
{
	struct fixture *fx = &box->fx;
	int r;

	box->options.path = box->path;
	r = store_sqlite_open(&box->options, &box->store, box->why);
	if (r < 0)
		return r;
	fixture_open(fx);
	fx->board->keeps = box->store->ops->keeps;
	r = store_load(box->store, fx->board, fx->now_us, box_wall_us(box), box->why);
	board_flush_begins(fx->board);
	board_flush_ended(fx->board);
	if (r < 0) {
		store_close(box->store, NULL);
		board_free(fx->board);
	}
	return r;
}

static inline void box_open(struct box *box)
{
	int r = box_try_open(box);

	ck_assert_msg(r == 0, "%d: %s", r, box->why);
	fixture_check(&box->fx);
}

/* A turn with a real commit; what it said. */
static inline int box_turn(struct box *box)
{
	struct fixture *fx = &box->fx;
	int r;

	deadline_run(&fx->board->deadlines, fx->now_us);
	fixture_sched(fx);
	r = board_is_clean(fx->board) ? 0 : store_commit(box->store, fx->board);
	if (r == 0) {
		board_settle_starts(fx->board);
		fixture_check(fx);
		r = store_flush(box->store);
	}
	if (r == 0) {
		board_flush_begins(fx->board);
		board_flush_ended(fx->board);
	}
	if (r == 0)
		board_settle(fx->board, fx->now_us);
	else
		board_undo(fx->board, r);
	fixture_check(fx);
	fixture_hand_over(fx);
	board_sweep(fx->board);
	fixture_check(fx);
	return r;
}

static inline void box_turn_ok(struct box *box)
{
	ck_assert_int_eq(box_turn(box), 0);
}

static inline void box_shut(struct box *box)
{
	store_close(box->store, box->fx.board);
	fixture_close(&box->fx);
}

/* A stop and a start. */
static inline void box_restart(struct box *box)
{
	box_shut(box);
	box_open(box);
}

/* The files as they are now, elsewhere; box->path is there from here on. */
static inline void box_copy(struct box *box)
{
	char to[STORE_PATH_MAX];

	(void)snprintf(to, sizeof to, "%.64s/crash-%u", box->dir, ++box->crashes);
	box_shell("mkdir %s && cp %s* %s/", to, box->path, to);
	(void)snprintf(box->path, sizeof box->path, "%.1024s/tasks.db", to);
}

static inline void box_crash(struct box *box)
{
	box_copy(box);
	store_close(box->store, NULL);
	fixture_close(&box->fx);
	box_open(box);
}

static inline void box_done(struct box *box)
{
	box_shell("rm -rf %s", box->dir);
}

static inline void box_close(struct box *box)
{
	box_shut(box);
	box_done(box);
}

/* A post by box->fx's clock and calendar. */
static inline struct post box_post(const struct box *box)
{
	struct post post = fixture_make_post(&box->fx, box->fx.pool);

	post.wall_us = box_wall_us(box);
	return post;
}

static inline struct task *box_post_one(struct box *box)
{
	const struct post post = box_post(box);

	return fixture_post_as(&box->fx, &post);
}

#endif
