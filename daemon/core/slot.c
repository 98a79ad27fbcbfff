/*
 * slot: see slot.h.
 */
#include "core/slot.h"

#include <assert.h>
#include <errno.h>

void slots_init(struct slots *slots)
{
	*slots = (struct slots){0};
	TAILQ_INIT(&slots->free);
}

void slots_done(struct slots *slots)
{
	for (uint32_t i = 0; i < slots->len; i++) {
		free(slots->all[i]->progress);
		free(slots->all[i]);
	}
	free(slots->all);
	slots_init(slots);
}

static void slot_come_up(struct slots *slots, struct slot *slot)
{
	if (slot->state != SLOT_GONE || slot->runner == NULL || slot->id >= slots->workers)
		return;
	slot->state = SLOT_FREE;
	slot->host = slot->runner;
	slots->n_free++;
	TAILQ_INSERT_TAIL(&slots->free, slot, link);
}

static void slot_go_free(struct slots *slots, struct slot *slot)
{
	TAILQ_REMOVE(&slots->free, slot, link);
	slots->n_free--;
	slot->state = SLOT_GONE;
	slot->host = NULL;
}

int slots_reserve(struct slots *slots, uint32_t len)
{
	struct slot **all;

	if (len <= slots->len)
		return 0;
	all = realloc(slots->all, len * sizeof *all);
	if (all == NULL)
		return -ENOMEM;
	slots->all = all;
	while (slots->len < len) {
		struct slot *slot = calloc(1, sizeof *slot);

		if (slot == NULL)
			return -ENOMEM; /* those that were made stay, gone: harmless */
		slot->id = slots->len;
		slot->runner = slots->host;
		slots->all[slots->len++] = slot;
	}
	return 0;
}

int slots_resize(struct slots *slots, uint32_t workers)
{
	int r = slots_reserve(slots, workers);

	if (r < 0)
		return r;
	slots->workers = workers;
	slots->n_leaving = 0;
	for (uint32_t i = 0; i < slots->len; i++) {
		struct slot *slot = slots->all[i];

		if (slot->state == SLOT_FREE && i >= workers)
			slot_go_free(slots, slot);
		else if (slot->state == SLOT_BUSY && i >= workers)
			slots->n_leaving++;
		else
			slot_come_up(slots, slot);
	}
	return 0;
}

void slot_up(struct slots *slots, uint32_t id, void *host)
{
	assert(id < slots->len && slots->host == NULL);
	slots->all[id]->runner = host;
	slot_come_up(slots, slots->all[id]);
}

void slots_up(struct slots *slots, void *host)
{
	slots->host = host;
	for (uint32_t i = 0; i < slots->len; i++) {
		slots->all[i]->runner = host;
		slot_come_up(slots, slots->all[i]);
	}
}

void slots_alone_up(struct slots *slots, void *host)
{
	slots->alone = host;
}

static void slot_down(struct slots *slots, struct slot *slot)
{
	slot->runner = NULL;
	if (slot->state == SLOT_FREE)
		slot_go_free(slots, slot);
}

void slots_down(struct slots *slots, void *host)
{
	if (slots->host == host)
		slots->host = NULL;
	if (slots->alone == host)
		slots->alone = NULL;
	for (uint32_t i = 0; i < slots->len; i++)
		if (slots->all[i]->runner == host)
			slot_down(slots, slots->all[i]);
}

void slots_down_all(struct slots *slots)
{
	slots->host = NULL;
	for (uint32_t i = 0; i < slots->len; i++)
		slot_down(slots, slots->all[i]);
}

bool slots_has_host(const struct slots *slots)
{
	for (uint32_t i = 0; i < slots->workers; i++)
		if (slots->all[i]->runner != NULL)
			return true;
	return false;
}

struct slot *slots_busy_of(const struct slots *slots, const void *host)
{
	for (uint32_t i = 0; i < slots->len; i++)
		if (slots->all[i]->state == SLOT_BUSY && slots->all[i]->host == host)
			return slots->all[i];
	return NULL;
}

uint32_t slots_count_of(const struct slots *slots, const void *host)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < slots->len; i++)
		n += slots->all[i]->state == SLOT_BUSY && slots->all[i]->host == host;
	return n;
}

bool slots_can_run_alone(const struct slots *slots)
{
	return slots->alone != NULL && slots->alone_busy == 0;
}

struct slot *slot_take(struct slots *slots, struct task *task, uint32_t weight, bool is_alone)
{
	struct slot *slot = TAILQ_FIRST(&slots->free);

	if (slot == NULL)
		return NULL;
	TAILQ_REMOVE(&slots->free, slot, link);
	slots->n_free--;
	slots->n_busy++;
	slot->state = SLOT_BUSY;
	slot->task = task;
	slot->weight = weight;
	slot->host = is_alone ? slots->alone : slot->runner;
	slot->is_alone = is_alone;
	slots->alone_busy += is_alone;
	return slot;
}

void slot_release(struct slots *slots, struct slot *slot)
{
	bool stays = slot->id < slots->workers && slot->host == slot->runner;

	assert(slot->state == SLOT_BUSY);
	slots->n_busy--;
	slots->alone_busy -= slot->is_alone;
	slot->is_alone = false;
	if (slot->id >= slots->workers)
		slots->n_leaving--;
	slot->task = NULL;
	free(slot->progress);
	slot->progress = NULL;
	slot->state = SLOT_GONE;
	if (!stays)
		slot->host = NULL;
	slot_come_up(slots, slot); /* with its present runner, if it has one */
	if (slot->state == SLOT_FREE && stays) {
		/* Last in, first out: the thread that was busy a moment ago is the warm one. */
		TAILQ_REMOVE(&slots->free, slot, link);
		TAILQ_INSERT_HEAD(&slots->free, slot, link);
	}
}
