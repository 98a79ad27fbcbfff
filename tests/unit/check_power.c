/*
 * check_power: the power is cut, at any moment, and the disk holds what was flushed and any part of the rest (power_vfs.h). What a turn
 * had settled is there: no post is lost, no end is undone, and the file is sound.
 * POWER_CUTS: how many.
 */
#include "store_fixture.h"

#include <sqlite3.h>

#include "power_vfs.h"
#include "store/store_file.h"

#define CUTS    300
#define ROOM    2000 /* tasks on a board */
#define HISTORY 60

/* A board as it was settled. */
struct known {
	struct {
		uint64_t id;
		uint32_t attempt;
		enum task_state state;
		bool is_cancelled; /* while it was active */
	} tasks[ROOM];
	size_t n;
	uint64_t last_id;
};

static struct {
	uint64_t tasks, ended, cuts, within, lost, undone, corrupt;
} sums;

static void remember(struct known *known, const struct board *board)
{
	const struct task *task;

	known->n = 0;
	known->last_id = board->last_id;
	BOARD_FOREACH(task, board)
	{
		ck_assert_uint_lt(known->n, ROOM);
		known->tasks[known->n].id = task->id;
		known->tasks[known->n].attempt = task->attempt;
		known->tasks[known->n].is_cancelled = task->state == TASK_ACTIVE && task->cancelled;
		known->tasks[known->n++].state = (enum task_state)task->state;
	}
}

/* How much later than `known` the cut may have been. */
enum slack {
	SLACK_NONE,
	SLACK_WITHIN, /* in the middle of the next turn, of which all, nothing or a part is there */
	SLACK_BESIDE  /* turns later, whose flush had not ended: the same of all that they did */
};

/* Whatever was not done may have been retried and have ended again; and an end may have left the history. */
static bool may_differ(const struct known *known, size_t i, enum slack slack)
{
	return slack == SLACK_BESIDE && known->tasks[i].state > TASK_DONE;
}

static void compare(const struct known *known, const struct board *board, enum slack slack)
{
	bool within = slack != SLACK_NONE;

	for (size_t i = 0; i < known->n; i++) {
		const struct task *task = board_find_task(board, known->tasks[i].id);
		bool was_ended = known->tasks[i].state >= TASK_DONE;

		sums.tasks++;
		sums.ended += was_ended;
		if (task == NULL)
			sums.lost += slack != SLACK_BESIDE || !was_ended;
		else if (may_differ(known, i, slack))
			continue;
		else if (was_ended && (task->state != known->tasks[i].state ||
					      task->attempt != known->tasks[i].attempt))
			sums.undone += !within ||
				       task->state != TASK_QUEUED; /* perhaps the turn retried it */
		else if (known->tasks[i].is_cancelled)
			sums.undone += !task_is_ended(task) &&
				       slack != SLACK_BESIDE; /* it would run again */
		else if (!was_ended && task_is_ended(task) && !within)
			sums.undone++; /* a retry that was told */
	}
	if (board->last_id < known->last_id)
		sums.lost++; /* an id would be given twice */
}

static void act(struct box *box, uint64_t *seed)
{
	static char pad[20000];
	size_t len;
	struct fixture *fx = &box->fx;
	uint64_t n = 0, at = fixture_random(seed) % 64;
	struct post post = box_post(box);
	struct task *task;

	for (task = board_below(fx->board, UINT64_MAX); task;
		task = board_below(fx->board, task->id))
		if (n++ == at)
			break;
	switch (fixture_random(seed) % 10) {
	case 0:
		if (task != NULL)
			IGNORE(board_cancel(fx->board, task, fx->now_us)); /* it may have ended */
		break;
	case 1:
		if (task != NULL)
			IGNORE(board_retry(fx->board, task, fx->now_us)); /* it may run */
		break;
	case 2:
		fx->now_us += US_PER_SEC;
		break;
	case 3:
	case 4:
	case 5:
		memset(pad, 'x', sizeof pad);
		len = 2 + fixture_random(seed) % (fixture_random(seed) % 8 == 0 ? 19000 : 900);
		pad[0] = pad[len - 1] = '"';
		post.args = (struct view){pad, len};
		post.delay_us = fixture_random(seed) % 4 == 0 ? 60 * US_PER_SEC : 0;
		if (fx->board->last_id < UINT64_MAX)
			IGNORE(board_post(
				fx->board, &post, fx->now_us, &task)); /* the queue may be full */
		memset(pad, 'x', sizeof pad);
		break;
	default:
		BOARD_FOREACH(task, fx->board)
		if (task->state == TASK_ACTIVE && !task->unsent && fixture_random(seed) % 2 == 0)
			break;
		if (task != NULL)
			IGNORE(fixture_end(fx, task,
				fixture_random(seed) % 4 == 0 ? RESULT_FAILED
							      : RESULT_OK)); /* it may be asked */
		break;
	}
}

static void turn(struct box *box, struct known *known, uint64_t *seed)
{
	for (uint64_t n = fixture_random(seed) % 12; n > 0; n--)
		act(box, seed);
	box_turn_ok(box);
	if (power.is_cut)
		return;
	remember(known, box->fx.board);
	(void)store_tend(box->store,
		fixture_random(seed) % 3 ==
			0); /* checkpoints and what is given back: cuts come there, too */
}

/*
 * Flushes beside the loop (net/gate.h): while one is under way the next turn is written and settled; known is what the last one that
 * has ended had.
 */
static void turns_beside(struct box *box, struct known *known, uint64_t *seed)
{
	static struct known coming;
	struct fixture *fx = &box->fx;

	for (unsigned turns = 0;; turns++) { /* leaves it only when no flush is under way */
		bool is_under_way = turns > 0;

		for (uint64_t n = fixture_random(seed) % 12; n > 0; n--)
			act(box, seed);
		deadline_run(&fx->board->deadlines, fx->now_us);
		fixture_sched(fx);
		ck_assert_int_eq(store_commit(box->store, fx->board), 0);
		board_settle(fx->board, fx->now_us);
		fixture_hand_over(fx);
		board_sweep(fx->board);
		if (is_under_way)
			ck_assert_int_eq(store_end_flush(box->store), 0);
		if (power.is_cut)
			return;
		if (is_under_way)
			*known = coming;
		(void)store_tend(box->store, fixture_random(seed) % 3 == 0);
		if (power.is_cut || turns == 120)
			return;
		remember(&coming, fx->board);
		store_begin_flush(box->store);
	}
}

/* From a start to a cut, in one of the calls of the next turns or between two; then the disk is what the next start finds. */
static void live_and_die(struct box *box, struct known *known, uint64_t *seed)
{
	FILE *nothing = fopen("/dev/null", "w");
	char *why = box->why;
	bool within, is_beside = sums.cuts % 3 == 2;
	int r;

	ck_assert_ptr_nonnull(nothing);
	power.is_cut = false;
	power.seed = fixture_random(seed);
	power.in = fixture_random(seed) % 4 == 0 ? 0 : 1 + (unsigned)(fixture_random(seed) % 400);
	(void)snprintf(power.to, sizeof power.to, "%.64s/cut-%u", box->dir, ++box->crashes);
	box_shell("mkdir %s", power.to);
	if (is_beside)
		turns_beside(box, known, seed);
	for (unsigned turns = 0; !is_beside && !power.is_cut && turns < 120; turns++)
		turn(box, known, seed);
	within = power.is_cut;
	sums.within += within;
	if (!within)
		power_cut();
	power.in = 0;
	store_close(box->store, NULL);
	fixture_close(&box->fx);
	(void)snprintf(box->path, sizeof box->path, "%.256s/tasks.db", power.to);
	sums.cuts++;
	r = store_file_check(box->path, nothing, why);
	ck_assert_int_eq(fclose(nothing), 0);
	if (r == 0)
		r = box_try_open(box);
	if (r < 0)
		sums.corrupt++;
	ck_assert_msg(r == 0, "cut %lu, seed %lu: %s", sums.cuts, power.seed, why);
	compare(known, box->fx.board,
		is_beside ? SLACK_BESIDE
		: within  ? SLACK_WITHIN
			  : SLACK_NONE);
	ck_assert_msg(sums.lost + sums.undone == 0 || power.is_lying,
		"cut %lu%s: %lu lost, %lu undone", sums.cuts,
		within ? ", in the middle of a turn" : "", sums.lost, sums.undone);
	remember(known, box->fx.board);
	if (box->crashes > 1)
		box_shell("rm -rf %.64s/cut-%u", box->dir, box->crashes - 1);
}

static void open_on_a_disk(struct box *box)
{
	box_init(box, 4, 400);
	box->fx.settings.daemon.history_max = HISTORY;
	box->options.vfs = POWER_VFS;
	box->options.max_bytes = 64u << 20;
	power_register();
	box_open(box);
}

START_TEST(test_power_what_was_settled_is_there_after_a_cut)
{
	static struct known known;
	uint64_t seed = 7, cuts = getenv("POWER_CUTS") != NULL
					  ? strtoull(getenv("POWER_CUTS"), NULL, 10)
					  : CUTS;
	struct box box;

	open_on_a_disk(&box);
	remember(&known, box.fx.board);
	while (sums.cuts < cuts)
		live_and_die(&box, &known, &seed);
	box_close(&box);
	printf("%lu tried, %lu crashed, %lu lost (%lu cuts of power, %lu of them within a turn; "
	       "%lu "
	       "ends, %lu of them undone)\n",
		sums.tasks, sums.corrupt, sums.lost, sums.cuts, sums.within, sums.ended,
		sums.undone);
	ck_assert_uint_gt(sums.within, cuts / 3);
	ck_assert_uint_lt(sums.within, cuts);
}
END_TEST

START_TEST(test_power_a_flush_that_lies_is_found)
{
	static struct known known;
	uint64_t seed = 7;
	struct box box;

	memset(&sums, 0, sizeof sums);
	open_on_a_disk(&box);
	power.is_lying = true;
	for (unsigned i = 0; i < 20 && sums.lost + sums.undone == 0; i++)
		live_and_die(&box, &known, &seed);
	power.is_lying = false;
	ck_assert_uint_gt(sums.lost + sums.undone, 0);
	box_close(&box);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("power");

	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, test_power_what_was_settled_is_there_after_a_cut);
	tcase_add_test(tcase, test_power_a_flush_that_lies_is_found);
	return fixture_run("power", tcase);
}
