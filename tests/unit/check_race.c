/*
 * check_race: whatever races (cancel, finish, time limit, host's death, retry, stop, a commit that fails), a task ends once
 * for each time that it was posted or retried. The oracle knows nothing of the rules: it counts what board->changed tells,
 * and compares it with what the calls answered. CHECK_SEED=n runs that seed only.
 */
#include <stdio.h>

#include "core_fixture.h"

#define TASKS 4000 /* of one board */

static struct fixture fx;
static uint64_t seed;

static struct life {
	unsigned begun;    /* posts and retries that were told */
	unsigned ended;    /* ends that were told */
	unsigned accepted; /* finish said that it took a success */
	unsigned done;     /* … and was told */
} lives[TASKS + 64];

static struct {
	struct watch watch;
	unsigned long ends[TASK_STATES];
} oracle;

static uint64_t pick(uint64_t n)
{
	return fixture_random(&seed) % n;
}

static void on_changed(struct watch *watch, struct task *task, int error)
{
	struct life *life = &lives[task->id];
	const unsigned begins = 1u << EV_POST | 1u << EV_POST_LATER | 1u << EV_RETRY;

	(void)watch;
	MUST(error == 0);
	life->begun += (task->news & begins) != 0;
	if (task_is_ended(task)) {
		life->ended++;
		oracle.ends[task->state]++;
	}
	life->done += task->state == TASK_DONE;
	MUST(life->begun == life->ended + !task_is_ended(task));
	MUST(life->done <= life->accepted);
}

/* Any task that is known, also one that has ended: races ask for what is gone. */
static struct task *pick_task(void)
{
	uint64_t last = fx.board->last_id;

	if (last == 0)
		return NULL;
	return board_find_task(fx.board, last - pick(last < 60 ? last : 60));
}

static void do_post(void)
{
	struct post post = fixture_make_post(&fx, pick(2) == 0 ? fx.pool : fx.other);
	char key[8];
	struct task *task;

	if (fx.board->last_id >= TASKS)
		return;
	post.handler = &fx.board->handlers[pick(FIXTURE_HANDLERS)];
	post.priority = (uint8_t)pick(TASK_PRIORITIES);
	post.retries = (uint32_t)pick(3);
	post.timeout_us = pick(2) * pick(300);
	post.delay_us = pick(3) == 0 ? pick(200) : 0;
	post.expiry_us = pick(4) == 0 ? pick(400) : 0;
	post.room_us = pick(3) == 0 ? pick(300) : 0;
	(void)snprintf(key, sizeof key, "%u", (unsigned)pick(20));
	post.unique = view_of(pick(3) == 0 ? key : "");
	IGNORE(board_post(fx.board, &post, fx.now_us, &task)); /* refused or not: both are fine */
}

static void do_finish(void)
{
	const struct result result = {.outcome = (uint8_t)pick(RESULT_OUTCOMES)};
	const struct task *task = pick_task();
	uint32_t attempt, present;
	uint64_t id;

	if (task == NULL)
		return;
	id = task->id;
	present = task->attempt;
	attempt = present - (pick(6) == 0);
	for (uint64_t n = 1 + pick(2); n > 0; n--) { /* also twice */
		int r = board_finish(fx.board, id, attempt, &result, fx.now_us);

		MUST(r == 0 || r == -ENOENT || r == -EPROTO);
		MUST(r != 0 || attempt == present);
		lives[id].accepted += r == 0 && result.outcome == RESULT_OK;
	}
}

static void do_cancel(void)
{
	struct task *task = pick_task();

	if (task != NULL)
		IGNORE(board_cancel(fx.board, task, fx.now_us)); /* it may have ended */
}

static void do_retry(void)
{
	struct task *task = pick_task();

	if (task != NULL)
		IGNORE(board_retry(fx.board, task, fx.now_us)); /* the same */
}

static void do_host(void)
{
	struct pool *pool = pick(2) == 0 ? fx.pool : fx.other;
	char *hosts = pool == fx.pool ? &fx.hosts[0] : &fx.hosts[2];

	if (pick(2) == 0) {
		(void)board_host_gone(fx.board, pool, &hosts[pick(2)], pick(3) == 0, fx.now_us);
		return;
	}
	if (pool->slots.host == NULL && slots_count_of(&pool->slots, &hosts[0]) == 0)
		slots_up(&pool->slots, &hosts[0]);
	else if (pool->slots.alone == NULL && slots_count_of(&pool->slots, &hosts[1]) == 0)
		slots_alone_up(&pool->slots, &hosts[1]);
}

static void do_stop(void)
{
	board_stop(fx.board, (enum stop_state)pick(STOP_ENDING + 1), fx.now_us);
}

/* As fixture_turn(), but with thousands of tasks not every turn is looked at. */
static void end_turn(int error)
{
	if (pick(100) == 0) {
		fixture_turn(&fx, error);
		return;
	}
	deadline_run(&fx.board->deadlines, fx.now_us);
	fixture_sched(&fx);
	fixture_check_served(&fx);
	if (error == 0)
		board_settle(fx.board, fx.now_us);
	else
		board_undo(fx.board, error);
	fixture_hand_over(&fx);
	board_sweep(fx.board);
}

static void do_turn(bool stops)
{
	static void (*const commands[])(void) = {do_post, do_post, do_post, do_finish, do_finish,
		do_finish, do_finish, do_cancel, do_retry, do_host};

	fixture_step++;
	fx.now_us += pick(60);
	for (uint64_t n = pick(14); n > 0; n--)
		commands[pick(ARRAY_SIZE(commands))]();
	if (stops && pick(20) == 0)
		do_stop();
	end_turn(pick(5) == 0 ? -EIO : 0);
}

static void open_board(void)
{
	memset(lives, 0, sizeof lives);
	fixture_init(&fx, 4, 10);
	fx.settings.daemon.history_max = TASKS + 64;
	fx.settings.daemon.max_active = pick(2) * 5;
	for (unsigned i = 0; i < FIXTURE_HANDLERS; i++) {
		fx.handlers[i].backoff_min_us = 1 + pick(100);
		fx.handlers[i].backoff_max_us = 200;
		fx.handlers[i].kill_after_us = 0;
		fx.handlers[i].on_crash = (int)pick(2);
		fx.handlers[i].crash_max = 1 + pick(3);
		fx.handlers[i].max_active = pick(2) * 2;
		if (pick(2) == 0)
			fixture_use(&fx, i, (uint32_t)pick(FIXTURE_RESOURCES));
	}
	fx.resources[0].breaker_failures = pick(4);
	fx.resources[0].breaker_pause_us = 100;
	fx.resources[1].rate = pick(2) * 10000;
	fixture_open(&fx);
	slots_down(&fx.other->slots, &fx.hosts[1]);
	fx.board->keeps = pick(2) == 0;
	oracle.watch = (struct watch){.fire = on_changed};
	watch_add(&fx.board->changed, &oracle.watch);
}

static void run_board(void)
{
	open_board();
	while (fx.board->last_id < TASKS)
		do_turn(false);
	for (unsigned n = 0; !board_is_stopped(fx.board); n++) {
		MUST(n < 5000);
		do_turn(true);
	}
	for (uint64_t id = 1; id <= fx.board->last_id; id++) {
		const struct task *task = board_find_task(fx.board, id);
		bool stays = task != NULL && !task_is_ended(task);

		MUST(lives[id].begun == lives[id].ended + stays);
		MUST(!stays || (fx.board->keeps && task->state != TASK_ACTIVE));
	}
	watch_remove(&oracle.watch);
	fixture_close(&fx);
}

START_TEST(test_race_every_task_ends_exactly_once)
{
	const char *env = getenv("CHECK_SEED");

	seed = env != NULL ? strtoull(env, NULL, 0) : (uint64_t)_i + 1;
	printf("CHECK_SEED=%llu\n", (unsigned long long)seed);
	(void)fflush(stdout);
	for (unsigned n = 0; n < 4; n++)
		run_board();
	for (unsigned state = TASK_DONE; state < TASK_STATES; state++) {
		printf("%s %lu ", task_state_name((enum task_state)state), oracle.ends[state]);
		ck_assert_uint_gt(oracle.ends[state], 0); /* every end was in the race */
	}
	printf("\n");
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("race");

	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, test_race_every_task_ends_exactly_once, 0,
		getenv("CHECK_SEED") != NULL ? 1 : 4);
	return fixture_run("race", tcase);
}
