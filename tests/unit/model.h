/*
 * model: a board as plain as it can be: one array of tasks, searched from end to end for everything; no lists, no lanes, no
 * heap. model_rules.c says what becomes of one task, model_turn.c who comes in, who starts, and what a commit does;
 * check_model.c does the same to a board, and model_compare.c compares.
 */
#ifndef WORKPOOL_TESTS_UNIT_MODEL_H
#define WORKPOOL_TESTS_UNIT_MODEL_H

#include "core_fixture.h"

#define MODEL_TASKS                                                                                \
	256 /* that are known at one time: more than capacities, workers and histories allow */
#define MODEL_WORKERS 8
#define MODEL_KEYS    6
#define MODEL_ANY     UINT32_MAX
#define MODEL_NEVER   UINT64_MAX

struct mtask {
	struct mpool *pool;    /* NULL: the cell is free */
	struct task *task;     /* the board's, while the cell is used */
	uint64_t id;           /* 0: it waits for room, or was refused */
	unsigned handler, key; /* key 0: none */
	uint32_t owner;
	uint8_t state, saved, priority;
	bool in_room, changed, unsent, on_starts, suspect;
	bool asked, on_asks, overdue, cancelled, stopped, stuck, on_stuck;
	bool is_news; /* cancelled in this turn, while it was active */
	int refusal;
	uint32_t attempt, retries, failures, crashes, trials, worker, weight;
	const void *host;
	uint64_t posted_us, delay_us, due_us, expires_us, timeout_us, started_us, asked_us;
	uint64_t pause_us; /* of the last return, before it is spread; 0: none */
	uint64_t timer_us,
		timer_set; /* when it is due, MODEL_NEVER: not set; and which one was set first */
	uint64_t entered;  /* the queue, or the room: what came first has the least */
	uint64_t change;   /* number of its last one */
	uint64_t ended_us, end; /* number of its entry: the history's order among equal times */
	uint64_t was_ended_us;  /* before a retry */
	unsigned heard_times;   /* how often its watch should have fired */
	struct heard heard;
};

struct mpool {
	struct pool *pool;
	char *hosts,
		*alone_host; /* two: one that is up, one that is condemned; and one for suspects */
	uint32_t workers;
	uint64_t capacity;
	bool paused;
	char *host, *alone; /* NULL: none is up */
	uint64_t count[TASK_STATES], n_room, max_queued, max_active, attempts, ends;
	struct counters counters;
	bool is_over; /* more may wait than the capacity: something came back, or it was lowered */
	bool waits
		[FIXTURE_HANDLERS]; /* lanes that wait for a timer: not looked at before it has run */
};

struct mresource {
	int64_t tokens_ns;  /* of the rate: a start takes an interval */
	uint64_t filled_us; /* when they were counted */
	enum breaker breaker;
	uint64_t failures, pause_us, trial_at_us, trial;
};

struct model {
	struct fixture fx;
	struct mtask tasks[MODEL_TASKS];
	struct mpool pools[FIXTURE_POOLS];
	struct mresource resources[FIXTURE_RESOURCES];
	uint64_t last_id, last_entered, last_change, last_end, last_set, n_scheds, n_commits;
	uint64_t floor_us; /* while timers run: nothing is set for an earlier time */
	enum stop_state stop;
	bool keeps;
	struct heard on_settled;
};

extern struct model model;

/* How often each was there, so that a test of nothing is seen. */
extern struct model_seen {
	unsigned long state[TASK_STATES], trials, stuck, alone;
} model_seen;

/* --- model_rules.c --- */

/* All tasks that have an id, one after the other: the first one behind NULL, NULL behind the last one. */
struct mtask *model_next(struct mtask *m);
struct mtask *model_by_id(uint64_t id);
struct mtask *model_new_cell(void);
void model_drop(struct mtask *m);
/* The task with the least id of this pool, state, worker (MODEL_ANY), host (NULL: any). */
struct mtask *model_find(const struct mpool *p, uint8_t state, uint32_t worker, const void *host);
struct mtask *model_by_key(unsigned handler, uint32_t owner, unsigned key);
const struct settings_handler *model_handler(const struct mtask *m);
void model_step(struct mtask *m, uint8_t state);
void model_arm(struct mtask *m);
void model_ask(struct mtask *m);

/* A task of this handler may not start now: a cap, a rate or a breaker. */
bool model_is_held(unsigned handler);
void model_take(const struct mtask *m);
void model_give_back(const struct mtask *m, bool was_not_started);
void model_set_limits(uint32_t resource, const struct settings_resource *limits);

enum how {
	HOW_OK,
	HOW_FAILED,
	HOW_CANCELLED,
	HOW_CRASHED,
	HOW_HOST,
	HOW_HOST_SHARED,
	HOW_HOST_BY_US
};
/* An attempt ends; what waits ends by model_end(). */
void model_attempt_ends(struct mtask *m, enum how how);
void model_end(struct mtask *m, uint8_t state);
void model_fire_timer(struct mtask *m);

/* --- model_turn.c --- */

uint64_t model_waiting(const struct mpool *p);
uint64_t model_free(const struct mpool *p);
/* Before a call that may start something: which lanes wait for a timer is asked from the board. */
void model_look(bool timers_have_run);
/* A task that came now would find room; those that wait for it come first. */
bool model_has_room(struct mpool *p, unsigned handler, bool is_delayed);
void model_admit(struct mtask *m);
void model_enter_room(struct mtask *m, uint64_t room_us);
void model_refuse(struct mtask *m, int error);
void model_retry(struct mtask *m);
void model_cancel_waiting(struct mpool *p);
void model_sched(void);
void model_settle(void);
void model_undo(void);

/* --- model_compare.c --- */

void model_compare(void);

#endif
